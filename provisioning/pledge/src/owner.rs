//! Whose the box is, and how far it is with him: what is stored, and checked again at each start.

use dolmen_provisioning_bundle::{self as bundle, Bundle, ChainBundle};
use dolmen_provisioning_ca::{Certificate, CertificateError};
use dolmen_provisioning_voucher::{Accepted, Expectation, Nonce, OwnershipEpoch, Refusal, RegistrarError, accept};
use serde::{Deserialize, Serialize};

use crate::{
    Identity, Record,
    record::{self, NEXT},
    trust::{CertificateRefusal, Server, ldevid_chain, root},
};

/// As what a box was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It follows the chain, and does not vote.
    Follower,
    /// It votes, from an epoch on that the chain says.
    Validator,
}

impl Role {
    /// Its name in logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::Validator => "validator",
        }
    }
}

/// Why a box cannot go on where it was.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The registrar's certificates.
    #[error("the registrar's certificates in the box's record do not hold; {NEXT}")]
    Registrar(#[source] RegistrarError),
    /// The voucher.
    #[error("the voucher in the box's record does not hold; {NEXT}")]
    Voucher(#[source] Refusal),
    /// A certificate.
    #[error("a certificate in the box's record cannot be read; {NEXT}")]
    Certificate(#[source] CertificateError),
    /// The box's certificate.
    #[error("the box's certificate in its record does not hold; {NEXT}")]
    LDevId(#[source] CertificateRefusal),
    /// The bundle.
    #[error("the chain bundle in the box's record does not hold; {NEXT}")]
    Bundle(#[source] bundle::Refusal),
    /// Of a box that has not come so far.
    #[error("the box's record is not that of a member of a chain; let the box join its chain first")]
    NotMember,
}

impl ResumeError {
    /// The reason, for audit logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Registrar(_) => "record-registrar",
            Self::Voucher(_) => "record-voucher",
            Self::Certificate(_) => "record-certificate",
            Self::LDevId(_) => "record-ldevid",
            Self::Bundle(_) => "record-bundle",
            Self::NotMember => "record-not-member",
        }
    }
}

/// A voucher that is followed, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) voucher: Vec<u8>,
    /// The registrar by whose connection it came.
    pub(crate) server: Server,
    pub(crate) nonce: Option<Nonce>,
    /// The epoch before.
    pub(crate) held: OwnershipEpoch,
    pub(crate) accepted: Accepted,
    pub(crate) enrolled: Option<Enrolled>,
}

/// A certificate of the owner's.
#[derive(Clone, Debug)]
pub(crate) struct Enrolled {
    /// The box's, and those that vouch for it but for the root.
    pub(crate) chain: Vec<Certificate>,
    pub(crate) authorities: Vec<Certificate>,
    pub(crate) root: Certificate,
    pub(crate) bundled: Option<Bundled>,
}

/// A bundle of the owner's.
#[derive(Clone, Debug)]
pub(crate) struct Bundled {
    pub(crate) message: Vec<u8>,
    pub(crate) bundle: Bundle,
    pub(crate) role: Option<Role>,
}

impl Owner {
    /// What a voucher makes of a box: whether it is followed.
    pub(crate) fn accept(
        identity: &Identity,
        voucher: Vec<u8>,
        server: Server,
        nonce: Option<Nonce>,
        held: OwnershipEpoch,
    ) -> Result<Self, Refusal> {
        let expectation = Expectation {
            serial_number: identity.serial_number(),
            idevid_issuer: identity.issuer(),
            nonce: nonce.as_ref(),
            epoch: held,
            registrar: server.registrar(),
        };
        let accepted = accept(&voucher, identity.masa(), &expectation)?;
        Ok(Self { voucher, server, nonce, held, accepted, enrolled: None })
    }

    /// Whose certificate a server's has to lead to.
    pub(crate) fn anchor(&self) -> &Certificate {
        self.enrolled.as_ref().map_or(self.accepted.pinned_domain_cert(), |enrolled| &enrolled.root)
    }

    /// Goes on where a record ends, if all of it holds.
    pub(crate) fn restore(record: Record, identity: &Identity) -> Result<Self, ResumeError> {
        let record::Owned { voucher, registrar, nonce, held, enrolled } = record.0;
        let registrar: Vec<_> = registrar.into_iter().map(|der| der.0).collect();
        let server = Server::new(&registrar).map_err(ResumeError::Registrar)?;
        let owner = Self::accept(identity, voucher.0, server, nonce, held).map_err(ResumeError::Voucher)?;
        let enrolled = enrolled.map(|enrolled| Enrolled::restore(enrolled, identity)).transpose()?;
        if let Some(enrolled) = &enrolled {
            owner.check_root(enrolled).map_err(ResumeError::LDevId)?;
        }
        Ok(Self { enrolled, ..owner })
    }

    /// Whether a root is this owner's: the pinned certificate, or above the registrar that is pinned.
    pub(crate) fn check_root(&self, enrolled: &Enrolled) -> Result<(), CertificateRefusal> {
        let found = root(self.accepted.pinned_domain_cert(), &enrolled.authorities, &self.server)?;
        if found == enrolled.root { Ok(()) } else { Err(CertificateRefusal::NoRoot) }
    }

    /// What is to be stored.
    pub(crate) fn record(&self) -> Record {
        let bytes = |bytes: &[u8]| record::Bytes(bytes.to_vec());
        let ders = |certificates: &[Certificate]| certificates.iter().map(|one| bytes(one.der())).collect::<Vec<_>>();
        let bundled = |bundled: &Bundled| record::Bundled { bundle: bytes(&bundled.message), role: bundled.role };
        let enrolled = |enrolled: &Enrolled| record::Enrolled {
            ldevid: bytes(enrolled.ldevid().map_or(&[], Certificate::der)),
            authorities: ders(&enrolled.authorities),
            root: bytes(enrolled.root.der()),
            bundled: enrolled.bundled.as_ref().map(bundled),
        };
        Record(record::Owned {
            voucher: bytes(&self.voucher),
            registrar: ders(self.server.chain()),
            nonce: self.nonce.clone(),
            held: self.held,
            enrolled: self.enrolled.as_ref().map(enrolled),
        })
    }
}

impl Enrolled {
    /// The box's certificate.
    fn ldevid(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    fn restore(record: record::Enrolled, identity: &Identity) -> Result<Self, ResumeError> {
        let read = |der: &record::Bytes| Certificate::from_der(&der.0).map_err(ResumeError::Certificate);
        let (ldevid, root) = (read(&record.ldevid)?, read(&record.root)?);
        let authorities = record.authorities.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let chain = ldevid_chain(&ldevid, &authorities, &root, identity.serial_number());
        let chain = chain.map_err(ResumeError::LDevId)?;
        let enrolled = Self { chain, authorities, root, bundled: None };
        let restore = |bundled: record::Bundled| {
            let bundle = enrolled.check_bundle(&bundled.bundle.0, identity).map_err(ResumeError::Bundle)?;
            Ok(Bundled { message: bundled.bundle.0, bundle, role: bundled.role })
        };
        let bundled = record.bundled.map(restore).transpose()?;
        Ok(Self { bundled, ..enrolled })
    }

    /// Whether a bundle is the owner's for this box.
    pub(crate) fn check_bundle(&self, message: &[u8], identity: &Identity) -> Result<Bundle, bundle::Refusal> {
        let expectation = bundle::Expectation { serial_number: identity.serial_number(), owner: &self.root };
        ChainBundle::verify(message, &expectation)
    }
}
