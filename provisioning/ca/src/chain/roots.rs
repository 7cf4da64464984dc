//! Certificates that are trusted.

use std::ops::Deref;

use openssl::{error::ErrorStack, x509::X509};

use crate::{Certificate, CertificateError, limits::ROOTS_MAX};

/// Why certificates cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// None, or more than anybody has.
    #[error("there are {found} trusted certificates, 1 to {limit} can be; give those that are needed")]
    Number {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// One that cannot be read.
    #[error("the trusted certificate {index} (from 0) cannot be used")]
    Certificate {
        /// Which of them.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// No certificates in PEM.
    #[error("the trusted certificates cannot be read; give them in PEM, one after the other")]
    Pem(#[source] ErrorStack),
}

/// Certificates that are trusted, 1 to 256: authorities', or those of single keys. What one of them issued is trusted
/// too, so [`verify`](super::verify) takes them for roots, whoever issued them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots(Vec<Certificate>);

impl Roots {
    /// Trusts these.
    ///
    /// # Errors
    ///
    /// [`RootsError::Number`].
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, RootsError> {
        if certificates.is_empty() || certificates.len() > ROOTS_MAX {
            return Err(RootsError::Number { found: certificates.len(), limit: ROOTS_MAX });
        }
        Ok(Self(certificates))
    }

    /// Reads certificates in PEM, one after the other.
    ///
    /// # Errors
    ///
    /// [`RootsError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsError> {
        let found = X509::stack_from_pem(pem).map_err(RootsError::Pem)?;
        let read = |(index, x509): (usize, &X509)| {
            let der = x509.to_der().map_err(RootsError::Pem)?;
            Certificate::from_der(&der).map_err(|source| RootsError::Certificate { index, source })
        };
        Self::new(found.iter().enumerate().map(read).collect::<Result<_, _>>()?)
    }
}

impl Deref for Roots {
    type Target = [Certificate];

    fn deref(&self) -> &[Certificate] {
        &self.0
    }
}
