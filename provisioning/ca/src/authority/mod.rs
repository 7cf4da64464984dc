//! An authority: a certificate, those above it, and the key that issues under it.

mod error;
mod issue;

use std::{fmt, sync::Arc};

use dolmen_hsm_api::Signer;

pub use error::{AuthorityError, IssueError};
pub use issue::Order;

use crate::{
    Certificate, Profile, PublicKey, Serial, SignError, Subject, Validity, alt_name, limits::INTERMEDIATES_MAX,
};

/// Who issues certificates and revocation lists.
///
/// Holding one says that the key is its certificate's, that this is an authority's, and that each certificate of the
/// chain issued the one before. It says nothing of the time: whoever issues passes validities that lie in the future.
#[derive(Clone)]
pub struct Authority {
    certificate: Certificate,
    chain: Vec<Certificate>,
    signer: Arc<dyn Signer>,
    crl_uri: Option<String>,
}

impl Authority {
    /// With a certificate of this key, and those above it up to a root, nearest first. A root has none above it.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`].
    pub fn new(
        certificate: Certificate,
        chain: Vec<Certificate>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, AuthorityError> {
        let key = PublicKey::of(&*signer).map_err(AuthorityError::Signer)?;
        if certificate.public_key().map_err(AuthorityError::Key)? != key {
            return Err(AuthorityError::OtherKey(signer.uri().clone()));
        }
        if chain.len() > INTERMEDIATES_MAX + 1 {
            return Err(AuthorityError::TooLong(chain.len()));
        }
        if !certificate.is_authority() || certificate.key_identifier().is_none() {
            return Err(AuthorityError::NoAuthority);
        }
        for (at, issuer) in chain.iter().enumerate() {
            let issued = if at == 0 { &certificate } else { &chain[at - 1] };
            if !issued.is_issued_by(issuer).map_err(AuthorityError::OpenSsl)? {
                return Err(AuthorityError::Chain(at));
            }
        }
        Ok(Self { certificate, chain, signer, crl_uri: None })
    }

    /// A new root. The serial number is random.
    ///
    /// # Errors
    ///
    /// [`IssueError::Machine`], [`IssueError::Sign`] and [`IssueError::Der`].
    pub async fn root(
        signer: Arc<dyn Signer>,
        subject: Subject,
        validity: Validity,
        serial: Serial,
    ) -> Result<Self, IssueError> {
        if subject.machine_serial().is_some() {
            return Err(IssueError::Machine(Profile::Root.name()));
        }
        let key = PublicKey::of(&*signer)?;
        let order = Order { profile: Profile::Root, subject, key, alt_names: Vec::new(), validity, serial };
        let name = order.subject.encode().map_err(IssueError::Der)?;
        let certificate = issue::sign(&order, &name, &key.identifier(), None, &*signer).await?;
        Ok(Self { certificate, chain: Vec::new(), signer, crl_uri: None })
    }

    /// The same, that names an address of its revocation list in what it issues from now on.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::CrlUri`].
    pub fn with_crl_uri(self, uri: &str) -> Result<Self, AuthorityError> {
        alt_name::uri(uri).map_err(AuthorityError::CrlUri)?;
        Ok(Self { crl_uri: Some(uri.to_owned()), ..self })
    }

    /// Its certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificates above its own, nearest first.
    #[must_use]
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    pub(crate) fn signer(&self) -> &dyn Signer {
        &*self.signer
    }

    /// By which its certificate names its key; [`new`](Self::new) says that it does.
    pub(crate) fn key_identifier(&self) -> &[u8] {
        self.certificate.key_identifier().unwrap_or_default()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("certificate", &self.certificate)
            .field("signer", self.signer.uri())
            .finish_non_exhaustive()
    }
}

impl From<SignError> for IssueError {
    fn from(error: SignError) -> Self {
        Self::Sign(error)
    }
}
