//! What does not hold.

use openssl::error::ErrorStack;

/// Why evidence is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Fewer bytes than the structure announces.
    #[error("{what} ends in the middle; have it sent again whole")]
    Truncated {
        /// The structure.
        what: &'static str,
    },
    /// More bytes than the structure has.
    #[error("{bytes} bytes follow {what}; send it alone")]
    Trailing {
        /// The structure.
        what: &'static str,
        /// How many.
        bytes: usize,
    },
    /// More than is ever needed.
    #[error("{what} has {found} bytes or parts, {limit} at most are read; it is none that a TPM or its firmware made")]
    TooLong {
        /// The structure.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A number of an algorithm or a structure that is not known here.
    #[error("{what} {id:#06x} is not supported; make the key anew with an algorithm that the manual lists")]
    Unsupported {
        /// What the number stands for.
        what: &'static str,
        /// The number in the TCG's registry.
        id: u32,
    },
    /// Bytes that no TPM or firmware writes.
    #[error("{what} is damaged: {reason}; have it sent again, and suspect the sender if that does not help")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Numbers that are no public key.
    #[error("the public area holds no valid key; suspect the sender")]
    Key(#[source] ErrorStack),
    /// A key that proves nothing, since it might be outside the TPM or sign anything.
    #[error("the {role} key lacks {attribute}, so that it proves nothing; make one with the template of its role")]
    MissingAttribute {
        /// What the key was to be: an attestation, device or endorsement key.
        role: &'static str,
        /// The attribute, as Part 2 §8.3 names it.
        attribute: &'static str,
    },
    /// A key that is for something else.
    #[error("the {role} key has the attribute {attribute}, which it must not; make one with the template of its role")]
    UnwantedAttribute {
        /// What the key was to be.
        role: &'static str,
        /// The attribute.
        attribute: &'static str,
    },
    /// A signature of another kind than the key makes.
    #[error(
        "the signature is made by {found}, the attestation key signs by {expected}; send the signature of this key"
    )]
    SignatureScheme {
        /// What the key signs by.
        expected: String,
        /// What the signature says.
        found: String,
    },
    /// The key did not sign this.
    #[error("the attestation key did not sign this statement; send the statement, signature and key of one answer")]
    Signature,
    /// No TPM made the statement.
    #[error("the statement begins with {found:#010x}, not as a TPM's does; no TPM made it")]
    Magic {
        /// Its first four bytes.
        found: u32,
    },
    /// A statement about something else.
    #[error("the statement is of type {found:#06x}, not a {expected}; send the answer to what was asked")]
    StatementType {
        /// What was asked for.
        expected: &'static str,
        /// `TPM_ST`, Part 2 §6.9.
        found: u16,
    },
    /// An answer to another question, or an old one.
    #[error("the statement answers another nonce; ask again and send the new answer")]
    Nonce,
    /// A statement about another key.
    #[error(
        "the statement is about the key {found}, not about {expected}; send the public area of the key it is about"
    )]
    Name {
        /// The subject's name in hexadecimal digits.
        expected: String,
        /// The name in the statement.
        found: String,
    },
    /// Other registers than those that were asked for.
    #[error("the quote is of the registers {found}, asked for were {expected}; quote what was asked for")]
    PcrSelection {
        /// A bank and its registers.
        expected: String,
        /// What was quoted.
        found: String,
    },
    /// Registers with other values than those that were sent along.
    #[error("the registers have other values than those sent with the quote; read and quote them again in one go")]
    PcrDigest,
    /// A bank whose digests have no 32 bytes.
    #[error("registers are kept by hashes of 32 bytes, and {0} is none; use the bank sha256 or sm3_256")]
    Bank(&'static str),
    /// A register that no TPM has.
    #[error("there is no register {0}; a TPM has 0 to 23")]
    PcrIndex(u32),
    /// The logs do not explain the value.
    #[error("the register {pcr} holds {quoted}, its log leads to {replayed}; something ran that is not in the log")]
    PcrDiffers {
        /// The first such register.
        pcr: usize,
        /// The value by the logs, in hexadecimal digits.
        replayed: String,
        /// The value that the TPM holds.
        quoted: String,
    },
    /// A secret that does not fit.
    #[error("a credential holds 1 to {limit} bytes, not {found}; wrap a key instead of the data")]
    SecretLength {
        /// Bytes of the secret.
        found: usize,
        /// The digest's length of the endorsement key's hash.
        limit: usize,
    },
    /// No maker vouches for it.
    #[error(
        "no root vouches for the endorsement certificate: {reason} (certificate {depth}); add its maker's \
         certificates, or look at their dates"
    )]
    Chain {
        /// OpenSSL's words.
        reason: &'static str,
        /// Which certificate: 0 is the endorsement key's, 1 its issuer's.
        depth: u32,
    },
    /// A certificate for something else.
    #[error("the certificate is for other uses than a TPM's endorsement key (2.23.133.8.1); send the right one")]
    CertificateUsage,
    /// Another TPM's certificate.
    #[error("the certificate is another key's than this endorsement key's; send the certificate of this TPM")]
    CertificateKey,
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("cannot {operation}; check that this machine's OpenSSL has the algorithm")]
    OpenSsl {
        /// What was being done.
        operation: &'static str,
        /// Its errors.
        #[source]
        source: ErrorStack,
    },
}

impl EvidenceError {
    pub(crate) fn openssl(operation: &'static str) -> impl Fn(ErrorStack) -> Self {
        move |source| Self::OpenSsl { operation, source }
    }

    pub(crate) fn malformed(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed { what, reason: reason.into() }
    }
}
