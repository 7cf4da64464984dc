//! Every rule of admission but EIP-7702's, with its message word for word.

use alloy_consensus::{TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use dolmen_types::Transaction;

use super::{BASE_FEE, CHAIN_ID, Fixture, address, config, sign, transfer, transfer_cost, unsigned};
use crate::{AddError, Added, Origin, Placement, PoolConfig};

fn refused(transaction: &Transaction) -> String {
    let fixture = Fixture::new();
    let error = fixture.add(transaction).unwrap_err();
    assert_eq!(fixture.counts(), (0, 0));
    error.to_string()
}

fn changed(change: impl FnOnce(&mut alloy_consensus::TxEip1559)) -> Transaction {
    let mut transaction = unsigned(0, 1);
    change(&mut transaction);
    sign(transaction, 1)
}

#[test]
fn every_type_is_taken() {
    let fixture = Fixture::new();
    let gas_price = u128::from(BASE_FEE);
    let to = TxKind::Call(Address::ZERO);
    let legacy = TxLegacy { chain_id: Some(CHAIN_ID), gas_price, gas_limit: 21_000, to, ..Default::default() };
    let listed = TxEip2930 { chain_id: CHAIN_ID, nonce: 1, gas_price, gas_limit: 21_000, to, ..Default::default() };
    let tuple = Authorization { chain_id: U256::ZERO, address: Address::ZERO, nonce: 0 };
    let set_code = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 3,
        gas_limit: 46_000,
        max_fee_per_gas: gas_price,
        authorization_list: vec![SignedAuthorization::new_unchecked(tuple, 0, U256::ZERO, U256::ZERO)],
        ..Default::default()
    };
    for transaction in [sign(legacy, 1), sign(listed, 1), transfer(1, 2, 0), sign(set_code, 1)] {
        let added = fixture.add(&transaction).unwrap();
        assert_eq!(added, Added { hash: *transaction.tx_hash(), placement: Placement::Pending, replaced: None });
    }
    assert_eq!(fixture.counts(), (4, 0));
}

#[test]
fn known() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 1)]);
    assert_eq!(fixture.add(&transfer(1, 0, 1)).unwrap_err().to_string(), "already known");
}

#[test]
fn shape() {
    let blob = sign(TxEip4844 { chain_id: CHAIN_ID, ..Default::default() }, 1);
    assert_eq!(refused(&blob), "transaction type not supported: 3 (supported: 0, 1, 2, 4)");
    let large = changed(|item| item.input = Bytes::from(vec![0; 131_072]));
    assert_eq!(refused(&large), "oversized data: transaction size 131180, limit 131072");
    let initcode = changed(|item| {
        item.to = TxKind::Create;
        item.input = Bytes::from(vec![0; 49_153]);
    });
    assert_eq!(refused(&initcode), "max initcode size exceeded: code size 49153, limit 49152");
    let empty = TxEip7702 { chain_id: CHAIN_ID, gas_limit: 21_000, max_fee_per_gas: 100, ..Default::default() };
    assert_eq!(refused(&sign(empty, 1)), "set code tx must have at least one authorization tuple");
}

#[test]
fn gas() {
    let cap = changed(|item| item.gas_limit = 16_777_217);
    assert_eq!(refused(&cap), "transaction gas limit too high (cap: 16777216, tx: 16777217)");
    let fixture = Fixture::with(PoolConfig { block_gas_limit: 1_000_000, ..config() });
    let block = changed(|item| item.gas_limit = 1_000_001);
    assert_eq!(fixture.add(&block).unwrap_err().to_string(), "exceeds block gas limit");
    let intrinsic = changed(|item| item.gas_limit = 20_999);
    assert_eq!(refused(&intrinsic), "intrinsic gas too low: gas 20999, minimum needed 21000");
    // Intrinsic 21,000 + 160 * 16 = 23,560, floor 21,000 + 160 * 40 = 27,400.
    let floor = changed(|item| {
        item.input = Bytes::from(vec![1; 160]);
        item.gas_limit = 27_399;
    });
    assert_eq!(refused(&floor), "insufficient gas for floor data gas cost: gas 27399, minimum needed 27400");
}

#[test]
fn fees() {
    let tip = changed(|item| item.max_priority_fee_per_gas = 102);
    assert!(refused(&tip).starts_with("max priority fee per gas higher than max fee per gas"));
    let low = changed(|item| (item.max_fee_per_gas, item.max_priority_fee_per_gas) = (99, 0));
    let message = |fee| {
        format!("max fee per gas less than block base fee: address {}, maxFeePerGas: {fee}, baseFee: 100", address(1))
    };
    assert_eq!(refused(&low), message(99));
    let to = TxKind::Call(Address::ZERO);
    let legacy = TxLegacy { chain_id: Some(CHAIN_ID), gas_price: 7, gas_limit: 21_000, to, ..Default::default() };
    assert_eq!(refused(&sign(legacy, 1)), message(7));
}

#[test]
fn signatures() {
    let other = changed(|item| item.chain_id = 1);
    assert_eq!(refused(&other), "invalid sender: invalid chain id for signer: have 1 want 1337");
    let to = TxKind::Call(Address::ZERO);
    let legacy = TxLegacy { gas_price: 100, gas_limit: 21_000, to, ..Default::default() };
    assert_eq!(refused(&sign(legacy, 1)), "only replay-protected (EIP-155) transactions allowed over RPC");
    let zero = alloy_primitives::Signature::new(U256::ZERO, U256::ONE, false);
    let zero = alloy_consensus::SignableTransaction::into_signed(unsigned(0, 1), zero).into();
    assert_eq!(refused(&zero), "invalid sender: invalid transaction v, r, s values");
}

#[test]
fn accounts() {
    assert_eq!(refused(&transfer(1, u64::MAX, 1)), "nonce has max value");
    let fixture = Fixture::new();
    fixture.set(1, |account| account.nonce = 5);
    assert_eq!(fixture.add(&transfer(1, 4, 1)).unwrap_err().to_string(), "nonce too low: next nonce 5, tx nonce 4");
    let error = fixture.add(&transfer(1, 4102, 1)).unwrap_err();
    assert_eq!(error.to_string(), "nonce too high: tx nonce 4102, gapped nonce 5");
    assert_eq!(fixture.add(&transfer(1, 4101, 1)).unwrap().placement, Placement::Queued);
    fixture.set(2, |account| account.has_code = true);
    let error = fixture.add(&transfer(2, 0, 1)).unwrap_err();
    assert_eq!(error.to_string(), format!("sender not an eoa: address {}", address(2)));
}

#[test]
fn funds() {
    let fixture = Fixture::new();
    let cost = transfer_cost(0);
    fixture.set(1, |account| account.balance = cost - U256::ONE);
    let error = fixture.add(&transfer(1, 0, 0)).unwrap_err();
    let expected = "insufficient funds for gas * price + value: balance 2099999, tx cost 2100000, overshot 1";
    assert_eq!(error.to_string(), expected);

    fixture.set(1, |account| account.balance = cost * U256::from(2));
    fixture.add_all(&[(1, 0, 0)]);
    let error = fixture.add(&transfer(1, 1, 1)).unwrap_err();
    let expected = "insufficient funds for gas * price + value: balance 4200000, queued cost 2100000, tx cost 2121000, \
                    overshot 21000";
    assert_eq!(error.to_string(), expected);
    fixture.add_all(&[(1, 1, 0)]);
    let error = fixture.add(&transfer(1, 0, 100)).unwrap_err();
    let expected = "insufficient funds for gas * price + value: balance 4200000, queued cost 4200000, tx bumped \
                    2100000, overshot 2100000";
    assert_eq!(error.to_string(), expected);
    assert_eq!(fixture.counts(), (2, 0));

    // Nobody has more than 2^256 - 1 wei to spend.
    fixture.set(2, |account| account.balance = U256::MAX);
    let mut overflow = unsigned(0, 0);
    overflow.value = U256::MAX;
    assert!(matches!(fixture.add(&sign(overflow.clone(), 2)), Err(AddError::InsufficientFunds { .. })));
    overflow.value = U256::MAX - cost;
    fixture.add(&sign(overflow, 2)).unwrap();
    let error = fixture.add(&transfer(2, 1, 0)).unwrap_err();
    assert!(matches!(error, AddError::InsufficientFundsAfterPending { .. }), "{error}");
}

#[test]
fn a_sender_is_bounded_by_bytes_too() {
    let large = |nonce, tip, bytes| {
        let mut large = unsigned(nonce, tip);
        (large.input, large.gas_limit) = (Bytes::from(vec![0; bytes]), 200_000);
        sign(large, 1)
    };
    let fixture = Fixture::with(PoolConfig {
        tx_bytes_max: 1500,
        queued_per_sender_bytes_max: 2500,
        per_sender_bytes_max: 4500,
        ..config()
    });
    for nonce in [2, 3] {
        assert_eq!(fixture.add(&large(nonce, 1, 1000)).unwrap().placement, Placement::Queued);
    }
    let full = Err(AddError::AccountLimitExceeded { pooled: 2 });
    assert_eq!(fixture.add(&large(4, 1, 1000)), full, "the queue of this sender");
    assert_eq!(fixture.add(&large(3, 200, 1350)), full, "a replacement that grows");
    // What closes the gap has room.
    for nonce in [0, 1] {
        assert_eq!(fixture.add(&large(nonce, 1, 1000)).unwrap().placement, Placement::Pending);
    }
    let full = Err(AddError::AccountLimitExceeded { pooled: 4 });
    assert_eq!(fixture.add(&large(4, 1, 1000)), full);
    assert_eq!(fixture.add(&large(0, 200, 1350)), full);
    fixture.add(&large(0, 200, 900)).unwrap();
    // Another sender has its own.
    fixture.add_all(&[(2, 0, 1)]);
}

#[test]
fn a_batch_gives_each_its_own_result() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 1)]);
    let mut batch: Vec<_> = (0..600).map(|nonce| transfer(1, nonce, 1)).collect();
    batch[300] = transfer(2, 0, 1);
    batch.push(changed(|item| item.chain_id = 1));
    let results = fixture.pool.add_batch(batch.into_iter().map(|item| (item, None)).collect(), Origin::Peer, 0);
    assert_eq!(results[0], Err(AddError::AlreadyKnown));
    assert!(matches!(results[600], Err(AddError::InvalidSender(_))));
    let errors = results.iter().filter_map(|result| result.as_ref().err());
    assert_eq!(errors.filter(|error| error.is_bad_signature()).count(), 1);
    assert!(results[1..300].iter().all(|result| result.as_ref().unwrap().placement == Placement::Pending));
    assert!(results[301..600].iter().all(|result| result.as_ref().unwrap().placement == Placement::Queued));
    assert_eq!(fixture.counts(), (301, 299));
}
