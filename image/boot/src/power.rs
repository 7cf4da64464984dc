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

impl Power {
    /// What a child of the first process ends with, to have the machine left so. 0 is for going on.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Reboot => 10,
            Self::Off => 11,
        }
    }

    /// What such a child asked for. One that ended in any other way has failed.
    #[must_use]
    pub fn from_exit_code(code: i32) -> Option<Self> {
        [Self::Reboot, Self::Off].into_iter().find(|power| i32::from(power.exit_code()) == code)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_none_that_programs_end_with_by_accident() {
        assert_eq!([10, 11].map(Power::from_exit_code), [Some(Power::Reboot), Some(Power::Off)]);
        // Success, failure, a panic, and a shell's for what it cannot run.
        assert_eq!([0, 1, 2, 101, 126, 127].map(Power::from_exit_code), [None; 6]);
    }
}
