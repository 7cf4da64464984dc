//! Signatures of a TPM.

use openssl::{bn::BigNum, ecdsa::EcdsaSig, error::ErrorStack, pkey_ctx::PkeyCtx, rsa::Padding};

use crate::{
    EvidenceError, HashAlgorithm, Public, Scheme, SchemeAlgorithm,
    limits::{COORDINATE_BYTES_MAX, RSA_BYTES_MAX},
    wire::Reader,
};

const WHAT: &str = "a signature";

/// A signature, `TPMT_SIGNATURE` of Part 2 §11.3.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    scheme: Scheme,
    /// As OpenSSL reads it: DER of `r` and `s`, or RSA's number.
    bytes: Vec<u8>,
}

impl Signature {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the bytes; [`EvidenceError::Unsupported`] for schemes that are not known here.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new(WHAT, bytes, 6 + RSA_BYTES_MAX)?;
        let algorithm = SchemeAlgorithm::from_id(reader.u16()?)?;
        let hash = HashAlgorithm::from_id(reader.u16()?)?;
        let bytes = match algorithm {
            SchemeAlgorithm::Rsassa => reader.sized(RSA_BYTES_MAX)?.to_vec(),
            SchemeAlgorithm::Ecdsa | SchemeAlgorithm::Sm2 => {
                let (r, s) = (reader.sized(COORDINATE_BYTES_MAX)?, reader.sized(COORDINATE_BYTES_MAX)?);
                der(r, s).map_err(EvidenceError::openssl("write a signature"))?
            }
        };
        reader.end()?;
        Ok(Self { scheme: Scheme { algorithm, hash }, bytes })
    }

    /// How it was made.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Says that `key` made it over `message`. A key that has a scheme signs by no other.
    pub(crate) fn verify(&self, key: &Public, message: &[u8]) -> Result<(), EvidenceError> {
        if key.scheme() != Some(self.scheme) {
            let expected = key.scheme().map_or_else(|| "no scheme of its own".into(), |scheme| scheme.to_string());
            return Err(EvidenceError::SignatureScheme { expected, found: self.scheme.to_string() });
        }
        let public_key = key.key().to_openssl()?;
        let digest = self.scheme.hash.digest(&[message]);
        let holds = || -> Result<bool, ErrorStack> {
            let mut context = PkeyCtx::new(&public_key)?;
            context.verify_init()?;
            if self.scheme.algorithm == SchemeAlgorithm::Rsassa {
                context.set_rsa_padding(Padding::PKCS1)?;
                context.set_signature_md(self.scheme.hash.md())?;
            }
            context.verify(&digest, &self.bytes)
        };
        // OpenSSL tells of some signatures that do not hold as of errors.
        if holds().unwrap_or(false) { Ok(()) } else { Err(EvidenceError::Signature) }
    }
}

fn der(r: &[u8], s: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)?.to_der()
}
