//! The one system call of the device mapper.

use std::fs::File;

use rustix::{
    io::Errno,
    ioctl::{Opcode, Updater, ioctl, opcode},
};

use super::message::HEADER_BYTES;
use crate::limits::DM_BUFFER_BYTES;

/// `DM_IOCTL` of `linux/dm-ioctl.h`.
const GROUP: u8 = 0xfd;

/// What the device mapper is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Make a device without a table. `DM_DEV_CREATE`.
    Create,
    /// Remove one. `DM_DEV_REMOVE`.
    Remove,
    /// Put the loaded table to use. `DM_DEV_SUSPEND` without the flag that would suspend it.
    Resume,
    /// Load a table. `DM_TABLE_LOAD`.
    Load,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Resume => "start",
            Self::Load => "load the table of",
        }
    }
}

/// A message, with room for the answer, which the kernel writes over it.
pub(super) type Buffer = [u8; DM_BUFFER_BYTES];

/// Passes a message on and returns it as the kernel changed it.
pub(super) fn ask(control: &File, operation: Operation, message: &Buffer) -> Result<Box<Buffer>, Errno> {
    let mut buffer = Box::new(*message);
    match operation {
        Operation::Create => update::<{ code(3) }>(control, &mut buffer),
        Operation::Remove => update::<{ code(4) }>(control, &mut buffer),
        Operation::Resume => update::<{ code(6) }>(control, &mut buffer),
        Operation::Load => update::<{ code(9) }>(control, &mut buffer),
    }?;
    Ok(buffer)
}

/// Its size is that of the header alone, whatever follows.
const fn code(number: u8) -> Opcode {
    opcode::read_write::<[u8; HEADER_BYTES]>(GROUP, number)
}

fn update<const CODE: Opcode>(control: &File, buffer: &mut Buffer) -> Result<(), Errno> {
    // SAFETY: the codes are those of the device mapper, which reads and writes as many bytes from the pointer on as the
    // message's `data_size` says: the buffer's whole size, `message.rs` sees to that. A file that is no device mapper
    // knows no such code.
    unsafe { ioctl(control, Updater::<CODE, Buffer>::new(buffer)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_kernels() {
        // As strace shows them when dmsetup runs.
        assert_eq!([code(3), code(4), code(6), code(9)], [0xc138_fd03, 0xc138_fd04, 0xc138_fd06, 0xc138_fd09]);
    }

    #[test]
    fn another_file_refuses() {
        let error = ask(&File::open("/dev/null").unwrap(), Operation::Create, &[0; DM_BUFFER_BYTES]).unwrap_err();
        assert_eq!(error, Errno::NOTTY);
    }
}
