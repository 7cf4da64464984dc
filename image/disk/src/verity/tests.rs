//! Trees in memory: those that `veritysetup` 2.6.1 made, and changed ones.

use std::io::{self, Cursor, Read};

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use uuid::{Uuid, uuid};

use super::*;

const UUID: Uuid = uuid!("00112233-4455-6677-8899-aabbccddeeff");

/// Data of which no two blocks are equal.
fn data(blocks: u64) -> Vec<u8> {
    (0..blocks * 512).flat_map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

/// A salt of 32 bytes that count up.
fn salt() -> Salt {
    Salt::new(&std::array::from_fn::<u8, 32, _>(|byte| u8::try_from(byte).unwrap())).unwrap()
}

/// The hash device and the root hash.
fn formatted(data: &[u8], salt: Salt) -> (Vec<u8>, RootHash) {
    let superblock = Superblock { uuid: UUID, data_blocks: (data.len() / BLOCK_BYTES) as u64, salt };
    let mut hashes = Cursor::new(Vec::new());
    let root = format(&mut &data[..], &mut hashes, &superblock, &mut |_| {}).unwrap();
    (hashes.into_inner(), root)
}

fn verified(data: &[u8], hashes: &[u8], blocks: u64, root: &RootHash) -> Result<(), VerityError> {
    verify(&mut &data[..], &mut Cursor::new(hashes), blocks, root, &mut |_| {})
}

#[test]
fn trees_are_those_of_veritysetup() {
    // veritysetup format --salt=000102..1f --uuid=00112233-... DATA HASHES: blocks, root hash, SHA-256 of HASHES.
    let vectors = [
        (
            1,
            "6d3f296fbe5980fc744d337e5be47cca23c4c62d8d14d89b3ec8c82ff17aade4",
            "65d91df5f86d11c33b49464fa434156904972bd8fae1d81ffe21eaae7d1554f2",
        ),
        (
            2,
            "5fd8743d7be582e22987b18d6ebd8d36086e0816ef1bff418c5499a6665d7c86",
            "0fc97d98f31284782b2835e4bae0fc5e414064fc20b8daf16520b224db5ff5b5",
        ),
        (
            128,
            "e214e3ab9eaada51506120360c9bf3549246ea0aa12e7e51a3dd3607d9172286",
            "75765bb546316811a942b452a8d1e3493589f3852a3bcdf5a958480aeba035de",
        ),
        (
            129,
            "65ec1a55c81b4abd5ae12c94d3524d0708590c2e0ed2bffc7ddcbc9e15291060",
            "81842ac6c2e8f10c2763f0c1ba9bad96ee41728b96e6b625f87396305bb890c7",
        ),
        (
            16_385,
            "98952947dc2f8723cf30688e28fa3c4643779dfedfe764615eb3bb68ed22b582",
            "70dd949ae5fbd2d7c6ece0846b781ea1eda3436cb6fd1c66f7184cc7a3c73696",
        ),
    ];
    for (blocks, root_hash, hashes_sha256) in vectors {
        let data = data(blocks);
        let (hashes, root) = formatted(&data, salt());
        assert_eq!(root.to_string(), root_hash, "{blocks} blocks");
        assert_eq!(const_hex::encode(Sha256::digest(&hashes)), hashes_sha256, "{blocks} blocks");
        assert_eq!(hashes.len() as u64, hash_device_bytes(blocks).unwrap());
        assert_eq!(super::root_hash(&mut &data[..], blocks, &salt(), &mut |_| {}).unwrap(), root);
        verified(&data, &hashes, blocks, &root).unwrap();
    }
}

#[test]
fn no_salt_is_one_too() {
    let data = data(129);
    let (hashes, root) = formatted(&data, Salt::new(&[]).unwrap());
    assert_eq!(root.to_string(), "84ad70498bb3bd5b0c4779f782f0e9ef0893a37d2425faebce1bddff594e56fe");
    let sha256 = const_hex::encode(Sha256::digest(&hashes));
    assert_eq!(sha256, "2154bff39c24e285c432c6224b61a0a8caa7606f7e5de3fa64e334dfecb3aa67");
    verified(&data, &hashes, 129, &root).unwrap();
}

#[test]
fn progress_counts_data_blocks() {
    let data = data(300);
    let (hashes, root) = formatted(&data, salt());
    let mut done = Vec::new();
    root_hash(&mut &data[..], 300, &salt(), &mut |blocks| done.push(blocks)).unwrap();
    verify(&mut &data[..], &mut Cursor::new(hashes), 300, &root, &mut |blocks| done.push(blocks)).unwrap();
    assert_eq!(done, [128, 256, 300, 128, 256, 300]);
}

/// Gives a few bytes at a time, as pipes do.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(1000);
        self.0.read(&mut buffer[..count])
    }
}

#[test]
fn data_may_come_in_pieces_but_not_too_few() {
    let data = data(130);
    let root = root_hash(&mut &data[..], 130, &salt(), &mut |_| {}).unwrap();
    assert_eq!(root_hash(&mut Trickle(&data), 130, &salt(), &mut |_| {}).unwrap(), root);
    // What follows the data is not read.
    let mut long = &[&data[..], b"rest"].concat()[..];
    assert_eq!(root_hash(&mut long, 130, &salt(), &mut |_| {}).unwrap(), root);
    assert_eq!(long, b"rest");
    let short = root_hash(&mut &data[1..], 130, &salt(), &mut |_| {}).unwrap_err();
    assert!(matches!(short, VerityError::Io { block: 128, .. }), "{short}");
    assert!(matches!(root_hash(&mut &data[..], 0, &salt(), &mut |_| {}), Err(VerityError::DataBlocks(0))));
}

#[test]
fn the_hash_device_may_be_short_or_anothers() {
    let data = data(200);
    let (hashes, root) = formatted(&data, salt());
    let error = verified(&data, &hashes[..hashes.len() - 1], 200, &root).unwrap_err();
    assert!(matches!(error, VerityError::Io { block: 3, .. }), "{error}");
    let error = verified(&data, &hashes, 199, &root).unwrap_err();
    assert!(matches!(error, VerityError::OtherDevice { found: 200, expected: 199 }), "{error}");
    let (others, other) = formatted(&data, Salt::new(b"other").unwrap());
    let error = verified(&data, &others, 200, &root).unwrap_err();
    assert!(matches!(error, VerityError::RootHash { expected, computed } if expected == root && computed == other));
    let (_, other) = formatted(&data[..BLOCK_BYTES], salt());
    let (one, root) = formatted(&data[BLOCK_BYTES..][..BLOCK_BYTES], salt());
    let error = verified(&data[..BLOCK_BYTES], &one, 1, &root).unwrap_err();
    assert!(matches!(error, VerityError::RootHash { computed, .. } if computed == other), "{error}");
}

/// The topmost hash block has the root hash, so it would pass for the only data block of a device.
#[test]
fn hashes_do_not_pass_for_data() {
    let (hashes, root) = formatted(&data(100), salt());
    let top = &hashes[BLOCK_BYTES..];
    let mut superblock = Superblock { uuid: UUID, data_blocks: 1, salt: salt() }.encode();
    verified(top, &superblock, 1, &root).unwrap();
    assert!(matches!(verified(top, &superblock, 100, &root), Err(VerityError::OtherDevice { found: 1, .. })));
    superblock[72] = 100;
    assert!(verified(top, &[&superblock[..], top].concat(), 100, &root).is_err());
}

proptest! {
    /// Two levels: blocks 1 (topmost), 2 and 3 of the hash device.
    #[test]
    fn the_changed_block_is_named(at in 0..(200 + 4) * BLOCK_BYTES, bit in 0..8) {
        let mut data = data(200);
        let (mut hashes, root) = formatted(&data, salt());
        let flip = 1_u8 << bit;
        let block = (at / BLOCK_BYTES) as u64;
        if block < 200 {
            data[at] ^= flip;
            let error = verified(&data, &hashes, 200, &root).unwrap_err();
            prop_assert!(matches!(error, VerityError::DataBlock { block: named } if named == block), "{}", error);
            return Ok(());
        }
        hashes[at - data.len()] ^= flip;
        let result = verified(&data, &hashes, 200, &root);
        let named = match (block - 200, &result) {
            // Of the superblock neither the UUID nor what follows the salt counts for anything.
            (0, _) => result.is_ok() == matches!(at - data.len(), 16..32 | 82..88 | 120..),
            (1, Err(VerityError::RootHash { .. })) => true,
            (hash, Err(VerityError::HashBlock { block, level: 0 })) => *block == hash,
            _ => false,
        };
        prop_assert!(named, "{:?}", result);
    }

    #[test]
    fn no_superblock_panics(bytes in proptest::collection::vec(any::<u8>(), 512), valid in 0..512_usize) {
        let mut block = Superblock { uuid: UUID, data_blocks: 5, salt: salt() }.encode();
        block[valid..512].copy_from_slice(&bytes[valid..]);
        if let Ok(superblock) = Superblock::read(&mut Cursor::new(&block)) {
            prop_assert_eq!(Superblock::read(&mut Cursor::new(superblock.encode())).unwrap(), superblock);
        }
    }
}
