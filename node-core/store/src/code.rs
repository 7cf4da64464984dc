//! Contract code by its hash.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{B256, Bytes};
use parking_lot::RwLock;

use crate::{
    StoreError,
    db::{Db, cf},
};

/// Contract code: committed code on disk, and the code that unfinalized blocks deploy in memory until their height
/// is finalized one way or the other.
pub(crate) struct CodeStore {
    db: Arc<Db>,
    pending: RwLock<HashMap<B256, (Bytes, u64)>>,
}

impl CodeStore {
    pub(crate) fn new(db: Arc<Db>) -> Self {
        Self { db, pending: RwLock::default() }
    }

    /// The code with this hash, or `None` where no block deployed it.
    pub(crate) fn get(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        if let Some((code, _)) = self.pending.read().get(hash) {
            return Ok(Some(code.clone()));
        }
        Ok(self.db.get(cf::CODE, hash.as_slice())?.map(|code| Bytes::copy_from_slice(&code)))
    }

    /// Makes the code that an unfinalized block at `height` deploys readable.
    pub(crate) fn add_pending(&self, codes: &[(B256, Bytes)], height: u64) {
        if codes.is_empty() {
            return;
        }
        let mut pending = self.pending.write();
        for (hash, code) in codes {
            let entry = pending.entry(*hash).or_insert_with(|| (code.clone(), height));
            entry.1 = entry.1.max(height);
        }
    }

    /// Forgets code of blocks up to `height`: what was finalized is on disk by now.
    pub(crate) fn settle(&self, height: u64) {
        if !self.pending.read().is_empty() {
            self.pending.write().retain(|_, (_, at)| *at > height);
        }
    }
}
