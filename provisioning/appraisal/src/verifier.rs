//! The judgement, in the order of the messages. Each step takes what the step before it gave, so that none can be left
//! out: [`Verifier::begin`] gives an [`Awaiting`], and only its [`finish`](Awaiting::finish) gives an [`Appraisal`].

use std::{fmt, sync::Arc};

use dolmen_hsm_evidence::Moment;
use zeroize::Zeroizing;

use crate::{
    Appraisal, Challenge, Claim, Enrolment, Fixed, Logs, Nonce, Policy, ReferenceValues, Refusal, Response, Selection,
    Serial,
    keys::{Activated, Endorsed, Held},
    quote::Quoted,
};

/// What makes one enrolment another than all others: bytes of a source of randomness for cryptography, used once. There
/// is no copying it.
pub struct Fresh {
    secret: Zeroizing<[u8; 32]>,
    nonce: Nonce,
}

impl Fresh {
    /// A secret to wrap for the TPM, and what the quote is made new with.
    #[must_use]
    pub const fn new(secret: Zeroizing<[u8; 32]>, nonce: [u8; 32]) -> Self {
        Self { secret, nonce: Fixed(nonce) }
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    pub(crate) const fn nonce(&self) -> Nonce {
        self.nonce
    }
}

/// Without the secret.
impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").field("nonce", &self.nonce).finish_non_exhaustive()
    }
}

/// Judges boxes by a policy and the images that it knows.
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(crate) policy: Arc<Policy>,
    pub(crate) references: Arc<ReferenceValues>,
}

impl Verifier {
    /// By this policy and these images.
    pub fn new(policy: impl Into<Arc<Policy>>, references: impl Into<Arc<ReferenceValues>>) -> Self {
        Self { policy: policy.into(), references: references.into() }
    }

    /// Looks at a box's keys and makes what only its TPM can answer. `serial` is the machine's as its voucher has it,
    /// which is for the voucher to prove; `moment` is the time by which certificates have to be valid.
    ///
    /// In this order: the endorsement key's certificate and its maker, or its registration; that the certificate is
    /// this key's; the attestation key; the LDevID; that the one certified the other.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which of them does not hold.
    pub fn begin(
        &self,
        enrolment: &Enrolment,
        serial: &Serial,
        fresh: Fresh,
        moment: Moment,
    ) -> Result<(Awaiting, Challenge), Refusal> {
        let endorsed = Endorsed::check(&self.policy, enrolment, serial, moment)?;
        let held = Held::check(endorsed, enrolment, serial)?;
        let registers: Selection = self.policy.registers().union(&self.policy.pinned()).copied().collect();
        let challenge = held.challenge(&fresh, registers.clone())?;
        let awaiting = Awaiting {
            verifier: self.clone(),
            serial: serial.clone(),
            held,
            fresh,
            registers,
            logs: enrolment.logs.clone(),
            claim: enrolment.claim.clone(),
        };
        Ok((awaiting, challenge))
    }
}

/// An enrolment whose keys fit each other, if the TPM is the one that they say. It waits for that TPM's answer.
///
/// It takes one answer: whoever gave a wrong one begins anew, with a new secret and a new nonce.
#[derive(Debug)]
pub struct Awaiting {
    verifier: Verifier,
    serial: Serial,
    held: Held,
    fresh: Fresh,
    registers: Selection,
    logs: Logs,
    claim: Claim,
}

impl Awaiting {
    /// Judges the answer.
    ///
    /// In this order: the proof that the credential was opened; the quote's signature, nonce, registers and their
    /// values; that the logs lead to them; that an allowed image leaves them; its security version; and that its initrd
    /// was left.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which of them does not hold.
    pub fn finish(self, response: &Response) -> Result<Appraisal, Refusal> {
        let Self { verifier: Verifier { policy, references }, serial, held, fresh, registers, logs, claim } = self;
        let activated = Activated::check(held, fresh.secret(), &fresh.nonce(), &response.proof)?;
        let quoted = Quoted::check(&activated.ak, &response.quote, &fresh.nonce(), &registers)?;
        let explained = quoted.explain(&logs)?;
        let recognised = explained.recognise(&policy, &references, &claim)?;
        Ok(Appraisal::new(serial, activated, recognised))
    }
}
