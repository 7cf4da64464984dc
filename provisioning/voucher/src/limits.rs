//! What is read at most. Whoever sends more sends no voucher.

use dolmen_provisioning_ca::Certificate;

/// Certificates that a registrar shows: its own, its authorities', and a root that some send along.
pub(crate) const CERTIFICATES_MAX: usize = 5;
/// Bytes of a voucher or request, in JSON: a registrar's request has some 8 KB.
pub(crate) const CONTENT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a box's request within a registrar's: it has some 3 KB.
pub(crate) const PRIOR_BYTES_MAX: usize = 32 << 10;
/// By how much an ownership epoch may go up at once: more than a box is sold, and few enough for its TPM, whose counter
/// goes up one by one, 60 to 100 times a second. A wrong voucher cannot use up all epochs either.
pub(crate) const EPOCH_STEP_MAX: u64 = 1024;
/// Characters of a serial number (RFC 5280, `ub-serial-number`).
pub(crate) const SERIAL_NUMBER_CHARACTERS_MAX: usize = 64;
/// Bytes of a nonce (RFC 8366 §5.3).
pub(crate) const NONCE_BYTES_MIN: usize = 8;
pub(crate) const NONCE_BYTES_MAX: usize = 32;
/// Bytes of a key identifier: SHA-1 has 20, SHA-512 has 64.
pub(crate) const KEY_IDENTIFIER_BYTES_MAX: usize = 64;

/// A box's request fits into a registrar's as base64, with room for the rest.
const _: () = assert!(PRIOR_BYTES_MAX.div_ceil(3) * 4 + (4 << 10) <= CONTENT_BYTES_MAX);
/// So does a certificate, twice, into a box's.
const _: () = assert!(2 * Certificate::BYTES_MAX.div_ceil(3) * 4 + (2 << 10) <= PRIOR_BYTES_MAX);
