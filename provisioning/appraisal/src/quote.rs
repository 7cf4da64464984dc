//! What a TPM's registers hold, how they came to hold it, and which image that is.

use dolmen_hsm_evidence::{
    Clock, EventLog, EvidenceError, HashAlgorithm, MeasureLog, Pcrs, Public, Quote, compare, verify_quote,
};
use dolmen_image_bundle::{Hash, SecurityVersion, Version};

use crate::{
    Claim, Counters, Logs, Nonce, Policy, ReferenceValues, Refusal, Registers, Selection, SignedQuote,
    reference::{Image, RUNNING},
};

/// The bank of registers.
const BANK: HashAlgorithm = HashAlgorithm::Sha256;
/// The register of phases.
const PHASES: u8 = 11;

/// Registers as the TPM has them.
#[derive(Clone, Debug)]
pub(crate) struct Quoted {
    registers: Registers,
    quote: Quote,
}

impl Quoted {
    pub(crate) fn check(ak: &Public, sent: &SignedQuote, nonce: &Nonce, asked: &Selection) -> Result<Self, Refusal> {
        let expected = pcrs(&sent.registers)?;
        let (statement, signature) = (sent.quote.statement.as_slice(), sent.quote.signature.as_slice());
        let quote = verify_quote(ak, statement, signature, &nonce.0, &expected).map_err(quote_error)?;
        // The TPM's word is about what was sent. It has to be what was asked for too.
        if !sent.registers.keys().eq(asked) {
            let asked = pcrs(&asked.iter().map(|register| (*register, Hash::from_bytes([0; 32]))).collect())?;
            let [expected, found] = [asked, expected].map(|pcrs| pcrs.selection().to_string());
            return Err(Refusal::QuoteSelection(EvidenceError::PcrSelection { expected, found }));
        }
        Ok(Self { registers: sent.registers.clone(), quote })
    }

    /// How often the TPM was started.
    pub(crate) const fn counters(&self) -> Counters {
        let Clock { resets, restarts, .. } = self.quote.clock;
        Counters { resets, restarts }
    }

    /// Follows the logs to the registers.
    pub(crate) fn explain(self, logs: &Logs) -> Result<Explained, Refusal> {
        let firmware = EventLog::parse(logs.firmware.as_slice()).map_err(Refusal::FirmwareLog)?;
        let mut replayed = firmware.replay(BANK).map_err(Refusal::FirmwareLog)?;
        let userspace = logs.userspace.as_ref().map_or(&[][..], |log| log.as_slice());
        let userspace = MeasureLog::parse(userspace).map_err(Refusal::UserspaceLog)?;
        if userspace.measurements().iter().all(|measurement| measurement.pcr != u32::from(PHASES)) {
            replay_phases(&mut replayed, &self.quote.pcrs)?;
        }
        userspace.replay(&mut replayed).map_err(Refusal::UserspaceLog)?;
        compare(&replayed, &self.quote.pcrs).map_err(|error| self.log_error(error))?;
        Ok(Explained(self))
    }

    fn log_error(&self, error: EvidenceError) -> Refusal {
        let EvidenceError::PcrDiffers { pcr, replayed, quoted } = &error else { return Refusal::FirmwareLog(error) };
        match (u8::try_from(*pcr), replayed.parse(), quoted.parse()) {
            (Ok(register), Ok(replayed), Ok(quoted)) => Refusal::LogMismatch { register, replayed, quoted },
            _ => Refusal::FirmwareLog(error),
        }
    }
}

/// Registers of which each step is in a log.
#[derive(Clone, Debug)]
pub(crate) struct Explained(Quoted);

impl Explained {
    /// Finds the image.
    pub(crate) fn recognise(
        self,
        policy: &Policy,
        references: &ReferenceValues,
        claim: &Claim,
    ) -> Result<Recognised, Refusal> {
        let version = &claim.version;
        if !policy.allows(version) {
            return Err(Refusal::ImageForbidden(version.clone()));
        }
        let image = references.image(version).ok_or_else(|| Refusal::ImageUnknown(version.clone()))?;
        if image.test_keys && !policy.takes_test_keys() {
            return Err(Refusal::ImageTestKeys(version.clone()));
        }
        if image.root_hash != claim.root_hash {
            let (version, expected, found) = (version.clone(), image.root_hash, claim.root_hash);
            return Err(Refusal::ImageRoot { version, expected, found });
        }
        let Self(quoted) = self;
        let counters = quoted.counters();
        let (registers, firmware): (Registers, Registers) =
            quoted.registers.into_iter().partition(|(register, _)| policy.registers().contains(register));
        let phase = check_registers(image, &registers)?;
        let (found, min) = (image.security_version, policy.security_version_min());
        if found < min {
            return Err(Refusal::SecurityVersion { found, min });
        }
        if phase != RUNNING {
            return Err(Refusal::BootPhase(phase.to_owned()));
        }
        Ok(Recognised {
            version: image.version.clone(),
            security_version: found,
            root_hash: image.root_hash,
            registers,
            firmware,
            counters,
            tpm_firmware: quoted.quote.firmware,
        })
    }
}

/// Registers that an allowed image left, after its initrd.
#[derive(Clone, Debug)]
pub(crate) struct Recognised {
    pub(crate) version: Version,
    pub(crate) security_version: SecurityVersion,
    pub(crate) root_hash: Hash,
    /// Those that the image accounts for.
    pub(crate) registers: Registers,
    /// The others that were asked for.
    pub(crate) firmware: Registers,
    pub(crate) counters: Counters,
    pub(crate) tpm_firmware: u64,
}

/// Compares with what an image leaves. Gives the phases of its boot.
fn check_registers<'a>(image: &'a Image, registers: &Registers) -> Result<&'a str, Refusal> {
    let mut phase = None;
    for (register, quoted) in registers {
        let expected = match register {
            4 => image.pcr4,
            7 => image.pcr7,
            _ => {
                phase = image.phase(*quoted);
                if phase.is_some() { *quoted } else { image.running }
            }
        };
        if *quoted != expected {
            let (register, version, quoted) = (*register, image.version.clone(), *quoted);
            return Err(Refusal::PcrMismatch { register, version, expected, quoted });
        }
    }
    // Policies have register 11, so that there is one.
    Ok(phase.unwrap_or_default())
}

/// Goes on from the firmware's log as the initrd does, which writes none: as far as the register says, or to the end.
fn replay_phases(replayed: &mut Pcrs, quoted: &Pcrs) -> Result<(), Refusal> {
    let phases = usize::from(PHASES);
    for word in RUNNING.split(':') {
        let reached = quoted.values()[phases].is_some_and(|quoted| replayed.values()[phases] == Some(quoted));
        if !reached {
            let digest = Hash::of(word.as_bytes());
            replayed.extend(PHASES.into(), digest.as_bytes()).map_err(Refusal::UserspaceLog)?;
        }
    }
    Ok(())
}

fn pcrs(registers: &Registers) -> Result<Pcrs, Refusal> {
    let mut pcrs = Pcrs::new(BANK).map_err(Refusal::Quote)?;
    for (register, value) in registers {
        pcrs.set((*register).into(), *value.as_bytes()).map_err(Refusal::Quote)?;
    }
    Ok(pcrs)
}

fn quote_error(error: EvidenceError) -> Refusal {
    match error {
        EvidenceError::Signature | EvidenceError::SignatureScheme { .. } => Refusal::QuoteSignature(error),
        EvidenceError::Nonce => Refusal::QuoteReplayed(error),
        EvidenceError::PcrSelection { .. } => Refusal::QuoteSelection(error),
        EvidenceError::PcrDigest => Refusal::QuoteDigest(error),
        _ => Refusal::Quote(error),
    }
}
