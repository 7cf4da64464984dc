//! What an organisation and a box that it enrolled send each other, so that the box becomes one of a chain's:
//!
//! - [`ChainBundle`], from the organisation's registrar to the box: which chain, its genesis, whom to call, whom to trust.
//! - [`Admission`], from the box to the registrar: the box asks to be one of the chain's, by its consensus key.
//!
//! Both are JSON, signed as CMS (RFC 5652) by `dolmen-provisioning-ca`, so that `openssl cms` shows and checks them:
//!
//! ```text
//! openssl cms -verify -binary -inform DER -purpose any -CAfile ORGANISATION
//! openssl cms -sign -binary -nodetach -outform DER -md sha256
//! ```
//!
//! A [`Bundle`] is a chain bundle that a registrar of the box's owner signed for this box; a [`VerifiedAdmission`] an
//! admission that a box signed with its identity in the organisation (LDevID), about itself and this chain. Only
//! [`ChainBundle::verify`] and [`Admission::verify`] make them.
//!
//! The genesis file, its hash and the request within an admission are opaque here: the chain's own crates read them. That
//! a hash is the genesis file's is theirs to say, too.
//!
//! Nothing here does IO, reads a clock or has randomness. Bytes from anywhere may come in: the answer is a value or an
//! error that says what does not hold. Bounds stand in [`limits`].

mod admission;
mod chain;
mod content;
mod hash;
pub mod limits;
mod refusal;

pub use admission::{Admission, AdmissionExpectation, VerifiedAdmission};
pub use chain::{Bundle, ChainBundle, Checkpoint, Expectation, Organisation, Peer};
pub use content::ContentError;
pub use hash::Hash;
pub use refusal::{AdmissionRefusal, Refusal};
