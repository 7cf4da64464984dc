//! A table as a value.

use std::ops::Range;

use uuid::Uuid;

use super::{ALIGNMENT, Attributes, Geometry, GptError, PartitionName, PartitionType};
use crate::limits::PARTITIONS_MAX;

/// A table for a disk of a certain size.
///
/// Holding one says that its partitions have numbers, unique GUIDs and blocks of their own, and that all of these
/// blocks are usable. It says nothing about a disk: write it to one, or move it to another size ([`on`](Self::on))
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpt {
    geometry: Geometry,
    disk_guid: Uuid,
    /// In the order of their numbers.
    partitions: Vec<Partition>,
}

/// A partition: a number, blocks and what they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its place in the array, counted from 1 as Linux names it: 3 in `nvme0n1p3`.
    pub number: u32,
    /// Its first block.
    pub first_lba: u64,
    /// Its last block, which is still part of it.
    pub last_lba: u64,
    /// All else that its entry says.
    pub identity: Identity,
}

/// What a partition is, wherever it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it is for.
    pub kind: PartitionType,
    /// The unique GUID, which Linux calls `PARTUUID`.
    pub guid: Uuid,
    /// What is to be done with it.
    pub attributes: Attributes,
    /// What people call it.
    pub name: PartitionName,
}

impl Gpt {
    /// One without partitions.
    #[must_use]
    pub const fn new(geometry: Geometry, disk_guid: Uuid) -> Self {
        Self { geometry, disk_guid, partitions: Vec::new() }
    }

    /// Adds a partition where it says.
    ///
    /// # Errors
    ///
    /// [`GptError::Number`], [`GptError::NilGuid`], [`GptError::Range`], [`GptError::SameGuid`] and
    /// [`GptError::Overlap`], and the table is as it was.
    pub fn insert(&mut self, partition: Partition) -> Result<(), GptError> {
        let Partition { number, first_lba, last_lba, identity: Identity { kind, guid, .. } } = partition;
        if number == 0 || number > PARTITIONS_MAX || self.partitions.iter().any(|other| other.number == number) {
            return Err(GptError::Number(number));
        }
        if kind.guid().is_nil() || guid.is_nil() {
            return Err(GptError::NilGuid(number));
        }
        let (first_usable_lba, last_usable_lba) = (self.geometry.first_usable_lba(), self.geometry.last_usable_lba());
        if first_lba < first_usable_lba || last_lba < first_lba || last_usable_lba < last_lba {
            return Err(GptError::Range { number, first_lba, last_lba, first_usable_lba, last_usable_lba });
        }
        for other in &self.partitions {
            if other.identity.guid == guid {
                return Err(GptError::SameGuid { number, other: other.number, guid });
            }
            if other.overlaps(&partition) {
                return Err(GptError::Overlap { number, other: other.number });
            }
        }
        let at = self.partitions.partition_point(|other| other.number < number);
        self.partitions.insert(at, partition);
        Ok(())
    }

    /// Adds a partition of so many bytes behind all others, with the next number. It begins and ends at multiples of
    /// [`ALIGNMENT`], for which it may become larger.
    ///
    /// # Errors
    ///
    /// [`GptError::DiskTooSmall`], and what [`insert`](Self::insert) says.
    pub fn append(&mut self, identity: Identity, bytes: u64) -> Result<&Partition, GptError> {
        let before = self.partitions.iter().map(|partition| self.bytes_of(partition).end).max();
        let usable = self.geometry.bytes_of(self.geometry.first_usable_lba(), self.geometry.last_usable_lba());
        let before = before.unwrap_or(usable.start);
        let place = before.checked_next_multiple_of(ALIGNMENT).and_then(|first| {
            let end = first.checked_add(bytes.max(1))?.checked_next_multiple_of(ALIGNMENT)?;
            (end <= usable.end).then_some((first, end))
        });
        let (first, end) = place.ok_or_else(|| GptError::DiskTooSmall {
            bytes: self.geometry.bytes(),
            needed: before.saturating_add(bytes).saturating_add(3 * ALIGNMENT),
        })?;
        let block = self.geometry.block_size().bytes();
        let number = self.partitions.last().map_or(1, |last| last.number + 1);
        self.insert(Partition { number, first_lba: first / block, last_lba: end / block - 1, identity })?;
        Ok(self.partitions.last().expect("it has just been added, with the highest number"))
    }

    /// Gives a partition another purpose, GUID and name, as when a slot gets another version.
    ///
    /// # Errors
    ///
    /// [`GptError::Number`] if there is none, [`GptError::NilGuid`], [`GptError::SameGuid`], and the table is as it
    /// was.
    pub fn relabel(&mut self, number: u32, identity: Identity) -> Result<(), GptError> {
        let mut changed = self.clone();
        let partition = changed.remove(number)?;
        changed.insert(Partition { identity, ..partition })?;
        *self = changed;
        Ok(())
    }

    /// Takes a partition out. The others keep their numbers.
    ///
    /// # Errors
    ///
    /// [`GptError::Number`] if there is none.
    pub fn remove(&mut self, number: u32) -> Result<Partition, GptError> {
        let at = self.partitions.iter().position(|partition| partition.number == number);
        at.map(|at| self.partitions.remove(at)).ok_or(GptError::Number(number))
    }

    /// The size of the disk that it is for.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The disk's unique GUID.
    #[must_use]
    pub const fn disk_guid(&self) -> Uuid {
        self.disk_guid
    }

    /// All partitions, in the order of their numbers, which need not be that of their places.
    #[must_use]
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The partition with this unique GUID.
    #[must_use]
    pub fn by_guid(&self, guid: Uuid) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.identity.guid == guid)
    }

    /// The only partition with this name.
    ///
    /// # Errors
    ///
    /// [`GptError::NotFound`] and [`GptError::Ambiguous`].
    pub fn by_name(&self, name: &str) -> Result<&Partition, GptError> {
        let mut named = self.partitions.iter().filter(|partition| partition.identity.name == *name);
        let found = named.next().ok_or_else(|| GptError::NotFound(name.to_owned()))?;
        named.next().map_or(Ok(found), |other| {
            Err(GptError::Ambiguous { number: found.number, other: other.number, name: found.identity.name })
        })
    }

    /// The bytes of the disk that one of these partitions has.
    #[must_use]
    pub const fn bytes_of(&self, partition: &Partition) -> Range<u64> {
        self.geometry.bytes_of(partition.first_lba, partition.last_lba)
    }

    /// The last one by place.
    pub(super) fn last_mut(&mut self) -> Option<&mut Partition> {
        self.partitions.iter_mut().max_by_key(|partition| partition.last_lba)
    }
}

impl Partition {
    /// Whether they share a block.
    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        self.first_lba <= other.last_lba && other.first_lba <= self.last_lba
    }
}
