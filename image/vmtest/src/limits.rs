//! The bounds, each with the reason for its number.

use std::time::Duration;

/// How long a marker on the console may take: a box that is up after a minute under TCG on an idle machine takes
/// several where two cores are shared with other tests.
pub const MARKER_WAIT_MAX: Duration = Duration::from_mins(10);
/// How long QEMU and swtpm may take to listen on their sockets.
pub(crate) const START_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long QEMU may take to answer a command. It answers between two instructions of the guest, but on a machine that
/// is busy with others.
pub(crate) const QMP_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long OVMF may take under KVM until it looks for something to boot; it takes two seconds.
pub(crate) const PROBE_WAIT_MAX: Duration = Duration::from_secs(30);
/// Bytes of a console that are kept in memory and written to its log. A boot prints some 50 KB, a status screen that is
/// drawn again each second 4 MB in an hour. A guest that prints more is out of control.
pub(crate) const CONSOLE_BYTES_MAX: usize = 64 << 20;
/// Bytes of a line. A longer one is broken: whatever matches a line is then bounded too.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 10;
/// Lines of a console that an error shows. The log has them all.
pub(crate) const TAIL_LINES: usize = 40;
/// Bytes of QEMU's and swtpm's own messages that an error shows.
pub(crate) const STDERR_BYTES_MAX: usize = 4 << 10;
/// Bytes of a file on an EFI system partition: a unified kernel image has 20 MB, the partition 256.
pub(crate) const ESP_FILE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of a firmware's variable store, which has 528 KiB in OVMF's builds of 4 MiB.
pub(crate) const STORE_BYTES_MAX: u64 = 4 << 20;
