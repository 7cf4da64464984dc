//! BLS: batches of random composition, against blst one by one. There is no second library, and a pairing takes a
//! millisecond, so there are few.

use std::slice;

use dolmen_accel_api::{Algorithm, Verdict};
use dolmen_accel_library::Library;
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

use super::Settings;
use crate::{
    paths::{engine, features},
    support::{Job, Signed, honest, verify},
};

const ALGORITHM: Algorithm = Algorithm::Bls12381;
/// Cases of all algorithms for each batch here.
const CASES_PER_BATCH: u64 = 100_000;

fn altered(random: &mut StdRng, pool: &[Job]) -> Job {
    let (job, other) = (pool.choose(random).expect("a pool"), pool.choose(random).expect("a pool"));
    job.with(|job| match random.random_range(0..12) {
        0 => job.key = other.key.clone(),
        1 => job.message = other.message.clone(),
        2 => job.signature = other.signature.clone(),
        3 => job.signature[random.random_range(0..96)] ^= 1 << random.random_range(0..8),
        4 => job.key[random.random_range(0..48)] ^= 1 << random.random_range(0..8),
        // The negative of a point.
        5 => job.signature[0] ^= 0x20,
        6 => match &mut job.message {
            Signed::Digest(digest) => digest[0] ^= 1,
            Signed::Bytes(bytes) => bytes.push(1),
        },
        _ => {}
    })
}

#[test]
fn all() {
    let settings = Settings::of(100);
    let ours = engine(features()[0].1, ALGORITHM, 0);
    let blst = Library::Blst.peer();
    let pool = honest(ALGORITHM, 4, 24);
    let batches = (settings.rounds * super::ROUND as u64).div_ceil(CASES_PER_BATCH);
    for batch in 0..batches {
        let mut random = settings.random(ALGORITHM as u8, batch);
        let size = random.random_range(1..12);
        let jobs: Vec<_> = (0..size).map(|_| altered(&mut random, &pool)).collect();
        let one_by_one = jobs.iter().flat_map(|job| verify(&blst, ALGORITHM, slice::from_ref(job), Verdict::Invalid));
        let expected: Vec<_> = one_by_one.collect();
        let verdicts = verify(&*ours, ALGORITHM, &jobs, Verdict::Valid);
        assert_eq!(verdicts, expected, "seed {}, batch {batch}: {jobs:?}", settings.seed);
    }
}
