//! Reading a journal from its first line to its last.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Take},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::{
    Damage, Entry, Head, JournalError,
    entry::decode,
    limits::{JOURNAL_BYTES_MAX, LINE_BYTES_MAX},
};

/// The entries of a journal, which another process may be writing. It ends before a last line that has no end yet, and
/// after the first error.
#[derive(Debug)]
pub struct Reader<R> {
    lines: Lines,
    record: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned> Reader<R> {
    /// Opens a journal to read it.
    ///
    /// # Errors
    ///
    /// [`JournalError::Open`], and [`JournalError::Full`] for a file that no journal is.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let file = File::open(path).map_err(|source| JournalError::Open { path: path.into(), source })?;
        Ok(Self { lines: Lines::new(file, path)?, record: PhantomData })
    }

    /// Where the journal ends, as far as it was read.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.lines.head
    }
}

impl<R: DeserializeOwned> Iterator for Reader<R> {
    type Item = Result<Entry<R>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.lines.entry().transpose()
    }
}

/// Reads a journal of any records: where it ends.
///
/// # Errors
///
/// [`JournalError::Open`], [`JournalError::Read`] and [`JournalError::Damaged`].
pub fn verify(path: &Path) -> Result<Head, JournalError> {
    let mut reader = Reader::<IgnoredAny>::open(path)?;
    reader.by_ref().try_for_each(|entry| entry.map(drop))?;
    Ok(reader.head())
}

/// A file's lines, each of which is checked.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    file: BufReader<Take<File>>,
    head: Head,
    bytes: u64,
    ended: bool,
}

impl Lines {
    /// Of a file whose place is its begin.
    pub(crate) fn new(file: File, path: &Path) -> Result<Self, JournalError> {
        let read = |source| JournalError::Read { path: path.into(), source };
        let bytes = file.metadata().map_err(read)?.len();
        if bytes > JOURNAL_BYTES_MAX {
            return Err(JournalError::Full { path: path.into(), bytes });
        }
        // What is written from now on is left to the next one who reads.
        let file = BufReader::new(file.take(bytes));
        Ok(Self { path: path.into(), file, head: Head::EMPTY, bytes: 0, ended: false })
    }

    pub(crate) const fn head(&self) -> Head {
        self.head
    }

    /// Bytes of the lines that were read.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next entry; none at the end.
    pub(crate) fn entry<R: DeserializeOwned>(&mut self) -> Result<Option<Entry<R>>, JournalError> {
        if self.ended {
            return Ok(None);
        }
        let entry = self.read();
        self.ended = !matches!(entry, Ok(Some(_)));
        entry
    }

    fn read<R: DeserializeOwned>(&mut self) -> Result<Option<Entry<R>>, JournalError> {
        let line = self.head.number + 1;
        let damaged = |damage| JournalError::Damaged { path: self.path.clone(), line, damage };
        let mut bytes = Vec::new();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = self.file.by_ref().take(limit).read_until(b'\n', &mut bytes);
        read.map_err(|source: io::Error| JournalError::Read { path: self.path.clone(), source })?;
        if bytes.len() > LINE_BYTES_MAX {
            return Err(damaged(Damage::Bytes));
        }
        let Some(text) = bytes.strip_suffix(b"\n") else {
            return match bytes.split_last() {
                // A whole line, and something else for its end: no write leaves that.
                Some((_, text)) if self.head.read(text).is_ok() => Err(damaged(Damage::NoSum)),
                _ => Ok(None),
            };
        };
        let (json, head) = self.head.read(text).map_err(damaged)?;
        let entry = decode(&json);
        let entry = entry.map_err(|source| JournalError::Record { path: self.path.clone(), line, source })?;
        (self.head, self.bytes) = (head, self.bytes + bytes.len() as u64);
        Ok(Some(entry))
    }
}
