//! Why the pool refuses a transaction, in Geth's words.

use alloy_primitives::{Address, U256};

use crate::{RecoveryError, VerifyError};

/// Why a transaction was not added. The messages are Geth's, since tools match on them.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddError {
    /// The pool holds this very transaction.
    #[error("already known")]
    AlreadyKnown,
    /// Not one of types 0, 1, 2, 4.
    #[error("transaction type not supported: {0} (supported: 0, 1, 2, 4)")]
    TypeNotSupported(u8),
    /// The EIP-2718 encoding is larger than the pool takes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Encoded bytes.
        size: usize,
        /// [`PoolConfig::tx_bytes_max`](crate::PoolConfig::tx_bytes_max).
        limit: usize,
    },
    /// A creation's initcode is larger than EIP-3860 allows.
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitcodeTooLarge {
        /// Bytes of initcode.
        size: usize,
        /// EIP-3860's limit.
        limit: usize,
    },
    /// The gas limit is above EIP-7825's cap.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh {
        /// 2^24.
        cap: u64,
        /// The transaction's gas limit.
        gas: u64,
    },
    /// The gas limit is above the block's.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit {
        /// The block's gas limit.
        limit: u64,
        /// The transaction's gas limit.
        gas: u64,
    },
    /// EIP-1559: the tip cap is above the fee cap.
    #[error("max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}")]
    TipAboveFeeCap {
        /// Max priority fee per gas, wei.
        tip: u128,
        /// Max fee per gas, wei.
        fee: u128,
    },
    /// EIP-2681: nonce 2^64 - 1 cannot be used.
    #[error("nonce has max value")]
    NonceMax,
    /// The gas limit does not cover the intrinsic gas.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {minimum}")]
    IntrinsicGas {
        /// The transaction's gas limit.
        gas: u64,
        /// Its intrinsic gas.
        minimum: u64,
    },
    /// The gas limit does not cover EIP-7623's floor.
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {minimum}")]
    FloorDataGas {
        /// The transaction's gas limit.
        gas: u64,
        /// Its floor.
        minimum: u64,
    },
    /// EIP-7702: a type 4 transaction without authorizations.
    #[error("set code tx must have at least one authorization tuple")]
    NoAuthorizations,
    /// Pre-EIP-155 signature, valid on every chain.
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    /// The signature yields no sender on this chain.
    #[error("invalid sender: {0}")]
    InvalidSender(VerifyError),
    /// The fee cap (or gas price) is below the chain's base fee.
    #[error("max fee per gas less than block base fee: address {sender}, maxFeePerGas: {fee}, baseFee: {base_fee}")]
    FeeCapTooLow {
        /// The sender.
        sender: Address,
        /// Max fee per gas or gas price, wei.
        fee: u128,
        /// The chain's base fee, wei.
        base_fee: u64,
    },
    /// The chain lets only some accounts send.
    #[error(
        "sender {0} is not permitted to send transactions: ask an organisation of the chain for a SetPermission proposal"
    )]
    MayNotSend(Address),
    /// The chain lets only some accounts deploy.
    #[error(
        "sender {0} is not permitted to deploy contracts: ask an organisation of the chain for a SetPermission proposal"
    )]
    MayNotDeploy(Address),
    /// EIP-3607: the sender has code.
    #[error("sender not an eoa: address {0}")]
    SenderNotEoa(Address),
    /// The nonce was used.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's next nonce.
        next: u64,
        /// The transaction's nonce.
        nonce: u64,
    },
    /// The nonce is further ahead than the pool keeps.
    #[error("nonce too high: tx nonce {nonce}, gapped nonce {gapped}")]
    NonceTooHigh {
        /// The transaction's nonce.
        nonce: u64,
        /// The sender's next executable nonce.
        gapped: u64,
    },
    /// The balance does not pay for this transaction alone.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        overshot(.balance, &U256::ZERO, .cost)
    )]
    InsufficientFunds {
        /// Finalized balance, wei.
        balance: U256,
        /// Gas limit * fee cap + value, wei.
        cost: U256,
    },
    /// The balance does not pay for this transaction after the sender's pending ones.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, \
         overshot {}",
        overshot(.balance, .queued, .cost)
    )]
    InsufficientFundsAfterPending {
        /// Finalized balance, wei.
        balance: U256,
        /// Cost of the sender's pending transactions, wei.
        queued: U256,
        /// Gas limit * fee cap + value, wei.
        cost: U256,
    },
    /// The balance does not pay for the sender's pending transactions with this replacement.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx bumped {bumped}, \
         overshot {}",
        overshot(.balance, .queued, .bumped)
    )]
    InsufficientFundsForReplacement {
        /// Finalized balance, wei.
        balance: U256,
        /// Cost of the sender's pending transactions, wei.
        queued: U256,
        /// What the replacement adds, wei.
        bumped: U256,
    },
    /// The sender has as many transactions here, or bytes of them, as it may have.
    #[error("account limit exceeded: pooled {pooled} txs")]
    AccountLimitExceeded {
        /// The sender's transactions in the pool.
        pooled: usize,
    },
    /// The sender is a delegated account (EIP-7702), or will be once a transaction of the pool is executed, and has an
    /// executable transaction here: another account may empty it, so it has no more than one.
    #[error("in-flight transaction limit reached for delegated accounts")]
    InFlightLimit,
    /// The same of a sender without an executable transaction here: its first must be the next.
    #[error("gapped-nonce tx from delegated accounts")]
    GappedDelegated,
    /// An EIP-7702 authorization of an account that has more than one transaction here.
    #[error("authority already reserved")]
    AuthorityReserved,
    /// A replacement that does not pay enough more than what it would replace.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// Nobody could check the signature; it may be valid.
    #[error(transparent)]
    NotChecked(RecoveryError),
    /// The pool is full and holds nothing that is worth less.
    #[error("txpool is full")]
    PoolFull,
}

impl AddError {
    /// Whether the signature is not valid on this chain: no box that checked it announces such a transaction.
    pub const fn is_bad_signature(&self) -> bool {
        matches!(self, Self::InvalidSender(_) | Self::Unprotected)
    }
}

/// What is missing, wei: the error does not carry it, being large enough.
fn overshot(balance: &U256, queued: &U256, cost: &U256) -> U256 {
    queued.saturating_add(*cost).saturating_sub(*balance)
}

impl From<VerifyError> for AddError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::TypeNotSupported(ty) => Self::TypeNotSupported(ty),
            VerifyError::Unprotected => Self::Unprotected,
            VerifyError::Recovery(error) => Self::NotChecked(error),
            other => Self::InvalidSender(other),
        }
    }
}
