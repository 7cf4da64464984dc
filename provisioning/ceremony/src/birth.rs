//! What a new box says of itself at the factory, in a file that is carried to the maker's keys.

use std::path::Path;

use dolmen_provisioning_ca::{Request, RequestError};
use dolmen_provisioning_voucher::{OwnershipEpoch, SerialNumber};
use serde::{Deserialize, Serialize};

use crate::{
    CeremonyError,
    encoding::{bytes, digits},
    files,
    limits::BIRTH_BYTES_MAX,
};

/// The version of the file's form.
const FORMAT: &str = "dolmen-birth-v1";

/// A new box: its serial number, and the request for its first certificate, by a key that its TPM does not give away.
///
/// ```json
/// {
///   "format": "dolmen-birth-v1",
///   "serial_number": "BOX-0001",
///   "request": "MIIB...",
///   "endorsement_key": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
///   "ownership_epoch": "1"
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Birth {
    /// As on its label.
    pub serial_number: SerialNumber,
    /// PKCS#10 by the key, which shows that the TPM has it.
    pub request: Request,
    /// SHA-256 of the endorsement key (`SubjectPublicKeyInfo`, DER): for organisations whose policy registers keys of
    /// TPMs, and to tell TPMs apart.
    pub endorsement_key: [u8; 32],
    /// The TPM's counter of owners, which vouchers have to exceed.
    pub ownership_epoch: OwnershipEpoch,
}

/// Why a file is none.
#[derive(Debug, thiserror::Error)]
pub enum BirthError {
    /// Larger than any.
    #[error("it has {0} bytes, {BIRTH_BYTES_MAX} at most can be")]
    Bytes(usize),
    /// Not the form.
    #[error("it is not what `dolmen keys idevid` writes")]
    Json(#[source] serde_json::Error),
    /// Another form.
    #[error("its format is {0:?}, {FORMAT:?} is known; take the program that wrote it")]
    Format(String),
    /// No request.
    #[error("its request is not accepted")]
    Request(#[source] RequestError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    serial_number: SerialNumber,
    #[serde(with = "bytes")]
    request: Vec<u8>,
    #[serde(with = "digits")]
    endorsement_key: [u8; 32],
    ownership_epoch: OwnershipEpoch,
}

impl Birth {
    /// The file's content.
    ///
    /// # Errors
    ///
    /// None that a well-formed box meets: JSON of these members can always be written.
    pub fn to_json(&self) -> Result<Vec<u8>, BirthError> {
        let document = Document {
            format: FORMAT.to_owned(),
            serial_number: self.serial_number.clone(),
            request: self.request.der().to_vec(),
            endorsement_key: self.endorsement_key,
            ownership_epoch: self.ownership_epoch,
        };
        serde_json::to_vec_pretty(&document).map_err(BirthError::Json)
    }

    /// Reads a file's content, and checks that the request's key signed it.
    ///
    /// # Errors
    ///
    /// [`BirthError`].
    pub fn from_json(json: &[u8]) -> Result<Self, BirthError> {
        if json.len() > BIRTH_BYTES_MAX {
            return Err(BirthError::Bytes(json.len()));
        }
        let document: Document = serde_json::from_slice(json).map_err(BirthError::Json)?;
        if document.format != FORMAT {
            return Err(BirthError::Format(document.format));
        }
        Ok(Self {
            serial_number: document.serial_number,
            request: Request::from_der(&document.request).map_err(BirthError::Request)?,
            endorsement_key: document.endorsement_key,
            ownership_epoch: document.ownership_epoch,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`CeremonyError::Io`] and [`CeremonyError::Birth`].
    pub fn load(path: &Path) -> Result<Self, CeremonyError> {
        Self::from_json(&files::read(path)?)
            .map_err(|source| CeremonyError::Birth { path: path.into(), source: source.into() })
    }
}
