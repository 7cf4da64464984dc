//! Whether two results are the same, and where not.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufReader, Read as _},
    path::{Path, PathBuf},
};

use dolmen_image_disk::gpt::{BlockSize, Gpt};

use crate::file::{self, FileError};

/// Bytes that are compared at once.
const BLOCK: usize = 4096;

/// Why they are not compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder and a file.
    #[error("{} and {} are not both files or both folders; name two of a kind", first.display(), second.display())]
    Kinds {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// Where two are not the same, one line for each file. None if they are.
///
/// # Errors
///
/// [`CompareError`].
pub fn compare(first: &Path, second: &Path) -> Result<Vec<String>, CompareError> {
    match (first.is_dir(), second.is_dir()) {
        (true, true) => {
            let (ours, theirs) = (names(first)?, names(second)?);
            let mut differences = Vec::new();
            for name in ours.union(&theirs) {
                match (ours.contains(name), theirs.contains(name)) {
                    (true, false) => differences.push(format!("{name}: only in {}", first.display())),
                    (false, _) => differences.push(format!("{name}: only in {}", second.display())),
                    (true, true) => differences.extend(files(name, &first.join(name), &second.join(name))?),
                }
            }
            Ok(differences)
        }
        (false, false) => {
            let name = first.file_name().unwrap_or_default().to_string_lossy();
            Ok(files(&name, first, second)?.into_iter().collect())
        }
        _ => Err(CompareError::Kinds { first: first.to_owned(), second: second.to_owned() }),
    }
}

fn names(folder: &Path) -> Result<BTreeSet<String>, FileError> {
    let fail = file::failed("read the folder", folder);
    let entries = fs::read_dir(folder).map_err(&fail)?.collect::<Result<Vec<_>, _>>().map_err(&fail)?;
    let files = entries.into_iter().filter(|entry| entry.path().is_file());
    Ok(files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

fn files(name: &str, first: &Path, second: &Path) -> Result<Option<String>, FileError> {
    let (ours, theirs) = (file::length(first)?, file::length(second)?);
    if ours != theirs {
        return Ok(Some(format!("{name}: {ours} bytes and {theirs} bytes")));
    }
    let (mut a, mut b) = (BufReader::new(file::open(first)?), BufReader::new(file::open(second)?));
    let (mut ours, mut theirs) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    let (mut at, mut found, mut blocks) = (0, None, 0_u64);
    loop {
        ours.clear();
        theirs.clear();
        (&mut a).take(BLOCK as u64).read_to_end(&mut ours).map_err(file::failed("read", first))?;
        (&mut b).take(BLOCK as u64).read_to_end(&mut theirs).map_err(file::failed("read", second))?;
        // Blocks first: comparing bytes is slow where nothing is optimised.
        if ours != theirs {
            let offset = ours.iter().zip(&theirs).position(|(a, b)| a != b);
            found = found.or(offset.map(|offset| at + offset as u64));
            blocks += 1;
        }
        if ours.len() < BLOCK {
            break;
        }
        at += BLOCK as u64;
    }
    let Some(offset) = found else { return Ok(None) };
    let place = partition(first, offset).map(|name| format!(" in the partition {name}")).unwrap_or_default();
    Ok(Some(format!("{name}: first at byte {offset}{place}, in {blocks} blocks of {BLOCK} bytes")))
}

/// The name of the partition that a byte of a disk is in.
fn partition(disk: &Path, offset: u64) -> Option<String> {
    let table = Gpt::read(&mut File::open(disk).ok()?, BlockSize::Bytes512).ok()?.table;
    let partition = table.partitions().iter().find(|partition| table.bytes_of(partition).contains(&offset))?;
    Some(partition.identity.name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_located() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&first, &second] {
            fs::write(folder.path().join("same"), vec![1; 10_000]).unwrap();
            fs::write(folder.path().join("other"), vec![1; 10_000]).unwrap();
        }
        assert_eq!(compare(first.path(), second.path()).unwrap(), [""; 0]);
        let mut changed = vec![1; 10_000];
        (changed[5000], changed[9999]) = (2, 2);
        fs::write(second.path().join("other"), changed).unwrap();
        fs::write(first.path().join("mine"), "").unwrap();
        fs::write(second.path().join("same"), "shorter").unwrap();
        let differences = compare(first.path(), second.path()).unwrap();
        assert!(differences[0].starts_with("mine: only in "), "{differences:?}");
        assert_eq!(differences[1], "other: first at byte 5000, in 2 blocks of 4096 bytes");
        assert_eq!(differences[2], "same: 10000 bytes and 7 bytes");
        let kinds = compare(first.path(), &first.path().join("mine"));
        assert!(matches!(kinds, Err(CompareError::Kinds { .. })));
    }
}
