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

/// Analysed contracts kept: with `CACHED_CODE_BYTES_MAX` and a jump table of a bit a byte, at most about 27 MiB.
const CODE_CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// Largest code that is kept: EIP-170's limit for what a transaction deploys. Longer code is the genesis file's, or a
/// call pretends that an account has it; it is analysed each time.
const CACHED_CODE_BYTES_MAX: usize = 24_576;

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
        let is_kept = code.len() <= CACHED_CODE_BYTES_MAX;
        // Not `new_raw`, which panics: code starting with 0xef that is no delegation cannot run, and is data.
        let code = Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code));
        if is_kept {
            self.codes.0.lock().put(hash, code.clone());
        }
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.reader.storage(&address, &slot)?)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.hashes.block_hash(number)?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use dolmen_store::Account;

    use super::*;

    /// Code of as many bytes as its hash says, read as a number.
    struct Codes;

    impl StateReader for Codes {
        fn account(&self, _: &Address) -> Result<Option<Account>, StoreError> {
            Ok(None)
        }

        fn storage(&self, _: &Address, _: &U256) -> Result<U256, StoreError> {
            Ok(U256::ZERO)
        }

        fn code(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
            let len = U256::from_be_bytes(hash.0).to::<usize>();
            Ok(Some(vec![0x5b; len].into()))
        }
    }

    impl BlockHashes for Codes {
        fn block_hash(&self, _: u64) -> Result<Option<B256>, StoreError> {
            Ok(None)
        }
    }

    #[test]
    fn code_beyond_what_can_be_deployed_is_not_kept() {
        let codes = CodeCache::default();
        let db = StateDb { reader: &Codes, hashes: &Codes, codes: &codes };
        for (len, kept) in [(1, 1), (CACHED_CODE_BYTES_MAX, 2), (CACHED_CODE_BYTES_MAX + 1, 2), (1 << 20, 2)] {
            let code = db.code_by_hash_ref(U256::from(len).into()).unwrap();
            assert_eq!(code.len(), len);
            assert_eq!(codes.0.lock().len(), kept, "{len}");
        }
    }
}
