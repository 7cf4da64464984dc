//! The thread that waits for the TPM, so that no thread of a runtime does.

use std::{
    sync::{
        Mutex,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use dolmen_hsm_api::KeyError;
use futures::channel::oneshot;

/// Signatures that wait: some hundred milliseconds of a TPM's work.
const WAITING_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that starts with the first job and ends with the last handle.
#[derive(Default)]
pub(crate) struct Worker(Mutex<Option<SyncSender<Job>>>);

impl Worker {
    /// Runs a job on the thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        device: &str,
        job: impl FnOnce() -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let failed = |reason: &str| KeyError::Device {
            device: format!("the TPM {device}"),
            operation: "sign",
            reason: reason.to_owned(),
        };
        let (reply, answer) = oneshot::channel();
        // Nobody may be waiting any more.
        let job = Box::new(move || {
            if !reply.is_canceled() {
                drop(reply.send(job()));
            }
        });
        match self.sender().map_err(|error| failed(&error.to_string()))?.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(failed("too many signatures wait for it already")),
            Err(TrySendError::Disconnected(_)) => return Err(failed("its thread has ended")),
        }
        answer.await.map_err(|_| failed("its thread has ended"))?
    }

    fn sender(&self) -> std::io::Result<SyncSender<Job>> {
        let mut place = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(sender) = &*place {
            return Ok(sender.clone());
        }
        let (sender, jobs) = sync_channel::<Job>(WAITING_MAX);
        thread::Builder::new().name("tpm".into()).spawn(move || jobs.iter().for_each(|job| job()))?;
        *place = Some(sender.clone());
        Ok(sender)
    }
}
