//! What certificates are for, and what they say of it (RFC 5280 §4.2).

use der::{
    Encode,
    asn1::{Ia5String, ObjectIdentifier, OctetString},
    oid::AssociatedOid,
};
use x509_cert::ext::{
    Extension,
    pkix::{
        AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, KeyUsages,
        SubjectAltName, SubjectKeyIdentifier,
        crl::dp::DistributionPoint,
        name::{DistributionPointName, GeneralName},
    },
};

use crate::{
    PublicKey, Subject,
    alt_name::{BOX_URN, hardware_module},
    oid::{CLIENT_AUTH, CMC_RA, DOCUMENT_SIGNING, SERVER_AUTH},
};

/// What a certificate is for.
///
/// | profile | key usage | purposes | alternative names |
/// |---|---|---|---|
/// | `Root` | certificates, revocation lists | | |
/// | `Issuing` | certificates, revocation lists | | |
/// | `LDevId` | signatures | clientAuth, serverAuth | `urn:dolmen:box:SERIAL`, and those asked for |
/// | `Registrar` | signatures | cmcRA, serverAuth, clientAuth | those asked for |
/// | `Masa` | signatures | documentSigning, serverAuth | those asked for |
/// | `IDevId` | signatures | | the kind of hardware and its serial number |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// An organisation's or maker's root, signed by itself. One authority may stand under it.
    Root,
    /// An authority under a root, which issues no authorities.
    Issuing,
    /// A box's identity in its organisation. Its subject has the machine's serial number.
    LDevId,
    /// Who admits an organisation's boxes (RFC 8995 §5.5.4).
    Registrar,
    /// Who signs a maker's vouchers (RFC 8995 §2.3). It says so, lest a box's key under the same root could sign them.
    /// `openssl cms -verify` takes them with `-purpose any`.
    Masa,
    /// A box's identity by its maker (IEEE 802.1AR §8). It has no end, and its subject has the machine's serial number.
    IDevId {
        /// The kind of hardware, by an identifier of the maker's (RFC 4108 §5).
        hardware: ObjectIdentifier,
    },
}

impl Profile {
    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Issuing => "issuing",
            Self::LDevId => "ldevid",
            Self::Registrar => "registrar",
            Self::Masa => "masa",
            Self::IDevId { .. } => "idevid",
        }
    }

    /// How many authorities may stand under it; none for those that are no authority.
    pub(crate) const fn path_length(self) -> Option<u8> {
        match self {
            Self::Root => Some(1),
            Self::Issuing => Some(0),
            _ => None,
        }
    }

    /// Whether it names a machine.
    pub(crate) const fn is_machine(self) -> bool {
        matches!(self, Self::LDevId | Self::IDevId { .. })
    }

    /// Whether names of the DNS and addresses may be asked for.
    pub(crate) const fn takes_alt_names(self) -> bool {
        matches!(self, Self::LDevId | Self::Registrar | Self::Masa)
    }

    const fn purposes(self) -> &'static [ObjectIdentifier] {
        match self {
            Self::Root | Self::Issuing | Self::IDevId { .. } => &[],
            Self::LDevId => &[CLIENT_AUTH, SERVER_AUTH],
            Self::Registrar => &[CMC_RA, SERVER_AUTH, CLIENT_AUTH],
            Self::Masa => &[DOCUMENT_SIGNING, SERVER_AUTH],
        }
    }

    fn alt_names(self, subject: &Subject, asked: &[GeneralName]) -> der::Result<Vec<GeneralName>> {
        let mut names = asked.to_vec();
        match (self, subject.machine_serial()) {
            (Self::LDevId, Some(serial)) => names.insert(0, box_urn(serial)?),
            (Self::IDevId { hardware }, Some(serial)) => names.insert(0, hardware_module(hardware, serial)?),
            _ => {}
        }
        Ok(names)
    }
}

fn box_urn(serial: &str) -> der::Result<GeneralName> {
    Ia5String::new(&format!("{BOX_URN}{serial}")).map(GeneralName::UniformResourceIdentifier)
}

/// What an issuer puts into a certificate of its own.
pub(crate) struct Issued<'a> {
    pub(crate) profile: Profile,
    pub(crate) subject: &'a Subject,
    pub(crate) key: &'a PublicKey,
    pub(crate) alt_names: &'a [GeneralName],
    /// By which the issuer's certificate names its key.
    pub(crate) authority_key: &'a [u8],
    pub(crate) crl_uri: Option<&'a str>,
}

impl Issued<'_> {
    /// All extensions, in an order that never changes.
    pub(crate) fn extensions(&self) -> der::Result<Vec<Extension>> {
        let path_length = self.profile.path_length();
        let usage = if path_length.is_some() {
            KeyUsages::KeyCertSign | KeyUsages::CRLSign
        } else {
            KeyUsages::DigitalSignature.into()
        };
        let constraints = BasicConstraints { ca: path_length.is_some(), path_len_constraint: path_length };
        let mut extensions = vec![extension(true, &constraints)?, extension(true, &KeyUsage(usage))?];
        let purposes = self.profile.purposes();
        if !purposes.is_empty() {
            extensions.push(extension(false, &ExtendedKeyUsage(purposes.to_vec()))?);
        }
        let alt_names = self.profile.alt_names(self.subject, self.alt_names)?;
        if !alt_names.is_empty() {
            extensions.push(extension(false, &SubjectAltName(alt_names))?);
        }
        extensions.push(extension(false, &SubjectKeyIdentifier(OctetString::new(&self.key.identifier()[..])?))?);
        extensions.push(extension(false, &authority_key_identifier(self.authority_key)?)?);
        if let Some(uri) = self.crl_uri {
            extensions.push(extension(false, &distribution_points(uri)?)?);
        }
        Ok(extensions)
    }
}

pub(crate) fn authority_key_identifier(identifier: &[u8]) -> der::Result<AuthorityKeyIdentifier> {
    Ok(AuthorityKeyIdentifier { key_identifier: Some(OctetString::new(identifier)?), ..Default::default() })
}

pub(crate) fn extension<T: Encode + AssociatedOid>(critical: bool, value: &T) -> der::Result<Extension> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn distribution_points(uri: &str) -> der::Result<CrlDistributionPoints> {
    let uri = GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?);
    let point = Some(DistributionPointName::FullName(vec![uri]));
    Ok(CrlDistributionPoints(vec![DistributionPoint { distribution_point: point, reasons: None, crl_issuer: None }]))
}
