//! A chain whose blocks change states at random, and a box that fetches one without a network.

use std::{num::NonZeroU64, path::Path, sync::Arc};

use alloy_consensus::{SignableTransaction as _, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, Log, LogData, Signature, U256, keccak256};
use dolmen_types::{
    Block, Certificate, Epochs, Genesis, PublicKey, Transaction, Validator,
    block::{BlockRules, Proposal, next_header},
    genesis::{GenesisAccount, GenesisFile},
    receipt,
};

use super::super::{
    AccountEntry, Excerpt, Filling, Held, Pivot, Prefix, Progress, RangeLimits, Slot, Split, StoredBlock, TrieId,
    Write, accounts_hash, slots_hash, split,
};
use crate::{Account, AccountChange, Executed, Options, Origin, SlotChange, State, StateDiff, StateReader as _, Store};

/// Blocks of an epoch.
pub(super) const EPOCHS: Epochs = Epochs::new(NonZeroU64::new(4).expect("not zero"));
pub(super) const OPTIONS: Options = Options::history(NonZeroU64::new(100).expect("not zero"));
const ACCOUNTS: u64 = 60;

/// Numbers that look random (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

pub(super) fn origin(chain_id: u64) -> Origin {
    let validator = Validator {
        name: "a".into(),
        public_key: PublicKey([1; 32]),
        fee_recipient: Address::repeat_byte(0xfe),
        organisation: None,
        endpoint: None,
    };
    let contract = |slots: u8| GenesisAccount {
        nonce: 1,
        code: Bytes::from(vec![0x60, slots]),
        storage: (1..=slots).map(|slot| (B256::with_last_byte(slot), B256::with_last_byte(9))).collect(),
        ..Default::default()
    };
    let genesis: Genesis = GenesisFile {
        chain_id,
        timestamp_ms: 1_790_000_000_000,
        gas_limit: 30_000_000,
        base_fee_per_gas: 1,
        block_interval_min_ms: 1,
        block_interval_max_ms: 10,
        block_bytes_max: 1 << 20,
        validators: vec![validator],
        governance: Default::default(),
        accounts: [(address(0), contract(3)), (address(1), contract(40)), (address(2), contract(5))].into(),
    }
    .try_into()
    .unwrap();
    Origin::of_accounts(&genesis)
}

fn address(number: u64) -> Address {
    Address::from_slice(&keccak256(number.to_be_bytes())[..20])
}

pub(super) struct Chain {
    pub(super) origin: Origin,
    pub(super) store: Arc<Store>,
    /// Time from one block to the next.
    pub(super) step_ms: u64,
    _dir: tempfile::TempDir,
}

impl Chain {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let origin = origin(1);
        let store = Arc::new(Store::open(dir.path(), &origin, OPTIONS).unwrap());
        // Few blocks, and every epoch is longer than states are kept.
        Self { origin, store, step_ms: 10_000, _dir: dir }
    }

    /// A block that makes, changes and removes accounts, their slots and code.
    pub(super) fn grow(&mut self, random: &mut Random) {
        let mut diff = StateDiff::default();
        let mut numbers: Vec<u64> = (0..12).map(|_| random.below(ACCOUNTS)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let change = self.change(address(number), number, random, &mut diff);
            diff.accounts.push(change);
        }
        self.commit(diff);
    }

    /// A block that changes one balance.
    pub(super) fn change_one(&mut self) {
        let (head, address) = (self.store.head(), address(1));
        let before = head.state.account(&address).unwrap();
        let account = before.unwrap_or_default();
        let after = Some(Account { balance: account.balance + U256::from(1), ..account });
        let accounts = vec![AccountChange { address, before, after, slots: vec![] }];
        self.commit(StateDiff { accounts, codes: vec![] });
    }

    fn change(&self, address: Address, number: u64, random: &mut Random, diff: &mut StateDiff) -> AccountChange {
        let head = self.store.head();
        let before = head.state.account(&address).unwrap();
        if before.is_some() && random.below(6) == 0 {
            return AccountChange { address, before, after: None, slots: vec![] };
        }
        let mut account = before.unwrap_or_default();
        account.balance += U256::from(1 + random.below(1000));
        if number < 20 {
            if before.is_none() {
                let code = Bytes::from(vec![0x5b; 1 + usize::try_from(random.below(4)).unwrap()]);
                account.code_hash = keccak256(&code);
                diff.codes.push((account.code_hash, code));
            }
            account.nonce = account.nonce.max(1);
        }
        let slots = (0..if number < 20 { random.below(16) } else { 0 })
            .map(|slot| {
                let slot = U256::from(slot * 3 % 23);
                let before = head.state.storage(&address, &slot).unwrap();
                SlotChange { slot, before, after: U256::from(random.below(3)) }
            })
            .collect();
        AccountChange { address, before, after: Some(account), slots }
    }

    fn commit(&mut self, diff: StateDiff) {
        let head = self.store.head();
        let number = head.block.number() + 1;
        let state = head.state.apply(&diff, number);
        let signature = Signature::new(U256::from(1), U256::from(2), false);
        let transaction = Transaction::from(TxLegacy { nonce: number, ..Default::default() }.into_signed(signature));
        let data = LogData::new_unchecked(vec![B256::from(U256::from(number))], Bytes::new());
        let log = Log { address: address(1), data };
        let receipts = vec![receipt::receipt(&transaction, true, 21_000, vec![log])];
        let timestamp_ms = head.block.timestamp_ms().unwrap() + self.step_ms;
        let proposal = Proposal { timestamp_ms, beneficiary: Address::ZERO };
        let parent = head.block.header();
        let mut header = next_header(parent, head.block.hash(), proposal, BlockRules::of(parent));
        header.state_root = state.root();
        header.receipts_root = receipt::root(&receipts);
        header.logs_bloom = receipt::bloom(&receipts);
        let block = Arc::new(Block::seal(header, vec![transaction]));
        let ends = EPOCHS.is_last(number);
        let epoch = EPOCHS.after(number);
        let record = ends.then(|| (epoch, Bytes::from(vec![7; 40])));
        let certificate = certificate(&block);
        let executed = Executed { block, receipts, diff, state, record };
        self.store.commit(&executed, ends.then_some(&certificate)).unwrap();
    }

    /// The head as one whose state is fetched, be it an epoch's last block or not.
    fn pivot(&self) -> Pivot {
        let block = self.store.head().block.clone();
        Pivot::new(block.header().clone(), certificate(&block), Bytes::from_static(&[1, 2, 3]))
    }
}

fn certificate(block: &Block) -> Certificate {
    let epoch = EPOCHS.of(block.number());
    Certificate { epoch, view: block.number(), parent_view: 0, block: block.hash(), signatures: vec![] }
}

/// Fetches the head's state; `None` where it stopped after so many writes. Says how many parts it fetched.
pub(super) fn fetch(chain: &Chain, filling: &Filling, limits: &RangeLimits, stop_after: usize) -> Option<usize> {
    let mut progress = filling.progress().unwrap();
    let (state, pivot) = (chain.store.head().state.clone(), chain.pivot());
    let mut write = Write::default();
    if progress.pivot().map(Pivot::hash) != Some(pivot.hash()) {
        progress.move_to(pivot.clone(), &mut write);
    }
    let (mut fetched, mut writes) = (0, 0);
    let mut open = vec![(TrieId::Accounts, Prefix::ROOT, pivot.header().state_root)];
    while let Some((trie, prefix, hash)) = open.pop() {
        let held = progress.reconcile(trie, &prefix, &hash, &mut write);
        let leaves = if held == Held::Whole { None } else { leaves(&state, trie, &prefix, limits, held) };
        if let Some(leaves) = &leaves {
            fetched += 1;
            leaves.put(&mut progress, trie, &prefix, &hash, limits, &mut write);
        }
        if held == Held::Whole || leaves.is_some() {
            if trie == TrieId::Accounts {
                for account in progress.storages(&prefix) {
                    let (root, _) = progress.storage(&account).unwrap();
                    open.push((TrieId::Storage(account), Prefix::ROOT, root));
                }
            }
        } else {
            let Split::Parts(parts) = top(&state, trie, &prefix, &hash) else { panic!("a leaf is a part") };
            progress.keep_only(trie, &prefix, &parts, &mut write);
            for part in parts {
                match (part.slots, trie) {
                    (Some(slots), TrieId::Storage(account)) => {
                        progress.put_slots(&account, &part.prefix, &part.hash, &slots, &mut write);
                    }
                    _ => open.push((trie, part.prefix, part.hash)),
                }
            }
        }
        if writes == stop_after {
            return None;
        }
        filling.apply(&std::mem::take(&mut write)).unwrap();
        writes += 1;
    }
    Some(fetched)
}

enum Leaves {
    Accounts(Vec<AccountEntry>),
    Slots(Vec<Slot>),
}

impl Leaves {
    fn put(
        &self,
        progress: &mut Progress,
        trie: TrieId,
        prefix: &Prefix,
        hash: &B256,
        limits: &RangeLimits,
        write: &mut Write,
    ) {
        match (self, trie) {
            (Self::Accounts(entries), _) => {
                assert_eq!(accounts_hash(prefix, entries, limits), Ok(*hash));
                progress.put_accounts(prefix, hash, entries, write);
            }
            (Self::Slots(slots), TrieId::Storage(account)) => {
                assert_eq!(slots_hash(prefix, slots), Ok(*hash));
                progress.put_slots(&account, prefix, hash, slots, write);
            }
            _ => panic!("slots are of an account"),
        }
    }
}

/// The leaves of a part; `None` where it must be cut, because it is too large or there are parts of it.
fn leaves(state: &State, trie: TrieId, prefix: &Prefix, limits: &RangeLimits, held: Held) -> Option<Leaves> {
    let nodes = state.nodes(trie, prefix).unwrap();
    let is_leaf = split(trie, prefix, &keccak256(&nodes[0]), &nodes) == Ok(Split::Leaf);
    if held == Held::Parts && !is_leaf {
        return None;
    }
    match trie {
        TrieId::Accounts => match state.account_range(prefix, limits).unwrap() {
            Excerpt::Leaves(entries) => Some(Leaves::Accounts(entries)),
            Excerpt::TooLarge(found) => {
                assert_eq!(found, nodes);
                None
            }
        },
        TrieId::Storage(account) => match state.storage_range(&account, prefix, limits).unwrap() {
            Excerpt::Leaves(slots) => Some(Leaves::Slots(slots)),
            Excerpt::TooLarge(found) => {
                assert_eq!(found, nodes);
                None
            }
        },
    }
}

fn top(state: &State, trie: TrieId, prefix: &Prefix, hash: &B256) -> Split {
    split(trie, prefix, hash, &state.nodes(trie, prefix).unwrap()).unwrap()
}

/// Fetches all that is missing, and ends.
pub(super) fn fill(chain: &Chain, path: &Path, limits: &RangeLimits) {
    let filling = Filling::open(path, &chain.origin).unwrap();
    fetch(chain, &filling, limits, usize::MAX).unwrap();
    let mut progress = filling.progress().unwrap();
    let state = chain.store.head().state.clone();
    let mut write = Write::default();
    progress.finish_state(&mut write);
    let missing: Vec<B256> = progress.missing_codes().copied().collect();
    for hash in missing {
        progress.put_code(&hash, &state.code(&hash).unwrap().unwrap(), &mut write);
    }
    assert_eq!(progress.missing_codes().count(), 0);
    let number = chain.store.head().block.number();
    let StoredBlock { block, receipts } = chain.store.stored_block(number).unwrap().unwrap();
    let block = Block::decode(&block, 1 << 20).unwrap();
    progress.put_block(Arc::new(block), receipt::decode_list(&receipts).unwrap(), &mut write);
    progress.finish(&mut write);
    filling.apply(&write).unwrap();
}

/// Opens a filled database like any other, and goes on with the chain in it.
pub(super) fn open_filled(chain: &Chain, path: &Path) {
    let store = Store::open(path, &chain.origin, OPTIONS).unwrap();
    let (expected, found) = (chain.store.head(), store.head());
    assert_eq!(*found.block, *expected.block);
    assert_eq!(found.state.root(), expected.state.root());
    let number = found.block.number();
    assert_eq!(store.history_floor(), number);
    assert_eq!(store.block(0).unwrap().unwrap(), chain.origin.block);
    assert_eq!(store.receipts(number).unwrap(), chain.store.receipts(number).unwrap());
    assert_eq!(store.certificate(number).unwrap(), Some(certificate(&found.block)));
    assert_eq!(store.epoch_record(EPOCHS.of(number) + 1).unwrap(), Some(Bytes::from_static(&[1, 2, 3])));
    for number in 0..ACCOUNTS {
        let address = address(number);
        let account = found.state.account(&address).unwrap();
        assert_eq!(account, expected.state.account(&address).unwrap());
        let hash = account.unwrap_or_default().code_hash;
        assert_eq!(found.state.code(&hash).unwrap(), expected.state.code(&hash).unwrap());
    }
    let before = found.state.account(&address(1)).unwrap();
    let after = Some(Account { balance: U256::from(12_345), ..before.unwrap_or_default() });
    let accounts = vec![AccountChange { address: address(1), before, after, slots: vec![] }];
    let diff = StateDiff { accounts, codes: vec![] };
    let state = found.state.apply(&diff, number + 1);
    let proposal = Proposal { timestamp_ms: found.block.timestamp_ms().unwrap() + 1, beneficiary: Address::ZERO };
    let parent = found.block.header();
    let mut header = next_header(parent, found.block.hash(), proposal, BlockRules::of(parent));
    header.state_root = state.root();
    let block = Arc::new(Block::seal(header, vec![]));
    store.commit(&Executed { block, receipts: vec![], diff, state, record: None }, None).unwrap();
    // A state keeps its database open.
    drop((store, found));
    let store = Arc::new(Store::open(path, &chain.origin, OPTIONS).unwrap());
    assert_eq!(store.state_at(number).unwrap().account(&address(1)).unwrap(), before);
}
