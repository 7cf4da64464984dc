//! Signatures, and the cache of checked ones.

use alloy_consensus::{SignableTransaction as _, crypto::SECP256K1N_HALF};
use alloy_consensus::{Signed, Transaction as _, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2718::Encodable2718 as _,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address as addr, b256, hex, uint};
use dolmen_types::{Transaction, transaction};

use super::{CHAIN_ID, address, sign, sign_hash, signatures, transfer, unsigned, verify};
use crate::VerifyError;

/// The order of secp256k1's group.
const N: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

fn legacy(chain_id: Option<u64>) -> TxLegacy {
    TxLegacy { chain_id, gas_limit: 21_000, to: TxKind::Call(Address::ZERO), ..Default::default() }
}

#[test]
fn every_type_yields_its_sender() {
    let set_code = TxEip7702 { chain_id: CHAIN_ID, ..Default::default() };
    let transactions = [
        sign(legacy(Some(CHAIN_ID)), 1),
        sign(TxEip2930 { chain_id: CHAIN_ID, ..Default::default() }, 1),
        transfer(1, 7, 1),
        sign(set_code, 1),
    ];
    for transaction in transactions {
        let verified = verify(transaction.clone(), CHAIN_ID).unwrap();
        assert_eq!(verified.sender(), address(1));
        assert_eq!(verified.hash(), *transaction.tx_hash());
        assert_eq!(verified.nonce(), transaction.nonce());
        assert_eq!(verified.encoded_len(), transaction.encoded_2718().len());
        assert_eq!(verified.block_len(), dolmen_types::block::transaction_len(&transaction));
        assert_eq!(*verified.transaction(), transaction);
    }
}

/// EIP-155's own example.
#[test]
fn eip_155_vector() {
    let raw = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340b"
        "d939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64"
        "214b297fb1966a3b6d83"
    );
    let verified = verify(transaction::decode(&raw).unwrap(), 1).unwrap();
    assert_eq!(verified.sender(), addr!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"));
    assert_eq!(verified.hash(), b256!("33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788"));
}

#[test]
fn chains_and_types_that_are_refused() {
    let error = verify(sign(legacy(None), 1), CHAIN_ID).unwrap_err();
    assert_eq!(error, VerifyError::Unprotected);
    let error = verify(transfer(1, 0, 1), 1).unwrap_err();
    assert_eq!(error.to_string(), "invalid chain id for signer: have 1337 want 1");
    let blob = sign(TxEip4844 { chain_id: CHAIN_ID, ..Default::default() }, 1);
    assert_eq!(verify(blob, CHAIN_ID).unwrap_err(), VerifyError::TypeNotSupported(3));
}

#[test]
fn signatures_that_are_refused() {
    let good = sign_hash(unsigned(0, 1).signature_hash(), 1);
    let with = |r, s, parity| unsigned(0, 1).into_signed(Signature::new(r, s, parity)).into();
    // The other half's twin, which libsecp256k1 would recover to the same sender.
    let malleated: Transaction = with(good.r(), N - good.s(), !good.v());
    let refused = [
        malleated,
        with(U256::ZERO, good.s(), good.v()),
        with(good.r(), U256::ZERO, good.v()),
        with(N, good.s(), good.v()),
        with(good.r(), SECP256K1N_HALF + U256::ONE, good.v()),
        // x = 5 is on no point of the curve.
        with(U256::from(5), good.s(), good.v()),
    ];
    for transaction in refused {
        assert_eq!(verify(transaction, CHAIN_ID).unwrap_err(), VerifyError::Signature);
    }
    // The other parity is another key, if one: never the signer.
    let other = verify(with(good.r(), good.s(), !good.v()), CHAIN_ID);
    assert!(other.is_err() || other.is_ok_and(|verified| verified.sender() != address(1)));
}

#[test]
fn a_forged_hash_is_refused() {
    let signature = sign_hash(unsigned(0, 1).signature_hash(), 1);
    let forged = Signed::new_unchecked(unsigned(0, 1), signature, B256::repeat_byte(1));
    assert_eq!(verify(forged.into(), CHAIN_ID).unwrap_err(), VerifyError::Hash);
}

#[test]
fn authorities() {
    let tuple = |chain_id: u64, nonce: u64, key: u8| {
        let tuple = Authorization { chain_id: U256::from(chain_id), address: Address::repeat_byte(7), nonce };
        let signature = sign_hash(tuple.signature_hash(), key);
        tuple.into_signed(signature)
    };
    let good = tuple(CHAIN_ID, 0, 2);
    let malleated =
        SignedAuthorization::new_unchecked(good.inner().clone(), 1 - good.y_parity(), good.r(), N - good.s());
    let parity = SignedAuthorization::new_unchecked(good.inner().clone(), 27, good.r(), good.s());
    let authorization_list =
        vec![good, tuple(0, 5, 3), tuple(1, 0, 2), tuple(CHAIN_ID, u64::MAX, 2), malleated, parity, tuple(0, 0, 4)];
    let transaction = sign(TxEip7702 { chain_id: CHAIN_ID, authorization_list, ..Default::default() }, 1);
    let verified = verify(transaction, CHAIN_ID).unwrap();
    let expected = [Some(address(2)), Some(address(3)), None, None, None, None, Some(address(4))];
    assert_eq!(verified.authorities(), expected);
    assert_eq!(verified.sender(), address(1));
}

#[test]
fn the_cache_finds_recovers_and_keeps_the_order() {
    let cache = super::cache(100, 1 << 20);
    let transactions: Vec<_> = (0..20).map(|nonce| transfer(1 + u8::try_from(nonce % 3).unwrap(), nonce, 1)).collect();
    let first = cache.verify_all(&transactions[5..8], &[]).unwrap();
    let all = cache.verify_all(&transactions, &[]).unwrap();
    assert_eq!(all.len(), 20);
    for (verified, transaction) in all.iter().zip(&transactions) {
        assert_eq!(verified.hash(), *transaction.tx_hash());
        assert_eq!(verified.sender(), address(1 + u8::try_from(transaction.nonce() % 3).unwrap()));
    }
    // The very same allocation: nothing was recovered again.
    assert!(std::ptr::eq(first[0].transaction(), all[5].transaction()));
    assert_eq!(cache.len(), 20);
}

#[test]
fn the_cache_names_the_first_that_fails_and_keeps_nothing_of_the_list() {
    let cache = super::cache(100, 1 << 20);
    let mut transactions: Vec<_> = (0..10).map(|nonce| transfer(1, nonce, 1)).collect();
    transactions[4] = sign(legacy(None), 1);
    transactions[7] = sign(legacy(Some(1)), 1);
    let error = cache.verify_all(&transactions, &[]).unwrap_err();
    assert_eq!((error.index, error.source), (4, VerifyError::Unprotected));
    assert!(cache.is_empty());
}

#[test]
fn the_cache_is_bounded_by_count_and_by_bytes() {
    let cache = super::cache(3, 1 << 20);
    let transactions: Vec<_> = (0..5).map(|nonce| transfer(1, nonce, 1)).collect();
    cache.verify_all(&transactions[..3], &[]).unwrap();
    assert!(cache.get(transactions[0].tx_hash()).is_some());
    cache.verify_all(&transactions[3..], &[]).unwrap();
    let present: Vec<_> = transactions.iter().map(|item| cache.get(item.tx_hash()).is_some()).collect();
    assert_eq!(present, [true, false, false, true, true], "the least recently used ones go");

    let large = |nonce| {
        let mut unsigned = unsigned(nonce, 1);
        unsigned.input = Bytes::from(vec![1; 1000]);
        sign(unsigned, 1)
    };
    let cache = super::cache(100, 2500);
    cache.verify_all(&[large(0), large(1), large(2)], &[]).unwrap();
    assert_eq!(cache.len(), 2);
}

#[test]
fn hints_change_no_sender() {
    let transactions: Vec<_> = (0..40).map(|nonce| transfer(1 + u8::try_from(nonce % 3).unwrap(), nonce, 1)).collect();
    // Right, another's, of nobody, and missing at the end.
    let hint =
        |index: u8| [address(1 + index % 3), address(1 + (index + 1) % 3), Address::ZERO][usize::from(index / 12)];
    let hints: Vec<_> = (0..36).map(hint).collect();
    // Again and again, so that the keys get their tables.
    for _ in 0..4 {
        let cache = super::cache(100, 1 << 20);
        let verified = cache.verify_all(&transactions, &hints).unwrap();
        signatures().engine().keys().settle();
        for (verified, transaction) in verified.iter().zip(&transactions) {
            assert_eq!(verified.hash(), *transaction.tx_hash());
            assert_eq!(verified.sender(), address(1 + u8::try_from(transaction.nonce() % 3).unwrap()));
        }
    }
    let counts = signatures().engine().counters().snapshot();
    assert!(counts.key_hits > 0 && counts.hints_wrong > 0, "{counts:?}");
}
