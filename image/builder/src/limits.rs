//! The bounds, each with the reason for its number.

/// Bytes of a recipe or a lock: pages that people read.
pub(crate) const PAGE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of one file that is read into memory as a whole: a kernel has 12 MB, an initrd 20 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 512 << 20;
/// Files and folders of a root: Debian's, before anything is taken out, has 12,000.
pub(crate) const NODES_MAX: usize = 200_000;
/// Symbolic links that are followed one after the other, as in Linux.
pub(crate) const LINKS_MAX: usize = 40;
/// Lines of a failed program's output that are shown.
pub(crate) const OUTPUT_LINES_MAX: usize = 20;
/// Bytes of a root's file system: what a slot of 192 MiB holds would be told by the disk, but nobody wants it larger.
pub(crate) const ROOT_BYTES_AIM: u64 = 150_000_000;
