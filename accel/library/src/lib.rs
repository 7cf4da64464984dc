//! Signature libraries of others behind the engine interface.
//!
//! Two things need them. A node with its engine off verifies through [`baseline`], one library call per signature. The
//! benchmark and the vector suite run every [`Library`] beside our own engines: a speed-up is only worth its name
//! against the best that can be had, and an answer only against the answers of others.
//!
//! | library | secp256k1 | p256 | sm2 | ed25519 | bls12381 | hashes |
//! |---|---|---|---|---|---|---|
//! | OpenSSL 3 | verify | verify, sign | verify, sign | near, sign | | SM3, SHA-256 |
//! | aws-lc-rs | verify | verify, sign | | near, sign | | |
//! | libsecp256k1 | verify, recover, sign | | | | | |
//! | ed25519-dalek | | | | near, in batches, sign | | |
//! | curve25519-dalek | | | | verify | | |
//! | RustCrypto | verify, recover, sign | verify, sign | verify, sign | | | SM3, Keccak-256, SHA-256 |
//! | blst | | | | | verify in batches, aggregates, sign | |
//!
//! A cell with *verify* means exactly the rule at [`Algorithm`](dolmen_accel_api::Algorithm): where a library is more
//! lenient, its file here adds the check. *Near* means that the library's own rule differs on inputs that no honest
//! signer makes; [`Peer::exact`] tells, and such a peer must decide nothing that others rely on.
//!
//! What is timed: the library's verification with hashing and with the parsing of the signature. Parsed public keys are
//! kept, as a careful caller would, so a key that repeats is parsed once ([`Capabilities::known_keys`] is still false:
//! no library here computes tables for a key).
//!
//! [`Capabilities::known_keys`]: dolmen_accel_api::Capabilities::known_keys

mod aws_lc;
mod baseline;
mod bls;
mod call;
mod dalek;
mod encoding;
mod hashing;
mod library;
mod libsecp256k1;
mod openssl;
mod peer;
mod rust_crypto;
mod signing;
mod zip215;

pub use baseline::baseline;
pub use hashing::LibraryHasher;
pub use library::Library;
pub use peer::Peer;
pub use signing::{SignerError, Signs};

#[cfg(test)]
mod tests;
