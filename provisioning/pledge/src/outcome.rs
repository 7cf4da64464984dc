//! What came of a step.

use dolmen_provisioning_appraisal::{Enrolment, Reattestation, Response};
use dolmen_provisioning_ca as ca;
use dolmen_provisioning_voucher::OwnershipEpoch;

use crate::Hint;

/// What came of a [`Step`](crate::Step).
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What a look around found.
    Discovered(Discovery),
    /// Certificates of the server that TLS showed, in DER, its own first. It holds the key of the first.
    Connected(Vec<Vec<u8>>),
    /// The answer to a request.
    Answered(Answer),
    /// The ownership epoch in the TPM.
    Epoch(OwnershipEpoch),
    /// Bytes that nobody can guess.
    Nonce([u8; 32]),
    /// The signed message, DER.
    Signed(Vec<u8>),
    /// The TPM's keys and logs.
    Enrolment(Box<Enrolment>),
    /// The TPM's answer.
    Response(Box<Response>),
    /// The TPM's quote, and the logs.
    Reattestation(Box<Reattestation>),
    /// A request for a certificate.
    Request(ca::Request),
    /// The text of a request for admission.
    AdmissionRequest(String),
    /// The record is stored.
    Stored,
    /// The time is over.
    Waited,
    /// It could not be done, or not all of it: what people should read about that.
    Failed(String),
}

impl Outcome {
    /// Its name in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Discovered(_) => "discovered",
            Self::Connected(_) => "connected",
            Self::Answered(_) => "answered",
            Self::Epoch(_) => "epoch",
            Self::Nonce(_) => "nonce",
            Self::Signed(_) => "signed",
            Self::Enrolment(_) => "enrolment",
            Self::Response(_) => "response",
            Self::Reattestation(_) => "reattestation",
            Self::Request(_) => "request",
            Self::AdmissionRequest(_) => "admission-request",
            Self::Stored => "stored",
            Self::Waited => "waited",
            Self::Failed(_) => "failed",
        }
    }
}

/// What a look around found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where registrars may be, those first that are to be tried first.
    pub hints: Vec<Hint>,
    /// A random byte, which makes pauses differ from those of other boxes.
    pub chance: u8,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// `Content-Type`, as it is.
    pub content_type: Option<String>,
    /// `Retry-After`, as it is.
    pub retry_after: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What cannot come of a step: a mistake of the driver. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{outcome} is no outcome of the step {step}; ask for the next step again, and report this")]
pub struct Unexpected {
    /// What was to be done.
    pub step: &'static str,
    /// What is said to have come of it.
    pub outcome: &'static str,
}
