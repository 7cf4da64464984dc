//! A terminal device: keys without echo, bytes without a wait.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    ioctl::{IntegerSetter, ioctl},
    termios::{ControlModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr},
};

use crate::{grid::Size, limits::PENDING_BYTES_MAX};

/// Sets whether the kernel draws text on a virtual terminal (linux/kd.h).
const KDSETMODE: rustix::ioctl::Opcode = 0x4b3a;

/// The kernel draws.
const KD_TEXT: usize = 0;

/// We draw.
const KD_GRAPHICS: usize = 1;

/// An open terminal. When it is dropped the device is as it was.
#[derive(Debug)]
pub(crate) struct Terminal {
    device: OwnedFd,
    before: Termios,
    is_graphics: bool,
    pending: Vec<u8>,
}

impl Terminal {
    /// Opens a device, which must be a terminal, without making it ours: no signals come from its keys.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::fs::open(path, flags, Mode::empty())?;
        let before = tcgetattr(&device)?;
        let mut raw = before.clone();
        raw.make_raw();
        // A serial line of three wires has no carrier to wait for.
        raw.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
        tcsetattr(&device, OptionalActions::Now, &raw)?;
        Ok(Self { device, before, is_graphics: false, pending: Vec::new() })
    }

    /// What the terminal says of its size. A serial line says nothing and gets 80 by 24.
    pub(crate) fn size(&self) -> Size {
        match tcgetwinsize(&self.device) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size::new(size.ws_col, size.ws_row),
            _ => Size::SERIAL,
        }
    }

    /// What was typed and not read yet. An error means that the device is gone.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 512];
        match rustix::io::read(&self.device, bytes.as_mut_slice()) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes.truncate(count);
                Ok(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends bytes, as many as the device takes now; the rest with the next [`Terminal::flush`]. A device that takes none
    /// for long loses what is sent meanwhile.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.pending.len() + bytes.len() <= PENDING_BYTES_MAX {
            self.pending.extend_from_slice(bytes);
        }
        self.flush()
    }

    /// Sends what is left.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match rustix::io::write(&self.device, &self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether something is left to send.
    pub(crate) fn is_busy(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Makes the kernel leave the screen of a virtual terminal to us, or takes that back. Other terminals refuse.
    pub(crate) fn graphics(&mut self, is_graphics: bool) {
        let mode = if is_graphics { KD_GRAPHICS } else { KD_TEXT };
        // SAFETY: KDSETMODE takes a number, no pointer.
        let set = unsafe { IntegerSetter::<KDSETMODE>::new_usize(mode) };
        // SAFETY: the kernel only changes the terminal's mode.
        if unsafe { ioctl(&self.device, set) }.is_ok() {
            self.is_graphics = is_graphics;
        }
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.is_graphics {
            self.graphics(false);
        }
        // Where that fails the device is gone, and with it what was set.
        let _ = tcsetattr(&self.device, OptionalActions::Now, &self.before);
    }
}
