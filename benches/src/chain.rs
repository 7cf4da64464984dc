//! A chain with blocks ready to be executed and committed.

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, U256};
use dolmen_execution::{BlockLimits, Built, Executor, Transactions};
use dolmen_pool::VerifiedTransaction;
use dolmen_store::{Executed, State, Store};
use dolmen_types::{
    Block, Epochs, Genesis, Transaction,
    block::{BlockRules, Proposal, next_header},
};
use tempfile::TempDir;

use crate::{
    must,
    state::{BLOCK_BYTES, START_MS, accounts_genesis, open},
    transactions::{CHAIN_ID, Senders, Workload, verify},
};

/// Units of the token that each sender gets.
const TOKENS: u64 = 1_000_000;

/// Transactions in a fixed order.
#[derive(Clone)]
pub struct Queue(VecDeque<VerifiedTransaction>);

impl Transactions for Queue {
    fn next(&mut self) -> Option<VerifiedTransaction> {
        self.0.pop_front()
    }

    fn skip_sender(&mut self, sender: Address) {
        panic!("all transactions of the benchmark are valid, but one of {sender} is not");
    }
}

/// A chain of one workload: blocks that prepare it, then blocks of `txs` transactions each to measure with.
pub struct Blocks {
    /// Where databases go.
    dir: TempDir,
    genesis: Genesis,
    executor: Executor,
    /// At the last of the preparing blocks. Stays open, because the states read code from it.
    store: Store,
    preparing: Vec<Executed>,
    measured: Vec<Built>,
}

impl Blocks {
    /// Builds the chain: `count` blocks of `txs` transactions, from 1,000 senders. Databases go below `parent`.
    pub fn new(parent: &Path, workload: Workload, count: usize, txs: usize) -> Self {
        let dir = must("create a folder for databases", tempfile::tempdir_in(parent));
        let mut senders = Senders::new(1000);
        let genesis = accounts_genesis(senders.addresses());
        let store = open(&dir.path().join("main"), &genesis);
        let mut blocks = Self {
            dir,
            genesis,
            executor: Executor::new(CHAIN_ID, Epochs::ENDLESS),
            store,
            preparing: Vec::new(),
            measured: Vec::new(),
        };
        let mut token = Address::ZERO;
        if workload == Workload::Erc20 {
            let deployment;
            (deployment, token) = senders.deploy_token();
            blocks.prepare(vec![deployment]);
            let holders: Vec<_> = senders.addresses().collect();
            let hand_out = |to| senders.token_transfer(0, token, to, U256::from(TOKENS));
            blocks.prepare(holders.into_iter().map(hand_out).collect());
        }
        for block in 0..count {
            let transactions: Vec<_> =
                (0..txs).map(|index| senders.next(workload, token, block * txs + index)).collect();
            let built = blocks.build_next(&transactions);
            blocks.measured.push(built);
        }
        blocks
    }

    /// The parent of the first measured block, and its transactions in order.
    pub fn first(&self) -> (Arc<Block>, State, Queue) {
        let head = self.store.head();
        let transactions = self.measured[0].transactions.iter().cloned().collect();
        (head.block.clone(), head.state.clone(), Queue(transactions))
    }

    /// Builds a block as a proposer does.
    pub fn build(&self, parent: &Block, state: &State, transactions: &mut Queue) -> Built {
        let timestamp_ms = parent.timestamp_ms().unwrap_or(START_MS) + 20;
        let header = next_header(
            parent.header(),
            parent.hash(),
            Proposal { timestamp_ms, beneficiary: Address::ZERO },
            BlockRules::of(parent.header()),
        );
        let limits =
            BlockLimits { bytes_max: BLOCK_BYTES as usize, deadline: Instant::now() + Duration::from_secs(60) };
        must("build a block", self.executor.build(state, &self.store, header, transactions, limits))
    }

    /// A fresh database that stands before the first measured block. Removed with the folder it is in.
    pub fn fresh_store(&self) -> (TempDir, Store) {
        let dir = must("create a folder for a database", tempfile::tempdir_in(self.dir.path()));
        let store = open(dir.path(), &self.genesis);
        for executed in &self.preparing {
            must("commit a block", store.commit(executed, None));
        }
        (dir, store)
    }

    /// The measured blocks with what they yield, in order.
    pub fn measured(&self) -> impl Iterator<Item = &Executed> {
        self.measured.iter().map(|built| &built.executed)
    }

    fn prepare(&mut self, transactions: Vec<Transaction>) {
        let head = self.store.head();
        let mut queue = Queue(verify(&transactions).into());
        let executed = self.build(&head.block, &head.state, &mut queue).executed;
        check(&executed, transactions.len());
        must("commit a block", self.store.commit(&executed, None));
        self.preparing.push(executed);
    }

    fn build_next(&self, transactions: &[Transaction]) -> Built {
        let mut queue = Queue(verify(transactions).into());
        let built = match self.measured.last() {
            Some(last) => self.build(&last.executed.block, &last.executed.state, &mut queue),
            None => {
                let head = self.store.head();
                self.build(&head.block, &head.state, &mut queue)
            }
        };
        check(&built.executed, transactions.len());
        built
    }
}

/// A block of failed transactions would be fast, and measure nothing.
fn check(executed: &Executed, transactions: usize) {
    assert_eq!(executed.receipts.len(), transactions, "the block holds every transaction");
    let success = |receipt: &dolmen_types::Receipt| receipt.is_success();
    assert!(executed.receipts.iter().all(success), "every transaction succeeds");
}
