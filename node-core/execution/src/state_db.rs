//! The EVM's view of a state: accounts and slots from a [`StateReader`], analysed code from a cache.

use std::num::NonZeroUsize;

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use dolmen_store::{StateReader, Store, StoreError};
use lru::LruCache;
use parking_lot::Mutex;
use revm::{
    DatabaseRef,
    context::result::EVMError,
    database_interface::{DBErrorMarker, bal::EvmDatabaseError},
    state::{AccountInfo, Bytecode},
};

/// Analysed contracts kept: at EIP-170's 24 KiB of code and its jump table, at most about 28 MiB.
const CODE_CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// Hashes of earlier blocks for the `BLOCKHASH` instruction.
pub trait BlockHashes: Send + Sync {
    /// Hash of the block at `number` on the chain being executed, `None` where it is not known.
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError>;
}

impl BlockHashes for Store {
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        self.hash_of(number)
    }
}

/// Contract code with its jump table, by hash: the analysis costs more than a typical call.
pub(crate) struct CodeCache(Mutex<LruCache<B256, Bytecode>>);

impl Default for CodeCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CODE_CACHE_ENTRIES)))
    }
}

/// A state that the EVM can read.
pub(crate) struct StateDb<'a> {
    pub(crate) reader: &'a dyn StateReader,
    pub(crate) hashes: &'a dyn BlockHashes,
    pub(crate) codes: &'a CodeCache,
}

/// A [`StoreError`] as the EVM passes it through.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct StateError(#[from] pub(crate) StoreError);

impl DBErrorMarker for StateError {}

/// What revm reports: our error, or one of its block access lists, which we do not use.
pub(crate) type EvmError = EVMError<EvmDatabaseError<StateError>>;

impl DatabaseRef for StateDb<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let Some(account) = self.reader.account(&address)? else { return Ok(None) };
        let code = (account.code_hash == KECCAK256_EMPTY).then(Bytecode::default);
        Ok(Some(AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        if let Some(code) = self.codes.0.lock().get(&hash) {
            return Ok(code.clone());
        }
        let code = self.reader.code(&hash)?.ok_or(StoreError::Damaged { what: "code", key: hash.to_string() })?;
        // Not `new_raw`, which panics: code starting with 0xef that is no delegation cannot run, and is data.
        let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
        self.codes.0.lock().put(hash, code.clone());
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.reader.storage(&address, &slot)?)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.hashes.block_hash(number)?.unwrap_or_default())
    }
}
