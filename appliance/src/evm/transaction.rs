//! From a fixture's transaction to the transaction that the EVM executes.

use alloy_consensus::{EthereumTxEnvelope, Transaction as _, TxEip4844};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use revm::{
    context::{TxEnv, either::Either},
    primitives::hardfork::SpecId,
};
use revm_statetest_types::TransactionParts;
use secp256k1::{
    Message, PublicKey, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

use super::fixture::{Case, Unit};

/// Why a fixture's transaction cannot be executed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TxError {
    /// The transaction is invalid. A fixture can expect this.
    #[error("{0}")]
    Invalid(String),
    /// The fixture contradicts itself. No fixture can expect this.
    #[error("inconsistent fixture: {0}")]
    Fixture(String),
}

/// The transaction of a case, checked as far as no state is needed.
///
/// Where the case has `txbytes`, these must decode and carry a signature that is valid in the fork. The fields come
/// from the fixture's `transaction`, as in other clients, since the bytes are absent in older fixtures.
pub(super) fn build(case: &Case<'_>, spec: SpecId) -> Result<TxEnv, TxError> {
    let Case { unit, test, .. } = case;
    let sender = sender(&unit.parts.transaction)?;
    if let Some(bytes) = test.txbytes.as_ref().filter(|bytes| !bytes.is_empty()) {
        let signer = signer(bytes, unit.chain_id, spec)?;
        if sender.is_some_and(|sender| sender != signer) {
            return Err(TxError::Fixture(format!("txbytes are signed by {signer}, the sender is another account")));
        }
    }
    // A fixture without a key models a transaction with a bad signature.
    let sender = sender.ok_or_else(|| TxError::Invalid("the transaction has neither secretKey nor sender".into()))?;
    env(case, sender)
}

/// The address of `secretKey`, else `sender`, which must agree where both are given.
fn sender(parts: &TransactionParts) -> Result<Option<Address>, TxError> {
    let Some(secret) = parts.secret_key else { return Ok(parts.sender) };
    let key = SecretKey::from_byte_array(secret.0)
        .map_err(|_| TxError::Fixture(format!("secretKey {secret} is not a secp256k1 key")))?;
    let derived = address_of(&key.public_key(SECP256K1));
    match parts.sender {
        Some(stated) if stated != derived => {
            Err(TxError::Fixture(format!("the sender is {stated}, but secretKey belongs to {derived}")))
        }
        _ => Ok(Some(derived)),
    }
}

fn address_of(key: &PublicKey) -> Address {
    Address::from_raw_public_key(&key.serialize_uncompressed()[1..])
}

/// Decodes a raw transaction and recovers its signer by the rules of the fork.
fn signer(bytes: &[u8], chain_id: U256, spec: SpecId) -> Result<Address, TxError> {
    let invalid = |reason: String| TxError::Invalid(format!("txbytes: {reason}"));
    let transaction = EthereumTxEnvelope::<TxEip4844>::decode_2718_exact(bytes)
        .map_err(|error| invalid(format!("cannot be decoded: {error}")))?;
    if let Some(id) = transaction.chain_id() {
        // Before EIP-155 the chain id in the signature's v is just a wrong v.
        if transaction.is_legacy() && !spec.is_enabled_in(SpecId::SPURIOUS_DRAGON) {
            return Err(invalid("the signature has a chain id, which the fork does not know (EIP-155)".into()));
        }
        if U256::from(id) != chain_id {
            return Err(invalid(format!("chain id {id}, but the chain has {chain_id}")));
        }
    }
    let signature = transaction.signature();
    // EIP-2: the larger of the two possible s is invalid since Homestead.
    if spec.is_enabled_in(SpecId::HOMESTEAD) && signature.normalize_s().is_some() {
        return Err(invalid("s of the signature is in the upper half of the curve order (EIP-2)".into()));
    }
    recover(signature, transaction.signature_hash()).map_err(|error| invalid(format!("bad signature: {error}")))
}

fn recover(signature: &Signature, hash: B256) -> Result<Address, secp256k1::Error> {
    let id = RecoveryId::from_u8_masked(u8::from(signature.v()));
    let signature = RecoverableSignature::from_compact(&signature.as_rsy()[..64], id)?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &signature)?;
    Ok(address_of(&key))
}

/// The environment that revm executes. Prices beyond 128 bits saturate: no balance in a fixture can pay either.
fn env(case: &Case<'_>, caller: Address) -> Result<TxEnv, TxError> {
    let Case { unit, test, .. } = case;
    let (parts, indexes) = (&unit.parts.transaction, &test.indexes);
    let tx_type = tx_type(parts, indexes.data)?;
    let gas_limit = pick(&parts.gas_limit, indexes.gas, "gasLimit")?;
    let has_fee_cap = tx_type >= 2;
    let price = if has_fee_cap { parts.max_fee_per_gas } else { parts.gas_price };
    Ok(TxEnv {
        tx_type,
        caller,
        gas_limit: u64::try_from(*gas_limit).map_err(|_| out_of_range("gas limit", gas_limit))?,
        gas_price: price.unwrap_or_default().saturating_to(),
        kind: parts.to.map_or(TxKind::Create, TxKind::Call),
        value: value(unit, indexes.value)?,
        data: pick(&parts.data, indexes.data, "data")?.clone(),
        nonce: u64::try_from(parts.nonce).map_err(|_| out_of_range("nonce", &parts.nonce))?,
        chain_id: Some(parts.chain_id.unwrap_or(unit.chain_id).saturating_to()),
        access_list: parts.access_lists.get(indexes.data).cloned().flatten().unwrap_or_default(),
        gas_priority_fee: has_fee_cap.then(|| parts.max_priority_fee_per_gas.unwrap_or_default().saturating_to()),
        blob_hashes: parts.blob_versioned_hashes.clone(),
        max_fee_per_blob_gas: parts.max_fee_per_blob_gas.unwrap_or_default().saturating_to(),
        authorization_list: parts
            .authorization_list
            .iter()
            .flatten()
            .map(|authorization| Either::Left(authorization.clone().into()))
            .collect(),
    })
}

/// EIP-2718 type: as stated, else from the fields that only one type has.
fn tx_type(parts: &TransactionParts, data_index: usize) -> Result<u8, TxError> {
    let has_access_list = parts.access_lists.get(data_index).is_some_and(Option::is_some);
    let tx_type = match parts.tx_type {
        Some(stated) => stated,
        None if parts.authorization_list.is_some() => 4,
        None if parts.max_fee_per_blob_gas.is_some() => 3,
        None if parts.max_fee_per_gas.is_some() => 2,
        None => u8::from(has_access_list),
    };
    match tx_type {
        3 | 4 if parts.to.is_none() => Err(TxError::Invalid(format!("a type {tx_type} transaction cannot create"))),
        0..=4 => Ok(tx_type),
        _ => Err(TxError::Invalid(format!("transaction type {tx_type} is not known"))),
    }
}

fn value(unit: &Unit, index: usize) -> Result<U256, TxError> {
    match unit.bad_values.get(&index) {
        Some(text) => Err(TxError::Invalid(format!("value {text:?} is not a 256-bit number"))),
        None => pick(&unit.parts.transaction.value, index, "value").copied(),
    }
}

fn pick<'a, T>(list: &'a [T], index: usize, field: &str) -> Result<&'a T, TxError> {
    list.get(index).ok_or_else(|| {
        TxError::Fixture(format!("index {index} into the {} element(s) of transaction.{field}", list.len()))
    })
}

fn out_of_range(field: &str, number: &U256) -> TxError {
    TxError::Invalid(format!("{field} {number} does not fit 64 bits"))
}
