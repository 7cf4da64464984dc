//! What is read at most. Whoever sends more sends no image.

/// Bytes of a manifest: ours has some 2 KB. It is read before its signature can be checked.
pub(crate) const MANIFEST_BYTES_MAX: usize = 64 << 10;
/// Bytes of a version: it is part of file names on FAT, which end at 255.
pub(crate) const VERSION_BYTES_MAX: usize = 64;
/// Phase paths whose value of PCR 11 a manifest has. systemd has five phases.
pub(crate) const PHASE_PATHS_MAX: usize = 16;
/// Bytes of such a path: all of systemd's phases are 53.
pub(crate) const PHASE_PATH_BYTES_MAX: usize = 128;
/// Bytes of an answer file: ours has some 200. It is read before its signature can be checked.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Bytes of the disk's name in an answer file: the longest of udev's have some 100.
pub(crate) const DISK_NAME_BYTES_MAX: usize = 255;

/// Bytes of systemd-boot, which has some 130 KB; updaters have it in memory.
pub(crate) const BOOT_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a UKI, of which two fit the ESP of 256 MiB beside the boot loader; updaters have it in memory.
pub(crate) const UKI_BYTES_MAX: u64 = 120 << 20;
/// Bytes of the hash tree. A slot of today has room for 8 MiB, a later one may have more.
pub(crate) const VERITY_BYTES_MAX: u64 = 128 << 20;
/// Bytes of the root file system. A slot of today has room for 192 MiB, a later one may have more.
pub(crate) const ROOT_BYTES_MAX: u64 = 8 << 30;
