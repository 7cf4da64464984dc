//! What the firmware and the boot loader measured: the event log of the TCG's PC Client Platform Firmware Profile §10,
//! in its crypto-agile form, as Linux has it in `/sys/kernel/security/tpm0/binary_bios_measurements`.
//!
//! A log proves nothing by itself: whoever sends it may have written it. Once [`compare`](crate::compare) finds that it
//! leads to the quoted registers, its digests are what was measured, in that order. What else an event says about
//! itself (its kind, its data) is still only the sender's word, but where the digest is that of the data.

use crate::{
    EvidenceError, HashAlgorithm, Pcrs,
    limits::{EVENTS_MAX, LOG_ALGORITHMS_MAX, LOG_BYTES_MAX},
    wire::Reader,
};

const WHAT: &str = "an event log";
/// Kinds of events, §10.4.1: one that extends nothing, and the one of a launch before the firmware's.
const EV_NO_ACTION: u32 = 0x0000_0003;
const EV_EFI_HCRTM_EVENT: u32 = 0x8000_0010;
/// What the data of the first event begins with, §10.4.5.1.
const SPEC_ID: &[u8; 16] = b"Spec ID Event03\0";
/// What the event begins with that says from which locality the TPM was started, §10.4.5.3.
const STARTUP_LOCALITY: &[u8; 16] = b"StartupLocality\0";
/// Bytes of a SHA-1 digest, which the first event has for programs that know no other.
const SHA1_LENGTH: usize = 20;
/// The locality of a launch before the firmware's (Part 1 §34.3).
const HCRTM_LOCALITY: u8 = 4;

/// A log. Every digest in it has its algorithm's length, as the log states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    events: Vec<Event>,
}

/// Something that was measured, or noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The register.
    pub pcr: u32,
    /// The kind, §10.4.1.
    pub kind: u32,
    /// A digest for each bank.
    pub digests: Vec<EventDigest>,
    /// What the event says about itself.
    pub data: Vec<u8>,
}

/// A digest of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDigest {
    /// The bank's hash, `TPM_ALG_ID`.
    pub algorithm: u16,
    /// The digest.
    pub digest: Vec<u8>,
}

impl EventLog {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Malformed`] for logs that are not crypto-agile too, and whatever else is wrong with the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new(WHAT, bytes, LOG_BYTES_MAX)?;
        let algorithms = read_header(&mut reader)?;
        let mut events = Vec::new();
        while !reader.is_empty() {
            reader.bound(events.len() + 1, EVENTS_MAX)?;
            events.push(read_event(&mut reader, &algorithms)?);
        }
        Ok(Self { events })
    }

    /// The events after the first, which is the log's header.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// What the registers of a bank hold if this log is true. Registers that it does not touch have no value.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Bank`] for banks other than SHA-256 and SM3, [`EvidenceError::PcrIndex`] for a register that no
    /// TPM has, [`EvidenceError::Malformed`] for an event without a digest for the bank, or a start after the first
    /// event.
    pub fn replay(&self, bank: HashAlgorithm) -> Result<Pcrs, EvidenceError> {
        let mut pcrs = Pcrs::new(bank)?;
        let mut launched = false;
        for event in &self.events {
            if event.kind == EV_NO_ACTION {
                // A launch before the firmware's counts, whatever the firmware started the TPM from.
                if let Some(locality) = event.startup_locality().filter(|_| !launched) {
                    start(&mut pcrs, locality)?;
                }
                continue;
            }
            if event.kind == EV_EFI_HCRTM_EVENT && event.pcr == 0 && !launched {
                launched = true;
                start(&mut pcrs, HCRTM_LOCALITY)?;
            }
            let digest: Option<&[u8; 32]> = event.digest(bank).and_then(|digest| digest.try_into().ok());
            let digest = digest.ok_or_else(|| {
                EvidenceError::malformed(WHAT, format!("an event of register {} lacks its {}", event.pcr, bank.name()))
            })?;
            pcrs.extend(event.pcr, digest)?;
        }
        Ok(pcrs)
    }
}

impl Event {
    /// Its digest for a bank.
    #[must_use]
    pub fn digest(&self, bank: HashAlgorithm) -> Option<&[u8]> {
        self.digests.iter().find(|digest| digest.algorithm == bank.id()).map(|digest| &digest.digest[..])
    }

    fn startup_locality(&self) -> Option<u8> {
        match self.data.strip_prefix(STARTUP_LOCALITY) {
            Some([locality]) if self.pcr == 0 => Some(*locality),
            _ => None,
        }
    }
}

/// Register 0 begins with the locality of the start in its last byte, before anything extends it.
fn start(pcrs: &mut Pcrs, locality: u8) -> Result<(), EvidenceError> {
    if pcrs.values()[0].is_some_and(|before| before[..31] != [0; 31]) {
        return Err(EvidenceError::malformed(WHAT, "the TPM starts in its middle"));
    }
    let mut value = [0; 32];
    value[31] = locality;
    pcrs.set(0, value)
}

/// Reads the first event (`TCG_PCClientPCREvent`, §10.2.1), whose data is `TCG_EfiSpecIdEvent` (§10.4.5.1): the
/// algorithms and the lengths of their digests.
fn read_header(reader: &mut Reader<'_>) -> Result<Vec<(u16, usize)>, EvidenceError> {
    let (_, kind) = (u32_le(reader)?, u32_le(reader)?);
    reader.take(SHA1_LENGTH)?;
    let data = read_data(reader)?;
    let mut data = Reader::new(WHAT, data, LOG_BYTES_MAX)?;
    if kind != EV_NO_ACTION || data.array::<16>()? != *SPEC_ID {
        return Err(EvidenceError::malformed(WHAT, "it is not in the crypto-agile form"));
    }
    // The platform's class, the specification's version, and the size of a pointer.
    data.take(8)?;
    let count = to_usize(u32_le(&mut data)?);
    data.bound(count, LOG_ALGORITHMS_MAX)?;
    let mut algorithms: Vec<(u16, usize)> = Vec::with_capacity(count);
    for _ in 0..count {
        let (algorithm, length) = (u16_le(&mut data)?, usize::from(u16_le(&mut data)?));
        let known = HashAlgorithm::ALL.into_iter().find(|hash| hash.id() == algorithm);
        if known.is_some_and(|hash| hash.length() != length) || algorithms.iter().any(|(other, _)| *other == algorithm)
        {
            return Err(EvidenceError::malformed(WHAT, format!("its header, at the algorithm {algorithm:#06x}")));
        }
        algorithms.push((algorithm, length));
    }
    let vendor_info = usize::from(data.u8()?);
    data.take(vendor_info)?;
    data.end()?;
    Ok(algorithms)
}

/// Reads `TCG_PCR_EVENT2`, §10.2.2.
fn read_event(reader: &mut Reader<'_>, algorithms: &[(u16, usize)]) -> Result<Event, EvidenceError> {
    let (pcr, kind, count) = (u32_le(reader)?, u32_le(reader)?, to_usize(u32_le(reader)?));
    reader.bound(count, algorithms.len())?;
    let mut digests: Vec<EventDigest> = Vec::with_capacity(count);
    for _ in 0..count {
        let algorithm = u16_le(reader)?;
        let length = algorithms.iter().find(|(known, _)| *known == algorithm).map(|(_, length)| *length);
        let length = length.filter(|_| digests.iter().all(|digest| digest.algorithm != algorithm));
        let length = length.ok_or_else(|| {
            EvidenceError::malformed(WHAT, format!("an event has a digest of {algorithm:#06x} too many"))
        })?;
        digests.push(EventDigest { algorithm, digest: reader.take(length)?.to_vec() });
    }
    let data = read_data(reader)?.to_vec();
    Ok(Event { pcr, kind, digests, data })
}

fn read_data<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], EvidenceError> {
    let length = to_usize(u32_le(reader)?);
    reader.take(length)
}

// Unlike what a TPM writes, logs have the low byte first.

fn u16_le(reader: &mut Reader<'_>) -> Result<u16, EvidenceError> {
    reader.array().map(u16::from_le_bytes)
}

fn u32_le(reader: &mut Reader<'_>) -> Result<u32, EvidenceError> {
    reader.array().map(u32::from_le_bytes)
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
