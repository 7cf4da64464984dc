//! What is read at most. Whoever sends more sends no voucher.

/// Bytes of a certificate: ours have some 600, one with RSA of 4096 bits has 2 KB.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 4 << 10;
/// Certificates in a message: a signer's, its authorities', and a root that some send along.
pub(crate) const CERTIFICATES_MAX: usize = 5;
/// Certificates between a signer's and a root: no message brings more.
pub(crate) const PATH_DEPTH_MAX: i32 = 4;
/// Roots that somebody trusts: a consortium has some ten organisations.
pub(crate) const ROOTS_MAX: usize = 256;
/// Bytes of a message, which is read before its signature can be checked: a registrar's request has some 8 KB.
pub(crate) const MESSAGE_BYTES_MAX: usize = 128 << 10;
/// Bytes of what a message is about.
pub(crate) const CONTENT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a box's request within a registrar's: it has some 3 KB.
pub(crate) const PRIOR_BYTES_MAX: usize = 32 << 10;
/// Bytes of what says who signed and how: OpenSSL writes some 400.
pub(crate) const SIGNERS_BYTES_MAX: usize = 4 << 10;
/// Characters of a serial number (RFC 5280, `ub-serial-number`).
pub(crate) const SERIAL_NUMBER_CHARACTERS_MAX: usize = 64;
/// Bytes of a nonce (RFC 8366 §5.3).
pub(crate) const NONCE_BYTES_MIN: usize = 8;
pub(crate) const NONCE_BYTES_MAX: usize = 32;
/// Bytes of a key identifier: SHA-1 has 20, SHA-512 has 64.
pub(crate) const KEY_IDENTIFIER_BYTES_MAX: usize = 64;
/// Characters of a time: nine digits of a second and an offset make 35.
pub(crate) const TIME_CHARACTERS_MAX: usize = 40;

/// A box's request fits into a registrar's as base64, with room for the rest.
const _: () = assert!(PRIOR_BYTES_MAX.div_ceil(3) * 4 + (4 << 10) <= CONTENT_BYTES_MAX);
/// So does a certificate, twice, into a box's.
const _: () = assert!(2 * CERTIFICATE_BYTES_MAX.div_ceil(3) * 4 + (2 << 10) <= PRIOR_BYTES_MAX);
/// Content, certificates and signer fit into a message.
const _: () = assert!(
    CONTENT_BYTES_MAX + CERTIFICATES_MAX * CERTIFICATE_BYTES_MAX + SIGNERS_BYTES_MAX + (1 << 10) <= MESSAGE_BYTES_MAX
);
