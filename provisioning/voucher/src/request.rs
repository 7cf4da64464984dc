//! Requests for vouchers.

use dolmen_provisioning_ca::{Certificate, UnixTime, base64};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    Assertion, JsonError, KeyIdentifier, Nonce, SerialNumber,
    json::{self, present},
    limits::PRIOR_BYTES_MAX,
};

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A box's (RFC 8995 §5.2).
    Pledge {
        /// The certificate of the registrar that it is connected to, as TLS showed it; none where it is connected to
        /// nobody, and its request is carried.
        proximity_registrar_cert: Option<Certificate>,
    },
    /// A registrar's (RFC 8995 §5.5).
    Registrar {
        /// The box's request, whole: CMS.
        prior_signed_voucher_request: Vec<u8>,
    },
}

/// A request for a voucher. Holding one says nothing about who wrote it.
///
/// The JSON has the one member `ietf-voucher-request:voucher`, and in it the members of RFC 8995 §3 that are here.
/// Other members are refused: who answers must not pass over what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoucherRequest {
    /// When it was made; for people. A box without a clock does not say.
    pub created_on: Option<UnixTime>,
    /// What the voucher is to say.
    pub assertion: Option<Assertion>,
    /// What the box made up for this. Without one only a voucher with an epoch can be the answer.
    pub nonce: Option<Nonce>,
    /// Which box.
    pub serial_number: SerialNumber,
    /// Which maker's.
    pub idevid_issuer: Option<KeyIdentifier>,
    /// Whose request it is.
    pub form: Form,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "ietf-voucher-request:voucher")]
    voucher: Members,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Members {
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    created_on: Option<UnixTime>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    assertion: Option<Assertion>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    nonce: Option<Nonce>,
    serial_number: SerialNumber,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    idevid_issuer: Option<KeyIdentifier>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    prior_signed_voucher_request: Option<Prior>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    proximity_registrar_cert: Option<Certificate>,
}

struct Prior(Vec<u8>);

impl Serialize for Prior {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Prior {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        base64::deserialize(deserializer, |bytes| Ok::<_, &str>(Self(bytes)))
    }
}

impl VoucherRequest {
    /// Its JSON, the same bytes whenever it says the same.
    ///
    /// # Errors
    ///
    /// [`JsonError`] for one that [`from_json`](Self::from_json) would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        self.check()?;
        let (prior, proximity) = match &self.form {
            Form::Pledge { proximity_registrar_cert } => (None, proximity_registrar_cert.clone()),
            Form::Registrar { prior_signed_voucher_request } => {
                (Some(Prior(prior_signed_voucher_request.clone())), None)
            }
        };
        let voucher = Members {
            created_on: self.created_on,
            assertion: self.assertion,
            nonce: self.nonce.clone(),
            serial_number: self.serial_number.clone(),
            idevid_issuer: self.idevid_issuer.clone(),
            prior_signed_voucher_request: prior,
            proximity_registrar_cert: proximity,
        };
        json::write(&Document { voucher })
    }

    /// Reads JSON. One with a prior request is a registrar's.
    ///
    /// # Errors
    ///
    /// [`JsonError::Bytes`], [`JsonError::Json`], [`JsonError::Form`], [`JsonError::Proximity`] and
    /// [`JsonError::PriorBytes`].
    pub fn from_json(json: &[u8]) -> Result<Self, JsonError> {
        let Document { voucher } = json::read(json)?;
        let form = match (voucher.prior_signed_voucher_request, voucher.proximity_registrar_cert) {
            (None, proximity_registrar_cert) => Form::Pledge { proximity_registrar_cert },
            (Some(Prior(prior_signed_voucher_request)), None) => Form::Registrar { prior_signed_voucher_request },
            (Some(_), Some(_)) => return Err(JsonError::Form),
        };
        let request = Self {
            created_on: voucher.created_on,
            assertion: voucher.assertion,
            nonce: voucher.nonce,
            serial_number: voucher.serial_number,
            idevid_issuer: voucher.idevid_issuer,
            form,
        };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), JsonError> {
        match &self.form {
            // RFC 8995 §3: a box that asserts proximity says to whom.
            Form::Pledge { proximity_registrar_cert: None } if self.assertion == Some(Assertion::Proximity) => {
                Err(JsonError::Proximity)
            }
            Form::Registrar { prior_signed_voucher_request: prior }
                if prior.is_empty() || prior.len() > PRIOR_BYTES_MAX =>
            {
                Err(JsonError::PriorBytes { found: prior.len(), limit: PRIOR_BYTES_MAX })
            }
            _ => Ok(()),
        }
    }
}
