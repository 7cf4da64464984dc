//! What the pool's lock protects, and the operations on it. No IO, no clock, no signature check.

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use dolmen_types::Transaction;

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
    next_sequence: u64,
}

/// What adding a transaction takes.
struct Terms {
    /// The most wei that it can take from its sender.
    cost: U256,
    tip: u128,
    /// What must go to make room.
    victims: Vec<(Address, u64)>,
}

impl Inner {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self { config, senders: AddressMap::default(), index: Index::default(), next_sequence: 0 }
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
        let Terms { cost, tip, victims } =
            self.terms(sender, address, transaction.transaction(), transaction.encoded_len())?;
        let is_reserved =
            |authority: &Address| self.senders.get(authority).is_some_and(|sender| sender.entries().len() > 1);
        if transaction.authorities().iter().flatten().any(is_reserved) {
            return Err(AddError::AuthorityReserved);
        }
        for (victim, nonce) in victims {
            self.remove(victim, nonce, now_ms, changes);
        }

        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let entry = Entry { transaction, tip, cost, sequence, queued_ms: now_ms };
        let sender = self.senders.entry(address).or_insert(empty);
        let replaced = sender.put(entry, &mut self.index, changes);
        sender.settle(now_ms, &self.config, &mut self.index, changes);
        let placement = if sender.is_pending(nonce) { Placement::Pending } else { Placement::Queued };
        Ok(Added { hash, placement, replaced })
    }

    /// Checks what [`Self::insert`] will check, but for the authorities, before these are recovered.
    pub(crate) fn check(
        &self,
        transaction: &Transaction,
        address: Address,
        account: &AccountView,
    ) -> Result<(), AddError> {
        let empty = Sender::new(address, *account);
        let sender = self.senders.get(&address).unwrap_or(&empty);
        // Where one of the views is old, the insertion finds out which.
        if sender.account() == account {
            self.terms(sender, address, transaction, transaction.encode_2718_len())?;
        }
        Ok(())
    }

    /// Checks a transaction of `sender`, of `len` encoded bytes, by the rules of the account and of the pool.
    fn terms(
        &self,
        sender: &Sender,
        address: Address,
        transaction: &Transaction,
        len: usize,
    ) -> Result<Terms, AddError> {
        let nonce = transaction.nonce();
        let cost = check_account(transaction, address, sender.account(), &self.config)?;
        let is_delegated = sender.account().delegated || self.index.authorities.contains_key(&address);
        check_place(sender, transaction, Size { cost, len }, is_delegated, &self.config)?;
        let tip = admission::effective_tip(transaction, self.config.base_fee_per_gas);
        let old = sender.entries().get(&nonce);
        let newcomer = Newcomer { sender: address, pending: nonce <= sender.pending_end(), tip };
        let shortage = Shortage {
            count: (self.index.len() + usize::from(old.is_none())).saturating_sub(self.config.transactions_max),
            bytes: (self.index.bytes + len)
                .saturating_sub(old.map_or(0, |old| old.transaction.encoded_len()))
                .saturating_sub(self.config.total_bytes_max),
        };
        let victims = self.victims(newcomer, shortage).ok_or(AddError::PoolFull)?;
        Ok(Terms { cost, tip, victims })
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

    /// Takes other bounds, and removes what they do not let into a block.
    pub(crate) fn set_config(&mut self, config: PoolConfig, now_ms: u64, changes: &mut Changes) {
        self.config = config;
        let (fee, gas) = (u128::from(config.base_fee_per_gas), config.block_gas_limit);
        let barred = |transaction: &Transaction| transaction.max_fee_per_gas() < fee || transaction.gas_limit() > gas;
        let out: Vec<_> = self
            .senders
            .iter()
            .flat_map(|(address, sender)| {
                let entries = sender.entries().iter();
                entries
                    .filter(|(_, entry)| barred(entry.transaction.transaction()))
                    .map(|(nonce, _)| (*address, *nonce))
            })
            .collect();
        for (address, nonce) in out {
            self.remove(address, nonce, now_ms, changes);
        }
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
        sender.settle(now_ms, &self.config, &mut self.index, changes);
        if sender.entries().is_empty() {
            self.senders.remove(&address);
        }
    }
}

/// What a transaction takes of its sender's share.
#[derive(Clone, Copy)]
struct Size {
    cost: U256,
    /// Encoded bytes.
    len: usize,
}

/// Checks a transaction against what its sender has in the pool.
fn check_place(
    sender: &Sender,
    transaction: &Transaction,
    Size { cost, len }: Size,
    is_delegated: bool,
    config: &PoolConfig,
) -> Result<(), AddError> {
    let (nonce, next) = (transaction.nonce(), sender.pending_end());
    if nonce > next && nonce - next > config.future_nonce_gap_max {
        return Err(AddError::NonceTooHigh { nonce, gapped: next });
    }
    let old = sender.entries().get(&nonce);
    check_funds(sender, nonce, cost, old.map(|old| old.cost))?;
    let is_queued = nonce > next;
    let pooled = sender.entries().len();
    if let Some(old) = old {
        if !admission::outbids(transaction, old.transaction.transaction(), config.price_bump_percent) {
            return Err(AddError::ReplacementUnderpriced);
        }
    } else {
        if is_delegated && sender.pending_len() > 0 {
            return Err(AddError::InFlightLimit);
        }
        if is_delegated && is_queued {
            return Err(AddError::GappedDelegated);
        }
        let queued_full = is_queued && sender.queued_len() >= config.queued_per_sender_max;
        if pooled >= config.per_sender_max || queued_full {
            return Err(AddError::AccountLimitExceeded { pooled });
        }
    }
    let with = |bytes: usize| bytes - old.map_or(0, |old| old.transaction.encoded_len()) + len;
    let queued_full = is_queued && with(sender.queued_bytes()) > config.queued_per_sender_bytes_max;
    if with(sender.bytes()) > config.per_sender_bytes_max || queued_full {
        return Err(AddError::AccountLimitExceeded { pooled });
    }
    Ok(())
}

/// Checks that the balance pays for the sender's pending transactions and this one, as Geth does.
fn check_funds(sender: &Sender, nonce: u64, cost: U256, old_cost: Option<U256>) -> Result<(), AddError> {
    let (balance, queued) = (sender.account().balance, sender.pending_cost());
    // A sum above 2^256 - 1 is one that nobody has to spend.
    let exceeds = |queued: U256| queued.checked_add(cost).is_none_or(|sum| sum > balance);
    if let Some(old_cost) = old_cost.filter(|_| sender.is_pending(nonce)) {
        if exceeds(queued - old_cost) {
            let bumped = cost.saturating_sub(old_cost);
            return Err(AddError::InsufficientFundsForReplacement { balance, queued, bumped });
        }
        return Ok(());
    }
    if exceeds(queued) {
        return Err(AddError::InsufficientFundsAfterPending { balance, queued, cost });
    }
    Ok(())
}
