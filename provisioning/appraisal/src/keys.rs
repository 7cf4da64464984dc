//! Which TPM it is, and that the other keys are its own.

use dolmen_hsm_evidence::{
    Attributes, EvidenceError, Moment, Public, check_ek_certificate, make_credential, verify_certify,
};
use dolmen_image_bundle::Hash;
use hmac::Mac as _;

use crate::{
    Bytes, Challenge, Enrolment, Fixed, Fresh, MessageError, Nonce, Policy, PublicArea, Refusal, Selection, Serial,
    SignedStatement, certification_nonce, maker, maker::Maker, message::activation_mac,
};

/// An endorsement key that the organisation takes: a maker vouches for it, or it is registered.
#[derive(Clone, Debug)]
pub(crate) struct Endorsed {
    ek: Public,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub(crate) hash: Hash,
    /// SHA-256 of its certificate; none if it is registered.
    pub(crate) certificate: Option<Hash>,
}

impl Endorsed {
    pub(crate) fn check(
        policy: &Policy,
        enrolment: &Enrolment,
        serial: &Serial,
        moment: Moment,
    ) -> Result<Self, Refusal> {
        let registered = policy.registered_ek(serial);
        let Some(certificate) = &enrolment.ek_certificate else {
            let registered = registered.ok_or_else(|| Refusal::EkUnregistered(serial.clone()))?;
            if !policy.takes_uncertified() {
                return Err(Refusal::EkUncertified(serial.clone()));
            }
            let (ek, hash) = endorsement_key(&enrolment.ek_public)?;
            return Self { ek, hash, certificate: None }.registered_as(Some(registered), serial);
        };
        let roots: Vec<&[u8]> = policy.ek_roots().iter().map(Vec::as_slice).collect();
        let chain: Vec<&[u8]> = enrolment.ek_chain.iter().map(|certificate| certificate.as_slice()).collect();
        let checked =
            check_ek_certificate(certificate.as_slice(), &roots, &chain, moment).map_err(certificate_error)?;
        if policy.hardware_only() {
            check_maker(policy, checked.manufacturer.as_deref())?;
        }
        let (ek, hash) = endorsement_key(&enrolment.ek_public)?;
        checked.matches(&ek).map_err(Refusal::EkMismatch)?;
        let certificate = Some(Hash::of(&checked.der));
        Self { ek, hash, certificate }.registered_as(registered, serial)
    }

    fn registered_as(self, registered: Option<Hash>, serial: &Serial) -> Result<Self, Refusal> {
        match registered {
            Some(registered) if registered != self.hash => {
                Err(Refusal::EkOther { serial: serial.clone(), registered, found: self.hash })
            }
            _ => Ok(self),
        }
    }
}

/// Keys that are in one TPM if the attestation key is in the endorsed one.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    endorsed: Endorsed,
    ak: Public,
    /// `SubjectPublicKeyInfo`.
    ldevid: Vec<u8>,
}

impl Held {
    pub(crate) fn check(endorsed: Endorsed, enrolment: &Enrolment, serial: &Serial) -> Result<Self, Refusal> {
        let ak = attestation_key(&enrolment.ak_public)?;
        let ldevid = Public::from_tpm2b(enrolment.ldevid_public.as_slice()).map_err(Refusal::LdevidKey)?;
        let attributes = ldevid.attributes();
        let sealed_off = [Attributes::RESTRICTED, Attributes::DECRYPT];
        if !ldevid.is_device_key() || sealed_off.into_iter().any(|attribute| attributes.contains(attribute)) {
            return Err(Refusal::LdevidAttributes(attributes));
        }
        let SignedStatement { statement, signature } = &enrolment.certification;
        let (statement, signature) = (statement.as_slice(), signature.as_slice());
        verify_certify(&ak, statement, signature, &certification_nonce(serial), &ldevid)
            .map_err(certification_error)?;
        let ldevid = ldevid.key().to_spki().map_err(Refusal::LdevidKey)?;
        Ok(Self { endorsed, ak, ldevid })
    }

    /// What only the endorsed TPM opens, and only if it has the attestation key.
    pub(crate) fn challenge(&self, fresh: &Fresh, registers: Selection) -> Result<Challenge, Refusal> {
        let credential =
            make_credential(&self.endorsed.ek, &self.ak.name(), fresh.secret()).map_err(Refusal::Credential)?;
        let too_long = |error: MessageError| {
            let reason = error.to_string();
            Refusal::Credential(EvidenceError::Malformed { what: "a credential", reason })
        };
        Ok(Challenge {
            id_object: Bytes::new(credential.id_object).map_err(too_long)?,
            encrypted_secret: Bytes::new(credential.encrypted_secret).map_err(too_long)?,
            nonce: fresh.nonce(),
            registers,
        })
    }
}

/// Keys that are in the endorsed TPM: it answered.
#[derive(Clone, Debug)]
pub(crate) struct Activated {
    pub(crate) endorsed: Endorsed,
    pub(crate) ak: Public,
    pub(crate) ldevid: Vec<u8>,
}

impl Activated {
    pub(crate) fn check(held: Held, secret: &[u8; 32], nonce: &Nonce, proof: &Fixed<32>) -> Result<Self, Refusal> {
        // In constant time: a proof that is guessed byte by byte would be none.
        activation_mac(secret, nonce).verify_slice(&proof.0).map_err(|_| Refusal::Activation)?;
        let Held { endorsed, ak, ldevid } = held;
        Ok(Self { endorsed, ak, ldevid })
    }
}

/// Reads an attestation key.
pub(crate) fn attestation_key(area: &PublicArea) -> Result<Public, Refusal> {
    let ak = Public::from_tpm2b(area.as_slice()).map_err(Refusal::AkKey)?;
    if ak.is_attestation_key() { Ok(ak) } else { Err(Refusal::AkAttributes(ak.attributes())) }
}

fn endorsement_key(area: &PublicArea) -> Result<(Public, Hash), Refusal> {
    let ek = Public::from_tpm2b(area.as_slice()).map_err(Refusal::EkKey)?;
    let hash = Hash::of(&ek.key().to_spki().map_err(Refusal::EkKey)?);
    Ok((ek, hash))
}

fn check_maker(policy: &Policy, manufacturer: Option<&str>) -> Result<(), Refusal> {
    let maker = manufacturer.and_then(maker::parse).map_or(Maker::Unknown, |id| policy.maker(id));
    match maker {
        Maker::Hardware => Ok(()),
        Maker::Software(name) => Err(Refusal::TpmSoftware(name)),
        Maker::Unknown => Err(Refusal::TpmMaker(manufacturer.unwrap_or_default().to_owned())),
    }
}

fn certificate_error(error: EvidenceError) -> Refusal {
    match error {
        EvidenceError::Chain { .. } => Refusal::EkUntrusted(error),
        _ => Refusal::EkCertificate(error),
    }
}

fn certification_error(error: EvidenceError) -> Refusal {
    match error {
        EvidenceError::Signature | EvidenceError::SignatureScheme { .. } => Refusal::CertificationSignature(error),
        EvidenceError::Nonce => Refusal::CertificationNonce(error),
        EvidenceError::Name { .. } => Refusal::CertificationOther(error),
        _ => Refusal::Certification(error),
    }
}
