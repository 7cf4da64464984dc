//! What is written at once into a database being filled.

use std::sync::Arc;

use dolmen_types::{Block, Receipt};

use super::Pivot;

/// Changes of a database being filled that take effect together, or not at all, in the order in which they were added.
/// Made by [`Progress`](super::Progress), written by [`Filling::apply`](super::Filling::apply).
#[must_use = "what is not written is lost at the next start"]
#[derive(Clone, Debug, Default)]
pub struct Write {
    pub(super) operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Put {
        family: &'static str,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    Delete {
        family: &'static str,
        key: Vec<u8>,
    },
    /// All keys from the first one on, without the other.
    DeleteRange {
        family: &'static str,
        from: Vec<u8>,
        to: Vec<u8>,
    },
    Block {
        block: Arc<Block>,
        receipts: Vec<Receipt>,
    },
    /// The database becomes one like any other.
    Finish(Box<Pivot>),
}

impl Write {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    pub(super) fn put(&mut self, family: &'static str, key: Vec<u8>, value: Vec<u8>) {
        self.operations.push(Operation::Put { family, key, value });
    }

    pub(super) fn delete(&mut self, family: &'static str, key: Vec<u8>) {
        self.operations.push(Operation::Delete { family, key });
    }

    pub(super) fn delete_range(&mut self, family: &'static str, from: Vec<u8>, to: Vec<u8>) {
        // RocksDB refuses a range that ends before it begins.
        if from < to {
            self.operations.push(Operation::DeleteRange { family, from, to });
        }
    }
}
