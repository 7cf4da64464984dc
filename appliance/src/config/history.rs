//! `[history]`: how much of the past a box keeps.

use std::{fmt, num::NonZeroU64};

use anyhow::ensure;
use dolmen_store::Options;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Fewest blocks that are kept: transactions may ask for the hashes of 256, and boxes that join or lag for those since an
/// epoch or two.
const BLOCKS_MIN: u64 = 1024;
/// What is written for a depth without end.
const ALL: &str = "all";

/// States and blocks behind the latest one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct History {
    /// Blocks behind the head whose state can be read.
    pub depth: Depth,
    /// Blocks behind the head that are kept, with receipts and logs.
    pub blocks: Depth,
}

impl Default for History {
    /// States of half an hour at 50 blocks a second, half a day at the pace of an idle chain; all blocks.
    fn default() -> Self {
        Self { depth: Depth(const { NonZeroU64::new(100_000).expect("not zero") }), blocks: Depth(NonZeroU64::MAX) }
    }
}

impl History {
    /// Whether the two fit together.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Self { depth, blocks } = self;
        ensure!(blocks.0.get() >= BLOCKS_MIN, "history.blocks is {blocks}; give {BLOCKS_MIN} or more, or \"{ALL}\"");
        ensure!(
            blocks.0 >= depth.0,
            "history.depth is {depth} and history.blocks {blocks}: states are of blocks that are kept; give blocks as \
             many as depth, more, or \"{ALL}\""
        );
        Ok(())
    }

    /// For the database.
    pub(crate) const fn options(&self) -> Options {
        Options { history_depth: self.depth.0, block_depth: self.blocks.0 }
    }
}

/// So many blocks, or all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth(NonZeroU64);

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == NonZeroU64::MAX { write!(f, "\"{ALL}\"") } else { self.0.fmt(f) }
    }
}

impl Serialize for Depth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == NonZeroU64::MAX { serializer.serialize_str(ALL) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Depth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Depth;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number of blocks above zero, or \"{ALL}\"")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Depth, E> {
                let unexpected = || E::invalid_value(de::Unexpected::Signed(number), &self);
                let depth = u64::try_from(number).ok().and_then(NonZeroU64::new);
                depth.map(Depth).ok_or_else(unexpected)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Depth, E> {
                if text == ALL {
                    Ok(Depth(NonZeroU64::MAX))
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
