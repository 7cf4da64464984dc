//! A thread that runs one job at a time, for work that would block an async thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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

    /// Runs a job after those before it. `None` where the thread died or the job panicked. When the caller goes away
    /// first, a job that did not start is skipped, and one that runs sees it in its [`Cancelled`].
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Cancelled) -> T + Send + 'static) -> Option<T> {
        let (result, receiver) = oneshot::channel();
        let guard = CancelOnDrop(Cancelled::default());
        let cancelled = guard.0.clone();
        let caller = tracing::Span::current();
        let job = move || {
            if !cancelled.is_set() {
                let _ = result.send(caller.in_scope(|| job(&cancelled)));
            }
        };
        self.0.send(Box::new(job)).await.ok()?;
        receiver.await.ok()
    }
}

/// Tells a job that nobody waits for its result any more.
#[derive(Clone, Default)]
pub(crate) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct CancelOnDrop(Cancelled);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_job_sees_that_its_caller_left() {
        let worker = Worker::start("test", 4).unwrap();
        let (seen, was_seen) = std::sync::mpsc::channel();
        let long = worker.run(move |cancelled| {
            while !cancelled.is_set() {
                std::thread::yield_now();
            }
            seen.send(()).unwrap();
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), long).await.is_err(), "it runs until it is cancelled");
        was_seen.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[tokio::test]
    async fn a_panic_spares_the_next_job() {
        let worker = Worker::start("test", 4).unwrap();
        assert_eq!(worker.run(|_| -> u8 { panic!("on purpose") }).await, None);
        assert_eq!(worker.run(|_| 7).await, Some(7));
    }
}
