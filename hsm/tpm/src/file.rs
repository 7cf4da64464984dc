//! A key's file: its wrapped form, which only the TPM that made it can use.

use std::path::Path;

use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeyInfo, KeySpec, KeyUri, Residence};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tss_esapi::{
    structures::{Auth, Private, Public},
    traits::{Marshall as _, UnMarshall as _},
};

/// What files of this form begin with.
const FORMAT: &str = "dolmen-tpm-key-1";

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    format: String,
    algorithm: String,
    domains: Vec<String>,
    /// The public key as the algorithm writes it.
    public_key: String,
    /// `device` for a key of the TPM, `memory` for one that it seals.
    residence: String,
    /// `TPMT_PUBLIC` and the content of `TPM2B_PRIVATE`.
    tpm_public: String,
    tpm_private: String,
}

/// What a file holds, checked for its form.
#[derive(Clone)]
pub(crate) struct Wrapped {
    pub(crate) info: KeyInfo,
    pub(crate) public: Public,
    pub(crate) private: Private,
}

impl Wrapped {
    pub(crate) fn spec(&self) -> KeySpec {
        KeySpec { algorithm: self.info.algorithm, domains: self.info.domains }
    }

    /// The authorisation value of the object: what the key may sign for. It is no secret; it keeps the file from being
    /// given other uses than those that the TPM knows.
    pub(crate) fn auth(spec: KeySpec) -> Auth {
        let mut hash = Sha256::new();
        hash.update(b"dolmen key\0");
        hash.update(spec.domains.to_string());
        Auth::try_from(hash.finalize().to_vec()).expect("32 bytes are an authorisation value")
    }

    /// Reads what a key's file holds.
    pub(crate) fn parse(text: &[u8], uri: &KeyUri, path: &Path) -> Result<Self, KeyError> {
        let damaged = |reason: String| KeyError::Damaged { path: path.to_owned(), reason };
        let file: KeyFile = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        file.check(uri).map_err(damaged)
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        let file = KeyFile {
            format: FORMAT.into(),
            algorithm: self.info.algorithm.name().into(),
            domains: self.info.domains.iter().map(|domain| domain.name().into()).collect(),
            public_key: const_hex::encode(&self.info.public_key),
            residence: self.info.residence.name().into(),
            tpm_public: const_hex::encode(self.public.marshall().expect("the TPM's own structure")),
            tpm_private: const_hex::encode(self.private.value()),
        };
        let mut text = serde_json::to_vec_pretty(&file).expect("strings");
        text.push(b'\n');
        text
    }
}

impl KeyFile {
    fn check(self, uri: &KeyUri) -> Result<Wrapped, String> {
        if self.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT:?}", self.format));
        }
        let bytes =
            |text: &str, what: &str| const_hex::decode(text).map_err(|_| format!("its {what} is not hexadecimal"));
        let algorithm: Algorithm = self.algorithm.parse().map_err(|_| format!("the algorithm {:?}", self.algorithm))?;
        let domains = self.domains.iter().map(|name| name.parse::<Domain>()).collect::<Result<Domains, _>>()?;
        let residence = [Residence::Device, Residence::Memory].into_iter().find(|place| place.name() == self.residence);
        let residence = residence.ok_or_else(|| format!("the residence {:?}", self.residence))?;
        let public = Public::unmarshall(&bytes(&self.tpm_public, "TPM public area")?);
        let private = Private::try_from(bytes(&self.tpm_private, "wrapped secret")?);
        Ok(Wrapped {
            info: KeyInfo {
                uri: uri.clone(),
                algorithm,
                domains,
                public_key: bytes(&self.public_key, "public key")?,
                residence,
            },
            public: public.map_err(|error| format!("its TPM public area: {error}"))?,
            private: private.map_err(|error| format!("its wrapped secret: {error}"))?,
        })
    }
}
