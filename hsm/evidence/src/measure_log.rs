//! What the running system measured: systemd's log, `/run/log/systemd/tpm2-measure.log`, which goes on where the
//! firmware's [`EventLog`](crate::EventLog) ends.
//!
//! It is a sequence of JSON texts (RFC 7464): each after the byte `0x1e`, an object close to the TCG's Canonical Event
//! Log (CEL-JSON) with the register, the digests, and what systemd says about them. As with the firmware's log, only
//! the digests are known to be true once the registers agree. Records about NV indexes, which newer systemd has, touch
//! no register and are left out.

use serde::Deserialize;

use crate::{
    EvidenceError, HashAlgorithm, Pcrs,
    limits::{EVENTS_MAX, LOG_BYTES_MAX},
};

const WHAT: &str = "a measurement log";
/// What each record begins with.
const RECORD_SEPARATOR: u8 = 0x1e;

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureLog {
    measurements: Vec<Measurement>,
}

/// Something that was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The register.
    pub pcr: u32,
    /// The banks' names and their digests.
    pub digests: Vec<(String, Vec<u8>)>,
}

/// What is read of a record. The rest is the sender's word.
#[derive(Deserialize)]
struct Record {
    pcr: Option<u32>,
    #[serde(default)]
    digests: Vec<RecordDigest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordDigest {
    hash_alg: String,
    digest: String,
}

impl MeasureLog {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Malformed`] for anything but whole records, [`EvidenceError::TooLong`] for too many.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        if bytes.len() > LOG_BYTES_MAX {
            return Err(EvidenceError::TooLong { what: WHAT, found: bytes.len(), limit: LOG_BYTES_MAX });
        }
        let mut texts = bytes.split(|byte| *byte == RECORD_SEPARATOR).map(<[u8]>::trim_ascii);
        if texts.next().is_some_and(|before| !before.is_empty()) {
            return Err(EvidenceError::malformed(WHAT, "it does not begin with a record"));
        }
        let mut measurements = Vec::new();
        // RFC 7464 §2.1: what is between two separators may be nothing.
        for text in texts.filter(|text| !text.is_empty()) {
            if measurements.len() == EVENTS_MAX {
                return Err(EvidenceError::TooLong { what: WHAT, found: EVENTS_MAX + 1, limit: EVENTS_MAX });
            }
            let record: Record =
                serde_json::from_slice(text).map_err(|error| EvidenceError::malformed(WHAT, error.to_string()))?;
            if let Some(pcr) = record.pcr {
                let digests = record.digests.into_iter().map(digest).collect::<Result<Vec<_>, _>>()?;
                measurements.push(Measurement { pcr, digests });
            }
        }
        Ok(Self { measurements })
    }

    /// The measurements in their order.
    pub fn measurements(&self) -> &[Measurement] {
        &self.measurements
    }

    /// Goes on from what the firmware's log led to.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::PcrIndex`] for a register that no TPM has, [`EvidenceError::Malformed`] for a record without a
    /// digest for the bank.
    pub fn replay(&self, pcrs: &mut Pcrs) -> Result<(), EvidenceError> {
        for measurement in &self.measurements {
            let digest: Option<&[u8; 32]> = measurement.digest(pcrs.bank()).and_then(|digest| digest.try_into().ok());
            let digest = digest.ok_or_else(|| {
                let (pcr, bank) = (measurement.pcr, pcrs.bank().name());
                EvidenceError::malformed(WHAT, format!("a record of register {pcr} lacks its {bank}"))
            })?;
            pcrs.extend(measurement.pcr, digest)?;
        }
        Ok(())
    }
}

impl Measurement {
    /// Its digest for a bank.
    #[must_use]
    pub fn digest(&self, bank: HashAlgorithm) -> Option<&[u8]> {
        self.digests.iter().find(|(name, _)| name == bank.name()).map(|(_, digest)| &digest[..])
    }
}

fn digest(digest: RecordDigest) -> Result<(String, Vec<u8>), EvidenceError> {
    let bytes = const_hex::decode(&digest.digest).map_err(|error| EvidenceError::malformed(WHAT, error.to_string()))?;
    Ok((digest.hash_alg, bytes))
}
