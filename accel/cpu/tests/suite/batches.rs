//! Bad signatures at any places of a batch of any size: the verdicts say which, and nothing else changes.

use std::sync::Arc;

use dolmen_accel_api::{Address, Algorithm, BatchVerifier, KeyCache as _, RecoverJob, Verdict};
use dolmen_accel_cpu::CpuFeatures;
use dolmen_accel_library::{Library, Signs};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use crate::{
    paths::{engine, features, narrow_tables, recover},
    support::{Job, Signed, address, honest, signer, verify},
};

/// Keys of a pool, of which half have tables.
const KEYS: usize = 12;

/// Signatures that hold, and for each one that does not.
struct Pool {
    algorithm: Algorithm,
    good: Vec<Job>,
    bad: Vec<Job>,
}

impl Pool {
    fn new(algorithm: Algorithm, count: usize) -> Self {
        let good = honest(algorithm, KEYS as u64, count);
        let bad = (0..count).map(|index| spoiled(&good, index)).collect();
        Self { algorithm, good, bad }
    }

    /// The keys that get tables.
    fn known(&self) -> Vec<&[u8]> {
        self.good.iter().take(KEYS / 2).map(|job| &job.key[..]).collect()
    }

    /// An engine that has tables for half of the keys, and room for no others.
    fn engine(&self, features: CpuFeatures) -> Arc<dyn BatchVerifier> {
        let narrow = narrow_tables(self.algorithm, &self.known());
        let engine = engine(features, self.algorithm, narrow.bytes);
        assert_eq!(engine.prepare(self.algorithm, &self.known()), narrow.keys);
        engine
    }

    /// Puts a batch with bad signatures at random places to an engine.
    fn ask(&self, engine: &dyn BatchVerifier, random: &mut StdRng, size: usize) {
        // None, one, some, many, all but one, all.
        let counts = [0, 1, 2, random.random_range(0..=size), size.saturating_sub(1), size];
        let bad_count = counts[random.random_range(0..counts.len())].min(size);
        let bad_at = rand::seq::index::sample(random, size, bad_count).into_vec();
        // Sometimes one key signs everything: the pool's keys take turns.
        let one_key = random.random_ratio(1, 6).then(|| random.random_range(0..KEYS));
        let mut pick = || match one_key {
            Some(key) => random.random_range(0..self.good.len() / KEYS) * KEYS + key,
            None => random.random_range(0..self.good.len()),
        };
        let mut batch: Vec<_> = (0..size).map(|_| (pick(), true)).collect();
        for &index in &bad_at {
            batch[index].1 = false;
        }
        let jobs = batch.iter().map(|&(index, holds)| if holds { &self.good[index] } else { &self.bad[index] });
        let before = if random.random() { Verdict::Valid } else { Verdict::Invalid };
        let verdicts = verify(engine, self.algorithm, jobs, before);
        let refused: Vec<_> = (0..size).filter(|&index| !verdicts[index]).collect();
        let mut expected = bad_at;
        expected.sort_unstable();
        assert_eq!(refused, expected, "{} in a batch of {size}", self.algorithm);
    }
}

/// One of several ways to be bad.
fn spoiled(good: &[Job], index: usize) -> Job {
    let half = good[index].signature.len() / 2;
    good[index].with(|job| match index % 8 {
        0 => job.signature[half - 1] ^= 1,
        1 => job.signature[half] ^= 1,
        2 => match &mut job.message {
            Signed::Digest(digest) => digest[31] ^= 1,
            Signed::Bytes(bytes) => bytes.push(0),
        },
        3 => job.key = good[(index + 1) % good.len()].key.clone(),
        4 => job.signature.fill(0),
        5 => job.signature.truncate(half),
        6 => job.key[20] ^= 4,
        _ => job.signature = good[(index + KEYS) % good.len()].signature.clone(),
    })
}

/// All sizes on the best path, some on the others.
fn all_sizes(algorithm: Algorithm) {
    let pool = Pool::new(algorithm, 8 * KEYS);
    let mut random = StdRng::seed_from_u64(20_240);
    let features = features();
    let (last, others) = features.split_last().expect("there is a path");
    let engine = pool.engine(last.1);
    for size in (0..=300).chain([1024]) {
        pool.ask(&*engine, &mut random, size);
    }
    let counted = engine.counters().snapshot();
    assert!(counted.key_hits > 0 && counted.key_misses > 0, "keys with and without tables share batches");
    for (_, features) in others {
        let engine = pool.engine(*features);
        // Around the sizes of blocks.
        for size in [1, 2, 3, 15, 16, 17, 31, 63, 64, 65, 127, 128, 129, 192, 300] {
            pool.ask(&*engine, &mut random, size);
        }
    }
}

#[test]
fn secp256k1() {
    all_sizes(Algorithm::EcdsaSecp256k1);
}

#[test]
fn p256() {
    all_sizes(Algorithm::EcdsaP256);
}

#[test]
fn sm2() {
    all_sizes(Algorithm::Sm2);
}

#[test]
fn ed25519() {
    all_sizes(Algorithm::Ed25519);
}

/// A pairing takes a millisecond, so there are fewer.
#[test]
fn bls() {
    let pool = Pool::new(Algorithm::Bls12381, 2 * KEYS);
    let mut random = StdRng::seed_from_u64(20_241);
    let engine = engine(features()[0].1, Algorithm::Bls12381, 0);
    for size in (0..=16).chain([33]) {
        pool.ask(&*engine, &mut random, size);
    }
}

/// Jobs for recovery, and the signers, where there are any.
fn recoveries(random: &mut StdRng, signers: &[Box<dyn Signs>]) -> Vec<(RecoverJob, Option<Address>)> {
    let peer = Library::Libsecp256k1.peer();
    let mut pool = Vec::new();
    for index in 0..120 {
        let digest: [u8; 32] = random.random();
        let signed = signers[index % KEYS].sign_recoverable(&digest).expect("x is below the order, but once in 2^127");
        let mut job = RecoverJob { digest, signature: signed.0, odd_y: signed.1, hint: None };
        match index % 12 {
            0 => job.signature[..32].fill(0),
            1 => job.signature[32..].fill(0xff),
            2 => job.odd_y = !job.odd_y,
            3 => job.digest[31] ^= 1,
            4 => job.signature[..32].copy_from_slice(&random.random::<[u8; 32]>()),
            _ => {}
        }
        pool.push((job, recover(&peer, [job].into_iter())[0]));
    }
    pool
}

#[test]
fn recovery() {
    let mut random = StdRng::seed_from_u64(20_242);
    let signers: Vec<_> = (0..KEYS as u64).map(|seed| signer(Algorithm::EcdsaSecp256k1, seed)).collect();
    let pool = recoveries(&mut random, &signers);
    let keys: Vec<_> = signers.iter().map(|signer| signer.public_key()).collect();
    let known = &keys[..KEYS / 2];
    let narrow = narrow_tables(Algorithm::EcdsaSecp256k1, known);
    for (name, features) in features() {
        let engine = engine(features, Algorithm::EcdsaSecp256k1, narrow.bytes);
        assert_eq!(engine.prepare(Algorithm::EcdsaSecp256k1, known), KEYS / 2);
        // Odd steps, so that the paths get different sizes.
        for size in (1..=300).step_by(if features == CpuFeatures::detect() { 1 } else { 23 }).chain([1024]) {
            let batch = (0..size).map(|_| {
                let (job, signer) = *pool.choose(&mut random).expect("the pool is not empty");
                let hint = match random.random_range(0..4) {
                    0 => None,
                    1 => signer,
                    2 => Some(address(keys[random.random_range(0..KEYS)])),
                    _ => Some(random.random()),
                };
                (RecoverJob { hint, ..job }, signer)
            });
            let (jobs, expected): (Vec<_>, Vec<_>) = batch.unzip();
            assert_eq!(recover(&*engine, jobs.into_iter()), expected, "{name}: a batch of {size}");
        }
        assert!(engine.counters().snapshot().key_hits > 0, "{name}");
    }
}

#[test]
#[should_panic(expected = "one verdict per job")]
fn fewer_verdicts_than_jobs() {
    let job = &honest(Algorithm::Sm2, 1, 1)[0];
    let engine = engine(features()[0].1, Algorithm::Sm2, 0);
    let _ = engine.verify(Algorithm::Sm2, &[job.borrowed(); 2], &mut [Verdict::Invalid]);
}

#[test]
#[should_panic(expected = "one signer per job")]
fn fewer_signers_than_jobs() {
    let engine = engine(features()[0].1, Algorithm::EcdsaSecp256k1, 0);
    let job = RecoverJob { digest: [1; 32], signature: [1; 64], odd_y: false, hint: None };
    let _ = engine.recover(&[job; 2], &mut [None]);
}
