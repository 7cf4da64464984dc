//! The EFI system partition, where it is mounted.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::PathBuf,
};

use crate::Disk;

/// Files of the ESP. Paths begin at its root, with `/` between names; FAT takes them in any case.
///
/// Nothing of what is done is sure to be on the medium before [`write`](Self::write) returns, which is for the file's
/// bytes, or [`sync`](Self::sync), which is for names.
pub trait Esp {
    /// Names of the files in a folder; none where there is no folder.
    ///
    /// # Errors
    ///
    /// The system's.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// A file's bytes.
    ///
    /// # Errors
    ///
    /// The system's, as [`ErrorKind::NotFound`], and [`ErrorKind::FileTooLarge`] beyond `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// Writes a file, anew if there is one, and makes sure that its bytes are on the medium. A later
    /// [`read`](Self::read) reads them from there.
    ///
    /// # Errors
    ///
    /// The content's, as it is, and the system's, as [`ErrorKind::StorageFull`].
    fn write(&mut self, path: &str, content: &mut dyn Read) -> io::Result<()>;

    /// Gives a file another name, which may be another file's until now.
    ///
    /// # Errors
    ///
    /// The system's.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The system's.
    fn remove(&mut self, path: &str) -> io::Result<()>;

    /// Returns when the folder's names are on the medium as they are now.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync(&mut self, folder: &str) -> io::Result<()>;
}

/// The ESP in a folder of the system, such as `/efi`.
#[derive(Clone, Debug)]
pub struct EspFolder(PathBuf);

impl EspFolder {
    /// The folder where it is mounted.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self(folder)
    }
}

impl Esp for EspFolder {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.0.join(folder)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // What is no text is none of ours.
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.0.join(path))?.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn write(&mut self, path: &str, content: &mut dyn Read) -> io::Result<()> {
        let path = self.0.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create(path)?;
        io::copy(content, &mut file)?;
        file.sync()?;
        file.forget()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(path))
    }

    fn sync(&mut self, folder: &str) -> io::Result<()> {
        File::open(self.0.join(folder))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut esp = EspFolder::new(folder.path().to_owned());
        assert_eq!(esp.list("EFI/Linux").unwrap(), [""; 0]);
        esp.write("EFI/Linux/b", &mut &b"two"[..]).unwrap();
        esp.write("EFI/Linux/a", &mut &b"longer"[..]).unwrap();
        esp.write("EFI/Linux/a", &mut &b"one"[..]).unwrap();
        fs::create_dir(folder.path().join("EFI/Linux/folder")).unwrap();
        assert_eq!(esp.list("EFI/Linux").unwrap(), ["a", "b"]);
        assert_eq!(esp.read("EFI/Linux/a", 3).unwrap(), b"one");
        assert_eq!(esp.read("EFI/Linux/a", 2).unwrap_err().kind(), ErrorKind::FileTooLarge);
        esp.rename("EFI/Linux/a", "EFI/Linux/b").unwrap();
        esp.sync("EFI/Linux").unwrap();
        assert_eq!(esp.read("EFI/Linux/b", 9).unwrap(), b"one");
        esp.remove("EFI/Linux/b").unwrap();
        assert_eq!(esp.read("EFI/Linux/b", 9).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
