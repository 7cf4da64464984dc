//! What is read and made at most.

/// Bytes of a file of certificates or a request in PEM: 16 certificates of the largest kind.
pub(crate) const PEM_BYTES_MAX: u64 = 512 << 10;
/// Certificates in a file: those of a path, and room for roots of a change.
pub(crate) const CERTIFICATES_MAX: usize = 16;
/// Bytes of a box's birth file: its request has some 500.
pub(crate) const BIRTH_BYTES_MAX: usize = 16 << 10;
/// Days of a certificate: a hundred years.
pub(crate) const DAYS_MAX: u32 = 36_525;
/// Vouchers that are signed before the disk has to have them: a crash costs their signatures and nothing else.
pub(crate) const SALE_BATCH: usize = 64;
