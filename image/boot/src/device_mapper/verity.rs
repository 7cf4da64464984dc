//! The target that checks what is read against a hash tree.

use std::path::Path;

use dolmen_image_disk::verity::{BLOCK_BYTES, RootHash, Superblock};

/// Sectors of 512 bytes in a block.
const BLOCK_SECTORS: u64 = BLOCK_BYTES as u64 / 512;
/// The superblock's, so that the tree begins after it.
const SUPERBLOCK_BLOCKS: u64 = 1;

/// A device and its hash tree.
#[derive(Clone, Copy, Debug)]
pub struct Verity<'a> {
    /// What is to be checked.
    pub data: &'a Path,
    /// The hash tree, behind its superblock.
    pub hashes: &'a Path,
    /// What the hash device says of itself. A wrong salt makes every block wrong. A wrong size lets through no byte
    /// that the root hash does not vouch for, but others than those of the file system: hash blocks, or less than all.
    /// Such a device can be made by whoever can also overwrite it, and cannot be mounted either.
    pub superblock: &'a Superblock,
    /// What vouches for all of it.
    pub root: RootHash,
}

impl Verity<'_> {
    /// The size of the device.
    pub(super) const fn sectors(&self) -> u64 {
        // A superblock has 2^40 blocks at most.
        self.superblock.data_blocks.saturating_mul(BLOCK_SECTORS)
    }

    /// Version, both devices, both block sizes, the number of data blocks, the tree's first block, algorithm, root hash,
    /// salt, and one option: a machine that reads something wrong starts again, and systemd-boot counts that try.
    pub(super) fn parameters(&self) -> String {
        let Self { data, hashes, superblock, root } = self;
        let salt = superblock.salt.as_bytes();
        let salt = if salt.is_empty() { "-".to_owned() } else { const_hex::encode(salt) };
        format!(
            "1 {} {} {BLOCK_BYTES} {BLOCK_BYTES} {} {SUPERBLOCK_BLOCKS} sha256 {root} {salt} 1 restart_on_corruption",
            data.display(),
            hashes.display(),
            superblock.data_blocks,
        )
    }
}

#[cfg(test)]
mod tests {
    use dolmen_image_disk::{gpt::Uuid, verity::Salt};

    use super::*;

    #[test]
    fn parameters_are_those_of_the_kernels_documentation() {
        let mut superblock = Superblock { uuid: Uuid::nil(), data_blocks: 300, salt: Salt::new(&[0xab, 1]).unwrap() };
        let text = |superblock: &Superblock| {
            let (data, hashes) = (Path::new("/dev/vda2"), Path::new("/dev/vda3"));
            let verity = Verity { data, hashes, superblock, root: RootHash::from_bytes([0x11; 32]) };
            (verity.sectors(), verity.parameters())
        };
        let root = "11".repeat(32);
        let expected =
            |salt| format!("1 /dev/vda2 /dev/vda3 4096 4096 300 1 sha256 {root} {salt} 1 restart_on_corruption");
        assert_eq!(text(&superblock), (2400, expected("ab01")));
        superblock.salt = Salt::new(&[]).unwrap();
        assert_eq!(text(&superblock), (2400, expected("-")));
    }
}
