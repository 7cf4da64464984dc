//! Disks: partition tables, hash trees, and encrypted partitions.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    sync::LazyLock,
};

use crc::{CRC_32_ISO_HDLC, Crc};
use dolmen_image_boot::luks::Contents;
use dolmen_image_bundle::Hash;
use dolmen_image_disk::{
    gpt::{Attributes, BlockSize, Geometry, Gpt, Identity, PartitionName, PartitionType, Uuid},
    verity::{BLOCK_BYTES, RootHash, Salt, Superblock, format, verify},
};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[
    Target::new("disk_gpt", tables, table).cases(600),
    Target::new("disk_verity", superblocks, superblock),
    Target::new("disk_luks", headers, luks).cases(1_500),
];

const MIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 16 * MIB;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
const SIZES: [BlockSize; 2] = [BlockSize::Bytes512, BlockSize::Bytes4096];
const SECTOR: usize = 512;
/// Bytes of partitions' entries in an input.
const ENTRIES_BYTES: usize = 1024;
const ARRAY_BYTES: u64 = 16 << 10;

/// A disk, of which memory holds what was written.
#[derive(Clone, Default)]
struct Disk {
    sectors: BTreeMap<u64, [u8; SECTOR]>,
    position: u64,
}

impl Disk {
    /// Sector and place in it where the next byte is, and how many of `wanted` bytes follow there.
    fn here(&self, wanted: usize) -> (u64, usize, usize) {
        let sector = SECTOR as u64;
        let at = usize::try_from(self.position % sector).expect("less than a sector");
        let left = usize::try_from(DISK_BYTES.saturating_sub(self.position)).expect("16 MiB at most");
        (self.position / sector, at, wanted.min(SECTOR - at).min(left))
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        self.position = at;
        self.write_all(bytes).expect("bytes before the end");
    }

    fn get(&mut self, at: u64, count: usize) -> Vec<u8> {
        self.position = at;
        let mut bytes = vec![0; count];
        self.read_exact(&mut bytes).expect("bytes before the end");
        bytes
    }
}

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (sector, at, count) = self.here(buffer.len());
        let bytes = self.sectors.get(&sector).unwrap_or(&[0; SECTOR]);
        buffer[..count].copy_from_slice(&bytes[at..at + count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Disk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (sector, at, count) = self.here(buffer.len());
        self.sectors.entry(sector).or_insert([0; SECTOR])[at..at + count].copy_from_slice(&buffer[..count]);
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(0) => DISK_BYTES,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(self.position)
    }
}

fn gpt(block_size: BlockSize) -> Gpt {
    let geometry = Geometry::new(block_size, DISK_BYTES).expect("room for a table");
    let mut table = Gpt::new(geometry, Uuid::from_bytes([0x42; 16]));
    for (number, kind, name, attributes, mib) in [
        (1, PartitionType::ESP, "esp", Attributes::REQUIRED, 3),
        (2, PartitionType::ROOT_X86_64, "dolmen_1.0", Attributes::READ_ONLY, 2),
        (3, PartitionType::ROOT_X86_64_VERITY, "\u{7a7a}", Attributes::READ_ONLY, 1),
        (4, PartitionType::LINUX_DATA, "data", Attributes::GROW_FILE_SYSTEM, 2),
    ] {
        let (guid, name) = (Uuid::from_bytes([number; 16]), PartitionName::new(name).expect("a short name"));
        table.append(Identity { kind, guid, attributes, name }, mib * MIB).expect("16 MiB are enough");
    }
    table
}

fn written(table: &Gpt) -> Disk {
    let mut disk = Disk::default();
    table.write(&mut disk, |_| Ok(())).expect("a disk that fails at nothing");
    disk
}

/// Where the parts of an input are on a disk.
fn places(block_size: BlockSize) -> [(u64, usize); 4] {
    let block = block_size.bytes();
    [(0, SECTOR), (block, SECTOR), (2 * block, ENTRIES_BYTES), (DISK_BYTES - block, SECTOR)]
}

/// The first byte says how large blocks are, and whether checksums are made right after a change.
fn tables() -> Vec<Vec<u8>> {
    let input = |(number, block_size): (u8, BlockSize)| {
        let mut disk = written(&gpt(block_size));
        let parts = places(block_size).map(|(at, count)| disk.get(at, count));
        [&[number][..], &parts.concat()].concat()
    };
    (0..4).map(|number| input((number, SIZES[usize::from(number % 2)]))).collect()
}

/// What is read can be written, and is the same then; and everything that is done with a table.
fn table(input: &[u8]) -> bool {
    let Some((how, mut rest)) = input.split_first() else { return false };
    let block_size = SIZES[usize::from(how % 2)];
    let mut disk = written(&gpt(block_size));
    for (at, count) in places(block_size) {
        let (part, left) = rest.split_at(count.min(rest.len()));
        disk.put(at, part);
        rest = left;
    }
    if how & 2 != 0 {
        seal(&mut disk, block_size);
    }
    let Ok(found) = Gpt::read(&mut disk.clone(), block_size) else { return false };
    let table = found.table;
    table.write(&mut disk, |_| Ok(())).expect("a disk that fails at nothing");
    let again = Gpt::read(&mut disk, block_size).expect("what was written");
    assert_eq!(again.table, table);
    for partition in table.partitions() {
        assert!(table.bytes_of(partition).end <= table.geometry().bytes());
    }
    for size in SIZES {
        for bytes in [MIB, DISK_BYTES, 1 << 40, u64::MAX] {
            let geometry = Geometry::new(size, bytes).expect("room for a table");
            let _ = gpt(BlockSize::Bytes512).keeping("data", &table, geometry);
            if let Ok(mut moved) = table.on(geometry) {
                moved.grow_last();
            }
        }
    }
    true
}

/// The array behind the first header is that of both, and all checksums fit.
fn seal(disk: &mut Disk, block_size: BlockSize) {
    let (block, array_bytes) = (block_size.bytes(), usize::try_from(ARRAY_BYTES).expect("small"));
    let array = disk.get(2 * block, array_bytes);
    disk.put(DISK_BYTES - block - ARRAY_BYTES, &array);
    for at in [block, DISK_BYTES - block] {
        let mut header = disk.get(at, SECTOR);
        header[88..92].copy_from_slice(&CRC.checksum(&array).to_le_bytes());
        let size = usize::from(u16::from_le_bytes([header[12], header[13]])).clamp(92, SECTOR);
        header[16..20].fill(0);
        let sum = CRC.checksum(&header[..size]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        disk.put(at, &header);
    }
}

/// More than one hash block has room for.
const DATA_BLOCKS: u64 = 130;

/// Data, their hash device, and its root hash.
static TREE: LazyLock<(Vec<u8>, Vec<u8>, RootHash)> = LazyLock::new(|| {
    let data = vec![7; BLOCK_BYTES * usize::try_from(DATA_BLOCKS).expect("few")];
    let mut hashes = Cursor::new(Vec::new());
    let root = format(&mut &data[..], &mut hashes, &superblock_of(), &mut |_| {}).expect("memory");
    (data, hashes.into_inner(), root)
});

fn superblock_of() -> Superblock {
    Superblock {
        uuid: Uuid::from_bytes([0x42; 16]),
        data_blocks: DATA_BLOCKS,
        salt: Salt::new(&[7; 32]).expect("256 bytes at most"),
    }
}

fn superblocks() -> Vec<Vec<u8>> {
    vec![TREE.1[..SECTOR].to_vec()]
}

/// A superblock of anybody's before a tree whose root hash is known: no other data pass.
fn superblock(bytes: &[u8]) -> bool {
    let Ok(found) = Superblock::read(&mut Cursor::new(bytes)) else { return false };
    let (data, mut hashes, root) = TREE.clone();
    let replaced = bytes.len().min(SECTOR);
    hashes[..replaced].copy_from_slice(&bytes[..replaced]);
    let verdict = verify(&mut &data[..], &mut Cursor::new(hashes), DATA_BLOCKS, &root, &mut |_| {});
    let is_same = (found.data_blocks, &found.salt) == (DATA_BLOCKS, &superblock_of().salt);
    assert_eq!(verdict.is_ok(), is_same);
    is_same
}

/// A LUKS2 header and its JSON area (LUKS2 On-Disk Format Specification 1.1 §2.1).
const AREA_BYTES: usize = 16 << 10;
const CHECKSUM: std::ops::Range<usize> = 448..512;

fn header(magic: &[u8; 6], sequence: u8, label: &str, at: usize) -> Vec<u8> {
    let mut header = vec![0; SECTOR];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, magic);
    put(6, &2_u16.to_be_bytes());
    put(8, &(AREA_BYTES as u64).to_be_bytes());
    put(23, &[sequence]);
    put(24, label.as_bytes());
    put(72, b"sha256");
    put(256, &(at as u64).to_be_bytes());
    header
}

/// The first byte says whether checksums are made right; both headers follow.
fn headers() -> Vec<Vec<u8>> {
    let (first, second) = (b"LUKS\xba\xbe", b"SKUL\xba\xbe");
    [(1, 1), (1, 2), (2, 1)]
        .map(|(one, other)| {
            [&[1][..], &header(first, one, "dolmen-new", 0), &header(second, other, "dolmen-data", AREA_BYTES)].concat()
        })
        .into()
}

fn luks(input: &[u8]) -> bool {
    let Some((how, rest)) = input.split_first() else { return false };
    let mut partition = vec![0; 2 * AREA_BYTES];
    let (first, second) = rest.split_at(rest.len().min(SECTOR));
    partition[..first.len()].copy_from_slice(first);
    let second = &second[..second.len().min(AREA_BYTES)];
    partition[AREA_BYTES..AREA_BYTES + second.len()].copy_from_slice(second);
    if how & 1 != 0 {
        for area in partition.chunks_mut(AREA_BYTES) {
            area[CHECKSUM].fill(0);
            let sum = Hash::of(area);
            area[CHECKSUM][..32].copy_from_slice(sum.as_bytes());
        }
    }
    let contents = Contents::read(&mut Cursor::new(&partition)).expect("memory");
    assert_eq!(contents == Contents::Empty, partition.iter().all(|byte| *byte == 0));
    match contents {
        Contents::Luks2 { label } => {
            assert!(label.chars().count() <= 48);
            true
        }
        _ => false,
    }
}
