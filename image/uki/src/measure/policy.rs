//! Signatures of values of register 11, by which a TPM opens what is sealed for a key instead of for one value: every
//! UKI that the key's owner releases brings the signature for its own value along, in `.pcrsig`.
//!
//! What is signed is a policy digest: "register 11 holds this value". A TPM checks it by `TPM2_PolicyPCR` and then
//! `TPM2_PolicyAuthorize` (TPM 2.0 Library, Part 3 §23.7 and §23.16). The JSON is that of systemd-measure(1).

use openssl::base64;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{MeasureError, Measurement, Phase, pcr11::PCR, phases, replay};
use crate::{
    key::{KeyKind, PublicKey, Sign},
    pe::Digest,
};

/// `TPM_CC_PolicyPCR`.
const POLICY_PCR: u32 = 0x0000_017f;
/// `TPML_PCR_SELECTION` (Part 2 §10.9.7): one bank, SHA-256, and of it in three bytes register 11.
const SELECTION: [u8; 10] = [0, 0, 0, 1, 0x00, 0x0b, 3, 0x00, 1 << (PCR - 8), 0x00];

/// Signatures of values of register 11, as `.pcrsig` has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PcrSignatures {
    /// For the SHA-256 bank. Others, which systemd might add, are not read.
    sha256: Vec<PcrSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PcrSignature {
    /// Registers: 11.
    pcrs: Vec<u32>,
    /// SHA-256 of the public key, hexadecimal.
    pkfp: String,
    /// The policy digest, hexadecimal.
    pol: String,
    /// The signature, Base64.
    sig: String,
}

impl PcrSignatures {
    /// Signs what register 11 will hold after each of `paths`: lists of phases that the boot went through, such as
    /// [`Phase::BOOT`]; an empty one stands for the time before the first phase.
    ///
    /// `uki` is what [`uki`](super::uki()) predicts, and `public` the key's public half, which is in `.pcrpkey`.
    ///
    /// # Errors
    ///
    /// [`MeasureError::KeyKind`] for a key other than RSA, [`MeasureError::Sign`] if it does not sign, and
    /// [`MeasureError::WrongKey`] if it is not the public key's.
    pub fn sign(
        uki: &[Measurement],
        paths: &[&[Phase]],
        key: &dyn Sign,
        public: &PublicKey,
    ) -> Result<Self, MeasureError> {
        if public.kind() != KeyKind::Rsa {
            return Err(MeasureError::KeyKind);
        }
        let pkfp = const_hex::encode(public.fingerprint().map_err(MeasureError::Key)?);
        let mut sha256 = Vec::with_capacity(paths.len());
        for path in paths {
            let policy = policy_digest(&value(uki, path));
            let signature = key.sign(&policy).map_err(MeasureError::Sign)?;
            if !public.verify(&policy, &signature) {
                return Err(MeasureError::WrongKey);
            }
            let (pol, sig) = (const_hex::encode(policy), base64::encode_block(&signature));
            sha256.push(PcrSignature { pcrs: vec![PCR], pkfp: pkfp.clone(), pol, sig });
        }
        Ok(Self { sha256 })
    }

    /// Reads the JSON of a `.pcrsig`.
    ///
    /// # Errors
    ///
    /// [`MeasureError::Json`] if it is none.
    pub fn parse(json: &[u8]) -> Result<Self, MeasureError> {
        serde_json::from_slice(json).map_err(MeasureError::Json)
    }

    /// The JSON, on one line.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("it is lists of texts")
    }

    /// Whether the key signed what register 11 holds when a UKI's boot went through these phases: what a builder asks
    /// before it releases an image, and a box before it installs one.
    #[must_use]
    pub fn covers(&self, uki: &[Measurement], path: &[Phase], public: &PublicKey) -> bool {
        let policy = policy_digest(&value(uki, path));
        self.sha256
            .iter()
            .filter(|entry| entry.pcrs == [PCR] && entry.pol == const_hex::encode(policy))
            .any(|entry| base64::decode_block(&entry.sig).is_ok_and(|signature| public.verify(&policy, &signature)))
    }
}

/// What register 11 holds.
fn value(uki: &[Measurement], path: &[Phase]) -> Digest {
    let pcrs = replay(&[uki, &phases(path)].concat());
    pcrs.values()[PCR as usize].unwrap_or_default()
}

/// The policy "register 11 of the SHA-256 bank holds this value", in a session by SHA-256: what `TPM2_PolicyPCR` makes
/// of an empty policy (Part 3 §23.7).
#[must_use]
pub fn policy_digest(value: &Digest) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0; 32]);
    hasher.update(POLICY_PCR.to_be_bytes());
    hasher.update(SELECTION);
    hasher.update(Sha256::digest(value));
    hasher.finalize().into()
}
