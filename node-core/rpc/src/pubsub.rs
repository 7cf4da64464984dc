//! `eth_subscribe`: new heads, logs and pending transactions over WebSocket.
//!
//! Nothing is buffered without bound: a subscription reads the node's announcements from a queue that all share, and
//! writes to its connection's bounded queue. A connection that does not take a message in time is closed; one that
//! falls behind the shared queue is told so and its subscription ends, so that no subscriber sees a gap as silence.

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
    let kind = match kind(params, &backend) {
        Ok(kind) => kind,
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
            subscriber
                .follow(blocks, |finalized| {
                    vec![convert::header(finalized.block.header().clone(), finalized.block.hash())]
                })
                .await
        }
        Kind::Logs(filter, _room) => {
            drop(hashes);
            subscriber.follow(blocks, |finalized| matching_logs(&finalized.block, &finalized.receipts, &filter)).await
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
        Ended::Missed(blocks) => {
            Err(format!("{blocks} blocks were missed because this subscriber fell behind; subscribe again").into())
        }
    }
}

/// How a subscription ended.
enum Ended {
    /// The client went, unsubscribed or was closed; or the node stops.
    Quietly,
    /// It fell that many blocks behind.
    Missed(u64),
}

struct Subscriber {
    sink: SubscriptionSink,
    caller: Option<Caller>,
    backend: Arc<Backend>,
}

impl Subscriber {
    async fn follow<T: Serialize>(
        &self,
        mut blocks: tokio::sync::broadcast::Receiver<Arc<Finalized>>,
        messages: impl Fn(&Finalized) -> Vec<T>,
    ) -> Ended {
        loop {
            let finalized = tokio::select! {
                () = self.sink.closed() => return Ended::Quietly,
                finalized = blocks.recv() => finalized,
            };
            match finalized {
                Ok(finalized) => {
                    for message in messages(&finalized) {
                        if !self.send(&message).await {
                            return Ended::Quietly;
                        }
                    }
                }
                Err(RecvError::Lagged(missed)) => return Ended::Missed(missed),
                Err(RecvError::Closed) => return Ended::Quietly,
            }
        }
    }

    async fn follow_pool(&self, mut hashes: dolmen_pool::PendingHashes, full: bool) -> Ended {
        loop {
            let batch = tokio::select! {
                () = self.sink.closed() => return Ended::Quietly,
                batch = hashes.recv() => batch,
            };
            let Some(batch) = batch else { return Ended::Quietly };
            for hash in &*batch {
                let sent = if full {
                    // One that left the pool meanwhile is no longer pending.
                    let Some(transaction) = self.backend.pool().get(hash) else { continue };
                    self.send(&convert::pooled_transaction(&transaction, self.backend.base_fee())).await
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
        match self.sink.send_timeout(json, self.backend.limits().write_stall_max).await {
            Ok(()) => true,
            Err(SendTimeoutError::Closed(_)) => false,
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
