//! What can go wrong with a machine, or on it.

use std::{fmt, io, path::PathBuf, process::ExitStatus, time::Duration};

use dolmen_image_disk::gpt::GptError;
use openssl::error::ErrorStack;

use crate::firmware::StoreError;

/// Why a machine did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A file or directory.
    #[error("cannot {operation} {path}; is there room, and may this user do that?", path = path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// With which one.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A program that is not installed.
    #[error("cannot start {program}; install what the tests need: scripts/setup.sh test")]
    Program {
        /// The program.
        program: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// No firmware of the right kind.
    #[error("there is no OVMF with Secure Boot here (looked for {looked_for}); install the package ovmf")]
    NoFirmware {
        /// The files.
        looked_for: String,
    },
    /// A firmware's variables.
    #[error("cannot use the firmware's variables in {path}; remove the file to begin anew", path = path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: StoreError,
    },
    /// A key or a certificate.
    #[error("{0} is no PEM of its kind; make it anew with openssl")]
    Key(String, #[source] ErrorStack),
    /// An image that cannot be signed.
    #[error("cannot sign a boot file: {0}")]
    Sign(String),

    /// A disk's partition table.
    #[error("cannot use the partition table of {path}", path = path.display())]
    Gpt {
        /// The disk.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<GptError>,
    },
    /// A place that the disk does not have.
    #[error(
        "{partition} of {path} has {bytes} bytes and byte {at} was asked for; choose one before its end",
        path = path.display()
    )]
    Place {
        /// The disk.
        path: PathBuf,
        /// The partition, or the whole disk.
        partition: String,
        /// Its size.
        bytes: u64,
        /// What was asked for.
        at: u64,
    },
    /// An EFI system partition.
    #[error("cannot {operation} {file:?} on the EFI system partition of {path}", path = path.display())]
    Esp {
        /// What was being done.
        operation: &'static str,
        /// With which file.
        file: String,
        /// The disk.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// A name that no drive has.
    #[error("the machine {machine:?} has no drive {name:?}; it has {has:?}")]
    NoDrive {
        /// The machine.
        machine: String,
        /// The name.
        name: String,
        /// The names that there are.
        has: Vec<String>,
    },
    /// A port that is not forwarded.
    #[error("port {0} of the guest is not forwarded; name it in the machine's network")]
    NoPort(u16),
    /// A pattern.
    #[error("{pattern:?} is no regular expression; see https://docs.rs/regex for the syntax")]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: regex::Error,
    },
    /// An accelerator that was asked for by name.
    #[error("DOLMEN_VM_ACCELERATOR is {0:?}; set it to kvm or tcg, or not at all")]
    Accelerator(String),

    /// A child that did not begin to listen.
    #[error("{program} does not listen on its socket after {after:?}{scene}")]
    NotListening {
        /// QEMU or swtpm.
        program: &'static str,
        /// How long it was waited for.
        after: Duration,
        /// What it said.
        scene: Box<Scene>,
    },
    /// A command to QEMU.
    #[error("QEMU did not do {command:?}: {reason}{scene}")]
    Qmp {
        /// The command.
        command: String,
        /// What it answered, or that it did not.
        reason: String,
        /// What the machine showed.
        scene: Box<Scene>,
    },
    /// A marker that did not come.
    #[error("{awaited} did not come within {after:?}{scene}")]
    TimedOut {
        /// What was waited for.
        awaited: String,
        /// For how long.
        after: Duration,
        /// What the machine showed.
        scene: Box<Scene>,
    },
    /// Something that must not be seen.
    #[error("{line:?} came while {awaited} was waited for{scene}")]
    Forbidden {
        /// What was waited for.
        awaited: String,
        /// The line.
        line: String,
        /// What the machine showed.
        scene: Box<Scene>,
    },
    /// A machine that went off.
    #[error("the machine went off ({status}) while {awaited} was waited for{scene}")]
    Ended {
        /// What was waited for.
        awaited: String,
        /// How QEMU ended.
        status: ExitStatus,
        /// What the machine showed.
        scene: Box<Scene>,
    },
    /// A guest that prints without end.
    #[error("the guest printed more than {limit} bytes; see what it repeats{scene}")]
    Flood {
        /// The bound.
        limit: usize,
        /// What the machine showed.
        scene: Box<Scene>,
    },
}

/// What was to be seen of a machine when something went wrong with it.
#[derive(Clone, Default)]
pub struct Scene {
    /// The last lines of its console.
    pub console: String,
    /// What QEMU or swtpm said.
    pub messages: String,
    /// Where all of that is kept.
    pub artefacts: PathBuf,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nkept in {}", self.artefacts.display())?;
        for (what, text) in [("messages", &self.messages), ("the console's last lines", &self.console)] {
            if !text.is_empty() {
                write!(f, "\n--- {what} ---\n{}", text.trim_end())?;
            }
        }
        Ok(())
    }
}

/// As it is displayed: a failed `unwrap` shows its lines as lines.
impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl VmError {
    /// Of a program that is not installed.
    pub(crate) fn missing(program: &str) -> Self {
        Self::Program { program: program.to_owned(), source: io::ErrorKind::NotFound.into() }
    }

    /// Of an operation on a file.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { operation, path, source }
    }
}
