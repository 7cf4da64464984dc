//! `manifest.json`: which backups a directory holds. It is not encrypted and holds no secret, and nothing is believed
//! because it stands there: what it says of files is compared with them, and what is in the files with the chain.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

use crate::files::Partial;

/// Version of the form of the manifest and of what it names.
const FORMAT: u32 = 1;
/// The manifest's name in its directory.
const NAME: &str = "manifest.json";
/// A thousand backups take less than a megabyte.
const BYTES_MAX: u64 = 64 << 20;

/// Why a manifest was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It cannot be read.
    #[error("cannot read {path}; give the directory of a `dolmen backup`")]
    Read {
        /// The manifest.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {path}; check free space and permissions there")]
    Write {
        /// The manifest.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a manifest.
    #[error("{path} is not the manifest of a backup; restore it from another copy of the directory")]
    Json {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// It was written by another version.
    #[error("{path} has version {found} of the form, this program reads {FORMAT}; use the matching release")]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It contradicts itself.
    #[error("{path} is damaged: {what}; restore it from another copy of the directory")]
    Damaged {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// The backups of one chain in a directory, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// The chain's EIP-155 id.
    pub chain_id: u64,
    /// Hash of block zero.
    pub genesis_hash: B256,
    /// The backups.
    pub backups: Vec<Backup>,
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// From 1.
    pub number: u32,
    /// Whether it stands alone.
    pub kind: BackupKind,
    /// Height of its first block.
    pub from: u64,
    /// Height of its last block, which has a certificate; a full one has the state after it.
    pub to: u64,
    /// Hash of the last block.
    pub hash: B256,
    /// When it was made, Unix time in seconds.
    pub created: u64,
    /// The public keys whose secret halves open it.
    pub recipients: Vec<String>,
    /// Its files.
    pub files: Vec<DataFile>,
}

/// Whether a backup stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    /// It has everything up to its last block.
    Full,
    /// It has the blocks since the backup before it.
    Incremental,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// What it holds.
    pub content: DataContent,
    /// Its name in the directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of it.
    pub sha256: B256,
}

/// What a file of a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataContent {
    /// Blocks.
    Blocks,
    /// The state after the last of them.
    State,
}

impl Manifest {
    /// The manifest of a directory without backups.
    pub(crate) const fn new(chain_id: u64, genesis_hash: B256) -> Self {
        Self { format: FORMAT, chain_id, genesis_hash, backups: Vec::new() }
    }

    /// The manifest in a directory, `None` where there is none.
    pub fn load(dir: &Path) -> Result<Option<Self>, ManifestError> {
        let path = dir.join(NAME);
        let read = |source| ManifestError::Read { path: path.clone(), source };
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(read(error)),
            Ok(found) if found.len() > BYTES_MAX => {
                return Err(ManifestError::Damaged { path, what: format!("it has {} bytes", found.len()) });
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&path).map_err(read)?;
        Self::decode(&bytes, &path).map(Some)
    }

    /// Reads one that did not come from a directory.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        Self::decode(bytes, Path::new(NAME))
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Self, ManifestError> {
        let json = |source| ManifestError::Json { path: path.to_owned(), source };
        // The version first: another one may have other fields.
        let Version { format } = serde_json::from_slice(bytes).map_err(json)?;
        if format != FORMAT {
            return Err(ManifestError::Version { path: path.to_owned(), found: format });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(json)?;
        match manifest.contradiction() {
            Some(what) => Err(ManifestError::Damaged { path: path.to_owned(), what }),
            None => Ok(manifest),
        }
    }

    /// Writes the manifest in place of the one that is there, whole or not at all.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), ManifestError> {
        let path = dir.join(NAME);
        let write = |source| ManifestError::Write { path: path.clone(), source };
        let json = serde_json::to_vec_pretty(self).map_err(|error| write(error.into()))?;
        let mut file = Partial::create(&path).map_err(write)?;
        file.write_all(&json).and_then(|()| file.write_all(b"\n")).map_err(write)?;
        file.keep().map_err(write)
    }

    /// The last full backup and those since, which together make a database; empty where there is none.
    pub fn latest(&self) -> &[Backup] {
        let full = self.backups.iter().rposition(|backup| backup.kind == BackupKind::Full);
        full.and_then(|full| self.backups.get(full..)).unwrap_or_default()
    }

    fn contradiction(&self) -> Option<String> {
        let mut before: Option<&Backup> = None;
        for backup in &self.backups {
            let Backup { number, kind, from, to, files, .. } = backup;
            let contents: Vec<_> = files.iter().map(|file| file.content).collect();
            let expected = match kind {
                BackupKind::Full => &[DataContent::Blocks, DataContent::State][..],
                BackupKind::Incremental => &[DataContent::Blocks],
            };
            if before.is_some_and(|before| before.number >= *number) {
                return Some(format!("backup {number} is not after the one before it"));
            }
            let follows = match (kind, before) {
                (BackupKind::Full, _) => *from == 1,
                (BackupKind::Incremental, Some(before)) => before.to.checked_add(1) == Some(*from) && from <= to,
                (BackupKind::Incremental, None) => false,
            };
            if !follows {
                return Some(format!("backup {number} does not follow the one before it"));
            }
            if contents != expected {
                return Some(format!("backup {number} does not have the files of its kind"));
            }
            // A name with a path in it would lead out of the directory.
            if let Some(file) = files.iter().find(|file| !is_plain(&file.name)) {
                return Some(format!("{:?} is no name of a file", file.name));
            }
            before = Some(backup);
        }
        None
    }
}

/// The part of a manifest that every version has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(content: DataContent, name: &str) -> DataFile {
        DataFile { content, name: name.to_owned(), bytes: 7, sha256: B256::repeat_byte(1) }
    }

    fn manifest() -> Manifest {
        let backup = |number, kind, (from, to), files| Backup {
            number,
            kind,
            from,
            to,
            hash: B256::repeat_byte(2),
            created: 1_800_000_000,
            recipients: vec!["age1".to_owned()],
            files,
        };
        let full =
            vec![file(DataContent::Blocks, "000001-blocks.zst.age"), file(DataContent::State, "000001-state.zst.age")];
        let later = vec![file(DataContent::Blocks, "000002-blocks.zst.age")];
        Manifest {
            backups: vec![
                backup(1, BackupKind::Full, (1, 10), full),
                backup(2, BackupKind::Incremental, (11, 20), later),
            ],
            ..Manifest::new(7, B256::repeat_byte(3))
        }
    }

    #[test]
    fn a_manifest_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::load(dir.path()).unwrap(), None);
        let manifest = manifest();
        manifest.save(dir.path()).unwrap();
        assert_eq!(Manifest::load(dir.path()).unwrap().as_ref(), Some(&manifest));
        assert_eq!(manifest.latest().len(), 2);
        assert!(Manifest::new(1, B256::ZERO).latest().is_empty());
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = manifest();
            change(&mut manifest);
            let json = serde_json::to_vec(&manifest).unwrap();
            Manifest::decode(&json, Path::new("m")).unwrap_err()
        };
        assert!(matches!(refused(&|m| m.format = 2), ManifestError::Version { found: 2, .. }));
        let damages: [&dyn Fn(&mut Manifest); 6] = [
            &|m| m.backups[1].from = 12,
            &|m| m.backups[1].number = 1,
            &|m| m.backups[0].from = 0,
            &|m| drop(m.backups.remove(0)),
            &|m| drop(m.backups[0].files.pop()),
            &|m| m.backups[1].files[0].name = "../../etc/passwd".to_owned(),
        ];
        for damage in damages {
            assert!(matches!(refused(damage), ManifestError::Damaged { .. }));
        }
    }

    proptest! {
        #[test]
        fn anything_else_is_refused(bytes in any::<Vec<u8>>()) {
            prop_assert!(Manifest::decode(&bytes, Path::new("m")).is_err());
        }

        #[test]
        fn no_other_byte_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut json = serde_json::to_vec(&manifest()).unwrap();
            let at = at.index(json.len());
            json[at] = byte;
            let _ = Manifest::decode(&json, Path::new("m"));
        }
    }
}
