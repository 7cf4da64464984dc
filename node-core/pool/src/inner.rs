//! What the pool's lock protects, and the operations on it. No IO, no clock, no signature check.

use alloy_primitives::{Address, B256, U256, map::AddressMap};

use crate::{
    AccountView, AddError, PoolConfig, VerifiedTransaction,
    admission::{self, check_account},
    evict::{Newcomer, Shortage},
    index::Index,
    sender::{Added, Changes, Entry, Placement, Sender},
};

/// The pool's contents.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: PoolConfig,
    pub(crate) senders: AddressMap<Sender>,
    pub(crate) index: Index,
    /// Counts finalizations: an account read before the last one may be old.
    pub(crate) generation: u64,
    next_sequence: u64,
}

impl Inner {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self { config, senders: AddressMap::default(), index: Index::default(), generation: 0, next_sequence: 0 }
    }

    /// The transaction with this hash.
    pub(crate) fn get(&self, hash: &B256) -> Option<&VerifiedTransaction> {
        let (sender, nonce) = self.index.by_hash.get(hash)?;
        Some(&self.senders.get(sender)?.entries().get(nonce)?.transaction)
    }

    /// Pending transactions in the pool.
    pub(crate) fn pending_len(&self) -> usize {
        self.index.len() - self.index.queued.len()
    }

    /// Adds a transaction whose sender's account is `account`, making room where the pool is full.
    pub(crate) fn insert(
        &mut self,
        transaction: VerifiedTransaction,
        account: AccountView,
        now_ms: u64,
        changes: &mut Changes,
    ) -> Result<Added, AddError> {
        let (hash, address, nonce) = (transaction.hash(), transaction.sender(), transaction.nonce());
        if self.index.by_hash.contains_key(&hash) {
            return Err(AddError::AlreadyKnown);
        }
        self.update_account(address, account, now_ms, changes);
        let empty = Sender::new(address, account);
        let sender = self.senders.get(&address).unwrap_or(&empty);
        check_account(transaction.transaction(), address, sender.account(), &self.config)?;
        let cost = admission::cost(transaction.transaction());
        let tip = admission::effective_tip(transaction.transaction(), self.config.base_fee_per_gas);
        check_place(sender, &transaction, cost, &self.config)?;

        let old = sender.entries().get(&nonce);
        let newcomer = Newcomer { sender: address, pending: nonce <= sender.pending_end(), tip };
        let shortage = Shortage {
            count: (self.index.len() + usize::from(old.is_none())).saturating_sub(self.config.transactions_max),
            bytes: (self.index.bytes + transaction.encoded_len())
                .saturating_sub(old.map_or(0, |old| old.transaction.encoded_len()))
                .saturating_sub(self.config.total_bytes_max),
        };
        for (victim, nonce) in self.victims(newcomer, shortage).ok_or(AddError::PoolFull)? {
            self.remove(victim, nonce, now_ms, changes);
        }

        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let entry = Entry { transaction, tip, cost, sequence, queued_ms: now_ms };
        let sender = self.senders.entry(address).or_insert(empty);
        let replaced = sender.put(entry, &mut self.index, changes);
        sender.settle(now_ms, self.config.queued_per_sender_max, &mut self.index, changes);
        let placement = if sender.is_pending(nonce) { Placement::Pending } else { Placement::Queued };
        Ok(Added { hash, placement, replaced })
    }

    /// Takes a newer view of an account into its sender's transactions, if it has any.
    pub(crate) fn update_account(
        &mut self,
        address: Address,
        account: AccountView,
        now_ms: u64,
        changes: &mut Changes,
    ) {
        if let Some(sender) = self.senders.get_mut(&address).filter(|sender| *sender.account() != account) {
            sender.set_account(account);
            self.settle(address, now_ms, changes);
        }
    }

    /// Removes one transaction; later ones of its sender become queued.
    pub(crate) fn remove(
        &mut self,
        address: Address,
        nonce: u64,
        now_ms: u64,
        changes: &mut Changes,
    ) -> Option<VerifiedTransaction> {
        let removed = self.senders.get_mut(&address)?.take(nonce, now_ms, &mut self.index)?;
        changes.dropped += 1;
        self.settle(address, now_ms, changes);
        Some(removed)
    }

    /// Removes what was queued at `before_ms` or earlier, at most `max` transactions.
    pub(crate) fn expire(&mut self, before_ms: u64, max: usize, now_ms: u64, changes: &mut Changes) {
        for _ in 0..max {
            let Some(key) = self.index.queued.first().copied().filter(|key| key.since_ms <= before_ms) else { break };
            self.remove(key.sender, key.nonce, now_ms, changes);
        }
    }

    fn settle(&mut self, address: Address, now_ms: u64, changes: &mut Changes) {
        let Some(sender) = self.senders.get_mut(&address) else { return };
        sender.settle(now_ms, self.config.queued_per_sender_max, &mut self.index, changes);
        if sender.entries().is_empty() {
            self.senders.remove(&address);
        }
    }
}

/// Checks a transaction against what its sender has in the pool.
fn check_place(
    sender: &Sender,
    transaction: &VerifiedTransaction,
    cost: U256,
    config: &PoolConfig,
) -> Result<(), AddError> {
    let (nonce, next) = (transaction.nonce(), sender.pending_end());
    if nonce > next && nonce - next > config.future_nonce_gap_max {
        return Err(AddError::NonceTooHigh { nonce, gapped: next });
    }
    let old = sender.entries().get(&nonce);
    check_funds(sender, nonce, cost, old.map(|old| old.cost))?;
    if let Some(old) = old {
        let enough =
            admission::outbids(transaction.transaction(), old.transaction.transaction(), config.price_bump_percent);
        return if enough { Ok(()) } else { Err(AddError::ReplacementUnderpriced) };
    }
    let pooled = sender.entries().len();
    let queued_full = nonce > next && sender.queued_len() >= config.queued_per_sender_max;
    if pooled >= config.per_sender_max || queued_full {
        return Err(AddError::AccountLimitExceeded { pooled });
    }
    Ok(())
}

/// Checks that the balance pays for the sender's pending transactions and this one, as Geth does.
fn check_funds(sender: &Sender, nonce: u64, cost: U256, old_cost: Option<U256>) -> Result<(), AddError> {
    let (balance, queued) = (sender.account().balance, sender.pending_cost());
    if let Some(old_cost) = old_cost.filter(|_| sender.is_pending(nonce)) {
        if (queued - old_cost).saturating_add(cost) > balance {
            let bumped = cost.saturating_sub(old_cost);
            return Err(AddError::InsufficientFundsForReplacement { balance, queued, bumped });
        }
        return Ok(());
    }
    if queued.saturating_add(cost) > balance {
        return Err(AddError::InsufficientFundsAfterPending { balance, queued, cost });
    }
    Ok(())
}
