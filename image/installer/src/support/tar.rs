//! Archives that every tool opens: POSIX.1-1988's ustar, of regular files only.

use crate::limits::SUPPORT_BYTES_MAX;

const BLOCK_BYTES: usize = 512;
/// Bytes of a name. Longer ones would have to be cut in two.
const NAME_BYTES: usize = 100;
const CHECKSUM_AT: usize = 148;

/// Makes an archive of files, each with its name and content, all of them of `time`, in seconds since 1970.
///
/// Files that do not fit its bound, `SUPPORT_BYTES_MAX`, are left out, and so are names that no ustar has; their names come back.
#[must_use]
pub fn archive(files: &[(String, Vec<u8>)], time: u64) -> (Vec<u8>, Vec<String>) {
    let mut archive = Vec::new();
    let mut left_out = Vec::new();
    let bytes_max = usize::try_from(SUPPORT_BYTES_MAX).unwrap_or(usize::MAX);
    for (name, content) in files {
        let bytes = BLOCK_BYTES + content.len().next_multiple_of(BLOCK_BYTES);
        if name.is_empty() || name.len() > NAME_BYTES || archive.len() + bytes + 2 * BLOCK_BYTES > bytes_max {
            left_out.push(name.clone());
            continue;
        }
        archive.extend(header(name, content.len(), time));
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    // Two blocks of zeros end it.
    archive.resize(archive.len() + 2 * BLOCK_BYTES, 0);
    (archive, left_out)
}

fn header(name: &str, bytes: usize, time: u64) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{bytes:011o}\0").as_bytes());
    // Eleven digits: up to the year 2242.
    put(136, format!("{:011o}\0", time.min(0o777_7777_7777)).as_bytes());
    // While it is computed, the checksum counts as blanks.
    put(CHECKSUM_AT, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[CHECKSUM_AT..CHECKSUM_AT + 8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn tar_reads_it() {
        let files = [
            ("a.txt".to_owned(), b"hello".to_vec()),
            ("folder/empty".to_owned(), vec![]),
            ("folder/block".to_owned(), vec![7; 512]),
            ("x".repeat(101), vec![]),
        ];
        let (archive, left_out) = archive(&files, 1_790_000_000);
        assert_eq!(left_out, ["x".repeat(101)]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("support.tar");
        fs::write(&path, archive).unwrap();
        let output = Command::new("tar").args(["--utc", "-xvvf"]).arg(&path).current_dir(directory.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("2026-09-21"), "{output:?}");
        for (name, content) in &files[..3] {
            assert_eq!(fs::read(directory.path().join(name)).unwrap(), *content);
        }
    }

    #[test]
    fn it_is_bounded() {
        let half = usize::try_from(SUPPORT_BYTES_MAX).unwrap() / 2;
        let files = ["a", "b", "c"].map(|name| (name.to_owned(), vec![0; half]));
        let (archive, left_out) = archive(&files, 0);
        assert!(archive.len() as u64 <= SUPPORT_BYTES_MAX);
        assert_eq!(left_out, ["b", "c"]);
    }
}
