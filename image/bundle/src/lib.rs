//! An image in one file: a manifest that says what it is and what it consists of, the signature of the organisation
//! that releases it, and the parts. Sticks carry it, and boxes are updated by it.
//!
//! ```text
//! 0     "DOLMENB1"
//! 8     bytes of the manifest, 32 bits, low byte first
//! 12    the manifest, JSON
//!       its signature, Ed25519, 64 bytes
//!       zeros up to a multiple of 4096
//!       boot.efi, uki.efi, root.verity, root.erofs: each followed by zeros up to a multiple of 4096
//! ```
//!
//! What comes in is read once, from the front to the end, and nothing of it is used before it is known to be right:
//! [`Bundle::open`] checks the signature before it parses the manifest, and [`PartReader`] gives a part's last byte
//! only when the part's hash is the manifest's. Whoever needs more certainty reads all of it first
//! ([`Bundle::verify`]).
//!
//! The signature covers `"dolmen-image-manifest-v1\0"` and the manifest's bytes, and through the manifest every part.
//! All else are zeros, which are checked. So no bit can change unseen but in what follows a bundle ([`Bundle::end`]).
//!
//! [`answer`] has the other signed file of a stick: what to do without asking.

pub mod answer;
mod bundle;
mod error;
mod hash;
mod key;
mod limits;
mod manifest;
mod part;
mod security_version;
mod signed;
mod write;

pub use bundle::{Bundle, PartReader};
pub use error::BundleError;
pub use hash::Hash;
pub use key::{KeyError, ReleaseKey, Sign, SignError, SigningKey};
pub use manifest::{ARCHITECTURE, Manifest, Measurements, PRODUCT};
pub use part::{PART_NAMES, Part, PartName};
pub use security_version::SecurityVersion;
pub use semver::Version;
pub use signed::SignedManifest;
pub use write::write;
