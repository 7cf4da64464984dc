//! The small namespaces: `web3`, `net`, `txpool`, `rpc`.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U64, keccak256};
use dolmen_pool::{SenderContent, VerifiedTransaction};
use serde::Serialize;
use serde_json::json;

use crate::{Backend, RpcError, convert, methods::Methods};

pub(crate) fn register(methods: &mut Methods) {
    methods.add("web3_clientVersion", 0, async |backend: Arc<Backend>, _| Ok(backend.client_version().to_owned()));
    methods.add("web3_sha3", 1, async |_, args| Ok::<B256, RpcError>(keccak256(args.required::<Bytes>(0)?)));
    methods.add("net_version", 0, async |backend: Arc<Backend>, _| Ok(backend.chain_id().to_string()));
    methods.add("net_listening", 0, async |_, _| Ok(true));
    methods.add("net_peerCount", 0, async |backend: Arc<Backend>, _| Ok(U64::from(backend.sync().peers())));
    methods.add("rpc_modules", 0, async |_, _| {
        Ok(BTreeMap::from(
            ["debug", "dolmen", "eth", "net", "rpc", "txpool", "web3"].map(|namespace| (namespace, "1.0")),
        ))
    });
    methods.add("txpool_status", 0, async |backend: Arc<Backend>, _| {
        let status = backend.pool().status();
        Ok(json!({"pending": U64::from(status.pending), "queued": U64::from(status.queued)}))
    });
    register_txpool_content(methods);
}

fn register_txpool_content(methods: &mut Methods) {
    methods.add("txpool_content", 0, async |backend: Arc<Backend>, _| {
        backend.read(|backend| Ok(content(backend, convert::pooled_transaction))).await
    });
    methods.add("txpool_contentFrom", 1, async |backend: Arc<Backend>, args| {
        let address: Address = args.required(0)?;
        let query = move |backend: &Backend| {
            let SenderContent { pending, queued } = backend.pool().content(&address);
            let show = |list: &[VerifiedTransaction]| by_nonce(list, convert::pooled_transaction);
            Ok(Content { pending: show(&pending), queued: show(&queued) })
        };
        backend.read(query).await
    });
    methods.add("txpool_inspect", 0, async |backend: Arc<Backend>, _| {
        backend.read(|backend| Ok(content(backend, summary))).await
    });
}

#[derive(Clone, Serialize)]
struct Content<T> {
    pending: T,
    queued: T,
}

type ByNonce<T> = BTreeMap<u64, T>;
type BySender<T> = BTreeMap<String, ByNonce<T>>;

/// The pool's transactions by sender and nonce, up to `txpool_content_max` of them.
fn content<T>(backend: &Backend, show: impl Fn(&VerifiedTransaction) -> T) -> Content<BySender<T>> {
    let mut all = Content { pending: BySender::new(), queued: BySender::new() };
    let mut room = backend.limits().txpool_content_max;
    for address in backend.pool().senders() {
        let SenderContent { mut pending, mut queued } = backend.pool().content(&address);
        for (list, all) in [(&mut pending, &mut all.pending), (&mut queued, &mut all.queued)] {
            list.truncate(room);
            room -= list.len();
            if !list.is_empty() {
                all.insert(address.to_string(), by_nonce(list, &show));
            }
        }
        if room == 0 {
            break;
        }
    }
    all
}

fn by_nonce<T>(transactions: &[VerifiedTransaction], show: impl Fn(&VerifiedTransaction) -> T) -> ByNonce<T> {
    transactions.iter().map(|transaction| (transaction.nonce(), show(transaction))).collect()
}

/// One line on a transaction, as Geth writes it.
fn summary(verified: &VerifiedTransaction) -> String {
    let transaction = verified.transaction();
    let to = transaction.to().map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
    let (value, gas, price) = (transaction.value(), transaction.gas_limit(), transaction.max_fee_per_gas());
    format!("{to}: {value} wei + {gas} gas \u{d7} {price} wei")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RpcLimits, testing::Chain};

    #[tokio::test]
    async fn the_pool_by_sender_and_nonce() {
        let chain = Chain::new(RpcLimits { txpool_content_max: 2, ..Default::default() });
        [0, 1, 5].iter().for_each(|nonce| chain.pool_add(chain.transfer(*nonce, 9)));
        let all = content(&chain.backend, summary);
        let own = &all.pending[&chain.sender().to_string()];
        assert_eq!(own.keys().copied().collect::<Vec<_>>(), [0, 1]);
        assert!(own[&0].contains(": 9 wei + 21000 gas \u{d7} "), "{}", own[&0]);
        // No room for the queued one.
        assert!(all.queued.is_empty());
        let chain = Chain::new(RpcLimits::default());
        [0, 5].iter().for_each(|nonce| chain.pool_add(chain.transfer(*nonce, 9)));
        let all = content(&chain.backend, summary);
        assert_eq!(all.queued[&chain.sender().to_string()].keys().copied().collect::<Vec<_>>(), [5]);
    }
}
