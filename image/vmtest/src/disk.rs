//! Disks, which are files.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use dolmen_image_disk::gpt::{BlockSize, Gpt, GptError};
use nix::{
    errno::Errno,
    unistd::{Whence, lseek},
};
use tempfile::TempDir;

use crate::{Esp, VmError, Window, artefacts};

/// A disk: a raw image in a file. What is not written takes no room in it.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// Where it lies if it goes with this.
    _home: Option<TempDir>,
}

impl Disk {
    /// An empty one of so many bytes, which goes when it is dropped.
    ///
    /// # Errors
    ///
    /// [`VmError::File`].
    pub fn empty(bytes: u64) -> Result<Self, VmError> {
        let disk = Self::new()?;
        let file = File::create_new(&disk.path).map_err(VmError::file("create", &disk.path))?;
        file.set_len(bytes).map_err(VmError::file("enlarge", &disk.path))?;
        Ok(disk)
    }

    /// A copy of an image, which goes when it is dropped. The image stays as it is. The copy shares its blocks where
    /// the file system can do that, and has its holes everywhere.
    ///
    /// # Errors
    ///
    /// [`VmError::File`].
    pub fn copy_of(image: impl AsRef<Path>) -> Result<Self, VmError> {
        let disk = Self::new()?;
        copy(image.as_ref(), &disk.path)?;
        Ok(disk)
    }

    /// The file at this path, which stays: a copy of an image that is made where there is none yet.
    ///
    /// # Errors
    ///
    /// [`VmError::File`].
    pub fn kept_copy_of(image: impl AsRef<Path>, path: impl Into<PathBuf>) -> Result<Self, VmError> {
        let path = path.into();
        if !path.exists() {
            // Under another name until it is whole.
            let partial = path.with_extension("partial");
            copy(image.as_ref(), &partial)?;
            std::fs::rename(&partial, &path).map_err(VmError::file("rename", &partial))?;
        }
        Ok(Self { path, _home: None })
    }

    fn new() -> Result<Self, VmError> {
        let home = artefacts::directory("disk-")?;
        Ok(Self { path: home.path().join("disk.img"), _home: Some(home) })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    ///
    /// # Errors
    ///
    /// [`VmError::File`].
    pub fn bytes(&self) -> Result<u64, VmError> {
        self.path.metadata().map(|metadata| metadata.len()).map_err(VmError::file("look at", &self.path))
    }

    /// Makes it larger or smaller: another disk with the same beginning.
    ///
    /// # Errors
    ///
    /// [`VmError::File`].
    pub fn resize(&mut self, bytes: u64) -> Result<(), VmError> {
        self.open()?.set_len(bytes).map_err(VmError::file("resize", &self.path))
    }

    /// Its partition table.
    ///
    /// # Errors
    ///
    /// [`VmError::Gpt`] if there is none that can be used.
    pub fn table(&self) -> Result<Gpt, VmError> {
        let found = Gpt::read(&mut self.open()?, BlockSize::Bytes512);
        found.map(|found| found.table).map_err(|source| self.gpt(source))
    }

    /// A partition, to be read and written.
    ///
    /// # Errors
    ///
    /// [`VmError::Gpt`] if there is none of this name, [`VmError::File`].
    pub fn partition(&self, name: &str) -> Result<Window, VmError> {
        Ok(Window::new(self.open()?, self.range(name)?))
    }

    /// The EFI system partition's files.
    ///
    /// # Errors
    ///
    /// [`VmError::Gpt`] if there is no partition `esp`, [`VmError::File`], [`VmError::Esp`] if it has no FAT.
    pub fn esp(&mut self) -> Result<Esp, VmError> {
        Esp::open(self.partition("esp")?, self.path.clone())
    }

    /// Bytes of a partition.
    ///
    /// # Errors
    ///
    /// [`VmError::Gpt`] if there is none of this name, [`VmError::Place`] where it ends before, [`VmError::File`].
    pub fn read(&self, partition: &str, at: u64, count: usize) -> Result<Vec<u8>, VmError> {
        let (mut file, mut bytes) = (self.seek(partition, at, count as u64)?, vec![0; count]);
        file.read_exact(&mut bytes).map_err(VmError::file("read", &self.path))?;
        Ok(bytes)
    }

    /// Writes bytes of a partition.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn write(&mut self, partition: &str, at: u64, bytes: &[u8]) -> Result<(), VmError> {
        let mut file = self.seek(partition, at, bytes.len() as u64)?;
        file.write_all(bytes).map_err(VmError::file("write", &self.path))
    }

    /// Flips all bits of one byte of a partition.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn flip(&mut self, partition: &str, at: u64) -> Result<(), VmError> {
        let byte = self.read(partition, at, 1)?[0];
        self.write(partition, at, &[!byte])
    }

    fn gpt(&self, source: GptError) -> VmError {
        VmError::Gpt { path: self.path.clone(), source: Box::new(source) }
    }

    fn range(&self, partition: &str) -> Result<Range<u64>, VmError> {
        let table = self.table()?;
        let found = table.by_name(partition).map(|partition| table.bytes_of(partition));
        found.map_err(|source| self.gpt(source))
    }

    /// The file at a place of a partition that has so many bytes from there on.
    fn seek(&self, partition: &str, at: u64, count: u64) -> Result<File, VmError> {
        let range = self.range(partition)?;
        let bytes = range.end - range.start;
        if at.checked_add(count).is_none_or(|end| end > bytes) {
            let (path, partition) = (self.path.clone(), partition.to_owned());
            return Err(VmError::Place { path, partition, bytes, at: at.saturating_add(count) });
        }
        let mut file = self.open()?;
        file.seek(SeekFrom::Start(range.start + at)).map_err(VmError::file("read", &self.path))?;
        Ok(file)
    }

    fn open(&self) -> Result<File, VmError> {
        OpenOptions::new().read(true).write(true).open(&self.path).map_err(VmError::file("open", &self.path))
    }
}

/// Copies what is written in a file, and leaves the holes.
fn copy(from: &Path, to: &Path) -> Result<(), VmError> {
    let mut source = File::open(from).map_err(VmError::file("open", from))?;
    let mut target = File::create(to).map_err(VmError::file("create", to))?;
    copy_extents(&mut source, &mut target).map_err(VmError::file("copy", from))
}

fn copy_extents(source: &mut File, target: &mut File) -> io::Result<()> {
    let bytes = source.metadata()?.len();
    target.set_len(bytes)?;
    let mut end = 0;
    loop {
        let begin = match lseek(source.as_fd(), end, Whence::SeekData) {
            // Only a hole is left.
            Err(Errno::ENXIO) => return Ok(()),
            begin => begin?,
        };
        end = lseek(source.as_fd(), begin, Whence::SeekHole)?;
        let position = |offset: i64| u64::try_from(offset).map_err(io::Error::other);
        let (first, count) = (position(begin)?, position(end - begin)?);
        source.seek(SeekFrom::Start(first))?;
        target.seek(SeekFrom::Start(first))?;
        // By copy_file_range(2), which shares blocks on Btrfs and XFS.
        if io::copy(&mut (&*source).take(count), target)? != count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use dolmen_image_disk::gpt::{Attributes, Geometry, Identity, PartitionName, PartitionType, Uuid};

    use super::*;

    const MIB: u64 = 1 << 20;

    fn partitioned() -> Disk {
        let disk = Disk::empty(8 * MIB).unwrap();
        let mut table = Gpt::new(Geometry::new(BlockSize::Bytes512, 8 * MIB).unwrap(), Uuid::from_u128(1));
        let name = PartitionName::new("data").unwrap();
        let (kind, guid, attributes) = (PartitionType::LINUX_DATA, Uuid::from_u128(2), Attributes::NONE);
        table.append(Identity { kind, guid, attributes, name }, MIB).unwrap();
        table.write(&mut disk.open().unwrap(), |_| Ok(())).unwrap();
        disk
    }

    #[test]
    fn a_copy_is_the_same_and_has_the_holes() {
        let mut image = Disk::empty(64 * MIB).unwrap();
        for at in [0, 20 * MIB + 5, 64 * MIB - 1] {
            let mut file = image.open().unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(b"x").unwrap();
        }
        let copy = Disk::copy_of(image.path()).unwrap();
        assert!(std::fs::read(copy.path()).unwrap() == std::fs::read(image.path()).unwrap());
        assert!(copy.path().metadata().unwrap().blocks() * 512 < MIB);
        // One that ends with a hole.
        image.resize(70 * MIB).unwrap();
        assert_eq!(Disk::copy_of(image.path()).unwrap().bytes().unwrap(), 70 * MIB);
    }

    #[test]
    fn a_flipped_byte_is_where_it_was_said() {
        let mut disk = partitioned();
        let image = Disk::copy_of(disk.path()).unwrap();
        disk.flip("data", 4711).unwrap();
        let (before, after) = (std::fs::read(image.path()).unwrap(), std::fs::read(disk.path()).unwrap());
        let differ: Vec<usize> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
        assert_eq!(differ, [(1 << 20) + 4711]);
        disk.flip("data", 4711).unwrap();
        assert!(std::fs::read(disk.path()).unwrap() == before);
    }

    #[test]
    fn a_place_that_is_not_there_is_an_error() {
        let mut disk = partitioned();
        assert!(matches!(disk.flip("data", MIB), Err(VmError::Place { bytes: MIB, .. })));
        assert!(matches!(disk.read("data", u64::MAX, 1), Err(VmError::Place { .. })));
        assert!(matches!(disk.flip("esp", 0), Err(VmError::Gpt { .. })));
        assert!(matches!(Disk::empty(MIB).unwrap().table(), Err(VmError::Gpt { .. })));
    }

    #[test]
    fn a_kept_copy_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let (image, path) = (partitioned(), directory.path().join("kept.img"));
        let mut kept = Disk::kept_copy_of(image.path(), &path).unwrap();
        kept.write("data", 0, b"mine").unwrap();
        drop(kept);
        let kept = Disk::kept_copy_of(image.path(), &path).unwrap();
        assert_eq!(kept.read("data", 0, 4).unwrap(), b"mine");
        assert_eq!(image.read("data", 0, 4).unwrap(), [0; 4]);
    }
}
