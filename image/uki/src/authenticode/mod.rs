//! Signatures of images, as Secure Boot wants them.
//!
//! A signature is CMS SignedData about the image's [digest](crate::pe::Image::digest). [`sign()`] adds one,
//! [`signatures`] reads those that are there, [`verify()`] says that a trusted certificate vouches for an image, and
//! [`remove`] takes them off. The same image, key, certificate and time give the same bytes, as far as the key does
//! (see [`Sign`](crate::key::Sign)); with RSA they are those that sbsign makes.
//!
//! Digests are SHA-256 alone. Time stamps by a third party are passed over: firmware has no use for them.
//!
//! Sources: "Windows Authenticode Portable Executable Signature Format" (Microsoft, 2008), RFC 5652 (CMS) and RFC 2315
//! (PKCS #7 1.5, which Authenticode still is), and UEFI 2.10 §32.5.3 for what firmware accepts.

mod error;
mod sign;
mod signature;
mod spc;
mod table;
mod verify;

pub use error::AuthenticodeError;
pub use sign::{Signing, remove, sign};
pub use signature::{Signature, signatures};
pub use verify::{Verified, verify};
