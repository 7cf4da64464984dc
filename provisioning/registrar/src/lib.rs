//! An organisation's registrar: who admits boxes, by vouchers, TPMs, certificates and the chain's word.
//!
//! A box goes through it in this order, and each step looks whether the ones before it were done:
//!
//! | request | what has to hold | what becomes of it |
//! |---|---|---|
//! | `requestvoucher` | a known maker's certificate, and a request that its key signed for itself | the voucher that was brought, or 202: no voucher, no approval |
//! | `enrolment`, `response` | approved; keys, TPM and image as the policy of appraisals wants | an appraisal |
//! | `simpleenroll` | appraised lately, and the request is by the appraised key | a certificate (LDevID) |
//! | `bundle` | that certificate | a signed description of the chain |
//! | `admission` | that certificate's signature, for this chain and this appraisal | [`Effect::Admit`], and what the chain says |
//! | `attestation` | the enrolled TPM, firmware and an allowed image | when to come again, or an alarm; `enrol-anew` where an operator allowed other firmware |
//! | `simplereenroll` | attested lately, no alarm, not revoked | another certificate |
//!
//! A box has one key on the chain. One that comes back with another, since it was decommissioned or lost its disk, has the
//! old one retired first ([`Effect::Retire`]), and is admitted again after that: its enrolled TPM says that it is the same
//! box. So a box that is to come back is decommissioned, and not revoked or replaced: that is for good.
//!
//! [`Registrar::handle`] answers a request with an [`Outcome`]: records, an answer, and effects on the chain. Its state is
//! what all [`Record`]s make, and the journal of them is the audit log. Every refusal is a record with a code that stays,
//! except for those that come too often: they are counted alone, so that nobody fills the disk.
//!
//! Where there is no network between them, boxes write letters, and somebody carries them (`provisioning/stick`): what is
//! in one is answered by [`Registrar::handle_carried`], by the same rules.
//!
//! Nothing here does IO, reads a clock or draws random numbers; only signing waits for something. Bodies are bounded by
//! [`Call::body_bytes_max`], everything that is kept by `limits.rs`.

mod answer;
mod call;
mod carried;
mod code;
mod limits;
mod metrics;
mod operator;
mod peer;
mod policy;
mod rate;
mod record;
mod refusal;
mod registrar;
mod request;
mod state;
mod step;

pub use answer::{Answer, Change, Effect, Outcome};
pub use call::{Call, CallError};
pub use metrics::Metrics;
pub use peer::Peer;
pub use policy::{OnDrift, Policy, PolicyError};
pub use record::{Event, Record, Role, Step, Who};
pub use refusal::Refusal;
pub use registrar::{Chain, Fresh, OpenError, Registrar, Request, Setup};
pub use state::{Appraised, Asked, BoxState, Membership, Standing, State, StateError};
