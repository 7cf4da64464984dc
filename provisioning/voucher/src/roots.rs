//! Certificates that are trusted, and paths to them.

use std::fmt;

use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509, X509StoreContext,
        store::{X509Store, X509StoreBuilder},
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};

use crate::{
    Certificate, CertificateError,
    limits::{PATH_DEPTH_MAX, ROOTS_MAX},
};

/// OpenSSL's level of security for signatures and keys of a path: 112 bits, without SHA-1 and RSA-1024.
const SECURITY_LEVEL: i32 = 2;

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
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("cannot keep the trusted certificates; check that this machine's OpenSSL is whole")]
    OpenSsl(#[source] ErrorStack),
}

/// Why there is no path from a certificate to a trusted one.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// OpenSSL finds none.
    #[error(
        "no trusted certificate vouches for {subject} ({reason}); trust its authority, or take another certificate"
    )]
    Untrusted {
        /// Whose certificate.
        subject: String,
        /// OpenSSL's words.
        reason: &'static str,
    },
    /// One of its certificates is none.
    #[error("a certificate of the path cannot be used")]
    Certificate(#[source] CertificateError),
    /// It leads through a certificate that cannot vouch for others.
    #[error("{subject} vouches for a certificate and is no authority (RFC 5280 §4.2.1.9); have it issued by one")]
    NotAuthority {
        /// Whose certificate.
        subject: String,
    },
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("cannot look for a path of certificates; check that this machine's OpenSSL is whole")]
    OpenSsl(#[source] ErrorStack),
}

/// Certificates that are trusted: authorities', or those of single keys. What one of them issued is trusted too.
pub struct Roots {
    certificates: Vec<Certificate>,
    store: X509Store,
}

impl Roots {
    /// Trusts these, of which there is at least one.
    ///
    /// # Errors
    ///
    /// [`RootsError::Number`] and [`RootsError::OpenSsl`].
    pub fn new(certificates: Vec<Certificate>) -> Result<Self, RootsError> {
        if certificates.is_empty() || certificates.len() > ROOTS_MAX {
            return Err(RootsError::Number { found: certificates.len(), limit: ROOTS_MAX });
        }
        let store = store(&certificates).map_err(RootsError::OpenSsl)?;
        Ok(Self { certificates, store })
    }

    /// Reads one certificate in DER.
    ///
    /// # Errors
    ///
    /// [`RootsError`].
    pub fn from_der(der: &[u8]) -> Result<Self, RootsError> {
        Self::new(vec![read(0, der)?])
    }

    /// Reads certificates in PEM, one after the other.
    ///
    /// # Errors
    ///
    /// [`RootsError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, RootsError> {
        let found = X509::stack_from_pem(pem).map_err(RootsError::Pem)?;
        let ders = found.iter().map(|certificate| certificate.to_der()).collect::<Result<Vec<_>, _>>();
        let ders = ders.map_err(RootsError::OpenSsl)?;
        Self::new(ders.iter().enumerate().map(|(index, der)| read(index, der)).collect::<Result<_, _>>()?)
    }

    /// Trusts one.
    pub(crate) fn of(certificate: &Certificate) -> Result<Self, ErrorStack> {
        let certificates = vec![certificate.clone()];
        Ok(Self { store: store(&certificates)?, certificates })
    }

    /// All of them.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The path from a certificate to one of these, both included, through some of `others`, which nobody needs to
    /// trust (RFC 5280 §6.1): signatures, names, basic constraints and key usage. Times are not looked at, and neither
    /// is revocation.
    ///
    /// # Errors
    ///
    /// [`PathError`].
    pub fn path(&self, certificate: &Certificate, others: &[Certificate]) -> Result<Vec<Certificate>, PathError> {
        let found = self.openssl_path(certificate, others);
        // OpenSSL leaves errors behind that the next caller would take for its own.
        let _ = ErrorStack::get();
        let path = found.map_err(PathError::OpenSsl)?;
        let untrusted = |reason| PathError::Untrusted { subject: subject(certificate), reason };
        let path: Result<Vec<_>, _> = path.map_err(untrusted)?.into_iter().map(Certificate::from_der).collect();
        let mut path = path.map_err(PathError::Certificate)?;
        // OpenSSL goes on to a root that nobody trusts, where `others` have one.
        let end = path.iter().position(|one| self.certificates.contains(one));
        path.truncate(end.ok_or_else(|| untrusted("its path ends at none"))? + 1);
        match path.iter().skip(1).find(|authority| !authority.is_authority()) {
            Some(other) => Err(PathError::NotAuthority { subject: subject(other) }),
            None => Ok(path),
        }
    }

    /// The path in DER, or why there is none.
    fn openssl_path(
        &self,
        certificate: &Certificate,
        others: &[Certificate],
    ) -> Result<Result<Vec<Vec<u8>>, &'static str>, ErrorStack> {
        let mut untrusted = Stack::new()?;
        for other in others {
            untrusted.push(other.x509().clone())?;
        }
        X509StoreContext::new()?.init(&self.store, certificate.x509(), &untrusted, |context| {
            if !context.verify_cert()? {
                return Ok(Err(context.error().error_string()));
            }
            let path = context.chain().into_iter().flatten();
            path.map(|certificate| certificate.to_der()).collect::<Result<_, _>>().map(Ok)
        })
    }
}

/// The certificates.
impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Roots").field(&self.certificates).finish()
    }
}

/// Who signs vouchers. A box has them from its maker. They must not issue boxes' certificates too: boxes would sign
/// vouchers for each other.
#[derive(Debug)]
pub struct MasaRoots(pub Roots);

/// Who issues the first certificates of boxes (IDevID, IEEE 802.1AR): their makers.
#[derive(Debug)]
pub struct IdevidRoots(pub Roots);

/// The organisations that boxes are sold to.
#[derive(Debug)]
pub struct OrganisationRoots(pub Roots);

fn store(certificates: &[Certificate]) -> Result<X509Store, ErrorStack> {
    let mut param = X509VerifyParam::new()?;
    // A path may end at any of them, also where another one issued it.
    param.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
    param.set_depth(PATH_DEPTH_MAX);
    param.set_auth_level(SECURITY_LEVEL);
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&param)?;
    for certificate in certificates {
        store.add_cert(certificate.x509().clone())?;
    }
    Ok(store.build())
}

fn read(index: usize, der: &[u8]) -> Result<Certificate, RootsError> {
    Certificate::from_der(der).map_err(|source| RootsError::Certificate { index, source })
}

fn subject(certificate: &Certificate) -> String {
    certificate.parsed().tbs_certificate().subject().to_string()
}
