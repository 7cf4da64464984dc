//! Calls that leave no trace: `eth_call`, `eth_estimateGas`, `eth_createAccessList`.

use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Log, U256, map::HashMap};

/// A message call or contract creation, not signed.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Sender.
    pub from: Address,
    /// Callee; `None` creates a contract from `input`.
    pub to: Option<Address>,
    /// Gas limit; `None` gives the node's cap, and to an estimate no more than the block's limit.
    pub gas: Option<u64>,
    /// Gas price, or the fee cap where `priority_fee` is given; zero switches the base fee off, as Geth does.
    pub gas_price: u128,
    /// Priority fee cap of an EIP-1559 call.
    pub priority_fee: Option<u128>,
    /// Wei sent along.
    pub value: U256,
    /// Call data or init code.
    pub input: Bytes,
    /// EIP-2930 list.
    pub access_list: AccessList,
    /// EIP-7702 authorizations.
    pub authorization_list: Vec<SignedAuthorization>,
}

/// What to pretend about an account during a call (Geth's state overrides).
#[derive(Clone, Debug, Default)]
pub struct AccountOverride {
    /// Wei.
    pub balance: Option<U256>,
    /// Nonce.
    pub nonce: Option<u64>,
    /// Code.
    pub code: Option<Bytes>,
    /// The whole storage; every slot that is not listed is zero.
    pub state: Option<HashMap<B256, B256>>,
    /// Some slots; the others keep their value.
    pub state_diff: Option<HashMap<B256, B256>>,
}

/// Overrides by account.
pub type StateOverrides = HashMap<Address, AccountOverride>;

/// How a call ended.
#[derive(Clone, Debug)]
pub enum CallResult {
    /// It returned.
    Success {
        /// Gas used after refunds.
        gas_used: u64,
        /// Return data; the deployed code for a creation.
        output: Bytes,
        /// Logs emitted.
        logs: Vec<Log>,
    },
    /// It reverted, with the revert data.
    Revert {
        /// Gas used.
        gas_used: u64,
        /// Revert data (a Solidity `Error(string)`, `Panic(uint256)`, custom error or nothing).
        output: Bytes,
    },
    /// It ended in an exception and used all its gas.
    Halt {
        /// Gas used.
        gas_used: u64,
        /// Geth's words for the exception, such as `out of gas` or `invalid jump destination`.
        reason: String,
    },
}

/// Why a call could not be made or, for an estimate, cannot succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The message itself is invalid, in Geth's words (`insufficient funds for gas * price + value: ...`).
    #[error("{0}")]
    Invalid(String),
    /// The call reverts at any gas limit; carries the revert data.
    #[error("execution reverted")]
    Reverted(Bytes),
    /// The call fails at the highest gas limit allowed.
    #[error("gas required exceeds allowance ({0})")]
    GasExceedsAllowance(u64),
    /// The gas limit does not cover what the message costs before it runs (EIP-2028, EIP-7623).
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas {
        /// Its gas limit.
        have: u64,
        /// The least.
        want: u64,
    },
    /// An override gives code to a precompiled contract, which would run all the same.
    #[error("account {0} is a precompiled contract: its code cannot be overridden")]
    PrecompileCode(Address),
    /// An override both replaces and patches the storage of an account.
    #[error("account {0} has both 'state' and 'stateDiff'")]
    BothStateAndDiff(Address),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] dolmen_store::StoreError),
}
