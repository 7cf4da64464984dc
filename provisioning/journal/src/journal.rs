//! A journal that is open to write.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Seek as _, Write as _},
    marker::PhantomData,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    slice,
};

use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{Entry, Head, JournalError, limits::JOURNAL_BYTES_MAX, reader::Lines};

/// Nobody but the file's owner reads it: it says who runs which machine.
const MODE: u32 = 0o600;

/// A journal of records, open to write. While there is one no other process opens the file to write.
#[derive(Debug)]
pub struct Journal<R> {
    path: PathBuf,
    file: File,
    head: Head,
    bytes: u64,
    dropped: u64,
    broken: bool,
    record: PhantomData<fn(R)>,
}

impl<R: Serialize + DeserializeOwned> Journal<R> {
    /// Opens a journal, or begins one, and reads all of its entries. A last line without its end is dropped: power ended
    /// its write before anybody was told of it.
    ///
    /// # Errors
    ///
    /// [`JournalError`]; damage names the line.
    pub fn open(path: &Path) -> Result<(Self, Vec<Entry<R>>), JournalError> {
        let open = |source| JournalError::Open { path: path.into(), source };
        let file = OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(path).map_err(open)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked(path.into())),
            Err(TryLockError::Error(source)) => return Err(open(source)),
        }
        // One that was there may have been copied with other rights.
        file.set_permissions(Permissions::from_mode(MODE)).map_err(open)?;
        let read = |source| JournalError::Read { path: path.into(), source };
        let mut lines = Lines::new(file.try_clone().map_err(read)?, path)?;
        let mut entries = Vec::new();
        while let Some(entry) = lines.entry()? {
            entries.push(entry);
        }
        let (head, bytes) = (lines.head(), lines.bytes());
        let dropped = file.metadata().map_err(read)?.len().saturating_sub(bytes);
        let write = |source| JournalError::Write { path: path.into(), source };
        if dropped > 0 {
            file.set_len(bytes).map_err(write)?;
        }
        file.sync_all().map_err(write)?;
        sync_directory(path).map_err(write)?;
        let journal = Self { path: path.into(), file, head, bytes, dropped, broken: false, record: PhantomData };
        Ok((journal, entries))
    }

    /// Writes a record, and returns once the disk has it. `time` is in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`JournalError::Encode`], [`JournalError::LineBytes`] and [`JournalError::Full`], after which the journal is as it
    /// was; [`JournalError::Write`], after which it takes nothing more ([`JournalError::Broken`]) until it is opened anew.
    pub fn append(&mut self, time: u64, record: R) -> Result<Entry<R>, JournalError> {
        let entry = Entry { number: self.head.number + 1, prev: self.head.hash, time, record };
        self.write(time, slice::from_ref(&entry.record))?;
        Ok(entry)
    }

    /// Writes records, and returns once the disk has all of them. Power may end it after some of them, in their order.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); where it did not write, it wrote none of them.
    pub fn append_all(&mut self, time: u64, records: &[R]) -> Result<(), JournalError> {
        if records.is_empty() { Ok(()) } else { self.write(time, records) }
    }

    fn write(&mut self, time: u64, records: &[R]) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError::Broken(self.path.clone()));
        }
        let (mut lines, mut head) = (Vec::new(), self.head);
        for record in records {
            let (line, next) = head.line(time, record)?;
            lines.extend(line);
            head = next;
        }
        let bytes = self.bytes + lines.len() as u64;
        if bytes > JOURNAL_BYTES_MAX {
            return Err(JournalError::Full { path: self.path.clone(), bytes: self.bytes });
        }
        self.broken = true;
        let written = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
        written.map_err(|source| JournalError::Write { path: self.path.clone(), source })?;
        (self.broken, self.head, self.bytes) = (false, head, bytes);
        Ok(())
    }

    /// Reads the file again: it still is what was written.
    ///
    /// # Errors
    ///
    /// [`JournalError::Read`], [`JournalError::Damaged`], and [`JournalError::Changed`] where it ends elsewhere.
    pub fn verify(&self) -> Result<Head, JournalError> {
        let read = |source| JournalError::Read { path: self.path.clone(), source };
        let mut file = self.file.try_clone().map_err(read)?;
        // Writing goes to the end, wherever this place is.
        file.rewind().map_err(read)?;
        let mut lines = Lines::new(file, &self.path)?;
        while lines.entry::<IgnoredAny>()?.is_some() {}
        if lines.head() != self.head && !self.broken {
            let (found, expected) = (lines.head().number, self.head.number);
            return Err(JournalError::Changed { path: self.path.clone(), found, expected });
        }
        Ok(lines.head())
    }
}

impl<R> Journal<R> {
    /// Where it ends. Whoever knows this notices later that lines before were changed.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Bytes of an unfinished last line that were dropped when it was opened.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A new file's name is on the disk, too.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
