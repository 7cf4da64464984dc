//! The `debug` namespace, as far as tools need it to read the chain: encodings. There are no traces.

use std::sync::Arc;

use alloy_eips::{BlockId, eip2718::Encodable2718 as _};
use alloy_primitives::Bytes;

use crate::{Backend, RpcError, eth::transactions, methods::Methods};

pub(crate) fn register(methods: &mut Methods) {
    methods.add("debug_getRawHeader", 1, async |backend: Arc<Backend>, args| {
        let id: BlockId = args.required(0)?;
        let query = move |backend: &Backend| {
            let (header, _) = backend.header(id)?.ok_or(RpcError::HeaderNotFound)?;
            Ok(Bytes::from(alloy_rlp::encode(&header)))
        };
        backend.read(query).await
    });
    methods.add("debug_getRawBlock", 1, async |backend: Arc<Backend>, args| {
        let id: BlockId = args.required(0)?;
        let query = move |backend: &Backend| {
            let block = backend.block(id)?.ok_or(RpcError::HeaderNotFound)?;
            Ok(block.encoded().clone())
        };
        backend.compute(query).await
    });
    methods.add("debug_getRawReceipts", 1, async |backend: Arc<Backend>, args| {
        let id: BlockId = args.required(0)?;
        let query = move |backend: &Backend| {
            let block = backend.finalized_block(id)?.ok_or(RpcError::HeaderNotFound)?;
            Ok(block.receipts().iter().map(|receipt| Bytes::from(receipt.encoded_2718())).collect::<Vec<_>>())
        };
        backend.compute(query).await
    });
    methods.add("debug_getRawTransaction", 1, async |backend: Arc<Backend>, args| {
        transactions::raw_by_hash(&backend, args.required(0)?).await
    });
}
