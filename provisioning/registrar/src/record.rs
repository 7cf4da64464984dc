//! What a registrar's journal says. Each record is one thing that happened, and the registrar's state is what all of them
//! make together: [`State::apply`](crate::State::apply).
//!
//! The form of these records does not change within a version, which the first of them names.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Bytes, Serial};
use dolmen_provisioning_ca::Certificate;
use serde::{Deserialize, Serialize};

use crate::limits::{VOUCHER_BYTES_MAX, VOUCHER_REQUEST_BYTES_MAX};

/// The version of the records' form.
pub(crate) const VERSION: u32 = 1;

/// The alarm of a box that did not show in time what it is.
pub(crate) const OVERDUE: &str = "attestation-overdue";

/// Bytes of an appraisal. Ours have some 900.
const APPRAISAL_BYTES_MAX: usize = 4 << 10;

/// Something that happened, by whom. When it did stands beside it in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// By whom.
    pub who: Who,
    /// What.
    pub what: Event,
}

/// By whom something happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Who {
    /// The registrar itself, by its policy or because time passed.
    Registrar,
    /// Somebody of the organisation, by his name.
    Operator(String),
    /// What was decided on the chain.
    Chain,
    /// Somebody who connected.
    Peer {
        /// From where, as the server saw it.
        address: String,
        /// Of which machine, as far as its certificate is vouched for.
        serial: Option<Serial>,
        /// SHA-256 of the certificate that TLS showed.
        certificate: Option<Hash>,
    },
}

/// What a box is on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It follows.
    Follower,
    /// It votes.
    Validator,
}

impl Role {
    /// Its name in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Validator => "validator",
        }
    }
}

/// On what a box reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Its voucher.
    Voucher,
    /// Its certificate.
    Enrolment,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Event {
    /// The journal begins.
    Began {
        /// Of the form of these records.
        version: u32,
        /// SHA-256 of the organisation's root certificate.
        organisation: Hash,
    },
    /// A box came for the first time, with this certificate of its maker.
    Seen {
        /// The box.
        serial: Serial,
        /// SHA-256 of its certificate.
        idevid: Hash,
    },
    /// A box may join. It need not have come yet.
    Approved {
        /// The box.
        serial: Serial,
    },
    /// A box may not join.
    Declined {
        /// The box.
        serial: Serial,
        /// Why.
        reason: String,
    },
    /// A box asked for a voucher.
    Asked {
        /// The box.
        serial: Serial,
        /// SHA-256 of its nonce; none where it has none.
        nonce: Option<Hash>,
        /// SHA-256 of its request.
        message: Hash,
        /// Its request, where there was no voucher for it.
        request: Option<Bytes<VOUCHER_REQUEST_BYTES_MAX>>,
    },
    /// A box's request was repeated by the registrar, for the authority that signs vouchers.
    Exported {
        /// The box.
        serial: Serial,
    },
    /// A voucher was brought.
    Imported {
        /// The box.
        serial: Serial,
        /// The voucher, as it was signed.
        voucher: Bytes<VOUCHER_BYTES_MAX>,
    },
    /// A box was given a voucher.
    Given {
        /// The box.
        serial: Serial,
        /// SHA-256 of the voucher.
        voucher: Hash,
    },
    /// A box said what it thinks of its voucher or its certificate.
    Reported {
        /// The box.
        serial: Serial,
        /// Of which.
        step: Step,
        /// Whether it takes it.
        status: bool,
        /// Why not.
        reason: Option<String>,
    },
    /// A box was appraised.
    Appraised {
        /// The box.
        serial: Serial,
        /// The appraisal, as [`dolmen_provisioning_appraisal::Appraisal::to_bytes`] writes it.
        appraisal: Bytes<APPRAISAL_BYTES_MAX>,
    },
    /// A box was given a certificate.
    Issued {
        /// The box.
        serial: Serial,
        /// The certificate.
        certificate: Certificate,
    },
    /// A certificate was taken back, to make room for later ones of its box.
    Superseded {
        /// The box.
        serial: Serial,
        /// The certificate.
        certificate: Certificate,
    },
    /// A box was told of the chain.
    Bundled {
        /// The box.
        serial: Serial,
        /// SHA-256 of the bundle, as it was signed.
        bundle: Hash,
    },
    /// A box asks to be one of the chain's, perhaps again, and perhaps by another key.
    AdmissionAsked {
        /// The box.
        serial: Serial,
        /// What it signed for the chain.
        request: String,
    },
    /// Somebody of the organisation asks the chain once more for a box that was turned away.
    AskedAgain {
        /// The box.
        serial: Serial,
    },
    /// It is one.
    Admitted {
        /// The box.
        serial: Serial,
        /// As what.
        role: Role,
    },
    /// It will not be one.
    TurnedAway {
        /// The box.
        serial: Serial,
        /// Why.
        reason: String,
    },
    /// It is one no more.
    Retired {
        /// The box.
        serial: Serial,
    },
    /// The key by which a box asked before is none of the chain's any more, and its present one may become one.
    FormerRetired {
        /// The box.
        serial: Serial,
    },
    /// A box showed that it is as it was.
    Attested {
        /// The box.
        serial: Serial,
        /// The image that it runs.
        version: String,
        /// How often its TPM was started.
        resets: u32,
        /// How often it was resumed since.
        restarts: u32,
    },
    /// A box is not as it was, or did not show that it is.
    Alarm {
        /// The box.
        serial: Serial,
        /// Why: the code of a refusal, or `attestation-overdue`.
        code: String,
    },
    /// Somebody looked at a box and found that all is well: it may enrol anew, with other firmware.
    Cleared {
        /// The box.
        serial: Serial,
    },
    /// A box was cast out: its certificates count no more.
    Revoked {
        /// The box.
        serial: Serial,
        /// Why.
        reason: String,
    },
    /// A box was decommissioned, and said so: its certificates count no more, and its key leaves the chain. It may come
    /// back as a new one, if somebody lets it.
    Left {
        /// The box.
        serial: Serial,
    },
    /// Another box takes the place of one.
    Replaced {
        /// The box that goes.
        old: Serial,
        /// The one that comes.
        new: Serial,
    },
    /// A list of revoked certificates was signed.
    CrlSigned {
        /// Its number.
        number: u64,
    },
    /// A request was refused.
    Refused {
        /// What was asked.
        call: String,
        /// Why, by a code that stays.
        code: String,
        /// Why, for people.
        why: String,
    },
}
