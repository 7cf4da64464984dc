//! Threads that wait for a device, so that no task of an async runtime does.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use parking_lot::Mutex;

use crate::limits;

/// What a thread does for someone who waits.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A token's threads, as many as it has sessions. They are started as they are needed, and end with the token.
pub(crate) struct Workers {
    threads_max: usize,
    queue: SyncSender<Job>,
    jobs: Arc<Mutex<Receiver<Job>>>,
    started: Mutex<usize>,
    /// Jobs that wait or run.
    pending: Arc<AtomicUsize>,
}

impl Workers {
    pub(crate) fn new(threads_max: usize) -> Self {
        let (queue, jobs) = sync_channel(limits::WAITING);
        Self {
            threads_max,
            queue,
            jobs: Arc::new(Mutex::new(jobs)),
            started: Mutex::new(0),
            pending: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Has a thread do this soon. Fails with the reason if too much waits already.
    pub(crate) fn submit(&self, job: Job) -> Result<(), String> {
        let pending = self.pending.fetch_add(1, Ordering::Relaxed) + 1;
        let submitted = self.have_threads(pending).and_then(|()| {
            self.queue.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => format!("{} signatures are waiting already", limits::WAITING),
                TrySendError::Disconnected(_) => "its threads have ended".to_owned(),
            })
        });
        if submitted.is_err() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
        submitted
    }

    /// Starts a thread if there are fewer than jobs; fails if there is none.
    fn have_threads(&self, pending: usize) -> Result<(), String> {
        let mut started = self.started.lock();
        if *started >= self.threads_max.min(pending) {
            return Ok(());
        }
        let (jobs, pending) = (Arc::clone(&self.jobs), Arc::clone(&self.pending));
        match thread::Builder::new().name("pkcs11".to_owned()).spawn(move || work(&jobs, &pending)) {
            Ok(_) => *started += 1,
            Err(error) if *started == 0 => return Err(format!("no thread can be started: {error}")),
            Err(error) => tracing::warn!(%error, "a token has fewer threads than sessions"),
        }
        Ok(())
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, pending: &AtomicUsize) {
    loop {
        // The lock is let go before the job is done.
        let next = jobs.lock().recv();
        let Ok(job) = next else { return };
        // Whoever waits for the job learns of a panic by its reply that never comes; the thread goes on.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("an operation of a PKCS#11 token panicked");
        }
        pending.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn no_more_waits_than_may() {
        let workers = Workers::new(2);
        let (hold, held) = channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let (done, finished) = channel();
        let mut refused = 0;
        for _ in 0..limits::WAITING + 10 {
            let (held, done) = (Arc::clone(&held), done.clone());
            let job = Box::new(move || {
                held.lock().recv().unwrap_err();
                done.send(()).unwrap();
            });
            refused += usize::from(workers.submit(job).is_err());
        }
        // Two jobs may have left the queue for the threads.
        assert!((8..=10).contains(&refused), "{refused}");
        drop((hold, done));
        assert_eq!(finished.iter().count(), limits::WAITING + 10 - refused);
    }

    #[test]
    fn a_panic_ends_no_thread() {
        let workers = Workers::new(1);
        workers.submit(Box::new(|| assert!(std::hint::black_box(false), "a bad library"))).unwrap();
        let (done, finished) = channel();
        workers.submit(Box::new(move || done.send(()).unwrap())).unwrap();
        finished.recv().unwrap();
    }
}
