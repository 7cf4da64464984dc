mod effects;
mod governed;

use std::{num::NonZeroUsize, sync::LazyLock, time::Duration};

use alloy_consensus::{SignableTransaction, Signed, TxEip1559};
use alloy_eips::{eip2935, eip4788};
use alloy_primitives::{Signature, TxKind, U256, bytes, keccak256};
use dolmen_accel_api::QueueConfig;
use dolmen_pool::{SenderCache, Signatures};
use dolmen_store::{Options, Store};
use dolmen_types::{
    Epochs, Genesis, Transaction, Validator,
    block::{BlockRules, Proposal, next_header},
    genesis::{GenesisAccount, GenesisFile, Organisation},
};
use secp256k1::{Message, SECP256K1, SecretKey};

use super::*;
use crate::{AccountOverride, Call, CallError, CallResult, CallSite, StateOverrides};

const CHAIN_ID: u64 = 1337;
const GAS_PRICE: u128 = 7;
/// Returns slot 0 and adds the first word of the input to it.
const COUNTER: Address = Address::repeat_byte(0xc0);
/// Reverts with the word 42.
const REVERTER: Address = Address::repeat_byte(0xde);

struct Chain {
    store: Arc<Store>,
    executor: Executor,
    _dir: tempfile::TempDir,
}

fn key(index: u8) -> SecretKey {
    SecretKey::from_byte_array([index; 32]).unwrap()
}

fn address(key: &SecretKey) -> Address {
    Address::from_word(keccak256(&key.public_key(SECP256K1).serialize_uncompressed()[1..]))
}

fn transfer(index: u8, nonce: u64, to: TxKind, value: u64, input: Bytes) -> VerifiedTransaction {
    signed(index, nonce, to, value, input, 100_000)
}

fn signed(index: u8, nonce: u64, to: TxKind, value: u64, input: Bytes, gas_limit: u64) -> VerifiedTransaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit,
        max_fee_per_gas: GAS_PRICE + 1,
        max_priority_fee_per_gas: 1,
        to,
        value: U256::from(value),
        input,
        ..Default::default()
    };
    sign(transaction, index)
}

fn sign_hash(hash: B256, index: u8) -> Signature {
    let digest = Message::from_digest(hash.0);
    let (recovery, bytes) = SECP256K1.sign_ecdsa_recoverable(digest, &key(index)).serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(recovery) == 1)
}

fn sign<T: SignableTransaction<Signature>>(unsigned: T, index: u8) -> VerifiedTransaction
where
    Signed<T>: Into<Transaction>,
{
    let signature = sign_hash(unsigned.signature_hash(), index);
    static CACHE: LazyLock<SenderCache> = LazyLock::new(|| {
        let signatures = Signatures::start(Arc::new(dolmen_accel_library::baseline()), QueueConfig::default());
        SenderCache::new(CHAIN_ID, Arc::new(signatures), NonZeroUsize::MIN, 1 << 20)
    });
    CACHE.verify_all(&[unsigned.into_signed(signature).into()], &[]).unwrap().remove(0)
}

impl Chain {
    fn new() -> Self {
        Self::with([])
    }

    fn with<const N: usize>(extra: [(Address, GenesisAccount); N]) -> Self {
        Self::of(&Self::genesis(extra), Epochs::ENDLESS, dolmen_store::Origin::of_accounts)
    }

    fn of(genesis: &Genesis, epochs: Epochs, origin: impl FnOnce(&Genesis) -> dolmen_store::Origin) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::history(10.try_into().unwrap());
        let store = Store::open(dir.path(), &origin(genesis), options).unwrap();
        Self { store: Arc::new(store), executor: Executor::new(CHAIN_ID, epochs), _dir: dir }
    }

    fn genesis<const N: usize>(extra: [(Address, GenesisAccount); N]) -> Genesis {
        let contract = |code| GenesisAccount { nonce: 1, code, ..Default::default() };
        let rich = |index| {
            (address(&key(index)), GenesisAccount { balance: U256::from(10_u64.pow(18)), ..Default::default() })
        };
        GenesisFile {
            chain_id: CHAIN_ID,
            timestamp_ms: 1_790_000_000_000,
            gas_limit: 1_000_000,
            base_fee_per_gas: u64::try_from(GAS_PRICE).unwrap(),
            block_interval_min_ms: 1,
            block_interval_max_ms: 10,
            block_bytes_max: 1 << 20,
            validators: vec![Validator {
                name: "a".into(),
                // RFC 8032, section 7.1, test 1.
                public_key: "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".parse().unwrap(),
                fee_recipient: Address::repeat_byte(0xfe),
                organisation: None,
                endpoint: None,
            }],
            governance: dolmen_types::genesis::Governance {
                epoch_blocks: 20,
                organisations: vec![Organisation {
                    name: "alpha".into(),
                    account: address(&key(1)),
                    root_certificate: Bytes::new(),
                }],
                ..Default::default()
            },
            accounts: [
                rich(1),
                rich(2),
                // sload(0), return it after sstore(0, sload(0) + calldataload(0))
                (COUNTER, contract(bytes!("5f54805f35015f555f5260205ff3"))),
                // mstore(0, 42), revert(0, 32)
                (REVERTER, contract(bytes!("602a5f5260205ffd"))),
                (HISTORY_STORAGE_ADDRESS, contract(eip2935::HISTORY_STORAGE_CODE.clone())),
                (BEACON_ROOTS_ADDRESS, contract(eip4788::BEACON_ROOTS_CODE.clone())),
            ]
            .into_iter()
            .chain(extra)
            .collect(),
        }
        .try_into()
        .unwrap()
    }

    fn header(&self) -> Header {
        let head = self.store.head();
        let proposal =
            Proposal { timestamp_ms: head.block.timestamp_ms().unwrap() + 5, beneficiary: Address::repeat_byte(0xfe) };
        next_header(head.block.header(), head.block.hash(), proposal, BlockRules::of(head.block.header()))
    }

    fn build(&self, transactions: Vec<VerifiedTransaction>, bytes_max: usize) -> Built {
        let limits = BlockLimits { bytes_max, deadline: Instant::now() + Duration::from_secs(60) };
        self.build_from(&mut Queue(transactions), limits)
    }

    fn build_from(&self, source: &mut Queue, limits: BlockLimits) -> Built {
        let state = self.store.head().state.clone();
        self.executor.build(&state, &*self.store, self.header(), source, limits).unwrap()
    }

    fn execute(&self, block: Block, transactions: &[VerifiedTransaction]) -> Result<Executed, ExecutionError> {
        self.executor.execute(&self.store.head().state, &*self.store, Arc::new(block), transactions, &|| false)
    }

    fn simulate(&self, call: &Call, overrides: &StateOverrides) -> Result<CallResult, CallError> {
        let (state, header) = (self.store.head().state.clone(), self.header());
        let site = CallSite { state: &state, hashes: &*self.store, header: &header, gas_cap: 1_000_000, overrides };
        self.executor.call(site, call)
    }
}

struct Queue(Vec<VerifiedTransaction>);

impl Transactions for Queue {
    fn next(&mut self) -> Option<VerifiedTransaction> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    fn skip_sender(&mut self, sender: Address) {
        self.0.retain(|transaction| transaction.sender() != sender);
    }
}

fn word(value: u64) -> Bytes {
    U256::from(value).to_be_bytes::<32>().into()
}

fn mixed() -> Vec<VerifiedTransaction> {
    vec![
        transfer(1, 0, TxKind::Call(address(&key(9))), 5, Bytes::new()),
        transfer(1, 1, TxKind::Call(COUNTER), 0, word(3)),
        transfer(2, 0, TxKind::Call(REVERTER), 0, Bytes::new()),
        transfer(2, 1, TxKind::Create, 0, bytes!("60015f5360015ff3")),
    ]
}

#[test]
fn what_a_proposer_builds_a_voter_accepts() {
    let chain = Chain::new();
    let built = chain.build(mixed(), 1 << 20);
    assert_eq!(built.transactions.len(), 4);
    let statuses: Vec<bool> = built.executed.receipts.iter().map(Receipt::status).collect();
    assert_eq!(statuses, [true, true, false, true]);
    let executed = chain.execute((*built.executed.block).clone(), &built.transactions).unwrap();
    assert_eq!((executed.state.root(), executed.diff), (built.executed.state.root(), built.executed.diff));
    let slot = executed.state.storage(&COUNTER, &U256::ZERO).unwrap();
    assert_eq!(slot, U256::from(3));
    let fees = executed.state.account(&Address::repeat_byte(0xfe)).unwrap().unwrap().balance;
    assert_eq!(fees, U256::from(executed.block.header().gas_used), "the tip of 1 wei goes to the proposer");
}

#[test]
fn the_parent_hash_is_in_the_history_contract() {
    let chain = Chain::new();
    let built = chain.build(vec![], 1 << 20);
    // EIP-2935: slot (number - 1) mod 8191.
    let slot = built.executed.state.storage(&HISTORY_STORAGE_ADDRESS, &U256::ZERO).unwrap();
    assert_eq!(B256::from(slot), chain.store.head().block.hash());
}

#[test]
fn wrong_results_in_a_header_are_named() {
    let chain = Chain::new();
    let built = chain.build(mixed(), 1 << 20);
    let good = built.executed.block;
    type Change = fn(&mut Header);
    let cases: [(&str, Change); 4] = [
        ("gasUsed", |header| header.gas_used += 1),
        ("receiptsRoot", |header| header.receipts_root = B256::ZERO),
        ("logsBloom", |header| header.logs_bloom.0[0] ^= 1),
        ("stateRoot", |header| header.state_root = B256::ZERO),
    ];
    for (expected, change) in cases {
        let mut header = good.header().clone();
        change(&mut header);
        let error =
            chain.execute(Block::seal(header, good.transactions().to_vec()), &built.transactions).err().unwrap();
        assert!(matches!(error, ExecutionError::Result { field, .. } if field == expected), "{error}");
        assert!(error.is_invalid_block());
    }
}

#[test]
fn transactions_that_cannot_run_make_a_block_invalid() {
    let chain = Chain::new();
    let good = chain.build(mixed(), 1 << 20).executed.block;
    let gap = vec![transfer(1, 1, TxKind::Call(COUNTER), 0, word(1))];
    let error = chain.execute((*good).clone(), &gap).err().unwrap();
    assert!(matches!(error, ExecutionError::Transaction { index: 0, .. }), "{error}");
    // Ten times 100,000 gas fill the block's limit; after one that uses little, the tenth no longer fits.
    let full: Vec<_> = (0..11).map(|nonce| transfer(1, nonce, TxKind::Call(REVERTER), 0, Bytes::new())).collect();
    let header = Header { gas_limit: 120_000, ..good.header().clone() };
    let error = chain.execute(Block::seal(header, vec![]), &full).err().unwrap();
    assert!(matches!(error, ExecutionError::GasLimit { index: 1 }), "{error}");
}

#[test]
fn a_builder_leaves_out_what_does_not_fit_or_run() {
    let chain = Chain::new();
    let gap =
        vec![transfer(1, 1, TxKind::Call(COUNTER), 0, word(1)), transfer(2, 0, TxKind::Call(COUNTER), 0, word(1))];
    let built = chain.build(gap, 1 << 20);
    assert_eq!(built.transactions.len(), 1);
    assert_eq!(built.transactions[0].sender(), address(&key(2)));
    let small = BLOCK_OVERHEAD_BYTES + 2 * mixed()[0].block_len();
    let built = chain.build(mixed(), small);
    assert!(built.executed.block.encoded_len() <= small);
    let nonces: Vec<_> = built.transactions.iter().map(|taken| (taken.sender(), taken.nonce())).collect();
    let expected = [(address(&key(1)), 0), (address(&key(2)), 0)];
    assert_eq!(nonces, expected, "the second of the first sender is longer; the next sender's fits");
}

/// The head may move while the source still yields what it used.
#[test]
fn a_used_nonce_does_not_hide_the_next() {
    let chain = Chain::new();
    let both: Vec<_> = (0..2).map(|nonce| transfer(1, nonce, TxKind::Call(COUNTER), 0, word(1))).collect();
    chain.store.commit(&chain.build(both[..1].to_vec(), 1 << 20).executed, None).unwrap();
    assert_eq!(chain.build(both.clone(), 1 << 20).transactions, both[1..]);
}

#[test]
fn the_search_for_what_fits_ends() {
    let chain = Chain::new();
    // Of a sender each, since a source gives nothing more of a sender whose transaction does not fit.
    let misfits = |first: u8, count: usize| -> Vec<_> {
        let large = |index| transfer(index, 0, TxKind::Call(COUNTER), 0, Bytes::from(vec![1; 2000]));
        (first..).take(count).map(large).collect()
    };
    let fitting = |nonce| transfer(1, nonce, TxKind::Call(REVERTER), 0, Bytes::new());
    let limits =
        BlockLimits { bytes_max: BLOCK_OVERHEAD_BYTES + 1000, deadline: Instant::now() + Duration::from_secs(60) };
    let parts = [
        misfits(10, MISFITS_MAX - 1),
        vec![fitting(0)],
        misfits(80, MISFITS_MAX - 1),
        vec![fitting(1)],
        misfits(150, MISFITS_MAX),
        vec![fitting(2)],
    ];
    let mut source = Queue(parts.concat());
    assert_eq!(chain.build_from(&mut source, limits).transactions, [fitting(0), fitting(1)]);
    assert_eq!(source.0, [fitting(2)]);

    // What is left has no room for any transaction: none is asked for.
    let one = fitting(0).block_len();
    let limits = BlockLimits { bytes_max: BLOCK_OVERHEAD_BYTES + one + TRANSACTION_BYTES_MIN - 1, ..limits };
    let mut source = Queue(vec![fitting(0), fitting(1)]);
    assert_eq!(chain.build_from(&mut source, limits).transactions, [fitting(0)]);
    assert_eq!(source.0, [fitting(1)]);
}

#[test]
fn nothing_is_begun_after_the_deadline() {
    let chain = Chain::new();
    let limits = BlockLimits { bytes_max: 1 << 20, deadline: Instant::now() };
    let built = chain.build_from(&mut Queue(mixed()), limits);
    assert!(built.transactions.is_empty());
    assert_eq!(built.executed.block.header().gas_used, 0);
}

#[test]
fn calls_see_overrides_and_leave_no_trace() {
    let chain = Chain::new();
    let call = Call { from: address(&key(1)), to: Some(COUNTER), input: word(1), ..Default::default() };
    let read = |result| match result {
        Ok(CallResult::Success { output, .. }) => U256::from_be_slice(&output),
        other => panic!("{other:?}"),
    };
    assert_eq!(read(chain.simulate(&call, &Default::default())), U256::ZERO);
    let slots = [(B256::ZERO, B256::with_last_byte(8))].into_iter().collect();
    let patched = AccountOverride { state_diff: Some(slots), ..Default::default() };
    assert_eq!(read(chain.simulate(&call, &[(COUNTER, patched)].into_iter().collect())), U256::from(8));
    assert_eq!(read(chain.simulate(&call, &Default::default())), U256::ZERO);
    let reverting = Call { to: Some(REVERTER), ..call };
    let reverted = chain.simulate(&reverting, &Default::default());
    assert!(matches!(reverted, Ok(CallResult::Revert { output, .. }) if output == word(42)));
}

#[test]
fn estimates_suffice_and_are_close() {
    let chain = Chain::new();
    let state = chain.store.head().state.clone();
    let estimate = |call: &Call| {
        let (header, overrides) = (chain.header(), Default::default());
        let hashes = &*chain.store;
        let site = CallSite { state: &state, hashes, header: &header, gas_cap: 1_000_000, overrides: &overrides };
        chain.executor.estimate_gas(site, call)
    };
    let plain =
        Call { from: address(&key(1)), to: Some(Address::repeat_byte(9)), value: U256::from(1), ..Default::default() };
    assert_eq!(estimate(&plain).unwrap(), 21_000);
    let call = Call { from: address(&key(1)), to: Some(COUNTER), input: word(1), ..Default::default() };
    let gas = estimate(&call).unwrap();
    let built = chain.build(vec![transfer(1, 0, TxKind::Call(COUNTER), 0, word(1))], 1 << 20);
    let used = built.executed.block.header().gas_used;
    assert!(used <= gas && gas <= used + used / 50, "estimated {gas}, used {used}");
    let reverting = Call { to: Some(REVERTER), ..call };
    assert!(matches!(estimate(&reverting), Err(CallError::Reverted(output)) if output == word(42)));
    let poor = Call { value: U256::MAX, gas_price: 1, ..plain };
    assert!(matches!(estimate(&poor), Err(CallError::Invalid(_))));
}

#[test]
fn a_cancelled_execution_blames_nobody() {
    let chain = Chain::new();
    let built = chain.build(mixed(), 1 << 20);
    let state = chain.store.head().state.clone();
    let block = built.executed.block.clone();
    let error = chain.executor.execute(&state, &*chain.store, block, &built.transactions, &|| true).err().unwrap();
    assert!(matches!(error, ExecutionError::Cancelled) && !error.is_invalid_block());
}
