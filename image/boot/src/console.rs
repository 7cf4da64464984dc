//! The kernel's consoles: where people read and type before there is anything else.
//!
//! The kernel makes a console of every `console=` that the machine has; a screen (`tty0`) and a serial line (`ttyS0`),
//! as a rule. All of them show the same, and whichever a line is typed on is listened to. One that does not take what
//! it is given, as a serial line whose other end holds it up, misses that text and holds up nothing else.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
};
use zeroize::Zeroizing;

use crate::{
    file,
    limits::{CONSOLE_WAIT, LINE_BYTES_MAX},
};

/// Names of the consoles in use, `tty0 ttyS0`, in `/sys`.
const ACTIVE: &str = "class/tty/console/active";

/// A line that somebody typed, without its end. It is overwritten when it is dropped: it may be a key.
pub type Line = Zeroizing<String>;

/// All consoles in use.
#[derive(Debug, Default)]
pub struct Consoles(Vec<File>);

impl Consoles {
    /// Opens the kernel's. One that cannot be opened is left out; there may be none.
    #[must_use]
    pub fn open() -> Self {
        Self::of(Path::new("/sys"), Path::new("/dev"))
    }

    /// Those that `sys` names, with their devices in `dev`.
    #[must_use]
    pub fn of(sys: &Path, dev: &Path) -> Self {
        // Nobody's controlling terminal, and neither opening nor writing waits for the other end.
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let open = |name: &str| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).custom_flags(flags.bits().cast_signed());
            options.open(dev.join(name)).ok()
        };
        let active = file::read_text(&sys.join(ACTIVE)).unwrap_or_default();
        Self(active.split_whitespace().filter(|name| !name.contains('/')).filter_map(open).collect())
    }

    /// Shows text on all of them.
    pub fn print(&self, text: &str) {
        for console in &self.0 {
            // There is nobody who could be told.
            let _ = print(console, text.as_bytes());
        }
    }

    /// Waits for a line on any of them. What is typed is shown by the console itself, as it always does.
    ///
    /// Nothing is an answer too: nobody typed a line in time, or there is no console.
    #[must_use]
    pub fn read_line(&self, timeout: Duration) -> Option<Line> {
        let end = Instant::now() + timeout;
        let mut open: Vec<(&File, Zeroizing<Vec<u8>>)> =
            self.0.iter().map(|console| (console, Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX)))).collect();
        while !open.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let mut polled: Vec<_> = open.iter().map(|(console, _)| PollFd::new(*console, PollFlags::IN)).collect();
            wait(&mut polled, left).ok()?;
            let ready: Vec<bool> = polled.iter().map(|poll| !poll.revents().is_empty()).collect();
            let mut closed = Vec::new();
            for (index, (console, typed)) in open.iter_mut().enumerate().filter(|(index, _)| ready[*index]) {
                match read(console, typed) {
                    Ok(Some(line)) => return Some(line),
                    Ok(None) => {}
                    Err(_) => closed.push(index),
                }
            }
            for index in closed.into_iter().rev() {
                open.remove(index);
            }
        }
        None
    }

    /// Forgets what was typed before it was asked for.
    pub fn discard_typed(&self) {
        let mut bytes = [0; LINE_BYTES_MAX];
        for mut console in &self.0 {
            // Bounded, should somebody type faster than this reads.
            for _ in 0..LINE_BYTES_MAX {
                if !console.read(&mut bytes).is_ok_and(|read| read > 0) {
                    break;
                }
            }
        }
    }
}

/// Takes what a console has. A line, if it is whole; an error if the console is gone.
fn read(mut console: &File, typed: &mut Zeroizing<Vec<u8>>) -> io::Result<Option<Line>> {
    let mut bytes = Zeroizing::new([0; LINE_BYTES_MAX]);
    let read = match console.read(&mut bytes[..]) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(read) => read,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(None),
        Err(error) => return Err(error),
    };
    for byte in &bytes[..read] {
        if matches!(byte, b'\n' | b'\r') {
            return Ok(Some(Zeroizing::new(String::from_utf8_lossy(typed).trim().to_owned())));
        }
        // What is longer than any answer is wrong without its end, too.
        if typed.len() < LINE_BYTES_MAX {
            typed.push(*byte);
        }
    }
    Ok(None)
}

/// Writes all bytes, as long as the console takes some from time to time.
fn print(mut console: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match console.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !wait(&mut [PollFd::new(console, PollFlags::OUT)], CONSOLE_WAIT)? {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether one is ready before the time is over.
fn wait(polled: &mut [PollFd<'_>], timeout: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(polled, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use tempfile::TempDir;

    use super::*;

    /// A machine whose consoles are pseudo terminals, and the other ends of these.
    fn machine(names: &[&str]) -> (TempDir, Consoles, Vec<File>) {
        let directory = tempfile::tempdir().unwrap();
        let active = directory.path().join(ACTIVE);
        fs::create_dir_all(active.parent().unwrap()).unwrap();
        fs::write(active, format!("{} ../evil ttyS7\n", names.join(" "))).unwrap();
        let open = |name: &&str| {
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&master).unwrap();
            unlockpt(&master).unwrap();
            let device = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
            std::os::unix::fs::symlink(device, directory.path().join(name)).unwrap();
            File::from(master)
        };
        let ends = names.iter().map(open).collect();
        let consoles = Consoles::of(directory.path(), directory.path());
        assert_eq!(consoles.0.len(), names.len());
        (directory, consoles, ends)
    }

    fn shown(mut end: &File) -> String {
        let mut bytes = [0; 4096];
        let read = end.read(&mut bytes).unwrap();
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }

    #[test]
    fn all_of_them_show_the_same() {
        let (_directory, consoles, ends) = machine(&["tty0", "ttyS0"]);
        consoles.print("dolmen: a\n");
        for end in &ends {
            assert_eq!(shown(end), "dolmen: a\r\n");
        }
        Consoles::of(Path::new("/nowhere"), Path::new("/dev")).print("lost");
    }

    #[test]
    fn a_line_comes_from_whichever_it_is_typed_on() {
        let (_directory, consoles, mut ends) = machine(&["tty0", "ttyS0"]);
        ends[0].write_all(b"unfinished").unwrap();
        ends[1].write_all(b"  ab cd\r").unwrap();
        assert_eq!(consoles.read_line(Duration::from_secs(20)).unwrap().as_str(), "ab cd");
        assert_eq!(consoles.read_line(Duration::from_millis(20)), None);
        ends[0].write_all(b" line\n").unwrap();
        assert_eq!(consoles.read_line(Duration::from_secs(20)).unwrap().as_str(), "unfinished line");
        ends[1].write_all(b"too early\n").unwrap();
        assert!(wait(&mut [PollFd::new(&consoles.0[1], PollFlags::IN)], Duration::from_secs(20)).unwrap());
        consoles.discard_typed();
        assert_eq!(consoles.read_line(Duration::from_millis(20)), None);
    }

    #[test]
    fn one_that_takes_nothing_holds_nobody_up() {
        let (_directory, consoles, ends) = machine(&["ttyS0"]);
        let begin = Instant::now();
        // Nobody reads the other end, and the kernel keeps some KiB at most.
        consoles.print(&"x".repeat(1 << 20));
        assert!(begin.elapsed() < Duration::from_secs(20));
        drop(ends);
        assert_eq!(consoles.read_line(Duration::from_secs(20)), None);
    }
}
