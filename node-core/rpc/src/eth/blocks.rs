//! Blocks, headers and what is counted in them.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::Header;
use serde_json::Value;

use crate::{Backend, RpcError, SyncStatus, convert, methods::Methods};

pub(super) fn register(methods: &mut Methods) {
    methods.add("eth_chainId", 0, async |backend: Arc<Backend>, _| Ok(U64::from(backend.chain_id())));
    methods.add("eth_blockNumber", 0, async |backend: Arc<Backend>, _| Ok(U64::from(backend.head().block.number())));
    methods.add("eth_syncing", 0, async |backend: Arc<Backend>, _| Ok(syncing(backend.sync().status())));

    methods.add("eth_getBlockByNumber", 2, async |backend: Arc<Backend>, args| {
        block(&backend, BlockId::Number(args.required(0)?), args.optional(1)?).await
    });
    methods.add("eth_getBlockByHash", 2, async |backend: Arc<Backend>, args| {
        block(&backend, BlockId::hash(args.required(0)?), args.optional(1)?).await
    });
    methods.add("eth_getHeaderByNumber", 1, async |backend: Arc<Backend>, args| {
        header(&backend, BlockId::Number(args.required(0)?)).await
    });
    methods.add("eth_getHeaderByHash", 1, async |backend: Arc<Backend>, args| {
        header(&backend, BlockId::hash(args.required(0)?)).await
    });
    methods.add("eth_getBlockReceipts", 1, async |backend: Arc<Backend>, args| {
        receipts(&backend, args.required(0)?).await
    });

    methods.add("eth_getBlockTransactionCountByNumber", 1, async |backend: Arc<Backend>, args| {
        transaction_count(&backend, BlockId::Number(args.required(0)?)).await
    });
    methods.add("eth_getBlockTransactionCountByHash", 1, async |backend: Arc<Backend>, args| {
        transaction_count(&backend, BlockId::hash(args.required(0)?)).await
    });
    register_uncles(methods);
}

/// There are no uncles: a block that is not finalized is never stored.
fn register_uncles(methods: &mut Methods) {
    methods.add("eth_getUncleCountByBlockNumber", 1, async |backend: Arc<Backend>, args| {
        uncle_count(&backend, BlockId::Number(args.required(0)?)).await
    });
    methods.add("eth_getUncleCountByBlockHash", 1, async |backend: Arc<Backend>, args| {
        uncle_count(&backend, BlockId::hash(args.required(0)?)).await
    });
    methods.add("eth_getUncleByBlockNumberAndIndex", 2, async |_, args| {
        let _: (BlockNumberOrTag, U64) = (args.required(0)?, args.required(1)?);
        Ok(Value::Null)
    });
    methods.add("eth_getUncleByBlockHashAndIndex", 2, async |_, args| {
        let _: (B256, U64) = (args.required(0)?, args.required(1)?);
        Ok(Value::Null)
    });
}

/// `false`, or how far catching up has come.
fn syncing(status: Option<SyncStatus>) -> Value {
    let Some(SyncStatus { starting_block, current_block, highest_block }) = status else { return Value::Bool(false) };
    serde_json::json!({
        "startingBlock": U64::from(starting_block),
        "currentBlock": U64::from(current_block),
        "highestBlock": U64::from(highest_block),
    })
}

async fn block(
    backend: &Arc<Backend>,
    id: BlockId,
    full: Option<bool>,
) -> Result<Option<convert::BlockJson>, RpcError> {
    if !full.unwrap_or(false) {
        let query = move |backend: &Backend| Ok(backend.block(id)?.map(|block| convert::block_with_hashes(&block)));
        return backend.read_block(move |backend| backend.number_of(id), query).await;
    }
    let query = move |backend: &Backend| {
        let Some(found) = backend.finalized_block(id)? else { return Ok(None) };
        let senders = backend.senders(&found)?;
        Ok(Some(convert::block_with_transactions(found.block(), &senders)))
    };
    backend.compute(query).await
}

async fn header(backend: &Arc<Backend>, id: BlockId) -> Result<Option<Header>, RpcError> {
    backend.read(move |backend| Ok(backend.header(id)?.map(|(header, hash)| convert::header(header, hash)))).await
}

async fn receipts(backend: &Arc<Backend>, id: BlockId) -> Result<Option<Vec<convert::ReceiptJson>>, RpcError> {
    let query = move |backend: &Backend| {
        let Some(found) = backend.finalized_block(id)? else { return Ok(None) };
        let senders = backend.senders(&found)?;
        Ok(Some(convert::block_receipts(found.block(), found.receipts(), &senders)))
    };
    backend.compute(query).await
}

async fn transaction_count(backend: &Arc<Backend>, id: BlockId) -> Result<Option<U64>, RpcError> {
    let query = move |backend: &Backend| Ok(backend.block(id)?.map(|block| U64::from(block.transactions().len())));
    backend.read_block(move |backend| backend.number_of(id), query).await
}

async fn uncle_count(backend: &Arc<Backend>, id: BlockId) -> Result<Option<U64>, RpcError> {
    backend.read(move |backend| Ok(backend.number_of(id)?.map(|_| U64::ZERO))).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn syncing_is_false_or_an_object() {
        assert_eq!(syncing(None), json!(false));
        let status = SyncStatus { starting_block: 0, current_block: 16, highest_block: 255 };
        assert_eq!(
            syncing(Some(status)),
            json!({"startingBlock": "0x0", "currentBlock": "0x10", "highestBlock": "0xff"})
        );
    }
}
