//! Accounts: balance, nonce, code, storage.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, U64};
use alloy_serde::JsonStorageKey;

use crate::{Backend, methods::Methods};

pub(super) fn register(methods: &mut Methods) {
    // The box keeps no keys for accounts; wallets sign.
    methods.add("eth_accounts", 0, async |_, _| Ok(Vec::<Address>::new()));

    methods.add("eth_getBalance", 2, async |backend: Arc<Backend>, args| {
        let (address, id): (Address, BlockId) = (args.required(0)?, args.optional(1)?.unwrap_or_default());
        backend.read(move |backend| Ok(backend.account(&address, id)?.balance)).await
    });
    methods.add("eth_getTransactionCount", 2, async |backend: Arc<Backend>, args| {
        let (address, id): (Address, BlockId) = (args.required(0)?, args.optional(1)?.unwrap_or_default());
        if id.is_pending() {
            return Ok(U64::from(backend.pending_nonce(&address)));
        }
        backend.read(move |backend| Ok(U64::from(backend.account(&address, id)?.nonce))).await
    });
    methods.add("eth_getCode", 2, async |backend: Arc<Backend>, args| {
        let (address, id): (Address, BlockId) = (args.required(0)?, args.optional(1)?.unwrap_or_default());
        backend.read(move |backend| backend.code(&address, id)).await
    });
    methods.add("eth_getStorageAt", 3, async |backend: Arc<Backend>, args| {
        let (address, key): (Address, JsonStorageKey) = (args.required(0)?, args.required(1)?);
        let id: BlockId = args.optional(2)?.unwrap_or_default();
        backend.read(move |backend| Ok(B256::from(backend.storage(&address, &key.as_b256().into(), id)?))).await
    });
}
