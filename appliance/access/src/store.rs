//! The file of users, beside its journal.
//!
//! A change is three steps: its record goes into the journal, the file is written anew in the place of the old one, and
//! then memory follows. Power may end it between any two of them. A record whose file was not written is voided by
//! another one when the box starts again, so that the journal says what is so.

use std::{
    io,
    path::{Path, PathBuf},
};

use dolmen_hsm_api::{KeyError, private};
use dolmen_provisioning_journal::{Entry, JournalError};
use zeroize::Zeroizing;

use crate::{Refusal, audit::Record, limits::STATE_BYTES_MAX, state::State};

/// The file's name.
pub(crate) const FILE: &str = "access.json";

/// Why there is no access control, so that nobody is let in.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be used.
    #[error("the audit log cannot be used")]
    Journal(#[from] JournalError),
    /// The file cannot be read.
    #[error("cannot read the box's users; check that the file is this program's own and the disk is sound")]
    Read(#[source] KeyError),
    /// The file cannot be written.
    #[error("cannot write {path}; check that the disk has room and is sound")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what this program writes.
    #[error("{path} cannot be read as the box's users; restore it and its journal from a backup")]
    Form {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The file says what cannot be.
    #[error("{path} is damaged: {problem}; restore it and its journal from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The journal begins with something else.
    #[error("the journal is of form {0}, this program knows 1; use the program that wrote it, or newer")]
    Version(u32),
    /// The file is gone, and the box would be anybody's.
    #[error("{0} is gone, and the journal says that there were users; restore it and its journal from a backup")]
    Missing(PathBuf),
    /// The two are not of one time.
    #[error("{path} is of record {found} of its journal, which ends at {last}; restore both from one backup")]
    Apart {
        /// The file.
        path: PathBuf,
        /// By the file.
        found: u64,
        /// By the journal.
        last: u64,
    },
    /// An origin that is none.
    #[error("{0:?} is not an origin of this box: https, a host name and perhaps a port")]
    Origin(String),
    /// There are no random numbers.
    #[error("no random numbers; report this")]
    Random(#[source] io::Error),
    /// A cost that Argon2 does not know.
    #[error("the cost of hashing passwords is out of bounds; take HashCost::OWASP")]
    Cost,
}

/// Where the file is.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    /// Whether nobody knows what is on the disk.
    broken: bool,
}

impl Store {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { path: directory.join(FILE), broken: false }
    }

    /// Reads the file; none where there is none.
    pub(crate) fn load(&self) -> Result<Option<State>, OpenError> {
        let bytes = match private::read(&self.path, STATE_BYTES_MAX + 1, "read the box's users") {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(OpenError::Read)?,
        };
        decode(&bytes, &self.path).map(Some)
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn save(&mut self, old: &State, new: &State) -> Result<(), Refusal> {
        if self.broken {
            return Err(Refusal::Broken);
        }
        let bytes = encode(new)?;
        if bytes.len() > STATE_BYTES_MAX {
            return Err(Refusal::Store(io::ErrorKind::FileTooLarge.into()));
        }
        private::write(&self.path, &bytes).map_err(|source| {
            // The old one is there, or nobody knows which.
            self.broken = !matches!(self.load(), Ok(Some(found)) if found == *old);
            Refusal::Store(source)
        })
    }

    pub(crate) fn create(&self, state: &State) -> Result<(), OpenError> {
        let failed = |source| OpenError::Write { path: self.path.clone(), source };
        let bytes = encode(state).map_err(|refusal| failed(io::Error::other(refusal)))?;
        private::write_new(&self.path, &bytes).map_err(failed)
    }

    /// Whether file and journal are of one time: the record of a change that did not get into the file, if there is one.
    pub(crate) fn outstanding(&self, state: &State, entries: &[Entry<Record>]) -> Result<Option<u64>, OpenError> {
        let last = entries.last().map_or(0, |entry| entry.number);
        let voided = |number: u64| entries.iter().any(|entry| entry.record.voids == Some(number));
        let changes = entries.iter().filter(|entry| entry.record.change && entry.number > state.seq);
        let mut outstanding = changes.map(|entry| entry.number).filter(|number| !voided(*number));
        let first = outstanding.next();
        // One write can have been under way.
        if state.seq > last || outstanding.next().is_some() {
            return Err(OpenError::Apart { path: self.path.clone(), found: state.seq, last });
        }
        Ok(first)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn encode(state: &State) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    // Measured first, as a buffer that grows leaves copies of secrets behind.
    let mut length = Length(0);
    let encode = |error: serde_json::Error| Refusal::Encode(error.into());
    serde_json::to_writer(&mut length, state).map_err(encode)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, state).map_err(encode)?;
    Ok(bytes)
}

/// Counts bytes.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn decode(bytes: &[u8], path: &Path) -> Result<State, OpenError> {
    let damaged = |problem| OpenError::Damaged { path: path.to_owned(), problem };
    if bytes.len() > STATE_BYTES_MAX {
        return Err(damaged("it is longer than any that this program writes"));
    }
    let state: State =
        serde_json::from_slice(bytes).map_err(|source| OpenError::Form { path: path.to_owned(), source })?;
    state.problem().map_or(Ok(state), |problem| Err(damaged(problem)))
}

#[cfg(test)]
mod tests {
    use proptest::{
        prelude::{any, prop},
        prop_assert, proptest,
    };

    use super::*;

    const FROZEN: &[u8] = include_bytes!("../tests/access/frozen/access.json");

    fn read(bytes: &[u8]) -> Result<State, OpenError> {
        decode(bytes, Path::new(FILE))
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let state = read(FROZEN).unwrap();
        assert_eq!(encode(&state).unwrap().as_slice(), FROZEN);
    }

    proptest! {
        #[test]
        fn any_bytes_are_users_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert!(read(&bytes).is_err());
        }

        #[test]
        fn users_with_another_byte_are_users_or_an_error(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let place = place.index(FROZEN.len());
            prop_assert!(read(&FROZEN[..place]).is_err());
            let mut changed = FROZEN.to_vec();
            changed[place] = byte;
            // It may be another name or number, and what is read is written again.
            if let Ok(state) = read(&changed) {
                prop_assert!(read(&encode(&state).unwrap()).is_ok_and(|again| again == state));
            }
        }
    }
}
