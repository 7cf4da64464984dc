//! The bounds, each with the reason for its number.

/// Bytes of a line with its end. The longest records have a voucher of some 10 KB in Base64, or a bundle's worth of
/// certificates; what a registrar or an authority puts into one is bounded by its own limits to less than this.
pub(crate) const LINE_BYTES_MAX: usize = 256 << 10;

/// Bytes of a journal, which is read whole at the start: a million records of the usual 500 bytes. A registrar of a
/// thousand boxes writes some 20,000 a year.
pub(crate) const JOURNAL_BYTES_MAX: u64 = 512 << 20;

const _: () = assert!(LINE_BYTES_MAX as u64 * 1000 < JOURNAL_BYTES_MAX);
