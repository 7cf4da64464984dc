//! The state after the last block: each account and slot, the code that accounts have, and the root of all.

use std::collections::HashSet;

use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use alloy_rlp::Decodable as _;
use dolmen_store::{Account, Family, Rewind};

use super::{Audit, Subject, causes, tables::hex};

/// An account with its slots, by hashed keys.
type Leaf = (B256, Account, Vec<(B256, U256)>);

impl Audit<'_> {
    /// Checks the state, and builds it where that can be done and its root is right. Answers with how many accounts and
    /// slots there are, too.
    pub(super) fn check_state(&mut self) -> (Option<Rewind>, u64, u64) {
        let findings_before = self.findings.count();
        let (mut leaves, damaged, accounts_whole) = self.read_accounts();
        let (slots, slots_whole) = self.read_slots(&mut leaves, &damaged);
        let accounts = u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        self.check_codes(&leaves);
        let faultless = self.findings.count() == findings_before;
        if !(accounts_whole && slots_whole) {
            return (None, accounts, slots);
        }
        let rewind = match Rewind::new(self.database, leaves) {
            Ok(rewind) => rewind,
            Err(error) => {
                self.findings.add(Subject::State, format!("block {}", self.head), causes(&error));
                return (None, accounts, slots);
            }
        };
        let (found, expected) = (rewind.root(), self.header(self.head).map(|header| header.state_root));
        if Some(found) == expected {
            return (Some(rewind), accounts, slots);
        }
        // A fault that was found already gives another root, too.
        if faultless && let Some(expected) = expected {
            let what = format!("accounts and slots hash to {found}, the header says {expected}");
            self.findings.add(Subject::State, format!("block {}", self.head), what);
        }
        (None, accounts, slots)
    }

    /// All accounts, the keys of those that do not decode, and whether all could be read.
    fn read_accounts(&mut self) -> (Vec<Leaf>, HashSet<B256>, bool) {
        let (mut leaves, mut damaged): (Vec<Leaf>, _) = (Vec::new(), HashSet::new());
        let tally = self.each_record(Family::Accounts, "accounts", |findings, key, value| {
            let Ok(hash) = B256::try_from(key) else {
                return findings.add(Subject::State, hex(key), "an account with a key of no length");
            };
            match decode_account(value) {
                Some(account) => leaves.push((hash, account, Vec::new())),
                None => {
                    findings.add(Subject::State, format!("account {hash}"), "it does not decode");
                    damaged.insert(hash);
                }
            }
        });
        (leaves, damaged, tally.whole)
    }

    /// Gives each account its slots. Answers with how many there are, and whether all could be read.
    fn read_slots(&mut self, leaves: &mut [Leaf], damaged: &HashSet<B256>) -> (u64, bool) {
        let mut at = 0;
        let tally = self.each_record(Family::Slots, "slots", |findings, key, value| {
            let hashes = key
                .split_at_checked(32)
                .and_then(|(account, slot)| Some((B256::try_from(account).ok()?, B256::try_from(slot).ok()?)));
            let Some((account, slot)) = hashes else {
                return findings.add(Subject::State, hex(key), "a slot with a key of no length");
            };
            let Some(value) = decode_slot(value) else {
                return findings.add(Subject::State, format!("slot {slot} of account {account}"), "it does not decode");
            };
            // Both come in ascending order.
            while leaves.get(at).is_some_and(|(key, ..)| *key < account) {
                at += 1;
            }
            match leaves.get_mut(at).filter(|(key, ..)| *key == account) {
                Some((_, _, slots)) => slots.push((slot, value)),
                None if damaged.contains(&account) => {}
                None => findings.add(Subject::State, format!("slot {slot}"), format!("there is no account {account}")),
            }
        });
        (tally.records, tally.whole)
    }

    /// Whether the code of every account is there. That it is what its hash says was checked.
    fn check_codes(&mut self, leaves: &[Leaf]) {
        let mut missing = HashSet::new();
        for (key, account, _) in leaves {
            if !self.has_code(&account.code_hash) && missing.insert(account.code_hash) {
                let what = format!("the code {} is missing or another", account.code_hash);
                self.findings.add(Subject::Code, format!("account {key}"), what);
            }
        }
    }

    /// Whether code with this hash is there, as far as could be read.
    pub(super) fn has_code(&self, hash: &B256) -> bool {
        let all_read = self.tallies.get(&Family::Code).is_none_or(|tally| tally.whole);
        *hash == KECCAK256_EMPTY || self.codes.contains(hash) || !all_read
    }
}

/// An account from its one encoding.
pub(super) fn decode_account(bytes: &[u8]) -> Option<Account> {
    let mut rest = bytes;
    Account::decode(&mut rest).ok().filter(|account| rest.is_empty() && alloy_rlp::encode(account) == bytes)
}

/// The value of a slot from its one encoding; zero is not stored.
pub(super) fn decode_slot(bytes: &[u8]) -> Option<U256> {
    U256::try_from_be_slice(bytes).filter(|_| bytes.first().is_some_and(|first| *first != 0))
}
