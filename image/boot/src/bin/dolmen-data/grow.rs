//! The data partition reaches to the end of its disk, also if the disk has grown or the image was made for a smaller
//! one.

use std::fs::OpenOptions;

use anyhow::{Context as _, Result};
use dolmen_image_boot::block::Partitions;
use dolmen_image_disk::gpt::{Found, Gpt, GptError};

/// The data partition's name.
pub(crate) const DATA: &str = "data";

/// Writes the disk's table if it is damaged, or does not reach to its end. Says which partition the kernel must be told
/// of.
///
/// # Errors
///
/// Of the table, or of the disk.
pub(crate) fn grow(on: &Partitions) -> Result<Option<u32>> {
    let Some(table) = grown(&on.found)? else { return Ok(None) };
    let mut disk = OpenOptions::new().read(true).write(true).open(&on.disk.path).context("cannot write to the disk")?;
    table.write(&mut disk, |disk| disk.sync_all())?;
    Ok(Some(table.by_name(DATA)?.number))
}

/// The table as it should be, if it is another one.
fn grown(found: &Found) -> Result<Option<Gpt>, GptError> {
    let mut table = found.table.on(found.disk)?;
    let data = table.by_name(DATA)?.number;
    // Where something else is behind it, nothing of the disk's end is its own.
    if table.partitions().iter().max_by_key(|partition| partition.last_lba).map(|last| last.number) == Some(data) {
        table.grow_last();
    }
    Ok((table != found.table || !found.damage.is_empty()).then_some(table))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use dolmen_image_disk::gpt::{Attributes, BlockSize, Geometry, Identity, PartitionName, PartitionType, Uuid};

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A disk of so many MiB with an image's table for 16, and with a partition of that name behind the data.
    fn disk(mib: u64, behind: Option<&str>) -> Vec<u8> {
        let mut table = Gpt::new(Geometry::new(BlockSize::Bytes512, 16 * MIB).unwrap(), Uuid::from_u128(9));
        for (number, name) in (1..).zip(["esp", DATA].into_iter().chain(behind)) {
            let name = PartitionName::new(name).unwrap();
            let (kind, guid) = (PartitionType::LINUX_DATA, Uuid::from_u128(number));
            table.append(Identity { kind, guid, attributes: Attributes::NONE, name }, 2 * MIB).unwrap();
        }
        let mut bytes = vec![0; usize::try_from(mib * MIB).unwrap()];
        table.write(&mut Cursor::new(&mut bytes[..]), |_| Ok(())).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Found {
        Gpt::read(&mut Cursor::new(bytes), BlockSize::Bytes512).unwrap()
    }

    #[test]
    fn the_data_fill_the_disk() {
        let mut bytes = disk(64, None);
        let table = grown(&read(&bytes)).unwrap().unwrap();
        let data = table.by_name(DATA).unwrap();
        assert_eq!(table.bytes_of(data), 3 * MIB..63 * MIB);
        table.write(&mut Cursor::new(&mut bytes[..]), |_| Ok(())).unwrap();
        // The next boot finds nothing to do, until something is damaged.
        assert_eq!(grown(&read(&bytes)).unwrap(), None);
        bytes[512] = 0;
        assert_eq!(grown(&read(&bytes)).unwrap(), Some(table));
    }

    #[test]
    fn nothing_else_is_grown() {
        let bytes = disk(64, Some("other"));
        let table = grown(&read(&bytes)).unwrap().unwrap();
        assert_eq!(table.bytes_of(table.by_name(DATA).unwrap()), 3 * MIB..5 * MIB);
        assert_eq!(table.bytes_of(table.by_name("other").unwrap()), 5 * MIB..7 * MIB);
        assert!(matches!(grown(&read(&disk(64, Some(DATA)))), Err(GptError::Ambiguous { .. })));
    }
}
