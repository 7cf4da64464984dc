//! The two slots of a disk, and which of them is running.

use std::{fmt, ops::Range};

use dolmen_image_disk::{
    gpt::{BlockSize, Gpt, Identity, Partition, PartitionType},
    verity::RootHash,
};
use serde::Serialize;

use crate::{Disk, UpdateError};

/// Which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotName {
    /// The partitions `slot-a` and `slot-a-verity`.
    A,
    /// The partitions `slot-b` and `slot-b-verity`.
    B,
}

impl SlotName {
    const fn partitions(self) -> [&'static str; 2] {
        match self {
            Self::A => ["slot-a", "slot-a-verity"],
            Self::B => ["slot-b", "slot-b-verity"],
        }
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// A slot's two partitions.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) name: SlotName,
    pub(crate) root: Partition,
    pub(crate) verity: Partition,
}

impl Slot {
    fn find(table: &Gpt, name: SlotName) -> Result<Self, UpdateError> {
        let [root, verity] = name.partitions();
        let root = find(table, root, PartitionType::ROOT_X86_64)?;
        let verity = find(table, verity, PartitionType::ROOT_X86_64_VERITY)?;
        Ok(Self { name, root, verity })
    }

    /// Whether its partitions are those that the root hash finds.
    pub(crate) fn is(&self, root_hash: &RootHash) -> bool {
        (self.root.identity.guid, self.verity.identity.guid) == (root_hash.root_guid(), root_hash.verity_guid())
    }
}

fn find(table: &Gpt, name: &str, kind: PartitionType) -> Result<Partition, UpdateError> {
    let partition = table.by_name(name).map_err(UpdateError::Table)?;
    if partition.identity.kind != kind {
        return Err(UpdateError::SlotType { name: name.to_owned() });
    }
    Ok(partition.clone())
}

/// A disk's table with both slots.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    pub(crate) table: Gpt,
    pub(crate) running: Slot,
    pub(crate) other: Slot,
}

impl Slots {
    /// Finds out which slot is running.
    pub(crate) fn read(disk: &mut impl Disk, running: &RootHash) -> Result<Self, UpdateError> {
        let block_size = disk.block_size().map_err(UpdateError::io("find out how large the disk's blocks are"))?;
        let block_size = BlockSize::try_from(block_size).map_err(UpdateError::Table)?;
        let table = Gpt::read(disk, block_size).map_err(UpdateError::Table)?.table;
        let (a, b) = (Slot::find(&table, SlotName::A)?, Slot::find(&table, SlotName::B)?);
        let (running, other) = match (a.is(running), b.is(running)) {
            (true, false) => (a, b),
            (false, true) => (b, a),
            // No table has both.
            _ => return Err(UpdateError::NoRunningSlot(*running)),
        };
        Ok(Self { table, running, other })
    }

    /// The table in which the root hash finds the other slot.
    pub(crate) fn renamed(&self, root_hash: &RootHash) -> Result<Gpt, UpdateError> {
        let mut table = self.table.clone();
        for (partition, guid) in
            [(&self.other.root, root_hash.root_guid()), (&self.other.verity, root_hash.verity_guid())]
        {
            let identity = Identity { guid, ..partition.identity };
            table.relabel(partition.number, identity).map_err(UpdateError::Table)?;
        }
        Ok(table)
    }

    /// The bytes of the disk that a partition has.
    pub(crate) fn bytes_of(&self, partition: &Partition) -> Range<u64> {
        self.table.bytes_of(partition)
    }
}
