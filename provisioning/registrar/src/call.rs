//! What can be asked for: paths, methods, media types, and how long a body may be.

use dolmen_provisioning_appraisal::{Enrolment, Message as _, Reattestation, Response};
use dolmen_provisioning_bundle::limits::ADMISSION_MESSAGE_BYTES_MAX;

use crate::limits::{CERTIFICATE_REQUEST_BYTES_MAX, REPORT_BYTES_MAX, VOUCHER_REQUEST_BYTES_MAX};

/// A request to a registrar, in the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// A box asks for its voucher (RFC 8995 §5.2).
    RequestVoucher,
    /// A box says what it thinks of the voucher (RFC 8995 §5.7).
    VoucherStatus,
    /// The authority's certificates (RFC 7030 §4.1).
    CaCerts,
    /// A box shows its TPM, and is given a challenge.
    Enrolment,
    /// A box answers the challenge.
    Response,
    /// A box asks for its certificate (RFC 7030 §4.2.1).
    SimpleEnroll,
    /// A box says what it thinks of the certificate (RFC 8995 §5.9.4).
    EnrollStatus,
    /// A box fetches what it has to know of the chain.
    Bundle,
    /// A box asks to be one of the chain's.
    Admission,
    /// A box asks for another certificate (RFC 7030 §4.2.2).
    SimpleReenroll,
    /// An enrolled box asks what it is to quote.
    AskQuote,
    /// An enrolled box quotes.
    Attestation,
    /// An enrolled box is decommissioned.
    Departure,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Anybody.
    Anybody,
    /// The holder of a maker's certificate (IDevID).
    Pledge,
    /// The holder of a certificate of the organisation (LDevID).
    Member,
    /// Either.
    Either,
}

/// Why a request is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing is there.
    #[error("there is nothing at this path; compare it with the documentation of the registrar")]
    Path,
    /// Something is there, and is asked for otherwise.
    #[error("this path is asked by {allow}")]
    Method {
        /// The methods, as the header `Allow` has them.
        allow: &'static str,
    },
    /// The body is said to be something else.
    #[error("the body of this request is {expected}; say so in Content-Type")]
    Media {
        /// What it has to be.
        expected: &'static str,
    },
}

impl CallError {
    /// Its name in logs and metrics, which never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Path => "unknown-path",
            Self::Method { .. } => "unknown-method",
            Self::Media { .. } => "unknown-media",
        }
    }

    /// The status of HTTP.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Path => 404,
            Self::Method { .. } => 405,
            Self::Media { .. } => 415,
        }
    }
}

const ATTESTATION: &str = "/.well-known/dolmen/attestation";

impl Call {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::RequestVoucher,
        Self::VoucherStatus,
        Self::CaCerts,
        Self::Enrolment,
        Self::Response,
        Self::SimpleEnroll,
        Self::EnrollStatus,
        Self::Bundle,
        Self::Admission,
        Self::SimpleReenroll,
        Self::AskQuote,
        Self::Attestation,
        Self::Departure,
    ];

    /// Its name in records and metrics, which never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestVoucher => "requestvoucher",
            Self::VoucherStatus => "voucher-status",
            Self::CaCerts => "cacerts",
            Self::Enrolment => "enrolment",
            Self::Response => "response",
            Self::SimpleEnroll => "simpleenroll",
            Self::EnrollStatus => "enrollstatus",
            Self::Bundle => "bundle",
            Self::Admission => "admission",
            Self::SimpleReenroll => "simplereenroll",
            Self::AskQuote => "ask-quote",
            Self::Attestation => "attestation",
            Self::Departure => "departure",
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::RequestVoucher => "/.well-known/brski/requestvoucher",
            Self::VoucherStatus => "/.well-known/brski/voucher_status",
            Self::CaCerts => "/.well-known/est/cacerts",
            Self::Enrolment => "/.well-known/dolmen/enrolment",
            Self::Response => "/.well-known/dolmen/response",
            Self::SimpleEnroll => "/.well-known/est/simpleenroll",
            Self::EnrollStatus => "/.well-known/brski/enrollstatus",
            Self::Bundle => "/.well-known/dolmen/bundle",
            Self::Admission => "/.well-known/dolmen/admission",
            Self::SimpleReenroll => "/.well-known/est/simplereenroll",
            Self::AskQuote | Self::Attestation => ATTESTATION,
            Self::Departure => "/.well-known/dolmen/departure",
        }
    }

    /// How it is asked.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::CaCerts | Self::Bundle | Self::AskQuote => "GET",
            _ => "POST",
        }
    }

    /// What its body is; none where it has no body.
    #[must_use]
    pub const fn media(self) -> Option<&'static str> {
        match self {
            Self::CaCerts | Self::Bundle | Self::AskQuote => None,
            Self::RequestVoucher => Some(VOUCHER),
            Self::SimpleEnroll | Self::SimpleReenroll => Some("application/pkcs10"),
            Self::Admission => Some(CMS),
            Self::VoucherStatus
            | Self::EnrollStatus
            | Self::Enrolment
            | Self::Response
            | Self::Attestation
            | Self::Departure => Some(JSON),
        }
    }

    /// Bytes that its body has at most. A server reads no more than that.
    #[must_use]
    pub const fn body_bytes_max(self) -> usize {
        match self {
            Self::CaCerts | Self::Bundle | Self::AskQuote => 0,
            Self::RequestVoucher => VOUCHER_REQUEST_BYTES_MAX,
            Self::VoucherStatus | Self::EnrollStatus | Self::Departure => REPORT_BYTES_MAX,
            Self::SimpleEnroll | Self::SimpleReenroll => CERTIFICATE_REQUEST_BYTES_MAX,
            Self::Admission => ADMISSION_MESSAGE_BYTES_MAX,
            Self::Enrolment => Enrolment::JSON_BYTES_MAX,
            Self::Response => Response::JSON_BYTES_MAX,
            Self::Attestation => Reattestation::JSON_BYTES_MAX,
        }
    }

    pub(crate) const fn asker(self) -> Asker {
        match self {
            Self::CaCerts => Asker::Anybody,
            Self::Bundle | Self::Admission | Self::AskQuote | Self::Attestation | Self::Departure => Asker::Member,
            Self::SimpleReenroll => Asker::Either,
            _ => Asker::Pledge,
        }
    }

    /// Reads a request's first line and the media type of its body, which may have parameters.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub fn parse(method: &str, path: &str, media: Option<&str>) -> Result<Self, CallError> {
        let here = |call: &&Self| call.path() == path;
        let call = Self::ALL.iter().filter(here).find(|call| call.method() == method);
        let Some(call) = call.copied() else {
            let mut there = Self::ALL.iter().filter(here);
            return Err(match (there.next(), there.next()) {
                (None, _) => CallError::Path,
                (Some(_), Some(_)) => CallError::Method { allow: "GET, POST" },
                (Some(call), None) => CallError::Method { allow: call.method() },
            });
        };
        match call.media() {
            Some(expected) if !media.is_some_and(|media| is_media(media, expected)) => {
                Err(CallError::Media { expected })
            }
            _ => Ok(call),
        }
    }
}

/// Whether a `Content-Type` is of a media type (RFC 9110 §8.3.1).
fn is_media(found: &str, expected: &str) -> bool {
    found.split(';').next().is_some_and(|found| found.trim().eq_ignore_ascii_case(expected))
}

/// Vouchers and requests for them (RFC 8995 §8.3).
pub(crate) const VOUCHER: &str = "application/voucher-cms+json";
/// CMS of something else (RFC 7193).
pub(crate) const CMS: &str = "application/cms";
/// JSON.
pub(crate) const JSON: &str = "application/json";
/// Certificates (RFC 7030 §4.1.3).
pub(crate) const CERTIFICATES: &str = "application/pkcs7-mime; smime-type=certs-only";
/// Refusals (RFC 9457 §3).
pub(crate) const PROBLEM: &str = "application/problem+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_by_method_and_path() {
        for call in Call::ALL {
            assert_eq!(Call::parse(call.method(), call.path(), call.media()), Ok(call));
            // A body is announced where there is one.
            assert_eq!(Call::parse(call.method(), call.path(), Some("text/plain")).is_ok(), call.media().is_none());
            assert_eq!(Call::parse(call.method(), call.path(), None).is_ok(), call.media().is_none());
            assert_eq!(call.media().is_some(), call.body_bytes_max() > 0, "{call:?}");
            assert_eq!(Call::parse("GET", &format!("{}/", call.path()), call.media()), Err(CallError::Path));
        }
        assert_eq!(Call::parse("PUT", "/.well-known/est/cacerts", None), Err(CallError::Method { allow: "GET" }));
        let both = CallError::Method { allow: "GET, POST" };
        assert_eq!(Call::parse("PUT", ATTESTATION, None), Err(both));
        for path in ["", "/", "/.well-known/est/csrattrs", "/.well-known/EST/cacerts"] {
            assert_eq!(Call::parse("GET", path, None), Err(CallError::Path), "{path}");
        }
    }

    #[test]
    fn media_types_may_have_parameters_and_any_case() {
        let path = Call::VoucherStatus.path();
        for media in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;x"]
        {
            assert_eq!(Call::parse("POST", path, Some(media)), Ok(Call::VoucherStatus), "{media}");
        }
        for media in ["", "application/jsonx", "json", "text/json"] {
            assert!(Call::parse("POST", path, Some(media)).is_err(), "{media}");
        }
    }

    #[test]
    fn names_are_different() {
        for (at, call) in Call::ALL.iter().enumerate() {
            assert!(Call::ALL[at + 1..].iter().all(|other| other.name() != call.name()));
        }
    }
}
