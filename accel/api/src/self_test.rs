//! Known answers that every engine must give before it is used.
//!
//! The answers come from the standards themselves, so an engine that shares an error with ours fails too. Each is asked
//! again with a bit flipped, a number out of range or a byte missing, in batches of several sizes with the bad ones
//! among the good ones, and all of it twice: with keys that the engine has not seen, and with the same keys prepared.
//! It takes a fraction of a second on one core.

mod answers;

use crate::{Algorithm, BatchVerifier, EngineError, HashAlgorithm, Hasher, Message, RecoverJob, Verdict, VerifyJob};
use answers::{AGGREGATE, Answer, HASHES, RECOVERY};

/// Asks an engine everything that it says it can do. It leaves the keys of the answers prepared.
///
/// # Errors
///
/// [`EngineError::SelfTest`] if an answer is wrong; whatever the engine itself failed with.
pub fn run(engine: &dyn BatchVerifier) -> Result<(), EngineError> {
    run_published(engine)?;
    for &algorithm in &engine.capabilities().algorithms {
        let corners = answers::corners(algorithm);
        check(engine, algorithm, &corners.iter().map(Answer::lane).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// As [`run`], without the corners where the rules of libraries differ (at [`Algorithm`] they do not): for engines that
/// are only compared with.
///
/// # Errors
///
/// As [`run`].
pub fn run_published(engine: &dyn BatchVerifier) -> Result<(), EngineError> {
    for &algorithm in &engine.capabilities().algorithms {
        let answers = answers::published(algorithm);
        let corrupted: Vec<_> = answers.iter().flat_map(|answer| answer.corrupted(algorithm)).collect();
        // A good one, two bad ones, and so on.
        let good = answers.iter().cycle();
        let lanes =
            corrupted.chunks(2).zip(good).flat_map(|(bad, good)| [good].into_iter().chain(bad)).map(Answer::lane);
        check(engine, algorithm, &lanes.collect::<Vec<_>>())?;
        match algorithm {
            Algorithm::EcdsaSecp256k1 => recover(engine)?,
            Algorithm::Bls12381 => aggregate(engine)?,
            Algorithm::EcdsaP256 | Algorithm::Sm2 | Algorithm::Ed25519 => {}
        }
    }
    Ok(())
}

/// Asks for the digests of messages of every length up to three blocks and more, alone and in one batch.
///
/// # Errors
///
/// [`EngineError::SelfTest`] if a digest is wrong.
pub fn run_hasher(engine: &'static str, hasher: &dyn Hasher) -> Result<(), EngineError> {
    HashAlgorithm::ALL.into_iter().try_for_each(|algorithm| run_hash(engine, hasher, algorithm))
}

/// As [`run_hasher`], for one algorithm.
///
/// # Errors
///
/// As [`run_hasher`].
pub fn run_hash(engine: &'static str, hasher: &dyn Hasher, algorithm: HashAlgorithm) -> Result<(), EngineError> {
    let failed = || EngineError::SelfTest { engine, subject: algorithm.name() };
    for hash in HASHES.iter().filter(|hash| hash.algorithm == algorithm) {
        let mut digest = [[0; 32]];
        hasher.hash(algorithm, &[&hash.message.repeat(hash.times)], &mut digest);
        (digest == [hash.digest]).then_some(()).ok_or_else(failed)?;
    }
    // A digest of digests: every length once, so every way in which the padding can fall into blocks.
    let bytes: [u8; answers::LENGTHS] = std::array::from_fn(|index| u8::try_from(index % 251).unwrap_or(0));
    let messages: Vec<&[u8]> = (0..=bytes.len()).map(|length| &bytes[..length]).collect();
    let mut digests = vec![[0; 32]; messages.len()];
    hasher.hash(algorithm, &messages, &mut digests);
    let mut digest = [[0; 32]];
    hasher.hash(algorithm, &[&digests.concat()], &mut digest);
    (digest == [answers::of_all_lengths(algorithm)]).then_some(()).ok_or_else(failed)
}

/// Asks for `lanes`, one by one and in one batch, then in threes and in one batch with their keys prepared.
fn check(
    engine: &dyn BatchVerifier,
    algorithm: Algorithm,
    lanes: &[(VerifyJob<'_>, Verdict)],
) -> Result<(), EngineError> {
    let keys: Vec<&[u8]> = lanes.iter().map(|(job, _)| job.key).collect();
    for (prepared, size) in [(false, 1), (true, 3)] {
        if prepared {
            engine.keys().prepare(algorithm, &keys);
            engine.keys().settle();
        }
        for size in [size, lanes.len().max(1)] {
            for chunk in lanes.chunks(size) {
                let (jobs, expected): (Vec<_>, Vec<_>) = chunk.iter().copied().unzip();
                // What is there already must not show through, whatever the verdict is.
                let mut verdicts: Vec<_> = expected.iter().map(|verdict| (!verdict.is_valid()).into()).collect();
                engine.verify(algorithm, &jobs, &mut verdicts)?;
                if verdicts != expected {
                    return Err(failed(engine, algorithm));
                }
            }
        }
    }
    Ok(())
}

/// Asks for signers, with right, wrong and no hints. An engine that has no recovery may say so.
fn recover(engine: &dyn BatchVerifier) -> Result<(), EngineError> {
    let (job, signer) = RECOVERY;
    let altered = |alter: fn(&mut RecoverJob)| {
        let mut job = job;
        alter(&mut job);
        job
    };
    let right = |signer: &Option<_>| *signer == Some(RECOVERY.1);
    // Another signer, or none: which of the two a flipped bit makes is not for us to say.
    let other = |signer: &Option<_>| *signer != Some(RECOVERY.1);
    let none = |signer: &Option<_>| signer.is_none();
    type Expectation = fn(&Option<crate::Address>) -> bool;
    let asked: [(RecoverJob, Expectation); 9] = [
        (job, right),
        (altered(|job| job.digest[31] ^= 1), other),
        (RecoverJob { hint: Some(signer), ..job }, right),
        (altered(|job| job.odd_y = true), other),
        (RecoverJob { hint: Some([7; 20]), ..job }, right),
        (altered(|job| job.signature[..32].fill(0)), none),
        (altered(|job| job.signature[32..].fill(0)), none),
        (altered(|job| answers::negate_s(Algorithm::EcdsaSecp256k1, &mut job.signature)), none),
        (altered(|job| job.signature[..32].fill(0xff)), none),
    ];
    for size in [1, 4, asked.len()] {
        for chunk in asked.chunks(size) {
            let jobs: Vec<_> = chunk.iter().map(|(job, _)| *job).collect();
            let mut signers = vec![Some([9; 20]); jobs.len()];
            match engine.recover(&jobs, &mut signers) {
                Err(EngineError::Unsupported { .. }) => return Ok(()),
                outcome => outcome?,
            }
            if !chunk.iter().zip(&signers).all(|((_, expected), signer)| expected(signer)) {
                return Err(failed(engine, Algorithm::EcdsaSecp256k1));
            }
        }
    }
    Ok(())
}

/// Asks for an aggregate signature, also with a key too few, a key twice, and none. An engine may have no aggregates.
fn aggregate(engine: &dyn BatchVerifier) -> Result<(), EngineError> {
    let [first, second, third] = AGGREGATE.keys;
    let tampered = AGGREGATE.tampered();
    type Question<'a> = (&'a [&'a [u8]], &'a [u8], &'a [u8], bool);
    let asked: [Question<'_>; 7] = [
        (&[first, second, third], AGGREGATE.message, AGGREGATE.signature, true),
        (&[third, first, second], AGGREGATE.message, AGGREGATE.signature, true),
        (&[first, second], AGGREGATE.message, AGGREGATE.signature, false),
        (&[first, second, third, third], AGGREGATE.message, AGGREGATE.signature, false),
        (&[first, second, third], b"another message", AGGREGATE.signature, false),
        (&[first, second, third], AGGREGATE.message, &tampered, false),
        (&[], AGGREGATE.message, AGGREGATE.signature, false),
    ];
    for (keys, message, signature, holds) in asked {
        let verdict = match engine.verify_aggregate(keys, message, signature) {
            Err(EngineError::Unsupported { .. }) => return Ok(()),
            verdict => verdict?,
        };
        if verdict.is_valid() != holds {
            return Err(failed(engine, Algorithm::Bls12381));
        }
    }
    Ok(())
}

fn failed(engine: &dyn BatchVerifier, algorithm: Algorithm) -> EngineError {
    EngineError::SelfTest { engine: engine.capabilities().name, subject: algorithm.name() }
}

impl Answer {
    fn lane(&self) -> (VerifyJob<'_>, Verdict) {
        let message = match &self.message {
            answers::Signed::Digest(digest) => Message::Digest(digest),
            answers::Signed::Bytes(bytes) => Message::Bytes(bytes),
        };
        (VerifyJob { key: &self.key, message, signature: &self.signature }, self.holds.into())
    }
}
