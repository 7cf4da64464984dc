//! Transfers at a steady rate, one account and one thread a box, and what the boxes confirmed.
//!
//! A transaction whose box dies stays outstanding and is sent again when the box is back: with its nonce it can be
//! executed once only. Seeing its receipt is what a user takes for final, so nothing may undo it later.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use serde_json::{Value, json};

use crate::{Account, BoxInfo, Chain, chain::quantity, sign, wait_for};

/// Transactions of one account in flight; more would only wait in the pool.
const OUTSTANDING_MAX: usize = 256;
/// Outstanding ones are sent again where none was confirmed for this long: their box may have lost them.
const RESEND_AFTER: Duration = Duration::from_secs(2);
/// Between two attempts to reach a box that does not answer.
const RETRY: Duration = Duration::from_millis(100);

/// A transaction whose receipt a box has shown.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Its hash.
    pub hash: B256,
    /// The receipt as it was shown.
    pub receipt: Value,
}

impl Acknowledged {
    /// Height of its block.
    pub fn block_number(&self) -> u64 {
        quantity(&self.receipt["blockNumber"])
    }
}

/// A running load. Dropping it ends its threads.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    draining: AtomicBool,
    stop: AtomicBool,
    outstanding: AtomicU64,
    confirmed: AtomicUsize,
    acknowledged: Mutex<Vec<Acknowledged>>,
}

impl Load {
    /// Sends `per_second` transfers a second to each box, from the account with the box's index.
    pub fn start(chain: &Chain, per_second: u32) -> Self {
        let senders = chain.boxes.iter().zip(&chain.accounts);
        let senders = senders.map(|(own, account)| (vec![own.clone()], account.clone()));
        Self::begin(chain.chain_id, per_second, senders.collect())
    }

    /// Sends `per_second` transfers a second from each account. They begin with a box each, which must run, and go on to
    /// the next one where theirs confirms nothing: boxes may come and go, each at the address of another.
    pub fn roam(chain: &Chain, accounts: &[Account], per_second: u32) -> Self {
        let senders = accounts.iter().enumerate().map(|(place, account)| {
            let mut nodes = chain.boxes.clone();
            nodes.rotate_left(place % chain.boxes.len());
            (nodes, account.clone())
        });
        Self::begin(chain.chain_id, per_second, senders.collect())
    }

    fn begin(chain_id: u64, per_second: u32, senders: Vec<(Vec<BoxInfo>, Account)>) -> Self {
        let shared = Arc::new(Shared::default());
        let senders = senders.into_iter().map(|(nodes, account)| Sender {
            next_nonce: quantity(&nodes[0].call("eth_getTransactionCount", json!([account.address, "latest"]))),
            nodes,
            account,
            chain_id,
            interval: Duration::from_secs(1) / per_second,
            outstanding: VecDeque::new(),
            shared: shared.clone(),
        });
        let threads = senders.map(|sender| thread::spawn(move || sender.run())).collect();
        Self { shared, threads }
    }

    /// Transactions confirmed so far.
    pub fn confirmed(&self) -> usize {
        self.shared.confirmed.load(Ordering::Relaxed)
    }

    /// The confirmed transactions from the given place on, in no particular order.
    pub fn acknowledged_from(&self, place: usize) -> Vec<Acknowledged> {
        self.lock()[place..].to_vec()
    }

    /// The confirmed transactions since the last call, which are forgotten here: those of hours would fill the memory.
    pub fn take_acknowledged(&self) -> Vec<Acknowledged> {
        std::mem::take(&mut *self.lock())
    }

    /// Waits until this many more have been confirmed: the chain takes transactions.
    pub fn wait_for_more(&self, more: usize, within: Duration) {
        let target = self.confirmed() + more;
        wait_for(&format!("{more} more confirmed transactions"), within, || (self.confirmed() >= target).then_some(()));
    }

    /// Sends nothing new, and waits until everything that was sent is confirmed. Returns all of it that was not taken.
    pub fn finish(mut self, within: Duration) -> Vec<Acknowledged> {
        self.shared.draining.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let started = Instant::now();
            while !thread.is_finished() && started.elapsed() < within {
                thread::sleep(RETRY);
            }
            let left = self.shared.outstanding.load(Ordering::Relaxed);
            assert!(thread.is_finished(), "{left} transactions were sent and not confirmed within {within:?}");
            thread.join().expect("a sender failed; see its message above");
        }
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Acknowledged>> {
        self.shared.acknowledged.lock().expect("no sender panics while it holds the list")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Reported by `finish`; here the test is failing already.
            let _ = thread.join();
        }
    }
}

/// One account that sends to one box at a time.
struct Sender {
    /// That one, and then those to go on to.
    nodes: Vec<BoxInfo>,
    account: Account,
    chain_id: u64,
    interval: Duration,
    next_nonce: u64,
    outstanding: VecDeque<(B256, String)>,
    shared: Arc<Shared>,
}

impl Sender {
    fn run(mut self) {
        let mut confirmed_at = Instant::now();
        let mut due = Instant::now();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let draining = self.shared.draining.load(Ordering::Relaxed);
            if draining && self.outstanding.is_empty() {
                return;
            }
            if self.confirm() > 0 || self.outstanding.is_empty() {
                confirmed_at = Instant::now();
            } else if confirmed_at.elapsed() > RESEND_AFTER {
                self.nodes.rotate_left(1);
                self.outstanding.iter().for_each(|(_, raw)| self.send(raw));
                confirmed_at = Instant::now();
            }
            if !draining && self.outstanding.len() < OUTSTANDING_MAX {
                self.send_next();
            }
            // A late sender does not catch up: the rate is a limit, not a promise.
            due = (due + self.interval).max(Instant::now());
            thread::sleep(due - Instant::now());
        }
    }

    /// Signs and sends the account's next transaction; it is outstanding whether or not the box took it.
    fn send_next(&mut self) {
        let (hash, raw) = sign::transfer(self.chain_id, &self.account, self.next_nonce, self.account.address, 1);
        self.next_nonce += 1;
        self.send(&raw);
        self.outstanding.push_back((hash, raw));
        self.shared.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    fn send(&self, raw: &str) {
        // Refused as known or as executed already, or the box is down: the receipt decides.
        if self.nodes[0].rpc("eth_sendRawTransaction", json!([raw])).is_err() {
            thread::sleep(RETRY / 10);
        }
    }

    /// Takes the confirmed ones off the front; nonces are confirmed in order. Returns how many there were.
    fn confirm(&mut self) -> usize {
        let mut confirmed = 0;
        while let Some(&(hash, _)) = self.outstanding.front() {
            let Ok(receipt) = self.nodes[0].rpc("eth_getTransactionReceipt", json!([hash])) else {
                thread::sleep(RETRY);
                break;
            };
            if receipt.is_null() {
                break;
            }
            assert_eq!(receipt["status"], "0x1", "a plain transfer failed: {receipt}");
            self.outstanding.pop_front();
            self.shared.outstanding.fetch_sub(1, Ordering::Relaxed);
            let mut acknowledged = self.shared.acknowledged.lock().expect("no other sender panics here");
            acknowledged.push(Acknowledged { hash, receipt });
            self.shared.confirmed.fetch_add(1, Ordering::Relaxed);
            confirmed += 1;
        }
        confirmed
    }
}
