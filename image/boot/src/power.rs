//! Leaving the machine.

use std::{thread, time::Duration};

use rustix::{
    fs::sync,
    system::{RebootCommand, reboot},
};

/// How a machine is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It starts again, and systemd-boot counts a try.
    Reboot,
    /// It is switched off.
    Off,
}

/// Writes what is not yet on the disks, and leaves the machine. Nobody is asked to end first: this is for the time when
/// nothing else runs. Takes the capability `CAP_SYS_BOOT`.
pub fn leave(power: Power) -> ! {
    sync();
    let command = match power {
        Power::Reboot => RebootCommand::Restart,
        Power::Off => RebootCommand::PowerOff,
    };
    // The firmware may need a moment for it. If the kernel refuses, going on would be worse than standing still.
    let _ = reboot(command);
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
