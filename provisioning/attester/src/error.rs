//! Why a box gives no answer.

use dolmen_hsm_api::{KeyError, KeyUri};
use dolmen_hsm_evidence::EvidenceError;
use dolmen_provisioning_appraisal::MessageError;

/// Why a box cannot answer its registrar.
#[derive(Debug, thiserror::Error)]
pub enum AttesterError {
    /// The TPM failed.
    #[error("the TPM gives no evidence; look at its device")]
    Tpm(#[source] KeyError),
    /// A key in memory, or in another device.
    #[error("no TPM vouches for the key {0}; make the LDevID as a P-256 key of the TPM, as tpm:ldevid")]
    NotInTpm(KeyUri),
    /// A credential for others, or a failing TPM.
    #[error("the TPM does not open the registrar's challenge; begin the enrolment anew, with this TPM's keys")]
    Credential(#[source] KeyError),
    /// A registrar that is none of ours.
    #[error("the registrar's challenge has a secret of {0} bytes, not of 32; update the older side of the two")]
    Secret(usize),
    /// A TPM that does not follow its own specification.
    #[error("the public area of the TPM's {key} cannot be read; update the TPM's firmware, or use another TPM")]
    PublicArea {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        #[source]
        source: EvidenceError,
    },
    /// More than a message takes.
    #[error("what the TPM states fits into no message; use another TPM")]
    TooLong(#[source] MessageError),
}
