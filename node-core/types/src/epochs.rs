//! How a chain's blocks are divided into epochs.

use std::num::NonZeroU64;

/// Epochs of the same number of blocks each, block zero among the first's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epochs {
    blocks: NonZeroU64,
}

impl Epochs {
    /// One epoch, for tests of parts that know nothing of them.
    pub const ENDLESS: Self = Self::new(NonZeroU64::MAX);

    /// Epochs of so many blocks.
    pub const fn new(blocks: NonZeroU64) -> Self {
        Self { blocks }
    }

    /// Blocks of each.
    pub const fn blocks(self) -> NonZeroU64 {
        self.blocks
    }

    /// The epoch of the block at a height.
    pub const fn of(self, height: u64) -> u64 {
        height / self.blocks.get()
    }

    /// The epoch of the block after the one at a height.
    pub const fn after(self, height: u64) -> u64 {
        self.of(height.saturating_add(1))
    }

    /// Height of an epoch's first block; `None` beyond all heights.
    pub const fn first(self, epoch: u64) -> Option<u64> {
        epoch.checked_mul(self.blocks.get())
    }

    /// Height of an epoch's last block; `None` beyond all heights.
    pub fn last(self, epoch: u64) -> Option<u64> {
        Some(self.first(epoch.checked_add(1)?)? - 1)
    }

    /// Whether the block at a height is its epoch's last, which commits to the next epoch's record.
    pub const fn is_last(self, height: u64) -> bool {
        height % self.blocks.get() == self.blocks.get() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_follow_each_other() {
        let epochs = Epochs::new(NonZeroU64::new(20).unwrap());
        assert_eq!((epochs.first(0), epochs.last(0), epochs.first(1)), (Some(0), Some(19), Some(20)));
        assert_eq!((epochs.of(19), epochs.after(19), epochs.of(20), epochs.after(20)), (0, 1, 1, 1));
        assert!(epochs.is_last(19) && !epochs.is_last(0) && !epochs.is_last(20));
        let last = epochs.of(u64::MAX);
        assert_eq!((epochs.after(u64::MAX), epochs.last(last), epochs.first(last + 1)), (last, None, None));
        assert_eq!((Epochs::ENDLESS.of(u64::MAX - 1), Epochs::ENDLESS.last(0)), (0, Some(u64::MAX - 1)));
    }
}
