//! Signatures to check, made by libraries before the measurement, and bad ones planted among copies of them.

use std::collections::HashMap;

use alloy_primitives::keccak256;
use anyhow::{Context as _, ensure};
use dolmen_accel_api::{Address, Algorithm, BatchVerifier, Message, RecoverJob, Verdict, VerifyJob};
use rayon::prelude::*;

use super::race::{PLANTED_EVERY, Set};
use crate::backends::{self, Signs};

/// Keys that are called unknown: so many that none comes again soon.
const UNKNOWN_KEYS: usize = 4096;
/// Messages have 32 to 128 bytes.
const MESSAGE_LEN_MIN: usize = 32;
const MESSAGE_LEN_MAX: usize = 128;

/// Jobs of a set at least, so that the same ones do not come again while they are in a cache of the processor.
fn jobs_min(algorithm: Algorithm) -> usize {
    match algorithm {
        // Slow to sign, and too slow to verify for a cache to matter.
        Algorithm::Bls12381 => 2048,
        _ => 8192,
    }
}

/// Numbers that look random and are the same for the same seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    /// 32 bytes for a purpose.
    pub(super) fn bytes(self, purpose: &str, index: usize) -> [u8; 32] {
        keccak256([&self.0.to_be_bytes(), purpose.as_bytes(), &index.to_be_bytes()].concat()).0
    }

    /// A number below `bound` for a purpose.
    pub(super) fn below(self, bound: usize, purpose: &str, index: usize) -> usize {
        let [a, b, c, d, ..] = self.bytes(purpose, index);
        u32::from_be_bytes([a, b, c, d]) as usize % bound
    }
}

/// Which of each eight jobs is bad, and how.
struct Plan {
    seed: Seed,
}

impl Plan {
    /// How job `index` is made bad; `None` where it is left as it is.
    fn fault(&self, index: usize, faults: usize) -> Option<usize> {
        let group = index / PLANTED_EVERY;
        let at = self.seed.below(PLANTED_EVERY, "place", group);
        (index % PLANTED_EVERY == at).then(|| self.seed.below(faults, "fault", group))
    }

    /// Flips a bit of `bytes`.
    fn flip(&self, bytes: &mut [u8], index: usize) {
        let bit = self.seed.below(bytes.len() * 8, "bit", index);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Keys that sign.
pub(super) struct Signers(Vec<Box<dyn Signs>>);

impl Signers {
    /// Makes `count` keys; of more keys, the first are the same.
    pub(super) fn make(
        count: usize,
        algorithm: Algorithm,
        seed: Seed,
        make: impl Fn(&[u8; 32]) -> anyhow::Result<Box<dyn Signs>> + Sync,
    ) -> anyhow::Result<Self> {
        let purpose = format!("{algorithm} key");
        let signer = |index| {
            let mut secret = seed.bytes(&purpose, index);
            // Below the order of every curve, and never zero.
            secret[0] = 0;
            secret[31] |= 1;
            make(&secret).with_context(|| format!("make key {index} of {algorithm}"))
        };
        (0..count).into_par_iter().map(signer).collect::<anyhow::Result<_>>().map(Self)
    }

    /// The signer whose turn it is at `job`.
    pub(super) fn of(&self, job: usize, seed: Seed) -> usize {
        seed.below(self.0.len(), "signer", job)
    }

    pub(super) fn get(&self, index: usize) -> &dyn Signs {
        &*self.0[index]
    }

    pub(super) fn public_keys(&self) -> Vec<Vec<u8>> {
        self.0.iter().map(|signer| signer.public_key().to_vec()).collect()
    }
}

/// What is signed: a digest where transactions have one, bytes elsewhere.
#[derive(Clone, Debug)]
pub(super) enum Signed {
    Digest([u8; 32]),
    Bytes(Vec<u8>),
}

impl Signed {
    pub(super) fn make(algorithm: Algorithm, seed: Seed, job: usize) -> Self {
        if algorithm == Algorithm::EcdsaSecp256k1 {
            return Self::Digest(seed.bytes("digest", job));
        }
        let len = MESSAGE_LEN_MIN + seed.below(MESSAGE_LEN_MAX - MESSAGE_LEN_MIN + 1, "length", job);
        let blocks = (0..len.div_ceil(32)).flat_map(|block| seed.bytes("message", job * 4 + block));
        Self::Bytes(blocks.take(len).collect())
    }

    pub(super) fn message(&self) -> Message<'_> {
        match self {
            Self::Digest(digest) => Message::Digest(digest),
            Self::Bytes(bytes) => Message::Bytes(bytes),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Digest(digest) => digest,
            Self::Bytes(bytes) => bytes,
        }
    }
}

#[derive(Clone, Debug)]
struct Job {
    key: usize,
    signed: Signed,
    signature: Vec<u8>,
}

/// Signatures to verify.
pub(super) struct VerifySet {
    keys: Vec<Vec<u8>>,
    good: Vec<Job>,
    /// In place of good ones, by index.
    bad: HashMap<usize, Job>,
}

impl VerifySet {
    /// Signs with `keys` keys, or with many where it is zero; at least `batch` jobs.
    pub(super) fn make(algorithm: Algorithm, keys: usize, batch: usize, seed: Seed) -> anyhow::Result<Self> {
        let count = if keys == 0 { UNKNOWN_KEYS } else { keys };
        let signers = Signers::make(count, algorithm, seed, |secret| backends::signer(algorithm, secret))?;
        let jobs = jobs_min(algorithm).max(batch);
        let job = |index| {
            let (key, signed) = (signers.of(index, seed), Signed::make(algorithm, seed, index));
            let signature = signers.get(key).sign(signed.message());
            Job { key, signed, signature }
        };
        let good: Vec<_> = (0..jobs).into_par_iter().map(job).collect();
        let plan = Plan { seed };
        let bad = (0..jobs).filter_map(|index| Some((index, spoil(&plan, &good, index, count)?))).collect();
        Ok(Self { keys: signers.public_keys(), good, bad })
    }

    pub(super) fn len(&self) -> usize {
        self.good.len()
    }

    pub(super) fn keys(&self) -> Vec<&[u8]> {
        self.keys.iter().map(Vec::as_slice).collect()
    }

    /// The jobs of a set.
    pub(super) fn jobs(&self, set: Set) -> Vec<VerifyJob<'_>> {
        let job = |(index, good)| {
            let Job { key, signed, signature } = match set {
                Set::Good => good,
                Set::Planted => self.bad.get(&index).unwrap_or(good),
            };
            VerifyJob { key: &self.keys[*key], message: signed.message(), signature }
        };
        self.good.iter().enumerate().map(job).collect()
    }

    /// What is right to say of a job.
    pub(super) fn expected(&self, set: Set, job: usize) -> Verdict {
        Verdict::from(!self.is_bad(set, job))
    }

    /// Whether a job was spoilt.
    pub(super) fn is_bad(&self, set: Set, job: usize) -> bool {
        set == Set::Planted && self.bad.contains_key(&job)
    }
}

/// A bad copy of a job whose turn it is to have one.
fn spoil(plan: &Plan, good: &[Job], index: usize, keys: usize) -> Option<Job> {
    let mut job = good[index].clone();
    let half = job.signature.len() / 2;
    match plan.fault(index, 5)? {
        0 => plan.flip(&mut job.signature[..half], index),
        1 => plan.flip(&mut job.signature[half..], index),
        2 => job.signature.fill(0),
        3 if keys > 1 => job.key = (job.key + 1 + plan.seed.below(keys - 1, "other key", index)) % keys,
        _ => plan.flip(job.signed.bytes_mut(), index),
    }
    Some(job)
}

/// Signatures whose signers are wanted.
pub(super) struct RecoverSet {
    keys: Vec<Vec<u8>>,
    good: Side,
    planted: Side,
}

/// Jobs with their answers.
struct Side {
    jobs: Vec<RecoverJob>,
    signers: Vec<Option<Address>>,
}

impl RecoverSet {
    /// Signs with `keys` keys and gives hints, or with many and without hints where it is zero. `reference` says who
    /// signed what the planted jobs were made into.
    pub(super) fn make(keys: usize, batch: usize, seed: Seed, reference: &dyn BatchVerifier) -> anyhow::Result<Self> {
        let algorithm = Algorithm::EcdsaSecp256k1;
        let count = if keys == 0 { UNKNOWN_KEYS } else { keys };
        let signers = Signers::make(count, algorithm, seed, |secret| backends::signer(algorithm, secret))?;
        let public_keys = signers.public_keys();
        let addresses: Vec<_> = public_keys.iter().map(|key| address(key)).collect();
        let jobs = jobs_min(algorithm).max(batch);
        let job = |index| {
            let (signer, digest) = (signers.of(index, seed), seed.bytes("digest", index));
            let signed = signers.get(signer).sign_recoverable(&digest);
            let (signature, odd_y) = signed.context("the library made a signature without recovery")?;
            let hint = (keys > 0).then_some(addresses[signer]);
            Ok((RecoverJob { digest, signature, odd_y, hint }, Some(addresses[signer])))
        };
        let (jobs, signers): (Vec<_>, Vec<_>) =
            (0..jobs).into_par_iter().map(job).collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
        let plan = Plan { seed };
        let spoiled: Vec<_> = jobs.iter().enumerate().map(|(index, job)| misguide(&plan, job, index)).collect();
        let mut others = vec![None; jobs.len()];
        reference.recover(&spoiled, &mut others).context("recover the signers of planted jobs")?;
        for (index, (job, spoiled)) in jobs.iter().zip(&spoiled).enumerate() {
            // A wrong hint changes no result; everything else that is planted does.
            let same = RecoverJob { hint: job.hint, ..*spoiled } == *job;
            ensure!(same == (signers[index] == others[index]), "planted recovery {index} has an unexpected signer");
        }
        let (good, planted) = (Side { jobs, signers }, Side { jobs: spoiled, signers: others });
        Ok(Self { keys: public_keys, good, planted })
    }

    pub(super) fn len(&self) -> usize {
        self.good.jobs.len()
    }

    pub(super) fn keys(&self) -> Vec<&[u8]> {
        self.keys.iter().map(Vec::as_slice).collect()
    }

    /// The jobs of a set.
    pub(super) fn jobs(&self, set: Set) -> &[RecoverJob] {
        &self.side(set).jobs
    }

    /// Who signed a job.
    pub(super) fn expected(&self, set: Set, job: usize) -> Option<Address> {
        self.side(set).signers[job]
    }

    /// Whether a job was spoilt.
    pub(super) fn is_bad(&self, set: Set, job: usize) -> bool {
        self.side(set).jobs[job] != self.good.jobs[job]
    }

    fn side(&self, set: Set) -> &Side {
        match set {
            Set::Good => &self.good,
            Set::Planted => &self.planted,
        }
    }
}

/// The job, changed where its turn has come: another signer, none, or a wrong hint.
fn misguide(plan: &Plan, job: &RecoverJob, index: usize) -> RecoverJob {
    let mut job = *job;
    match plan.fault(index, 5) {
        Some(0) => job.digest[0] ^= 1,
        Some(1) => job.odd_y = !job.odd_y,
        Some(2) => job.signature[..32].fill(0),
        // Above half the order, and above the order.
        Some(3) => job.signature[32..].fill(0xff),
        Some(_) => job.hint = job.hint.map(|address| address.map(|byte| !byte)),
        None => {}
    }
    job
}

/// The last 20 bytes of the key's Keccak-256.
fn address(key: &[u8]) -> Address {
    let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = keccak256(key).0;
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::{Backend, Tables};

    const SEED: Seed = Seed(7);

    #[test]
    fn one_job_in_eight_is_bad_at_changing_places_and_a_library_finds_each() {
        let engine = Backend::Off.engine(Tables::None).unwrap();
        for algorithm in Algorithm::ALL {
            let set = VerifySet::make(algorithm, 3, 0, SEED).unwrap();
            let jobs = set.jobs(Set::Planted);
            let some = 64.min(jobs.len());
            let mut verdicts = vec![Verdict::Invalid; some];
            engine.verifier.verify(algorithm, &jobs[..some], &mut verdicts).unwrap();
            let expected: Vec<_> = (0..some).map(|job| set.expected(Set::Planted, job)).collect();
            assert_eq!(verdicts, expected, "{algorithm}");
            let bad: Vec<_> = (0..some).filter(|job| !expected[*job].is_valid()).collect();
            assert_eq!(bad.len(), some / PLANTED_EVERY, "{algorithm}: {bad:?}");
            let places: std::collections::HashSet<_> = bad.iter().map(|job| job % PLANTED_EVERY).collect();
            assert!(places.len() > 1, "{algorithm}: all at one place, {bad:?}");

            engine.verifier.verify(algorithm, &set.jobs(Set::Good)[..some], &mut verdicts).unwrap();
            assert!(verdicts.iter().all(|verdict| verdict.is_valid()), "{algorithm}: a good job is bad");
        }
    }

    #[test]
    fn a_seed_gives_the_same_jobs_and_more_keys_begin_with_the_same() {
        let algorithm = Algorithm::EcdsaP256;
        let (one, same) =
            (VerifySet::make(algorithm, 2, 0, SEED).unwrap(), VerifySet::make(algorithm, 2, 0, SEED).unwrap());
        let first = |set: &VerifySet| format!("{:?}", set.jobs(Set::Planted)[..16].to_vec());
        assert_eq!(first(&one), first(&same));
        let other = VerifySet::make(algorithm, 2, 0, Seed(8)).unwrap();
        assert_ne!(first(&one), first(&other));
        let more = VerifySet::make(algorithm, 5, 0, SEED).unwrap();
        assert_eq!(more.keys()[..2], one.keys());
    }

    #[test]
    fn messages_have_all_lengths_and_transactions_a_digest() {
        let lengths: Vec<_> = (0..2000)
            .map(|job| match Signed::make(Algorithm::Sm2, SEED, job) {
                Signed::Bytes(bytes) => bytes.len(),
                Signed::Digest(_) => panic!("a digest"),
            })
            .collect();
        assert_eq!(lengths.iter().min(), Some(&MESSAGE_LEN_MIN));
        assert_eq!(lengths.iter().max(), Some(&MESSAGE_LEN_MAX));
        assert!(matches!(Signed::make(Algorithm::EcdsaSecp256k1, SEED, 0), Signed::Digest(_)));
    }

    #[test]
    fn recoveries_have_hints_or_none_and_planted_ones_have_other_signers() {
        let engine = Backend::Off.engine(Tables::None).unwrap();
        for keys in [2, 0] {
            let set = RecoverSet::make(keys, 0, SEED, &*engine.verifier).unwrap();
            assert!(set.jobs(Set::Good).iter().all(|job| job.hint.is_some() == (keys > 0)));
            let signer = |set_of, job| set.expected(set_of, job);
            let differ = (0..set.len()).filter(|job| signer(Set::Good, *job) != signer(Set::Planted, *job)).count();
            // Four kinds of five change the signer, one only the hint.
            let share = differ as f64 / (set.len() / PLANTED_EVERY) as f64;
            assert!((0.7..0.9).contains(&share), "{share}");
            let none = (0..set.len()).filter(|job| signer(Set::Planted, *job).is_none()).count();
            assert!(none > 0 && none < differ, "{none} without signer of {differ}");
        }
    }
}
