//! The array of partitions. UEFI 2.10 §5.3.3, Table 5.6.

use uuid::Uuid;

use super::{Attributes, GptError, Identity, Partition, PartitionName, PartitionType};
use crate::{
    bytes::{array_at, put, u64_at},
    limits::PARTITIONS_MAX,
};

/// Bytes of an entry as it is written, and of what is read of larger ones.
pub(super) const ENTRY_BYTES: u32 = 128;

const TYPE: usize = 0;
const GUID: usize = 16;
const FIRST_LBA: usize = 32;
const LAST_LBA: usize = 40;
const ATTRIBUTES: usize = 48;
const NAME: usize = 56;

/// All entries, each at the place that its number says.
pub(super) fn encode(partitions: &[Partition]) -> Vec<u8> {
    let mut array = vec![0; PARTITIONS_MAX as usize * ENTRY_BYTES as usize];
    for partition in partitions {
        let at = (partition.number - 1) as usize * ENTRY_BYTES as usize;
        let entry = &mut array[at..at + ENTRY_BYTES as usize];
        put(entry, TYPE, &partition.identity.kind.guid().to_bytes_le());
        put(entry, GUID, &partition.identity.guid.to_bytes_le());
        put(entry, FIRST_LBA, &partition.first_lba.to_le_bytes());
        put(entry, LAST_LBA, &partition.last_lba.to_le_bytes());
        put(entry, ATTRIBUTES, &partition.identity.attributes.bits().to_le_bytes());
        put(entry, NAME, &partition.identity.name.encode());
    }
    array
}

/// The entries that are in use, of an array whose entries have `entry_bytes` each, 128 at least.
///
/// # Errors
///
/// [`GptError::Number`] where one is in use that this crate would not write.
pub(super) fn decode(array: &[u8], entry_bytes: usize) -> Result<Vec<Partition>, GptError> {
    let mut partitions = Vec::new();
    for (number, entry) in (1_u32..).zip(array.chunks_exact(entry_bytes)) {
        let kind = Uuid::from_bytes_le(array_at(entry, TYPE));
        if kind.is_nil() {
            continue;
        }
        if number > PARTITIONS_MAX {
            return Err(GptError::Number(number));
        }
        partitions.push(Partition {
            number,
            first_lba: u64_at(entry, FIRST_LBA),
            last_lba: u64_at(entry, LAST_LBA),
            identity: Identity {
                kind: PartitionType::from_guid(kind),
                guid: Uuid::from_bytes_le(array_at(entry, GUID)),
                attributes: Attributes::from_bits(u64_at(entry, ATTRIBUTES)),
                name: PartitionName::decode(array_at(entry, NAME)),
            },
        });
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32) -> Partition {
        Partition {
            number,
            first_lba: 0x0102_0304,
            last_lba: 0x0a0b_0c0d_0e0f,
            identity: Identity {
                kind: PartitionType::ESP,
                guid: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
                attributes: Attributes::READ_ONLY,
                name: PartitionName::new("esp").unwrap(),
            },
        }
    }

    #[test]
    fn an_entry_is_as_the_specification_has_it() {
        let array = encode(&[partition(2)]);
        assert_eq!(array.len(), 16_384);
        let mut entry = vec![0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11];
        entry.extend([0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b]);
        entry.extend([0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
        entry.extend([0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        entry.extend([4, 3, 2, 1, 0, 0, 0, 0, 0xf, 0xe, 0xd, 0xc, 0xb, 0xa, 0, 0]);
        entry.extend([0, 0, 0, 0, 0, 0, 0, 0x10, b'e', 0, b's', 0, b'p', 0, 0, 0]);
        assert_eq!(array[128..128 + entry.len()], entry);
        assert!(array[..128].iter().chain(&array[128 + entry.len()..]).all(|byte| *byte == 0));
        assert_eq!(decode(&array, 128).unwrap(), [partition(2)]);
    }

    #[test]
    fn entries_may_be_larger_but_not_more() {
        let array = encode(&[partition(3)]);
        assert_eq!(decode(&array, 256).unwrap(), [partition(2)]);
        let mut more = vec![0; 129 * 128];
        assert_eq!(decode(&more, 128).unwrap(), []);
        more[128 * 128] = 1;
        assert!(matches!(decode(&more, 128), Err(GptError::Number(129))));
    }
}
