//! Why a voucher is not followed, or a request not answered. Each reason has a code that never changes, for audit logs
//! and metrics.

use std::fmt;

use dolmen_provisioning_ca::{chain::ChainError, cms::CmsError};

use crate::{JsonError, OwnershipEpoch, SerialNumber};

/// Why a box does not follow a voucher.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No message.
    #[error("the voucher cannot be used")]
    Damaged(#[source] CmsError),
    /// Changed, or signed by another key than it says.
    #[error("the voucher is forged or was changed; take it from its maker again, and find out who gave it to you")]
    Forged(#[source] CmsError),
    /// Not by a maker of vouchers that this box knows.
    #[error("the voucher is not by the maker of this box; ask the maker for one")]
    Untrusted(#[source] CmsError),
    /// By a key of the maker's that is for something else, such as a box's.
    #[error("the voucher's signer may not sign vouchers; ask the maker for one, and find out who gave this one to you")]
    SignerPurpose(#[source] CmsError),
    /// No voucher.
    #[error("what the maker signed is no voucher")]
    Content(#[source] JsonError),
    /// For another box.
    #[error("the voucher is for the box {found}, this one is {expected}; take the voucher for this box")]
    Serial {
        /// By the voucher.
        found: SerialNumber,
        /// This box's.
        expected: SerialNumber,
    },
    /// For a box of another maker.
    #[error("the voucher is for a box whose certificate another authority made; take the voucher for this box")]
    IdevidIssuer,
    /// The answer to another question.
    #[error("the voucher answers another request than the last of this box; ask for one again")]
    Nonce,
    /// It was followed before, or one that was made later was.
    #[error(
        "the voucher's ownership epoch is {found}, this box has followed {held} already; ask the maker for a voucher \
         with a greater one"
    )]
    Replayed {
        /// By the voucher.
        found: OwnershipEpoch,
        /// What the box has.
        held: OwnershipEpoch,
    },
    /// Too far ahead for a counter that goes up one by one.
    #[error(
        "the voucher's ownership epoch is {found}, more than {limit} after this box's {held}; ask the maker for a \
         voucher with a smaller one"
    )]
    EpochStep {
        /// By the voucher.
        found: OwnershipEpoch,
        /// What the box has.
        held: OwnershipEpoch,
        /// By how much it can go up.
        limit: u64,
    },
    /// The box could not refuse this voucher the next time.
    #[error("this box's ownership epoch is the last that there is; send the box to its maker")]
    EpochsExhausted,
    /// It asks for what a box cannot do.
    #[error(
        "the voucher wants this box to ask if its owner's certificate was revoked, which it cannot do without a clock; \
         ask the maker for a voucher without domain-cert-revocation-checks"
    )]
    RevocationChecks,
    /// The box belongs to somebody else than the registrar's organisation.
    #[error("the voucher gives this box to another organisation than this registrar's; connect it to its owner's")]
    PinnedCertificate(#[source] ChainError),
    /// Some machine of the organisation that is no registrar.
    #[error(
        "the registrar's certificate is not for registrars (extended key usage id-kp-cmcRA, 1.3.6.1.5.5.7.3.28); issue \
         it one that is"
    )]
    RegistrarPurpose(#[source] ChainError),
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("the voucher cannot be checked; check that this machine's OpenSSL is whole, and give the voucher again")]
    Failed(#[source] ChainError),
}

impl Refusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damaged(_) => "voucher-damaged",
            Self::Forged(_) => "voucher-forged",
            Self::Untrusted(_) => "voucher-untrusted",
            Self::SignerPurpose(_) => "voucher-signer-purpose",
            Self::Content(_) => "voucher-content",
            Self::Serial { .. } => "voucher-serial",
            Self::IdevidIssuer => "voucher-idevid-issuer",
            Self::Nonce => "voucher-nonce",
            Self::Replayed { .. } => "voucher-replayed",
            Self::EpochStep { .. } => "voucher-epoch-step",
            Self::EpochsExhausted => "voucher-epochs-exhausted",
            Self::RevocationChecks => "voucher-revocation-checks",
            Self::PinnedCertificate(_) => "voucher-pinned-certificate",
            Self::RegistrarPurpose(_) => "voucher-registrar-purpose",
            Self::Failed(_) => "voucher-failed",
        }
    }
}

impl From<CmsError> for Refusal {
    fn from(error: CmsError) -> Self {
        match error {
            CmsError::Path(source @ ChainError::OpenSsl { .. }) => Self::Failed(source),
            CmsError::Path(ChainError::Purpose { .. }) => Self::SignerPurpose(error),
            CmsError::Path(_) => Self::Untrusted(error),
            CmsError::Signature | CmsError::Digest => Self::Forged(error),
            _ => Self::Damaged(error),
        }
    }
}

/// Of the certificates of registrar and voucher.
impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::OpenSsl { .. } => Self::Failed(error),
            ChainError::Purpose { .. } => Self::RegistrarPurpose(error),
            _ => Self::PinnedCertificate(error),
        }
    }
}

/// Which of the two requests: the registrar's, or the box's within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The registrar's.
    Registrar,
    /// The box's.
    Pledge,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Registrar => "registrar",
            Self::Pledge => "box",
        })
    }
}

/// Why a request gets no voucher.
#[derive(Debug, thiserror::Error)]
pub enum RequestRefusal {
    /// No message.
    #[error("the {whose}'s request cannot be used")]
    Damaged {
        /// Whose request.
        whose: Whose,
        /// What is wrong with it.
        #[source]
        source: CmsError,
    },
    /// Changed, or signed by another key than it says.
    #[error("the {whose}'s request is forged or was changed; have it made again")]
    Forged {
        /// Whose request.
        whose: Whose,
        /// What is wrong with it.
        #[source]
        source: CmsError,
    },
    /// By nobody who is known.
    #[error("the {whose}'s request is by nobody who is known here; enter the root certificate first, if it is right")]
    Untrusted {
        /// Whose request.
        whose: Whose,
        /// Who is not known.
        #[source]
        source: CmsError,
    },
    /// No request.
    #[error("what the {whose} signed is no request for a voucher")]
    Content {
        /// Whose request.
        whose: Whose,
        /// What is wrong with it.
        #[source]
        source: JsonError,
    },
    /// The other's.
    #[error("the request is not one of a {0}; a box asks its registrar, and the registrar repeats the box's request")]
    Form(Whose),
    /// Some machine of the organisation that is no registrar.
    #[error(
        "the registrar's request is not signed by a registrar (extended key usage id-kp-cmcRA, 1.3.6.1.5.5.7.3.28); \
         issue it a certificate that is for that"
    )]
    RegistrarPurpose(#[source] CmsError),
    /// Something else of the maker's than a box.
    #[error("the box's request is not signed by a box's first key (IDevID); have the box ask again, with that")]
    PledgePurpose(#[source] CmsError),
    /// The registrar asks for another box than the one that asked.
    #[error("the registrar asks for the box {registrar}, but {pledge} asked; have the registrar ask again")]
    Serial {
        /// By the registrar.
        registrar: SerialNumber,
        /// By the box.
        pledge: SerialNumber,
    },
    /// The registrar asks with a nonce that the box did not make up.
    #[error("the registrar's nonce is not the box's; have the registrar ask again")]
    Nonce,
    /// A box that asks for another.
    #[error("a box asks for {request}, and its certificate is not of that box; keep an eye on the box that sent this")]
    IdevidSerial {
        /// By its request.
        request: SerialNumber,
    },
    /// A box of another maker.
    #[error("the {0}'s request names another authority than the one that made the box's certificate; ask again")]
    IdevidIssuer(Whose),
    /// The box was connected to somebody else, who is in between perhaps.
    #[error(
        "the box was connected to another registrar than the one that asks; find out what is between them, and connect \
         the box to its registrar"
    )]
    Proximity,
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("the request cannot be checked; check that this machine's OpenSSL is whole, and ask again")]
    Failed(#[source] ChainError),
}

impl RequestRefusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        use Whose::{Pledge, Registrar};
        match self {
            Self::Damaged { whose: Registrar, .. } => "registrar-request-damaged",
            Self::Damaged { whose: Pledge, .. } => "pledge-request-damaged",
            Self::Forged { whose: Registrar, .. } => "registrar-request-forged",
            Self::Forged { whose: Pledge, .. } => "pledge-request-forged",
            Self::Untrusted { whose: Registrar, .. } => "registrar-request-untrusted",
            Self::Untrusted { whose: Pledge, .. } => "pledge-request-untrusted",
            Self::Content { whose: Registrar, .. } => "registrar-request-content",
            Self::Content { whose: Pledge, .. } => "pledge-request-content",
            Self::Form(Registrar) => "registrar-request-form",
            Self::Form(Pledge) => "pledge-request-form",
            Self::IdevidIssuer(Registrar) => "registrar-request-idevid-issuer",
            Self::IdevidIssuer(Pledge) => "pledge-request-idevid-issuer",
            Self::RegistrarPurpose(_) => "registrar-request-purpose",
            Self::PledgePurpose(_) => "pledge-request-purpose",
            Self::Serial { .. } => "registrar-request-serial",
            Self::Nonce => "registrar-request-nonce",
            Self::IdevidSerial { .. } => "pledge-request-serial",
            Self::Proximity => "pledge-request-proximity",
            Self::Failed(_) => "request-failed",
        }
    }

    pub(crate) fn cms(whose: Whose) -> impl Fn(CmsError) -> Self {
        move |source| match source {
            CmsError::Path(source @ ChainError::OpenSsl { .. }) => Self::Failed(source),
            CmsError::Path(ChainError::Purpose { .. }) => match whose {
                Whose::Registrar => Self::RegistrarPurpose(source),
                Whose::Pledge => Self::PledgePurpose(source),
            },
            CmsError::Path(_) => Self::Untrusted { whose, source },
            CmsError::Signature | CmsError::Digest => Self::Forged { whose, source },
            _ => Self::Damaged { whose, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use dolmen_provisioning_ca::{Serial, chain::Which};
    use openssl::error::ErrorStack;

    use super::*;

    /// Not the sender's fault, and so not to be counted as an attack.
    #[test]
    fn a_broken_machine_is_no_forgery() {
        let which = || Which { depth: 0, subject: "CN=box".to_owned(), serial: Serial::from_random([7; 16]) };
        let error = || ChainError::OpenSsl { which: which(), source: ErrorStack::get() };
        for refusal in [CmsError::Path(error()).into(), Refusal::from(error())] {
            assert_eq!(refusal.code(), "voucher-failed");
        }
        for whose in [Whose::Registrar, Whose::Pledge] {
            assert_eq!(RequestRefusal::cms(whose)(CmsError::Path(error())).code(), "request-failed");
        }
    }
}
