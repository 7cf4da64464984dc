//! The bounds, each with the reason for its number.

use std::time::Duration;

/// Bytes of a file that is read whole: lists, settings and what the kernel tells in `/proc` and `/sys`. The largest is
/// the signature of register 11, with 2 KB for each phase.
pub(crate) const FILE_BYTES_MAX: u64 = 256 << 10;
/// Modules that are loaded: some 60 serve every machine that is supported.
pub(crate) const MODULES_MAX: usize = 512;
/// Disks that are looked at. A server has room for some dozens.
pub(crate) const DISKS_MAX: usize = 256;
/// Bytes of a program's output that are kept, the last ones: enough for the reason of a failure.
pub(crate) const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// How long a console may take for some bytes. A serial line at 9,600 baud needs 70 ms for a line of text.
pub(crate) const CONSOLE_WAIT: Duration = Duration::from_millis(500);
/// Bytes of a line that is typed: a recovery key has 71, also with spaces between its groups.
pub(crate) const LINE_BYTES_MAX: usize = 256;
/// Bytes of a command to a TPM and of its answer: what the kernel's driver takes (`TPM_BUFSIZE`).
pub(crate) const TPM_FRAME_BYTES: usize = 4096;
/// Bytes of an ioctl of the device mapper. A table of one verity target has less than 1 KB.
pub(crate) const DM_BUFFER_BYTES: usize = 16 << 10;
