//! What a TPM signs about itself.

use std::fmt;

use crate::{
    EvidenceError,
    limits::{DATA_BYTES_MAX, DIGEST_BYTES_MAX, NAME_BYTES_MAX, SELECT_BYTES_MAX, SELECTIONS_MAX, STATEMENT_BYTES_MAX},
    wire::Reader,
};

/// `TPM_GENERATED_VALUE`, Part 2 §6.2: no restricted key signs anything else that begins so.
const MAGIC: u32 = 0xff54_4347;
/// `TPM_ST`, Part 2 §6.9.
const CERTIFY: u16 = 0x8017;
const QUOTE: u16 = 0x8018;

/// A statement (`TPMS_ATTEST`, Part 2 §10.12.12), read but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The qualified name of the key that is to have signed it: a hash over its ancestors' names (Part 1 §16).
    pub signer: Vec<u8>,
    /// The nonce of whoever asked.
    pub nonce: Vec<u8>,
    /// When it was made, by the TPM's clock.
    pub clock: Clock,
    /// The version of the TPM's firmware, as its maker counts.
    pub firmware: u64,
    /// What it says.
    pub attested: Attested,
}

/// A TPM's clock and counters, `TPMS_CLOCK_INFO` of Part 2 §10.11.1. Where the signing key is outside the
/// endorsement and platform hierarchies, the two counters and the firmware's version have constants added that only the
/// TPM knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds that the TPM was powered.
    pub milliseconds: u64,
    /// How often it was reset: how often the box booted.
    pub resets: u32,
    /// How often it was resumed or restarted since.
    pub restarts: u32,
    /// Whether no later time was ever given.
    pub safe: bool,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attested {
    /// That the TPM holds a key.
    Certify {
        /// The key's name.
        name: Vec<u8>,
        /// Its qualified name.
        qualified_name: Vec<u8>,
    },
    /// What the TPM's registers hold.
    Quote {
        /// Which registers.
        selections: Vec<PcrSelection>,
        /// The digest of their values, by the hash of the signature.
        digest: Vec<u8>,
    },
}

/// Registers of one bank, `TPMS_PCR_SELECTION` of Part 2 §10.6.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrSelection {
    /// The bank's hash, `TPM_ALG_ID`.
    pub bank: u16,
    /// A bit for each register, the lowest for register 0.
    pub registers: u32,
}

impl Statement {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Magic`] if it is no TPM's, [`EvidenceError::StatementType`] if it is neither a certify nor a
    /// quote, and whatever else is wrong with the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new("a statement", bytes, STATEMENT_BYTES_MAX)?;
        let magic = reader.u32()?;
        if magic != MAGIC {
            return Err(EvidenceError::Magic { found: magic });
        }
        let kind = reader.u16()?;
        let signer = reader.sized(NAME_BYTES_MAX)?.to_vec();
        let nonce = reader.sized(DATA_BYTES_MAX)?.to_vec();
        let clock = Clock {
            milliseconds: reader.u64()?,
            resets: reader.u32()?,
            restarts: reader.u32()?,
            safe: match reader.u8()? {
                0 => false,
                1 => true,
                other => return Err(EvidenceError::malformed("a statement", format!("{other} is neither yes nor no"))),
            },
        };
        let firmware = reader.u64()?;
        let attested = match kind {
            CERTIFY => Attested::Certify {
                name: reader.sized(NAME_BYTES_MAX)?.to_vec(),
                qualified_name: reader.sized(NAME_BYTES_MAX)?.to_vec(),
            },
            QUOTE => Attested::Quote {
                selections: read_selections(&mut reader)?,
                digest: reader.sized(DIGEST_BYTES_MAX)?.to_vec(),
            },
            found => return Err(EvidenceError::StatementType { expected: "certify or quote", found }),
        };
        reader.end()?;
        Ok(Self { signer, nonce, clock, firmware, attested })
    }

    /// `TPM_ST` of what it says.
    pub(crate) const fn kind(&self) -> u16 {
        match self.attested {
            Attested::Certify { .. } => CERTIFY,
            Attested::Quote { .. } => QUOTE,
        }
    }
}

/// Reads `TPML_PCR_SELECTION`, Part 2 §10.9.7.
fn read_selections(reader: &mut Reader<'_>) -> Result<Vec<PcrSelection>, EvidenceError> {
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    reader.bound(count, SELECTIONS_MAX)?;
    (0..count)
        .map(|_| -> Result<PcrSelection, EvidenceError> {
            let bank = reader.u16()?;
            let length = usize::from(reader.u8()?);
            reader.bound(length, SELECT_BYTES_MAX)?;
            let bits = reader.take(length)?;
            let registers = bits.iter().rev().fold(0_u32, |registers, byte| (registers << 8) | u32::from(*byte));
            Ok(PcrSelection { bank, registers })
        })
        .collect()
}

/// As tpm2-tools write it, with the bank's number: `0x000b:0,7`.
impl fmt::Display for PcrSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registers: Vec<_> =
            (0..u32::BITS).filter(|index| self.registers >> index & 1 == 1).map(|index| index.to_string()).collect();
        write!(f, "{:#06x}:{}", self.bank, registers.join(","))
    }
}
