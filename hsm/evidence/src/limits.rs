//! The bounds, each with the reason for its number.

/// Bytes of a public area (`TPMT_PUBLIC`). One of RSA-3072 with a policy has some 470.
pub(crate) const PUBLIC_BYTES_MAX: usize = 1024;
/// Bytes of a digest or a policy: SHA-512.
pub(crate) const DIGEST_BYTES_MAX: usize = 64;
/// Bytes of a name: a hash's number and its digest. Part 2 §10.5.3.
pub(crate) const NAME_BYTES_MAX: usize = 2 + DIGEST_BYTES_MAX;
/// Bytes of `TPM2B_DATA`, which carries the nonce: as long as a name, Part 2 §10.4.3.
pub(crate) const DATA_BYTES_MAX: usize = NAME_BYTES_MAX;
/// Bytes of a statement (`TPMS_ATTEST`). A certify with names by SHA-512 has some 260.
pub(crate) const STATEMENT_BYTES_MAX: usize = 1024;
/// Banks that a quote selects from. TPMs have up to five.
pub(crate) const SELECTIONS_MAX: usize = 16;
/// Bytes of a selection's bits: 32 registers, more than any TPM has.
pub(crate) const SELECT_BYTES_MAX: usize = 4;
/// Bytes of an RSA number: RSA-4096, of which keys here are smaller.
pub(crate) const RSA_BYTES_MAX: usize = 512;
/// Bytes of a coordinate: P-384's, but SHA-512's length for TPMs that pad further.
pub(crate) const COORDINATE_BYTES_MAX: usize = 64;
/// Bytes of `TPMS_ID_OBJECT`'s encoding: a digest and an encrypted digest, with their lengths.
pub(crate) const ID_OBJECT_BYTES_MAX: usize = 4 + 2 * DIGEST_BYTES_MAX;

/// Bytes of a certificate. Makers' have 800 to 1,600.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 16 << 10;
/// Intermediate certificates that a box sends along. Makers' chains have one to three.
pub(crate) const INTERMEDIATES_MAX: usize = 16;
/// Certificates between a certificate and its root.
pub(crate) const CHAIN_DEPTH_MAX: i32 = 5;

/// Bytes of a log. A server's boot leaves 30 to 300 KiB; kernels reserve 64 KiB to some MiB.
pub(crate) const LOG_BYTES_MAX: usize = 8 << 20;
/// Events of a log. A server's boot leaves 50 to 500.
pub(crate) const EVENTS_MAX: usize = 16 << 10;
/// Hashes that one log is kept in. TPMs have up to five banks.
pub(crate) const LOG_ALGORITHMS_MAX: usize = 8;
