//! Transactions between boxes: local ones are announced to every peer in batches, peers' batches go to the pool.

use std::sync::Arc;

use bytes::Bytes;
use dolmen_consensus::Consensus;
use dolmen_pool::{Origin, Pool, gossip::decode_gossip};
use dolmen_types::PublicKey;
use tokio::sync::mpsc;

use crate::{
    limits::{GOSSIP, GOSSIP_DELAY, POOL_UPKEEP},
    metrics::Metrics,
    pipeline::now_ms,
};

/// Announces local transactions until the task is dropped. Every box talks to every other, so nothing is relayed.
pub(crate) async fn announce(pool: Arc<Pool>, consensus: Arc<Consensus>) {
    loop {
        pool.outgoing_ready().await;
        tokio::time::sleep(GOSSIP_DELAY).await;
        while let Some(message) = pool.take_outgoing(&GOSSIP, now_ms()) {
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
        pool.expire(now_ms());
        pool.rebroadcast(now_ms());
    }
}

/// Admits peers' transactions, one message at a time on a blocking thread: signatures are verified in parallel there.
pub(crate) async fn receive(mut messages: mpsc::Receiver<(PublicKey, Bytes)>, pool: Arc<Pool>, metrics: Arc<Metrics>) {
    while let Some((from, message)) = messages.recv().await {
        let (pool, metrics) = (pool.clone(), metrics.clone());
        let admitted = tokio::task::spawn_blocking(move || admit(&pool, &metrics, &from, &message)).await;
        if let Err(error) = admitted {
            tracing::error!(%error, "admitting gossip failed; please report this");
        }
    }
}

fn admit(pool: &Pool, metrics: &Metrics, from: &PublicKey, message: &[u8]) {
    match decode_gossip(message, &GOSSIP) {
        Ok(transactions) => {
            // Most refusals are duplicates or lost races between boxes: the pool's business, not the log's.
            pool.add_batch(transactions, Origin::Peer, now_ms());
        }
        Err(error) => {
            metrics.gossip_invalid.inc();
            // Not a warning: a peer could fill the disk with them. The counter tells.
            tracing::debug!(peer = %from, error = &error as &dyn std::error::Error, "gossip message does not decode");
        }
    }
}
