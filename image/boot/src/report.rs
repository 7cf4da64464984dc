//! What happens, told to people on every console and to the kernel's log.

use std::{
    error::Error,
    fmt::Display,
    fs::{File, OpenOptions},
    io::Write as _,
};

use crate::console::Consoles;

/// Where a program of early user space tells what it does.
///
/// A *marker* is a line on the consoles that tests and people wait for, with `dolmen: ` in front. The kernel's log has
/// these too, as `journalctl -k` shows later, and what is of no interest to people while all goes well.
#[derive(Debug)]
pub struct Report {
    program: &'static str,
    consoles: Consoles,
    kernel: Option<File>,
}

/// How much a line of the kernel's log matters, `sys/syslog.h`. The kernel shows those below its `loglevel=` on the
/// consoles by itself; none of these, since the image sets 4.
#[derive(Clone, Copy)]
enum Level {
    Warning = 4,
    Notice = 5,
    Information = 6,
}

impl Report {
    /// Opens consoles and log. Whatever is missing is done without.
    #[must_use]
    pub fn open(program: &'static str) -> Self {
        Self { program, consoles: Consoles::open(), kernel: OpenOptions::new().write(true).open("/dev/kmsg").ok() }
    }

    /// The consoles, to ask something.
    #[must_use]
    pub const fn consoles(&self) -> &Consoles {
        &self.consoles
    }

    /// A line for people and tests.
    pub fn marker(&self, text: impl Display) {
        self.consoles.print(&format!("dolmen: {text}\n"));
        self.log(Level::Notice, &text.to_string());
    }

    /// Like [`marker`](Self::marker), for what nobody may read later: it does not go to the log.
    pub fn secret(&self, text: impl Display) {
        self.consoles.print(&format!("dolmen: {text}\n"));
    }

    /// Something that should not be, for people and the log. With an error, all of its causes are told.
    pub fn warning(&self, what: impl Display) {
        self.consoles.print(&format!("dolmen: {what}\n"));
        self.log(Level::Warning, &what.to_string());
    }

    /// A line for the log alone.
    pub fn note(&self, text: impl Display) {
        self.log(Level::Information, &text.to_string());
    }

    fn log(&self, level: Level, text: &str) {
        let Some(mut kernel) = self.kernel.as_ref() else { return };
        for line in text.lines() {
            // One write is one record; what is too long for one is refused, and then lost.
            let _ = kernel.write_all(format!("<{}>{}: {line}", level as u8, self.program).as_bytes());
        }
    }
}

/// An error and its causes in one line, since Display never repeats them.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
