//! EFI system partitions: made, filled and read without a mount.
//!
//! FAT32 where the disk has blocks of 512 bytes, with sectors of that size. On disks of 4,096-byte blocks a sector must
//! have that size too, and 256 MiB of them are not clusters enough for FAT32 (65,525): such an ESP is FAT16, which
//! firmware reads as well (UEFI 2.10 §13.3). All times in it are the beginning of 1980-01-01, so that the same files make
//! the same bytes.

mod dots;
mod error;
mod held;
mod metered;
mod volume;

use std::io::{self, Read, Seek, SeekFrom, Write};

use dolmen_image_disk::gpt::BlockSize;
use fatfs::{Date, DateTime, Dir, FatType, File, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};
use sha2::{Digest, Sha256};

pub use error::EspError;
pub use held::Held;

use self::{metered::Metered, volume::Volume};
use crate::{
    layout::sector_bytes,
    limits::{ESP_DEPTH_MAX, ESP_FILES_MAX},
};

/// Characters of a label.
const LABEL_BYTES: usize = 11;
/// From so many bytes on a FAT32 has clusters of four sectors: fewer steps for those who read it, and still more than
/// 65,525 of them. Smaller ones have clusters of one.
const LARGE_BYTES: u64 = 256 << 20;

/// A file system to be made.
#[derive(Clone, Copy, Debug)]
pub struct Format<'a> {
    /// What people call it: 11 letters, digits or `_` at most.
    pub label: &'a str,
    /// What tools call it.
    pub volume_id: u32,
    /// The disk's.
    pub block_size: BlockSize,
}

/// A file of an ESP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspFile {
    /// From the root on, with `/` between folders and none before: `EFI/BOOT/BOOTX64.EFI`.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
}

/// Makes an empty file system on the whole of `device`.
///
/// # Errors
///
/// [`EspError::Label`], [`EspError::Format`].
pub fn format(device: &mut (impl Read + Write + Seek), format: &Format<'_>) -> Result<(), EspError> {
    let mut label = [b' '; LABEL_BYTES];
    let fits = format.label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !fits || format.label.is_empty() || format.label.len() > LABEL_BYTES {
        return Err(EspError::Label(format.label.to_owned()));
    }
    label[..format.label.len()].copy_from_slice(format.label.to_ascii_uppercase().as_bytes());
    let bytes = device.seek(SeekFrom::End(0)).map_err(EspError::Format)?;
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(sector_bytes(format.block_size))
        .volume_label(label)
        .volume_id(format.volume_id);
    let options = match format.block_size {
        BlockSize::Bytes512 if bytes >= LARGE_BYTES => options.fat_type(FatType::Fat32).bytes_per_cluster(2048),
        BlockSize::Bytes512 => options.fat_type(FatType::Fat32).bytes_per_cluster(512),
        BlockSize::Bytes4096 => options.fat_type(FatType::Fat16),
    };
    device.seek(SeekFrom::Start(0)).map_err(EspError::Format)?;
    fatfs::format_volume(device, options).map_err(EspError::Format)
}

/// Writes files, each with its path from the root on and its content; folders are made as they are needed. Another
/// content that a file had is gone.
///
/// # Errors
///
/// [`EspError::NoFileSystem`], [`EspError::File`], and [`EspError::Unmount`].
pub fn write(device: &mut (impl Read + Write + Seek), files: &[(&str, &[u8])]) -> Result<(), EspError> {
    let volume = mount(device)?;
    for (path, content) in files {
        write_file(&volume.root_dir(), path, content).map_err(EspError::file("write", path))?;
    }
    volume.unmount().and_then(|()| dots::mend(device)).map_err(EspError::Unmount)
}

/// What a file holds, or none if there is no such file.
///
/// # Errors
///
/// [`EspError::TooLong`] for one with more than `bytes_max`, [`EspError::NoFileSystem`], [`EspError::File`].
pub fn read(device: &mut (impl Read + Write + Seek), path: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, EspError> {
    let volume = mount(device)?;
    let file = match volume.root_dir().open_file(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(EspError::file("open", path)(source)),
    };
    let mut content = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut content).map_err(EspError::file("read", path))?;
    if content.len() as u64 > bytes_max {
        return Err(EspError::TooLong { path: path.to_owned(), bytes_max });
    }
    Ok(Some(content))
}

/// Adds to the end of a file, which is made where there is none, with the folders above it.
///
/// # Errors
///
/// [`EspError::NoFileSystem`], [`EspError::File`], and [`EspError::Unmount`].
pub fn append(device: &mut (impl Read + Write + Seek), path: &str, content: &[u8]) -> Result<(), EspError> {
    let volume = mount(device)?;
    let appended = create(&volume.root_dir(), path).and_then(|mut file| {
        file.seek(SeekFrom::End(0))?;
        file.write_all(content)?;
        file.flush()
    });
    appended.map_err(EspError::file("write", path))?;
    volume.unmount().and_then(|()| dots::mend(device)).map_err(EspError::Unmount)
}

/// Whether there is such a file.
///
/// # Errors
///
/// [`EspError::NoFileSystem`], [`EspError::File`].
pub fn exists(device: &mut (impl Read + Write + Seek), path: &str) -> Result<bool, EspError> {
    let volume = mount(device)?;
    match volume.root_dir().open_file(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(EspError::file("open", path)(source)),
    }
}

/// All files with their hashes, sorted by path.
///
/// # Errors
///
/// [`EspError::NoFileSystem`], [`EspError::File`], and [`EspError::TooMany`] where it holds more than any of ours.
pub fn files(device: &mut (impl Read + Write + Seek)) -> Result<Vec<EspFile>, EspError> {
    let volume = mount(device)?;
    let mut files = Vec::new();
    walk(&volume.root_dir(), "", 0, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// The label.
///
/// # Errors
///
/// [`EspError::NoFileSystem`], and [`EspError::File`] where the root folder cannot be read.
pub fn label(device: &mut (impl Read + Write + Seek)) -> Result<String, EspError> {
    let volume = mount(device)?;
    let label = volume.read_volume_label_from_root_dir().map_err(EspError::file("read", "/"))?;
    Ok(label.unwrap_or_else(|| volume.volume_label()))
}

/// Opens a file system that may be anybody's. fatfs computes with what the boot sector says and would not stop at sums
/// that are too large, so that it is looked at first.
fn mount<D: Read + Write + Seek>(device: &mut D) -> Result<FileSystem<Metered<&mut D>>, EspError> {
    Volume::read(device).map_err(EspError::NoFileSystem)?;
    let device = Metered::new(device).map_err(EspError::NoFileSystem)?;
    FileSystem::new(device, FsOptions::new().time_provider(&FirstDay)).map_err(EspError::NoFileSystem)
}

/// The clock of these file systems: it shows the first time that a FAT can have.
///
/// Without one fatfs writes zeros, month 0 and day 0. Firmware then refuses to rename a file, since it may only give back
/// the times that it found, and checks them: EDK2 says "invalid parameter", and systemd-boot counts no tries.
#[derive(Debug)]
struct FirstDay;

impl TimeProvider for FirstDay {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}

/// Opens a file, which is made where there is none, with the folders above it.
fn create<'a, D: Read + Write + Seek>(root: &Dir<'a, D>, path: &str) -> io::Result<File<'a, D>> {
    for (slash, _) in path.match_indices('/') {
        root.create_dir(&path[..slash])?;
    }
    root.create_file(path)
}

fn write_file<D: Read + Write + Seek>(root: &Dir<'_, D>, path: &str, content: &[u8]) -> io::Result<()> {
    let mut file = create(root, path)?;
    file.truncate()?;
    file.write_all(content)?;
    file.flush()
}

fn walk<D: Read + Write + Seek>(
    folder: &Dir<'_, D>,
    path: &str,
    depth: usize,
    files: &mut Vec<EspFile>,
) -> Result<(), EspError> {
    for entry in folder.iter() {
        let entry = entry.map_err(EspError::file("read", path))?;
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        if files.len() >= ESP_FILES_MAX || depth >= ESP_DEPTH_MAX {
            return Err(EspError::TooMany);
        }
        if entry.is_dir() {
            walk(&entry.to_dir(), &path, depth + 1, files)?;
        } else {
            let mut hasher = Hashed(Sha256::new());
            let bytes = io::copy(&mut entry.to_file(), &mut hasher).map_err(EspError::file("read", &path))?;
            files.push(EspFile { path, bytes, sha256: hasher.0.finalize().into() });
        }
    }
    Ok(())
}

/// A hash that is written to.
struct Hashed(Sha256);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
