//! A thread that runs one job at a time, for work that would block an async thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use tokio::sync::{mpsc, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// A named thread with a bounded queue of jobs. It ends when the last handle is gone and the queue is empty.
pub(crate) struct Worker(mpsc::Sender<Job>);

impl Worker {
    pub(crate) fn start(name: &str, queue: usize) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(queue);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                // A panic is a bug; the job's caller gets no answer, and later jobs must still run.
                if catch_unwind(AssertUnwindSafe(job)).is_err() {
                    tracing::error!("a job panicked; please report the message above");
                }
            }
        })?;
        Ok(Self(jobs))
    }

    /// Runs a job after those before it. `None` where the thread died or the job panicked. A caller that goes away
    /// before its job starts cancels it.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (result, receiver) = oneshot::channel();
        let job = move || {
            if !result.is_closed() {
                let _ = result.send(job());
            }
        };
        self.0.send(Box::new(job)).await.ok()?;
        receiver.await.ok()
    }
}
