//! Hashing of many messages at once.

/// A hash with a 32-byte digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// GB/T 32905-2016.
    Sm3,
    /// Keccak-256 with the padding of the submission, as Ethereum uses it (not FIPS 202's SHA3-256).
    Keccak256,
    /// FIPS 180-4.
    Sha256,
}

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sm3, Self::Keccak256, Self::Sha256];

    /// The name in command lines, metrics and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sm3 => "sm3",
            Self::Keccak256 => "keccak256",
            Self::Sha256 => "sha256",
        }
    }
}

/// Hashes many independent messages, in lanes where the hardware has them.
pub trait Hasher: Send + Sync + 'static {
    /// Writes one digest per message. Messages may differ in length; equal lengths are fastest.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    fn hash(&self, algorithm: HashAlgorithm, messages: &[&[u8]], digests: &mut [[u8; 32]]);
}
