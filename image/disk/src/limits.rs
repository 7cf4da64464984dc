//! The bounds, each with the reason for its number.

/// Partitions of a table: as many as fit the 16 KiB that every table reserves (UEFI 2.10 §5.3.1).
pub(crate) const PARTITIONS_MAX: u32 = 128;
/// Bytes of an array of partition entries that is read. Tools write 16 KiB, `sgdisk --resize-table` some more.
pub(crate) const ENTRY_ARRAY_BYTES_MAX: u32 = 128 << 10;
/// Bytes of one entry that is read. All known tables have 128.
pub(crate) const ENTRY_BYTES_MAX: u32 = 4096;

/// Data blocks under one hash tree: 4 PiB, so that no position of a byte needs more than 64 bits.
pub(crate) const DATA_BLOCKS_MAX: u64 = 1 << 40;
/// Bytes of a salt: the superblock's field.
pub(crate) const SALT_BYTES_MAX: usize = 256;
