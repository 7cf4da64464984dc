//! Images: the PE32+ files for x86-64 that UEFI firmware, systemd-boot and systemd-stub load.
//!
//! [`Image::parse`] takes bytes from anywhere. It is stricter than firmware where a doubtful image lets two programs
//! see two different things: sections lie one after the other without gaps in the file, do not overlap in memory, and
//! nothing follows the signatures. So the [digest](Image::digest) covers every byte but those that it must leave out.
//! Stubs, boot loaders and kernels of Debian 12 and 13 are such images.
//!
//! [`Builder`] adds sections to one, by the rules of systemd's ukify.
//!
//! Sources: Microsoft's "PE Format", and "Windows Authenticode Portable Executable Signature Format" (2008) for
//! digests and the place of signatures.

mod build;
mod digest;
mod error;
mod image;
mod section;

pub use build::Builder;
pub use digest::Digest;
pub(crate) use digest::set_checksum;
pub use error::PeError;
pub(crate) use image::DATA_DIRECTORY_LENGTH;
pub use image::Image;
pub use section::{Content, Section};
