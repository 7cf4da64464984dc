//! The installer's log, on the stick.
//!
//! It is added to the file at each step, so that a machine that loses power leaves the steps before that. A stick that
//! is gone or full ends the log, and nothing else.

use std::{fmt::Write as _, time::Duration};

use crate::{disk::Disk, limits::LOG_BYTES_MAX, stick::StickFiles};

/// Lines with the time since the machine was switched on.
#[derive(Debug, Default)]
pub struct Journal {
    text: String,
    /// Bytes of it that are on the stick.
    saved: usize,
    /// The file, once it has a name.
    file: Option<String>,
    /// Whether the stick has failed.
    lost: bool,
}

impl Journal {
    /// Adds a line. One that is too much for the whole log is left out.
    pub fn note(&mut self, uptime: Duration, line: &str) {
        if self.text.len() + line.len() < LOG_BYTES_MAX {
            let line = line.replace(|c: char| c.is_control(), " ");
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "{:9.3} {line}", uptime.as_secs_f64());
        }
    }

    /// Gives the log its file, `install-<machine>-<n>.log`, and writes to it from now on.
    pub fn name(&mut self, machine: &str, files: &mut StickFiles<impl Disk>) {
        let name = files.free_name(crate::limits::LOGS_MAX, |number| format!("install-{machine}-{number}.log"));
        match name {
            // The last one of all is written anew.
            Ok(name) => match files.write(&name, b"") {
                Ok(()) => self.file = Some(name),
                Err(_) => self.lost = true,
            },
            Err(_) => self.lost = true,
        }
    }

    /// Writes what is new to the file. Says whether the stick still takes it.
    pub fn save(&mut self, files: &mut StickFiles<impl Disk>) -> bool {
        if let Some(name) = self.file.as_ref().filter(|_| !self.lost) {
            match files.append(name, &self.text.as_bytes()[self.saved..]) {
                Ok(()) => self.saved = self.text.len(),
                Err(_) => self.lost = true,
            }
        }
        !self.lost
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its file on the stick, once it has one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}
