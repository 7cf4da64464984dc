//! The kernel's device mapper, without libdevmapper: only what a verified root needs.
//!
//! `linux/dm-ioctl.h` is the interface, and the kernel's `Documentation/admin-guide/device-mapper/verity.rst` says what
//! a table of the target `verity` holds.

mod ioctl;
mod message;
mod verity;

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use ioctl::Operation;
use message::{Message, Target};
use rustix::io::Errno;
pub use verity::Verity;

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceMapperError {
    /// No device mapper.
    #[error("cannot open {0}; the kernel's module dm-mod must be loaded")]
    Open(&'static str, #[source] io::Error),
    /// A name that is longer than the kernel's field, or has a NUL or a directory.
    #[error("{0:?} cannot be the name of a mapped device; take a short word")]
    Name(String),
    /// A table that does not fit.
    #[error("the table of {0} is longer than the device mapper's message may be")]
    Table(String),
    /// The kernel refused.
    #[error("cannot {operation} the mapped device {name}; the kernel's log says more")]
    Refused {
        /// What was asked for.
        operation: &'static str,
        /// The device's name.
        name: String,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
}

/// Where the device mapper is asked.
const CONTROL: &str = "/dev/mapper/control";

/// The kernel's device mapper.
#[derive(Debug)]
pub struct DeviceMapper(File);

impl DeviceMapper {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// [`DeviceMapperError::Open`].
    pub fn open() -> Result<Self, DeviceMapperError> {
        let file = OpenOptions::new().read(true).write(true).open(CONTROL);
        file.map(Self).map_err(|source| DeviceMapperError::Open(CONTROL, source))
    }

    /// Makes a device, read-only, whose every block is checked when it is read, and says where it is: `/dev/dm-0`. A
    /// block that is not what the root hash vouches for restarts the machine.
    ///
    /// # Errors
    ///
    /// [`DeviceMapperError`], and no device is left.
    pub fn create_verity(&self, name: &str, verity: &Verity<'_>) -> Result<PathBuf, DeviceMapperError> {
        let target = Target { sectors: verity.sectors(), kind: "verity", parameters: &verity.parameters() };
        self.ask(Operation::Create, &Message::new(name)?)?;
        self.activate(name, &target).inspect_err(|_| {
            // The reason counts that was there first.
            let _ = Message::new(name).and_then(|message| self.ask(Operation::Remove, &message));
        })
    }

    fn activate(&self, name: &str, target: &Target<'_>) -> Result<PathBuf, DeviceMapperError> {
        self.ask(Operation::Load, &Message::new(name)?.read_only().with(target)?)?;
        // Resuming puts the loaded table to use.
        let device = self.ask(Operation::Resume, &Message::new(name)?)?;
        Ok(Path::new("/dev").join(format!("dm-{device}")))
    }

    /// The minor number of the device in question.
    fn ask(&self, operation: Operation, message: &Message) -> Result<u32, DeviceMapperError> {
        let answer = ioctl::ask(&self.0, operation, message.bytes());
        answer.map(|answer| message::minor(&answer)).map_err(|source| DeviceMapperError::Refused {
            operation: operation.name(),
            name: message.name(),
            source,
        })
    }
}
