//! `eth_subscribe`: new heads, logs and pending transactions over WebSocket.
//!
//! Nothing is buffered without bound: a subscription reads the node's announcements from a queue that all share, and
//! writes to its connection's bounded queue, whose bytes count as the connection's unsent ones. A connection that does
//! not take a message in time is closed; a subscription that falls behind the shared queue, of blocks or of pending
//! transactions, is told so and ends, so that no subscriber sees a gap as silence. Logs are found and sent one at a
//! time.

use std::sync::Arc;

use alloy_primitives::{FixedBytes, hex};
use dolmen_store::LogFilter;
use jsonrpsee::{
    Extensions, PendingSubscriptionSink, SendTimeoutError, SubscriptionSink,
    core::{JsonRawValue, SubscriptionError},
    server::IdProvider,
    types::{ErrorObjectOwned, Params, SubscriptionId},
};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast::error::RecvError};

use crate::{
    Backend, Finalized, RpcError, backend::matching_logs, convert, eth::logs::LogFilterJson, http::Caller,
    methods::Methods, params::Args,
};

pub(crate) fn register(methods: &mut Methods) {
    let subscribe = |params: Params<'static>, pending, backend, extensions| async move {
        serve(&params, pending, backend, extensions).await
    };
    methods
        .module()
        .register_subscription("eth_subscribe", "eth_subscription", "eth_unsubscribe", subscribe)
        .expect("every method is registered once");
}

/// Subscription ids as Geth's: 16 random bytes, hexadecimal.
#[derive(Debug)]
pub(crate) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(hex::encode_prefixed(FixedBytes::<16>::random()).into())
    }
}

/// Logs that a subscription compares before it lets others run: some 50 µs.
const LOGS_AT_ONCE: usize = 256;

/// What a subscription reports.
#[derive(Debug)]
enum Kind {
    NewHeads,
    Logs(LogFilter, OwnedSemaphorePermit),
    PendingHashes,
    PendingTransactions,
}

fn kind(params: &Params<'_>, backend: &Backend) -> Result<Kind, RpcError> {
    let args = Args::parse(params, 2)?;
    match args.required::<String>(0)?.as_str() {
        "newHeads" => Ok(Kind::NewHeads),
        "logs" => {
            let filter: LogFilterJson = args.optional(1)?.unwrap_or_default();
            let filter = filter.into_criteria(backend.limits())?.filter;
            let room = backend.hold_filter(&filter)?;
            Ok(Kind::Logs(filter, room))
        }
        "newPendingTransactions" => match args.optional(1)? {
            Some(true) => Ok(Kind::PendingTransactions),
            _ => Ok(Kind::PendingHashes),
        },
        other => Err(RpcError::NoSubscription(other.chars().take(64).collect())),
    }
}

async fn serve(
    params: &Params<'_>,
    pending: PendingSubscriptionSink,
    backend: Arc<Backend>,
    extensions: Extensions,
) -> Result<(), SubscriptionError> {
    let opened = kind(params, &backend).and_then(|kind| Ok((kind, backend.hold_subscription()?)));
    let (kind, _room) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            pending.reject(ErrorObjectOwned::from(error)).await;
            return Ok(());
        }
    };
    // Before the answer, so that what follows it is not missed.
    let (blocks, hashes) = (backend.subscribe(), backend.pool().subscribe());
    let Ok(sink) = pending.accept().await else { return Ok(()) };
    let subscriber = Subscriber { sink, caller: extensions.get::<Caller>().cloned(), backend };
    let ended = match kind {
        Kind::NewHeads => {
            drop(hashes);
            subscriber.follow_blocks(blocks, None).await
        }
        Kind::Logs(filter, _room) => {
            drop(hashes);
            subscriber.follow_blocks(blocks, Some(&filter)).await
        }
        Kind::PendingHashes => {
            drop(blocks);
            subscriber.follow_pool(hashes, false).await
        }
        Kind::PendingTransactions => {
            drop(blocks);
            subscriber.follow_pool(hashes, true).await
        }
    };
    match ended {
        Ended::Quietly => Ok(()),
        Ended::Missed(count, what) => {
            Err(format!("{count} {what} were missed because this subscriber fell behind; subscribe again").into())
        }
    }
}

/// How a subscription ended.
enum Ended {
    /// The client went, unsubscribed or was closed; or the node stops.
    Quietly,
    /// It fell that many of these behind.
    Missed(u64, &'static str),
}

struct Subscriber {
    sink: SubscriptionSink,
    caller: Option<Caller>,
    backend: Arc<Backend>,
}

impl Subscriber {
    /// Sends the header of every block, or the logs that pass a filter.
    async fn follow_blocks(
        &self,
        mut blocks: tokio::sync::broadcast::Receiver<Arc<Finalized>>,
        logs: Option<&LogFilter>,
    ) -> Ended {
        loop {
            let finalized = tokio::select! {
                () = self.sink.closed() => return Ended::Quietly,
                finalized = blocks.recv() => finalized,
            };
            let sent = match (finalized, logs) {
                (Ok(finalized), Some(filter)) => self.send_logs(&finalized, filter).await,
                (Ok(finalized), None) => {
                    let header = finalized.block.header().clone();
                    self.send(&convert::header(header, finalized.block.hash())).await
                }
                (Err(RecvError::Lagged(missed)), _) => return Ended::Missed(missed, "blocks"),
                (Err(RecvError::Closed), _) => return Ended::Quietly,
            };
            if !sent {
                return Ended::Quietly;
            }
        }
    }

    async fn send_logs(&self, finalized: &Finalized, filter: &LogFilter) -> bool {
        let logs = matching_logs(&finalized.block, &finalized.receipts, filter);
        for (compared, log) in logs.enumerate() {
            if compared % LOGS_AT_ONCE == LOGS_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            if let Some(log) = log
                && !self.send(&log).await
            {
                return false;
            }
        }
        true
    }

    async fn follow_pool(&self, mut hashes: dolmen_pool::PendingHashes, full: bool) -> Ended {
        loop {
            let batch = tokio::select! {
                () = self.sink.closed() => return Ended::Quietly,
                batch = hashes.recv() => batch,
            };
            let Some(batch) = batch else {
                return match hashes.take_missed() {
                    0 => Ended::Quietly,
                    missed => Ended::Missed(missed, "announcements of transactions"),
                };
            };
            for hash in &*batch {
                let sent = if full {
                    // One that left the pool meanwhile is no longer pending.
                    let Some(transaction) = self.backend.pool().get(hash) else { continue };
                    self.send(&convert::pooled_transaction(&transaction)).await
                } else {
                    self.send(hash).await
                };
                if !sent {
                    return Ended::Quietly;
                }
            }
        }
    }

    /// Sends one message; `false` where the subscription is over.
    async fn send<T: Serialize>(&self, message: &T) -> bool {
        let Ok(json) = serde_json::value::to_raw_value(message) else {
            tracing::error!("a subscription message cannot be written as JSON");
            return false;
        };
        let json: Box<JsonRawValue> = json;
        let bytes = json.get().len();
        if let Some(caller) = &self.caller {
            caller.connection.charge(bytes);
        }
        match self.sink.send_timeout(json, self.backend.limits().write_stall_max).await {
            Ok(()) => true,
            Err(SendTimeoutError::Closed(_)) => {
                if let Some(caller) = &self.caller {
                    caller.connection.discharge(bytes);
                }
                false
            }
            Err(SendTimeoutError::Timeout(_)) => {
                tracing::debug!(subscription = ?self.sink.subscription_id(), "closing a subscriber that does not read");
                if let Some(caller) = &self.caller {
                    caller.connection.close();
                }
                false
            }
        }
    }
}
