//! Saying that somebody trusted vouches for a certificate: a path of certificates from it to a root (RFC 5280 §6).

mod error;
mod openssl;
mod roots;

pub use error::{ChainError, Which};

use der::asn1::ObjectIdentifier;
pub use roots::{Roots, RootsError};

use crate::{
    Certificate, Crl, UnixTime,
    limits::{CANDIDATES_MAX, ROOTS_MAX},
    oid::{CLIENT_AUTH, CMC_RA, DOCUMENT_SIGNING, SERVER_AUTH},
};

/// At which time a path has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this one. For OpenSSL a certificate's last second is over.
    At(UnixTime),
    /// At none: for boxes whose clock is not set. What has expired or not begun is taken; revocation still counts.
    Never,
}

/// What a certificate is to be used for. Except for `IDevId` and `Authority` it has to say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A client of TLS: clientAuth.
    Client,
    /// A server of TLS: serverAuth.
    Server,
    /// A registrar: cmcRA.
    Registrar,
    /// Who signs vouchers: documentSigning.
    Voucher,
    /// A box by its maker: it names no purpose, or clientAuth.
    IDevId,
    /// An authority.
    Authority,
}

impl Purpose {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "a client of TLS",
            Self::Server => "a server of TLS",
            Self::Registrar => "a registrar",
            Self::Voucher => "signing vouchers",
            Self::IDevId => "a box by its maker",
            Self::Authority => "an authority",
        }
    }

    const fn oid(self) -> Option<ObjectIdentifier> {
        match self {
            Self::Client | Self::IDevId => Some(CLIENT_AUTH),
            Self::Server => Some(SERVER_AUTH),
            Self::Registrar => Some(CMC_RA),
            Self::Voucher => Some(DOCUMENT_SIGNING),
            Self::Authority => None,
        }
    }

    /// Whether the last certificate of a path is for this.
    fn fits(self, certificate: &Certificate) -> bool {
        if self == Self::Authority {
            return certificate.is_authority();
        }
        let says = certificate.purposes().map(|_| self.allowed_by(certificate));
        !certificate.is_authority() && certificate.signs_messages() && says.unwrap_or(self == Self::IDevId)
    }

    /// Whether a certificate does not exclude this, for itself or for those under it.
    fn allowed_by(self, certificate: &Certificate) -> bool {
        let Some((purposes, oid)) = certificate.purposes().zip(self.oid()) else { return true };
        purposes.contains(&oid)
    }
}

/// What a path has to be.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// When it has to hold.
    pub when: When,
    /// What its first certificate is to be used for.
    pub purpose: Purpose,
    /// Lists of revoked certificates. What is on one of its issuer's is refused, however old the list is.
    pub crls: &'a [Crl],
}

impl Rules<'static> {
    /// At no time, and without lists of revoked certificates: what a box can know before it has an owner.
    #[must_use]
    pub const fn timeless(purpose: Purpose) -> Self {
        Self { when: When::Never, purpose, crls: &[] }
    }
}

/// A path that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    certificates: Vec<Certificate>,
    uncovered: Vec<usize>,
}

impl Path {
    /// Its certificates: first the one that was asked for, last the root.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The trusted one.
    #[must_use]
    pub fn root(&self) -> Option<&Certificate> {
        self.certificates.last()
    }

    /// Those of its certificates, by their place from 0, of whose issuer no current list of revoked certificates was
    /// given. Without a time every list is taken as current. Whether that is enough is for the caller to say.
    #[must_use]
    pub fn uncovered(&self) -> &[usize] {
        &self.uncovered
    }
}

/// Says that one of `roots` vouches for `certificate`, through some of `others` if need be.
///
/// OpenSSL builds the path and checks it, strictly by RFC 5280: signatures, names, path lengths, critical extensions
/// and times. A root is whatever the caller trusts, be it signed by itself or not: an authority, or `certificate` itself.
/// The path ends at the first of them. Purposes and revocation are checked here, for all certificates but the root; that
/// `certificate` is for its purpose also where it is the root.
///
/// # Errors
///
/// [`ChainError`], which names the certificate and the reason.
pub fn verify(
    certificate: &Certificate,
    others: &[Certificate],
    roots: &[Certificate],
    rules: &Rules<'_>,
) -> Result<Path, ChainError> {
    for (what, found, limit) in [("certificates", others.len(), CANDIDATES_MAX), ("roots", roots.len(), ROOTS_MAX)] {
        if found > limit {
            return Err(ChainError::TooMany { what, found, limit });
        }
    }
    let certificates = self::openssl::build(certificate, others, roots, rules.when)?;
    if !rules.purpose.fits(certificate) {
        return Err(ChainError::Purpose { which: Which::of(0, certificate), purpose: rules.purpose.name() });
    }
    let mut uncovered = Vec::new();
    for (depth, pair) in certificates.windows(2).enumerate() {
        let [issued, issuer] = pair else { continue };
        if !rules.purpose.allowed_by(issued) {
            return Err(ChainError::Purpose { which: Which::of(depth, issued), purpose: rules.purpose.name() });
        }
        if !check_revocation(depth, issued, issuer, rules)? {
            uncovered.push(depth);
        }
    }
    Ok(Path { certificates, uncovered })
}

/// Whether a current list says that a certificate is not revoked.
fn check_revocation(
    depth: usize,
    issued: &Certificate,
    issuer: &Certificate,
    rules: &Rules<'_>,
) -> Result<bool, ChainError> {
    let mut current = false;
    for crl in rules.crls.iter().filter(|crl| crl.is_of(issuer)) {
        if let Some(revocation) = crl.revocation(issued.serial()) {
            return Err(ChainError::Revoked { which: Which::of(depth, issued), date: revocation.date });
        }
        current |= match rules.when {
            When::At(now) => crl.is_current(now),
            When::Never => true,
        };
    }
    Ok(current)
}
