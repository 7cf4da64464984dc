//! Genesis files, and a state with many accounts.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{Address, U256, keccak256};
use dolmen_store::{Account, AccountChange, Options, State, StateDiff, StateReader as _, Store};
use dolmen_types::{Genesis, GenesisFile, PublicKey, Validator, genesis::GenesisAccount};
use tempfile::TempDir;

use crate::{must, transactions::CHAIN_ID};

/// Room for the largest benchmarked block.
const GAS_LIMIT: u64 = 1_000_000_000;
/// The same in bytes.
pub(crate) const BLOCK_BYTES: u32 = 8 << 20;
/// Time of block zero, Unix milliseconds.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// The state of a chain with many accounts, none of them a contract.
pub struct PopulatedState {
    addresses: Vec<Address>,
    state: State,
    /// The database whose state this is; removed in the end.
    _dir: TempDir,
}

impl PopulatedState {
    /// A chain with `count` accounts; its database goes below `parent`.
    pub fn new(parent: &Path, count: usize) -> Self {
        let address = |n: usize| Address::from_word(keccak256(n.to_be_bytes()));
        let addresses: Vec<_> = (0..count).map(address).collect();
        let dir = must("create a folder for a database", tempfile::tempdir_in(parent));
        let store = open(dir.path(), &accounts_genesis(addresses.iter().copied()));
        let state = store.head().state.clone();
        Self { addresses, state, _dir: dir }
    }

    /// The state.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// A diff that raises the nonces of `count` accounts, spread over all of them.
    pub fn changes(&self, count: usize) -> StateDiff {
        let change = |address: &Address| {
            let before = must("read an account", self.state.account(address));
            let after = before.map(|account| Account { nonce: account.nonce + 1, ..account });
            AccountChange { address: *address, before, after, slots: Vec::new() }
        };
        let step = self.addresses.len() / count;
        let accounts = self.addresses.iter().step_by(step).take(count).map(change).collect();
        StateDiff { accounts, codes: Vec::new() }
    }
}

/// A genesis with these accounts, 10^24 wei each; gas is free.
pub(crate) fn accounts_genesis(addresses: impl Iterator<Item = Address>) -> Genesis {
    let balance = U256::from(10).pow(U256::from(24));
    let account = |address| (address, GenesisAccount { balance, ..Default::default() });
    let validator = Validator {
        name: "bench".to_owned(),
        public_key: PublicKey([1; 32]),
        fee_recipient: Address::repeat_byte(0xfe),
        organisation: None,
        endpoint: None,
    };
    let file = GenesisFile {
        chain_id: CHAIN_ID,
        timestamp_ms: START_MS,
        gas_limit: GAS_LIMIT,
        base_fee_per_gas: 0,
        block_interval_min_ms: 1,
        block_interval_max_ms: 1000,
        block_bytes_max: BLOCK_BYTES,
        validators: vec![validator],
        governance: Default::default(),
        accounts: addresses.map(account).collect::<BTreeMap<_, _>>(),
    };
    must("check the genesis", Genesis::try_from(file))
}

/// Opens a database.
pub(crate) fn open(path: &Path, genesis: &Genesis) -> Store {
    must(
        "open a database",
        Store::open(
            path,
            &dolmen_store::Origin::of_accounts(genesis),
            Options::history(1000.try_into().expect("not zero")),
        ),
    )
}
