//! Cases of ECDSA and SM2. Keys are multiples of `G` with structured scalars, so that entries of the tables of `G` and of
//! the key are often equal or opposite; so are the scalars `g` and `q` of `[g]G + [q]Q`.

use dolmen_accel_api::{Algorithm, RecoverJob};
use dolmen_accel_library::{Library, Signs};
use k256::elliptic_curve::{AffinePoint, CurveGroup as _, Field as _, ProjectivePoint, Scalar, group::Group as _};
use rand::{Rng as _, RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{
    EPOCH, Judge, ROUND, Settings, Tested,
    alter::{Moduli, alter},
    judge::KNOWN,
    scalars::{Structured, structured},
};
use crate::{
    curve::{Curve, Equation, bytes, invert, key_bytes, multiple, odd_y, reduce, scalar, x},
    support::{Job, Signed, address, hex_array, number},
};

/// Keys that never get a table by being asked for; some earn one.
const UNKNOWN: usize = 64;
/// Scalars whose multiples are kept, of `G` and of each key.
const MULTIPLES_OF_G: usize = 384;
const MULTIPLES: usize = 16;
/// The first so many multiples of `G` are small.
const SMALL: i64 = 24;
/// Keys that sign honestly.
const SIGNERS: usize = 8;

/// A point whose scalar is known.
struct Multiple<C: Curve> {
    scalar: Scalar<C>,
    point: ProjectivePoint<C>,
}

impl<C: Curve> Multiple<C> {
    fn of_g(scalar: Scalar<C>) -> Self {
        Self { scalar, point: multiple::<C>(&scalar) }
    }
}

struct Key<C: Curve> {
    secret: Scalar<C>,
    bytes: [u8; 64],
    /// Of the key's point, with the inverses of the scalars.
    multiples: Vec<(Multiple<C>, Scalar<C>)>,
}

/// A structured scalar. With an endomorphism, sometimes one whose halves are small.
fn structured_scalar<C: Curve>(random: &mut StdRng) -> Scalar<C> {
    let Structured { number: digits, negate, invert } = structured(random);
    let scalar = reduce::<C>(&digits);
    let inverse = invert.then(|| scalar.invert().into_option()).flatten();
    let scalar = inverse.unwrap_or(scalar);
    let scalar = if negate { -scalar } else { scalar };
    let Some(lambda) = C::LAMBDA.filter(|_| random.random_ratio(1, 6)) else { return scalar };
    let mut small = || reduce::<C>(&number(random.random::<u64>() >> random.random_range(0..64)));
    scalar * small() + reduce::<C>(&hex_array(lambda)) * small()
}

/// A structured scalar that is not zero.
fn nonzero<C: Curve>(random: &mut StdRng) -> Scalar<C> {
    let scalar = structured_scalar::<C>(random);
    if bool::from(scalar.is_zero()) { Scalar::<C>::ONE } else { scalar }
}

impl<C: Curve> Key<C> {
    /// The keys with these secrets.
    fn all(secrets: &[Scalar<C>]) -> Vec<Self> {
        let points: Vec<_> = secrets.iter().map(multiple::<C>).collect();
        let points = affine::<C>(&points);
        let key = |(secret, point): (&Scalar<C>, &AffinePoint<C>)| Self {
            secret: *secret,
            bytes: key_bytes::<C>(point),
            multiples: Vec::new(),
        };
        secrets.iter().zip(&points).map(key).collect()
    }

    fn choose_multiples(&mut self, random: &mut StdRng) {
        self.multiples.clear();
        for _ in 0..MULTIPLES {
            let scalar = nonzero::<C>(random);
            let point = multiple::<C>(&(scalar * self.secret));
            self.multiples.push((Multiple { scalar, point }, invert::<C>(&scalar)));
        }
    }
}

fn affine<C: Curve>(points: &[ProjectivePoint<C>]) -> Vec<AffinePoint<C>> {
    let mut affine = vec![AffinePoint::<C>::default(); points.len()];
    ProjectivePoint::<C>::batch_normalize(points, &mut affine);
    affine
}

/// What cases are made of.
struct Forger<C: Curve> {
    moduli: Moduli,
    of_g: Vec<Multiple<C>>,
    /// The first [`KNOWN`] stay, the others change from epoch to epoch.
    keys: Vec<Key<C>>,
    signers: Vec<Box<dyn Signs>>,
    honest: Vec<Job>,
}

/// A case before its sum is affine.
struct Plan<C: Curve> {
    key: [u8; 64],
    g: Scalar<C>,
    q: Scalar<C>,
    q_inverse: Scalar<C>,
    sum: ProjectivePoint<C>,
}

impl<C: Curve> Forger<C> {
    fn new(settings: &Settings, libraries: [Library; 2]) -> Self {
        let mut random = settings.random(C::ALGORITHM as u8, u64::MAX);
        let secrets: Vec<_> = (0..KNOWN)
            .map(|index| match index {
                // Every width of tables gets some of the closest relatives of G.
                0 | 4 | 14 | 34 => scalar::<C>(1),
                1 | 5 | 15 | 35 => scalar::<C>(-1),
                2 | 6 | 16 | 36 => scalar::<C>(2),
                _ => nonzero::<C>(&mut random),
            })
            .collect();
        // No key twice: it would count once.
        let mut keys = Key::all(&secrets);
        for index in 0..keys.len() {
            while keys[..index].iter().any(|key| key.bytes == keys[index].bytes) {
                let mut fresh = [0; 32];
                random.fill_bytes(&mut fresh);
                keys[index] = Key::all(&[reduce::<C>(&fresh)]).remove(0);
            }
        }
        let signers = keys.iter().rev().take(4 * SIGNERS).enumerate().filter_map(|(index, key)| {
            let library = libraries[index % 2];
            library.signer(C::ALGORITHM, &bytes::<C>(&key.secret)).ok()
        });
        let signers: Vec<_> = signers.take(SIGNERS).collect();
        assert!(!signers.is_empty(), "somebody signs");
        Self { moduli: Moduli::of::<C>(), of_g: Vec::new(), keys, signers, honest: Vec::new() }
    }

    fn known(&self) -> Vec<Vec<u8>> {
        self.keys[..KNOWN].iter().map(|key| key.bytes.to_vec()).collect()
    }

    fn begin_epoch(&mut self, random: &mut StdRng) {
        let small = (0..SMALL).flat_map(|small| [scalar::<C>(small), scalar::<C>(-small)]);
        self.of_g = small.map(Multiple::of_g).collect();
        while self.of_g.len() < MULTIPLES_OF_G {
            self.of_g.push(Multiple::of_g(structured_scalar::<C>(random)));
        }
        self.keys.truncate(KNOWN);
        let fresh: Vec<_> = (0..UNKNOWN).map(|_| nonzero::<C>(random)).collect();
        self.keys.extend(Key::all(&fresh));
        for key in &mut self.keys {
            key.choose_multiples(random);
        }
        self.honest = (0..200).map(|index| honest(&*self.signers[index % self.signers.len()], random)).collect();
    }

    /// Keys with wide tables are few, so they come more often.
    fn key(&self, random: &mut StdRng) -> &Key<C> {
        let range = match random.random_range(0..4) {
            0 => 0..34,
            1 | 2 => 0..KNOWN,
            _ => KNOWN..self.keys.len(),
        };
        &self.keys[random.random_range(range)]
    }

    fn plan(&self, random: &mut StdRng) -> Plan<C> {
        match random.random_range(0..16) {
            0 => {
                // All of it fresh.
                let (secret, q, g) = (nonzero::<C>(random), nonzero::<C>(random), structured_scalar::<C>(random));
                let key = key_bytes::<C>(&multiple::<C>(&secret).to_affine());
                Plan { key, g, q, q_inverse: invert::<C>(&q), sum: multiple::<C>(&(g + q * secret)) }
            }
            1 | 2 => {
                // The sum is a small multiple of G, or the identity.
                let key = self.key(random);
                let (q, q_inverse) = key.multiples.choose(random).expect("every key has some");
                let sum = &self.of_g[random.random_range(0..2 * usize::try_from(SMALL).expect("it is small"))];
                let g = sum.scalar - q.scalar * key.secret;
                Plan { key: key.bytes, g, q: q.scalar, q_inverse: *q_inverse, sum: sum.point }
            }
            3 => {
                // The terms are one point: g = q d.
                let key = self.key(random);
                let (q, q_inverse) = key.multiples.choose(random).expect("every key has some");
                Plan {
                    key: key.bytes,
                    g: q.scalar * key.secret,
                    q: q.scalar,
                    q_inverse: *q_inverse,
                    sum: q.point.double(),
                }
            }
            _ => {
                let key = self.key(random);
                let g = self.of_g.choose(random).expect("there are some");
                let (q, q_inverse) = key.multiples.choose(random).expect("every key has some");
                Plan { key: key.bytes, g: g.scalar, q: q.scalar, q_inverse: *q_inverse, sum: g.point + q.point }
            }
        }
    }

    /// Forged cases; fewer than `count`, for some have a number that may not be zero.
    fn forged(&self, random: &mut StdRng, count: usize) -> Vec<Tested> {
        let plans: Vec<_> = (0..count).map(|_| self.plan(random)).collect();
        let sums: Vec<_> = plans.iter().map(|plan| plan.sum).collect();
        let sums = affine::<C>(&sums);
        let tested = |(plan, sum): (Plan<C>, &AffinePoint<C>)| {
            let Plan { key, g, q, q_inverse, .. } = plan;
            let is_identity = bool::from(plan.sum.is_identity());
            // The identity has no coordinate: any is wrong.
            let (x, odd_y) = match is_identity {
                true => (scalar::<C>(random.random_range(0..3)), false),
                false => (x::<C>(sum), odd_y::<C>(sum)),
            };
            let forged = C::forge(&Equation { g, q, q_inverse, x, odd_y })?;
            Some(Tested { odd_y: forged.odd_y, ..Tested::new(forged.job(&key), !is_identity) })
        };
        plans.into_iter().zip(&sums).filter_map(tested).collect()
    }

    fn round(&self, random: &mut StdRng) -> Vec<Tested> {
        let mut cases = self.forged(random, ROUND);
        // Too few, by the zeros: honest ones fill up.
        cases.resize_with(ROUND, || Tested::new(self.honest[0].clone(), true));
        for case in &mut cases {
            if random.random_ratio(1, 12) {
                *case = Tested::new(self.honest.choose(random).expect("there are some").clone(), true);
            }
            if random.random_ratio(1, 4) {
                let other = self.keys.choose(random).expect("there are some").bytes;
                alter(random, &self.moduli, &mut case.job, &other);
                case.holds = None;
            }
        }
        cases
    }
}

/// An honest signature of a message of random length.
fn honest(signer: &dyn Signs, random: &mut StdRng) -> Job {
    let mut message = vec![0; random.random_range(0..300)];
    random.fill_bytes(&mut message);
    let mut job = Job::bytes(signer.public_key(), &message, &[]);
    job.signature = signer.sign(job.borrowed().message);
    job
}

/// What one could ask of the cases: who signed, with all kinds of hints.
fn recoveries(random: &mut StdRng, keys: &[Vec<u8>], cases: &[Tested]) -> Vec<RecoverJob> {
    let job = |case: &Tested| {
        let Signed::Digest(digest) = case.job.message else { return None };
        let signature = case.job.signature[..].try_into().ok()?;
        let hint = match random.random_range(0..6) {
            0 => None,
            1 => Some(random.random()),
            2 => Some(address(keys.choose(random)?)),
            _ => Some(address(&case.job.key)),
        };
        let odd_y = case.odd_y != random.random_ratio(1, 6);
        Some(RecoverJob { digest, signature, odd_y, hint })
    };
    cases.iter().step_by(4).filter_map(job).collect()
}

fn run<C: Curve>(percent: u64, libraries: [Library; 2]) {
    let settings = Settings::of(percent);
    let mut forger = Forger::<C>::new(&settings, libraries);
    let known = forger.known();
    let mut judge = Judge::new(C::ALGORITHM, settings, libraries, &known);
    let mut epoch = None;
    for round in settings.rounds() {
        if epoch != Some(round / EPOCH) {
            epoch = Some(round / EPOCH);
            forger.begin_epoch(&mut settings.random(C::ALGORITHM as u8 | 0x80, round / EPOCH));
        }
        let mut random = settings.random(C::ALGORITHM as u8, round);
        let cases = forger.round(&mut random);
        judge.judge(round, &mut random, &cases);
        if C::ALGORITHM == Algorithm::EcdsaSecp256k1 {
            let jobs = recoveries(&mut random, &known, &cases);
            judge.judge_recoveries(round, &mut random, &jobs);
        }
    }
    judge.finish();
}

#[test]
fn secp256k1() {
    run::<k256::Secp256k1>(38, [Library::Libsecp256k1, Library::RustCrypto]);
}

#[test]
fn p256() {
    run::<::p256::NistP256>(26, [Library::AwsLc, Library::OpenSsl]);
}

#[test]
fn sm2() {
    run::<::sm2::Sm2>(12, [Library::RustCrypto, Library::OpenSsl]);
}
