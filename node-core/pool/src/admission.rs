//! The rules that a transaction is checked against alone and against its sender's account.
//!
//! The order is Geth's, with one exception: whatever needs no sender is checked before the signature, so that a
//! transaction that cannot be taken costs no recovery.

use alloy_consensus::{Transaction as _, Typed2718 as _};
use alloy_eips::{eip2718::Encodable2718 as _, eip7825::MAX_TX_GAS_LIMIT_OSAKA};
use alloy_primitives::{Address, U256};
use dolmen_types::Transaction;

use crate::{AccountView, AddError, PoolConfig, intrinsic_gas};

/// EIP-3860: twice EIP-170's 24,576 bytes of code.
pub(crate) const INITCODE_BYTES_MAX: usize = 49_152;

/// Checks everything that needs neither sender nor state.
pub(crate) fn check_alone(transaction: &Transaction, config: &PoolConfig) -> Result<(), AddError> {
    if transaction.is_eip4844() {
        return Err(AddError::TypeNotSupported(transaction.ty()));
    }
    let (size, limit) = (transaction.encode_2718_len(), config.tx_bytes_max);
    if size > limit {
        return Err(AddError::Oversized { size, limit });
    }
    let size = transaction.input().len();
    if transaction.is_create() && size > INITCODE_BYTES_MAX {
        return Err(AddError::InitcodeTooLarge { size, limit: INITCODE_BYTES_MAX });
    }
    check_gas(transaction, config)?;
    if transaction.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err(AddError::NoAuthorizations);
    }
    Ok(())
}

fn check_gas(transaction: &Transaction, config: &PoolConfig) -> Result<(), AddError> {
    let gas = transaction.gas_limit();
    if gas > MAX_TX_GAS_LIMIT_OSAKA {
        return Err(AddError::GasLimitTooHigh { cap: MAX_TX_GAS_LIMIT_OSAKA, gas });
    }
    if gas > config.block_gas_limit {
        return Err(AddError::ExceedsBlockGasLimit { limit: config.block_gas_limit, gas });
    }
    let (fee, tip) = (transaction.max_fee_per_gas(), transaction.priority_fee_or_price());
    if tip > fee {
        return Err(AddError::TipAboveFeeCap { tip, fee });
    }
    if transaction.nonce() == u64::MAX {
        return Err(AddError::NonceMax);
    }
    let needed = intrinsic_gas(transaction);
    if gas < needed.intrinsic {
        return Err(AddError::IntrinsicGas { gas, minimum: needed.intrinsic });
    }
    if gas < needed.floor {
        return Err(AddError::FloorDataGas { gas, minimum: needed.floor });
    }
    Ok(())
}

/// Checks a transaction against its sender's account, leaving out what else the sender has in the pool. Gives the most
/// wei that it can take from the account.
pub(crate) fn check_account(
    transaction: &Transaction,
    sender: Address,
    account: &AccountView,
    config: &PoolConfig,
) -> Result<U256, AddError> {
    let (fee, base_fee) = (transaction.max_fee_per_gas(), config.base_fee_per_gas);
    if fee < u128::from(base_fee) {
        return Err(AddError::FeeCapTooLow { sender, fee, base_fee });
    }
    if account.has_code {
        return Err(AddError::SenderNotEoa(sender));
    }
    if account.may_not_send {
        return Err(AddError::MayNotSend(sender));
    }
    if account.may_not_deploy && transaction.is_create() {
        return Err(AddError::MayNotDeploy(sender));
    }
    let (next, nonce) = (account.nonce, transaction.nonce());
    if nonce < next {
        return Err(AddError::NonceTooLow { next, nonce });
    }
    // 64 and 128 bits: the product fits.
    let fees = U256::from(transaction.gas_limit()) * U256::from(transaction.max_fee_per_gas());
    let (balance, cost) = (account.balance, fees.checked_add(transaction.value()));
    cost.filter(|cost| *cost <= balance).ok_or(AddError::InsufficientFunds { balance, cost: cost.unwrap_or(U256::MAX) })
}

/// What the proposer earns per gas, wei.
pub(crate) fn effective_tip(transaction: &Transaction, base_fee: u64) -> u128 {
    transaction.effective_tip_per_gas(base_fee).unwrap_or(0)
}

/// Whether `new` pays enough more than `old` to take its place: on fee cap and on tip cap, more, and at least
/// `bump_percent` more.
pub(crate) fn outbids(new: &Transaction, old: &Transaction, bump_percent: u64) -> bool {
    let enough = |new: u128, old: u128| {
        let threshold = U256::from(old) * U256::from(100 + bump_percent) / U256::from(100);
        new > old && U256::from(new) >= threshold
    };
    enough(new.max_fee_per_gas(), old.max_fee_per_gas())
        && enough(new.priority_fee_or_price(), old.priority_fee_or_price())
}
