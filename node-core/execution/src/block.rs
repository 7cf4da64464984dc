//! Building a block from the pool's best transactions, and executing a block that somebody else built.

use std::{sync::Arc, time::Instant};

use alloy_consensus::{Header, Transaction as _};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY};
use dolmen_governance::{Permission, requests_hash};
use dolmen_pool::VerifiedTransaction;
use dolmen_store::{Executed, State, StateDiff, StateReader, StoreError};
use dolmen_types::{
    Block, Receipt,
    block::{BlockError, TRANSACTION_GAS_MIN},
    receipt,
};
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, SystemCallCommitEvm as _,
    context::result::{EVMError, ExecutionResult, InvalidTransaction},
    database::{State as EvmState, states::bundle_state::BundleRetention},
    database_interface::bal::EvmDatabaseError,
    handler::{MainnetContext, MainnetEvm},
};

use crate::{
    BlockHashes, Executor, Permissions, diff, env,
    precompiles::precompiles,
    state_db::{EvmError, StateDb, StateError},
};

/// Bounds of a block that this box builds.
#[derive(Clone, Copy, Debug)]
pub struct BlockLimits {
    /// Encoded size of the whole block.
    pub bytes_max: usize,
    /// When to stop adding transactions, so that voters, who execute the same, finish within the view.
    pub deadline: Instant,
}

/// Bytes of a block that are not transactions: its header (at most 700 bytes) and list headers.
const BLOCK_OVERHEAD_BYTES: usize = 1024;

/// Where less room is left, the block is full: a transfer takes as much, unless its signature has leading zeros.
const TRANSACTION_BYTES_MIN: usize = 96;

/// The search for one that fits ends after so many in a row that do not: in a nearly full block it would else walk
/// every sender in the pool.
const MISFITS_MAX: usize = 64;

/// A source of transactions for a new block, best first.
pub trait Transactions {
    /// The best one left.
    fn next(&mut self) -> Option<VerifiedTransaction>;
    /// Leaves out all further transactions of a sender, because the last one did not fit or is not valid.
    fn skip_sender(&mut self, sender: Address);
}

/// What executing transactions in order yields.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One a transaction.
    pub receipts: Vec<Receipt>,
    /// Sum over the transactions.
    pub gas_used: u64,
    /// Everything that changed.
    pub diff: StateDiff,
    /// The next epoch and its record, after an epoch's last block.
    pub record: Option<(u64, Bytes)>,
}

impl Outcome {
    /// What the block's `requestsHash` must be: the next epoch's record is the only request that there is.
    fn requests_hash(&self) -> B256 {
        self.record.as_ref().map_or(EMPTY_REQUESTS_HASH, |(_, record)| requests_hash(record))
    }
}

/// A block that this box built, with the transactions it holds.
pub struct Built {
    /// The block and what it yields.
    pub executed: Executed,
    /// Its transactions.
    pub transactions: Vec<VerifiedTransaction>,
}

/// Why a block is not valid, or could not be executed.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// A rule that needs no state.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A transaction that cannot be in this place of this block.
    #[error("transaction {index} is not valid here")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// What revm found.
        #[source]
        source: InvalidTransaction,
    },
    /// The transactions' gas limits do not fit the block.
    #[error("transaction {index} does not fit the block's gas limit")]
    GasLimit {
        /// Its place in the block.
        index: usize,
    },
    /// A transaction whose sender may not send it.
    #[error("the sender of transaction {index} lacks the permission to {}", match .lacking { Permission::Send => "send", Permission::Deploy => "deploy" })]
    NotPermitted {
        /// Its place in the block.
        index: usize,
        /// What it lacks.
        lacking: Permission,
    },
    /// The governance contract failed, which it never should.
    #[error("the governance contract failed in {call}: {reason}")]
    Governance {
        /// What was called.
        call: &'static str,
        /// How it ended.
        reason: String,
    },
    /// The header claims another result.
    #[error("header field `{field}` is {claimed}, executing the block gives {found}")]
    Result {
        /// The field.
        field: &'static str,
        /// Its value in the header.
        claimed: String,
        /// The value found.
        found: String,
    },
    /// This box could not read its state; says nothing about the block.
    #[error(transparent)]
    State(#[from] StoreError),
    /// Nobody waits for the result any more; says nothing about the block.
    #[error("the execution was cancelled")]
    Cancelled,
    /// revm refused for a reason of its own; says nothing about the block.
    #[error("the EVM failed: {0}")]
    Evm(String),
}

impl ExecutionError {
    /// Whether the block is to blame, rather than this box.
    pub const fn is_invalid_block(&self) -> bool {
        !matches!(self, Self::State(_) | Self::Evm(_) | Self::Governance { .. } | Self::Cancelled)
    }
}

impl Executor {
    /// Executes `block` on `parent`, the state after its parent block, and checks every result in its header.
    /// `transactions` are the block's own, with verified signatures, in order. `cancelled` is asked before each of them:
    /// a proposer may fill a block with work that takes longer than its view.
    pub fn execute(
        &self,
        parent: &State,
        hashes: &dyn BlockHashes,
        block: Arc<Block>,
        transactions: &[VerifiedTransaction],
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Executed, ExecutionError> {
        let header = block.header();
        let outcome = self.run(parent, hashes, header, |run| {
            for (index, transaction) in transactions.iter().enumerate() {
                if cancelled() {
                    return Err(ExecutionError::Cancelled);
                }
                run.check_gas(transaction, index)?;
                run.check_permission(transaction, index)?;
                run.transact(transaction).map_err(|error| from_evm(error, index))?;
            }
            Ok(())
        })?;
        let state = parent.apply(&outcome.diff, header.number);
        check("gasUsed", header.gas_used, outcome.gas_used)?;
        check("receiptsRoot", header.receipts_root, receipt::root(&outcome.receipts))?;
        check("logsBloom", header.logs_bloom, receipt::bloom(&outcome.receipts))?;
        check("stateRoot", header.state_root, state.root())?;
        check("requestsHash", header.requests_hash.unwrap_or_default(), outcome.requests_hash())?;
        Ok(Executed { receipts: outcome.receipts, diff: outcome.diff, record: outcome.record, state, block })
    }

    /// Builds a block on `parent` from the best transactions, leaving out those that are not valid on it. `header`
    /// comes from [`dolmen_types::block::next_header`].
    pub fn build(
        &self,
        parent: &State,
        hashes: &dyn BlockHashes,
        mut header: Header,
        source: &mut dyn Transactions,
        limits: BlockLimits,
    ) -> Result<Built, ExecutionError> {
        let mut taken = Vec::new();
        let outcome = self.run(parent, hashes, &header, |run| {
            let (mut room, mut misfits) = (limits.bytes_max.saturating_sub(BLOCK_OVERHEAD_BYTES), 0);
            while misfits < MISFITS_MAX && room >= TRANSACTION_BYTES_MIN && run.gas_left() >= TRANSACTION_GAS_MIN {
                let Some(transaction) = source.next().filter(|_| Instant::now() < limits.deadline) else { break };
                if transaction.block_len() > room || run.check_gas(&transaction, taken.len()).is_err() {
                    source.skip_sender(transaction.sender());
                    misfits += 1;
                    continue;
                }
                match run.check_permission(&transaction, taken.len()) {
                    Ok(()) => {}
                    Err(ExecutionError::NotPermitted { .. }) => {
                        source.skip_sender(transaction.sender());
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                match run.transact(&transaction) {
                    Ok(()) => {
                        room -= transaction.block_len();
                        misfits = 0;
                        taken.push(transaction);
                    }
                    // Used by an ancestor that the source does not know of; what follows it may be the next.
                    Err(EVMError::Transaction(InvalidTransaction::NonceTooLow { .. })) => {}
                    Err(EVMError::Transaction(_)) => source.skip_sender(transaction.sender()),
                    Err(error) => return Err(from_evm(error, taken.len())),
                }
            }
            Ok(())
        })?;
        let state = parent.apply(&outcome.diff, header.number);
        header.gas_used = outcome.gas_used;
        header.receipts_root = receipt::root(&outcome.receipts);
        header.logs_bloom = receipt::bloom(&outcome.receipts);
        header.state_root = state.root();
        header.requests_hash = Some(outcome.requests_hash());
        let block = Block::seal(header, taken.iter().map(|transaction| transaction.transaction().clone()).collect())
            .with_sender_hints(taken.iter().map(VerifiedTransaction::sender).collect());
        let Outcome { receipts, diff, record, .. } = outcome;
        let executed = Executed { block: Arc::new(block), receipts, diff, state, record };
        Ok(Built { executed, transactions: taken })
    }

    /// Runs the system calls that open a block, then `body`, then those that close it.
    fn run(
        &self,
        parent: &dyn StateReader,
        hashes: &dyn BlockHashes,
        header: &Header,
        body: impl FnOnce(&mut Run<'_, '_>) -> Result<(), ExecutionError>,
    ) -> Result<Outcome, ExecutionError> {
        let db = StateDb { reader: parent, hashes, codes: &self.codes };
        let mut state = EvmState::builder().with_database_ref(db).with_bundle_update().build();
        let evm = Context::mainnet()
            .with_db(&mut state)
            .with_cfg(env::cfg(self.chain_id))
            .with_block(env::block(header))
            .build_mainnet()
            .with_precompiles(precompiles());
        let permissions = Permissions::of(parent)?;
        let mut run = Run { evm, permissions, gas_limit: header.gas_limit, outcome: Outcome::default() };
        run.system_call(parent, HISTORY_STORAGE_ADDRESS, header.parent_hash)?;
        if let Some(root) = header.parent_beacon_block_root {
            run.system_call(parent, BEACON_ROOTS_ADDRESS, root)?;
        }
        let governed = has_code(parent, &dolmen_governance::ADDRESS)?;
        if governed {
            run.govern("beforeBlock", dolmen_governance::before_block())?;
        }
        body(&mut run)?;
        if let Some(epoch) = self.epoch_ending_at(header.number).filter(|_| governed) {
            let answer = run.govern("endEpoch", dolmen_governance::end_epoch())?;
            let failed = || ExecutionError::Governance { call: "endEpoch", reason: "it answers with no record".into() };
            run.outcome.record = Some((epoch + 1, dolmen_governance::record_in(&answer).ok_or_else(failed)?));
        }
        let mut outcome = run.outcome;
        state.merge_transitions(BundleRetention::PlainState);
        outcome.diff = diff::state_diff(state.take_bundle());
        Ok(outcome)
    }
}

type Database<'a> = EvmState<revm::database_interface::WrapDatabaseRef<StateDb<'a>>>;

/// A block in execution.
struct Run<'r, 'd> {
    evm: MainnetEvm<MainnetContext<&'r mut Database<'d>>>,
    permissions: Permissions<'d>,
    gas_limit: u64,
    outcome: Outcome,
}

impl Run<'_, '_> {
    /// Calls a system contract (EIP-2935, EIP-4788) where the chain has it.
    fn system_call(&mut self, parent: &dyn StateReader, contract: Address, input: B256) -> Result<(), ExecutionError> {
        if has_code(parent, &contract)? {
            let input = Bytes::copy_from_slice(input.as_slice());
            self.evm.system_call_commit(contract, input).map_err(|error| from_evm(error, 0))?;
        }
        Ok(())
    }

    /// Calls the governance contract; its logs are nobody's, as those of other system calls.
    fn govern(&mut self, call: &'static str, input: Bytes) -> Result<Bytes, ExecutionError> {
        let result = self.evm.system_call_commit(dolmen_governance::ADDRESS, input);
        match result.map_err(|error| from_evm(error, 0))? {
            ExecutionResult::Success { output, .. } => Ok(output.into_data()),
            other => Err(ExecutionError::Governance { call, reason: format!("{other:?}") }),
        }
    }

    fn check_permission(&self, transaction: &VerifiedTransaction, index: usize) -> Result<(), ExecutionError> {
        match self.permissions.lacking(&transaction.sender(), transaction.transaction())? {
            Some(lacking) => Err(ExecutionError::NotPermitted { index, lacking }),
            None => Ok(()),
        }
    }

    const fn gas_left(&self) -> u64 {
        self.gas_limit.saturating_sub(self.outcome.gas_used)
    }

    fn check_gas(&self, transaction: &VerifiedTransaction, index: usize) -> Result<(), ExecutionError> {
        if transaction.transaction().gas_limit() > self.gas_left() {
            Err(ExecutionError::GasLimit { index })
        } else {
            Ok(())
        }
    }

    fn transact(&mut self, transaction: &VerifiedTransaction) -> Result<(), EvmError> {
        let result = self.evm.transact_commit(env::transaction(transaction))?;
        self.outcome.gas_used += result.tx_gas_used();
        let success = matches!(result, ExecutionResult::Success { .. });
        // A failed transaction's logs are undone with it.
        let logs = if success { result.into_logs() } else { Vec::new() };
        self.outcome.receipts.push(receipt::receipt(transaction.transaction(), success, self.outcome.gas_used, logs));
        Ok(())
    }
}

fn has_code(state: &dyn StateReader, address: &Address) -> Result<bool, StoreError> {
    Ok(state.account(address)?.is_some_and(|account| account.code_hash != KECCAK256_EMPTY))
}

fn from_evm(error: EvmError, index: usize) -> ExecutionError {
    match error {
        EVMError::Transaction(source) => ExecutionError::Transaction { index, source },
        EVMError::Database(EvmDatabaseError::Database(StateError(error))) => ExecutionError::State(error),
        error => ExecutionError::Evm(error.to_string()),
    }
}

fn check<T: PartialEq + ToString>(field: &'static str, claimed: T, found: T) -> Result<(), ExecutionError> {
    if claimed == found {
        return Ok(());
    }
    Err(ExecutionError::Result { field, claimed: claimed.to_string(), found: found.to_string() })
}

#[cfg(test)]
mod tests;
