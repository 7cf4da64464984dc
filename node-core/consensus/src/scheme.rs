//! Votes: Ed25519 signatures of the validators, checked by the box's signature engine.
//!
//! Certificates and encodings are commonware's; the checking is ours, and the signing is the guard's, which never signs
//! two votes that conflict. Checks follow ZIP 215 as commonware's do, so a vote is valid here exactly where it is valid
//! there. The validators' keys are prepared at the start: theirs are the signatures that a box checks most.

use std::{collections::BTreeSet, fmt, sync::Arc};

use commonware_codec::Read;
use commonware_consensus::simplex::{scheme::Namespace, types::Subject};
use commonware_cryptography::{
    Digest,
    certificate::{self, AssemblyError, Attestation, Membership, Subject as _, Verification},
    ed25519::{PublicKey, Signature, certificate::Certificate, certificate::Generic},
};
use commonware_parallel::Strategy;
use commonware_utils::{
    N3f1, Participant, Widen,
    iter::NonEmpty,
    ordered::{Quorum as _, Set},
    union_unique,
};
use dolmen_accel_api::{Algorithm, BatchVerifier, Message, Verdict, VerifyJob};
use dolmen_hsm_guard::{Guard, Kind, Round, Vote};
use rand::CryptoRng;
use tokio::task::block_in_place;

use crate::key::signature_to_commonware;

/// The signing scheme of one validator set.
#[derive(Clone)]
pub(crate) struct Scheme {
    generic: Generic<Namespace>,
    /// This box among the validators, and what signs for it.
    signer: Option<(Participant, Arc<Guard>)>,
    engine: Arc<dyn BatchVerifier>,
}

impl Scheme {
    /// The scheme of a box, which signs if it is one of the validators.
    pub(crate) fn new(
        namespace: &[u8],
        validators: &Set<PublicKey>,
        own: &PublicKey,
        guard: Arc<Guard>,
        engine: Arc<dyn BatchVerifier>,
    ) -> Self {
        let keys: Vec<&[u8]> = validators.iter().map(AsRef::as_ref).collect();
        engine.keys().prepare(Algorithm::Ed25519, &keys);
        let generic = Generic::verifier(namespace, validators.clone());
        Self { generic, signer: validators.index(own).map(|index| (index, guard)), engine }
    }

    /// Tells the guard of votes of this box that are in valid certificates: it should know all of them.
    fn observe<D: Digest>(&self, subject: Subject<'_, D>, certificate: &Certificate) {
        let Some((index, guard)) = &self.signer else { return };
        if !certificate.signers.iter().any(|signer| signer == *index) {
            return;
        }
        let ((round, kind), message) = (when(&subject), self.signed_bytes(subject));
        if let Err(error) = guard.observe(Vote { round, kind, message: &message }) {
            tracing::error!(%error, "the log of votes cannot be fenced; stop the box and look at its disk");
        }
    }

    /// Whether each signature over its message holds.
    fn check(&self, signed: &[(&PublicKey, &Signature, &[u8])]) -> Vec<bool> {
        let jobs: Vec<_> = signed
            .iter()
            .map(|&(key, signature, message)| VerifyJob {
                key: key.as_ref(),
                message: Message::Bytes(message),
                signature: signature.as_ref(),
            })
            .collect();
        let mut verdicts = vec![Verdict::Invalid; jobs.len()];
        if let Err(error) = self.engine.verify(Algorithm::Ed25519, &jobs, &mut verdicts) {
            // Nothing is taken for valid that was not checked: the box falls silent, which the others survive.
            tracing::error!(%error, "votes cannot be checked; restart the box, with --accel=off if it happens again");
            return vec![false; jobs.len()];
        }
        verdicts.into_iter().map(Verdict::is_valid).collect()
    }

    /// The bytes that validators sign for `subject`.
    fn signed_bytes<D: Digest>(&self, subject: Subject<'_, D>) -> Vec<u8> {
        union_unique(subject.namespace(&self.generic.namespace), &subject.message())
    }

    /// The keys and signatures of a certificate with a quorum of well-formed ones.
    fn signatures<'a>(&'a self, certificate: &'a Certificate) -> Option<Vec<(&'a PublicKey, &'a Signature)>> {
        let participants = &self.generic.participants;
        let count = certificate.signers.count();
        if certificate.signers.len() != participants.len()
            || count != certificate.signatures.len()
            || count < Widen::widen(participants.quorum::<N3f1>())
        {
            return None;
        }
        let pair = |(signer, signature): (_, &'a commonware_codec::types::lazy::Lazy<Signature>)| {
            Some((participants.key(signer)?, signature.get()?))
        };
        certificate.signers.iter().zip(&certificate.signatures).map(pair).collect()
    }
}

/// The guard's words for a vote.
fn when<D: Digest>(subject: &Subject<'_, D>) -> (Round, Kind) {
    let (kind, round) = match subject {
        Subject::Notarize { proposal } => (Kind::Notarize, proposal.round),
        Subject::Nullify { round } => (Kind::Nullify, *round),
        Subject::Finalize { proposal } => (Kind::Finalize, proposal.round),
    };
    (Round { epoch: round.epoch().get(), view: round.view().get() }, kind)
}

impl fmt::Debug for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheme").field("participants", &self.generic.participants).finish_non_exhaustive()
    }
}

impl certificate::Verifier for Scheme {
    type Subject<'a, D: Digest> = Subject<'a, D>;
    type Faults = N3f1;
    type PublicKey = PublicKey;
    type Certificate = Certificate;

    fn verify_certificate<R: CryptoRng, D: Digest>(
        &self,
        _: &mut R,
        subject: Subject<'_, D>,
        certificate: &Certificate,
        _: &impl Strategy,
    ) -> bool {
        let Some(signatures) = self.signatures(certificate) else { return false };
        let message = self.signed_bytes(subject);
        let signed: Vec<_> = signatures.into_iter().map(|(key, signature)| (key, signature, &message[..])).collect();
        let valid = self.check(&signed).into_iter().all(|valid| valid);
        if valid {
            self.observe(subject, certificate);
        }
        valid
    }

    fn verify_certificates<'a, R, D, I>(&self, _: &mut R, certificates: NonEmpty<I>, _: &impl Strategy) -> bool
    where
        R: CryptoRng,
        D: Digest,
        I: Iterator<Item = (Subject<'a, D>, &'a Certificate)>,
    {
        let mut parts = Vec::new();
        for (subject, certificate) in certificates {
            let Some(signatures) = self.signatures(certificate) else { return false };
            parts.push((self.signed_bytes(subject), signatures, subject, certificate));
        }
        let signed: Vec<_> = parts
            .iter()
            .flat_map(|(message, signatures, ..)| {
                signatures.iter().map(|(key, signature)| (*key, *signature, &message[..]))
            })
            .collect();
        let valid = self.check(&signed).into_iter().all(|valid| valid);
        if valid {
            parts.iter().for_each(|(_, _, subject, certificate)| self.observe(*subject, certificate));
        }
        valid
    }

    fn is_batchable() -> bool {
        Generic::<Namespace>::is_batchable()
    }

    fn max_certificate_size(participants: u32) -> usize {
        Generic::<Namespace>::max_certificate_size(participants)
    }

    fn certificate_codec_config(&self) -> <Certificate as Read>::Cfg {
        self.generic.certificate_codec_config()
    }

    fn certificate_codec_config_unbounded() -> <Certificate as Read>::Cfg {
        Generic::<Namespace>::certificate_codec_config_unbounded()
    }
}

impl certificate::Scheme for Scheme {
    type Signature = Signature;

    fn me(&self) -> Option<Membership> {
        self.signer.as_ref().map(|(index, _)| Membership::Signer(*index))
    }

    fn participants(&self) -> &Set<PublicKey> {
        &self.generic.participants
    }

    fn sign<D: Digest>(&self, subject: Subject<'_, D>) -> Option<Attestation<Self>> {
        let (index, guard) = self.signer.as_ref()?;
        let (round, kind) = when(&subject);
        let message = self.signed_bytes(subject);
        let sign = || guard.sign(Vote { round, kind, message: &message });
        // A device takes its time, and the runtime's other tasks go on meanwhile. Handing them over for a disk alone costs
        // more than the wait.
        match if guard.is_in_device() { block_in_place(sign) } else { sign() } {
            Ok(signature) => {
                Some(Attestation { signer: *index, signature: signature_to_commonware(&signature).into() })
            }
            Err(error) => {
                // The others go on without it; see `hushed.rs`.
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%round, %kind, %error, cause, "a vote was not signed");
                None
            }
        }
    }

    fn verify_attestation<R: CryptoRng, D: Digest>(
        &self,
        rng: &mut R,
        subject: Subject<'_, D>,
        attestation: &Attestation<Self>,
        strategy: &impl Strategy,
    ) -> bool {
        self.verify_attestations(rng, subject, [attestation.clone()], strategy).invalid.is_empty()
    }

    fn verify_attestations<R, D, I>(
        &self,
        _: &mut R,
        subject: Subject<'_, D>,
        attestations: I,
        _: &impl Strategy,
    ) -> Verification<Self>
    where
        R: CryptoRng,
        D: Digest,
        I: IntoIterator<Item = Attestation<Self>>,
    {
        let message = self.signed_bytes(subject);
        let attestations: Vec<_> = attestations.into_iter().collect();
        let well_formed = |attestation: &Attestation<Self>| {
            self.generic.participants.key(attestation.signer).is_some() && attestation.signature.get().is_some()
        };
        let (candidates, malformed): (Vec<_>, Vec<_>) = attestations.into_iter().partition(well_formed);
        let mut invalid: BTreeSet<_> = malformed.into_iter().map(|attestation| attestation.signer).collect();
        let signed: Vec<_> = candidates
            .iter()
            .filter_map(|attestation| {
                let key = self.generic.participants.key(attestation.signer)?;
                Some((key, attestation.signature.get()?, &message[..]))
            })
            .collect();
        let valid = self.check(&signed);
        drop(signed);
        invalid
            .extend(candidates.iter().zip(&valid).filter(|(_, valid)| !**valid).map(|(candidate, _)| candidate.signer));
        let verified = candidates.into_iter().filter(|candidate| !invalid.contains(&candidate.signer)).collect();
        Verification::new(verified, invalid.into_iter().collect())
    }

    fn optimistic_assemble<'a, R, D, I, J>(
        &self,
        rng: &mut R,
        subject: Subject<'_, D>,
        pending: I,
        verified: J,
        strategy: &impl Strategy,
    ) -> Result<Certificate, Verification<Self>>
    where
        R: CryptoRng,
        D: Digest,
        I: IntoIterator<Item = Attestation<Self>>,
        I::IntoIter: ExactSizeIterator + Send,
        J: IntoIterator<Item = &'a Attestation<Self>>,
        J::IntoIter: Send,
    {
        certificate::verify_then_assemble::<Self, _, D, _, _>(self, rng, subject, pending, verified, strategy)
    }

    fn assemble<I>(&self, attestations: NonEmpty<I>, _: &impl Strategy) -> Result<Certificate, AssemblyError>
    where
        I: Iterator<Item = Attestation<Self>> + Send,
    {
        self.generic.assemble::<Self, _>(attestations)
    }

    fn is_attributable() -> bool {
        Generic::<Namespace>::is_attributable()
    }
}

#[cfg(test)]
mod tests;
