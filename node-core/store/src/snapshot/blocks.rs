//! Blocks and receipts as they are sent: encoded, without decoding what the database holds.

use alloy_rlp::Header as RlpHeader;

use crate::{
    Store, StoreError,
    db::{cf, damaged, height_key},
};

/// A block and its receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// What [`Block::encoded`](dolmen_types::Block::encoded) gives.
    pub block: Vec<u8>,
    /// What [`receipt::encode_list`](dolmen_types::receipt::encode_list) gives.
    pub receipts: Vec<u8>,
}

impl Store {
    /// The block at a height with its receipts; `None` where this box does not have it.
    pub fn stored_block(&self, number: u64) -> Result<Option<StoredBlock>, StoreError> {
        if number > self.head().block.number() {
            return Ok(None);
        }
        let key = height_key(number);
        let header = self.db.get(cf::HEADERS, &key)?;
        let (Some(header), Some(body), Some(receipts)) =
            (header, self.db.get(cf::BODIES, &key)?, self.db.get(cf::RECEIPTS, &key)?)
        else {
            return Ok(None);
        };
        // A block is the list of its header and of what the list of its body has.
        let items = RlpHeader::decode_bytes(&mut &*body, true).map_err(|_| damaged("body", &key))?;
        let list = RlpHeader { list: true, payload_length: header.len() + items.len() };
        let mut block = Vec::with_capacity(list.length_with_payload());
        list.encode(&mut block);
        block.extend_from_slice(&header);
        block.extend_from_slice(items);
        Ok(Some(StoredBlock { block, receipts: receipts.to_vec() }))
    }
}
