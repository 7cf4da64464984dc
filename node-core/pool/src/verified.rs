//! Signature verification: the only way to a [`VerifiedTransaction`].

use std::{fmt, sync::Arc};

use alloy_consensus::{Transaction as _, Typed2718 as _};
use alloy_eips::{eip2718::Encodable2718 as _, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, U256, keccak256};
use dolmen_accel_api::RecoverJob;
use dolmen_types::{Transaction, block::transaction_len};

use crate::RecoveryError;

/// Why a transaction's signature is not valid on this chain.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyError {
    /// A blob transaction, which the chain does not carry.
    #[error("transaction type not supported: {0} (supported: 0, 1, 2, 4)")]
    TypeNotSupported(u8),
    /// A legacy transaction without EIP-155's chain id, which could be replayed from any other chain.
    #[error("transaction is not replay-protected: sign it with the chain id (EIP-155)")]
    Unprotected,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// The transaction's chain id.
        have: u64,
        /// This chain's.
        want: u64,
    },
    /// `r` or `s` out of range, `s` in the upper half (EIP-2), or no public key fits.
    #[error("invalid transaction v, r, s values")]
    Signature,
    /// The hash that the transaction carries is not that of its encoding: it was not made by decoding bytes.
    #[error("transaction hash does not match its content: decode the transaction from its bytes")]
    Hash,
    /// Nobody could check the signature.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// A transaction whose signature was checked. Cloning copies a pointer.
///
/// Holding one proves:
///
/// - the type is 0, 1, 2 or 4, and the transaction names this chain's id (EIP-155; a legacy transaction without a
///   chain id is refused);
/// - the signature is valid by EIP-2 (`0 < r < n`, `0 < s <= n/2`), and [`sender`](Self::sender) is the address
///   recovered from it;
/// - [`hash`](Self::hash) is keccak256 of the encoding, signature included;
/// - [`authorities`](Self::authorities) are recovered by EIP-7702's rules.
///
/// It does not prove that the transaction can be executed: nonce, balance, gas and fees are checked elsewhere.
#[derive(Clone)]
pub struct VerifiedTransaction(Arc<Inner>);

struct Inner {
    transaction: Transaction,
    hash: B256,
    sender: Address,
    authorities: Vec<Option<Address>>,
    encoded_len: usize,
    block_len: usize,
}

impl VerifiedTransaction {
    /// The transaction.
    pub fn transaction(&self) -> &Transaction {
        &self.0.transaction
    }

    /// The transaction hash.
    pub fn hash(&self) -> B256 {
        self.0.hash
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.0.sender
    }

    /// The sender's transaction count that it needs.
    pub fn nonce(&self) -> u64 {
        self.0.transaction.nonce()
    }

    /// Who signed each EIP-7702 authorization, in the transaction's order; empty for other types.
    ///
    /// `None` where the tuple's signature is invalid or its chain id, nonce or `s` is out of range: the EVM skips such
    /// a tuple, it does not fail the transaction.
    pub fn authorities(&self) -> &[Option<Address>] {
        &self.0.authorities
    }

    /// Bytes of the EIP-2718 encoding.
    pub fn encoded_len(&self) -> usize {
        self.0.encoded_len
    }

    /// Bytes that it takes in a block ([`transaction_len`]).
    pub fn block_len(&self) -> usize {
        self.0.block_len
    }
}

impl fmt::Debug for VerifiedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTransaction")
            .field("hash", &self.hash())
            .field("sender", &self.sender())
            .field("nonce", &self.nonce())
            .finish_non_exhaustive()
    }
}

impl PartialEq for VerifiedTransaction {
    fn eq(&self, other: &Self) -> bool {
        // The hash covers the encoding with its signature, and everything else follows from it.
        self.hash() == other.hash()
    }
}

impl Eq for VerifiedTransaction {}

/// Checks all of a transaction for the chain with this id but its signature, which becomes a job: whoever it recovers is
/// the sender. `hint` is who is said to be.
pub(crate) fn sender_job(
    transaction: &Transaction,
    chain_id: u64,
    hint: Option<Address>,
) -> Result<RecoverJob, VerifyError> {
    if transaction.is_eip4844() {
        return Err(VerifyError::TypeNotSupported(transaction.ty()));
    }
    let have = transaction.chain_id().ok_or(VerifyError::Unprotected)?;
    if have != chain_id {
        return Err(VerifyError::ChainId { have, want: chain_id });
    }
    if keccak256(transaction.encoded_2718()) != *transaction.tx_hash() {
        return Err(VerifyError::Hash);
    }
    let signature = transaction.signature();
    Ok(job(transaction.signature_hash(), signature.r(), signature.s(), signature.v(), hint))
}

/// The jobs of a transaction's authorizations by EIP-7702, steps 1 to 3 of processing a tuple: none for a tuple that
/// is invalid without its signature.
pub(crate) fn authority_jobs(
    transaction: &Transaction,
    chain_id: u64,
) -> impl Iterator<Item = Option<RecoverJob>> + use<'_> {
    transaction.authorization_list().unwrap_or_default().iter().map(move |tuple| authority_job(tuple, chain_id))
}

fn authority_job(tuple: &SignedAuthorization, chain_id: u64) -> Option<RecoverJob> {
    let our_chain = tuple.chain_id.is_zero() || tuple.chain_id == U256::from(chain_id);
    if !our_chain || tuple.nonce == u64::MAX || tuple.y_parity() > 1 {
        return None;
    }
    Some(job(tuple.signature_hash(), tuple.r(), tuple.s(), tuple.y_parity() == 1, None))
}

fn job(digest: B256, r: U256, s: U256, odd_y: bool, hint: Option<Address>) -> RecoverJob {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r.to_be_bytes::<32>());
    signature[32..].copy_from_slice(&s.to_be_bytes::<32>());
    RecoverJob { digest: digest.0, signature, odd_y, hint: hint.map(|hint| hint.0.0) }
}

/// A transaction with its signers. `sender` and `authorities` must come from its jobs.
pub(crate) fn complete(
    transaction: Transaction,
    sender: Address,
    authorities: Vec<Option<Address>>,
) -> VerifiedTransaction {
    VerifiedTransaction(Arc::new(Inner {
        hash: *transaction.tx_hash(),
        sender,
        authorities,
        encoded_len: transaction.encode_2718_len(),
        block_len: transaction_len(&transaction),
        transaction,
    }))
}
