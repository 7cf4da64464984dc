//! Hashing and encrypting: who does it, and which answers are right.

use std::ops::Range;

use anyhow::{Context as _, bail, ensure};
use dolmen_accel_api::{HashAlgorithm, Hasher as _};

use super::{
    Session, Task, Team,
    args::{Choice, CipherArgs, HashArgs, distinct},
    jobs::Seed,
    race::{Set, Wrong},
    result::{Described, Entrant},
};
use crate::backends::{Backend, Cipher, Library, Seal, Tables};

/// Messages lie in this much memory, overlapping, so that reading them costs the same for all sizes.
const POOL_BYTES: usize = 1 << 20;
/// Different messages at least.
const JOBS_MIN: usize = 1024;
/// Bytes that a call may encrypt.
const CALL_BYTES_MAX: usize = 64 << 20;

/// Measures `dolmen bench hash`.
pub(super) fn hash(args: &HashArgs, session: &mut Session<'_>) -> anyhow::Result<()> {
    let libraries: Vec<_> = Library::ALL.into_iter().filter_map(|library| Some((library, library.hasher()?))).collect();
    let mut ours = Vec::new();
    for backend in args.backends.backend.iter().copied() {
        let engine = backend.engine(Tables::None)?;
        let description = engine.verifier.capabilities().description.clone();
        let hasher = engine.hasher.with_context(|| {
            format!("the engine {} has no hashes of its own; leave it out of --backend", backend.name())
        })?;
        ours.push((Described::ours(backend, description), hasher));
    }
    for algorithm in Choice::expand(&args.alg, &HashAlgorithm::ALL) {
        let peers: Vec<_> = libraries.iter().filter(|(_, hasher)| hasher.algorithms().contains(&algorithm)).collect();
        let (_, reference) = peers.first().with_context(|| format!("no library hashes by {}", algorithm.name()))?;
        for size in distinct(&args.size) {
            let jobs = session.batch_max().max(JOBS_MIN);
            let pool = Pool::make(size, session.seed());
            let messages: Vec<_> = (0..jobs).map(|job| pool.message(job)).collect();
            let mut expected = vec![[0; 32]; jobs];
            reference.hash(algorithm, &messages, &mut expected);
            let mut team = Team::new();
            for (described, hasher) in &ours {
                let messages = &messages;
                let call = move |_: Set, range: Range<usize>, digests: &mut [[u8; 32]]| {
                    hasher.hash(algorithm, &messages[range], digests);
                    Ok(())
                };
                team.push(Entrant::of(described.clone()), false, Box::new(call));
            }
            for (library, hasher) in &peers {
                let messages = &messages;
                let call = move |_: Set, range: Range<usize>, digests: &mut [[u8; 32]]| {
                    hasher.hash(algorithm, &messages[range], digests);
                    Ok(())
                };
                team.push(Entrant::of(Described::library(*library)), false, Box::new(call));
            }
            let check = |_: Set, range: Range<usize>, digests: &[[u8; 32]]| same(range, digests, &expected);
            let task = Task {
                alg: algorithm.name(),
                keys: None,
                size: Some(size),
                jobs,
                planted: false,
                blank: [0; 32],
                check: &check,
            };
            session.races(&team, &task)?;
        }
    }
    Ok(())
}

/// Measures `dolmen bench cipher`.
pub(super) fn cipher(args: &CipherArgs, session: &mut Session<'_>) -> anyhow::Result<()> {
    let key = session.seed().bytes("cipher key", 0).first_chunk().copied().expect("32 bytes hold 16");
    for cipher in Choice::expand(&args.alg, &Cipher::ALL) {
        let sealers = sealers(cipher, &args.backends.backend, &key);
        for size in distinct(&args.size) {
            let batch = session.batch_max();
            ensure!(
                batch * size <= CALL_BYTES_MAX,
                "{batch} messages of {size} bytes are more than {} MiB in a call; choose a smaller --batch or --size",
                CALL_BYTES_MAX >> 20
            );
            let jobs = batch.max(JOBS_MIN.min(CALL_BYTES_MAX / size));
            let pool = Pool::make(size, session.seed());
            let messages: Vec<_> = (0..jobs).map(|job| pool.message(job)).collect();
            let blank = vec![0; size + cipher.tag_len()];
            let mut expected = vec![blank.clone(); jobs];
            let (_, reference) = sealers.last().with_context(|| format!("nothing here has {}", cipher.name()))?;
            reference(0, &messages, &mut expected)?;
            if sealers.len() == 1 {
                cross_check(session, cipher, &key, &messages, &expected)?;
            }
            let mut team = Team::new();
            for (described, seal) in &sealers {
                let messages = &messages;
                let call = move |_: Set, range: Range<usize>, sealed: &mut [Vec<u8>]| {
                    seal(range.start as u64, &messages[range], sealed)
                };
                team.push(Entrant::of(described.clone()), false, Box::new(call));
            }
            let check = |_: Set, range: Range<usize>, sealed: &[Vec<u8>]| same(range, sealed, &expected);
            let task =
                Task { alg: cipher.name(), keys: None, size: Some(size), jobs, planted: false, blank, check: &check };
            session.races(&team, &task)?;
        }
    }
    Ok(())
}

/// Who encrypts by a cipher, the libraries last.
fn sealers(cipher: Cipher, backends: &[Backend], key: &[u8; 16]) -> Vec<(Described, Seal)> {
    let engine = |backend: &Backend| Some((Described::ours(*backend, String::new()), cipher.engine(*backend, key)?));
    let library = |library: Library| Some((Described::library(library), cipher.library(library, key)?));
    backends.iter().filter_map(engine).chain(Library::ALL.into_iter().filter_map(library)).collect()
}

/// Compares the only implementation of a mode with others' counter mode, as far as that goes.
fn cross_check(
    session: &mut Session<'_>,
    cipher: Cipher,
    key: &[u8; 16],
    messages: &[&[u8]],
    sealed: &[Vec<u8>],
) -> anyhow::Result<()> {
    let counter = cipher.counter_mode().and_then(|mode| {
        let other = |library: Library| Some((mode, library, mode.library(library, key)?));
        Library::ALL.into_iter().find_map(other)
    });
    let Some((mode, library, seal)) = counter else {
        session.note(format!("There is no second {} here: it was compared with its own first run.", cipher.name()));
        return Ok(());
    };
    let mut plain: Vec<_> = messages.iter().map(|message| vec![0; message.len()]).collect();
    seal(0, messages, &mut plain)?;
    let differs = sealed.iter().zip(&plain).position(|(sealed, plain)| sealed[..plain.len()] != **plain);
    if let Some(job) = differs {
        bail!("the only {} here differs from {library}'s {} at job {job}", cipher.name(), mode.name());
    }
    session.note(format!(
        "There is no second {} here: its ciphertexts were compared with {library}'s {}, its tags with those of its own \
         first run.",
        cipher.name(),
        mode.name(),
    ));
    Ok(())
}

/// Whether answers are the expected ones; none of them is for a bad job.
fn same<T: AsRef<[u8]>>(range: Range<usize>, answers: &[T], expected: &[T]) -> Result<usize, Wrong> {
    for (job, answer) in range.zip(answers) {
        let (answer, expected) = (answer.as_ref(), expected[job].as_ref());
        if answer != expected {
            let start = |bytes: &[u8]| alloy_primitives::hex::encode(&bytes[..bytes.len().min(32)]);
            let what = format!("it begins with {} where {} is right", start(answer), start(expected));
            return Err(Wrong { job, what });
        }
    }
    Ok(0)
}

/// Bytes that look random.
struct Pool {
    bytes: Vec<u8>,
    size: usize,
    seed: Seed,
}

impl Pool {
    fn make(size: usize, seed: Seed) -> Self {
        let len = POOL_BYTES + size;
        let bytes = (0..len.div_ceil(32)).flat_map(|block| seed.bytes("pool", block)).take(len).collect();
        Self { bytes, size, seed }
    }

    fn message(&self, job: usize) -> &[u8] {
        // Aligned, as buffers of programs are.
        let start = self.seed.below(POOL_BYTES / 64, "place in the pool", job) * 64;
        &self.bytes[start..start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_size_and_differ() {
        for size in [0, 64, 8192] {
            let pool = Pool::make(size, Seed(1));
            let messages: Vec<_> = (0..50).map(|job| pool.message(job)).collect();
            assert!(messages.iter().all(|message| message.len() == size));
            assert!(size == 0 || messages[1..].iter().any(|message| *message != messages[0]));
        }
    }

    #[test]
    fn a_differing_answer_is_named_by_its_job() {
        let expected = [[1; 32], [2; 32], [3; 32]];
        assert_eq!(same(1..3, &[[2; 32], [3; 32]], &expected).unwrap(), 0);
        let wrong = same(1..3, &[[2; 32], [4; 32]], &expected).unwrap_err();
        assert_eq!(wrong.job, 2);
        assert!(wrong.what.contains("0404") && wrong.what.contains("0303"), "{}", wrong.what);
    }
}
