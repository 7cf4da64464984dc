//! Codes and statuses of refusals.

use crate::Refusal;

impl Refusal {
    /// The reason, which never changes, whatever the texts become. Those of the crates of the messages are theirs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Body { .. } => "body-too-large",
            Self::Rate => "rate",
            Self::NoCertificate => "no-certificate",
            Self::Certificate(_) | Self::Certificates(_) => "certificate-damaged",
            Self::Maker(_) => "idevid-unknown-maker",
            Self::Organisation(_) => "ldevid-unknown",
            Self::Expired(_) => "ldevid-expired",
            Self::NoSerial => "no-serial-number",
            Self::NotIssued(_) => "ldevid-not-issued",
            Self::OtherIdevid(_) => "idevid-other",
            Self::InboxFull => "inbox-full",
            Self::BoxesFull => "boxes-full",
            Self::WantedFull => "wanted-full",
            Self::NotApproved(_) => "not-approved",
            Self::Declined { .. } => "box-declined",
            Self::Revoked { .. } => "box-revoked",
            Self::Replaced { .. } => "box-replaced",
            Self::Alarmed { .. } => "box-alarmed",
            Self::Order(_) => "out-of-order",
            Self::UnknownBox(_) => "unknown-box",
            Self::VoucherRequest(refusal) => refusal.code(),
            Self::OtherSigner => "signer-other",
            Self::NonceReplayed => "nonce-replayed",
            Self::Voucher(refusal) => refusal.code(),
            Self::VoucherBytes { .. } => "voucher-too-large",
            Self::VoucherOrganisation(_) => "voucher-organisation",
            Self::VoucherOld(_) => "voucher-old",
            Self::VoucherNonce(_) => "voucher-unasked",
            Self::VouchersFull => "vouchers-full",
            Self::Report => "report-damaged",
            Self::Message(_) => "message-damaged",
            Self::Appraisal(refusal) => refusal.code(),
            Self::ChallengesFull => "challenges-full",
            Self::NoChallenge(_) => "no-challenge",
            Self::TpmOfOther { .. } => "tpm-of-other-box",
            Self::TpmChanged(_) => "tpm-changed",
            Self::FirmwareChanged(_) => "firmware-changed",
            Self::EnrolAnew(_) => "enrol-anew",
            Self::KeyOfOther { .. } => "ldevid-of-other-box",
            Self::Est(_) => "certificate-request-damaged",
            Self::ChannelBinding => "channel-binding",
            Self::KeyNotAppraised => "key-not-appraised",
            Self::AppraisalOld(_) => "appraisal-old",
            Self::Reenroll(_) => "reenroll-other",
            Self::NoChain => "no-chain",
            Self::Bundle(_) => "bundle-not-made",
            Self::Admission(refusal) => refusal.code(),
            Self::AdmissionKey => "admission-key",
            Self::AdmissionKeyOfOther { .. } => "admission-key-of-other-box",
            Self::TurnedAway { .. } => "admission-turned-away",
            Self::Retired(_) => "box-retired",
            Self::Text(_) => "text",
            Self::Issue(_) | Self::Name(_) => "not-issued",
            Self::Sign(_) | Self::Crl(_) | Self::Cms(_) | Self::Json(_) => "not-signed",
            Self::AuthorityExpired(_) => "authority-expired",
            Self::Time(_) => "clock",
            Self::State(_) => "state",
        }
    }

    /// The status of HTTP.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Body { .. } | Self::VoucherBytes { .. } => 413,
            Self::Rate => 429,
            Self::NoCertificate => 401,
            Self::Certificate(_)
            | Self::Certificates(_)
            | Self::Report
            | Self::Message(_)
            | Self::Est(_)
            | Self::AdmissionKey
            | Self::Text(_) => 400,
            Self::UnknownBox(_) => 404,
            Self::OtherIdevid(_)
            | Self::Order(_)
            | Self::NoChallenge(_)
            | Self::AppraisalOld(_)
            | Self::EnrolAnew(_)
            | Self::VoucherOld(_)
            | Self::VoucherNonce(_) => 409,
            Self::InboxFull
            | Self::BoxesFull
            | Self::WantedFull
            | Self::ChallengesFull
            | Self::VouchersFull
            | Self::NoChain => 503,
            Self::Bundle(_)
            | Self::Issue(_)
            | Self::Name(_)
            | Self::Sign(_)
            | Self::Crl(_)
            | Self::Cms(_)
            | Self::Json(_)
            | Self::AuthorityExpired(_)
            | Self::Time(_)
            | Self::State(_) => 500,
            _ => 403,
        }
    }

    /// Whether the same box may be taken later, without anybody changing it.
    #[must_use]
    pub const fn retry(&self) -> bool {
        matches!(
            self,
            Self::Rate
                | Self::InboxFull
                | Self::BoxesFull
                | Self::WantedFull
                | Self::NotApproved(_)
                | Self::Order(_)
                | Self::NonceReplayed
                | Self::ChallengesFull
                | Self::NoChallenge(_)
                | Self::AppraisalOld(_)
                | Self::NoChain
                | Self::Bundle(_)
                | Self::Issue(_)
                | Self::Sign(_)
                | Self::AuthorityExpired(_)
                | Self::Time(_)
        )
    }
}
