//! What can go wrong in a ceremony.

use std::{io, path::PathBuf};

use dolmen_provisioning_ca::{
    AuthorityError, CertificateError, CrlError, IssueError, NameError, RequestError, SignError, TimeError,
    chain::RootsError, cms::CmsError, register::RegisterError,
};
use dolmen_provisioning_journal::JournalError;
use dolmen_provisioning_voucher::{JsonError, RequestRefusal, SaleError, ValueError};
use openssl::error::ErrorStack;

use crate::{BirthError, LedgerError};

/// Why nothing was signed, or what was signed could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// The journal.
    #[error("the journal of what was signed cannot be used")]
    Journal(#[source] JournalError),
    /// A journal that begins with something else.
    #[error("{} is the journal of nothing that begins as this does; name the right directory", .0.display())]
    NotFounded(PathBuf),
    /// A directory that has one.
    #[error("{} has an authority already; it is never founded again: take another directory", .0.display())]
    Founded(PathBuf),
    /// A record that does not follow.
    #[error("line {line} of the journal does not follow those before it; restore the directory from a copy")]
    Register {
        /// The line.
        line: u64,
        /// Why.
        #[source]
        source: RegisterError,
    },
    /// A record of a maker's that does not follow.
    #[error("line {line} of the journal does not follow those before it; restore the directory from a copy")]
    Ledger {
        /// The line.
        line: u64,
        /// Why.
        #[source]
        source: LedgerError,
    },
    /// A request that the ledger does not allow.
    #[error("this is not signed")]
    Refused(#[source] LedgerError),
    /// A revocation that the register does not allow.
    #[error("this is not revoked")]
    NotRevoked(#[source] RegisterError),
    /// Certificates and key.
    #[error("the key and the certificate of this authority do not work together")]
    Authority(#[source] AuthorityError),
    /// Nothing issued.
    #[error("the certificate is not issued")]
    Issue(#[source] IssueError),
    /// No list.
    #[error("the list of revoked certificates is not signed")]
    Crl(#[source] CrlError),
    /// A name.
    #[error("the name is not accepted")]
    Name(#[source] NameError),
    /// A registrar's request.
    #[error("the request is not answered")]
    VoucherRequest(#[source] RequestRefusal),
    /// Roots.
    #[error("the root certificates are not accepted")]
    Roots(#[source] RootsError),
    /// A voucher that cannot be written.
    #[error("the voucher cannot be written")]
    Json(#[source] JsonError),
    /// An organisation that nothing can be sold to.
    #[error("nothing is sold to this organisation")]
    Sale(#[source] SaleError),
    /// A voucher that cannot be signed.
    #[error("the voucher cannot be signed")]
    Cms(#[source] CmsError),
    /// A voucher that was not signed.
    #[error("the voucher is not signed")]
    Sign(#[source] SignError),
    /// A member of a voucher.
    #[error("the voucher cannot say this")]
    Value(#[source] ValueError),
    /// A time.
    #[error("the time is not accepted; look at this machine's clock")]
    Time(#[source] TimeError),
    /// Something else than a certificate of this directory.
    #[error("only certificates of the kinds registrar and issuing are issued by an organisation's root, not {0}")]
    Profile(&'static str),
    /// A file.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that OpenSSL cannot read.
    #[error("{} has no certificate or request in PEM or DER", path.display())]
    Certificates {
        /// Which.
        path: PathBuf,
        /// OpenSSL's words.
        #[source]
        source: ErrorStack,
    },
    /// No certificate, or more than anybody needs.
    #[error("{} has {found} certificates, 1 to 16 can be", path.display())]
    Count {
        /// Which.
        path: PathBuf,
        /// How many it has.
        found: usize,
    },
    /// A certificate that is not sound.
    #[error("a certificate in {} is not accepted", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// A file that is no birth.
    #[error("{} is not accepted as the birth of a box", path.display())]
    Birth {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<BirthError>,
    },
    /// A request that is not sound.
    #[error("the request in {} is not accepted", path.display())]
    Request {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<RequestError>,
    },
}

impl From<JournalError> for CeremonyError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}
