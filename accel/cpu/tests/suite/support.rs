//! Cases, and numbers to make them of.

use std::{borrow::Cow, fmt};

use dolmen_accel_api::{Address, Algorithm, BatchVerifier, Message, Verdict, VerifyJob};
use dolmen_accel_library::{Library, Signs};
use sha3::{Digest as _, Keccak256};

/// What was signed, owned.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Signed {
    Digest([u8; 32]),
    Bytes(Vec<u8>),
}

/// A job that owns what it names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) key: Vec<u8>,
    pub(crate) message: Signed,
    pub(crate) signature: Vec<u8>,
}

impl Job {
    pub(crate) fn digest(key: &[u8], digest: [u8; 32], signature: &[u8]) -> Self {
        Self { key: key.into(), message: Signed::Digest(digest), signature: signature.into() }
    }

    pub(crate) fn bytes(key: &[u8], message: &[u8], signature: &[u8]) -> Self {
        Self { key: key.into(), message: Signed::Bytes(message.into()), signature: signature.into() }
    }

    pub(crate) fn with(&self, alter: impl FnOnce(&mut Self)) -> Self {
        let mut job = self.clone();
        alter(&mut job);
        job
    }

    pub(crate) fn borrowed(&self) -> VerifyJob<'_> {
        let message = match &self.message {
            Signed::Digest(digest) => Message::Digest(digest),
            Signed::Bytes(bytes) => Message::Bytes(bytes),
        };
        VerifyJob { key: &self.key, message, signature: &self.signature }
    }
}

/// In hexadecimal, to be asked again by hand.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, message) = match &self.message {
            Signed::Digest(digest) => ("digest", &digest[..]),
            Signed::Bytes(bytes) => ("bytes", &bytes[..]),
        };
        write!(f, "key {} {kind} {} signature {}", Hex(&self.key), Hex(message), Hex(&self.signature))
    }
}

/// Bytes as hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A job and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) job: Job,
    pub(crate) holds: bool,
    /// What is special about it.
    pub(crate) what: Cow<'static, str>,
    /// Whether libraries with a rule near ours may see it otherwise.
    pub(crate) corner: bool,
}

impl Case {
    pub(crate) fn new(job: Job, holds: bool, what: impl Into<Cow<'static, str>>) -> Self {
        Self { job, holds, what: what.into(), corner: false }
    }

    pub(crate) fn valid(job: Job, what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(job, true, what)
    }

    pub(crate) fn invalid(job: Job, what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(job, false, what)
    }

    pub(crate) fn corner(self) -> Self {
        Self { corner: true, ..self }
    }
}

/// What `engine` says of `jobs`, as one batch. `before` is what the verdicts are before it writes them: that must not
/// show.
pub(crate) fn verify<'a>(
    engine: &dyn BatchVerifier,
    algorithm: Algorithm,
    jobs: impl IntoIterator<Item = &'a Job>,
    before: Verdict,
) -> Vec<bool> {
    let jobs: Vec<_> = jobs.into_iter().map(Job::borrowed).collect();
    let mut verdicts = vec![before; jobs.len()];
    engine.verify(algorithm, &jobs, &mut verdicts).expect("engines in tests do what they are asked");
    verdicts.into_iter().map(Verdict::is_valid).collect()
}

/// The address of a secp256k1 key `x || y`.
pub(crate) fn address(key: &[u8]) -> Address {
    let digest: [u8; 32] = Keccak256::digest(key).into();
    *digest.last_chunk().expect("20 of 32 bytes")
}

/// Bytes from hexadecimal digits, which may be broken by spaces and lines.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty() && text.chars().all(|digit| digit.is_ascii_hexdigit() || digit.is_whitespace()), "{text}");
    pairs.iter().map(|[high, low]| u8::try_from(high * 16 + low).expect("two digits are a byte")).collect()
}

/// As [`hex`], of a length that the caller knows.
pub(crate) fn hex_array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap_or_else(|bytes: Vec<u8>| panic!("{} bytes, not {N}: {text}", bytes.len()))
}

/// `number`, big endian.
pub(crate) fn number(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// `a + b`, big endian, if it is below `2^256`.
pub(crate) fn checked_add(a: &[u8; 32], b: &[u8; 32]) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    let mut carry = 0;
    for index in (0..32).rev() {
        let [low, high] = (u16::from(a[index]) + u16::from(b[index]) + carry).to_le_bytes();
        sum[index] = low;
        carry = u16::from(high);
    }
    (carry == 0).then_some(sum)
}

/// `a + b`, big endian.
pub(crate) fn add(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    checked_add(a, b).expect("a sum below 2^256")
}

/// `a - b`, big endian.
pub(crate) fn subtract(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    assert!(a >= b, "no negative numbers");
    let complement = b.map(|byte| !byte);
    // a + (2^256 - 1 - b) + 1, without the carry.
    let mut difference = [0; 32];
    let mut carry = 1;
    for index in (0..32).rev() {
        let [low, high] = (u16::from(a[index]) + u16::from(complement[index]) + carry).to_le_bytes();
        difference[index] = low;
        carry = u16::from(high);
    }
    difference
}

/// A key that signs, from a number.
pub(crate) fn signer(algorithm: Algorithm, seed: u64) -> Box<dyn Signs> {
    let library = match algorithm {
        Algorithm::EcdsaSecp256k1 => Library::Libsecp256k1,
        Algorithm::EcdsaP256 => Library::OpenSsl,
        Algorithm::Sm2 => Library::RustCrypto,
        Algorithm::Ed25519 => Library::Ed25519Dalek,
        Algorithm::Bls12381 => Library::Blst,
    };
    // A hash is a secret key, but for one in 2^32.
    library.signer(algorithm, &Keccak256::digest(seed.to_be_bytes()).into()).expect("a secret key")
}

/// What an honest signer makes: `count` signatures under `keys` keys in turn, of messages of many lengths.
pub(crate) fn honest(algorithm: Algorithm, keys: u64, count: usize) -> Vec<Job> {
    /// Around the blocks of the hashes, and far above.
    const LENGTHS: [usize; 16] = [0, 1, 31, 32, 33, 55, 56, 64, 65, 119, 135, 136, 137, 272, 1000, 5000];
    let signers: Vec<_> = (0..keys).map(|seed| signer(algorithm, seed)).collect();
    let job = |index: usize| {
        let signer = &signers[index % signers.len()];
        let hash: [u8; 32] = Keccak256::digest(index.to_be_bytes()).into();
        let mut job = match index % 3 {
            0 => Job::digest(signer.public_key(), hash, &[]),
            _ => {
                let message = hash.iter().cycle().take(LENGTHS[index / 3 % LENGTHS.len()]).copied().collect::<Vec<_>>();
                Job::bytes(signer.public_key(), &message, &[])
            }
        };
        job.signature = signer.sign(job.borrowed().message);
        job
    };
    (0..count).map(job).collect()
}
