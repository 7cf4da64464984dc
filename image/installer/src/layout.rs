//! Where everything lies on a box's disk.
//!
//! ```text
//! esp             EFI system partition   256 MiB   signed systemd-boot and the signed UKIs of the slots
//! slot-a          root                   192 MiB   erofs
//! slot-a-verity   root's hashes            8 MiB
//! slot-b          root                   192 MiB   the other version, for an update to go to and to fall back to
//! slot-b-verity   root's hashes            8 MiB
//! data            Linux data            the rest   LUKS2, made by the box when it boots first, and kept ever after
//! ```

use std::ops::Range;

use dolmen_image_disk::{
    gpt::{
        ALIGNMENT, Attributes, BlockSize, Geometry, Gpt, GptError, Identity, Partition, PartitionName, PartitionType,
        Uuid,
    },
    verity::RootHash,
};

const MIB: u64 = 1 << 20;

/// Name of the EFI system partition, on a box's disk and on the stick.
pub const ESP: &str = "esp";
/// Names of the slots: root and its hashes.
pub const SLOTS: [(&str, &str); 2] = [("slot-a", "slot-a-verity"), ("slot-b", "slot-b-verity")];
/// Name of the partition with the box's data.
pub const DATA: &str = "data";

/// Bytes of the EFI system partition.
pub const ESP_BYTES: u64 = 256 * MIB;
/// Bytes of a slot's root.
pub const ROOT_BYTES: u64 = 192 * MIB;
/// Bytes of a slot's hashes.
pub const VERITY_BYTES: u64 = 8 * MIB;
/// Bytes of data at least.
pub const DATA_BYTES_MIN: u64 = 512 * MIB;
/// Bytes of a disk at least: its partitions, and room for both copies of the table.
pub const DISK_BYTES_MIN: u64 = ESP_BYTES + 2 * (ROOT_BYTES + VERITY_BYTES) + DATA_BYTES_MIN + 2 * ALIGNMENT;

/// Where the EFI system partition begins.
pub const ESP_START: u64 = ALIGNMENT;
/// Where the data begins.
pub const DATA_START: u64 = ESP_START + ESP_BYTES + 2 * (ROOT_BYTES + VERITY_BYTES);
/// Bytes at the beginning of `data` that are zero as long as the box has not made it. It formats nothing else.
pub const DATA_HEADER_BYTES: u64 = 4 * MIB;

/// The GUIDs of a disk that its image does not decide.
#[derive(Clone, Copy, Debug)]
pub struct Guids {
    /// The disk's.
    pub disk: Uuid,
    /// The EFI system partition's, by which the firmware remembers it.
    pub esp: Uuid,
    /// Root and hashes of the slot that is empty.
    pub empty: (Uuid, Uuid),
    /// The data's.
    pub data: Uuid,
}

impl Guids {
    /// From the source of GUIDs that is given.
    pub fn from_source(next: &mut dyn FnMut() -> Uuid) -> Self {
        Self { disk: next(), esp: next(), empty: (next(), next()), data: next() }
    }
}

/// The table of a disk with `root` in its first slot, nothing in its second, and data up to its end.
///
/// # Errors
///
/// [`GptError::DiskTooSmall`], and [`GptError::SameGuid`] and [`GptError::NilGuid`] for such `guids`.
pub fn table(disk: Geometry, root: &RootHash, guids: &Guids) -> Result<Gpt, GptError> {
    if disk.bytes() < DISK_BYTES_MIN {
        return Err(GptError::DiskTooSmall { bytes: disk.bytes(), needed: DISK_BYTES_MIN });
    }
    let [(a, a_verity), (b, b_verity)] = SLOTS;
    let (read_only, none) = (Attributes::READ_ONLY, Attributes::NONE);
    let mut table = Gpt::new(disk, guids.disk);
    for (name, kind, guid, attributes, bytes) in [
        (ESP, PartitionType::ESP, guids.esp, none, ESP_BYTES),
        (a, PartitionType::ROOT_X86_64, root.root_guid(), read_only, ROOT_BYTES),
        (a_verity, PartitionType::ROOT_X86_64_VERITY, root.verity_guid(), read_only, VERITY_BYTES),
        (b, PartitionType::ROOT_X86_64, guids.empty.0, read_only, ROOT_BYTES),
        (b_verity, PartitionType::ROOT_X86_64_VERITY, guids.empty.1, read_only, VERITY_BYTES),
        (DATA, PartitionType::LINUX_DATA, guids.data, none, DATA_BYTES_MIN),
    ] {
        table.append(Identity { kind, guid, attributes, name: PartitionName::new(name)? }, bytes)?;
    }
    table.grow_last();
    Ok(table)
}

/// A partition of a box's disk and its bytes.
///
/// # Errors
///
/// [`GptError::NotFound`] and [`GptError::Ambiguous`].
pub fn find<'a>(table: &'a Gpt, name: &str) -> Result<(&'a Partition, Range<u64>), GptError> {
    let partition = table.by_name(name)?;
    Ok((partition, table.bytes_of(partition)))
}

/// Whether a table is one of ours: all six partitions, each of its type. Places and sizes may be another version's.
#[must_use]
pub fn is_ours(table: &Gpt) -> bool {
    let slots = SLOTS
        .iter()
        .flat_map(|(root, verity)| [(*root, PartitionType::ROOT_X86_64), (*verity, PartitionType::ROOT_X86_64_VERITY)]);
    let mut all = slots.chain([(ESP, PartitionType::ESP), (DATA, PartitionType::LINUX_DATA)]);
    all.all(|(name, kind)| table.by_name(name).is_ok_and(|partition| partition.identity.kind == kind))
}

/// Bytes of a FAT's sector on a disk with such blocks: Linux mounts none whose sectors are smaller than the blocks.
pub(crate) const fn sector_bytes(block_size: BlockSize) -> u16 {
    match block_size {
        BlockSize::Bytes512 => 512,
        BlockSize::Bytes4096 => 4096,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guids() -> Guids {
        let mut number = 0;
        Guids::from_source(&mut || {
            number += 1;
            Uuid::from_u128(number)
        })
    }

    fn root() -> RootHash {
        RootHash::from_bytes([7; 32])
    }

    #[test]
    fn partitions_lie_as_they_are_drawn() {
        for block_size in [BlockSize::Bytes512, BlockSize::Bytes4096] {
            let disk = Geometry::new(block_size, 4 << 30).unwrap();
            let mut root = [7; 32];
            root[31] = 8;
            let table = table(disk, &RootHash::from_bytes(root), &guids()).unwrap();
            let places: Vec<_> = table
                .partitions()
                .iter()
                .map(|partition| {
                    let bytes = table.bytes_of(partition);
                    (partition.identity.name.to_string(), bytes.start / MIB, bytes.end / MIB)
                })
                .collect();
            let expected = [
                ("esp", 1, 257),
                ("slot-a", 257, 449),
                ("slot-a-verity", 449, 457),
                ("slot-b", 457, 649),
                ("slot-b-verity", 649, 657),
                ("data", 657, 4095),
            ];
            assert_eq!(places, expected.map(|(name, start, end)| (name.to_owned(), start, end)));
            assert!(is_ours(&table));
            assert_eq!(find(&table, ESP).unwrap().1.start, ESP_START);
            assert_eq!(find(&table, DATA).unwrap().1.start, DATA_START);
        }
    }

    #[test]
    fn a_disk_must_hold_them() {
        let disk = |bytes| Geometry::new(BlockSize::Bytes512, bytes).unwrap();
        let mut hash = *root().as_bytes();
        hash[31] = 8;
        let root = RootHash::from_bytes(hash);
        let smallest = table(disk(DISK_BYTES_MIN), &root, &guids()).unwrap();
        let (_, data) = find(&smallest, DATA).unwrap();
        assert_eq!(data.end - data.start, DATA_BYTES_MIN);
        let error = table(disk(DISK_BYTES_MIN - 512), &root, &guids()).unwrap_err();
        assert!(matches!(error, GptError::DiskTooSmall { needed: DISK_BYTES_MIN, .. }), "{error}");
    }

    #[test]
    fn a_table_without_one_of_them_is_not_ours() {
        let disk = Geometry::new(BlockSize::Bytes512, 4 << 30).unwrap();
        let mut hash = [7; 32];
        hash[31] = 8;
        let whole = table(disk, &RootHash::from_bytes(hash), &guids()).unwrap();
        for number in 1..=6 {
            let mut less = whole.clone();
            less.remove(number).unwrap();
            assert!(!is_ours(&less));
            let mut other = whole.clone();
            let identity = Identity { kind: PartitionType::VAR, ..whole.partitions()[number as usize - 1].identity };
            other.relabel(number, identity).unwrap();
            assert!(!is_ours(&other));
        }
    }
}
