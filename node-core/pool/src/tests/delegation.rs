//! EIP-7702: what delegated accounts may have in the pool, and what authorizations cost it.

use alloy_consensus::TxEip7702;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, U256};
use dolmen_types::Transaction;

use super::{BASE_FEE, CHAIN_ID, Fixture, config, sign, sign_hash, transfer};
use crate::{AddError, Placement, PoolConfig};

/// A transaction of `key` that delegates `authorities`.
fn set_code(key: u8, nonce: u64, tip: u128, authorities: &[u8]) -> Transaction {
    let signed = |authority: &u8| {
        let tuple = Authorization { chain_id: U256::from(CHAIN_ID), address: Address::repeat_byte(7), nonce: 0 };
        let signature = sign_hash(tuple.signature_hash(), *authority);
        tuple.into_signed(signature)
    };
    let unsigned = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: u128::from(BASE_FEE) + tip,
        max_priority_fee_per_gas: tip,
        authorization_list: authorities.iter().map(signed).collect(),
        ..Default::default()
    };
    sign(unsigned, key)
}

const IN_FLIGHT: &str = "in-flight transaction limit reached for delegated accounts";

#[test]
fn a_delegated_account_has_one_transaction() {
    let fixture = Fixture::new();
    fixture.set(1, |account| account.delegated = true);
    let error = fixture.add(&transfer(1, 1, 1)).unwrap_err();
    assert_eq!(error.to_string(), "gapped-nonce tx from delegated accounts");
    fixture.add_all(&[(1, 0, 1)]);
    assert_eq!(fixture.add(&transfer(1, 1, 1)).unwrap_err().to_string(), IN_FLIGHT);
    assert_eq!(fixture.add(&transfer(1, 2, 1)).unwrap_err().to_string(), IN_FLIGHT);
    assert!(fixture.add(&transfer(1, 0, 200)).unwrap().replaced.is_some());
    fixture.finalize(1, |account| account.nonce = 1);
    fixture.add_all(&[(1, 1, 1)]);
    // The delegation is cleared.
    fixture.finalize(1, |account| account.delegated = false);
    fixture.add_all(&[(1, 2, 1)]);
    assert_eq!(fixture.counts(), (2, 0));
}

#[test]
fn so_has_an_account_that_the_pool_would_delegate() {
    let fixture = Fixture::new();
    // Twice the same authority: it counts until both are gone.
    fixture.add(&set_code(1, 0, 1, &[2, 2, 3])).unwrap();
    fixture.add_all(&[(2, 0, 1)]);
    assert_eq!(fixture.add(&transfer(2, 1, 1)), Err(AddError::InFlightLimit));
    assert_eq!(fixture.add(&transfer(3, 1, 1)), Err(AddError::GappedDelegated));
    // Replaced by one that delegates only 3.
    fixture.add(&set_code(1, 0, 200, &[3])).unwrap();
    fixture.add_all(&[(2, 1, 1)]);
    assert_eq!(fixture.add(&transfer(3, 1, 1)), Err(AddError::GappedDelegated));
    fixture.finalize(1, |account| account.nonce = 1);
    assert_eq!(fixture.add(&transfer(3, 1, 1)).unwrap().placement, Placement::Queued);
    assert!(fixture.pool.lock().index.authorities.is_empty());
}

#[test]
fn an_account_with_more_than_one_transaction_is_not_delegated() {
    let fixture = Fixture::new();
    fixture.add_all(&[(2, 0, 1), (3, 0, 1), (3, 1, 1)]);
    fixture.add(&set_code(1, 0, 1, &[2])).unwrap();
    let error = fixture.add(&set_code(1, 1, 1, &[4, 3])).unwrap_err();
    assert_eq!(error.to_string(), "authority already reserved");
    // A box may delegate its own account.
    fixture.add(&set_code(5, 0, 1, &[5])).unwrap();
    assert_eq!(fixture.add(&transfer(5, 1, 1)), Err(AddError::InFlightLimit));
}

/// What is completed is cached, so the cache counts the transactions whose authorizations were recovered.
#[test]
fn what_the_pool_would_refuse_costs_no_recovery_of_authorities() {
    let fixture =
        Fixture::with(PoolConfig { transactions_max: 3, per_sender_max: 2, queued_per_sender_max: 1, ..config() });
    fixture.add_all(&[(1, 0, 10), (1, 1, 10)]);
    fixture.set(2, |account| account.delegated = true);
    fixture.add_all(&[(2, 0, 10)]);
    let held = fixture.cache.len();
    let refusals = [
        (set_code(1, 0, 10, &[4]), AddError::ReplacementUnderpriced),
        (set_code(1, 5000, 10, &[4]), AddError::NonceTooHigh { nonce: 5000, gapped: 2 }),
        (set_code(1, 2, 10, &[4]), AddError::AccountLimitExceeded { pooled: 2 }),
        (set_code(2, 1, 10, &[4]), AddError::InFlightLimit),
        (set_code(3, 0, 10, &[4]), AddError::PoolFull),
    ];
    for (transaction, error) in refusals {
        assert_eq!(fixture.add(&transaction), Err(error));
        assert_eq!(fixture.cache.len(), held);
    }
    fixture.add(&set_code(3, 0, 11, &[4])).unwrap();
    assert_eq!(fixture.cache.len(), held + 1);
}
