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
        if self.lacks(sender, Permission::Send)? {
            return Ok(Some(Permission::Send));
        }
        let lacks = transaction.kind().is_create() && self.lacks(sender, Permission::Deploy)?;
        Ok(lacks.then_some(Permission::Deploy))
    }

    /// Whether the chain asks for a permission that an account does not have.
    pub fn lacks(&self, account: &Address, permission: Permission) -> Result<bool, StoreError> {
        let is_asked = match permission {
            Permission::Send => self.modes.restrict_send,
            Permission::Deploy => self.modes.restrict_deploy,
        };
        Ok(is_asked && !permission.is_in(self.state.storage(&ADDRESS, &permission_slot(account))?))
    }
}
