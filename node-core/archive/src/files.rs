//! Files that appear whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Ending of a file that is not finished.
pub(crate) const PARTIAL: &str = "partial";

/// A file in the making, beside the place where it is to be. Dropped before [`Self::keep`] it goes.
pub(crate) struct Partial {
    target: PathBuf,
    temporary: PathBuf,
    /// `None` once it was kept.
    file: Option<BufWriter<File>>,
}

impl Partial {
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let mut temporary = target.as_os_str().to_owned();
        temporary.push(".");
        temporary.push(PARTIAL);
        let temporary = PathBuf::from(temporary);
        // One of an earlier attempt that was cut off is overwritten.
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
        Ok(Self { target: target.to_owned(), temporary, file: Some(BufWriter::with_capacity(1 << 20, file)) })
    }

    /// Puts it in its place, durably.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            let kept = file
                .into_inner()
                .map_err(io::IntoInnerError::into_error)
                .and_then(|file| file.sync_all())
                .and_then(|()| fs::rename(&self.temporary, &self.target));
            if let Err(error) = kept {
                let _ = fs::remove_file(&self.temporary);
                return Err(error);
            }
        }
        sync_directory_of(&self.target)
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file was finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Whatever is left is overwritten by the next attempt.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes the names in a file's directory durable.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("file");
        let names = || fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
        let mut partial = Partial::create(&target).unwrap();
        partial.write_all(b"half").unwrap();
        assert!(!target.exists());
        drop(partial);
        assert!(names().is_empty());
        let mut partial = Partial::create(&target).unwrap();
        partial.write_all(b"whole").unwrap();
        partial.keep().unwrap();
        assert_eq!(names(), ["file"]);
        assert_eq!(fs::read(&target).unwrap(), b"whole");
    }
}
