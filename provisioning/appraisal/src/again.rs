//! The same box later: whether it still is the one that enrolled.

use dolmen_image_bundle::{Hash, SecurityVersion, Version};

use crate::{
    Appraisal, Counters, Fixed, QuoteRequest, Reattestation, Refusal, Registers, Selection, Verifier,
    keys::attestation_key,
    quote::{Quoted, Recognised},
};

/// In what a box is another than it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Drift {
    /// Another TPM, or one whose endorsement seed was changed.
    #[error("the attestation key is {found}, enrolled was {enrolled}: the TPM is another one")]
    AttestationKey {
        /// Its name at enrolment, hexadecimal.
        enrolled: String,
        /// Its name now.
        found: String,
    },
    /// Something older, or a TPM that was cleared.
    #[error(
        "the TPM was started {} times and resumed {}, before it was {} and {}: it was cleared, or the machine's state \
         was put back",
        found.resets, found.restarts, seen.resets, seen.restarts
    )]
    Counters {
        /// When the box was last judged.
        seen: Counters,
        /// Now.
        found: Counters,
    },
    /// Firmware, its settings, or its hardware.
    #[error("register {register} was {enrolled} at enrolment and is {quoted}: firmware or its settings were changed")]
    Register {
        /// The first such register.
        register: u8,
        /// At enrolment.
        enrolled: Hash,
        /// Now.
        quoted: Hash,
    },
}

impl Drift {
    /// A name for logs and metrics, as [`Refusal::code`].
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AttestationKey { .. } => "drift-key",
            Self::Counters { .. } => "drift-counters",
            Self::Register { .. } => "drift-register",
        }
    }
}

impl Verifier {
    /// Asks an enrolled box for a new quote. `seen` are the counters of when it was last judged, be it at its enrolment
    /// ([`Appraisal::counters`]) or later ([`Reappraisal::counters`]). `nonce` is random and used once.
    #[must_use]
    pub fn ask(&self, appraisal: Appraisal, seen: Counters, nonce: [u8; 32]) -> (AwaitingQuote, QuoteRequest) {
        let mut pinned = self.policy.pinned();
        // What was ignored at enrolment cannot have changed since.
        pinned.retain(|register| appraisal.firmware().contains_key(register));
        let registers: Selection = self.policy.registers().union(&pinned).copied().collect();
        let request = QuoteRequest { nonce: Fixed(nonce), registers };
        let awaiting = AwaitingQuote { verifier: self.clone(), appraisal, seen, request: request.clone() };
        (awaiting, request)
    }
}

/// An enrolled box was asked for a quote. It takes one answer.
#[derive(Debug)]
pub struct AwaitingQuote {
    verifier: Verifier,
    appraisal: Appraisal,
    seen: Counters,
    request: QuoteRequest,
}

/// What was found about an enrolled box: it is the same, with the same firmware, and runs an allowed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reappraisal {
    version: Version,
    security_version: SecurityVersion,
    registers: Registers,
    counters: Counters,
    tpm_firmware: u64,
}

impl AwaitingQuote {
    /// Judges the answer.
    ///
    /// In this order: that the attestation key is the enrolled one; the quote's signature, nonce, registers and their
    /// values; that the logs lead to them; that the TPM's counters did not go back; that an allowed image leaves the
    /// registers, its security version and the phase of its boot; and that the firmware's registers are as they were.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which of them does not hold, with a [`Drift`] for what changed since the enrolment.
    pub fn finish(self, answer: &Reattestation) -> Result<Reappraisal, Refusal> {
        let Self { verifier: Verifier { policy, references }, appraisal, seen, request } = self;
        let ak = attestation_key(&answer.ak_public)?;
        if ak.name() != appraisal.ak_name() {
            let [enrolled, found] = [appraisal.ak_name(), &ak.name()].map(const_hex::encode);
            return Err(Refusal::Drift(Drift::AttestationKey { enrolled, found }));
        }
        let quoted = Quoted::check(&ak, &answer.quote, &request.nonce, &request.registers)?;
        let found = quoted.counters();
        let explained = quoted.explain(&answer.logs)?;
        if found < seen {
            return Err(Refusal::Drift(Drift::Counters { seen, found }));
        }
        let recognised = explained.recognise(&policy, &references, &answer.claim)?;
        check_firmware(appraisal.firmware(), &recognised.firmware)?;
        let Recognised { version, security_version, registers, counters, tpm_firmware, .. } = recognised;
        Ok(Reappraisal { version, security_version, registers, counters, tpm_firmware })
    }
}

fn check_firmware(enrolled: &Registers, quoted: &Registers) -> Result<(), Refusal> {
    for (register, quoted) in quoted {
        if let Some(enrolled) = enrolled.get(register)
            && enrolled != quoted
        {
            let (register, enrolled, quoted) = (*register, *enrolled, *quoted);
            return Err(Refusal::Drift(Drift::Register { register, enrolled, quoted }));
        }
    }
    Ok(())
}

impl Reappraisal {
    /// The image that runs.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// Its security version.
    #[must_use]
    pub const fn security_version(&self) -> SecurityVersion {
        self.security_version
    }

    /// Registers that were compared with the image's.
    #[must_use]
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// How often the TPM was started, for the next [`Verifier::ask`].
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The version of the TPM's own firmware, as its maker counts.
    #[must_use]
    pub const fn tpm_firmware(&self) -> u64 {
        self.tpm_firmware
    }
}
