//! Streams of keys against the memory for tables: it is bounded, keys in use keep their place, and each key earns its
//! place by valid signatures.
//!
//! Most of it is on secp256k1, where fresh keys with signatures are cheap to make; the cache is the same for all.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use dolmen_accel_api::{Algorithm, BatchVerifier as _, KeyCache as _, RecoverJob, Snapshot, Verdict};
use dolmen_accel_cpu::{CpuEngine, CpuFeatures};
use k256::{
    Secp256k1,
    elliptic_curve::{CurveGroup as _, ProjectivePoint},
};

use crate::{
    curve::{Curve as _, Equation, key_bytes, multiple, odd_y, scalar, x},
    paths::{self, recover},
    support::{Job, Signed, address, honest, verify},
};

const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;

fn engine(table_bytes_max: usize) -> std::sync::Arc<CpuEngine> {
    paths::engine(CpuFeatures::detect(), ALGORITHM, table_bytes_max)
}

/// Keys one after the other, with signatures: the sum of a key and `[g]G` is another key of the row.
struct Row(Vec<k256::AffinePoint>);

impl Row {
    /// The highest `g`, of which each key has one signature.
    const SIGNATURES: usize = 64;

    fn new(start: i64, count: usize) -> Self {
        let generator = multiple::<Secp256k1>(&scalar::<Secp256k1>(1));
        let first = multiple::<Secp256k1>(&scalar::<Secp256k1>(start));
        let more = count + Self::SIGNATURES;
        let points: Vec<_> = std::iter::successors(Some(first), |point| Some(*point + generator)).take(more).collect();
        let mut affine = vec![k256::AffinePoint::IDENTITY; more];
        ProjectivePoint::<Secp256k1>::batch_normalize(&points, &mut affine);
        Self(affine)
    }

    fn key(&self, index: usize) -> [u8; 64] {
        key_bytes::<Secp256k1>(&self.0[index])
    }

    /// A signature of the key `index`, another for each `number` below [`Self::SIGNATURES`].
    fn job(&self, index: usize, number: usize) -> Job {
        self.signed(index, number).0
    }

    fn signed(&self, index: usize, number: usize) -> (Job, bool) {
        let g = number % Self::SIGNATURES;
        let sum = &self.0[index + g];
        let one = scalar::<Secp256k1>(1);
        let equation = Equation {
            g: scalar::<Secp256k1>(i64::try_from(g).expect("it is small")),
            q: one,
            q_inverse: one,
            x: x::<Secp256k1>(sum),
            odd_y: odd_y::<Secp256k1>(sum),
        };
        let forged = Secp256k1::forge(&equation).expect("no zero by chance");
        (forged.job(&self.key(index)), forged.odd_y)
    }
}

/// Verifies what must be valid.
fn accept<'a>(engine: &CpuEngine, jobs: impl IntoIterator<Item = &'a Job>) {
    let verdicts = verify(engine, ALGORITHM, jobs, Verdict::Invalid);
    assert!(verdicts.iter().all(|holds| *holds));
}

/// What is counted while `work` is done.
fn counted(engine: &CpuEngine, work: impl FnOnce()) -> Snapshot {
    let before = engine.counters().snapshot();
    work();
    let after = engine.counters().snapshot();
    Snapshot {
        key_hits: after.key_hits - before.key_hits,
        key_misses: after.key_misses - before.key_misses,
        keys_prepared: after.keys_prepared - before.keys_prepared,
        keys_evicted: after.keys_evicted - before.keys_evicted,
        ..after
    }
}

/// Bytes of the table that a key gets at first.
fn table_bytes() -> usize {
    let engine = engine(64 << 20);
    let row = Row::new(31, 1);
    (0..40).for_each(|number| accept(&engine, [&row.job(0, number)]));
    engine.settle();
    assert_eq!(engine.usage().keys, 1);
    engine.usage().bytes
}

/// Lets each key sign `times` times, all in turn, and waits for what that makes.
fn sign_in_turn(engine: &CpuEngine, row: &Row, keys: usize, times: usize) {
    for number in 0..times {
        let jobs: Vec<_> = (0..keys).map(|index| row.job(index, number)).collect();
        accept(engine, &jobs);
        // The queue of the builder is bounded; who finds it full has to wait for later sightings.
        engine.settle();
    }
}

#[test]
fn keys_that_sign_often_get_tables_by_themselves() {
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256, Algorithm::Sm2, Algorithm::Ed25519] {
        let engine = paths::engine(CpuFeatures::detect(), algorithm, 64 << 20);
        let jobs = honest(algorithm, 3, 120);
        assert!(verify(&*engine, algorithm, &jobs, Verdict::Invalid).iter().all(|holds| *holds));
        engine.settle();
        assert_eq!(engine.usage().keys, 3, "{algorithm}");
        let counted = counted(&engine, || {
            assert!(verify(&*engine, algorithm, &jobs, Verdict::Invalid).iter().all(|holds| *holds));
        });
        assert_eq!((counted.key_hits, counted.key_misses), (120, 0), "{algorithm}");
    }
}

#[test]
fn a_key_that_signs_once_gets_none() {
    let engine = engine(64 << 20);
    let row = Row::new(1 << 40, 500);
    sign_in_turn(&engine, &row, 500, 2);
    assert_eq!(engine.usage().keys, 0);
}

/// Anybody can send those under any key.
#[test]
fn bad_signatures_earn_nothing() {
    for algorithm in [Algorithm::EcdsaSecp256k1, Algorithm::EcdsaP256, Algorithm::Sm2, Algorithm::Ed25519] {
        let engine = paths::engine(CpuFeatures::detect(), algorithm, 64 << 20);
        let spoiled = |job: Job| job.with(|job| job.signature[40] ^= 1);
        let jobs: Vec<_> = honest(algorithm, 1, 500).into_iter().map(spoiled).collect();
        assert!(verify(&*engine, algorithm, &jobs, Verdict::Valid).iter().all(|holds| !holds));
        engine.settle();
        assert_eq!(engine.usage().keys, 0, "{algorithm}");
    }
}

#[test]
fn recovered_keys_get_tables_too() {
    let engine = engine(64 << 20);
    let row = Row::new(1 << 41, 1);
    let jobs = (0..40).map(|number| {
        let (Job { key, message, signature }, odd_y) = row.signed(0, number);
        let Signed::Digest(digest) = message else { panic!("forged cases have digests") };
        let signature = signature.try_into().expect("signatures have 64 bytes");
        RecoverJob { digest, signature, odd_y, hint: Some(address(&key)) }
    });
    let jobs: Vec<_> = jobs.collect();
    let signer = Some(address(&row.key(0)));
    let first = counted(&engine, || assert_eq!(recover(&*engine, jobs.iter().copied()), [signer; 40]));
    assert_eq!((first.key_hits, first.key_misses), (0, 40));
    engine.settle();
    let second = counted(&engine, || assert_eq!(recover(&*engine, jobs.iter().copied()), [signer; 40]));
    assert_eq!((second.key_hits, second.key_misses), (40, 0));
}

/// Keys that were prepared, or that have signed a hundred times, outlast twenty thousand fresh ones.
#[test]
fn a_flood_of_fresh_keys_takes_nothing_from_keys_in_use() {
    const HOT: usize = 16;
    let bytes = table_bytes();
    let hot = Row::new(1 << 42, HOT);
    let flood = Row::new(1 << 43, 20_000);
    for prepared in [true, false] {
        let engine = engine(HOT * bytes);
        if prepared {
            let keys: Vec<_> = (0..HOT).map(|index| hot.key(index)).collect();
            let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
            assert_eq!(engine.prepare(ALGORITHM, &keys), HOT);
        } else {
            sign_in_turn(&engine, &hot, HOT, 120);
        }
        assert_eq!(engine.usage().keys, HOT, "prepared: {prepared}");
        let during = counted(&engine, || {
            for first in (0..20_000).step_by(500) {
                let jobs: Vec<_> = (first..first + 500).map(|index| flood.job(index, 1)).collect();
                accept(&engine, &jobs);
            }
            engine.settle();
        });
        assert_eq!((during.keys_evicted, during.key_misses), (0, 20_000), "prepared: {prepared}");
        let jobs: Vec<_> = (0..HOT).map(|index| hot.job(index, 5)).collect();
        let after = counted(&engine, || accept(&engine, &jobs));
        assert_eq!((after.key_hits, after.key_misses), (HOT as u64, 0), "prepared: {prepared}");
    }
}

/// The same where each key of the flood signs often enough to earn a table, while the others are in use.
#[test]
fn keys_in_use_keep_their_place_against_keys_that_sign_some_times() {
    const HOT: usize = 16;
    let engine = engine(HOT * table_bytes());
    let hot = Row::new(1 << 44, HOT);
    sign_in_turn(&engine, &hot, HOT, 120);
    let flood = Row::new(1 << 45, 500);
    let in_use: Vec<_> = (0..HOT).map(|index| hot.job(index, 6)).collect();
    for index in 0..500 {
        let jobs: Vec<_> = (0..40).map(|number| flood.job(index, number)).collect();
        accept(&engine, &jobs);
        accept(&engine, &in_use);
        engine.settle();
    }
    let after = counted(&engine, || accept(&engine, &in_use));
    assert_eq!((after.key_hits, after.key_misses), (HOT as u64, 0));
}

#[test]
fn hot_keys_displace_cold_ones() {
    const PLACES: usize = 16;
    const HOT: usize = 4;
    let engine = engine(PLACES * table_bytes());
    let cold = Row::new(1 << 46, PLACES);
    sign_in_turn(&engine, &cold, PLACES, 12);
    assert_eq!(engine.usage().keys, PLACES);
    let hot = Row::new(1 << 47, HOT);
    let during = counted(&engine, || sign_in_turn(&engine, &hot, HOT, 60));
    assert_eq!((during.keys_prepared, during.keys_evicted), (HOT as u64, HOT as u64));
    assert_eq!(engine.usage().keys, PLACES);
    let jobs: Vec<_> = (0..HOT).map(|index| hot.job(index, 7)).collect();
    let after = counted(&engine, || accept(&engine, &jobs));
    assert_eq!((after.key_hits, after.key_misses), (HOT as u64, 0));
    // The others kept theirs.
    let jobs: Vec<_> = (0..PLACES).map(|index| cold.job(index, 7)).collect();
    let after = counted(&engine, || accept(&engine, &jobs));
    assert_eq!((after.key_hits, after.key_misses), ((PLACES - HOT) as u64, HOT as u64));
}

/// Keys that have not signed for long give way to keys that sign now, even if they were prepared.
#[test]
fn what_is_not_used_any_more_gives_way() {
    const PLACES: usize = 4;
    let engine = engine(PLACES * table_bytes());
    let old = Row::new(1 << 48, PLACES);
    let keys: Vec<_> = (0..PLACES).map(|index| old.key(index)).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    assert_eq!(engine.prepare(ALGORITHM, &keys), PLACES);
    let new = Row::new(1 << 49, 2000);
    // All of them are seen equally often, so none is hot; time passes.
    for round in 0..40 {
        let jobs: Vec<_> = (0..2000).map(|index| new.job(index, round)).collect();
        accept(&engine, &jobs);
    }
    let hot = Row::new(1 << 50, 1);
    let jobs: Vec<_> = (0..64).map(|number| hot.job(0, number)).collect();
    for _ in 0..4 {
        jobs.iter().for_each(|job| accept(&engine, [job]));
        engine.settle();
    }
    let after = counted(&engine, || accept(&engine, &jobs));
    assert_eq!((after.key_hits, after.key_misses), (64, 0));
}

#[test]
fn a_hot_key_gets_a_wider_table() {
    let engine = engine(64 << 20);
    let row = Row::new(1 << 51, 1);
    let jobs: Vec<_> = (0..64).map(|number| row.job(0, number)).collect();
    accept(&engine, &jobs);
    engine.settle();
    let narrow = engine.usage();
    assert_eq!(narrow.keys, 1);
    for _ in 0..100 {
        accept(&engine, &jobs);
    }
    engine.settle();
    let wide = engine.usage();
    assert_eq!(wide.keys, 1);
    assert!(wide.bytes > 4 * narrow.bytes, "{} bytes after {}", wide.bytes, narrow.bytes);
    accept(&engine, &jobs);
}

/// Four threads, thousands of keys that all want a table, and somebody who prepares more than there is room for.
#[test]
fn tables_never_take_more_than_their_memory() {
    const THREADS: usize = 4;
    const KEYS: usize = 600;
    // Room for some, and half a one.
    let bytes = table_bytes();
    let engine = engine(9 * bytes + bytes / 2);
    let rows: Vec<_> = (0..THREADS).map(|thread| Row::new((1 << 52) + ((thread as i64) << 32), KEYS)).collect();
    let prepared = Row::new(1 << 53, 40);
    let prepared: Vec<_> = (0..40).map(|index| prepared.key(index)).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = rows
            .iter()
            .map(|row| {
                let engine = &engine;
                scope.spawn(move || {
                    for first in (0..KEYS).step_by(20) {
                        for number in 0..30 {
                            let jobs: Vec<_> = (first..first + 20).map(|index| row.job(index, number)).collect();
                            accept(engine, &jobs);
                            let usage = engine.usage();
                            assert!(usage.bytes <= usage.bytes_max, "{usage:?}");
                            assert!(usage.keys * bytes <= usage.bytes, "{usage:?}");
                        }
                    }
                })
            })
            .collect();
        let (engine, done, prepared) = (&engine, &done, &prepared);
        scope.spawn(move || {
            for keys in prepared.chunks(7).cycle().take_while(|_| !done.load(Relaxed)) {
                let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
                engine.prepare(ALGORITHM, &keys);
                thread::yield_now();
            }
        });
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        done.store(true, Relaxed);
        for worker in ended {
            worker.expect("everything is accepted, within the memory");
        }
    });
    engine.settle();
    let usage = engine.usage();
    assert!(usage.keys > 0 && usage.bytes <= usage.bytes_max, "{usage:?}");
}

#[test]
fn without_memory_there_are_no_tables() {
    let bytes = table_bytes();
    for table_bytes_max in [0, bytes - 1] {
        let engine = engine(table_bytes_max);
        let row = Row::new(1 << 54, 4);
        sign_in_turn(&engine, &row, 4, 60);
        assert_eq!(engine.prepare(ALGORITHM, &[&row.key(0)]), 0);
        let usage = engine.usage();
        assert_eq!((usage.keys, usage.bytes, usage.bytes_max), (0, 0, table_bytes_max));
    }
}
