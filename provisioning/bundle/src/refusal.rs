//! Why a bundle or an admission is not taken. Each reason has a code that never changes, for audit logs and metrics.

use dolmen_provisioning_ca::{chain::ChainError, cms::CmsError};
use dolmen_provisioning_voucher::SerialNumber;

use crate::ContentError;

/// Why a box does not take a bundle, or a registrar cannot make one.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No message.
    #[error("the chain bundle cannot be used")]
    Damaged(#[source] CmsError),
    /// Changed, or signed by another key than it says.
    #[error("the chain bundle is forged or was changed; find out who is between the box and its registrar")]
    Forged(#[source] CmsError),
    /// Not by the box's owner.
    #[error("the chain bundle is not by this box's owner; have a registrar of its organisation sign it")]
    Untrusted(#[source] CmsError),
    /// By somebody of the owner's who is no registrar.
    #[error("the chain bundle is signed by a certificate that is not for registrars; have a registrar sign it")]
    RegistrarPurpose(#[source] CmsError),
    /// No bundle.
    #[error("what is signed is no chain bundle")]
    Content(#[source] ContentError),
    /// For another box.
    #[error("the chain bundle is for the box {found}, this one is {expected}; have one made for this box")]
    Serial {
        /// By the bundle.
        found: SerialNumber,
        /// This box's.
        expected: SerialNumber,
    },
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("the chain bundle cannot be checked; check that this machine's OpenSSL is whole")]
    Failed(#[source] CmsError),
}

impl Refusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "bundle-damaged",
            Self::Forged(_) => "bundle-forged",
            Self::Untrusted(_) => "bundle-untrusted",
            Self::RegistrarPurpose(_) => "bundle-registrar-purpose",
            Self::Content(_) => "bundle-content",
            Self::Serial { .. } => "bundle-serial",
            Self::Failed(_) => "bundle-failed",
        }
    }
}

/// Why a registrar does not take an admission, or a box cannot make one.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionRefusal {
    /// No message.
    #[error("the admission cannot be used")]
    Damaged(#[source] CmsError),
    /// Changed, or signed by another key than it says.
    #[error("the admission is forged or was changed; find out who sent it")]
    Forged(#[source] CmsError),
    /// By nobody of the organisation.
    #[error("the admission is not by a box of this organisation; have the box enrol first")]
    Untrusted(#[source] CmsError),
    /// By a box that the organisation cast out.
    #[error("the admission is by a box whose certificate was revoked; have the box enrol anew if it is to come back")]
    Revoked(#[source] CmsError),
    /// By somebody of the organisation who is no box.
    #[error("the admission is signed by a certificate that is not a box's; have the box sign it with its LDevID")]
    NoBox,
    /// No admission.
    #[error("what is signed is no admission")]
    Content(#[source] ContentError),
    /// A box that asks for another.
    #[error("the box {signer} asks for the admission of {found}; keep an eye on the box that sent this")]
    Serial {
        /// By the admission.
        found: SerialNumber,
        /// By the certificate of who signed.
        signer: String,
    },
    /// For another chain.
    #[error(
        "the admission is for chain {found}, this is chain {expected} with another block zero or number; have the box \
         fetch its bundle again"
    )]
    Chain {
        /// By the admission.
        found: u64,
        /// Here.
        expected: u64,
    },
    /// On other evidence.
    #[error("the admission names another appraisal than this box's; have the box fetch its bundle again")]
    Appraisal,
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("the admission cannot be checked; check that this machine's OpenSSL is whole")]
    Failed(#[source] CmsError),
}

impl AdmissionRefusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "admission-damaged",
            Self::Forged(_) => "admission-forged",
            Self::Untrusted(_) => "admission-untrusted",
            Self::Revoked(_) => "admission-revoked",
            Self::NoBox => "admission-no-box",
            Self::Content(_) => "admission-content",
            Self::Serial { .. } => "admission-serial",
            Self::Chain { .. } => "admission-chain",
            Self::Appraisal => "admission-appraisal",
            Self::Failed(_) => "admission-failed",
        }
    }
}

impl From<CmsError> for Refusal {
    fn from(error: CmsError) -> Self {
        match error {
            CmsError::Path(ChainError::OpenSsl { .. }) => Self::Failed(error),
            CmsError::Path(ChainError::Purpose { .. }) => Self::RegistrarPurpose(error),
            CmsError::Path(_) => Self::Untrusted(error),
            CmsError::Signature | CmsError::Digest => Self::Forged(error),
            _ => Self::Damaged(error),
        }
    }
}

impl From<CmsError> for AdmissionRefusal {
    fn from(error: CmsError) -> Self {
        match error {
            CmsError::Path(ChainError::OpenSsl { .. }) => Self::Failed(error),
            CmsError::Path(ChainError::Revoked { .. }) => Self::Revoked(error),
            CmsError::Path(_) => Self::Untrusted(error),
            CmsError::Signature | CmsError::Digest => Self::Forged(error),
            _ => Self::Damaged(error),
        }
    }
}
