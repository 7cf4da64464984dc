//! What a partition holds: nothing, LUKS2, or something else.
//!
//! The LUKS2 On-Disk Format Specification 1.1 §2.1 has the binary header. There are two copies, each with a checksum
//! over itself and the JSON behind it, and the one with the higher sequence number counts. cryptsetup opens what either
//! of them vouches for, so that this must look at both: who takes a half-written header for an empty partition deletes
//! what is in it.

use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest as _, Sha256};

/// Bytes of the binary header. JSON follows it, up to the size that it states.
const HEADER_BYTES: usize = 4096;
/// Sizes that a header with its JSON can have, by the specification's §2.1.1; also where the second one then begins.
const SIZES: [usize; 9] = [16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];
const PRIMARY: &[u8; 6] = b"LUKS\xba\xbe";
const SECONDARY: &[u8; 6] = b"SKUL\xba\xbe";
const VERSION: u16 = 2;

const VERSION_AT: usize = 6;
const SIZE_AT: usize = 8;
const SEQUENCE_AT: usize = 16;
const LABEL_AT: usize = 24;
const LABEL_BYTES: usize = 48;
const ALGORITHM_AT: usize = 72;
const ALGORITHM_BYTES: usize = 32;
const OFFSET_AT: usize = 256;
const CHECKSUM_AT: usize = 448;
const CHECKSUM_BYTES: usize = 64;
const DIGEST_BYTES: usize = 32;

/// What counts as empty: an area of zeros at the beginning, as whoever makes an image or erases a disk leaves it.
pub const EMPTY_BYTES: usize = 4 << 20;

/// What is on a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Zeros in the first 4 MiB, or up to its end.
    Empty,
    /// LUKS2, with this label, which may be empty.
    Luks2 {
        /// The label.
        label: String,
    },
    /// Something else: a file system, LUKS1, or LUKS2 of which neither header is whole.
    Other,
}

impl Contents {
    /// Looks at a partition.
    ///
    /// # Errors
    ///
    /// The device's. A device that cannot be read is not empty.
    pub fn read(device: &mut (impl Read + Seek)) -> io::Result<Self> {
        device.seek(SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        device.take(EMPTY_BYTES as u64).read_to_end(&mut bytes)?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Self::Empty);
        }
        let primary = header(&bytes, 0, PRIMARY);
        let secondary = SIZES.into_iter().find_map(|at| header(&bytes, at, SECONDARY));
        // Of two that are equal, the first.
        let newest = [secondary, primary].into_iter().flatten().max_by_key(|header| header.sequence);
        Ok(newest.map_or(Self::Other, |header| Self::Luks2 { label: header.label }))
    }
}

struct Header {
    sequence: u64,
    label: String,
}

/// The header that begins at a place, if there is one and it is whole.
fn header(bytes: &[u8], at: usize, magic: &[u8; 6]) -> Option<Header> {
    let header = bytes.get(at..at.checked_add(HEADER_BYTES)?)?;
    let number = |at: usize| header[at..at + 8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let size = usize::try_from(number(SIZE_AT)).ok().filter(|size| SIZES.contains(size))?;
    let stated = header.starts_with(magic)
        && header[VERSION_AT..VERSION_AT + 2] == VERSION.to_be_bytes()
        && number(OFFSET_AT) == at as u64
        && text(&header[ALGORITHM_AT..ALGORITHM_AT + ALGORITHM_BYTES]) == "sha256";
    let whole = bytes.get(at..at.checked_add(size)?)?;
    let mut hasher = Sha256::new();
    hasher.update(&whole[..CHECKSUM_AT]);
    hasher.update([0; CHECKSUM_BYTES]);
    hasher.update(&whole[CHECKSUM_AT + CHECKSUM_BYTES..]);
    let valid = hasher.finalize()[..] == header[CHECKSUM_AT..CHECKSUM_AT + DIGEST_BYTES];
    (stated && valid)
        .then(|| Header { sequence: number(SEQUENCE_AT), label: text(&header[LABEL_AT..LABEL_AT + LABEL_BYTES]) })
}

/// Up to a NUL.
fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Cursor, process::Command};

    use proptest::prelude::*;

    use super::*;

    /// What cryptsetup makes, with this label.
    fn formatted(label: &str) -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let (path, key) = (directory.path().join("disk"), directory.path().join("key"));
        std::fs::write(&key, "key").unwrap();
        File::create(&path).unwrap().set_len(20 << 20).unwrap();
        let format = ["luksFormat", "-q", "--type=luks2", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"];
        let output = Command::new("cryptsetup").args(format).args(["--label", label]).arg(&path).arg(&key).output();
        let output = output.expect("cryptsetup starts; install the package cryptsetup-bin");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(path).unwrap()
    }

    fn contents(bytes: &[u8]) -> Contents {
        Contents::read(&mut Cursor::new(bytes)).unwrap()
    }

    fn luks(label: &str) -> Contents {
        Contents::Luks2 { label: label.into() }
    }

    #[test]
    fn zeros_are_empty() {
        assert_eq!(contents(&vec![0; 5 << 20]), Contents::Empty);
        assert_eq!(contents(&[0; 512]), Contents::Empty);
        let mut bytes = vec![0; 5 << 20];
        bytes[EMPTY_BYTES] = 1;
        assert_eq!(contents(&bytes), Contents::Empty);
        bytes[EMPTY_BYTES - 1] = 1;
        assert_eq!(contents(&bytes), Contents::Other);
    }

    #[test]
    fn either_header_tells_the_label() {
        let bytes = formatted("dolmen-new");
        assert_eq!(contents(&bytes), luks("dolmen-new"));
        let second = 16 << 10;
        for (damaged, expected) in [
            (&[0][..], luks("dolmen-new")),
            (&[30], luks("dolmen-new")),
            (&[second], luks("dolmen-new")),
            // JSON counts too.
            (&[HEADER_BYTES + 3], luks("dolmen-new")),
            (&[0, second], Contents::Other),
            (&[HEADER_BYTES + 3, second + 300], Contents::Other),
        ] {
            let mut bytes = bytes.clone();
            damaged.iter().for_each(|at: &usize| bytes[*at] ^= 1);
            assert_eq!(contents(&bytes), expected, "{damaged:?}");
        }
        assert_eq!(contents(&formatted("")), luks(""));
    }

    #[test]
    fn the_later_header_counts() {
        let (old, mut bytes) = (formatted("dolmen-new"), formatted("dolmen-data"));
        // A relabelled disk, of which only one header has been written when the power failed.
        let relabel = |bytes: &mut Vec<u8>, at: usize, sequence: u8| {
            bytes[at + SEQUENCE_AT + 7] = sequence;
            bytes[at + CHECKSUM_AT..at + CHECKSUM_AT + CHECKSUM_BYTES].fill(0);
            let digest = Sha256::digest(&bytes[at..at + (16 << 10)]);
            bytes[at + CHECKSUM_AT..at + CHECKSUM_AT + DIGEST_BYTES].copy_from_slice(&digest);
        };
        relabel(&mut bytes, 0, 200);
        bytes[16 << 10..32 << 10].copy_from_slice(&old[16 << 10..32 << 10]);
        assert_eq!(contents(&bytes), luks("dolmen-data"));
        relabel(&mut bytes, 16 << 10, 201);
        assert_eq!(contents(&bytes), luks("dolmen-new"));
    }

    #[test]
    fn other_things_are_told_apart() {
        let mut luks1 = vec![0; 1 << 20];
        luks1[..8].copy_from_slice(b"LUKS\xba\xbe\0\x01");
        assert_eq!(contents(&luks1), Contents::Other);
        // Cut short: there is no room for what it states.
        assert_eq!(contents(&formatted("a")[..HEADER_BYTES]), Contents::Other);
    }

    proptest! {
        #[test]
        fn whatever_is_there_is_something(
            head in proptest::collection::vec(any::<u8>(), 0..HEADER_BYTES),
            size in 0..24_u32,
        ) {
            let mut bytes = vec![0; 64 << 10];
            bytes[..head.len()].copy_from_slice(&head);
            bytes[..6].copy_from_slice(PRIMARY);
            bytes[SIZE_AT..SIZE_AT + 8].copy_from_slice(&(1_u64 << size).to_be_bytes());
            prop_assert_eq!(contents(&bytes), Contents::Other);
        }
    }
}
