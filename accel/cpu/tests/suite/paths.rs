//! The code paths of our engine on this machine, the libraries, and how cases are put to all of them.

use std::sync::{Arc, Once};

use dolmen_accel_api::{Address, Algorithm, BatchVerifier, KeyCache as _, KeyCacheUsage, RecoverJob, Verdict};
use dolmen_accel_cpu::{CpuConfig, CpuEngine, CpuFeatures};
use dolmen_accel_library::Library;

use crate::support::{Case, verify};

static ALGORITHMS: [Algorithm; 5] = Algorithm::ALL;

/// An engine of ours for one algorithm.
pub(crate) fn engine(features: CpuFeatures, algorithm: Algorithm, table_bytes_max: usize) -> Arc<CpuEngine> {
    let only = ALGORITHMS.iter().position(|of| *of == algorithm).expect("all algorithms are listed");
    let config = CpuConfig { features, table_bytes_max, algorithms: &ALGORITHMS[only..=only] };
    CpuEngine::start(config).expect("the engine passes its self-test")
}

/// The sets of instructions that are told apart, and whether this CPU has each. Says once which it lacks.
pub(crate) fn features() -> Vec<(&'static str, CpuFeatures)> {
    static SAY: Once = Once::new();
    let adx = CpuFeatures { adx: true, ..CpuFeatures::PORTABLE };
    let avx2 = CpuFeatures { avx2: true, ..adx };
    let avx512 = CpuFeatures { avx512: true, ..avx2 };
    let ifma = CpuFeatures { ifma: true, ..avx512 };
    let has = CpuFeatures::detect();
    let available = |wanted: CpuFeatures| {
        (has.adx || !wanted.adx)
            && (has.avx2 || !wanted.avx2)
            && (has.avx512 || !wanted.avx512)
            && (has.ifma || !wanted.ifma)
    };
    let all = [
        ("portable", CpuFeatures::PORTABLE),
        ("adx", adx),
        ("adx avx2", avx2),
        ("adx avx2 avx512", avx512),
        ("adx avx2 avx512 ifma", ifma),
    ];
    let (mut known, lacking): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, wanted)| available(*wanted));
    SAY.call_once(|| {
        for (name, _) in lacking {
            eprintln!("skipped, as this CPU lacks it: the path {name}");
        }
    });
    // A CPU may have a set that is none of these.
    if known.iter().all(|(_, features)| *features != has) {
        known.push(("detected", has));
    }
    known
}

/// Room for the widest tables of a hundred keys.
const TABLE_BYTES_MAX: usize = 256 << 20;

/// What an engine said that it should not have.
type Wrong = Vec<String>;

/// Puts each group of cases to every path as a batch, and each case alone. Libraries that know no batches are asked once.
///
/// # Panics
///
/// If an answer is wrong.
pub(crate) fn check(algorithm: Algorithm, groups: &[Vec<Case>]) {
    let mut wrong = Wrong::new();
    let mut keys: Vec<&[u8]> = groups.iter().flatten().map(|case| &case.job.key[..]).collect();
    keys.sort_unstable();
    keys.dedup();
    let narrow = narrow_tables(algorithm, &keys);
    let mut features = features();
    if algorithm == Algorithm::Bls12381 {
        // It has no paths of its own.
        features.truncate(1);
    }
    for (name, features) in features {
        ask(&mut wrong, &format!("{name}, unknown keys"), &*engine(features, algorithm, 0), algorithm, groups, |_| {
            true
        });
        let tables = [("narrow", narrow.bytes), ("wide", TABLE_BYTES_MAX)];
        for (width, table_bytes_max) in tables.into_iter().filter(|_| narrow.keys > 0) {
            let path = format!("{name}, known keys, {width} tables");
            let known = engine(features, algorithm, table_bytes_max);
            known.prepare(algorithm, &keys);
            assert_eq!(known.usage().keys, narrow.keys, "{path}");
            let before = known.counters().snapshot();
            ask(&mut wrong, &path, &*known, algorithm, groups, |_| true);
            // Keys of corners may have no table.
            let expected = groups.iter().flatten().any(|case| case.holds && !case.corner);
            assert!(known.counters().snapshot().key_hits > before.key_hits || !expected, "{path}: no table was used");
        }
    }
    for library in Library::ALL {
        let peer = library.peer();
        if peer.capabilities().supports(algorithm) {
            let asked = |case: &Case| library.exact(algorithm) || !case.corner;
            if peer.capabilities().batch_preferred > 1 {
                ask(&mut wrong, library.name(), &peer, algorithm, groups, asked);
            } else {
                ask_together(&mut wrong, library.name(), &peer, algorithm, groups, asked, Verdict::Invalid);
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers of {algorithm}:\n{}", wrong.len(), first(&wrong));
}

/// How many of `keys` can have a table, and what the narrowest tables take: in just so much room they stay narrow.
pub(crate) fn narrow_tables(algorithm: Algorithm, keys: &[&[u8]]) -> KeyCacheUsage {
    let engine = engine(CpuFeatures::detect(), algorithm, TABLE_BYTES_MAX);
    // Wide tables for so many keys have no room, and the width is chosen for all that are asked for.
    let many = TABLE_BYTES_MAX >> 17;
    let padded: Vec<_> = keys.iter().cycle().take(keys.len().max(many)).copied().collect();
    engine.prepare(algorithm, &padded);
    engine.usage()
}

/// The first of many lines.
fn first(lines: &[String]) -> String {
    lines[..lines.len().min(12)].join("\n")
}

/// Asks for each group as a batch, and for each case alone.
fn ask(
    wrong: &mut Wrong,
    path: &str,
    engine: &dyn BatchVerifier,
    algorithm: Algorithm,
    groups: &[Vec<Case>],
    asked: impl Fn(&Case) -> bool,
) {
    for before in [Verdict::Valid, Verdict::Invalid] {
        ask_together(wrong, path, engine, algorithm, groups, &asked, before);
    }
    for case in groups.iter().flatten().filter(|case| asked(case)) {
        let holds = verify(engine, algorithm, [&case.job], (!case.holds).into())[0];
        judge(wrong, path, case, holds, "alone");
    }
}

/// Asks for each group as a batch. `before` is what the verdicts are before: that must not show.
fn ask_together(
    wrong: &mut Wrong,
    path: &str,
    engine: &dyn BatchVerifier,
    algorithm: Algorithm,
    groups: &[Vec<Case>],
    asked: impl Fn(&Case) -> bool,
    before: Verdict,
) {
    for group in groups {
        let cases: Vec<_> = group.iter().filter(|case| asked(case)).collect();
        let verdicts = verify(engine, algorithm, cases.iter().map(|case| &case.job), before);
        for (case, holds) in cases.iter().zip(verdicts) {
            judge(wrong, path, case, holds, "in a batch");
        }
    }
}

fn judge(wrong: &mut Wrong, path: &str, case: &Case, holds: bool, how: &str) {
    if holds != case.holds {
        let said = if holds { "accepts" } else { "refuses" };
        wrong.push(format!("{path} {said} {how}: {}: {:?}", case.what, case.job));
    }
}

/// A job for recovery and whose signature it is.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    pub(crate) job: RecoverJob,
    pub(crate) signer: Option<Address>,
    pub(crate) what: &'static str,
}

/// Puts recoveries to every path, in one batch and each alone, without hints, with the right ones, and with the address
/// of each of `keys`, which are prepared where the path knows keys. `keys` should hold those of the signers.
///
/// # Panics
///
/// If an answer is wrong.
pub(crate) fn check_recovery(recoveries: &[Recovery], keys: &[&[u8]]) {
    const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;
    let mut wrong = Wrong::new();
    let addresses = keys.iter().map(|key| Some(crate::support::address(key)));
    let hints: Vec<_> = [None, Some([7; 20])].into_iter().chain(addresses).collect();
    let hinted = recoveries.iter().flat_map(|recovery| {
        hints
            .iter()
            .chain([&recovery.signer])
            .map(|hint| Recovery { job: RecoverJob { hint: *hint, ..recovery.job }, ..recovery.clone() })
    });
    let hinted: Vec<_> = hinted.collect();
    for (name, features) in features() {
        ask_signers(&mut wrong, &format!("{name}, unknown keys"), &*engine(features, ALGORITHM, 0), &hinted);
        let known = engine(features, ALGORITHM, TABLE_BYTES_MAX);
        assert_eq!(known.prepare(ALGORITHM, keys), keys.len(), "{name}");
        ask_signers(&mut wrong, &format!("{name}, known keys"), &*known, &hinted);
        assert!(known.counters().snapshot().key_hits > 0, "{name}: no right hint was of use");
    }
    for library in Library::ALL {
        let peer = library.peer();
        if peer.recovers() {
            ask_signers(&mut wrong, library.name(), &peer, &hinted);
        }
    }
    assert!(wrong.is_empty(), "{} wrong signers:\n{}", wrong.len(), first(&wrong));
}

fn ask_signers(wrong: &mut Wrong, path: &str, engine: &dyn BatchVerifier, recoveries: &[Recovery]) {
    for size in [recoveries.len(), 1] {
        for chunk in recoveries.chunks(size) {
            for (recovery, signer) in chunk.iter().zip(recover(engine, chunk.iter().map(|recovery| recovery.job))) {
                if signer != recovery.signer {
                    let Recovery { job, signer: expected, what } = recovery;
                    let count = chunk.len();
                    wrong.push(format!("{path}: {what}, one of {count}: {signer:x?}, not {expected:x?}, of {job:x?}"));
                }
            }
        }
    }
}

/// What `engine` says of `jobs`, as one batch.
pub(crate) fn recover(engine: &dyn BatchVerifier, jobs: impl Iterator<Item = RecoverJob>) -> Vec<Option<Address>> {
    let jobs: Vec<_> = jobs.collect();
    // What is there before must not show.
    let mut signers = vec![Some([9; 20]); jobs.len()];
    engine.recover(&jobs, &mut signers).expect("engines in tests do what they are asked");
    signers
}
