//! What a boot measures, as messages have it.

use dolmen_provisioning_appraisal::{Bytes, Logs};
pub(crate) use dolmen_provisioning_rehearsal::Boot as Measured;

/// A boot as it should be.
pub(crate) fn boot() -> Measured {
    Measured::default()
}

/// As the firmware and the kernel have it, with systemd's log or without.
pub(crate) fn logs(boot: &Measured, userspace: bool) -> Logs {
    Logs { firmware: bytes(boot.firmware_log()), userspace: userspace.then(|| bytes(boot.userspace_log())) }
}

/// A part of a message.
pub(crate) fn bytes<const MAX: usize>(bytes: Vec<u8>) -> Bytes<MAX> {
    Bytes::new(bytes).expect("it is short enough")
}
