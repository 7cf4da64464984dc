//! What is to be done with a partition.

use std::ops::BitOr;

/// The bits of an entry's attributes, UEFI 2.10 Table 5.8 and, from bit 48 on, those of the partition's type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// The machine needs it; tools must not delete it. Bit 0.
    pub const REQUIRED: Self = Self(1);
    /// Its file system is to be grown to the partition's size when it is mounted. Bit 59, of the Discoverable
    /// Partitions Specification, as the next two.
    pub const GROW_FILE_SYSTEM: Self = Self(1 << 59);
    /// It is to be mounted read-only. Bit 60.
    pub const READ_ONLY: Self = Self(1 << 60);
    /// It is not to be found by its type alone. Bit 63.
    pub const NO_AUTO: Self = Self(1 << 63);

    /// As an entry has them.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// As an entry has them.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Attributes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_specifications() {
        let both = Attributes::READ_ONLY | Attributes::GROW_FILE_SYSTEM;
        assert_eq!(both.bits(), 0x1800_0000_0000_0000);
        assert!(both.contains(Attributes::READ_ONLY) && both.contains(both) && both.contains(Attributes::NONE));
        assert!(!Attributes::READ_ONLY.contains(both));
        assert_eq!((Attributes::REQUIRED | Attributes::NO_AUTO).bits(), 0x8000_0000_0000_0001);
    }
}
