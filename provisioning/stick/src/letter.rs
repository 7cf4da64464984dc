//! What a box writes to its registrar.

use dolmen_provisioning_bundle::Hash;
use dolmen_provisioning_ca::{
    Certificate,
    cms::{self, CmsError, ContentType, Opened, Unsigned},
};
use dolmen_provisioning_pledge as pledge;
use dolmen_provisioning_voucher::SerialNumber;
use serde::{Deserialize, Serialize};

use crate::{
    Body, ContentError, LetterRefusal,
    content::{self, Content, check_count, check_header, present},
    limits::{LETTER_BYTES_MAX, PATH_CHARACTERS_MAX, REQUEST_BODY_BYTES_MAX, REQUESTS_MAX},
};

/// What the message is about.
const LETTER: ContentType = ContentType::data(LETTER_BYTES_MAX);
/// Bytes of a message with a letter.
pub const LETTER_MESSAGE_BYTES_MAX: usize = LETTER.message_bytes_max();

/// A box's requests to its registrar, in the order in which they are to be answered. One without requests says who the
/// box is, and asks for its voucher.
///
/// The JSON is `{"format":"dolmen-letter-v1","body":{...}}` with the members below; others are refused. Holding one
/// says nothing about who wrote it: [`Arrived`](crate::Arrived) does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// The box.
    pub serial_number: SerialNumber,
    /// Greater than those of all its letters before, not 0.
    pub number: u64,
    /// SHA-256 of the certificate to which the registrar has to lead, for which the letter is; none of a box without an
    /// owner.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub owner: Option<Hash>,
    /// What it asks.
    pub requests: Vec<Request>,
}

/// A request, as HTTP would have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// How.
    pub method: Method,
    /// For what.
    pub path: String,
    /// `Content-Type` of the body; none where there is no body.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The body.
    pub body: Body,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// `GET`.
    #[serde(rename = "GET")]
    Get,
    /// `POST`.
    #[serde(rename = "POST")]
    Post,
}

impl Method {
    /// As requests have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self { method: Method::Get, path: path.to_owned(), content_type: None, body: Body::default() }
    }

    pub(crate) fn post(path: &str, content_type: &str, body: Vec<u8>) -> Self {
        let content_type = Some(content_type.to_owned());
        Self { method: Method::Post, path: path.to_owned(), content_type, body: Body(body) }
    }

    /// What a box would send over a connection.
    pub(crate) fn of(request: &pledge::Request<'_>) -> Self {
        let method = match request.method {
            pledge::Method::Get => Method::Get,
            pledge::Method::Post => Method::Post,
        };
        let content_type = request.content_type.map(ToOwned::to_owned);
        Self { method, path: request.path.to_owned(), content_type, body: Body(request.body.to_vec()) }
    }

    fn check(&self) -> Result<(), ContentError> {
        check_count("the path of a request", self.path.len(), PATH_CHARACTERS_MAX)?;
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            return Err(ContentError::Invalid("the path of a request is none"));
        }
        check_header("the media type of a request", self.content_type.as_deref())?;
        check_count("the body of a request", self.body.0.len(), REQUEST_BODY_BYTES_MAX)
    }
}

impl Letter {
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

    /// What a key of the box has to sign, so that it becomes a message. The first of `chain` is its certificate.
    ///
    /// # Errors
    ///
    /// [`LetterRefusal::Content`] and [`LetterRefusal::Damaged`].
    pub fn to_sign(&self, chain: &[Certificate]) -> Result<Unsigned, LetterRefusal> {
        cms::to_sign(LETTER, &self.to_json()?, chain).map_err(LetterRefusal::Damaged)
    }

    /// Reads a message in DER, whoever signed it.
    pub(crate) fn open(message: &[u8]) -> Result<(Self, Opened), LetterRefusal> {
        let opened = cms::open(message, LETTER).map_err(|error| match error {
            CmsError::Signature | CmsError::Digest => LetterRefusal::Forged(error),
            error => LetterRefusal::Damaged(error),
        })?;
        Ok((Self::from_json(opened.content())?, opened))
    }
}

impl Content for Letter {
    const WHAT: &'static str = "letter";
    const FORMAT: &'static str = "dolmen-letter-v1";
    const BYTES_MAX: usize = LETTER_BYTES_MAX;

    fn check(&self) -> Result<(), ContentError> {
        if self.number == 0 {
            return Err(ContentError::Invalid("the number of a letter is 0"));
        }
        check_count("the requests of a letter", self.requests.len(), REQUESTS_MAX)?;
        self.requests.iter().try_for_each(Request::check)
    }
}
