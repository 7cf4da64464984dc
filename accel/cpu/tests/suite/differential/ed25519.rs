//! Cases of Ed25519: structured secrets and nonces, parts of small order, and what becomes of them when altered.

use curve25519_dalek::{
    EdwardsPoint, Scalar, constants::EIGHT_TORSION, edwards::CompressedEdwardsY, traits::IsIdentity as _,
};
use dolmen_accel_api::{Algorithm, Message};
use dolmen_accel_library::Library;
use rand::{Rng as _, RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use sha2::{Digest as _, Sha512};

use super::{EPOCH, Judge, ROUND, Settings, Tested, alter::alter_ed25519, judge::KNOWN, scalars::structured};
use crate::{
    curve::pair,
    edges::small_order_encodings,
    support::{Job, Signed, hex_array},
};

const ALGORITHM: Algorithm = Algorithm::Ed25519;
/// The order of the group, big endian.
const ORDER: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
/// Keys that never get a table by being asked for; some earn one, and some may not have one.
const UNKNOWN: usize = 64;
const NONCES: usize = 512;

/// A scalar and the encoding of a point that is its multiple of the base, but for a part of small order.
#[derive(Clone, Copy)]
struct Multiple {
    scalar: Scalar,
    bytes: [u8; 32],
    /// Whether it is without a part of small order, not the identity, and canonical.
    plain: bool,
}

impl Multiple {
    fn new(scalar: Scalar, torsion: usize) -> Self {
        let point = EdwardsPoint::mul_base(&scalar) + EIGHT_TORSION[torsion];
        Self { scalar, bytes: point.compress().0, plain: torsion == 0 && !point.is_identity() }
    }

    /// A point of small order in one of its encodings.
    fn small(bytes: [u8; 32]) -> Self {
        Self { scalar: Scalar::ZERO, bytes, plain: false }
    }
}

fn structured_scalar(random: &mut StdRng) -> Scalar {
    let structured = structured(random);
    let mut bytes = structured.number;
    bytes.reverse();
    let scalar = Scalar::from_bytes_mod_order(bytes);
    let scalar = if structured.invert && scalar != Scalar::ZERO { scalar.invert() } else { scalar };
    if structured.negate { -scalar } else { scalar }
}

struct Forger {
    order: [u8; 32],
    /// The first [`KNOWN`] stay, the others change from epoch to epoch.
    keys: Vec<Multiple>,
    nonces: Vec<Multiple>,
    honest: Vec<Job>,
}

impl Forger {
    fn new(settings: &Settings) -> Self {
        let mut random = settings.random(ALGORITHM as u8, u64::MAX);
        let mut keys: Vec<Multiple> = Vec::new();
        while keys.len() < KNOWN {
            let key = Multiple::new(structured_scalar(&mut random), 0);
            if key.plain && keys.iter().all(|other| other.bytes != key.bytes) {
                keys.push(key);
            }
        }
        Self { order: hex_array(ORDER), keys, nonces: Vec::new(), honest: Vec::new() }
    }

    fn known(&self) -> Vec<Vec<u8>> {
        self.keys[..KNOWN].iter().map(|key| key.bytes.to_vec()).collect()
    }

    fn begin_epoch(&mut self, random: &mut StdRng) {
        let small_orders = small_order_encodings();
        let fresh = |random: &mut StdRng| match random.random_range(0..8) {
            0 => Multiple::new(structured_scalar(random), random.random_range(1..8)),
            1 if random.random() => Multiple::small(*small_orders.choose(random).expect("14")),
            _ => Multiple::new(structured_scalar(random), 0),
        };
        self.keys.truncate(KNOWN);
        self.keys.extend((0..UNKNOWN).map(|_| fresh(random)));
        self.nonces = (0..NONCES).map(|_| fresh(random)).collect();
        let libraries = [Library::OpenSsl, Library::AwsLc, Library::Ed25519Dalek];
        let signers =
            libraries.map(|library| library.signer(ALGORITHM, &random.random()).expect("every seed is a secret"));
        let honest = |index: usize| {
            let mut message = vec![0; random.random_range(0..300)];
            random.fill_bytes(&mut message);
            let signer = &signers[index % 3];
            Job::bytes(signer.public_key(), &message, &signer.sign(Message::Bytes(&message)))
        };
        self.honest = (0..200).map(honest).collect();
    }

    fn key(&self, random: &mut StdRng) -> &Multiple {
        let range = match random.random_range(0..4) {
            0 => 0..34,
            1 | 2 => 0..KNOWN,
            _ => KNOWN..self.keys.len(),
        };
        &self.keys[random.random_range(range)]
    }

    /// Valid by construction: `S = r + k a`.
    fn forged(&self, random: &mut StdRng) -> Tested {
        let key = self.key(random);
        let nonce = self.nonces.choose(random).expect("there are some");
        let mut message = vec![0; random.random_range(0..80)];
        random.fill_bytes(&mut message);
        let hash = Sha512::new().chain_update(nonce.bytes).chain_update(key.bytes).chain_update(&message).finalize();
        // Sometimes the sum is another point than the one that is sent.
        let other = if random.random_ratio(1, 20) { structured_scalar(random) } else { Scalar::ZERO };
        let s = nonce.scalar + Scalar::from_bytes_mod_order_wide(&hash.into()) * key.scalar + other;
        let signature = pair(nonce.bytes, s.to_bytes());
        let mut job = Job::bytes(&key.bytes, &message, &signature);
        if let Ok(digest) = message[..].try_into() {
            job.message = Signed::Digest(digest);
        }
        let holds = other == Scalar::ZERO;
        Tested { plain: key.plain && nonce.plain, ..Tested::new(job, holds) }
    }

    fn round(&self, random: &mut StdRng) -> Vec<Tested> {
        let case = |_| {
            let mut case = match random.random_range(0..12) {
                0 => Tested::new(self.honest.choose(random).expect("there are some").clone(), true),
                _ => self.forged(random),
            };
            if random.random_ratio(1, 4) {
                let other = if random.random() { self.keys.choose(random) } else { self.nonces.choose(random) };
                let other = other.expect("there are some");
                alter_ed25519(random, &self.order, &mut case.job, &other.bytes);
                case.holds = None;
                // What the alteration made of the points is not known.
                case.plain &= is_plain(&case.job.key) && is_plain(&case.job.signature);
            }
            case
        };
        (0..ROUND).map(case).collect()
    }
}

/// Whether the first 32 bytes are no point, or the canonical encoding of one without a part of small order.
fn is_plain(bytes: &[u8]) -> bool {
    let Some(bytes) = bytes.first_chunk() else { return true };
    let encoding = CompressedEdwardsY(*bytes);
    encoding
        .decompress()
        .is_none_or(|point| point.is_torsion_free() && !point.is_identity() && point.compress() == encoding)
}

#[test]
fn all() {
    let settings = Settings::of(24);
    let mut forger = Forger::new(&settings);
    let mut judge = Judge::new(ALGORITHM, settings, [Library::Curve25519Dalek, Library::AwsLc], &forger.known());
    let mut epoch = None;
    for round in settings.rounds() {
        if epoch != Some(round / EPOCH) {
            epoch = Some(round / EPOCH);
            forger.begin_epoch(&mut settings.random(ALGORITHM as u8 | 0x80, round / EPOCH));
        }
        let mut random = settings.random(ALGORITHM as u8, round);
        let cases = forger.round(&mut random);
        judge.judge(round, &mut random, &cases);
    }
    judge.finish();
}
