//! Senders, and what they sign.

use std::sync::{Arc, LazyLock};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex, keccak256};
use dolmen_accel_api::{Algorithm, QueueConfig};
use dolmen_accel_cpu::{CpuConfig, CpuEngine};
use dolmen_pool::{Signatures, VerifiedTransaction};
use dolmen_types::Transaction;
use secp256k1::{Message, SECP256K1, SecretKey, ecdsa::RecoveryId};

use crate::must;

/// EIP-155 chain id of all fixtures.
pub const CHAIN_ID: u64 = 1337;
/// Creation bytecode of the ERC-20 token that `dolmen bench` uses; the file says from which sources.
const ERC20: &str = include_str!("../../appliance/src/bench/erc20.txt");
/// Gas limit of a transfer of ether.
const TRANSFER_GAS: u64 = 21_000;
/// Gas limit of a token transfer; to a new holder it uses about 52,000.
const TOKEN_GAS: u64 = 70_000;
/// Gas limit of the token's deployment.
const DEPLOY_GAS: u64 = 2_000_000;

/// What the transactions of a block do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// 1 wei to another account.
    Transfer,
    /// One unit of an OpenZeppelin ERC-20 token to another holder.
    Erc20,
}

impl Workload {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Transfer, Self::Erc20];

    /// The name in benchmarks.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Erc20 => "erc20",
        }
    }
}

/// Accounts that sign in turn, with the nonces that come next.
pub struct Senders {
    accounts: Vec<(SecretKey, Address, u64)>,
}

impl Senders {
    /// The first `count` accounts of an endless, fixed list.
    pub fn new(count: usize) -> Self {
        let account = |n: usize| {
            let key = must("derive a key", SecretKey::from_byte_array(keccak256(n.to_be_bytes()).0));
            let point = key.public_key(SECP256K1).serialize_uncompressed();
            (key, Address::from_slice(&keccak256(&point[1..])[12..]), 0)
        };
        Self { accounts: (0..count).map(account).collect() }
    }

    /// Their addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        self.accounts.iter().map(|(_, address, _)| *address)
    }

    /// The next transaction of sender `index`, counted over the senders again and again.
    pub fn next(&mut self, workload: Workload, token: Address, index: usize) -> Transaction {
        let count = self.accounts.len();
        let to = self.accounts[(index + 1 + index / count) % count].1;
        match workload {
            Workload::Transfer => self.sign(index, to.into(), U256::ONE, Bytes::new(), TRANSFER_GAS),
            Workload::Erc20 => self.token_transfer(index, token, to, U256::ONE),
        }
    }

    /// `count` transfers of ether, as they come from the network: decoded, with no hash or sender known.
    pub fn raw_transfers(&mut self, count: usize) -> Vec<Vec<u8>> {
        let transfer = |index| self.next(Workload::Transfer, Address::ZERO, index).encoded_2718();
        (0..count).map(transfer).collect()
    }

    /// Deploys the token from the first sender, who gets all units; returns its address too.
    pub(crate) fn deploy_token(&mut self) -> (Transaction, Address) {
        let code: String = ERC20.lines().filter(|line| !line.starts_with('#')).collect();
        let code = must("decode the token's bytecode", hex::decode(code));
        let (_, deployer, nonce) = self.accounts[0];
        (self.sign(0, TxKind::Create, U256::ZERO, code.into(), DEPLOY_GAS), deployer.create(nonce))
    }

    /// A call of ERC-20's `transfer(address,uint256)`.
    pub(crate) fn token_transfer(&mut self, index: usize, token: Address, to: Address, amount: U256) -> Transaction {
        let input = [&hex!("a9059cbb")[..], to.into_word().as_slice(), &amount.to_be_bytes::<32>()].concat();
        self.sign(index, token.into(), U256::ZERO, input.into(), TOKEN_GAS)
    }

    fn sign(&mut self, index: usize, to: TxKind, value: U256, input: Bytes, gas_limit: u64) -> Transaction {
        let count = self.accounts.len();
        let (key, _, next) = &mut self.accounts[index % count];
        let nonce = *next;
        *next += 1;
        let transaction = TxEip1559 { chain_id: CHAIN_ID, nonce, gas_limit, to, value, input, ..TxEip1559::default() };
        let digest = Message::from_digest(transaction.signature_hash().0);
        let (id, compact) = SECP256K1.sign_ecdsa_recoverable(digest, key).serialize_compact();
        let odd_y = matches!(id, RecoveryId::One | RecoveryId::Three);
        Transaction::Eip1559(transaction.into_signed(Signature::from_bytes_and_parity(&compact, odd_y)))
    }
}

/// The engine that a box has, started once.
pub fn signatures() -> Arc<Signatures> {
    static SIGNATURES: LazyLock<Arc<Signatures>> = LazyLock::new(|| {
        let config = CpuConfig { algorithms: &[Algorithm::EcdsaSecp256k1], ..CpuConfig::default() };
        let engine = must("start the signature engine", CpuEngine::start(config));
        Arc::new(Signatures::start(engine, QueueConfig::default()))
    });
    SIGNATURES.clone()
}

/// Checks signatures, on all processors.
pub(crate) fn verify(transactions: &[Transaction]) -> Vec<VerifiedTransaction> {
    let capacity = std::num::NonZeroUsize::MIN.saturating_add(transactions.len());
    let cache = dolmen_pool::SenderCache::new(CHAIN_ID, signatures(), capacity, usize::MAX);
    must("verify signatures", cache.verify_all(transactions, &[]))
}
