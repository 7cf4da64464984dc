//! A chain whose state others fetch, with blocks that change it at random.

use std::{num::NonZeroU64, path::Path, sync::Arc};

use alloy_consensus::{SignableTransaction as _, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, U256, keccak256};
use dolmen_store::{
    AccountChange, Executed, Options, Origin, SlotChange, StateDiff, StateReader as _, Store,
    snapshot::{Pivot, Pivots},
};
use dolmen_types::{
    Block, Certificate, Epochs, Genesis, PublicKey, Transaction, Validator,
    block::{BlockRules, Proposal, next_header},
    genesis::{GenesisAccount, GenesisFile},
    receipt,
};

/// Blocks of an epoch.
pub(crate) const EPOCHS: Epochs = Epochs::new(NonZeroU64::new(4).expect("not zero"));
/// The chain's largest block.
pub(crate) const BLOCK_BYTES_MAX: u32 = 1 << 20;
const OPTIONS: Options = Options::history(NonZeroU64::new(1000).expect("not zero"));
/// Accounts that blocks change, of which the first have code and slots.
const ACCOUNTS: u64 = 40;
const CONTRACTS: u64 = 14;

/// Numbers that look random (SplitMix64): a seed gives the same ones on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// A place in a list that is not empty.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below a length")
    }
}

pub(crate) struct Source {
    pub(crate) origin: Origin,
    pub(crate) store: Arc<Store>,
    pub(crate) pivots: Arc<Pivots>,
    _dir: tempfile::TempDir,
}

fn address(number: u64) -> Address {
    Address::from_slice(&keccak256(number.to_be_bytes())[..20])
}

impl Source {
    /// A chain that starts with so many plain accounts, and a contract with so many slots.
    pub(crate) fn new(accounts: u64, slots: u64) -> Self {
        let validator = Validator {
            name: "a".into(),
            public_key: PublicKey([1; 32]),
            fee_recipient: Address::repeat_byte(0xfe),
            organisation: None,
            endpoint: None,
        };
        let plain = |number: u64| GenesisAccount { balance: U256::from(number + 1), ..Default::default() };
        let contract = |slots: u64| GenesisAccount {
            nonce: 1,
            code: Bytes::from_static(&[0x60, 0x00]),
            storage: (1..=slots).map(|slot| (B256::from(U256::from(slot)), B256::with_last_byte(9))).collect(),
            ..Default::default()
        };
        let mut genesis = GenesisFile {
            chain_id: 1,
            timestamp_ms: 1_790_000_000_000,
            gas_limit: 30_000_000,
            base_fee_per_gas: 1,
            block_interval_min_ms: 1,
            block_interval_max_ms: 10,
            block_bytes_max: BLOCK_BYTES_MAX,
            validators: vec![validator],
            governance: Default::default(),
            accounts: (1000..1000 + accounts).map(|number| (address(number), plain(number))).collect(),
        };
        // One that blocks change, and one whose slots are few and stay.
        genesis.accounts.extend([(address(0), contract(slots)), (address(999), contract(3))]);
        let origin = Origin::of_accounts(&Genesis::try_from(genesis).expect("a good genesis"));
        let dir = tempfile::tempdir().expect("a directory");
        let store = Arc::new(Store::open(dir.path(), &origin, OPTIONS).expect("a database"));
        Self { origin, store, pivots: Arc::new(Pivots::new(EPOCHS)), _dir: dir }
    }

    /// A block that makes, changes and removes accounts, their slots and code.
    pub(crate) fn grow(&self, random: &mut Random) {
        let mut diff = StateDiff::default();
        let mut numbers: Vec<u64> = (0..8).map(|_| random.below(ACCOUNTS)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let change = self.change(number, random, &mut diff);
            diff.accounts.push(change);
        }
        self.commit(diff);
    }

    fn change(&self, number: u64, random: &mut Random, diff: &mut StateDiff) -> AccountChange {
        let (head, address) = (self.store.head(), address(number));
        let before = head.state.account(&address).expect("readable");
        if before.is_some() && number > 0 && random.below(7) == 0 {
            return AccountChange { address, before, after: None, slots: vec![] };
        }
        let mut account = before.unwrap_or_default();
        account.balance += U256::from(1 + random.below(1000));
        let is_contract = number < CONTRACTS;
        if is_contract && before.is_none() {
            let code = Bytes::from(vec![0x5b; 1 + random.index(900)]);
            account.code_hash = keccak256(&code);
            account.nonce = 1;
            diff.codes.push((account.code_hash, code));
        }
        let slots = (0..if is_contract { random.below(12) } else { 0 })
            .map(|slot| {
                let slot = U256::from(slot * 5 % 31);
                let before = head.state.storage(&address, &slot).expect("readable");
                SlotChange { slot, before, after: U256::from(random.below(3)) }
            })
            .collect();
        AccountChange { address, before, after: Some(account), slots }
    }

    fn commit(&self, diff: StateDiff) {
        let head = self.store.head();
        let number = head.block.number() + 1;
        let state = head.state.apply(&diff, number);
        let signature = Signature::new(U256::from(1), U256::from(2), false);
        let transaction = Transaction::from(TxLegacy { nonce: number, ..Default::default() }.into_signed(signature));
        let data = LogData::new_unchecked(vec![B256::from(U256::from(number))], Bytes::from(vec![7; 100]));
        let receipts = vec![receipt::receipt(&transaction, true, 21_000, vec![Log { address: address(0), data }])];
        let parent = head.block.header();
        let proposal = Proposal {
            timestamp_ms: head.block.timestamp_ms().expect("blocks have a time") + 10_000,
            beneficiary: Address::ZERO,
        };
        let mut header = next_header(parent, head.block.hash(), proposal, BlockRules::of(parent));
        header.state_root = state.root();
        header.receipts_root = receipt::root(&receipts);
        header.logs_bloom = receipt::bloom(&receipts);
        let block = Arc::new(Block::seal(header, vec![transaction]));
        let is_last = EPOCHS.is_last(number);
        let epoch = EPOCHS.of(number);
        let record = is_last.then(|| (epoch + 1, Bytes::from(vec![1; 60])));
        let certificate =
            Certificate { epoch, view: number, parent_view: number - 1, block: block.hash(), signatures: vec![] };
        let executed = Executed { block, receipts, diff, state, record };
        self.store.commit(&executed, is_last.then_some(&certificate)).expect("the next block");
        self.pivots.observe(&self.store.head());
    }

    /// Whether a block is the chain's, with what it comes with.
    pub(crate) fn is_true(&self, pivot: &Pivot) -> bool {
        let number = pivot.number();
        let header = self.store.header(number).expect("readable");
        let certificate = self.store.certificate(number).expect("readable");
        let record = self.store.epoch_record(EPOCHS.of(number) + 1).expect("readable");
        header.as_ref() == Some(pivot.header())
            && certificate.as_ref() == Some(pivot.certificate())
            && record.as_ref() == Some(pivot.record())
    }

    /// Opens a filled database like any other, and compares it with the chain. Says at which height it is.
    pub(crate) fn compare(&self, path: &Path) -> u64 {
        let filled = Store::open(path, &self.origin, OPTIONS).expect("the database is whole");
        let head = filled.head();
        let number = head.block.number();
        assert_eq!(Some(head.state.root()), self.store.header(number).unwrap().map(|header| header.state_root));
        assert_eq!(filled.history_floor(), number);
        for number in number.saturating_sub(256)..=number {
            assert_eq!(filled.block(number).unwrap(), self.store.block(number).unwrap());
            assert_eq!(filled.receipts(number).unwrap(), self.store.receipts(number).unwrap());
        }
        for number in 0..ACCOUNTS {
            let account = head.state.account(&address(number)).unwrap().unwrap_or_default();
            let (found, expected) =
                (head.state.code(&account.code_hash), self.store.head().state.code(&account.code_hash));
            assert_eq!(found.unwrap(), expected.unwrap());
        }
        assert_eq!(filled.certificate(number).unwrap(), self.store.certificate(number).unwrap());
        let next_epoch = EPOCHS.of(number) + 1;
        assert_eq!(filled.epoch_record(next_epoch).unwrap(), self.store.epoch_record(next_epoch).unwrap());
        number
    }
}
