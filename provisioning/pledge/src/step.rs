//! What there is to do.

use std::borrow::Cow;

use dolmen_provisioning_appraisal::{Challenge, QuoteRequest};
use dolmen_provisioning_bundle::{Bundle, ChainBundle};
use dolmen_provisioning_ca::{Certificate, cms::Unsigned};
use dolmen_provisioning_voucher::OwnershipEpoch;

use crate::{Hint, Record, Role};

/// The one thing to do now, for a [`Pledge`](crate::Pledge) or a [`Keeper`](crate::Keeper). Each is answered by the outcome that is named here, or, but for the last two, by
/// [`Outcome::Failed`](crate::Outcome::Failed).
#[derive(Clone, Debug)]
pub enum Step<'a> {
    /// Look for registrars, some seconds long. [`Outcome::Discovered`](crate::Outcome::Discovered).
    Discover,
    /// Connect by TLS 1.3, in the place of any connection that there is. [`Outcome::Connected`](crate::Outcome::Connected).
    Connect(Connect<'a>),
    /// Send a request over the connection, and read the answer. [`Outcome::Answered`](crate::Outcome::Answered).
    Send(Request<'a>),
    /// Read the ownership epoch in the TPM. [`Outcome::Epoch`](crate::Outcome::Epoch).
    ReadEpoch,
    /// Raise it to this, for good; where it is as great already, it stays. [`Outcome::Epoch`](crate::Outcome::Epoch), with
    /// what it is then.
    RaiseEpoch(OwnershipEpoch),
    /// Make up a nonce. [`Outcome::Nonce`](crate::Outcome::Nonce).
    MakeNonce,
    /// Have a key sign a message ([`Unsigned::sign`]). [`Outcome::Signed`](crate::Outcome::Signed).
    Sign {
        /// Which key.
        key: Key,
        /// The message.
        unsigned: &'a Unsigned,
    },
    /// Gather the TPM's keys, its certificate and the logs; make the LDevID's key where there is none.
    /// [`Outcome::Enrolment`](crate::Outcome::Enrolment).
    Attest,
    /// Have the TPM answer a challenge. [`Outcome::Response`](crate::Outcome::Response).
    Respond(&'a Challenge),
    /// Have the TPM quote what is asked for, and gather the logs.
    /// [`Outcome::Reattestation`](crate::Outcome::Reattestation).
    Reattest(&'a QuoteRequest),
    /// Have the LDevID's key ask for a certificate. [`Outcome::Request`](crate::Outcome::Request).
    MakeRequest,
    /// Have the LDevID's key ask for another certificate in the place of this one
    /// ([`RequestBuilder::renewal`](dolmen_provisioning_ca::RequestBuilder::renewal)).
    /// [`Outcome::Request`](crate::Outcome::Request).
    MakeRenewal(&'a Certificate),
    /// Have the consensus key ask for this chain's admission, as `dolmen gov request` does: for this organisation, on this
    /// appraisal. [`Outcome::AdmissionRequest`](crate::Outcome::AdmissionRequest).
    MakeAdmission(&'a ChainBundle),
    /// Store a record in the place of the one that there is, so that it outlives a loss of power.
    /// [`Outcome::Stored`](crate::Outcome::Stored).
    Store(Record),
    /// Close the connection, and wait. [`Outcome::Waited`](crate::Outcome::Waited).
    Wait {
        /// So long.
        seconds: u32,
    },
    /// Nothing: the box is one of its chain's.
    Joined {
        /// What its chain is.
        bundle: &'a Bundle,
        /// As what it was admitted.
        role: Role,
        /// Its certificate, and those that vouch for it.
        ldevid: &'a [Certificate],
    },
    /// Nothing: the box's registrar knows that it is decommissioned.
    Left,
}

impl Step<'_> {
    /// Its name in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Discover => "discover",
            Self::Connect(_) => "connect",
            Self::Send(_) => "send",
            Self::ReadEpoch => "read-epoch",
            Self::RaiseEpoch(_) => "raise-epoch",
            Self::MakeNonce => "make-nonce",
            Self::Sign { .. } => "sign",
            Self::Attest => "attest",
            Self::Respond(_) => "respond",
            Self::Reattest(_) => "reattest",
            Self::MakeRequest => "make-request",
            Self::MakeRenewal(_) => "make-renewal",
            Self::MakeAdmission(_) => "make-admission",
            Self::Store(_) => "store",
            Self::Wait { .. } => "wait",
            Self::Joined { .. } => "joined",
            Self::Left => "left",
        }
    }
}

/// Which connection to make.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// Where to.
    pub hint: &'a Hint,
    /// As whom.
    pub client: Client<'a>,
    /// Who has to answer. The machine looks itself; a driver may look too.
    pub trust: Trust<'a>,
}

/// As whom the box connects: certificates to show, the box's own first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// By its maker: the key is the IDevID's.
    IDevId(&'a [Certificate]),
    /// By its owner: the key is the LDevID's.
    LDevId(&'a [Certificate]),
}

/// Who has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust<'a> {
    /// Anybody who holds the key of the certificate that he shows.
    Provisional,
    /// A registrar whose certificate leads to this one, at whatever time.
    Owner(&'a Certificate),
}

/// Which key signs. Both are on P-256, and made for the domain `certificate` besides that of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// By its maker.
    IDevId,
    /// By its owner.
    LDevId,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
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

/// A request of HTTP/1.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// How.
    pub method: Method,
    /// For what.
    pub path: &'static str,
    /// `Content-Type` of the body; none where there is no body.
    pub content_type: Option<&'static str>,
    /// `Accept`; none where the answer has no body.
    pub accept: Option<&'static str>,
    /// The body.
    pub body: Cow<'a, [u8]>,
    /// Bytes of an answer's body. Whoever sends more is cut off: that is a failure.
    pub answer_bytes_max: usize,
}
