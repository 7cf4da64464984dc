//! What is read at most. Whoever sends more sends no boot file.

/// Bytes of an image, in the file and in memory: a UKI with an initrd for every machine has a third of it. It also
/// keeps every offset within what a PE file's fields and a 32-bit sum hold.
pub(crate) const IMAGE_BYTES_MAX: usize = 512 << 20;
/// Sections of an image: what Windows' loader takes, and far more than a UKI has.
pub(crate) const SECTIONS_MAX: usize = 96;
/// Bytes of an image's signatures: Microsoft's with its chain and time stamp has 10 KB. Sets in them are sorted in
/// quadratic time, so that this bounds time too.
pub(crate) const SIGNATURES_BYTES_MAX: usize = 64 << 10;
/// Signatures of an image.
pub(crate) const SIGNATURES_MAX: usize = 8;
/// Bytes of a certificate.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 16 << 10;
/// Certificates between a signer's and a trusted one.
pub(crate) const CHAIN_DEPTH_MAX: i32 = 4;
/// Bytes of `db`, `dbx`, `KEK` or `PK`: firmware keeps all of its variables in some 256 KiB.
pub(crate) const SIGNATURE_DATABASE_BYTES_MAX: usize = 1 << 20;

/// So that sums of offsets and sizes cannot wrap.
const _: () = assert!(IMAGE_BYTES_MAX < (u32::MAX / 4) as usize);
