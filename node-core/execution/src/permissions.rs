//! Who may send transactions and deploy contracts, by the state before a block.

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use dolmen_governance::{ADDRESS, MODES_SLOT, Modes, Permission, permission_slot};
use dolmen_store::{StateReader, StoreError};
use dolmen_types::Transaction;

/// What a chain asks of those who send transactions. Changes of a block count from the next one on.
pub struct Permissions<'a> {
    state: &'a dyn StateReader,
    modes: Modes,
}

impl<'a> Permissions<'a> {
    /// As a state says. A chain without the governance contract asks nothing.
    pub fn of(state: &'a dyn StateReader) -> Result<Self, StoreError> {
        Ok(Self { state, modes: Modes::from_slot(state.storage(&ADDRESS, &MODES_SLOT)?) })
    }

    /// What a sender lacks for a transaction.
    ///
    /// A contract that deploys others does so for whoever calls it: give [`Permission::Deploy`] to those who may be
    /// trusted with that.
    pub fn lacking(&self, sender: &Address, transaction: &Transaction) -> Result<Option<Permission>, StoreError> {
        let Modes { restrict_deploy, restrict_send } = self.modes;
        let deploys = restrict_deploy && transaction.kind().is_create();
        if !deploys && !restrict_send {
            return Ok(None);
        }
        let bits = self.state.storage(&ADDRESS, &permission_slot(sender))?;
        let needed = [(restrict_send, Permission::Send), (deploys, Permission::Deploy)];
        Ok(needed.into_iter().find(|(asked, permission)| *asked && !permission.is_in(bits)).map(|(_, lacking)| lacking))
    }
}
