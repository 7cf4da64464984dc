//! The files of an EFI system partition.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    path::PathBuf,
};

use fatfs::{Date, DateTime, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

use crate::{VmError, Window, limits::ESP_FILE_BYTES_MAX};

/// The FAT on a disk's EFI system partition. What is changed is on the disk when this is dropped, and already when an
/// operation has returned but for counts that FAT keeps as hints.
pub struct Esp {
    files: FileSystem<Window>,
    path: PathBuf,
}

impl Esp {
    pub(crate) fn open(partition: Window, path: PathBuf) -> Result<Self, VmError> {
        let options = FsOptions::new().update_accessed_date(false).time_provider(&NewYear);
        let files = FileSystem::new(partition, options);
        let error = |source| VmError::Esp { operation: "find a FAT", file: "/".to_owned(), path: path.clone(), source };
        Ok(Self { files: files.map_err(error)?, path: path.clone() })
    }

    /// Makes an empty FAT on a partition.
    ///
    /// # Errors
    ///
    /// [`io::Error`] of the disk, or where the partition is too small.
    pub fn format(partition: &mut Window) -> io::Result<()> {
        fatfs::format_volume(partition, FormatVolumeOptions::new().volume_label(*b"ESP        "))
    }

    /// The names in a directory such as `EFI/Linux`, sorted, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// [`VmError::Esp`].
    pub fn list(&self, directory: &str) -> Result<Vec<String>, VmError> {
        let names = || {
            let directory = match directory {
                "" | "/" => self.files.root_dir(),
                other => self.files.root_dir().open_dir(other)?,
            };
            let names = directory.iter().map(|entry| entry.map(|entry| entry.file_name()));
            let mut names = names.collect::<io::Result<Vec<_>>>()?;
            names.retain(|name| name != "." && name != "..");
            names.sort();
            Ok(names)
        };
        names().map_err(self.error("list", directory))
    }

    /// What a file holds.
    ///
    /// # Errors
    ///
    /// [`VmError::Esp`].
    pub fn read(&self, file: &str) -> Result<Vec<u8>, VmError> {
        let read = || {
            let mut bytes = Vec::new();
            self.files.root_dir().open_file(file)?.take(ESP_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(self.error("read", file))
    }

    /// Writes a file anew, and makes the directories above it.
    ///
    /// # Errors
    ///
    /// [`VmError::Esp`].
    pub fn write(&mut self, file: &str, bytes: &[u8]) -> Result<(), VmError> {
        let write = || {
            let root = self.files.root_dir();
            for (at, _) in file.match_indices('/').filter(|(at, _)| *at > 0) {
                root.create_dir(&file[..at])?;
            }
            let mut file = root.create_file(file)?;
            file.truncate()?;
            file.write_all(bytes)?;
            file.flush()
        };
        write().map_err(self.error("write", file))
    }

    /// Gives a file another path.
    ///
    /// # Errors
    ///
    /// [`VmError::Esp`], also where there is one of that path.
    pub fn rename(&mut self, file: &str, to: &str) -> Result<(), VmError> {
        let root = self.files.root_dir();
        root.rename(file, &root, to).map_err(self.error("rename", file))
    }

    /// Removes a file or an empty directory.
    ///
    /// # Errors
    ///
    /// [`VmError::Esp`].
    pub fn remove(&mut self, file: &str) -> Result<(), VmError> {
        self.files.root_dir().remove(file).map_err(self.error("remove", file))
    }

    fn error(&self, operation: &'static str, file: &str) -> impl FnOnce(io::Error) -> VmError {
        let (file, path) = (file.to_owned(), self.path.clone());
        move |source| VmError::Esp { operation, file, path, source }
    }
}

impl fmt::Debug for Esp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Esp").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The time of all files that are written here: 2026-01-01. There has to be one. EDK II does not rename a file whose
/// entry has no date, and then systemd-boot cannot count how often it has started it.
#[derive(Debug)]
struct NewYear;

impl TimeProvider for NewYear {
    fn get_current_date(&self) -> Date {
        Date { year: 2026, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted() -> Esp {
        let file = tempfile::tempfile().unwrap();
        file.set_len(40 << 20).unwrap();
        Esp::format(&mut Window::new(file.try_clone().unwrap(), 0..40 << 20)).unwrap();
        Esp::open(Window::new(file, 0..40 << 20), PathBuf::from("disk.img")).unwrap()
    }

    #[test]
    fn files_are_written_read_renamed_and_removed() {
        let mut esp = formatted();
        let long = "EFI/Linux/dolmen_0.1.0+3-1.efi";
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        esp.write("EFI/BOOT/BOOTX64.EFI", &bytes).unwrap();
        esp.write(long, b"a UKI").unwrap();
        esp.write(long, b"another").unwrap();
        assert_eq!(esp.list("").unwrap(), ["EFI"]);
        assert_eq!(esp.list("EFI/Linux").unwrap(), ["dolmen_0.1.0+3-1.efi"]);
        assert!(esp.read("EFI/BOOT/BOOTX64.EFI").unwrap() == bytes);
        let folder = esp.files.root_dir().open_dir("EFI/Linux").unwrap();
        for entry in folder.iter().map(Result::unwrap).filter(fatfs::DirEntry::is_file) {
            let dates = [entry.created().date, entry.modified().date, entry.accessed()];
            assert!(dates.iter().all(|date| (date.year, date.month, date.day) == (2026, 1, 1)), "{dates:?}");
        }
        drop(folder);
        esp.rename(long, "EFI/Linux/dolmen_0.1.0.efi").unwrap();
        assert_eq!(esp.read("EFI/Linux/dolmen_0.1.0.efi").unwrap(), b"another");
        esp.remove("EFI/Linux/dolmen_0.1.0.efi").unwrap();
        assert_eq!(esp.list("EFI/Linux").unwrap(), [""; 0]);
        assert!(matches!(esp.read(long), Err(VmError::Esp { operation: "read", .. })));
    }
}
