//! Issuing.

use der::{Encode, Sequence};
use dolmen_hsm_api::Signer;
use x509_cert::{
    Version,
    ext::{Extension, pkix::name::GeneralName},
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::Validity as X509Validity,
};

use super::{Authority, IssueError};
use crate::{
    Certificate, NameError, Profile, PublicKey, Serial, Subject, UnixTime, Validity, alt_name,
    key::{self, ecdsa_sha256},
    profile::Issued,
};

/// A certificate to be issued. What a request asks for is not taken from it: whoever issues decides, and puts it here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it is for.
    pub profile: Profile,
    /// Whose it is.
    pub subject: Subject,
    /// The key that it is about. Take it from a [`Request`](crate::Request), which shows that somebody holds it.
    pub key: PublicKey,
    /// Names of the DNS and addresses besides those of the profile: [`alt_name::dns`] and [`alt_name::ip`].
    pub alt_names: Vec<GeneralName>,
    /// From when to when it holds.
    pub validity: Validity,
    /// Its number, random, and new for this authority.
    pub serial: Serial,
}

impl Order {
    /// For the holder of a certificate that was issued here, with a new key: the same subject and names, for another
    /// time.
    ///
    /// # Errors
    ///
    /// [`NameError::Subject`] for certificates that others issued.
    pub fn renewal(
        present: &Certificate,
        profile: Profile,
        key: PublicKey,
        validity: Validity,
        serial: Serial,
    ) -> Result<Self, NameError> {
        let subject = Subject::read(present.subject())?;
        // Those of the profile come from the subject again.
        let asked = |name: &&GeneralName| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_));
        let alt_names = present.alt_names().iter().filter(asked).cloned().collect();
        Ok(Self { profile, subject, key, alt_names, validity, serial })
    }
}

impl Authority {
    /// Issues a certificate. It was checked against the authority's key when this returns.
    ///
    /// # Errors
    ///
    /// [`IssueError`]; [`SignError::WrongKey`](crate::SignError::WrongKey) in it names a device that signs by another
    /// key.
    pub async fn issue(&self, order: &Order) -> Result<Certificate, IssueError> {
        self.check(order)?;
        let crl_uri = self.crl_uri.as_deref();
        sign(order, self.certificate.subject(), self.key_identifier(), crl_uri, &*self.signer).await
    }

    fn check(&self, order: &Order) -> Result<(), IssueError> {
        let profile = order.profile;
        if profile == Profile::Root {
            return Err(IssueError::Root);
        }
        match (profile.path_length(), self.certificate.path_length()) {
            (Some(under), Some(length)) if length <= under => return Err(IssueError::PathLength(length)),
            _ => {}
        }
        let (until, issuer) = (order.validity.not_after(), self.certificate.validity().not_after());
        if until > issuer {
            return Err(IssueError::Outlives { until, issuer });
        }
        if matches!(profile, Profile::IDevId { .. }) && until != UnixTime::MAX {
            return Err(IssueError::Ends(until));
        }
        if order.subject.machine_serial().is_some() != profile.is_machine() {
            return Err(IssueError::Machine(profile.name()));
        }
        alt_name::check_asked(&order.alt_names).map_err(IssueError::AltNames)?;
        if !order.alt_names.is_empty() && !profile.takes_alt_names() {
            return Err(IssueError::NoAltNames(profile.name()));
        }
        let subject = order.subject.encode().map_err(IssueError::Der)?;
        let own_key = self.certificate.public_key().is_ok_and(|key| key == order.key);
        if subject == *self.certificate.subject() || own_key {
            return Err(IssueError::Own);
        }
        Ok(())
    }
}

/// `TBSCertificate` (RFC 5280 §4.1).
#[derive(Sequence)]
struct Content {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial: SerialNumber,
    signature: AlgorithmIdentifierOwned,
    issuer: Name,
    validity: X509Validity,
    subject: Name,
    key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// Signs a certificate, whatever it says.
pub(super) async fn sign(
    order: &Order,
    issuer: &Name,
    authority_key: &[u8],
    crl_uri: Option<&str>,
    signer: &dyn Signer,
) -> Result<Certificate, IssueError> {
    let content = content(order, issuer, authority_key, crl_uri).map_err(IssueError::Der)?;
    let certificate = key::seal(signer, &content).await?;
    Certificate::from_der(&certificate).map_err(IssueError::Unreadable)
}

fn content(order: &Order, issuer: &Name, authority_key: &[u8], crl_uri: Option<&str>) -> der::Result<Vec<u8>> {
    let Order { profile, subject, key, alt_names, validity, serial } = order;
    let issued = Issued { profile: *profile, subject, key, alt_names, authority_key, crl_uri };
    let content = Content {
        version: Version::V3,
        serial: serial.encode()?,
        signature: ecdsa_sha256(),
        issuer: issuer.clone(),
        validity: X509Validity::new(validity.not_before().encode()?, validity.not_after().encode()?),
        subject: subject.encode()?,
        key: key.to_info()?,
        extensions: issued.extensions()?,
    };
    content.to_der()
}
