//! The threads that wait for a device.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    thread,
};

use parking_lot::Mutex;

use crate::limits::QUEUE_MAX;

/// Something to do on a thread that may wait.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Starts threads that take jobs until the last sender is gone.
pub(crate) fn start(threads: usize) -> io::Result<SyncSender<Job>> {
    let (sender, receiver) = mpsc::sync_channel::<Job>(QUEUE_MAX);
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..threads {
        let receiver = Arc::clone(&receiver);
        thread::Builder::new().name(format!("sdf-{number}")).spawn(move || {
            loop {
                // A statement of its own: the lock must not last as long as the job.
                let job = receiver.lock().recv();
                let Ok(job) = job else { return };
                job();
            }
        })?;
    }
    Ok(sender)
}
