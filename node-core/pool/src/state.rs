//! What the pool needs to know of the chain's state.

use alloy_primitives::{Address, U256};

/// One account in the latest finalized state; an absent account is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountView {
    /// Next nonce that the chain accepts.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// The account has code that is not an EIP-7702 delegation designator, so it may not send (EIP-3607).
    pub has_code: bool,
    /// The account's code is such a designator: others can make it spend, so the pool takes one transaction at a time.
    pub delegated: bool,
    /// The chain asks for a permission to send transactions, and the account lacks it.
    pub may_not_send: bool,
    /// The chain asks for a permission to deploy contracts, and the account lacks it.
    pub may_not_deploy: bool,
}

/// Reads the latest finalized state.
///
/// A block's changes must be visible here before [`Pool::finalized`](crate::Pool::finalized) is called for it. Reads
/// happen outside the pool's lock, except for a transaction that arrives in the instant of a finalization.
pub trait StateSource: Send + Sync {
    /// The account, or its default where the state has none.
    fn account(&self, address: &Address) -> AccountView;
}
