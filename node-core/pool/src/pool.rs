//! The pool as the rest of the node sees it.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    iter::Peekable,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    vec,
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, map::AddressSet};
use dolmen_accel_api::RecoverJob;
use dolmen_types::Transaction;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};

use crate::{
    AccountView, AddError, Added, BestTransactions, ConfigError, Origin, PendingHashes, PoolConfig, SenderCache,
    Signatures, StateSource, VerifiedTransaction, VerifyError,
    admission::{check_account, check_alone},
    events::Events,
    gossip::{GossipLimits, encode_gossip},
    inner::Inner,
    outgoing::{Announcement, Outgoing},
    sender::{Changes, Sender},
    verified,
};

/// Transactions or senders handled under one lock: some 200 us, so that a proposer or an RPC call waits no longer.
const LOCKED_MAX: usize = 256;

/// Signatures that are checked together, some 2 ms of one core's work where the keys are new: the signatures of a block
/// and the hashing of its state wait behind one such job, not behind a whole message of a peer.
const JOB_SIGNATURES_MAX: usize = 128;

/// Due announcements that one rebroadcast looks at: three seconds of local transactions at 5,000 a second, so that what
/// is in blocks by then does not pile up.
const REBROADCAST_EXAMINED_MAX: usize = 16_384;

/// Transactions waiting for a block. Thread-safe; the lock is held for short steps only, and never while a signature
/// is checked, state is read (but for the instant of a finalization) or bytes are encoded.
pub struct Pool {
    config: RwLock<PoolConfig>,
    state: Arc<dyn StateSource>,
    cache: Arc<SenderCache>,
    inner: Mutex<Inner>,
    /// Counts finalizations, under the lock: an account read before the last one may be old.
    generation: AtomicU64,
    outgoing: Mutex<Outgoing>,
    outgoing_ready: Notify,
    events: Events,
}

/// How much the pool holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Executable transactions.
    pub pending: usize,
    /// Transactions that wait for an earlier nonce or for funds.
    pub queued: usize,
    /// Encoded bytes of both.
    pub bytes: usize,
}

/// One sender's transactions in nonce order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderContent {
    /// Executable.
    pub pending: Vec<VerifiedTransaction>,
    /// Waiting.
    pub queued: Vec<VerifiedTransaction>,
}

/// A transaction that obeys the rules which it can be held to without its sender.
struct Applicant {
    transaction: Transaction,
    cached: Option<VerifiedTransaction>,
    /// Recovers the sender, unless that is known.
    job: Option<RecoverJob>,
}

/// A transaction ready to be inserted, with its sender's account and when that was read.
struct Candidate {
    transaction: VerifiedTransaction,
    account: AccountView,
    generation: u64,
}

impl Pool {
    /// An empty pool. `cache` may be shared with whoever verifies blocks, so that signatures are checked once.
    pub fn new(config: PoolConfig, state: Arc<dyn StateSource>, cache: Arc<SenderCache>) -> Result<Self, ConfigError> {
        config.check()?;
        if cache.chain_id() != config.chain_id {
            return Err(ConfigError::ChainId { cache: cache.chain_id(), pool: config.chain_id });
        }
        Ok(Self {
            config: RwLock::new(config),
            state,
            cache,
            inner: Mutex::new(Inner::new(config)),
            generation: AtomicU64::new(0),
            outgoing: Mutex::new(Outgoing::new(&config)),
            outgoing_ready: Notify::new(),
            events: Events::new(),
        })
    }

    /// The bounds it was constructed with.
    pub fn config(&self) -> PoolConfig {
        *self.config.read()
    }

    /// What recovers signers.
    pub fn signatures(&self) -> &Arc<Signatures> {
        self.cache.signatures()
    }

    /// Adds one transaction. Waits for its signature to be checked in a batch with those of other callers: call it where
    /// blocking is allowed.
    #[tracing::instrument(name = "admit", level = "debug", skip_all)]
    pub fn add(&self, transaction: Transaction, origin: Origin, now_ms: u64) -> Result<Added, AddError> {
        if self.contains(transaction.tx_hash()) {
            return Err(AddError::AlreadyKnown);
        }
        let applicant = self.examine(transaction, None)?;
        let sender = match applicant.job {
            Some(job) => self.signatures().recover_one(job).map_err(VerifyError::Recovery)?,
            None => None,
        };
        let candidate = self.admit(applicant, sender)?;
        let mut result = self.insert(vec![Ok(candidate)], origin, now_ms);
        result.pop().expect("one result for each transaction")
    }

    /// Adds many, each with who is said to have signed it, checking their signatures in batches; one result for each, in
    /// order.
    #[tracing::instrument(name = "admit", level = "debug", skip_all, fields(transactions = transactions.len()))]
    pub fn add_batch(
        &self,
        transactions: Vec<(Transaction, Option<Address>)>,
        origin: Origin,
        now_ms: u64,
    ) -> Vec<Result<Added, AddError>> {
        let mut results = Vec::with_capacity(transactions.len());
        let mut transactions = transactions.into_iter().peekable();
        while transactions.peek().is_some() {
            let job = next_job(&mut transactions);
            let known: Vec<bool> = {
                let inner = self.inner.lock();
                job.iter().map(|(transaction, _)| inner.get(transaction.tx_hash()).is_some()).collect()
            };
            let examine = |((transaction, hint), known)| {
                if known { Err(AddError::AlreadyKnown) } else { self.examine(transaction, hint) }
            };
            let applicants: Vec<_> = job.into_iter().zip(known).map(examine).collect();
            let jobs: Vec<_> = applicants.iter().flatten().filter_map(|applicant| applicant.job).collect();
            let mut senders = self.signatures().recover_all(&jobs).map(Vec::into_iter);
            let mut next_sender = || match &mut senders {
                Ok(senders) => Ok(senders.next().flatten()),
                Err(error) => Err(VerifyError::Recovery(error.clone())),
            };
            let candidates = applicants.into_iter().map(|applicant| {
                let applicant = applicant?;
                let sender = if applicant.job.is_some() { next_sender()? } else { None };
                self.admit(applicant, sender)
            });
            let candidates = candidates.collect();
            results.extend(self.insert(candidates, origin, now_ms));
        }
        results
    }

    /// What can be said of a transaction before its sender is known.
    fn examine(&self, transaction: Transaction, hint: Option<Address>) -> Result<Applicant, AddError> {
        let cached = self.cache.get(transaction.tx_hash());
        let subject = cached.as_ref().map_or(&transaction, VerifiedTransaction::transaction);
        check_alone(subject, &self.config())?;
        let job = match cached {
            Some(_) => None,
            None => Some(verified::sender_job(subject, self.config().chain_id, hint)?),
        };
        Ok(Applicant { transaction, cached, job })
    }

    /// The rest that changes nothing: the sender's account, and who signed the authorizations.
    fn admit(&self, applicant: Applicant, sender: Option<Address>) -> Result<Candidate, AddError> {
        let Applicant { transaction, cached, .. } = applicant;
        let subject = cached.as_ref().map_or(&transaction, VerifiedTransaction::transaction);
        let sender = cached.as_ref().map(VerifiedTransaction::sender).or(sender).ok_or(VerifyError::Signature)?;
        // Before the account is read: one read in an older generation is read again.
        let generation = self.generation.load(Ordering::Acquire);
        let account = self.state.account(&sender);
        check_account(subject, sender, &account, &self.config())?;
        let transaction = match cached {
            Some(cached) => cached,
            None => {
                let authorities = self.authorities(subject, sender, &account)?;
                let verified = verified::complete(transaction, sender, authorities);
                self.cache.insert_all(std::slice::from_ref(&verified));
                verified
            }
        };
        Ok(Candidate { transaction, account, generation })
    }

    /// Who signed a transaction's authorizations. Each costs a recovery: only for what the pool would take.
    fn authorities(
        &self,
        transaction: &Transaction,
        sender: Address,
        account: &AccountView,
    ) -> Result<Vec<Option<Address>>, AddError> {
        if transaction.authorization_list().is_none() {
            return Ok(Vec::new());
        }
        self.inner.lock().check(transaction, sender, account)?;
        let jobs: Vec<_> = verified::authority_jobs(transaction, self.config().chain_id).collect();
        let some: Vec<_> = jobs.iter().copied().flatten().collect();
        let mut signers = self.signatures().recover_all(&some).map_err(VerifyError::Recovery)?.into_iter();
        Ok(jobs.into_iter().map(|job| job.and_then(|_| signers.next().flatten())).collect())
    }

    fn insert(
        &self,
        candidates: Vec<Result<Candidate, AddError>>,
        origin: Origin,
        now_ms: u64,
    ) -> Vec<Result<Added, AddError>> {
        let (mut changes, mut count, mut announce) = (Changes::default(), 0, Vec::new());
        let mut inner = self.inner.lock();
        let current = self.generation.load(Ordering::Acquire);
        let results: Vec<_> = candidates
            .into_iter()
            .map(|candidate| {
                let Candidate { transaction, mut account, generation } = candidate?;
                if generation != current {
                    account = self.state.account(&transaction.sender());
                }
                let local = (origin == Origin::Local).then(|| transaction.clone());
                let added = inner.insert(transaction, account, now_ms, &mut changes)?;
                count += 1;
                announce.extend(local);
                Ok(added)
            })
            .collect();
        drop(inner);
        self.events.publish(count, changes.promoted);
        if !announce.is_empty() {
            let mut outgoing = self.outgoing.lock();
            announce.into_iter().for_each(|transaction| outgoing.push(transaction, now_ms));
            drop(outgoing);
            self.outgoing_ready.notify_one();
        }
        results
    }

    /// The executable transactions on the finalized state, best first.
    #[cfg(test)]
    pub(crate) fn best(&self) -> BestTransactions<'_> {
        BestTransactions::new(&self.inner, [])
    }

    /// The executable transactions on a block whose unfinalized ancestors (itself included) moved each sender in `used`
    /// to that next nonce, best first. Costs a look-up for each sender in `used`, then as much as is taken.
    pub fn best_after<S: BuildHasher>(&self, used: &HashMap<Address, u64, S>) -> BestTransactions<'_> {
        BestTransactions::new(&self.inner, used.iter().map(|(address, nonce)| (*address, *nonce)))
    }

    /// A block was finalized: drops what it used up, promotes and demotes. `changed` are the accounts whose nonce,
    /// balance or code it changed; the senders in `block` need not be among them. The state source must show the block
    /// already. To be called by one task, in the blocks' order.
    ///
    /// The work grows with the block and with the transactions that change place, not with the pool.
    pub fn finalized(&self, block: &[VerifiedTransaction], changed: impl IntoIterator<Item = Address>, now_ms: u64) {
        let touched: AddressSet = block.iter().map(VerifiedTransaction::sender).chain(changed).collect();
        let present: Vec<Address> = {
            let inner = self.inner.lock();
            // From here on, whoever read an account before reads it again.
            self.generation.fetch_add(1, Ordering::Release);
            touched.into_iter().filter(|address| inner.senders.contains_key(address)).collect()
        };
        let mut changes = Changes::default();
        for addresses in present.chunks(LOCKED_MAX) {
            let accounts: Vec<_> = addresses.iter().map(|address| (*address, self.state.account(address))).collect();
            let mut inner = self.inner.lock();
            for (address, account) in accounts {
                inner.update_account(address, account, now_ms, &mut changes);
            }
        }
        tracing::debug!(dropped = changes.dropped, promoted = changes.promoted.len(), "block left the pool");
        self.events.publish(0, changes.promoted);
    }

    /// Takes the rules of the next block, and drops what cannot be in it. The order of what stays is by the tips of when
    /// it came.
    pub fn set_rules(&self, base_fee_per_gas: u64, block_gas_limit: u64, now_ms: u64) {
        let config = {
            let mut config = self.config.write();
            if (config.base_fee_per_gas, config.block_gas_limit) == (base_fee_per_gas, block_gas_limit) {
                return;
            }
            (config.base_fee_per_gas, config.block_gas_limit) = (base_fee_per_gas, block_gas_limit);
            *config
        };
        let mut changes = Changes::default();
        // Seldom, and all at once: between two steps a proposer would be given what no block may hold.
        self.inner.lock().set_config(config, now_ms, &mut changes);
        tracing::info!(base_fee_per_gas, block_gas_limit, dropped = changes.dropped, "blocks follow other rules");
        self.events.publish(0, changes.promoted);
    }

    /// Drops what has been queued for longer than the lifetime; returns how many.
    pub fn expire(&self, now_ms: u64) -> usize {
        let Some(before_ms) = now_ms.checked_sub(self.config().lifetime_ms) else { return 0 };
        let mut changes = Changes::default();
        loop {
            let dropped = changes.dropped;
            self.inner.lock().expire(before_ms, LOCKED_MAX, now_ms, &mut changes);
            if changes.dropped - dropped < LOCKED_MAX {
                break;
            }
        }
        self.events.publish(0, changes.promoted);
        changes.dropped
    }

    /// Counts transactions that were added or became executable. A proposer that found nothing in
    /// [`Self::best_after`] waits for a change: marking the value as seen first, it misses none. Queued ones count,
    /// since a block that is not finalized may close their gap.
    pub fn activity(&self) -> watch::Receiver<u64> {
        self.events.activity()
    }

    /// Hashes of transactions that become executable from now on.
    pub fn subscribe(&self) -> PendingHashes {
        self.events.hashes()
    }

    /// Batches of hashes that slow subscribers lost.
    pub fn lagged_batches(&self) -> u64 {
        self.events.lagged()
    }

    /// Waits until a local transaction may have to be announced. For one task; cancel safe.
    pub async fn outgoing_ready(&self) {
        self.outgoing_ready.notified().await;
    }

    /// The next gossip message, encoded, with local transactions that are still in the pool; `None` where there is
    /// none to announce.
    pub fn take_outgoing(&self, limits: &GossipLimits, now_ms: u64) -> Option<Vec<u8>> {
        loop {
            let mut batch = self.outgoing.lock().take(limits);
            if batch.is_empty() {
                return None;
            }
            {
                let inner = self.inner.lock();
                batch.retain(|announcement| inner.get(&announcement.transaction.hash()).is_some());
            }
            if batch.is_empty() {
                continue;
            }
            self.outgoing.lock().announced(&batch, now_ms);
            let transactions: Vec<_> = batch.into_iter().map(|Announcement { transaction, .. }| transaction).collect();
            return Some(encode_gossip(&transactions));
        }
    }

    /// Queues local transactions again that were announced a while ago and are still in the pool, at most
    /// `rebroadcast_max` and about `rebroadcast_bytes_max`; returns how many. To be called every second or so.
    pub fn rebroadcast(&self, now_ms: u64) -> usize {
        let config = self.config();
        let (mut count, mut bytes) = (0, 0);
        'due: for _ in 0..REBROADCAST_EXAMINED_MAX / LOCKED_MAX {
            // Nobody else holds both.
            let (mut outgoing, inner) = (self.outgoing.lock(), self.inner.lock());
            for _ in 0..LOCKED_MAX {
                if count == config.rebroadcast_max || bytes >= config.rebroadcast_bytes_max {
                    break 'due;
                }
                let Some((hash, times)) = outgoing.due(now_ms) else { break 'due };
                // What left the pool counts for nothing: it must not keep the others waiting.
                if let Some(transaction) = inner.get(&hash) {
                    count += 1;
                    bytes += transaction.encoded_len();
                    outgoing.push_again(transaction.clone(), times, now_ms);
                }
            }
        }
        let refused = self.outgoing.lock().take_refused();
        if refused > 0 {
            tracing::warn!(refused, "too many local transactions wait for another announcement: these get no more");
        }
        if count > 0 {
            self.outgoing_ready.notify_one();
        }
        count
    }

    /// How much the pool holds.
    pub fn status(&self) -> PoolStatus {
        let inner = self.inner.lock();
        PoolStatus { pending: inner.pending_len(), queued: inner.index.queued.len(), bytes: inner.index.bytes }
    }

    /// The contents, for tests that look inside.
    #[cfg(test)]
    pub(crate) fn lock(&self) -> parking_lot::MutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// Whether the pool holds this transaction.
    pub fn contains(&self, hash: &B256) -> bool {
        self.inner.lock().get(hash).is_some()
    }

    /// The transaction with this hash, pending or queued.
    pub fn get(&self, hash: &B256) -> Option<VerifiedTransaction> {
        self.inner.lock().get(hash).cloned()
    }

    /// The nonce after the account's pending transactions: `eth_getTransactionCount` at `pending`.
    pub fn pending_nonce(&self, address: &Address) -> u64 {
        let pooled = self.inner.lock().senders.get(address).map(Sender::pending_end);
        pooled.unwrap_or_else(|| self.state.account(address).nonce)
    }

    /// Every sender with a transaction here, in no order; copies 20 bytes each.
    pub fn senders(&self) -> Vec<Address> {
        self.inner.lock().senders.keys().copied().collect()
    }

    /// One sender's transactions.
    pub fn content(&self, address: &Address) -> SenderContent {
        let inner = self.inner.lock();
        let Some(sender) = inner.senders.get(address) else { return SenderContent::default() };
        let mut content = SenderContent::default();
        for (nonce, entry) in sender.entries() {
            let list = if sender.is_pending(*nonce) { &mut content.pending } else { &mut content.queued };
            list.push(entry.transaction.clone());
        }
        content
    }
}

/// A transaction and who is said to have signed it.
type Hinted = (Transaction, Option<Address>);

/// Takes as many transactions as have [`JOB_SIGNATURES_MAX`] signatures, authorizations included; at least one.
fn next_job(transactions: &mut Peekable<vec::IntoIter<Hinted>>) -> Vec<Hinted> {
    let count = |(transaction, _): &Hinted| 1 + transaction.authorization_list().map_or(0, <[_]>::len);
    let (mut job, mut signatures) = (Vec::new(), 0);
    while let Some(next) = transactions.next_if(|next| job.is_empty() || signatures + count(next) <= JOB_SIGNATURES_MAX)
    {
        signatures += count(&next);
        job.push(next);
    }
    job
}
