//! Why a letter or a reply is not taken.

use dolmen_provisioning_ca::{chain::ChainError, cms::CmsError};
use dolmen_provisioning_voucher::SerialNumber;

use crate::ContentError;

/// Why a registrar does not take a letter, or none can be made.
#[derive(Debug, thiserror::Error)]
pub enum LetterRefusal {
    /// No message.
    #[error("the letter is no signed message; have the box write it again")]
    Damaged(#[source] CmsError),
    /// Somebody changed it.
    #[error("the letter was changed after it was signed; have the box write it again, and look after the stick")]
    Forged(#[source] CmsError),
    /// Not what a letter is.
    #[error("the letter is not accepted")]
    Content(#[from] ContentError),
    /// By nobody who writes letters.
    #[error("the letter is by no box of a maker that is known here, and by none of this organisation")]
    Signer(#[source] ChainError),
    /// By somebody else than it says.
    #[error("the letter says that it is of {found}, and is signed by {signer}; find out which of the two wrote it")]
    Serial {
        /// By the letter.
        found: SerialNumber,
        /// By the signer's certificate.
        signer: String,
    },
    /// For others.
    #[error("the letter is for another organisation, which owns the box {0}; carry it there")]
    Organisation(SerialNumber),
    /// What was kept is not this registrar's.
    #[error("the reply that was kept for {0} is none of this organisation; restore it, or remove it")]
    Kept(SerialNumber),
}

impl LetterRefusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "letter-damaged",
            Self::Forged(_) => "letter-forged",
            Self::Content(_) => "letter-content",
            Self::Signer(_) => "letter-untrusted",
            Self::Serial { .. } => "letter-serial",
            Self::Organisation(_) => "letter-organisation",
            Self::Kept(_) => "letter-kept-reply",
        }
    }
}

/// Why a box does not take a reply, or none can be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplyRefusal {
    /// No message.
    #[error("the reply is no signed message; have the registrar write it again")]
    Damaged(#[source] CmsError),
    /// Somebody changed it.
    #[error("the reply was changed after it was signed; have the registrar write it again, and look after the stick")]
    Forged(#[source] CmsError),
    /// Not what a reply is.
    #[error("the reply is not accepted")]
    Content(#[from] ContentError),
    /// By somebody who does not own the box.
    #[error("the reply is by no registrar of the organisation that owns this box; carry the letter to that one")]
    Signer(#[source] ChainError),
    /// For another box.
    #[error("the reply is for the box {0}; take the stick there")]
    Serial(SerialNumber),
    /// To another letter.
    #[error("the reply is not to the box's last letter; carry the letter that is on the stick now to the registrar")]
    Letter,
    /// Whose it has to be is not known, or it is not the time for it.
    #[error("the box does not wait for this reply now; leave the stick in until the box has read it")]
    Early,
    /// To the letter, and with what does not fit it.
    #[error("the reply does not fit the letter that it answers; have the registrar write it again")]
    Fit,
}

impl ReplyRefusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "reply-damaged",
            Self::Forged(_) => "reply-forged",
            Self::Content(_) => "reply-content",
            Self::Signer(_) => "reply-untrusted",
            Self::Serial(_) => "reply-serial",
            Self::Letter => "reply-other-letter",
            Self::Early => "reply-early",
            Self::Fit => "reply-unfit",
        }
    }
}
