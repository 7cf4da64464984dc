//! Who is asked, and what happens where they do not agree.

use std::sync::Arc;

use dolmen_accel_api::{Algorithm, BatchVerifier, KeyCache as _, RecoverJob, Verdict};
use dolmen_accel_cpu::{CpuEngine, CpuFeatures};
use dolmen_accel_library::{Library, Peer};
use rand::{RngExt as _, rngs::StdRng};

use super::{ROUND, Settings, Tested};
use crate::{
    paths::{engine, recover},
    support::verify,
};

/// Room for the tables of the keys below, with little left for more.
const TABLE_BYTES_MAX: usize = 64 << 20;
/// How many keys get tables of each width, the widest first, and for how many there would be room with this width but
/// not with the next.
const WIDTHS: [(usize, usize); 4] = [(4, 20), (10, 60), (20, 200), (230, 400)];
/// Keys with tables.
pub(super) const KNOWN: usize = 264;

/// An engine of ours, which is asked every so many cases.
struct Ours {
    name: &'static str,
    engine: Arc<CpuEngine>,
    every: usize,
}

pub(super) struct Judge {
    algorithm: Algorithm,
    settings: Settings,
    first: Peer,
    second: Peer,
    ours: Vec<Ours>,
    accepted: u64,
}

impl Judge {
    /// With two libraries, of which the first is asked always; `keys` are those that get tables.
    pub(super) fn new(
        algorithm: Algorithm,
        settings: Settings,
        [first, second]: [Library; 2],
        keys: &[Vec<u8>],
    ) -> Self {
        let (best, portable) = (CpuFeatures::detect(), CpuFeatures::PORTABLE);
        let ours = [
            ("tables", best, TABLE_BYTES_MAX, 1),
            ("no tables", best, 0, 8),
            ("portable, tables", portable, TABLE_BYTES_MAX, 16),
            ("portable, no tables", portable, 0, 32),
        ];
        let ours = ours.map(|(name, features, table_bytes_max, every)| {
            let engine = engine(features, algorithm, table_bytes_max);
            if table_bytes_max > 0 {
                prepare(&engine, algorithm, keys);
            }
            Ours { name, engine, every }
        });
        Self { algorithm, settings, first: first.peer(), second: second.peer(), ours: ours.into(), accepted: 0 }
    }

    /// Puts a round of cases to everybody.
    ///
    /// # Panics
    ///
    /// If they do not agree.
    pub(super) fn judge(&mut self, round: u64, random: &mut StdRng, cases: &[Tested]) {
        let expected = verify(&self.first, self.algorithm, cases.iter().map(|case| &case.job), Verdict::Invalid);
        for (index, case) in cases.iter().enumerate() {
            if case.holds.is_some_and(|holds| holds != expected[index]) {
                self.disagree(round, index, case, "the case's construction");
            }
        }
        self.accepted += expected.iter().filter(|holds| **holds).count() as u64;
        let turn = usize::try_from(round).expect("a round is done in a second");
        let every = |every: usize| (0..cases.len()).filter(move |index| (index + turn).is_multiple_of(every));
        for index in every(8).filter(|index| cases[*index].plain) {
            let holds = verify(&self.second, self.algorithm, [&cases[index].job], Verdict::Invalid)[0];
            if holds != expected[index] {
                self.disagree(round, index, &cases[index], self.second.capabilities().name);
            }
        }
        for Ours { name, engine, every: step } in &self.ours {
            let mut rest: &[usize] = &every(*step).collect::<Vec<_>>();
            while !rest.is_empty() {
                let size = size(random).min(rest.len());
                let (batch, others) = rest.split_at(size);
                rest = others;
                let before = if random.random() { Verdict::Valid } else { Verdict::Invalid };
                let jobs = batch.iter().map(|index| &cases[*index].job);
                let verdicts = verify(&**engine, self.algorithm, jobs, before);
                for (&index, holds) in batch.iter().zip(verdicts) {
                    if holds != expected[index] {
                        self.disagree(round, index, &cases[index], &format!("{name}, one of {size}"));
                    }
                }
            }
        }
    }

    /// That the cases were worth their time: many hold, many do not, and keys with and without tables were asked for.
    pub(super) fn finish(self) {
        let cases = self.first.counters().snapshot().verdicts;
        assert!((cases / 2..cases * 9 / 10).contains(&self.accepted), "{} of {cases} hold", self.accepted);
        assert!(self.second.counters().snapshot().verdicts >= cases / 16);
        for Ours { name, engine, every } in &self.ours {
            let counted = engine.counters().snapshot();
            assert!(counted.verdicts >= cases / *every as u64, "{name}: {counted:?}");
            let (hits, misses) = (counted.key_hits * 5, counted.key_misses * 10);
            assert!(hits > counted.verdicts || engine.usage().bytes_max == 0, "{name}: {counted:?}");
            assert!(misses > counted.verdicts, "{name}: {counted:?}");
        }
    }

    fn disagree(&self, round: u64, index: usize, case: &Tested, who: &str) -> ! {
        let alone = |engine: &dyn BatchVerifier| verify(engine, self.algorithm, [&case.job], Verdict::Invalid)[0];
        let libraries = [&self.first, &self.second].map(|peer| (peer.capabilities().name, alone(peer)));
        let ours: Vec<_> = self.ours.iter().map(|ours| (ours.name, alone(&*ours.engine))).collect();
        let (algorithm, replay) = (self.algorithm, self.replay(round, index));
        panic!(
            "{algorithm}: {who} disagrees; alone, it holds: {libraries:?} {ours:?}, made so: {:?}\n{:?}\n{replay}",
            case.holds, case.job
        );
    }

    fn replay(&self, round: u64, index: usize) -> String {
        let case = round * ROUND as u64 + index as u64;
        format!("again with DOLMEN_FUZZ_SEED={} DOLMEN_FUZZ_CASE={case}", self.settings.seed)
    }

    /// Puts recoveries to everybody.
    ///
    /// # Panics
    ///
    /// If they do not agree.
    pub(super) fn judge_recoveries(&self, round: u64, random: &mut StdRng, jobs: &[RecoverJob]) {
        let expected = recover(&self.first, jobs.iter().copied());
        for Ours { name, engine, every } in &self.ours {
            let asked: Vec<_> = (0..jobs.len()).step_by(*every).collect();
            let mut rest = &asked[..];
            while !rest.is_empty() {
                let size = size(random).min(rest.len());
                let (batch, others) = rest.split_at(size);
                rest = others;
                let signers = recover(&**engine, batch.iter().map(|index| jobs[*index]));
                for (&index, signer) in batch.iter().zip(signers) {
                    let replay = self.replay(round, 0);
                    assert_eq!(signer, expected[index], "{name}, one of {size}: {:x?}\n{replay}", jobs[index]);
                }
            }
        }
        for index in (0..jobs.len()).step_by(8) {
            let signer = recover(&self.second, [jobs[index]].into_iter())[0];
            assert_eq!(signer, expected[index], "the libraries on {:x?}\n{}", jobs[index], self.replay(round, 0));
        }
    }
}

/// Sizes of batches: many of some hundred, and some of every size below three blocks.
fn size(random: &mut StdRng) -> usize {
    if random.random() { random.random_range(200..600) } else { random.random_range(1..190) }
}

/// Makes tables of all widths.
fn prepare(engine: &CpuEngine, algorithm: Algorithm, keys: &[Vec<u8>]) {
    assert_eq!(keys.len(), KNOWN);
    let mut rest = keys;
    let mut bytes_per_key = usize::MAX;
    for (count, room_for) in WIDTHS {
        let (now, later) = rest.split_at(count);
        rest = later;
        let before = engine.usage();
        // The width is chosen for as many keys as are asked for.
        let padded: Vec<_> = now.iter().cycle().take(room_for.max(count)).map(|key| &key[..]).collect();
        engine.prepare(algorithm, &padded);
        let after = engine.usage();
        assert_eq!(after.keys, before.keys + count);
        let bytes = (after.bytes - before.bytes) / count;
        assert!(bytes < bytes_per_key, "each width is narrower than the last");
        bytes_per_key = bytes;
    }
}
