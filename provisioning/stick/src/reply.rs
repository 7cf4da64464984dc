//! What a registrar writes to a box.

use dolmen_provisioning_bundle::Hash;
use dolmen_provisioning_ca::{
    Certificate,
    cms::{self, CmsError, ContentType, Opened, Unsigned},
};
use dolmen_provisioning_pledge as pledge;
use dolmen_provisioning_voucher::SerialNumber;
use serde::{Deserialize, Serialize};

use crate::{
    Body, ContentError, ReplyRefusal,
    content::{self, Content, check_count, check_header, present},
    limits::{ANSWER_BODY_BYTES_MAX, REPLY_BYTES_MAX, REQUESTS_MAX, VOUCHER_BYTES_MAX, VOUCHERS_MAX},
};

/// What the message is about.
const REPLY: ContentType = ContentType::data(REPLY_BYTES_MAX);
/// Bytes of a message with a reply.
pub const REPLY_MESSAGE_BYTES_MAX: usize = REPLY.message_bytes_max();

/// A registrar's answers to a letter, or what it gives a box ahead.
///
/// The JSON is `{"format":"dolmen-reply-v1","body":{...}}` with the members below; others are refused. Holding one says
/// nothing about who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The box that it is for.
    pub serial_number: SerialNumber,
    /// The letter's number; 0 where there is no letter. A greater one is the number that the box's next letter has to
    /// have at least: the registrar has answered a later one before, or another with the same number, and nothing of
    /// this.
    pub number: u64,
    /// SHA-256 of the letter, as it was signed; none of a reply that was written ahead.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub letter: Option<Hash>,
    /// The answers to the letter's requests, in their order, up to the first that is not what was asked for.
    pub answers: Vec<Answer>,
    /// Vouchers for the box, each a message in DER, with an ownership epoch.
    pub vouchers: Vec<Body>,
}

/// An answer, as HTTP would have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// `Content-Type`; none where there is no body.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Retry-After`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// Its body.
    pub body: Body,
}

impl Answer {
    /// Whether the request was done.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.status, 200 | 204)
    }

    /// Whether the same letter does not ask for it again: it was done, or refused without a word of when to come again.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.is_done() || (self.status >= 400 && self.retry_after.is_none())
    }

    fn check(&self) -> Result<(), ContentError> {
        if !(100..600).contains(&self.status) {
            return Err(ContentError::Invalid("the status of an answer is none"));
        }
        check_header("the media type of an answer", self.content_type.as_deref())?;
        check_header("the Retry-After of an answer", self.retry_after.as_deref())?;
        check_count("the body of an answer", self.body.0.len(), ANSWER_BODY_BYTES_MAX)
    }
}

impl From<Answer> for pledge::Answer {
    fn from(answer: Answer) -> Self {
        let Answer { status, content_type, retry_after, body } = answer;
        Self { status, content_type, retry_after, body: body.0 }
    }
}

impl Reply {
    /// What a registrar writes for a box that has not written yet: vouchers, and by its signature who the registrar is.
    #[must_use]
    pub fn ahead(serial_number: SerialNumber, vouchers: Vec<Vec<u8>>) -> Self {
        let vouchers = vouchers.into_iter().map(Body).collect();
        Self { serial_number, number: 0, letter: None, answers: Vec::new(), vouchers }
    }

    /// Its JSON, the same bytes whenever it says the same.
    ///
    /// # Errors
    ///
    /// [`ContentError`] for what [`from_json`](Self::from_json) would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, ContentError> {
        content::write(self)
    }

    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// [`ContentError`].
    pub fn from_json(json: &[u8]) -> Result<Self, ContentError> {
        content::read(json)
    }

    /// What the registrar's key has to sign, so that it becomes a message. The first of `chain` is its certificate.
    ///
    /// # Errors
    ///
    /// [`ReplyRefusal::Content`] and [`ReplyRefusal::Damaged`].
    pub fn to_sign(&self, chain: &[Certificate]) -> Result<Unsigned, ReplyRefusal> {
        cms::to_sign(REPLY, &self.to_json()?, chain).map_err(ReplyRefusal::Damaged)
    }

    /// Reads a message in DER, whoever signed it.
    pub(crate) fn open(message: &[u8]) -> Result<(Self, Opened), ReplyRefusal> {
        let opened = cms::open(message, REPLY).map_err(|error| match error {
            CmsError::Signature | CmsError::Digest => ReplyRefusal::Forged(error),
            error => ReplyRefusal::Damaged(error),
        })?;
        Ok((Self::from_json(opened.content())?, opened))
    }
}

impl Content for Reply {
    const WHAT: &'static str = "reply";
    const FORMAT: &'static str = "dolmen-reply-v1";
    const BYTES_MAX: usize = REPLY_BYTES_MAX;

    fn check(&self) -> Result<(), ContentError> {
        if self.letter.is_none() != (self.number == 0) {
            return Err(ContentError::Invalid("the number of a reply is 0, and it answers a letter, or neither is so"));
        }
        if self.letter.is_none() && !self.answers.is_empty() {
            return Err(ContentError::Invalid("a reply that answers no letter has answers"));
        }
        check_count("the answers of a reply", self.answers.len(), REQUESTS_MAX)?;
        check_count("the vouchers of a reply", self.vouchers.len(), VOUCHERS_MAX)?;
        for voucher in &self.vouchers {
            check_count("a voucher of a reply", voucher.0.len(), VOUCHER_BYTES_MAX)?;
        }
        self.answers.iter().try_for_each(Answer::check)
    }
}
