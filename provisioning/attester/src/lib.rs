//! The box's side of the appraisal: what it answers to the registrar that judges it by its TPM.
//!
//! ```text
//! box                                     registrar
//!  | -- enrolment ---------------------------> |  Verifier::begin
//!  | <-- Challenge --------------------------- |
//!  | -- respond -----------------------------> |  Awaiting::finish
//!  |                  later                    |
//!  | <-- QuoteRequest ------------------------ |  Verifier::ask
//!  | -- reattest ----------------------------> |  AwaitingQuote::finish
//! ```
//!
//! The messages are those of `dolmen-provisioning-appraisal`, and whatever TPM there is comes in as an
//! [`AttestingTpm`]. Nothing here keeps anything: a message that got lost is made anew. Logs and the claim are passed
//! in, read before the call: what is measured between the two makes the registrar ask again.
//!
//! Calls block for some hundred milliseconds, as TPMs do. None may be made on a thread that runs futures.

mod error;

use dolmen_hsm_api::{AttestingTpm, Quote, Signer};
use dolmen_hsm_evidence::Public;
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{
    Bytes, Challenge, Claim, Enrolment, Logs, Nonce, PublicArea, QuoteRequest, Reattestation, Response, Selection,
    Serial, SignedQuote, SignedStatement, activation_proof, certification_nonce,
};
use futures::executor::block_on;
use zeroize::Zeroizing;

pub use error::AttesterError;

/// Bytes of a challenge's secret.
const SECRET_BYTES: usize = 32;

/// Asks the registrar to take this box: which TPM it has, and that `ldevid`, the key to certify, is in it. `serial` is
/// the machine's, as its voucher has it.
///
/// Of the certificates above the TPM's that its memory holds, the first [`Enrolment::EK_CHAIN_MAX`] go along: a registrar
/// trusts a maker's root or any certificate below it.
///
/// # Errors
///
/// [`AttesterError::NotInTpm`] for a key that no TPM vouches for, and whatever goes wrong with the TPM.
pub fn enrolment(
    tpm: &dyn AttestingTpm,
    ldevid: &dyn Signer,
    serial: &Serial,
    logs: Logs,
    claim: Claim,
) -> Result<Enrolment, AttesterError> {
    let endorsement = tpm.endorsement().map_err(AttesterError::Tpm)?;
    let certified = block_on(ldevid.attest(&certification_nonce(serial))).map_err(AttesterError::Tpm)?;
    let certified = certified.ok_or_else(|| AttesterError::NotInTpm(ldevid.uri().clone()))?;
    let chain = endorsement.chain.into_iter().take(Enrolment::EK_CHAIN_MAX);
    Ok(Enrolment {
        ek_certificate: endorsement.certificate.map(bytes).transpose()?,
        ek_chain: chain.map(bytes).collect::<Result<_, _>>()?,
        ek_public: area("endorsement key", &endorsement.public)?,
        ak_public: attestation_key(tpm)?,
        ldevid_public: area("LDevID", &certified.subject)?,
        certification: statement(certified.statement, certified.signature)?,
        logs,
        claim,
    })
}

/// Answers the registrar's challenge: opens the credential, and quotes.
///
/// # Errors
///
/// [`AttesterError::Credential`] where the challenge is for another TPM, and whatever goes wrong with this one.
pub fn respond(tpm: &dyn AttestingTpm, challenge: &Challenge) -> Result<Response, AttesterError> {
    let opened = tpm.activate(challenge.id_object.as_slice(), challenge.encrypted_secret.as_slice());
    let opened = opened.map_err(AttesterError::Credential)?;
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    if opened.len() != SECRET_BYTES {
        return Err(AttesterError::Secret(opened.len()));
    }
    secret.copy_from_slice(&opened);
    Ok(Response {
        proof: activation_proof(&secret, &challenge.nonce),
        quote: quote(tpm, &challenge.nonce, &challenge.registers)?,
    })
}

/// Answers an enrolled box's registrar that asks for a new quote.
///
/// # Errors
///
/// Whatever goes wrong with the TPM.
pub fn reattest(
    tpm: &dyn AttestingTpm,
    request: &QuoteRequest,
    logs: Logs,
    claim: Claim,
) -> Result<Reattestation, AttesterError> {
    let quote = quote(tpm, &request.nonce, &request.registers)?;
    Ok(Reattestation { ak_public: attestation_key(tpm)?, quote, logs, claim })
}

fn quote(tpm: &dyn AttestingTpm, nonce: &Nonce, registers: &Selection) -> Result<SignedQuote, AttesterError> {
    let registers: Vec<u8> = registers.iter().copied().collect();
    let Quote { statement: quoted, signature, registers } =
        tpm.quote(&nonce.0, &registers).map_err(AttesterError::Tpm)?;
    let registers = registers.into_iter().map(|(register, value)| (register, Hash::from_bytes(value))).collect();
    Ok(SignedQuote { quote: statement(quoted, signature)?, registers })
}

fn attestation_key(tpm: &dyn AttestingTpm) -> Result<PublicArea, AttesterError> {
    area("attestation key", &tpm.attestation_key().map_err(AttesterError::Tpm)?)
}

fn statement(statement: Vec<u8>, signature: Vec<u8>) -> Result<SignedStatement, AttesterError> {
    Ok(SignedStatement { statement: bytes(statement)?, signature: bytes(signature)? })
}

/// `TPM2B_PUBLIC` of `TPMT_PUBLIC`.
fn area(key: &'static str, public: &[u8]) -> Result<PublicArea, AttesterError> {
    let public = Public::from_tpmt(public).map_err(|source| AttesterError::PublicArea { key, source })?;
    bytes(public.to_tpm2b())
}

fn bytes<const MAX: usize>(bytes: Vec<u8>) -> Result<Bytes<MAX>, AttesterError> {
    Bytes::new(bytes).map_err(AttesterError::TooLong)
}
