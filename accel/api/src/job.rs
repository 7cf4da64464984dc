//! What goes into a batch and what comes out. Jobs borrow: a batch costs no copy of a message.

/// A 20-byte Ethereum address: the last bytes of the Keccak-256 of a secp256k1 key `x || y`.
pub type Address = [u8; 20];

/// What was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The hash itself; for SM2 the value `e`; for Ed25519 and BLS a message of 32 bytes.
    Digest(&'a [u8; 32]),
    /// Bytes that the engine hashes as [`Algorithm`](crate::Algorithm) says.
    Bytes(&'a [u8]),
}

/// A signature to check under a key.
#[derive(Clone, Copy, Debug)]
pub struct VerifyJob<'a> {
    /// The public key, [`Algorithm::key_len`](crate::Algorithm::key_len) bytes.
    pub key: &'a [u8],
    /// What was signed.
    pub message: Message<'a>,
    /// The signature, [`Algorithm::signature_len`](crate::Algorithm::signature_len) bytes.
    pub signature: &'a [u8],
}

/// A secp256k1 signature whose signer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoverJob {
    /// The hash that was signed.
    pub digest: [u8; 32],
    /// `r || s`.
    pub signature: [u8; 64],
    /// Whether the signer's nonce point has an odd `y` (Ethereum's `v` without its offset).
    pub odd_y: bool,
    /// Who is said to have signed. It only saves time: a wrong hint changes no result.
    pub hint: Option<Address>,
}

/// What an engine says of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It does not hold, or the key or the signature is malformed.
    #[default]
    Invalid,
    /// It holds.
    Valid,
}

impl Verdict {
    /// Whether the signature holds.
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Valid)
    }
}

impl From<bool> for Verdict {
    fn from(valid: bool) -> Self {
        if valid { Self::Valid } else { Self::Invalid }
    }
}
