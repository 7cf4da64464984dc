//! What a box asks its organisation for.

use dolmen_provisioning_ca::{
    Certificate, Crl,
    chain::{Purpose, Rules, When},
    cms::{self, ContentType, Unsigned},
};
use dolmen_provisioning_voucher::SerialNumber;
use serde::{Deserialize, Serialize};

use crate::{
    AdmissionRefusal, ContentError, Hash,
    content::{self, Content, check_bytes, present},
    limits::{ADMISSION_BYTES_MAX, REQUEST_BYTES_MAX},
};

/// A box asks to be one of the chain's. Holding one says nothing about who wrote it: [`VerifiedAdmission`] does.
///
/// The JSON is `{"format":"dolmen-admission-v1","body":{...}}` with the members below; others are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// The box.
    pub serial_number: SerialNumber,
    /// The chain's number, as its bundle has it.
    pub chain_id: u64,
    /// Hash of the chain's block zero, as its bundle has it.
    pub genesis_hash: Hash,
    /// What `dolmen gov request` wrote, as it is: by the box's consensus key.
    pub request: String,
    /// Hash of the appraisal, as its bundle has it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub appraisal: Option<Hash>,
}

/// What a registrar knows when it is asked.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionExpectation<'a> {
    /// Who issues its boxes' certificates: the organisation's root, or the authority that issues.
    pub organisation: &'a [Certificate],
    /// When the box's certificate has to hold.
    pub when: When,
    /// Lists of certificates that the organisation revoked.
    pub crls: &'a [Crl],
    /// The chain's number.
    pub chain_id: u64,
    /// Hash of its block zero.
    pub genesis_hash: Hash,
    /// Hash of the box's appraisal.
    pub appraisal: Option<Hash>,
}

/// What the message is about.
const ADMISSION: ContentType = ContentType::data(ADMISSION_BYTES_MAX);

/// Bytes of a message with an admission.
pub(crate) const MESSAGE_BYTES_MAX: usize = ADMISSION.message_bytes_max();

/// An admission that a box of the organisation signed, about itself and this chain. Only [`Admission::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAdmission {
    content: Admission,
    ldevid: Certificate,
}

impl VerifiedAdmission {
    /// What it says.
    #[must_use]
    pub const fn content(&self) -> &Admission {
        &self.content
    }

    /// The certificate of the box that signed it.
    #[must_use]
    pub const fn ldevid(&self) -> &Certificate {
        &self.ldevid
    }
}

impl Admission {
    /// Its JSON, the same bytes whenever it says the same.
    ///
    /// # Errors
    ///
    /// [`ContentError`] for what [`from_json`](Self::from_json) would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, ContentError> {
        content::write(self)
    }

    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// [`ContentError`].
    pub fn from_json(json: &[u8]) -> Result<Self, ContentError> {
        content::read(json)
    }

    /// What the box's key (LDevID) has to sign, so that it becomes a message. The first of `chain` is its certificate.
    ///
    /// # Errors
    ///
    /// [`AdmissionRefusal::Content`] and [`AdmissionRefusal::Damaged`].
    pub fn to_sign(&self, chain: &[Certificate]) -> Result<Unsigned, AdmissionRefusal> {
        let json = self.to_json().map_err(AdmissionRefusal::Content)?;
        cms::to_sign(ADMISSION, &json, chain).map_err(AdmissionRefusal::Damaged)
    }

    /// Whether a registrar takes a message in DER for a box's admission:
    ///
    /// 1. Somebody of its organisation signed it.
    /// 2. That is a box: its certificate is one of boxes.
    /// 3. It is an admission, and the box's own.
    /// 4. It is for this chain, on the appraisal that the registrar knows.
    ///
    /// # Errors
    ///
    /// [`AdmissionRefusal`], by the first of these that does not hold.
    pub fn verify(
        message: &[u8],
        expectation: &AdmissionExpectation<'_>,
    ) -> Result<VerifiedAdmission, AdmissionRefusal> {
        let AdmissionExpectation { organisation, when, crls, .. } = *expectation;
        let rules = Rules { when, purpose: Purpose::Client, crls };
        let verified = cms::verify(message, ADMISSION, organisation, &rules)?;
        let ldevid = verified.signer();
        let box_serial = ldevid.box_serial().ok_or(AdmissionRefusal::NoBox)?;
        let content = Self::from_json(verified.content()).map_err(AdmissionRefusal::Content)?;
        if content.serial_number.as_str() != box_serial {
            return Err(AdmissionRefusal::Serial { found: content.serial_number, signer: box_serial.to_owned() });
        }
        if (content.chain_id, content.genesis_hash) != (expectation.chain_id, expectation.genesis_hash) {
            return Err(AdmissionRefusal::Chain { found: content.chain_id, expected: expectation.chain_id });
        }
        if content.appraisal != expectation.appraisal {
            return Err(AdmissionRefusal::Appraisal);
        }
        Ok(VerifiedAdmission { content, ldevid: ldevid.clone() })
    }
}

impl Content for Admission {
    const WHAT: &'static str = "admission";
    const FORMAT: &'static str = "dolmen-admission-v1";
    const BYTES_MAX: usize = ADMISSION_BYTES_MAX;

    fn check(&self) -> Result<(), ContentError> {
        check_bytes("the request in an admission", self.request.len(), REQUEST_BYTES_MAX)?;
        if self.request.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(ContentError::Invalid("the request in an admission has control characters"));
        }
        Ok(())
    }
}
