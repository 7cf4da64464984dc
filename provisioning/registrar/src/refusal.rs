//! Why a request is refused. Each reason has a code that stays, for records, metrics and those who are refused.

use std::error::Error;

use dolmen_provisioning_appraisal as appraisal;
use dolmen_provisioning_appraisal::{MessageError, Serial};
use dolmen_provisioning_bundle::{self as bundle, AdmissionRefusal};
use dolmen_provisioning_ca::{
    CertificateError, CrlError, IssueError, NameError, SignError, TimeError, UnixTime, chain::ChainError,
    cms::CmsError, est::EstError,
};
use dolmen_provisioning_voucher as voucher;
use dolmen_provisioning_voucher::{JsonError, RequestRefusal};

use crate::{StateError, limits::REASON_CHARS_MAX};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    // Whoever asks.
    /// More bytes than any such request has.
    #[error("the body has {found} bytes, {limit} at most can be; send what the box's own software makes")]
    Body {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More often than anybody has to.
    #[error("too many requests; wait, and send fewer")]
    Rate,
    /// TLS showed no certificate.
    #[error("the connection has no certificate of a client; have the box show the one that this request is for")]
    NoCertificate,
    /// TLS showed what is none, or too many.
    #[error("the certificate of the connection cannot be used; have the box show its own and its authorities'")]
    Certificate(#[source] CertificateError),
    /// More certificates than a path has.
    #[error("the connection has {0} certificates; show the box's own, and those of its authorities, 5 in all")]
    Certificates(usize),
    /// A maker that is not known.
    #[error("no maker that is known here vouches for the box; add the maker's root if the organisation buys from it")]
    Maker(#[source] ChainError),
    /// Another organisation's.
    #[error("the certificate is not one that this organisation gives to boxes; have the box enrol here")]
    Organisation(#[source] ChainError),
    /// Its time is over.
    #[error("the box's certificate has expired or has not begun; have the box renew it")]
    Expired(#[source] ChainError),
    /// Nobody knows whose it is.
    #[error("the certificate names no box, or by a serial number that certificates cannot have; ask its maker")]
    NoSerial,
    /// Not one of those that are kept here.
    #[error("the certificate of {0} is none that is valid here; have the box enrol")]
    NotIssued(Serial),

    // Where the box stands.
    /// Two boxes of one name.
    #[error("another certificate of a maker was seen for {0}; find out which of the two boxes is which")]
    OtherIdevid(Serial),
    /// No room for boxes that wait.
    #[error("the inbox of approvals is full; ask the organisation's operator to go through it")]
    InboxFull,
    /// No room at all.
    #[error("the registrar knows as many boxes as it can; ask the organisation's operator")]
    BoxesFull,
    /// No room for boxes that wait for a voucher.
    #[error("too many boxes wait for vouchers; ask the organisation's operator to bring those that are there")]
    WantedFull,
    /// Somebody has to say.
    #[error("the box {0} waits for an approval; ask the organisation's operator")]
    NotApproved(Serial),
    /// Somebody said no.
    #[error("the box {serial} may not join: {reason}")]
    Declined {
        /// The box.
        serial: Serial,
        /// What the operator said.
        reason: String,
    },
    /// It was cast out.
    #[error("the box {serial} was revoked: {reason}")]
    Revoked {
        /// The box.
        serial: Serial,
        /// What the operator said.
        reason: String,
    },
    /// Another came for it.
    #[error("the box {old} was replaced by {new}, for good; decommission it, and give it to another owner")]
    Replaced {
        /// The box.
        old: Serial,
        /// The one that came.
        new: Serial,
    },
    /// It is not as it was.
    #[error("the box {serial} is under an alarm ({code}); look at it, and allow the change if all is well")]
    Alarmed {
        /// The box.
        serial: Serial,
        /// Of the alarm.
        code: String,
    },
    /// Steps have an order.
    #[error("this comes too early: first {0}")]
    Order(&'static str),
    /// Nobody knows it.
    #[error("there is no box {0}; look at the list of boxes")]
    UnknownBox(Serial),

    // Vouchers.
    /// The box's request does not hold.
    #[error(transparent)]
    VoucherRequest(RequestRefusal),
    /// Sent by another box than the one that signed it.
    #[error("the request is signed by another box than the one that is connected; find out who passes it on")]
    OtherSigner,
    /// A request that was sent before another one.
    #[error("the request has a nonce that was used before; have the box ask with a new one")]
    NonceReplayed,
    /// A voucher that does not hold.
    #[error("the voucher is not one by an authority that is known here")]
    Voucher(#[source] voucher::Refusal),
    /// Larger than any.
    #[error("the voucher has {found} bytes, {limit} at most can be; have one made without certificates nobody needs")]
    VoucherBytes {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Another owner's box.
    #[error("the voucher gives {0} to another organisation; ask its authority for one for this organisation")]
    VoucherOrganisation(String),
    /// It would do nothing.
    #[error("the voucher for {0} is older than the one that is kept; take the one with the greatest epoch")]
    VoucherOld(Serial),
    /// An answer to nothing that was asked.
    #[error("the voucher answers no request of {0} that waits; export the box's request again, and have that answered")]
    VoucherNonce(Serial),
    /// No room.
    #[error("as many vouchers are kept as can be; ask the organisation's operator")]
    VouchersFull,
    /// A report that is none.
    #[error("the report cannot be read; send it by RFC 8995, section 5.7")]
    Report,

    // Enrolment.
    /// Not a message.
    #[error("the message cannot be read")]
    Message(#[source] MessageError),
    /// The box does not hold.
    #[error(transparent)]
    Appraisal(appraisal::Refusal),
    /// No room for those who have not answered.
    #[error("too many boxes are being appraised at once; try again in a minute")]
    ChallengesFull,
    /// No question, no answer.
    #[error("there is no challenge for {0}, or it took too long; have the box begin its enrolment anew")]
    NoChallenge(Serial),
    /// One TPM, two boxes.
    #[error("the TPM of {serial} is that of {other}; find out which of the two machines it is in")]
    TpmOfOther {
        /// The box.
        serial: Serial,
        /// The other.
        other: Serial,
    },
    /// Another TPM in a box that had enrolled.
    #[error("{0} has another TPM than it enrolled with; replace the box if its mainboard is another")]
    TpmChanged(Serial),
    /// Other firmware in a box that had enrolled.
    #[error(
        "{0} has other firmware or settings than it enrolled with; look at it, and allow the change if it was yours"
    )]
    FirmwareChanged(Serial),
    /// Other firmware, which somebody allowed.
    #[error("{0} has other firmware or settings than it enrolled with, which was allowed; have it enrol anew")]
    EnrolAnew(Serial),
    /// One key, two boxes.
    #[error("the key of {serial} is that of {other}; a disk was copied: make the keys anew")]
    KeyOfOther {
        /// The box.
        serial: Serial,
        /// The other.
        other: Serial,
    },
    /// The request cannot be read.
    #[error("the request for a certificate is not accepted")]
    Est(#[source] EstError),
    /// Another session's.
    #[error("the request for a certificate was made for another connection; make it anew for this one")]
    ChannelBinding,
    /// A key that nobody looked at.
    #[error("the request for a certificate is for another key than the appraised one; make it with the LDevID's key")]
    KeyNotAppraised,
    /// An appraisal of long ago.
    #[error("the last appraisal of {0} is too old; have the box attest, or enrol anew")]
    AppraisalOld(Serial),
    /// Another name.
    #[error("the request for another certificate is not for the same box")]
    Reenroll(#[source] EstError),

    // The chain.
    /// Nobody said which chain.
    #[error("this registrar knows no chain yet; try again later, or ask the organisation's operator")]
    NoChain,
    /// The bundle cannot be made.
    #[error("the chain bundle cannot be made; ask the organisation's operator")]
    Bundle(#[source] bundle::Refusal),
    /// The admission does not hold.
    #[error(transparent)]
    Admission(AdmissionRefusal),
    /// Nobody knows for which key.
    #[error("the request for admission names no consensus key; have the box's own software make it")]
    AdmissionKey,
    /// One consensus key, two boxes.
    #[error(
        "the consensus key of {serial} is that of {other}; decommission {serial}, so that it makes a key of its own"
    )]
    AdmissionKeyOfOther {
        /// The box.
        serial: Serial,
        /// The other.
        other: Serial,
    },
    /// The others said no.
    #[error("the box {serial} is not taken into the chain: {reason}; ask the organisation's operator to ask it again")]
    TurnedAway {
        /// The box.
        serial: Serial,
        /// What was said.
        reason: String,
    },
    /// It was one.
    #[error("the key of {0} was retired from the chain; decommission the box, so that it comes back with a new one")]
    Retired(Serial),

    // The registrar itself.
    /// What a person said is too long, or nothing.
    #[error("{0} has 1 to {REASON_CHARS_MAX} characters, none of them a control character")]
    Text(&'static str),
    /// A certificate is not issued.
    #[error("the certificate is not issued; ask the organisation's operator")]
    Issue(#[source] IssueError),
    /// A name that no certificate can have.
    #[error("the box's or organisation's name cannot stand in a certificate; ask the organisation's operator")]
    Name(#[source] NameError),
    /// A message is not signed.
    #[error("the registrar's key does not sign; ask the organisation's operator")]
    Sign(#[source] SignError),
    /// A list is not signed.
    #[error("the list of revoked certificates is not signed; look at the authority's key")]
    Crl(#[source] CrlError),
    /// A message is not made.
    #[error("the registrar's message cannot be made; look at the registrar's certificates")]
    Cms(#[source] CmsError),
    /// A request or voucher cannot be written.
    #[error("the registrar's request cannot be written; report this")]
    Json(#[source] JsonError),
    /// What certifies boxes does not hold any more.
    #[error(
        "the authority's own certificate ended {0}, so that it issues none; have the organisation issue it another, and \
         start the registrar with that"
    )]
    AuthorityExpired(UnixTime),
    /// The clock is wrong.
    #[error("the registrar's clock is wrong; ask the organisation's operator")]
    Time(#[source] TimeError),
    /// A registrar that contradicts itself.
    #[error("the registrar's state does not allow this; report this")]
    State(#[source] StateError),
}

impl Refusal {
    /// The whole story for a record: the reason and what caused it, cut where it gets long.
    pub(crate) fn story(&self) -> String {
        let mut story = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            story.push_str(": ");
            story.push_str(&error.to_string());
            cause = error.source();
        }
        clean(&story, REASON_CHARS_MAX)
    }
}

/// A text that fits into a record and onto a screen.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(chars_max).collect()
}

impl From<RequestRefusal> for Refusal {
    fn from(refusal: RequestRefusal) -> Self {
        Self::VoucherRequest(refusal)
    }
}

impl From<appraisal::Refusal> for Refusal {
    fn from(refusal: appraisal::Refusal) -> Self {
        Self::Appraisal(refusal)
    }
}

impl From<AdmissionRefusal> for Refusal {
    fn from(refusal: AdmissionRefusal) -> Self {
        Self::Admission(refusal)
    }
}

impl From<MessageError> for Refusal {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<TimeError> for Refusal {
    fn from(error: TimeError) -> Self {
        Self::Time(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stories_are_short_and_on_one_line() {
        let reason = format!("a\nb{}", "x".repeat(1000));
        let refusal = Refusal::Declined { serial: "A".parse().unwrap(), reason };
        assert_eq!(refusal.story().chars().count(), 300);
        assert!(refusal.story().starts_with("the box A may not join: a bxxx"));
        let serial: Serial = "A".parse().unwrap();
        let refusal = Refusal::State(StateError::UnknownBox(serial));
        assert!(refusal.story().contains("report this: the journal says something"), "{}", refusal.story());
    }

    /// What a box may try again says so by its status, too.
    #[test]
    fn what_is_busy_can_be_tried_again() {
        let serial = || "A".parse().unwrap();
        for refusal in [
            Refusal::Rate,
            Refusal::InboxFull,
            Refusal::ChallengesFull,
            Refusal::NoChain,
            Refusal::NotApproved(serial()),
            Refusal::NoChallenge(serial()),
        ] {
            assert!(refusal.retry() && [403, 409, 429, 503].contains(&refusal.status()), "{refusal}");
        }
        let revoked = Refusal::Revoked { serial: serial(), reason: "lost".to_owned() };
        assert_eq!((revoked.retry(), revoked.status(), revoked.code()), (false, 403, "box-revoked"));
    }
}
