//! The asynchronous form of an engine: single jobs in, batches formed by size or by time.
//!
//! Jobs wait in one bounded queue. A worker thread takes up to [`QueueConfig::batch_max`] of them as soon as so many
//! wait, or when the oldest has waited for [`QueueConfig::linger`]. Who finds the queue full is told so at once and
//! keeps the load; a job whose deadline passes while it waits is given up without any work.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex};
use thiserror::Error;

use crate::{Address, Algorithm, BatchVerifier, EngineError, Message, RecoverJob, Verdict, VerifyJob};

/// The bounds of a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueConfig {
    /// Jobs that may wait.
    pub capacity: usize,
    /// Jobs in a batch at most.
    pub batch_max: usize,
    /// How long a job may wait for others to share its batch.
    pub linger: Duration,
    /// Threads that run batches.
    pub workers: usize,
}

impl Default for QueueConfig {
    /// For single signatures from clients: what a core checks in about a tenth of a second with keys that it has not
    /// seen may wait, each for 0.2 ms at most before a batch begins. One thread: several would make small batches of
    /// each other's work.
    fn default() -> Self {
        Self { capacity: 4096, batch_max: 256, linger: Duration::from_micros(200), workers: 1 }
    }
}

/// Why a job has no result.
#[derive(Clone, Debug, Error)]
pub enum QueueError {
    /// Too many jobs wait.
    #[error("{capacity} signatures already wait to be checked; send again a little later")]
    Full {
        /// The bound.
        capacity: usize,
    },
    /// The deadline passed before the job's turn came.
    #[error("the signature was not checked in time because others were ahead; send again a little later")]
    DeadlineExceeded,
    /// The queue was closed while the job waited.
    #[error("the node is stopping; send to another one")]
    Closed,
    /// The engine failed on the job's batch.
    #[error("the signature engine failed")]
    Engine(#[source] Arc<EngineError>),
}

/// What was signed, owned.
#[derive(Clone, Debug)]
pub enum OwnedMessage {
    /// As [`Message::Digest`].
    Digest([u8; 32]),
    /// As [`Message::Bytes`].
    Bytes(Bytes),
}

/// A [`VerifyJob`] that owns what it names.
#[derive(Clone, Debug)]
pub struct VerifyRequest {
    /// The rule to verify by.
    pub algorithm: Algorithm,
    /// The public key.
    pub key: Bytes,
    /// What was signed.
    pub message: OwnedMessage,
    /// The signature.
    pub signature: Bytes,
}

impl VerifyRequest {
    fn job(&self) -> VerifyJob<'_> {
        let message = match &self.message {
            OwnedMessage::Digest(digest) => Message::Digest(digest),
            OwnedMessage::Bytes(bytes) => Message::Bytes(bytes),
        };
        VerifyJob { key: &self.key, message, signature: &self.signature }
    }
}

/// The result of a job, when its batch has run.
///
/// Dropping it does not take the job out of the queue.
#[derive(Debug)]
#[must_use = "a result that nobody awaits was work for nothing"]
pub struct Pending<T>(oneshot::Receiver<Result<T, QueueError>>);

/// A signer to come.
pub type Recovery = Pending<Option<Address>>;

impl<T> Pending<T> {
    /// Blocks the thread until then.
    ///
    /// # Errors
    ///
    /// As the future.
    pub fn wait(self) -> Result<T, QueueError> {
        futures::executor::block_on(self)
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, QueueError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).unwrap_or(Err(QueueError::Closed)))
    }
}

enum Work {
    Recover(RecoverJob, oneshot::Sender<Result<Option<Address>, QueueError>>),
    Verify(VerifyRequest, oneshot::Sender<Result<Verdict, QueueError>>),
}

struct Item {
    queued: Instant,
    deadline: Option<Instant>,
    work: Work,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    closed: bool,
}

struct Shared {
    engine: Arc<dyn BatchVerifier>,
    config: QueueConfig,
    state: Mutex<State>,
    /// Signalled when a job came in or the queue closed.
    changed: Condvar,
    statistics: Statistics,
}

/// Totals of a queue.
#[derive(Debug, Default)]
struct Statistics {
    batches: AtomicU64,
    jobs: AtomicU64,
    waited_ns: AtomicU64,
    full: AtomicU64,
    expired: AtomicU64,
}

/// The totals of a queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// Batches run.
    pub batches: u64,
    /// Jobs in them.
    pub jobs: u64,
    /// Nanoseconds that these jobs waited, summed.
    pub waited_ns: u64,
    /// Jobs refused because the queue was full.
    pub full: u64,
    /// Jobs given up because their deadline passed.
    pub expired: u64,
}

/// A bounded queue in front of an engine, with threads that run its batches. Dropping it ends them.
pub struct Queue {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Queue {
    /// Starts the threads.
    ///
    /// # Panics
    ///
    /// If a bound of `config` is zero, or the system gives no thread.
    pub fn start(engine: Arc<dyn BatchVerifier>, config: QueueConfig) -> Self {
        assert!(config.capacity > 0 && config.batch_max > 0 && config.workers > 0, "a queue of nothing: {config:?}");
        let shared = Arc::new(Shared {
            engine,
            config,
            state: Mutex::default(),
            changed: Condvar::new(),
            statistics: Statistics::default(),
        });
        let workers = (0..config.workers)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("signatures-{index}"))
                    .spawn(move || shared.work())
                    .expect("the system gives a thread at start")
            })
            .collect();
        Self { shared, workers }
    }

    /// Asks who signed.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`]; what happens later comes through the returned future.
    pub fn recover(&self, job: RecoverJob, deadline: Option<Instant>) -> Result<Recovery, QueueError> {
        let (sender, receiver) = oneshot::channel();
        self.submit(Work::Recover(job, sender), deadline)?;
        Ok(Pending(receiver))
    }

    /// Asks whether a signature holds.
    ///
    /// # Errors
    ///
    /// As for [`recover`](Self::recover).
    pub fn verify(&self, request: VerifyRequest, deadline: Option<Instant>) -> Result<Pending<Verdict>, QueueError> {
        let (sender, receiver) = oneshot::channel();
        self.submit(Work::Verify(request, sender), deadline)?;
        Ok(Pending(receiver))
    }

    fn submit(&self, work: Work, deadline: Option<Instant>) -> Result<(), QueueError> {
        let mut state = self.shared.state.lock();
        let capacity = self.shared.config.capacity;
        if state.items.len() >= capacity {
            self.shared.statistics.full.fetch_add(1, Relaxed);
            return Err(QueueError::Full { capacity });
        }
        state.items.push_back(Item { queued: Instant::now(), deadline, work });
        // The first job wakes a worker to start its time; the last wakes one because the batch is full.
        if state.items.len() == 1 || state.items.len().is_multiple_of(self.shared.config.batch_max) {
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Jobs that wait now.
    pub fn len(&self) -> usize {
        self.shared.state.lock().items.len()
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The totals so far.
    pub fn snapshot(&self) -> QueueSnapshot {
        let Statistics { batches, jobs, waited_ns, full, expired } = &self.shared.statistics;
        let get = |total: &AtomicU64| total.load(Relaxed);
        QueueSnapshot {
            batches: get(batches),
            jobs: get(jobs),
            waited_ns: get(waited_ns),
            full: get(full),
            expired: get(expired),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked has said so; its jobs' senders are gone, so nobody waits for it.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Runs batches until the queue closes.
    fn work(&self) {
        let mut items = Vec::with_capacity(self.config.batch_max);
        let mut batch = Batch::default();
        while self.next(&mut items) {
            batch.run(self, items.drain(..));
        }
    }

    /// Waits for a batch and moves it to `items`; false once the queue is closed.
    fn next(&self, items: &mut Vec<Item>) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                // Who waits is told so by the dropped senders.
                state.items.clear();
                return false;
            }
            let Some(oldest) = state.items.front() else {
                self.changed.wait(&mut state);
                continue;
            };
            let due = oldest.queued + self.config.linger;
            if state.items.len() >= self.config.batch_max || Instant::now() >= due {
                break;
            }
            self.changed.wait_until(&mut state, due);
        }
        let count = state.items.len().min(self.config.batch_max);
        items.extend(state.items.drain(..count));
        if !state.items.is_empty() {
            // The rest has its own times; another worker may take it.
            self.changed.notify_one();
        }
        true
    }
}

/// The buffers of a worker, reused from batch to batch.
#[derive(Default)]
struct Batch {
    recoveries: Vec<RecoverJob>,
    signers: Vec<Option<Address>>,
    recovery_senders: Vec<oneshot::Sender<Result<Option<Address>, QueueError>>>,
    requests: Vec<(VerifyRequest, oneshot::Sender<Result<Verdict, QueueError>>)>,
}

impl Batch {
    fn run(&mut self, shared: &Shared, items: impl Iterator<Item = Item>) {
        let now = Instant::now();
        let statistics = &shared.statistics;
        for Item { queued, deadline, work } in items {
            statistics.jobs.fetch_add(1, Relaxed);
            let waited = u64::try_from((now - queued).as_nanos()).unwrap_or(u64::MAX);
            statistics.waited_ns.fetch_add(waited, Relaxed);
            let late = deadline.is_some_and(|deadline| deadline < now);
            if late {
                statistics.expired.fetch_add(1, Relaxed);
            }
            // A send fails only if nobody waits any more.
            match work {
                Work::Recover(_, sender) if late => drop(sender.send(Err(QueueError::DeadlineExceeded))),
                Work::Verify(_, sender) if late => drop(sender.send(Err(QueueError::DeadlineExceeded))),
                Work::Recover(job, sender) => {
                    self.recoveries.push(job);
                    self.recovery_senders.push(sender);
                }
                Work::Verify(request, sender) => self.requests.push((request, sender)),
            }
        }
        statistics.batches.fetch_add(1, Relaxed);
        self.recover(&*shared.engine);
        self.verify(&*shared.engine);
    }

    fn recover(&mut self, engine: &dyn BatchVerifier) {
        if self.recoveries.is_empty() {
            return;
        }
        self.signers.clear();
        self.signers.resize(self.recoveries.len(), None);
        let outcome = engine.recover(&self.recoveries, &mut self.signers).map_err(Arc::new);
        self.recoveries.clear();
        for (sender, signer) in self.recovery_senders.drain(..).zip(&self.signers) {
            drop(sender.send(outcome.clone().map(|()| *signer).map_err(QueueError::Engine)));
        }
    }

    fn verify(&mut self, engine: &dyn BatchVerifier) {
        for algorithm in Algorithm::ALL {
            let of = |request: &&(VerifyRequest, _)| request.0.algorithm == algorithm;
            let jobs: Vec<_> = self.requests.iter().filter(of).map(|(request, _)| request.job()).collect();
            if jobs.is_empty() {
                continue;
            }
            let mut verdicts = vec![Verdict::Invalid; jobs.len()];
            let outcome = engine.verify(algorithm, &jobs, &mut verdicts).map_err(Arc::new);
            drop(jobs);
            let answered = self.requests.extract_if(.., |request| request.0.algorithm == algorithm);
            for ((_, sender), verdict) in answered.zip(verdicts) {
                drop(sender.send(outcome.clone().map(|()| verdict).map_err(QueueError::Engine)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
