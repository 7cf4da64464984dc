//! A channel of the network, split among epochs: each has a part of its own, and messages say which one they are for.
//!
//! On the wire a message begins with its epoch, as commonware's `mux` writes a sub-channel. That one keeps its parts in no
//! order, so that a box that is killed wakes its tasks in none: a simulated history could not be replayed.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use commonware_consensus::types::Epoch;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{
    LimitedSender, Message, Receiver, Recipients, Sender,
    utils::mux::{self, CheckedGlobalSender, GlobalSender},
};
use commonware_runtime::Spawner;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Messages of an epoch that a box takes in from each other before it enters it, the first ones: what is sent in the first
/// views. Who sends more fills nobody else's place.
const EARLY_PER_SENDER: usize = 32;

/// A channel that is split.
pub(crate) struct Split<S> {
    sender: S,
    capacity: NonZeroUsize,
    parts: Arc<Mutex<BTreeMap<u64, Part>>>,
}

/// Where an epoch's messages go.
struct Part {
    messages: mpsc::Sender<Message<PublicKey>>,
    entered: Arc<AtomicBool>,
    early: BTreeMap<PublicKey, usize>,
}

impl Part {
    /// Takes a message in; where there is no room it is lost.
    fn take(&mut self, message: Message<PublicKey>) {
        if !self.entered.load(Ordering::Relaxed) {
            let count = self.early.entry(message.0.clone()).or_default();
            *count += 1;
            if *count > EARLY_PER_SENDER {
                return;
            }
        }
        let _ = self.messages.try_send(message);
    }
}

impl<S: Sender<PublicKey = PublicKey>> Split<S> {
    /// Starts to read the channel. `ahead` is told whom a message came from that is for an epoch not yet entered.
    pub(crate) fn start<E, R>(context: E, (sender, mut receiver): (S, R), ahead: mpsc::Sender<PublicKey>) -> Self
    where
        E: Spawner,
        R: Receiver<PublicKey = PublicKey>,
    {
        let parts: Arc<Mutex<BTreeMap<u64, Part>>> = Arc::default();
        let split = Self { sender, capacity: receiver.capacity(), parts: parts.clone() };
        context.spawn(move |_| async move {
            while let Ok((from, message)) = receiver.recv().await {
                let Ok((epoch, message)) = mux::parse(message) else { continue };
                let mut parts = parts.lock();
                let part = parts.get_mut(&epoch);
                let entered = part.as_ref().is_some_and(|part| part.entered.load(Ordering::Relaxed));
                if let Some(part) = part {
                    part.take((from.clone(), message));
                }
                if !entered && parts.last_key_value().is_some_and(|(last, _)| epoch >= *last) {
                    let _ = ahead.try_send(from);
                }
            }
        });
        split
    }

    /// Opens an epoch's part, and closes those before `oldest`.
    pub(crate) fn open(&self, epoch: Epoch, oldest: Epoch) -> (InEpoch<S>, OfEpoch) {
        let (messages, receiver) = mpsc::channel(self.capacity.get());
        let entered = Arc::<AtomicBool>::default();
        let part = Part { messages, entered: entered.clone(), early: BTreeMap::new() };
        let mut parts = self.parts.lock();
        parts.retain(|of, _| *of >= oldest.get());
        parts.insert(epoch.get(), part);
        let sender = InEpoch { sender: GlobalSender::new(self.sender.clone()), epoch: epoch.get() };
        (sender, OfEpoch { receiver, entered, capacity: self.capacity })
    }
}

/// Sends in an epoch.
#[derive(Clone, Debug)]
pub(crate) struct InEpoch<S: Sender> {
    sender: GlobalSender<S>,
    epoch: u64,
}

impl<S: Sender> LimitedSender for InEpoch<S> {
    type PublicKey = S::PublicKey;
    type Checked<'a> = CheckedGlobalSender<'a, S>;

    fn check(&mut self, recipients: Recipients<Self::PublicKey>) -> Result<Self::Checked<'_>, std::time::SystemTime> {
        self.sender.check(recipients).map(|checked| checked.with_subchannel(self.epoch))
    }
}

/// Receives what is sent in an epoch. It waits for ever once the part is closed.
#[derive(Debug)]
pub(crate) struct OfEpoch {
    receiver: mpsc::Receiver<Message<PublicKey>>,
    entered: Arc<AtomicBool>,
    capacity: NonZeroUsize,
}

impl OfEpoch {
    /// From now on messages are read as they come.
    pub(crate) fn enter(&self) {
        self.entered.store(true, Ordering::Relaxed);
    }
}

impl Receiver for OfEpoch {
    type Error = std::convert::Infallible;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, Self::Error> {
        match self.receiver.recv().await {
            Some(message) => Ok(message),
            None => std::future::pending().await,
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }
}
