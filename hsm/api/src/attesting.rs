//! A TPM that says what it is, and what its machine runs.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::KeyError;

/// The endorsement key, which tells a TPM from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsement {
    /// `TPMT_PUBLIC`.
    pub public: Vec<u8>,
    /// The maker's certificate of it, DER; the TPM's memory may have padded it with zero or `0xff` bytes.
    pub certificate: Option<Vec<u8>>,
    /// Certificates above it that the TPM holds, in its order; DER.
    pub chain: Vec<Vec<u8>>,
}

/// What registers hold, by the TPM's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// `TPMS_ATTEST`, which has the nonce and a digest of the registers in it.
    pub statement: Vec<u8>,
    /// `TPMT_SIGNATURE` over it, by the attestation key.
    pub signature: Vec<u8>,
    /// What the registers of the SHA-256 bank held when they were quoted: the digest is theirs.
    pub registers: BTreeMap<u8, [u8; 32]>,
}

/// A TPM's evidence. With [`Signer::attest`](crate::Signer::attest) of a key in it, which certifies that key, it is all
/// that a registrar asks for. Calls block: a TPM takes some hundred milliseconds.
pub trait AttestingTpm: Send + Sync {
    /// The endorsement key.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    fn endorsement(&self) -> Result<Endorsement, KeyError>;

    /// The attestation key, `TPMT_PUBLIC`. It is always the same and signs nothing but what the TPM itself says.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    fn attestation_key(&self) -> Result<Vec<u8>, KeyError>;

    /// Quotes registers of the SHA-256 bank, with a nonce of 32 bytes at most, and gives their values with it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Policy`] for a register that there is not, and where they change all the while; and whatever goes
    /// wrong with the TPM.
    fn quote(&self, nonce: &[u8], registers: &[u8]) -> Result<Quote, KeyError>;

    /// Opens a credential that was made for this TPM's endorsement key and its attestation key: who can, has both. Takes
    /// the contents of `TPM2B_ID_OBJECT` and `TPM2B_ENCRYPTED_SECRET`.
    ///
    /// # Errors
    ///
    /// Where it was made for another TPM or key.
    fn activate(&self, id_object: &[u8], encrypted_secret: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}
