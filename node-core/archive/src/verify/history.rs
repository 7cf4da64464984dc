//! Earlier states: what each block replaced, undone block by block, must give the state root of the block before.

use std::collections::{HashMap, HashSet};

use dolmen_store::{Family, Rewind};

use super::{
    Audit, Subject, causes,
    state::{decode_account, decode_slot},
    tables::hex,
};

impl Audit<'_> {
    /// Checks what is kept for earlier states. Without the state that they lead back from, only the records themselves.
    pub(super) fn check_history(&mut self, mut rewind: Option<Rewind>) {
        // Records that the lists of changes name and that are there.
        let (mut accounts, mut slots) = (0, 0);
        // Whether the state that was rewound is the one that it should be.
        let mut fits = rewind.is_some();
        for number in (self.floor.saturating_add(1)..=self.head).rev() {
            let before = self.findings.count();
            let replaced = self.check_changes(number, (&mut accounts, &mut slots));
            let faultless = self.findings.count() == before;
            rewind = rewind.and_then(|rewind| self.undo(rewind, number, replaced));
            let parent = number.saturating_sub(1);
            let expected = self.header(parent).map(|header| header.state_root);
            if let (Some(rewind), Some(expected)) = (&rewind, expected) {
                let found = rewind.root();
                // Only where it ceases to fit: what is further back cannot fit either, until the wrong value is undone.
                if found != expected && fits && faultless {
                    let what = format!("what the block replaced leads to the state root {found}, not to {expected}");
                    self.findings.add(Subject::History, format!("block {number}"), what);
                }
                fits = found == expected;
            }
            self.progress("history", self.head - number + 1, self.head - self.floor);
        }
        for (family, named) in [(Family::AccountHistory, accounts), (Family::SlotHistory, slots)] {
            if self.surplus(family, named) > 0 {
                self.find_stray_history(family, named);
            }
        }
    }

    /// What a block replaced, by key; what is missing or damaged is left out.
    fn check_changes(&mut self, number: u64, (accounts, slots): (&mut u64, &mut u64)) -> HashMap<Vec<u8>, Box<[u8]>> {
        let place = format!("block {number}");
        let mut replaced = HashMap::new();
        let keys = match self.database.changed_keys(number) {
            Ok(Some(keys)) => keys,
            Ok(None) => {
                self.findings.add(Subject::History, &place, "the list of what it changed is missing");
                return replaced;
            }
            Err(error) => {
                self.findings.add(Subject::History, &place, causes(&error));
                return replaced;
            }
        };
        for key in keys {
            let is_account = key.len() == 32;
            if replaced.contains_key(&key) {
                self.findings.add(Subject::History, &place, format!("{} is listed twice", hex(&key)));
                continue;
            }
            let before = match self.database.replaced(&key, number) {
                Ok(Some(before)) => before,
                Ok(None) => {
                    let what = format!("what {} held before it is missing", hex(&key));
                    self.findings.add(Subject::History, &place, what);
                    continue;
                }
                Err(error) => {
                    self.findings.add(Subject::Files, format!("history of {place}"), causes(&error));
                    continue;
                }
            };
            *(if is_account { &mut *accounts } else { &mut *slots }) += 1;
            let whole = if is_account {
                let account = decode_account(&before);
                let code = account.map(|account| account.code_hash).filter(|hash| !self.has_code(hash));
                if let Some(code) = code {
                    let what = format!("the code {code}, which account {} had, is missing or another", hex(&key));
                    self.findings.add(Subject::Code, &place, what);
                }
                before.is_empty() || account.is_some()
            } else {
                before.is_empty() || decode_slot(&before).is_some()
            };
            if whole {
                replaced.insert(key, before);
            } else {
                let what = format!("what {} held before it does not decode", hex(&key));
                self.findings.add(Subject::History, &place, what);
            }
        }
        replaced
    }

    fn undo(&mut self, mut rewind: Rewind, number: u64, replaced: HashMap<Vec<u8>, Box<[u8]>>) -> Option<Rewind> {
        match rewind.undo(replaced) {
            Ok(()) => Some(rewind),
            Err(error) => {
                self.findings.add(Subject::History, format!("block {number}"), causes(&error));
                None
            }
        }
    }

    /// Names the records of a family that no list of changes does. `named` are those that one does.
    fn find_stray_history(&mut self, family: Family, named: u64) {
        let database = self.database;
        let (floor, head) = (self.floor, self.head);
        let mut left = self.surplus(family, named);
        let mut last: Option<(u64, HashSet<Vec<u8>>)> = None;
        self.each_record(family, "history", |findings, key, _| {
            let Some((key, height)) = key.split_last_chunk::<8>() else { return };
            let height = u64::from_be_bytes(*height);
            if left == 0 || height <= floor || height > head {
                // Those outside have been named.
                return;
            }
            if last.as_ref().is_none_or(|(of, _)| *of != height) {
                let keys = database.changed_keys(height).ok().flatten().unwrap_or_default();
                last = Some((height, keys.into_iter().collect()));
            }
            if last.as_ref().is_some_and(|(_, keys)| !keys.contains(key)) {
                let what = format!("it says what {} held, which the block did not change", hex(key));
                findings.add(Subject::History, format!("block {height}"), what);
                left -= 1;
            }
        });
    }
}
