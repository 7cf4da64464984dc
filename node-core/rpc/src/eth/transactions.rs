//! Transactions: found, with their receipts, and sent.

use std::{sync::Arc, time::Duration};

use alloy_eips::{BlockId, eip2718::Encodable2718 as _};
use alloy_primitives::{B256, Bytes, U64};
use jsonrpsee::types::{ErrorObjectOwned, Params};

use crate::{Backend, FoundTransaction, RpcError, convert, methods::Methods, params::Args};

pub(super) fn register(methods: &mut Methods) {
    methods.add("eth_getTransactionByHash", 1, async |backend: Arc<Backend>, args| {
        let hash: B256 = args.required(0)?;
        let query =
            move |backend: &Backend| Ok(backend.transaction(&hash)?.map(|found| convert::found_transaction(&found)));
        backend.read_block(move |backend| backend.height_of(&hash), query).await
    });
    methods.add("eth_getTransactionByBlockNumberAndIndex", 2, async |backend: Arc<Backend>, args| {
        by_index(&backend, BlockId::Number(args.required(0)?), args.required(1)?, convert::found_transaction).await
    });
    methods.add("eth_getTransactionByBlockHashAndIndex", 2, async |backend: Arc<Backend>, args| {
        by_index(&backend, BlockId::hash(args.required(0)?), args.required(1)?, convert::found_transaction).await
    });
    methods.add("eth_getRawTransactionByHash", 1, async |backend: Arc<Backend>, args| {
        raw_by_hash(&backend, args.required(0)?).await
    });
    methods.add("eth_getRawTransactionByBlockNumberAndIndex", 2, async |backend: Arc<Backend>, args| {
        by_index(&backend, BlockId::Number(args.required(0)?), args.required(1)?, raw).await
    });
    methods.add("eth_getRawTransactionByBlockHashAndIndex", 2, async |backend: Arc<Backend>, args| {
        by_index(&backend, BlockId::hash(args.required(0)?), args.required(1)?, raw).await
    });
    methods.add("eth_getTransactionReceipt", 1, async |backend: Arc<Backend>, args| {
        let hash: B256 = args.required(0)?;
        let query = move |backend: &Backend| {
            let Some((block, index)) = backend.position(&hash)? else { return Ok(None) };
            let sender = backend.sender(&block, index)?;
            Ok(Some(convert::receipt(block.block(), block.receipts(), index, sender)))
        };
        backend.read_block(move |backend| backend.height_of(&hash), query).await
    });
    register_sending(methods);
}

/// Sends a transaction. In a batch of requests the middleware takes neighbours together, see [`send_raw_all`].
pub(crate) const SEND_RAW: &str = "eth_sendRawTransaction";

/// Answers requests for [`SEND_RAW`] together, so that their signatures are checked in batches; one result for each.
pub(crate) async fn send_raw_all(
    backend: &Arc<Backend>,
    params: impl Iterator<Item = Params<'_>>,
) -> Vec<Result<B256, ErrorObjectOwned>> {
    let mut raw = Vec::new();
    let parsed: Vec<_> =
        params.map(|params| Args::parse(&params, 1)?.required(0).map(|bytes: Bytes| raw.push(bytes))).collect();
    let sent = backend.send(move |backend| Ok(backend.send_raw_all(&raw))).await;
    // Where the box was too busy for them, one error answers all that could be read.
    let mut sent = sent.map(Vec::into_iter).map_err(ErrorObjectOwned::from);
    let mut next_sent = || match &mut sent {
        Ok(sent) => Ok(sent.next().expect("one result for each transaction")?),
        Err(busy) => Err(busy.clone()),
    };
    let answer = |parsed: Result<(), RpcError>| parsed.map_err(ErrorObjectOwned::from).and_then(|()| next_sent());
    parsed.into_iter().map(answer).collect()
}

fn register_sending(methods: &mut Methods) {
    // Those of the box's own accounts, of which it has none.
    methods.add("eth_pendingTransactions", 0, async |_, _| Ok(Vec::<convert::TransactionJson>::new()));
    methods.add(SEND_RAW, 1, async |backend: Arc<Backend>, args| {
        let raw: Bytes = args.required(0)?;
        backend.send(move |backend| backend.send_raw(&raw)).await
    });
    methods.add("eth_sendRawTransactionSync", 2, async |backend: Arc<Backend>, args| {
        let raw: Bytes = args.required(0)?;
        let wait = sync_wait(&backend, args.optional(1)?);
        let (block, index) = backend.send_raw_sync(raw, wait).await?;
        // All in memory by now. Waiting for a turn could fail, and the transaction was taken.
        let sender = backend.sender(&block, index)?;
        Ok(convert::receipt(block.block(), block.receipts(), index, sender))
    });
}

/// The bytes of a transaction in a block or in the pool.
pub(crate) async fn raw_by_hash(backend: &Arc<Backend>, hash: B256) -> Result<Option<Bytes>, RpcError> {
    let query = move |backend: &Backend| Ok(backend.transaction(&hash)?.as_ref().map(raw));
    backend.read_block(move |backend| backend.height_of(&hash), query).await
}

fn raw(found: &FoundTransaction) -> Bytes {
    found.transaction().encoded_2718().into()
}

/// How long to wait: what the caller asks for in milliseconds, up to the limit.
fn sync_wait(backend: &Backend, asked_ms: Option<U64>) -> Duration {
    let limits = backend.limits();
    match asked_ms {
        Some(ms) if !ms.is_zero() => Duration::from_millis(ms.to()).min(limits.send_sync_wait_max),
        _ => limits.send_sync_wait,
    }
}

async fn by_index<R: Send + 'static>(
    backend: &Arc<Backend>,
    id: BlockId,
    index: U64,
    show: fn(&FoundTransaction) -> R,
) -> Result<Option<R>, RpcError> {
    let query = move |backend: &Backend| {
        let Some(block) = backend.finalized_block(id)? else { return Ok(None) };
        let index = usize::try_from(index.to::<u64>()).unwrap_or(usize::MAX);
        Ok(backend.transaction_in(block, index)?.as_ref().map(show))
    };
    backend.read_block(move |backend| backend.number_of(id), query).await
}
