//! The bounds, each with the reason for its number.

/// Tries of a new image: one may be spent by a power cut, one by a slow start, and the third one counts.
pub(crate) const TRIES: u32 = 3;
/// Bytes that are copied at once: a disk takes them in one go.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a UKI that is read: what a bundle's may have.
pub(crate) const UKI_BYTES_MAX: u64 = 120 << 20;
/// Bytes of the boot loader that is read: what a bundle's may have.
pub(crate) const BOOT_BYTES_MAX: u64 = 4 << 20;
/// Bytes of `loader.conf`: ours has some 100.
pub(crate) const LOADER_CONF_BYTES_MAX: u64 = 16 << 10;
/// Bytes of a firmware variable with a path: that is 255 units of UTF-16 on FAT, and a folder.
pub(crate) const VARIABLE_BYTES_MAX: u64 = 4 << 10;
/// Files in `EFI/Linux`: two are ours.
pub(crate) const ENTRIES_MAX: usize = 64;
