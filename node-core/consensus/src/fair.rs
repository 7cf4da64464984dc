//! A receiver that gives each peer the same share of what reads from it.
//!
//! The transport keeps one queue a channel for all peers together. Where reading is work, as decoding blocks is, one
//! peer that sends fast would fill that queue and the others' messages would be dropped. [`share`] empties it at once
//! into a short queue for each peer, so many bytes a second at most, and hands their messages out in turns.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    fmt,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
};

use commonware_cryptography::PublicKey;
use commonware_p2p::{Message, Receiver};
use commonware_runtime::{Clock, IoBuf, Quota, RateLimiter, Spawner, Supervisor};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What one peer may have waiting, and send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Messages that wait; another one takes the place of the oldest.
    pub(crate) messages: NonZeroUsize,
    /// Bytes a second, and at once; more are dropped.
    pub(crate) bytes_per_second: NonZeroU32,
}

/// Starts to empty `receiver` and returns what to read from instead. It waits for ever once the transport has ended.
pub(crate) fn share<E, R>(context: &E, mut receiver: R, share: Share) -> Fair<R::PublicKey, E>
where
    E: Spawner + Clock,
    R: Receiver,
{
    let shared = Arc::new(Shared { queues: Mutex::new(Queues::default()), ready: Notify::new() });
    let fair = Fair { shared: shared.clone(), messages: share.messages };
    let clock = context.child("clock");
    context.child("fair").spawn(move |_| async move {
        while let Ok((from, message)) = receiver.recv().await {
            if shared.queues.lock().push(from, message, share, &clock) {
                shared.ready.notify_one();
            }
        }
    });
    fair
}

/// The receiving end.
pub(crate) struct Fair<P, C: Clock> {
    shared: Arc<Shared<P, C>>,
    messages: NonZeroUsize,
}

struct Shared<P, C: Clock> {
    queues: Mutex<Queues<P, C>>,
    ready: Notify,
}

/// The peers that ever sent something; only authenticated ones can, so there are as many as the box has peers.
struct Queues<P, C: Clock> {
    by_peer: BTreeMap<P, Queue<C>>,
    /// Whose turn it is; each peer with messages once.
    turns: VecDeque<P>,
}

struct Queue<C: Clock> {
    messages: VecDeque<IoBuf>,
    allowance: RateLimiter<C>,
}

impl<P, C: Clock> Default for Queues<P, C> {
    fn default() -> Self {
        Self { by_peer: BTreeMap::new(), turns: VecDeque::new() }
    }
}

impl<P: PublicKey, C: Clock + Supervisor> Queues<P, C> {
    /// Takes in a message; `false` where its peer has used up its bytes.
    fn push(&mut self, from: P, message: IoBuf, share: Share, clock: &C) -> bool {
        let queue = self.by_peer.entry(from.clone()).or_insert_with(|| Queue {
            messages: VecDeque::new(),
            allowance: RateLimiter::direct_with_clock(Quota::per_second(share.bytes_per_second), clock.child("share")),
        });
        let bytes = u32::try_from(message.len()).ok().and_then(NonZeroU32::new);
        if !bytes.is_some_and(|bytes| matches!(queue.allowance.check_n(bytes), Ok(Ok(())))) {
            return false;
        }
        if queue.messages.is_empty() {
            self.turns.push_back(from);
        } else if queue.messages.len() == share.messages.get() {
            queue.messages.pop_front();
        }
        queue.messages.push_back(message);
        true
    }

    fn pop(&mut self) -> Option<Message<P>> {
        let from = self.turns.pop_front()?;
        let queue = self.by_peer.get_mut(&from)?;
        let message = queue.messages.pop_front()?;
        if !queue.messages.is_empty() {
            self.turns.push_back(from.clone());
        }
        Some((from, message))
    }
}

impl<P, C: Clock> fmt::Debug for Fair<P, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fair").field("messages", &self.messages).finish_non_exhaustive()
    }
}

impl<P: PublicKey, C: Clock + Supervisor> Receiver for Fair<P, C> {
    type Error = Infallible;
    type PublicKey = P;

    async fn recv(&mut self) -> Result<Message<P>, Infallible> {
        loop {
            if let Some(message) = self.shared.queues.lock().pop() {
                return Ok(message);
            }
            self.shared.ready.notified().await;
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.messages
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use commonware_cryptography::{Signer as _, ed25519};
    use commonware_runtime::{Runner as _, deterministic};

    use super::*;

    fn peer(seed: u64) -> ed25519::PublicKey {
        ed25519::PrivateKey::from_seed(seed).public_key()
    }

    fn message(byte: u8) -> IoBuf {
        IoBuf::from(vec![byte; 100])
    }

    const SHARE: Share = Share {
        messages: NonZeroUsize::new(4).expect("not zero"),
        bytes_per_second: NonZeroU32::new(1000).expect("not zero"),
    };

    fn drain(queues: &mut Queues<ed25519::PublicKey, deterministic::Context>) -> Vec<u8> {
        std::iter::from_fn(|| queues.pop()).map(|(_, message)| message.as_ref()[0]).collect()
    }

    #[test]
    fn a_peer_that_floods_delays_another_by_one_message() {
        deterministic::Runner::default().start(|context| async move {
            let mut queues = Queues::default();
            for byte in 0..8 {
                queues.push(peer(0), message(byte), SHARE, &context);
            }
            queues.push(peer(1), message(100), SHARE, &context);
            // The newest four of the flood, and the other's as second.
            assert_eq!(drain(&mut queues), [4, 100, 5, 6, 7]);
        });
    }

    #[test]
    fn bytes_beyond_the_share_are_dropped_until_it_is_renewed() {
        deterministic::Runner::default().start(|context| async move {
            let mut queues = Queues::default();
            let taken = (0..20).filter(|&byte| queues.push(peer(0), message(byte), SHARE, &context)).count();
            assert_eq!(taken, 10, "1000 bytes at once");
            assert!(queues.push(peer(1), message(0), SHARE, &context), "another peer has its own share");
            context.sleep(Duration::from_millis(500)).await;
            let taken = (0..20).filter(|&byte| queues.push(peer(0), message(byte), SHARE, &context)).count();
            assert_eq!(taken, 5, "half a second's worth");
            let huge = IoBuf::from(vec![0; 2000]);
            assert!(!queues.push(peer(2), huge, SHARE, &context), "more than a second's worth in one message");
            assert!(!queues.push(peer(2), IoBuf::from(vec![]), SHARE, &context), "an empty message is no block");
        });
    }
}
