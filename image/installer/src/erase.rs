//! Crypto-erase: what is left of LUKS without its header and key slots is noise.
//!
//! A volume's key is in its key slots alone, each wrapped by a passphrase, a recovery key or the TPM. LUKS2 keeps two
//! copies of its header, and behind them the key slots, in 136 MiB at most (cryptsetup, `lib/luks2/luks2.h`: headers of
//! 4 MiB at most, 128 MiB of key slots at most). All of that is overwritten whatever the header says about where its
//! slots are, since nothing of it is to be believed: first by noise, because drives may note zeros down instead of
//! writing them, then the drive is told that nobody needs the partition any more, and then its beginning is zeroed, so
//! that the box finds no data and makes it anew.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use crate::{
    disk::{Disk, copy_at, read_at, write_zeros},
    limits::CHUNK_BYTES,
};

/// Bytes from the beginning of a LUKS volume on that may hold its headers and key slots.
pub const KEY_BYTES: u64 = (2 * 4 + 128) << 20;

const PRIMARY: &[u8; 6] = b"LUKS\xba\xbe";
const SECONDARY: &[u8; 6] = b"SKUL\xba\xbe";
/// Sizes that a LUKS2 header may have, which is where its second copy begins.
const HEADER_BYTES: [u64; 9] =
    [16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20];

/// What was erased of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Bytes from its beginning on that were overwritten, and read back as zeros.
    pub overwritten: u64,
    /// Whether the drive took the message that the whole volume is not needed any more.
    pub discarded: bool,
}

/// Whether a LUKS volume begins here, by either copy of its header.
///
/// # Errors
///
/// The disk's.
pub fn is_luks(disk: &mut (impl Read + Seek), volume: &Range<u64>) -> io::Result<bool> {
    let copies = HEADER_BYTES.iter().map(|bytes| (*bytes, SECONDARY));
    for (at, magic) in [(0, PRIMARY)].into_iter().chain(copies) {
        let start = volume.start.saturating_add(at);
        if start.saturating_add(magic.len() as u64) <= volume.end && read_at(disk, start, magic.len())? == magic {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Destroys all keys of a volume. `noise` gives random bytes.
///
/// # Errors
///
/// The disk's, and [`io::ErrorKind::InvalidData`] where it still gives what it was to forget.
pub fn crypto_erase(disk: &mut impl Disk, volume: &Range<u64>, noise: &mut impl Read) -> io::Result<Erased> {
    let keys = volume.start..volume.end.min(volume.start.saturating_add(KEY_BYTES));
    copy_at(disk, keys.clone(), noise)?;
    disk.sync()?;
    // Not every drive can, and none says whether it did.
    let discarded = disk.discard(volume.clone()).is_ok();
    write_zeros(disk, keys.clone())?;
    disk.sync()?;
    disk.forget_cached()?;
    disk.seek(SeekFrom::Start(keys.start))?;
    let mut left = keys.end - keys.start;
    let mut buffer = vec![0; CHUNK_BYTES];
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        disk.read_exact(&mut buffer[..count])?;
        if buffer[..count].iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the disk still gives what was overwritten"));
        }
        left -= count as u64;
    }
    Ok(Erased { overwritten: keys.end - keys.start, discarded })
}
