//! Transactions between boxes: local ones are announced to every peer in batches, peers' batches go to the pool.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Instant,
};

use bytes::Bytes;
use dolmen_consensus::Consensus;
use dolmen_pool::{
    AddError, Origin, Pool,
    gossip::{GossipError, decode_gossip},
};
use dolmen_types::PublicKey;
use tokio::sync::mpsc;

use crate::{
    limits::{GOSSIP, GOSSIP_DELAY, GOSSIP_IGNORED, POOL_UPKEEP},
    metrics::Metrics,
};

/// The clock that the pool is given: milliseconds since it was first asked for. The time of day may go back.
pub(crate) fn pool_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Announces local transactions until the task is dropped. Every box talks to every other, so nothing is relayed.
pub(crate) async fn announce(pool: Arc<Pool>, consensus: Arc<Consensus>) {
    loop {
        pool.outgoing_ready().await;
        tokio::time::sleep(GOSSIP_DELAY).await;
        while let Some(message) = pool.take_outgoing(&GOSSIP, pool_ms()) {
            // A full queue drops the message; the pool announces its transactions again.
            consensus.gossip(Bytes::from(message));
        }
    }
}

/// Expires old transactions and repeats announcements, until the task is dropped.
pub(crate) async fn upkeep(pool: Arc<Pool>) {
    let mut interval = tokio::time::interval(POOL_UPKEEP);
    loop {
        interval.tick().await;
        pool.expire(pool_ms());
        pool.rebroadcast(pool_ms());
    }
}

/// Admits peers' transactions, one message at a time on a blocking thread: signatures are verified in parallel there.
/// The gossip of a box that sent what a correct one never sends is ignored for a while: it could keep all cores busy.
pub(crate) async fn receive(mut messages: mpsc::Receiver<(PublicKey, Bytes)>, pool: Arc<Pool>, metrics: Arc<Metrics>) {
    // At most one entry for each peer in the settings: the transport talks to no one else.
    let mut ignored = HashMap::<PublicKey, Instant>::new();
    while let Some((from, message)) = messages.recv().await {
        if ignored.get(&from).is_some_and(|until| Instant::now() < *until) {
            metrics.gossip_dropped.inc();
            continue;
        }
        let pool = pool.clone();
        match tokio::task::spawn_blocking(move || admit(&pool, &message)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => {
                metrics.gossip_invalid.inc();
                ignored.insert(from, Instant::now() + GOSSIP_IGNORED);
                // At most one in `GOSSIP_IGNORED` for each box.
                tracing::warn!(peer = %from, error = &fault as &dyn std::error::Error, "ignoring a box's gossip");
            }
            Err(error) => tracing::error!(%error, "admitting gossip failed; please report this"),
        }
    }
}

/// Why a message is one that a correct box never sends.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the message does not decode")]
    Message(#[from] GossipError),
    #[error("a transaction's signature is not valid")]
    Signature(#[source] AddError),
}

fn admit(pool: &Pool, message: &[u8]) -> Result<(), Fault> {
    let transactions = decode_gossip(message, &GOSSIP)?;
    // Most refusals are duplicates or lost races between boxes: the pool's business, not the log's.
    let results = pool.add_batch(transactions, Origin::Peer, pool_ms());
    match results.into_iter().filter_map(Result::err).find(AddError::is_bad_signature) {
        Some(error) => Err(Fault::Signature(error)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use alloy_primitives::{Address, U256, hex};
    use dolmen_accel_api::QueueConfig;
    use dolmen_pool::{AccountView, PoolConfig, SenderCache, Signatures, StateSource};
    use prometheus_client::registry::Registry;

    use super::*;

    /// EIP-155's example: chain id 1, nonce 9, after its sender, with its length as an item of a message of one.
    const MESSAGE: [u8; 134] = hex!(
        "f884b8829d8a62f656a8d1615c1294fd71e9cfb3e4855a4ff86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef"
        "61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3"
        "dc64214b297fb1966a3b6d83"
    );

    /// RFC 8032, section 7.1, tests 1 and 2.
    const KEYS: [&str; 2] = [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ];

    struct Rich;

    impl StateSource for Rich {
        fn account(&self, _: &Address) -> AccountView {
            AccountView { nonce: 9, balance: U256::MAX, ..Default::default() }
        }
    }

    fn pool() -> Arc<Pool> {
        let signatures = Signatures::start(Arc::new(dolmen_accel_library::baseline()), QueueConfig::default());
        let cache = SenderCache::new(1, Arc::new(signatures), NonZeroUsize::MIN, 1 << 20);
        Arc::new(Pool::new(PoolConfig::for_chain(1, 0, 30_000_000), Arc::new(Rich), Arc::new(cache)).unwrap())
    }

    #[tokio::test]
    async fn a_box_that_sends_what_no_correct_one_sends_is_ignored() {
        let mut forged = MESSAGE.to_vec();
        // The first byte of `s`, which is now in the upper half (EIP-2).
        forged[MESSAGE.len() - 32] = 0xff;
        for bad in [forged, vec![0xc0]] {
            let (pool, metrics) = (pool(), Arc::new(Metrics::new(&mut Registry::default())));
            let (sender, messages) = mpsc::channel(8);
            let (liar, honest): (PublicKey, PublicKey) = (KEYS[0].parse().unwrap(), KEYS[1].parse().unwrap());
            for (from, message) in [(liar, bad), (liar, MESSAGE.to_vec())] {
                sender.try_send((from, Bytes::from(message))).unwrap();
            }
            drop(sender);
            receive(messages, pool.clone(), metrics.clone()).await;
            assert_eq!((metrics.gossip_invalid.get(), metrics.gossip_dropped.get()), (1, 1));
            assert_eq!(pool.status().pending, 0);

            let (sender, messages) = mpsc::channel(8);
            // The second is refused, but no fault: it may be a race between boxes.
            (0..2).for_each(|_| sender.try_send((honest, Bytes::from(MESSAGE.to_vec()))).unwrap());
            drop(sender);
            receive(messages, pool.clone(), metrics.clone()).await;
            assert_eq!((metrics.gossip_invalid.get(), metrics.gossip_dropped.get()), (1, 1));
            assert_eq!(pool.status().pending, 1);
        }
    }
}
