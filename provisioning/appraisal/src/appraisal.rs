//! What was found about a box, in bytes that never change.

use dolmen_hsm_evidence::PCRS;
use dolmen_image_bundle::{Hash, SecurityVersion, Version};

use crate::{
    Registers, Serial,
    keys::{Activated, Endorsed},
    limits::APPRAISAL_BYTES_MAX,
    quote::Recognised,
};

/// What the bytes begin with, with the version of their form.
const FORMAT: &[u8] = b"dolmen-appraisal-v1\0";

/// How often a TPM was started. Neither number goes back but by a change of the TPM or its clearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counters {
    /// `resetCount`: how often the box booted.
    pub resets: u32,
    /// `restartCount`: how often it was resumed since.
    pub restarts: u32,
}

/// What a registrar found about a box at its enrolment.
///
/// One that [`Awaiting::finish`](crate::Awaiting::finish) gave says that a TPM which the policy takes holds the
/// attestation key and the LDevID, and that an allowed image ran on its machine. One that was read from bytes says that
/// as far as the place is trusted where the bytes were kept: compare its [`hash`](Self::hash) with the chain's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appraisal {
    serial: Serial,
    version: Version,
    security_version: SecurityVersion,
    root_hash: Hash,
    ek: Hash,
    ek_certificate: Option<Hash>,
    ak_name: Vec<u8>,
    ldevid: Vec<u8>,
    registers: Registers,
    firmware: Registers,
    counters: Counters,
    tpm_firmware: u64,
}

/// Why bytes are no appraisal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no appraisal: {0}; take the file as the registrar wrote it")]
pub struct AppraisalError(&'static str);

impl Appraisal {
    pub(crate) fn new(serial: Serial, activated: Activated, recognised: Recognised) -> Self {
        let Activated { endorsed: Endorsed { hash, certificate, .. }, ak, ldevid } = activated;
        Self {
            serial,
            version: recognised.version,
            security_version: recognised.security_version,
            root_hash: recognised.root_hash,
            ek: hash,
            ek_certificate: certificate,
            ak_name: ak.name(),
            ldevid,
            registers: recognised.registers,
            firmware: recognised.firmware,
            counters: recognised.counters,
            tpm_firmware: recognised.tpm_firmware,
        }
    }

    /// The machine.
    #[must_use]
    pub const fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The image that ran.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// Its security version.
    #[must_use]
    pub const fn security_version(&self) -> SecurityVersion {
        self.security_version
    }

    /// What vouches for its root file system.
    #[must_use]
    pub const fn root_hash(&self) -> Hash {
        self.root_hash
    }

    /// SHA-256 of the endorsement key (`SubjectPublicKeyInfo`, DER), which tells the TPM from all others.
    #[must_use]
    pub const fn ek(&self) -> Hash {
        self.ek
    }

    /// SHA-256 of the maker's certificate of it; none where the key was registered instead.
    #[must_use]
    pub const fn ek_certificate(&self) -> Option<Hash> {
        self.ek_certificate
    }

    /// The attestation key's name (TPM 2.0 Library, Part 1 §16).
    #[must_use]
    pub fn ak_name(&self) -> &[u8] {
        &self.ak_name
    }

    /// The key to certify: `SubjectPublicKeyInfo`, DER.
    #[must_use]
    pub fn ldevid(&self) -> &[u8] {
        &self.ldevid
    }

    /// Registers that were compared with the image's.
    #[must_use]
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The firmware's registers, which stay as they are; empty where the policy ignored them.
    #[must_use]
    pub const fn firmware(&self) -> &Registers {
        &self.firmware
    }

    /// How often the TPM was started.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The version of the TPM's own firmware, as its maker counts.
    #[must_use]
    pub const fn tpm_firmware(&self) -> u64 {
        self.tpm_firmware
    }

    /// The bytes by which it is kept and hashed. Numbers have their high byte first.
    ///
    /// ```text
    /// "dolmen-appraisal-v1\0"
    /// serial number         length in 16 bits, ASCII
    /// version               length in 16 bits, ASCII
    /// security version      8 bits
    /// root hash             32 bytes
    /// endorsement key       32 bytes
    /// its certificate       0, or 1 and 32 bytes
    /// name of the AK        length in 16 bits
    /// LDevID                length in 16 bits, DER
    /// registers             count in 8 bits; of each, ascending, its number in 8 bits and 32 bytes
    /// firmware's registers  likewise
    /// resetCount            32 bits
    /// restartCount          32 bits
    /// the TPM's firmware    64 bits
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = FORMAT.to_vec();
        put_sized(&mut bytes, self.serial.as_str().as_bytes());
        put_sized(&mut bytes, self.version.to_string().as_bytes());
        bytes.push(self.security_version.get());
        bytes.extend(self.root_hash.as_bytes());
        bytes.extend(self.ek.as_bytes());
        bytes.push(self.ek_certificate.is_some().into());
        bytes.extend(self.ek_certificate.iter().flat_map(Hash::as_bytes));
        put_sized(&mut bytes, &self.ak_name);
        put_sized(&mut bytes, &self.ldevid);
        put_registers(&mut bytes, &self.registers);
        put_registers(&mut bytes, &self.firmware);
        bytes.extend(self.counters.resets.to_be_bytes());
        bytes.extend(self.counters.restarts.to_be_bytes());
        bytes.extend(self.tpm_firmware.to_be_bytes());
        bytes
    }

    /// SHA-256 of [`to_bytes`](Self::to_bytes): what the chain's admission of the box carries.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&self.to_bytes())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`AppraisalError`] for all other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AppraisalError> {
        if bytes.len() > APPRAISAL_BYTES_MAX {
            return Err(AppraisalError("they are too many"));
        }
        let rest = bytes.strip_prefix(FORMAT).ok_or(AppraisalError("they begin otherwise"))?;
        let appraisal = Reader(rest).appraisal().ok_or(AppraisalError("they are damaged"))?;
        // Numbers, orders and versions have one form, and nothing follows.
        if appraisal.to_bytes() == bytes { Ok(appraisal) } else { Err(AppraisalError("they have another form")) }
    }
}

/// Whatever goes in is bounded by messages' limits to a fraction of the length's range.
fn put_sized(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend(part);
}

fn put_registers(bytes: &mut Vec<u8>, registers: &Registers) {
    bytes.push(u8::try_from(registers.len()).unwrap_or(u8::MAX));
    for (register, value) in registers {
        bytes.push(*register);
        bytes.extend(value.as_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn appraisal(mut self) -> Option<Appraisal> {
        Some(Appraisal {
            serial: self.text()?.parse().ok()?,
            version: self.text()?.parse().ok()?,
            security_version: SecurityVersion::new(self.byte()?)?,
            root_hash: self.hash()?,
            ek: self.hash()?,
            ek_certificate: if self.byte()? == 0 { None } else { Some(self.hash()?) },
            ak_name: self.sized()?.to_vec(),
            ldevid: self.sized()?.to_vec(),
            registers: self.registers()?,
            firmware: self.registers()?,
            counters: Counters {
                resets: self.array().map(u32::from_be_bytes)?,
                restarts: self.array().map(u32::from_be_bytes)?,
            },
            tpm_firmware: self.array().map(u64::from_be_bytes)?,
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn hash(&mut self) -> Option<Hash> {
        self.array().map(Hash::from_bytes)
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.array().map(u16::from_be_bytes)?;
        self.take(length.into())
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.sized()?).ok()
    }

    fn register(&mut self) -> Option<u8> {
        self.byte().filter(|register| usize::from(*register) < PCRS)
    }

    fn registers(&mut self) -> Option<Registers> {
        (0..self.byte()?).map(|_| Some((self.register()?, self.hash()?))).collect()
    }
}
