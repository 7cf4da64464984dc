//! Keys, transactions and state for the tests, and the tests that need more than one module.

mod admission;
mod delegation;
mod eviction;
mod gossip;
mod model;
mod nonces;
mod order;
mod verified;

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, LazyLock},
};

use alloy_consensus::{SignableTransaction, Signed, TxEip1559};
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use dolmen_types::Transaction;
use parking_lot::Mutex;
use secp256k1::{Message, SECP256K1, SecretKey, ecdsa::RecoveryId};

use dolmen_accel_api::{Algorithm, QueueConfig};
use dolmen_accel_cpu::{CpuConfig, CpuEngine};

use crate::{
    AccountView, AddError, Added, Origin, Pool, PoolConfig, SenderCache, Signatures, StateSource, VerifiedTransaction,
    VerifyError,
};

pub(crate) const CHAIN_ID: u64 = 1337;
pub(crate) const BASE_FEE: u64 = 100;

/// The engine that the box has, started once.
pub(crate) fn signatures() -> Arc<Signatures> {
    static SIGNATURES: LazyLock<Arc<Signatures>> = LazyLock::new(|| {
        let config = CpuConfig { algorithms: &[Algorithm::EcdsaSecp256k1], ..CpuConfig::default() };
        Arc::new(Signatures::start(CpuEngine::start(config).unwrap(), QueueConfig::default()))
    });
    SIGNATURES.clone()
}

/// Checks one transaction's signature.
pub(crate) fn verify(transaction: Transaction, chain_id: u64) -> Result<VerifiedTransaction, VerifyError> {
    let cache = SenderCache::new(chain_id, signatures(), NonZeroUsize::MIN, 1 << 20);
    let mut verified = cache.verify_all(&[transaction], &[]).map_err(|error| error.source)?;
    Ok(verified.pop().unwrap())
}

/// An empty cache.
pub(crate) fn cache(capacity: usize, bytes_max: usize) -> SenderCache {
    SenderCache::new(CHAIN_ID, signatures(), NonZeroUsize::new(capacity).unwrap(), bytes_max)
}

fn secret(key: u8) -> SecretKey {
    SecretKey::from_byte_array([key; 32]).unwrap()
}

/// The address of test key `key`, derived from the public key rather than recovered.
pub(crate) fn address(key: u8) -> Address {
    let point = secret(key).public_key(SECP256K1).serialize_uncompressed();
    Address::from_slice(&keccak256(&point[1..])[12..])
}

pub(crate) fn sign_hash(hash: B256, key: u8) -> Signature {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &secret(key));
    let (id, bytes) = signature.serialize_compact();
    assert!(matches!(id, RecoveryId::Zero | RecoveryId::One));
    Signature::from_bytes_and_parity(&bytes, id == RecoveryId::One)
}

pub(crate) fn sign<T: SignableTransaction<Signature>>(unsigned: T, key: u8) -> Transaction
where
    Signed<T>: Into<Transaction>,
{
    let signature = sign_hash(unsigned.signature_hash(), key);
    unsigned.into_signed(signature).into()
}

/// A plain transfer of nothing with fee cap `BASE_FEE + tip` and tip cap `tip`: 21,000 gas.
pub(crate) fn unsigned(nonce: u64, tip: u128) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(BASE_FEE) + tip,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(Address::repeat_byte(0xee)),
        ..Default::default()
    }
}

pub(crate) fn transfer(key: u8, nonce: u64, tip: u128) -> Transaction {
    sign(unsigned(nonce, tip), key)
}

/// What [`transfer`] costs at most.
pub(crate) fn transfer_cost(tip: u64) -> U256 {
    U256::from(21_000 * (BASE_FEE + tip))
}

/// State in memory. Test keys 1 to 9 start rich.
pub(crate) struct TestState(Mutex<HashMap<Address, AccountView>>);

impl StateSource for TestState {
    fn account(&self, address: &Address) -> AccountView {
        self.0.lock().get(address).copied().unwrap_or_default()
    }
}

/// A pool with its state.
pub(crate) struct Fixture {
    pub(crate) pool: Pool,
    pub(crate) state: Arc<TestState>,
    pub(crate) cache: Arc<SenderCache>,
}

pub(crate) fn config() -> PoolConfig {
    PoolConfig::for_chain(CHAIN_ID, BASE_FEE, 30_000_000)
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: PoolConfig) -> Self {
        let rich = AccountView { balance: U256::from(10).pow(U256::from(18)), ..Default::default() };
        let state = Arc::new(TestState(Mutex::new((1..10).map(|key| (address(key), rich)).collect())));
        let cache = Arc::new(cache(1000, 1 << 20));
        Self { pool: Pool::new(config, state.clone(), cache.clone()).unwrap(), state, cache }
    }

    pub(crate) fn add(&self, transaction: &Transaction) -> Result<Added, AddError> {
        self.pool.add(transaction.clone(), Origin::Peer, 0)
    }

    /// Adds transfers that must be taken.
    pub(crate) fn add_all(&self, transfers: &[(u8, u64, u128)]) {
        for &(key, nonce, tip) in transfers {
            self.add(&transfer(key, nonce, tip)).unwrap();
        }
    }

    pub(crate) fn set(&self, key: u8, change: impl FnOnce(&mut AccountView)) {
        change(self.state.0.lock().entry(address(key)).or_default());
    }

    /// Changes an account as a finalized block would.
    pub(crate) fn finalize(&self, key: u8, change: impl FnOnce(&mut AccountView)) {
        self.set(key, change);
        self.pool.finalized(&[], [address(key)], 0);
    }

    pub(crate) fn counts(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.pending, status.queued)
    }
}

/// Key and nonce of each transaction, in order.
pub(crate) fn places(transactions: impl IntoIterator<Item = crate::VerifiedTransaction>) -> Vec<(u8, u64)> {
    let key = |sender| (1..10).find(|key| address(*key) == sender).unwrap();
    transactions.into_iter().map(|transaction| (key(transaction.sender()), transaction.nonce())).collect()
}
