//! What the governance contract says, as the node uses it: the records of epochs, and the boxes to be connected with.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use dolmen_consensus::Peer;
use dolmen_execution::Executor;
use dolmen_governance::{ADDRESS, EpochRecord, EpochValidator, contract};
use dolmen_store::{Head, Store, StoreError};
use dolmen_types::{Block, Epochs, PublicKey, Receipt, block::BlockRules};
use parking_lot::RwLock;

/// The contract on this box's chain.
pub(crate) struct Governance {
    store: Arc<Store>,
    executor: Arc<Executor>,
    epochs: Epochs,
    own: PublicKey,
    /// From this box's own settings, which know better than the chain where others are.
    configured: Vec<Peer>,
    /// The record of the epoch that the next block is in, and the boxes to be connected with.
    current: RwLock<(Arc<EpochRecord>, Arc<[Peer]>)>,
}

impl Governance {
    pub(crate) fn new(
        store: Arc<Store>,
        executor: Arc<Executor>,
        epochs: Epochs,
        own: PublicKey,
        configured: Vec<Peer>,
    ) -> Result<Self, StoreError> {
        let head = store.head();
        let record = read_record(&store, epochs.after(head.block.number()))?;
        let current = RwLock::new((Arc::new(record), configured.clone().into()));
        let governance = Self { store, executor, epochs, own, configured, current };
        governance.refresh_peers(&head);
        Ok(governance)
    }

    /// The record of the epoch that the next block is in.
    pub(crate) fn current(&self) -> Arc<EpochRecord> {
        self.current.read().0.clone()
    }

    /// The record of an epoch; `None` where its predecessor's last block is not committed here.
    pub(crate) fn record(&self, epoch: u64) -> Option<Arc<EpochRecord>> {
        let current = self.current();
        if current.epoch == epoch {
            return Some(current);
        }
        if epoch > current.epoch {
            return None;
        }
        match read_record(&self.store, epoch) {
            Ok(record) => Some(Arc::new(record)),
            Err(error) => {
                tracing::error!(
                    epoch,
                    error = &error as &dyn std::error::Error,
                    "the record of an epoch is unreadable"
                );
                None
            }
        }
    }

    /// The record of the epoch that a block is in.
    pub(crate) fn record_at(&self, number: u64) -> Option<Arc<EpochRecord>> {
        self.record(self.epochs.of(number))
    }

    /// What a block's epoch says of it.
    pub(crate) fn rules_at(&self, number: u64) -> Option<BlockRules> {
        let parameters = self.record_at(number)?.parameters;
        let (gas_limit, base_fee_per_gas) = (parameters.gas_limit, parameters.base_fee_per_gas);
        Some(BlockRules { gas_limit, base_fee_per_gas })
    }

    /// Where a validator's fees go in the epoch of a block.
    pub(crate) fn fee_recipient(&self, validator: &PublicKey, number: u64) -> Option<Address> {
        Some(self.record_at(number)?.validator(validator)?.fee_recipient)
    }

    /// Who proposed a block: its beneficiary tells.
    pub(crate) fn proposer(&self, block: &Block) -> Option<EpochValidator> {
        let record = self.record_at(block.number())?;
        record.validators.iter().find(|validator| validator.fee_recipient == block.header().beneficiary).cloned()
    }

    pub(crate) fn peers(&self) -> Arc<[Peer]> {
        self.current.read().1.clone()
    }

    /// Takes a committed block in. Says whether another epoch begins with the next one.
    pub(crate) fn committed(&self, head: &Head, receipts: &[Receipt]) -> Result<bool, StoreError> {
        let number = head.block.number();
        let begins = self.epochs.is_last(number);
        if begins {
            let record = read_record(&self.store, self.epochs.after(number))?;
            self.current.write().0 = Arc::new(record);
        }
        let mut logs = receipts.iter().flat_map(|receipt| receipt.logs());
        if begins || logs.any(|log| log.address == ADDRESS) {
            self.refresh_peers(head);
        }
        Ok(begins)
    }

    /// Whether something waits for the end of this epoch: an idle chain then hurries to it.
    pub(crate) fn is_change_pending(&self) -> bool {
        let head = self.store.head();
        self.ask(&head, &contract::isChangePendingCall {}).unwrap_or(false)
    }

    fn refresh_peers(&self, head: &Head) {
        let Some(boxes) = self.ask(head, &contract::peersCall {}) else { return };
        let mut peers: BTreeMap<PublicKey, SocketAddr> = BTreeMap::new();
        for known in boxes {
            // A box without an address is one that calls others.
            if let Ok(address) = known.endpoint.parse() {
                peers.insert(PublicKey(known.key.0), address);
            }
        }
        peers.extend(self.configured.iter().map(|peer| (peer.public_key, peer.address)));
        peers.remove(&self.own);
        let mut peers: Vec<_> = peers.into_iter().map(|(public_key, address)| Peer { public_key, address }).collect();
        let record = self.current();
        peers.sort_by_key(|peer| record.validator(&peer.public_key).is_none());
        let mut current = self.current.write();
        // The same one for as long as it says the same: consensus compares it as such.
        if *current.1 != *peers {
            current.1 = peers.into();
        }
    }

    /// Asks the contract; `None` where the chain has none.
    fn ask<C: SolCall>(&self, head: &Head, call: &C) -> Option<C::Return> {
        let header = head.block.header();
        self.executor.ask(&head.state, &*self.store, header, call).unwrap_or_else(|error| {
            tracing::error!(
                height = header.number,
                error = &error as &dyn std::error::Error,
                "the governance contract does not answer"
            );
            None
        })
    }
}

/// The longest that a proposer may wait in an epoch.
pub(crate) const fn interval_max(record: &EpochRecord) -> Duration {
    Duration::from_millis(record.parameters.block_interval_max_ms)
}

fn read_record(store: &Store, epoch: u64) -> Result<EpochRecord, StoreError> {
    let damaged = || StoreError::Damaged { what: "record of an epoch", key: epoch.to_string() };
    let bytes = store.epoch_record(epoch)?.ok_or_else(damaged)?;
    EpochRecord::decode(&bytes).map_err(|_| damaged())
}
