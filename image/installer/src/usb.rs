//! Writing an image file to a stick, on the machine of whoever makes one: `dolmen usb write`.
//!
//! A stick is easily mistaken for a disk that holds somebody's work, so that only USB and removable disks are taken
//! unless one is forced to be, none that is in use, and no partition. What was written is read back from the medium.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use dolmen_image_boot::block::{self, BlockDevices};
use dolmen_image_disk::gpt::{ALIGNMENT, BlockSize, Gpt, GptError};
use sha2::{Digest, Sha256};

use crate::{
    device::Device,
    disk::{Disk, bytes_of, write_zeros},
    limits::CHUNK_BYTES,
};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The image is written.
    Write,
    /// It is waited until all of it is on the stick, which takes as long as the stick does.
    Sync,
    /// It is read back.
    Compare,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes that are done.
    pub done: u64,
    /// Bytes of the image.
    pub all: u64,
}

/// A stick that was written and read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the image.
    pub bytes: u64,
    /// Its SHA-256, as it was read back.
    pub sha256: [u8; 32],
}

/// Why there is no stick.
#[derive(Debug, thiserror::Error)]
pub enum UsbError {
    /// The image cannot be read.
    #[error("cannot read the image {path}; look whether it is there and was downloaded completely")]
    Image {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The image is none.
    #[error("{path} is no image of a disk; take dolmen-usb.img of a release")]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What is wrong with its table.
        #[source]
        source: Box<GptError>,
    },
    /// The kernel does not list the device.
    #[error("{device} is no whole disk; give one of these: {}", list(.disks))]
    NotADisk {
        /// What was given.
        device: PathBuf,
        /// What could be given.
        disks: Vec<PathBuf>,
    },
    /// It does not look like a stick.
    #[error(
        "{device} ({model}) is neither on USB nor removable; if you are sure that everything on it may be lost, repeat \
         with --force"
    )]
    NotAStick {
        /// The device.
        device: PathBuf,
        /// What it calls itself.
        model: String,
    },
    /// It cannot be written.
    #[error("{0} is read-only; move the stick's switch, or take another one")]
    ReadOnly(PathBuf),
    /// Somebody uses it.
    #[error("{device} is in use{}; unmount it and try again", mounted(.mounts))]
    InUse {
        /// The device.
        device: PathBuf,
        /// Where its file systems are mounted.
        mounts: Vec<PathBuf>,
    },
    /// It is too small.
    #[error("the stick has {bytes} bytes, the image {needed}; take a larger one")]
    TooSmall {
        /// Bytes of the stick.
        bytes: u64,
        /// Bytes of the image.
        needed: u64,
    },
    /// It cannot be opened.
    #[error("cannot open {device}; run this as root, or as a member of the group that may write to disks")]
    Open {
        /// The device.
        device: PathBuf,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("cannot {operation}; put the stick into another socket and try again, and take another one if that fails")]
    Stick {
        /// What was being done.
        operation: &'static str,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// It does not give back what it was given.
    #[error("the stick does not give back what was written from byte {0} on; throw it away and take another one")]
    Different(u64),
}

/// Writes an image file to a stick, and reads it back. `force` allows disks that are neither on USB nor removable.
///
/// `progress` is told of every MiB or less.
///
/// # Errors
///
/// Any [`UsbError`]. From [`UsbError::Stick`] on the stick holds neither its old content nor the new one.
pub fn write(
    image: &Path,
    device: &Path,
    force: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, UsbError> {
    let failed = |source| UsbError::Image { path: image.to_owned(), source };
    let mut file = File::open(image).map_err(failed)?;
    let bytes = bytes_of(&mut file).map_err(failed)?;
    let table = Gpt::read(&mut file, BlockSize::Bytes512);
    table.map_err(|source| UsbError::NotAnImage { path: image.to_owned(), source: source.into() })?;
    let disks = BlockDevices::of_machine().disks().unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let device = fs::canonicalize(device).unwrap_or_else(|_| device.to_owned());
    check(&device, &disks, &mounts, bytes, force)?;
    let mut stick = Device::open_to_write(&device).map_err(|source| match source.kind() {
        io::ErrorKind::ResourceBusy => UsbError::InUse { device: device.clone(), mounts: vec![] },
        _ => UsbError::Open { device: device.clone(), source },
    })?;
    copy(image, &mut file, bytes, &mut stick, progress)
}

/// Whether a device is a stick that nobody uses, and that is large enough.
fn check(device: &Path, disks: &[block::Disk], mounts: &str, bytes: u64, force: bool) -> Result<(), UsbError> {
    let Some(disk) = disks.iter().find(|disk| disk.path == device) else {
        let sticks = disks.iter().filter(|disk| disk.usb || disk.removable).map(|disk| disk.path.clone());
        return Err(UsbError::NotADisk { device: device.to_owned(), disks: sticks.collect() });
    };
    if !(disk.usb || disk.removable || force) {
        let model = disk.model.clone().unwrap_or_else(|| "unknown model".to_owned());
        return Err(UsbError::NotAStick { device: device.to_owned(), model });
    }
    if disk.read_only {
        return Err(UsbError::ReadOnly(device.to_owned()));
    }
    let mounts = mounts_of(disk, mounts);
    if !mounts.is_empty() {
        return Err(UsbError::InUse { device: device.to_owned(), mounts });
    }
    if disk.bytes < bytes {
        return Err(UsbError::TooSmall { bytes: disk.bytes, needed: bytes });
    }
    Ok(())
}

/// Where the disk and its partitions are mounted, by `/proc/self/mounts`.
fn mounts_of(disk: &block::Disk, mounts: &str) -> Vec<PathBuf> {
    let device = disk.path.to_string_lossy().into_owned();
    // A partition's number follows at once, or after a p where the disk's name ends with a digit.
    let is_its = |source: &str| {
        source.strip_prefix(&device).is_some_and(|rest| {
            let number =
                if device.ends_with(|last: char| last.is_ascii_digit()) { rest.strip_prefix('p') } else { Some(rest) };
            rest.is_empty()
                || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    let fields = mounts.lines().map(|line| line.split(' '));
    fields.filter_map(|mut fields| Some((fields.next()?, fields.next()?))).filter(|(source, _)| is_its(source))
        // The kernel writes blanks so, which are common in the names of sticks.
        .map(|(_, target)| target.replace("\\040", " ").into())
        .collect()
}

/// Writes the image and reads it back.
fn copy(
    path: &Path,
    image: &mut (impl Read + Seek),
    bytes: u64,
    stick: &mut impl Disk,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written, UsbError> {
    let read_failed = |source| UsbError::Image { path: path.to_owned(), source };
    let stick_failed = |operation| move |source| UsbError::Stick { operation, source };
    let room = bytes_of(stick).map_err(stick_failed("find the stick's size"))?;
    if room < bytes {
        return Err(UsbError::TooSmall { bytes: room, needed: bytes });
    }
    // The backup of a table that was there before lies at the very end, and some tools would restore it.
    let end = room.saturating_sub(ALIGNMENT).max(bytes)..room;
    write_zeros(stick, end).map_err(stick_failed("write to the stick"))?;

    image.seek(SeekFrom::Start(0)).map_err(read_failed)?;
    stick.seek(SeekFrom::Start(0)).map_err(stick_failed("write to the stick"))?;
    let mut hashes = Vec::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut done = 0;
    while done < bytes {
        let chunk = chunk_of(&mut buffer, bytes - done);
        image.read_exact(chunk).map_err(read_failed)?;
        hashes.push(Sha256::digest(&*chunk));
        stick.write_all(chunk).map_err(stick_failed("write to the stick"))?;
        done += chunk.len() as u64;
        progress(Progress { phase: Phase::Write, done, all: bytes });
    }
    progress(Progress { phase: Phase::Sync, done, all: bytes });
    stick
        .sync()
        .and_then(|()| stick.forget_cached())
        .map_err(stick_failed("complete what was written to the stick"))?;

    let mut hasher = Sha256::new();
    stick.seek(SeekFrom::Start(0)).map_err(stick_failed("read back the stick"))?;
    done = 0;
    for hash in hashes {
        let chunk = chunk_of(&mut buffer, bytes - done);
        stick.read_exact(chunk).map_err(stick_failed("read back the stick"))?;
        if Sha256::digest(&*chunk) != hash {
            return Err(UsbError::Different(done));
        }
        hasher.update(&*chunk);
        done += chunk.len() as u64;
        progress(Progress { phase: Phase::Compare, done, all: bytes });
    }
    Ok(Written { bytes, sha256: hasher.finalize().into() })
}

fn chunk_of(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    &mut buffer[..count]
}

fn list(disks: &[PathBuf]) -> String {
    if disks.is_empty() { "there is no stick in this machine".to_owned() } else { joined(disks) }
}

fn mounted(mounts: &[PathBuf]) -> String {
    if mounts.is_empty() { String::new() } else { format!(", mounted on {}", joined(mounts)) }
}

fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn disk(name: &str) -> block::Disk {
        block::Disk {
            name: name.to_owned(),
            path: format!("/dev/{name}").into(),
            bytes: 100,
            logical_block_bytes: 512,
            removable: false,
            usb: true,
            read_only: false,
            model: Some("SanDisk Ultra".to_owned()),
            serial: None,
        }
    }

    fn refusal(disk: &block::Disk, mounts: &str, force: bool) -> String {
        check(&disk.path, std::slice::from_ref(disk), mounts, 100, force).unwrap_err().to_string()
    }

    #[test]
    fn only_a_stick_that_nobody_uses_is_taken() {
        let stick = disk("sdb");
        check(&stick.path, std::slice::from_ref(&stick), "/dev/sda1 / ext4 rw 0 0\n", 100, false).unwrap();
        let inside = block::Disk { usb: false, ..disk("sda") };
        assert!(refusal(&inside, "", false).contains("SanDisk Ultra) is neither on USB nor removable"));
        check(&inside.path, std::slice::from_ref(&inside), "", 100, true).unwrap();
        let card = block::Disk { usb: false, removable: true, ..disk("mmcblk0") };
        check(&card.path, std::slice::from_ref(&card), "", 100, false).unwrap();
        assert!(refusal(&block::Disk { read_only: true, ..disk("sdb") }, "", true).contains("read-only"));
        assert!(refusal(&block::Disk { bytes: 99, ..disk("sdb") }, "", true).contains("has 99 bytes, the image 100"));
        let partition = check(Path::new("/dev/sdb1"), &[inside, stick], "", 100, true).unwrap_err().to_string();
        assert_eq!(partition, "/dev/sdb1 is no whole disk; give one of these: /dev/sdb");
    }

    #[test]
    fn a_stick_with_mounted_partitions_is_in_use() {
        let mounts = "proc /proc proc rw 0 0\n/dev/sdb1 /media/my\\040stick vfat rw 0 0\n/dev/sdb /mnt ext4 rw 0 0\n\
                      /dev/sdba1 /other ext4 rw 0 0\n/dev/nvme0n1p2 /nvme ext4 rw 0 0\n";
        let error = refusal(&disk("sdb"), mounts, true);
        assert_eq!(error, "/dev/sdb is in use, mounted on /media/my stick, /mnt; unmount it and try again");
        assert!(refusal(&disk("nvme0n1"), mounts, true).contains("mounted on /nvme;"));
        assert!(mounts_of(&disk("nvme0n"), mounts).is_empty() && mounts_of(&disk("sd"), mounts).is_empty());
    }

    /// A stick with a fault: a byte of it reads otherwise than it was written.
    struct Faulty(Cursor<Vec<u8>>, Option<usize>);

    impl Read for Faulty {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let start = self.0.position();
            let count = self.0.read(buffer)?;
            if let Some(at) =
                self.1.and_then(|at| at.checked_sub(usize::try_from(start).unwrap())).filter(|at| *at < count)
            {
                buffer[at] ^= 1;
            }
            Ok(count)
        }
    }

    impl std::io::Write for Faulty {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0.write(buffer)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Faulty {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    impl Disk for Faulty {
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn forget_cached(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn discard(&mut self, _: std::ops::Range<u64>) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    const BYTES: usize = 5 * CHUNK_BYTES / 2;

    fn image() -> Vec<u8> {
        (0..BYTES).map(|number| u8::try_from(number * 7 / 3 % 251).unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let image = image();
        let mut stick = Faulty(Cursor::new(vec![0xee; 6 << 20]), None);
        let mut phases = Vec::new();
        let mut report = |progress: Progress| phases.push((progress.phase, progress.done));
        let written =
            copy(Path::new("image"), &mut Cursor::new(&image), BYTES as u64, &mut stick, &mut report).unwrap();
        assert_eq!(written, Written { bytes: BYTES as u64, sha256: Sha256::digest(&image).into() });
        let all = BYTES as u64;
        let steps = [CHUNK_BYTES as u64, 2 * CHUNK_BYTES as u64, all];
        let expected = steps.map(|done| (Phase::Write, done)).into_iter().chain([(Phase::Sync, all)]);
        assert_eq!(phases, expected.chain(steps.map(|done| (Phase::Compare, done))).collect::<Vec<_>>());
        let content = stick.0.into_inner();
        assert_eq!(content[..BYTES], image);
        // What was between stays, and at the end no backup of an old table does.
        assert!(
            content[BYTES..5 << 20].iter().all(|byte| *byte == 0xee)
                && content[5 << 20..].iter().all(|byte| *byte == 0)
        );
    }

    #[test]
    fn a_stick_that_forgets_is_found_out() {
        let image = image();
        for (at, chunk) in [(0, 0), (CHUNK_BYTES, CHUNK_BYTES), (BYTES - 1, 2 * CHUNK_BYTES)] {
            let mut stick = Faulty(Cursor::new(vec![0; BYTES]), Some(at));
            let error = copy(Path::new("image"), &mut Cursor::new(&image), BYTES as u64, &mut stick, &mut |_| {});
            assert!(matches!(error, Err(UsbError::Different(from)) if from == chunk as u64), "{error:?}");
        }
        // And one that is smaller than it says when it is looked at again.
        let mut small = Faulty(Cursor::new(vec![0; BYTES - 1]), None);
        let error = copy(Path::new("image"), &mut Cursor::new(&image), BYTES as u64, &mut small, &mut |_| {});
        assert!(matches!(error, Err(UsbError::TooSmall { .. })) && small.0.get_ref().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_is_no_image_or_no_disk_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dolmen-usb.img");
        let missing = write(&file, &file, true, &mut |_| {}).unwrap_err();
        assert!(matches!(missing, UsbError::Image { .. }));
        fs::write(&file, vec![1; 1 << 20]).unwrap();
        assert!(matches!(write(&file, &file, true, &mut |_| {}), Err(UsbError::NotAnImage { .. })));
    }
}
