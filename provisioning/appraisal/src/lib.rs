//! How an organisation's registrar judges a box by its TPM, and the messages for it.
//!
//! A box sends an [`Enrolment`]: which TPM it has, and which keys. The registrar's [`Verifier`] looks whether they fit
//! the [`Policy`] and each other, and answers with a [`Challenge`] that only this TPM opens. The box's [`Response`] proves
//! that it did, and quotes its registers. If the logs lead to them and an image of the [`ReferenceValues`] leaves them,
//! there is an [`Appraisal`]: then the organisation may certify the box's LDevID, and admit the box with the appraisal's
//! hash. Whatever does not hold is a [`Refusal`] with a code of its own.
//!
//! Later the registrar asks for a new quote ([`Verifier::ask`]). The answer, a [`Reattestation`], has to be the same TPM's,
//! with the same firmware below it and an allowed image on it, or there is a [`Drift`]. An [`Acknowledgement`] says when
//! to come again.
//!
//! What an appraisal proves ends with the image: what runs is what was released, as far as its own checks go (dm-verity,
//! Secure Boot). The firmware's registers are taken as they are at enrolment, since nobody publishes values for them.
//! Whether a maker revoked a TPM's certificate is not asked: take the maker out of the policy's roots.
//!
//! Nothing here does IO, reads a clock or has a source of randomness of its own but for the seed of a credential, which
//! OpenSSL makes. Secrets, nonces and the time are passed in. Statements of TPMs are checked by `dolmen-hsm-evidence`.
//! Bounds on what is read stand in `limits.rs`.

mod again;
mod appraisal;
mod encoding;
mod keys;
mod limits;
mod maker;
mod message;
mod policy;
mod quote;
mod reference;
mod refusal;
mod serial;
mod verifier;

pub use again::{AwaitingQuote, Drift, Reappraisal};
pub use appraisal::{Appraisal, AppraisalError, Counters};
pub use dolmen_hsm_evidence::Moment;
pub use encoding::{Bytes, Fixed, Message, MessageError};
pub use message::{
    Acknowledgement, Certificate, Challenge, Claim, Enrolment, Logs, Nonce, PublicArea, QuoteRequest, Reattestation,
    Registers, Response, Selection, SignedQuote, SignedStatement, activation_proof, certification_nonce,
};
pub use policy::{Policy, PolicyError};
pub use reference::{ReferenceError, ReferenceValues};
pub use refusal::Refusal;
pub use serial::{Serial, SerialError};
pub use verifier::{Awaiting, Fresh, Verifier};
