//! Writing a bundle.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

use crate::{BundleError, Hash, Manifest, Part, SignedManifest, key::SIGNATURE_BYTES};

pub(crate) const MAGIC: [u8; 8] = *b"DOLMENB1";
/// Bytes that every part begins at a multiple of.
const BLOCK_BYTES: u64 = 4096;

/// Bytes that fill the block in which `bytes` bytes end.
pub(crate) fn padding(bytes: u64) -> usize {
    usize::try_from(bytes.next_multiple_of(BLOCK_BYTES) - bytes).expect("less than a block")
}

impl Manifest {
    /// Bytes of all parts, without what is between them.
    #[must_use]
    pub fn parts_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

impl SignedManifest {
    /// Bytes of its bundle.
    #[must_use]
    pub fn bundle_bytes(&self) -> u64 {
        let parts: u64 = self.manifest().parts.iter().map(|part| part.bytes + padding(part.bytes) as u64).sum();
        let before = (MAGIC.len() + size_of::<u32>() + self.json().len() + SIGNATURE_BYTES) as u64;
        before + padding(before) as u64 + parts
    }
}

/// Writes a bundle. The parts are given in the order of [`PART_NAMES`](crate::PART_NAMES), and read to their ends.
///
/// # Errors
///
/// [`BundleError::OtherPart`] where one is not what the manifest says, and [`BundleError::Io`]. What was written by then
/// is no bundle.
pub fn write(out: &mut dyn Write, signed: &SignedManifest, parts: [&mut dyn Read; 4]) -> Result<(), BundleError> {
    let length = u32::try_from(signed.json().len()).expect("a manifest has 64 KiB at most");
    let head = [&MAGIC, &length.to_le_bytes()[..], signed.json(), signed.signature()].concat();
    out.write_all(&head).and_then(|()| pad(out, head.len() as u64)).map_err(BundleError::io("write the bundle"))?;
    for (part, content) in signed.manifest().parts.iter().zip(parts) {
        write_part(out, part, content)?;
    }
    out.flush().map_err(BundleError::io("write the bundle"))
}

fn write_part(out: &mut dyn Write, part: &Part, content: &mut dyn Read) -> Result<(), BundleError> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    let mut bytes = 0;
    loop {
        let count = match content.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result.map_err(BundleError::io("read a part of the bundle"))?,
        };
        bytes += count as u64;
        if bytes > part.bytes {
            return Err(BundleError::OtherPart { name: part.name });
        }
        if count == 0 {
            break;
        }
        hasher.update(&chunk[..count]);
        out.write_all(&chunk[..count]).map_err(BundleError::io("write the bundle"))?;
    }
    if bytes != part.bytes || Hash::from_bytes(hasher.finalize().into()) != part.sha256 {
        return Err(BundleError::OtherPart { name: part.name });
    }
    pad(out, bytes).map_err(BundleError::io("write the bundle"))
}

fn pad(out: &mut dyn Write, bytes: u64) -> io::Result<()> {
    out.write_all(&vec![0; padding(bytes)])
}
