//! What is read and written at most. Whoever sends more sends something else.

use dolmen_provisioning_appraisal::{Enrolment, Message as _};
use dolmen_provisioning_bundle::limits::BUNDLE_MESSAGE_BYTES_MAX;

/// Requests in a letter: ours have three, and two reports.
pub const REQUESTS_MAX: usize = 8;
/// Vouchers in a reply: as many as a box keeps.
pub const VOUCHERS_MAX: usize = 4;
/// Bytes of a voucher: ours have some 3 KB, and a registrar keeps none of more than half of this.
pub const VOUCHER_BYTES_MAX: usize = 32 << 10;
/// Bytes of a request's body: the longest is an enrolment, with the firmware's log.
pub const REQUEST_BODY_BYTES_MAX: usize = Enrolment::JSON_BYTES_MAX;
/// Bytes of an answer's body: the longest is a chain bundle.
pub const ANSWER_BODY_BYTES_MAX: usize = BUNDLE_MESSAGE_BYTES_MAX;

/// Characters of a request's path: ours have up to 35.
pub(crate) const PATH_CHARACTERS_MAX: usize = 64;
/// Characters of a media type with its parameters, and of `Retry-After`: ours have up to 44.
pub(crate) const HEADER_CHARACTERS_MAX: usize = 128;

/// Bytes of a letter's JSON: one long body, and short ones. Letters of ours have some 500 KB, most of them the
/// firmware's log, and 3 MB at most.
pub(crate) const LETTER_BYTES_MAX: usize = base64_bytes(REQUEST_BODY_BYTES_MAX) + (256 << 10);
/// Bytes of a reply's JSON: one long body, vouchers, and short ones.
pub(crate) const REPLY_BYTES_MAX: usize =
    base64_bytes(ANSWER_BODY_BYTES_MAX) + VOUCHERS_MAX * base64_bytes(VOUCHER_BYTES_MAX) + (256 << 10);

/// Letters that a box remembers with their replies: the one that has the challenge, and the one that answers it.
pub(crate) const EXCHANGES_MAX: usize = 2;
/// Reports that wait for the next letter: one on the voucher, one on a certificate.
pub(crate) const REPORTS_MAX: usize = 2;
/// Bytes of a carrier's record: letters, replies and certificates, as base64.
pub(crate) const RECORD_BYTES_MAX: usize =
    EXCHANGES_MAX * base64_bytes(LETTER_BYTES_MAX + REPLY_BYTES_MAX + (64 << 10)) + (64 << 10);

/// Digits of a letter's number in a file's name: those of `u64::MAX`.
pub(crate) const NUMBER_DIGITS_MAX: usize = 20;

/// Two reports and what our letters have besides.
const _: () = assert!(3 + REPORTS_MAX <= REQUESTS_MAX);

/// Characters of so many bytes in base64.
const fn base64_bytes(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}
