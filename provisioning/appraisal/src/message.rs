//! What a box and its registrar send each other.
//!
//! ```text
//! box                                     registrar
//!  | -- Enrolment: keys, certificate, logs --> |  Verifier::begin
//!  | <-- Challenge: credential, nonce -------- |
//!  | -- Response: proof, quote --------------> |  Awaiting::finish
//!  |                  later                    |
//!  | <-- QuoteRequest: nonce ----------------- |  Verifier::ask
//!  | -- Reattestation: quote, logs ----------> |  AwaitingQuote::finish
//!  | <-- Acknowledgement: when again --------- |
//! ```

use std::collections::{BTreeMap, BTreeSet};

use dolmen_hsm_evidence::PCRS;
use dolmen_image_bundle::{Hash, Version};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    Bytes, Fixed, Message, MessageError, Serial,
    encoding::{check_count, sealed::Checked},
    limits::{
        ACKNOWLEDGEMENT_JSON_BYTES_MAX, CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX, CHALLENGE_JSON_BYTES_MAX,
        ENCRYPTED_SECRET_BYTES_MAX, ENROLMENT_JSON_BYTES_MAX, FIRMWARE_LOG_BYTES_MAX, ID_OBJECT_BYTES_MAX,
        PUBLIC_BYTES_MAX, REATTESTATION_JSON_BYTES_MAX, RESPONSE_JSON_BYTES_MAX, SIGNATURE_BYTES_MAX,
        STATEMENT_BYTES_MAX, USERSPACE_LOG_BYTES_MAX, VERSION_BYTES_MAX,
    },
};

/// What the proof of activation is for.
const ACTIVATION: &[u8] = b"dolmen-activation-v1";
/// What the nonce of the certification is made of.
const CERTIFICATION: &[u8] = b"dolmen-certification-v1\0";
/// Bytes that HMAC-SHA256 pads its key to (RFC 2104 §2).
const HMAC_KEY_BYTES: usize = 64;

/// A certificate, DER.
pub type Certificate = Bytes<CERTIFICATE_BYTES_MAX>;
/// A key's public area, `TPM2B_PUBLIC`.
pub type PublicArea = Bytes<PUBLIC_BYTES_MAX>;
/// Registers of the SHA-256 bank and what they hold.
pub type Registers = BTreeMap<u8, Hash>;
/// Which registers.
pub type Selection = BTreeSet<u8>;
/// What makes a quote new.
pub type Nonce = Fixed<32>;

/// What a TPM stated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedStatement {
    /// `TPMS_ATTEST`.
    pub statement: Bytes<STATEMENT_BYTES_MAX>,
    /// `TPMT_SIGNATURE` by the attestation key.
    pub signature: Bytes<SIGNATURE_BYTES_MAX>,
}

/// A quote, with what it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedQuote {
    /// The quote.
    pub quote: SignedStatement,
    /// The values that it has the digest of.
    pub registers: Registers,
}

/// How registers came to hold what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// The firmware's, `/sys/kernel/security/tpm0/binary_bios_measurements`.
    pub firmware: Bytes<FIRMWARE_LOG_BYTES_MAX>,
    /// systemd's, `/run/log/systemd/tpm2-measure.log`. Where it says nothing of register 11, the phases that our initrd
    /// measures are taken as it measures them: it writes no log.
    pub userspace: Option<Bytes<USERSPACE_LOG_BYTES_MAX>>,
}

/// Which image the box says that it runs. It chooses the reference values; the registers decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The image's version.
    pub version: Version,
    /// The root hash on the kernel's command line.
    pub root_hash: Hash,
}

/// A box asks its registrar to take it. Box to registrar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The maker's certificate of the endorsement key, where the TPM has one.
    pub ek_certificate: Option<Certificate>,
    /// What leads from it to its root, as far as the box has it; [`EK_CHAIN_MAX`](Self::EK_CHAIN_MAX) at most.
    pub ek_chain: Vec<Certificate>,
    /// The endorsement key.
    pub ek_public: PublicArea,
    /// The attestation key.
    pub ak_public: PublicArea,
    /// The key that the organisation is to certify.
    pub ldevid_public: PublicArea,
    /// `TPM2_Certify` of the LDevID by the attestation key, with [`certification_nonce`].
    pub certification: SignedStatement,
    /// Logs.
    pub logs: Logs,
    /// The image.
    pub claim: Claim,
}

impl Enrolment {
    /// Certificates of [`ek_chain`](Self::ek_chain).
    pub const EK_CHAIN_MAX: usize = CHAIN_CERTIFICATES_MAX;
}

/// What only the TPM of the enrolment can answer. Registrar to box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// What is in `TPM2B_ID_OBJECT`.
    pub id_object: Bytes<ID_OBJECT_BYTES_MAX>,
    /// What is in `TPM2B_ENCRYPTED_SECRET`.
    pub encrypted_secret: Bytes<ENCRYPTED_SECRET_BYTES_MAX>,
    /// For the quote and the proof.
    pub nonce: Nonce,
    /// What is to be quoted, of the SHA-256 bank.
    pub registers: Selection,
}

/// The answer to a [`Challenge`]. Box to registrar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// [`activation_proof`].
    pub proof: Fixed<32>,
    /// Of the registers that were asked for.
    pub quote: SignedQuote,
}

/// An enrolled box is to attest again. Registrar to box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// For the quote.
    pub nonce: Nonce,
    /// What is to be quoted, of the SHA-256 bank.
    pub registers: Selection,
}

/// The answer to a [`QuoteRequest`]. Box to registrar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reattestation {
    /// The attestation key, by which the appraisal knows the box.
    pub ak_public: PublicArea,
    /// Of the registers that were asked for.
    pub quote: SignedQuote,
    /// Logs.
    pub logs: Logs,
    /// The image.
    pub claim: Claim,
}

/// A [`Reattestation`] holds. Registrar to box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// In how many seconds the box is to attest again, as the registrar wishes it.
    pub again_seconds: u32,
}

/// The box's proof that its TPM opened the credential: HMAC-SHA256 by the secret over `"dolmen-activation-v1"` and the
/// challenge's nonce. The secret itself is never sent.
#[must_use]
pub fn activation_proof(secret: &[u8; 32], nonce: &Nonce) -> Fixed<32> {
    Fixed(activation_mac(secret, nonce).finalize().into_bytes().into())
}

pub(crate) fn activation_mac(secret: &[u8; 32], nonce: &Nonce) -> Hmac<Sha256> {
    let mut key = Zeroizing::new([0; HMAC_KEY_BYTES]);
    key[..secret.len()].copy_from_slice(secret);
    let mut mac = Hmac::<Sha256>::new((&*key).into());
    mac.update(ACTIVATION);
    mac.update(&nonce.0);
    mac
}

/// What the certification of an LDevID has for a nonce: SHA-256 over `"dolmen-certification-v1"`, a zero byte and the
/// machine's serial number. It need not be new, since what it says stays true: the key never leaves the TPM.
#[must_use]
pub fn certification_nonce(serial: &Serial) -> [u8; 32] {
    Sha256::new_with_prefix(CERTIFICATION).chain_update(serial.as_str()).finalize().into()
}

impl Message for Enrolment {
    const FORMAT: &'static str = "dolmen-enrolment-v1";
    const JSON_BYTES_MAX: usize = ENROLMENT_JSON_BYTES_MAX;
}

impl Checked for Enrolment {
    fn check(&self) -> Result<(), MessageError> {
        check_count("the chain of the endorsement key", self.ek_chain.len(), CHAIN_CERTIFICATES_MAX)?;
        self.claim.check()
    }
}

impl Message for Challenge {
    const FORMAT: &'static str = "dolmen-challenge-v1";
    const JSON_BYTES_MAX: usize = CHALLENGE_JSON_BYTES_MAX;
}

impl Checked for Challenge {
    fn check(&self) -> Result<(), MessageError> {
        check_registers(self.registers.iter())
    }
}

impl Message for Response {
    const FORMAT: &'static str = "dolmen-response-v1";
    const JSON_BYTES_MAX: usize = RESPONSE_JSON_BYTES_MAX;
}

impl Checked for Response {
    fn check(&self) -> Result<(), MessageError> {
        check_registers(self.quote.registers.keys())
    }
}

impl Message for QuoteRequest {
    const FORMAT: &'static str = "dolmen-quote-request-v1";
    const JSON_BYTES_MAX: usize = CHALLENGE_JSON_BYTES_MAX;
}

impl Checked for QuoteRequest {
    fn check(&self) -> Result<(), MessageError> {
        check_registers(self.registers.iter())
    }
}

impl Message for Reattestation {
    const FORMAT: &'static str = "dolmen-reattestation-v1";
    const JSON_BYTES_MAX: usize = REATTESTATION_JSON_BYTES_MAX;
}

impl Checked for Reattestation {
    fn check(&self) -> Result<(), MessageError> {
        check_registers(self.quote.registers.keys())?;
        self.claim.check()
    }
}

impl Message for Acknowledgement {
    const FORMAT: &'static str = "dolmen-acknowledgement-v1";
    const JSON_BYTES_MAX: usize = ACKNOWLEDGEMENT_JSON_BYTES_MAX;
}

/// Any number will do: the box keeps to its own bounds.
impl Checked for Acknowledgement {
    fn check(&self) -> Result<(), MessageError> {
        Ok(())
    }
}

impl Claim {
    fn check(&self) -> Result<(), MessageError> {
        check_count("the version of the image", self.version.to_string().len(), VERSION_BYTES_MAX)
    }
}

fn check_registers<'a>(mut registers: impl Iterator<Item = &'a u8>) -> Result<(), MessageError> {
    registers
        .find(|register| usize::from(**register) >= PCRS)
        .map_or(Ok(()), |register| Err(MessageError::Register(*register)))
}
