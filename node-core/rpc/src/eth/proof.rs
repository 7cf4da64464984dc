//! Merkle proofs (EIP-1186).

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{Address, U256};
use alloy_serde::JsonStorageKey;

use crate::{Backend, RpcError, convert, methods::Methods};

pub(super) fn register(methods: &mut Methods) {
    methods.add("eth_getProof", 3, async |backend: Arc<Backend>, args| {
        let (address, keys): (Address, Vec<JsonStorageKey>) = (args.required(0)?, args.required(1)?);
        let id: BlockId = args.optional(2)?.unwrap_or_default();
        let most = backend.limits().proof_keys_max;
        if keys.len() > most {
            return Err(RpcError::Limit(format!("too many keys: {} (the most is {most})", keys.len())));
        }
        let query = move |backend: &Backend| {
            let slots: Vec<U256> = keys.iter().map(|key| key.as_b256().into()).collect();
            Ok(convert::proof(address, &keys, backend.proof(&address, &slots, id)?))
        };
        backend.compute(query).await
    });
}
