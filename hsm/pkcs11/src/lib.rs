//! Keys on PKCS#11 tokens: HSMs, smart cards, and what stands in for them.
//!
//! A key is named by RFC 7512, as in `pkcs11:token=box;object=consensus`. It is a private key and its public key, which
//! share their `CKA_ID`, and where this crate made it a data object beside them:
//!
//! | object | class | attributes |
//! |---|---|---|
//! | private key | `CKO_PRIVATE_KEY` | private, sensitive, not extractable, signs |
//! | public key | `CKO_PUBLIC_KEY` | `CKA_EC_PARAMS`, `CKA_EC_POINT` |
//! | what it may sign for | `CKO_DATA` | label of the key, application `dolmen`, value as `vote,transport` |
//!
//! PKCS#11 has no attribute for the last. A key without it was made with other tools: it may sign for all that the
//! box's configuration names it for. It guards against mistakes, not against those who have the PIN.
//!
//! Every key is tried when it is made, opened or found again after its token was away: the device signs, and the
//! library that the node trusts must accept it. Not every device signs what its mechanism's name says; one that makes a
//! key on the SM2 curve and then signs ECDSA with it is refused here.
//!
//! A token that was pulled out, or closed our sessions, is opened again once per call, and the key must still be the
//! same. A PIN that a token refused is never presented to it again, so that no loop uses up the tries.
//!
//! `token.rs` has sessions, login and recovery, `library.rs` the loaded libraries and their tokens, `worker.rs` the
//! threads that wait for devices, `objects.rs`, `make.rs` and `rotate.rs` the objects of keys, `curve.rs` their
//! encodings, `scheme.rs` what each algorithm signs, `check.rs` whether it did.

mod check;
mod config;
mod curve;
mod domains;
mod errors;
mod identity;
mod key;
mod library;
mod limits;
mod make;
mod objects;
mod pin;
mod rotate;
mod scheme;
mod store;
mod token;
mod worker;

pub use config::{Pkcs11Config, Sm2Input, Sm2Mechanisms};
pub use store::Pkcs11Store;
