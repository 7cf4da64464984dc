//! Executing transactions: blocks on a state, and calls that leave no trace.
//!
//! Standard Ethereum rules at the [`FORK`] through revm. The same [`Executor::execute`] runs for the proposer, for a
//! voter before its vote and for a box that catches up, so a finalized block's roots were computed by a quorum.

mod ask;
mod block;
mod call;
mod diff;
mod env;
mod genesis;
mod permissions;
mod precompiles;
mod simulate;
mod state_db;

pub use ask::{AskError, EpochPreview};
pub use block::{BlockLimits, Built, ExecutionError, Outcome, Transactions};
pub use call::{AccountOverride, Call, CallError, CallResult, StateOverrides};
pub use env::FORK;
pub use genesis::{OriginError, origin};
pub use permissions::Permissions;
pub use simulate::CallSite;
pub use state_db::BlockHashes;

use dolmen_types::Epochs;
use state_db::CodeCache;

/// Executes blocks and calls of one chain. Shared by all threads of a node.
pub struct Executor {
    chain_id: u64,
    epochs: Epochs,
    codes: CodeCache,
}

impl Executor {
    /// An executor for the chain with this EIP-155 id and these epochs.
    pub fn new(chain_id: u64, epochs: Epochs) -> Self {
        Self { chain_id, epochs, codes: CodeCache::default() }
    }

    /// The epoch that ends with the block at a height, where one does.
    fn epoch_ending_at(&self, height: u64) -> Option<u64> {
        self.epochs.is_last(height).then(|| self.epochs.of(height))
    }
}
