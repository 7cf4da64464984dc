//! The bounds, each with the reason for its number.

pub(crate) use dolmen_provisioning_bundle::limits::BUNDLE_MESSAGE_BYTES_MAX;

/// Characters of a registrar's name or address (RFC 1035 §2.3.4).
pub(crate) const HOST_CHARACTERS_MAX: usize = 253;
/// Hints that are taken from one source. Whoever floods a network with announcements does not push out what DHCP, once a
/// driver asks it, or a stick says.
pub(crate) const HINTS_PER_SOURCE_MAX: usize = 8;
/// Hints that are remembered: of three sources, and as many that were seen before and are left alone.
pub(crate) const PLACES_MAX: usize = 2 * 3 * HINTS_PER_SOURCE_MAX;
/// Vouchers from sticks that wait for their registrar: a box has one owner, and somebody may have tried others before.
pub(crate) const OFFERS_MAX: usize = 4;
/// Registrars whose request is remembered until they answer it.
pub(crate) const ASKS_MAX: usize = PLACES_MAX;

/// Seconds of the first pause after a failure: as long as a registrar takes to start again.
pub(crate) const BACKOFF_SECONDS_MIN: u32 = 2;
/// Seconds of the longest pause, without what chance adds: a technician who has repaired something waits no longer.
pub(crate) const BACKOFF_SECONDS_MAX: u32 = 240;
/// Seconds without looking for other registrars, when nobody can be asked: one that was just plugged in is found.
pub(crate) const ROUND_SECONDS_MAX: u32 = 300;
/// Seconds for which a registrar is left alone that refused, and does not say that it helps to ask again.
pub(crate) const REFUSED_SECONDS: u32 = 900;
/// Seconds that a registrar may ask the box to wait.
pub(crate) const RETRY_AFTER_SECONDS_MIN: u32 = 1;
/// An hour: longer, and nobody in front of the box knows whether it still tries.
pub(crate) const RETRY_AFTER_SECONDS_MAX: u32 = 3600;

/// Seconds of a keeper's wait at most: a clock that was set, or a wish to attest at once, counts soon.
pub(crate) const WAIT_SECONDS_MAX: u32 = 60;
/// Seconds after which a box attests again at the earliest: a quote takes a TPM a second, and fills a line of a journal.
pub(crate) const ATTEST_SECONDS_MIN: u32 = 60;
/// Seconds after which it does at the latest, whatever the registrar says: a box that was changed is found within a week.
pub(crate) const ATTEST_SECONDS_MAX: u32 = 7 * 24 * 60 * 60;
/// Seconds for which a registrar is not asked again whose certificates the box does not take: each is one that its
/// authority takes back later, so that a mistake of its operator fills no list of revoked certificates.
pub(crate) const UNFIT_SECONDS: u32 = 3600;

/// How often a registrar is told that its voucher was followed, if the answer gets lost.
pub(crate) const TELLS_MAX: u8 = 3;

/// Bytes of a voucher: a message of CMS with some certificates has 6 KB.
pub(crate) const VOUCHER_BYTES_MAX: usize = 128 << 10;
/// Bytes of a message that the box signed: a request for a voucher has some 5 KB.
pub(crate) const SIGNED_BYTES_MAX: usize = 128 << 10;
/// Bytes of certificates from EST, in base64: some have 2 KB, 16 at most are read.
pub(crate) const CERTIFICATES_BYTES_MAX: usize = 512 << 10;
/// Bytes of an answer that says little: what became of a request, or why not (RFC 9457).
pub(crate) const SHORT_ANSWER_BYTES_MAX: usize = 16 << 10;
/// Characters of a code that a registrar gives. Ours have 30 at most.
pub(crate) const CODE_CHARACTERS_MAX: usize = 64;
/// Characters of a text for people that comes from somebody else: two lines of a screen.
pub(crate) const TEXT_CHARACTERS_MAX: usize = 240;

/// Bytes of a record: a bundle, a voucher and certificates, as base64.
pub(crate) const RECORD_BYTES_MAX: usize = (BUNDLE_MESSAGE_BYTES_MAX + (1 << 20)).div_ceil(3) * 4;

const _: () = assert!(BACKOFF_SECONDS_MAX + BACKOFF_SECONDS_MAX / 2 <= 2 * ROUND_SECONDS_MAX);
const _: () = assert!(ATTEST_SECONDS_MIN <= ATTEST_SECONDS_MAX && WAIT_SECONDS_MAX <= ROUND_SECONDS_MAX);
const _: () = assert!(SHORT_ANSWER_BYTES_MAX <= VOUCHER_BYTES_MAX);
