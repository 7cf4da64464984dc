//! Whose certificates these are.

use std::slice;

use dolmen_provisioning_ca::{
    Certificate,
    chain::{self, ChainError, Purpose, Rules},
    est::EstError,
};
use dolmen_provisioning_voucher::{Registrar, RegistrarError, SerialNumber};

use crate::{Hint, Key};

/// Whoever the box is connected to.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    registrar: Registrar,
    chain: Vec<Certificate>,
}

impl Server {
    /// Of the certificates that TLS showed.
    pub(crate) fn new<D: AsRef<[u8]>>(ders: &[D]) -> Result<Self, RegistrarError> {
        let registrar = Registrar::from_tls(ders)?;
        let read = |(index, der): (usize, &D)| {
            Certificate::from_der(der.as_ref()).map_err(|source| RegistrarError::Certificate { index, source })
        };
        let chain = ders.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { registrar, chain })
    }

    /// As vouchers have it.
    pub(crate) const fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// Its certificate, and the others that it showed.
    pub(crate) fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Says that it is a registrar for whom this certificate vouches.
    pub(crate) fn check(&self, anchor: &Certificate) -> Result<(), ChainError> {
        self.authorities(&[], anchor).map(|_| ())
    }

    /// Those that vouch for it, up to this certificate, which is the last.
    pub(crate) fn authorities(
        &self,
        more: &[Certificate],
        anchor: &Certificate,
    ) -> Result<Vec<Certificate>, ChainError> {
        let others = [self.chain.get(1..).unwrap_or_default(), more].concat();
        let (own, rules) = (self.registrar.certificate(), Rules::timeless(Purpose::Registrar));
        let path = chain::verify(own, &others, slice::from_ref(anchor), &rules)?;
        Ok(path.certificates().iter().skip(1).cloned().collect())
    }
}

/// Whom the box is connected to, and as whom.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) hint: Hint,
    pub(crate) server: Server,
    pub(crate) key: Key,
}

/// Why a box does not take certificates of its owner.
#[derive(Debug, thiserror::Error)]
pub enum CertificateRefusal {
    /// No authorities.
    #[error("the authorities' certificates of the registrar cannot be used")]
    Authorities(#[source] EstError),
    /// The voucher pinned the registrar alone, and its authority is not shown.
    #[error("no certificate of the registrar's authorities vouches for the registrar; give it its organisation's root")]
    NoRoot,
    /// No certificate, or one of another key.
    #[error("the answer to the request for a certificate cannot be used")]
    Certificate(#[source] EstError),
    /// Not the owner's.
    #[error("the new certificate is not by this box's owner; ask the operator of its authority")]
    Untrusted(#[source] ChainError),
    /// Another box's.
    #[error("the new certificate is not one of the box {0}; ask the operator of its authority")]
    Serial(SerialNumber),
    /// One of before.
    #[error(
        "the new certificate is none, or was issued before the box's present one; ask the operator of its authority"
    )]
    Stale,
}

impl CertificateRefusal {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Authorities(_) => "cacerts-damaged",
            Self::NoRoot => "cacerts-no-root",
            Self::Certificate(_) => "new-certificate-damaged",
            Self::Untrusted(_) => "certificate-untrusted",
            Self::Serial(_) => "certificate-serial",
            Self::Stale => "certificate-stale",
        }
    }
}

/// The organisation's root, as far as the box needs it: what the voucher pinned, if that can vouch for others. Where it
/// pinned the registrar alone, it is the root that vouches for the registrar, by whose word that root came (RFC 7030
/// §4.1.1).
pub(crate) fn root(
    pinned: &Certificate,
    authorities: &[Certificate],
    server: &Server,
) -> Result<Certificate, CertificateRefusal> {
    if pinned.is_authority() {
        return Ok(pinned.clone());
    }
    let mut roots = authorities.iter().filter(|root| root.is_authority() && root.subject() == root.issuer());
    let root = roots.find(|root| server.authorities(authorities, root).is_ok());
    root.cloned().ok_or(CertificateRefusal::NoRoot)
}

/// The box's certificate and those between it and the root: what it shows others. The key was compared already.
pub(crate) fn ldevid_chain(
    ldevid: &Certificate,
    authorities: &[Certificate],
    root: &Certificate,
    serial_number: &SerialNumber,
) -> Result<Vec<Certificate>, CertificateRefusal> {
    if ldevid.box_serial() != Some(serial_number.as_str()) {
        return Err(CertificateRefusal::Serial(serial_number.clone()));
    }
    let path = chain::verify(ldevid, authorities, slice::from_ref(root), &Rules::timeless(Purpose::Client));
    let mut certificates = path.map_err(CertificateRefusal::Untrusted)?.certificates().to_vec();
    certificates.pop();
    Ok(certificates)
}
