//! A thread that builds tables, so that no batch waits for one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use parking_lot::{Condvar, Mutex};

/// Tables that may wait to be built. Who finds the queue full asks again at the key's next sighting.
const WAITING_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// The thread. It ends when the last clone is dropped and what waits is done.
#[derive(Clone)]
pub(crate) struct Builder {
    jobs: SyncSender<Job>,
    pending: Arc<Pending>,
}

#[derive(Default)]
struct Pending {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Builder {
    /// Starts the thread.
    pub(crate) fn start() -> Self {
        let (jobs, queue) = sync_channel::<Job>(WAITING_MAX);
        let pending = Arc::<Pending>::default();
        let done = Arc::clone(&pending);
        thread::Builder::new()
            .name("signature-keys".into())
            .spawn(move || {
                for job in queue {
                    // A table that cannot be built is a key without one; who waits is not left waiting.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                    *done.count.lock() -= 1;
                    done.changed.notify_all();
                }
            })
            .expect("the system gives a thread at start");
        Self { jobs, pending }
    }

    /// Queues a job; false if too many wait.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) -> bool {
        let mut count = self.pending.count.lock();
        let accepted = self.jobs.try_send(Box::new(job)).is_ok();
        *count += usize::from(accepted);
        accepted
    }

    /// Waits until nothing is queued or running.
    pub(crate) fn settle(&self) {
        let mut count = self.pending.count.lock();
        while *count > 0 {
            self.pending.changed.wait(&mut count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_panics_holds_nobody_up() {
        let builder = Builder::start();
        let done = Arc::new(Mutex::new(0));
        for job in 0..5 {
            let done = Arc::clone(&done);
            assert!(builder.submit(move || {
                assert_ne!(job % 2, 1, "a job that fails, which this test wants");
                *done.lock() += 1;
            }));
        }
        builder.settle();
        assert_eq!(*done.lock(), 3);
    }
}
