//! What a partition is for.

use std::fmt;

use uuid::{Uuid, uuid};

/// A partition type GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionType(Uuid);

impl PartitionType {
    /// The EFI system partition, from which the firmware starts. UEFI 2.10 Table 5.7.
    pub const ESP: Self = Self(uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"));
    /// A root file system for x86-64. Discoverable Partitions Specification, as the next three.
    pub const ROOT_X86_64: Self = Self(uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"));
    /// The hash tree of such a root file system.
    pub const ROOT_X86_64_VERITY: Self = Self(uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"));
    /// `/var`, which systemd mounts only on the machine whose id its unique GUID was made from.
    pub const VAR: Self = Self(uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d"));
    /// Linux data of no particular purpose, which nothing mounts by itself.
    pub const LINUX_DATA: Self = Self(uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4"));

    /// One that has no name here.
    #[must_use]
    pub const fn from_guid(guid: Uuid) -> Self {
        Self(guid)
    }

    /// As tools show it.
    #[must_use]
    pub const fn guid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
