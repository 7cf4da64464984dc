//! The requests of the protocol.

use std::borrow::Cow;

use dolmen_provisioning_appraisal::{Challenge, Message as _, QuoteRequest};
use dolmen_provisioning_ca::est;

use crate::{
    Method, Request,
    limits::{BUNDLE_MESSAGE_BYTES_MAX, CERTIFICATES_BYTES_MAX, SHORT_ANSWER_BYTES_MAX, VOUCHER_BYTES_MAX},
};

const VOUCHER: &str = "application/voucher-cms+json";
const JSON: &str = "application/json";
const CMS: &str = "application/cms";
const CERTIFICATES: &str = "application/pkcs7-mime";

/// A request, and what answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// RFC 8995 §5.2.
    RequestVoucher,
    /// RFC 8995 §5.7.
    VoucherStatus,
    /// RFC 7030 §4.1.
    CaCerts,
    /// Which TPM, and which keys.
    Enrolment,
    /// What the TPM answers.
    Response,
    /// RFC 7030 §4.2.1.
    SimpleEnroll,
    /// RFC 8995 §5.9.4.
    EnrollStatus,
    /// Which chain.
    Bundle,
    /// To be one of the chain's.
    Admission,
    /// What is to be quoted.
    AskQuote,
    /// The quote.
    Attestation,
    /// RFC 7030 §4.2.2.
    SimpleReenroll,
    /// The end.
    Departure,
}

const ATTESTATION: &str = "/.well-known/dolmen/attestation";

impl Exchange {
    /// The request with a body.
    pub(crate) fn request<'a>(self, body: impl Into<Cow<'a, [u8]>>) -> Request<'a> {
        let (path, content_type) = match self {
            Self::RequestVoucher => ("/.well-known/brski/requestvoucher", Some(VOUCHER)),
            Self::VoucherStatus => ("/.well-known/brski/voucher_status", Some(JSON)),
            Self::CaCerts => ("/.well-known/est/cacerts", None),
            Self::Enrolment => ("/.well-known/dolmen/enrolment", Some(JSON)),
            Self::Response => ("/.well-known/dolmen/response", Some(JSON)),
            Self::SimpleEnroll => ("/.well-known/est/simpleenroll", Some(est::MEDIA_TYPE_REQUEST)),
            Self::EnrollStatus => ("/.well-known/brski/enrollstatus", Some(JSON)),
            Self::Bundle => ("/.well-known/dolmen/bundle", None),
            Self::Admission => ("/.well-known/dolmen/admission", Some(CMS)),
            Self::AskQuote => (ATTESTATION, None),
            Self::Attestation => (ATTESTATION, Some(JSON)),
            Self::Departure => ("/.well-known/dolmen/departure", Some(JSON)),
            Self::SimpleReenroll => ("/.well-known/est/simplereenroll", Some(est::MEDIA_TYPE_REQUEST)),
        };
        let method = if content_type.is_some() { Method::Post } else { Method::Get };
        let answer_bytes_max = self.answer_bytes_max();
        Request { method, path, content_type, accept: self.accept(), body: body.into(), answer_bytes_max }
    }

    /// The media type of an answer; none where it has no body.
    pub(crate) const fn accept(self) -> Option<&'static str> {
        match self {
            Self::RequestVoucher => Some(VOUCHER),
            Self::CaCerts | Self::SimpleEnroll | Self::SimpleReenroll => Some(CERTIFICATES),
            Self::Enrolment | Self::Admission | Self::AskQuote | Self::Attestation => Some(JSON),
            Self::Bundle => Some(CMS),
            Self::VoucherStatus | Self::Response | Self::EnrollStatus | Self::Departure => None,
        }
    }

    /// Bytes of an answer.
    pub(crate) const fn answer_bytes_max(self) -> usize {
        match self {
            Self::RequestVoucher => VOUCHER_BYTES_MAX,
            Self::CaCerts | Self::SimpleEnroll | Self::SimpleReenroll => CERTIFICATES_BYTES_MAX,
            Self::Enrolment if Challenge::JSON_BYTES_MAX > SHORT_ANSWER_BYTES_MAX => Challenge::JSON_BYTES_MAX,
            Self::AskQuote if QuoteRequest::JSON_BYTES_MAX > SHORT_ANSWER_BYTES_MAX => QuoteRequest::JSON_BYTES_MAX,
            Self::Bundle => BUNDLE_MESSAGE_BYTES_MAX,
            _ => SHORT_ANSWER_BYTES_MAX,
        }
    }

    /// Whether somebody may have to decide first.
    pub(crate) const fn may_wait(self) -> bool {
        matches!(self, Self::RequestVoucher | Self::SimpleEnroll | Self::SimpleReenroll | Self::Admission)
    }

    /// Whether it tells what became of something: whatever the answer, the box goes on.
    pub(crate) const fn is_telemetry(self) -> bool {
        matches!(self, Self::VoucherStatus | Self::EnrollStatus)
    }
}
