//! Certificates that our authorities do not issue, made with OpenSSL.

use dolmen_provisioning_ca::Certificate;
use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::BigNum,
    hash::MessageDigest,
    x509::{
        X509, X509Builder, X509Extension, X509NameBuilder,
        extension::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier},
    },
};

use crate::support::{START, YEAR, private_key};

/// A certificate with these peculiarities, for ten years from the start on.
pub(crate) struct Forged {
    /// Its issuer; none for one that is signed by itself.
    pub(crate) issuer: Option<(X509, u8)>,
    /// The key that signs in the place of the issuer's.
    pub(crate) signed_by: Option<u8>,
    pub(crate) key: u8,
    pub(crate) authority: bool,
    pub(crate) server_only: bool,
    /// An extension that nobody knows, critical or not.
    pub(crate) unknown: Option<bool>,
    /// Whether it names its key and its issuer's.
    pub(crate) names_keys: bool,
    /// Whether its key is for agreements alone.
    pub(crate) agrees: bool,
}

impl Forged {
    /// Signed by itself, with nothing peculiar.
    const NONE: Self = Self {
        issuer: None,
        signed_by: None,
        key: 30,
        authority: false,
        server_only: false,
        unknown: None,
        names_keys: true,
        agrees: false,
    };

    /// Issued by the certificate with this key.
    pub(crate) fn under(issuer: &Certificate, key: u8) -> Self {
        Self { issuer: Some((X509::from_der(issuer.der()).expect("a certificate"), key)), ..Self::NONE }
    }

    pub(crate) fn make(&self) -> Certificate {
        let der = self.build().and_then(|certificate| certificate.to_der()).expect("a certificate");
        Certificate::from_der(&der).expect("a certificate")
    }

    fn build(&self) -> Result<X509, openssl::error::ErrorStack> {
        let key = private_key(self.key);
        let mut builder = X509Builder::new()?;
        builder.set_version(2)?;
        let serial = BigNum::from_u32(1000 + u32::from(self.key))?.to_asn1_integer()?;
        builder.set_serial_number(&serial)?;
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_text("CN", &format!("forged-{}", self.key))?;
        let name = name.build();
        builder.set_subject_name(&name)?;
        let issuer = self.issuer.as_ref().map(|(issuer, _)| &**issuer);
        builder.set_issuer_name(issuer.map_or(&name, |issuer| issuer.subject_name()))?;
        let at = |seconds: u64| Asn1Time::from_unix(i64::try_from(seconds).expect("small"));
        let (from, to) = (at(START)?, at(START + 10 * YEAR)?);
        builder.set_not_before(&from)?;
        builder.set_not_after(&to)?;
        builder.set_pubkey(&key)?;
        self.extend(&mut builder)?;
        let signer = self.signed_by.or(self.issuer.as_ref().map(|(_, key)| *key)).unwrap_or(self.key);
        builder.sign(&private_key(signer), MessageDigest::sha256())?;
        Ok(builder.build())
    }

    fn extend(&self, builder: &mut X509Builder) -> Result<(), openssl::error::ErrorStack> {
        let mut constraints = BasicConstraints::new();
        let mut usage = KeyUsage::new();
        if self.authority {
            builder.append_extension(constraints.critical().ca().build()?)?;
            builder.append_extension(usage.critical().key_cert_sign().digital_signature().build()?)?;
        } else if self.agrees {
            builder.append_extension(usage.critical().key_agreement().build()?)?;
        } else {
            builder.append_extension(usage.critical().digital_signature().build()?)?;
        }
        let mut purposes = ExtendedKeyUsage::new();
        if self.server_only {
            builder.append_extension(purposes.server_auth().build()?)?;
        } else if !self.authority {
            builder.append_extension(purposes.server_auth().client_auth().build()?)?;
        }
        let issuer = self.issuer.as_ref().map(|(issuer, _)| &**issuer);
        if self.names_keys {
            let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(issuer, None))?;
            builder.append_extension(identifier)?;
        }
        if self.names_keys && issuer.is_some() {
            let identifier = AuthorityKeyIdentifier::new().keyid(true).build(&builder.x509v3_context(issuer, None))?;
            builder.append_extension(identifier)?;
        }
        if let Some(critical) = self.unknown {
            let oid = Asn1Object::from_str("1.3.6.1.4.1.99999.7")?;
            let value = Asn1OctetString::new_from_bytes(b"\x05\x00")?;
            builder.append_extension(X509Extension::new_from_der(&oid, critical, &value)?)?;
        }
        Ok(())
    }
}

/// A certificate, so many authorities, and a root without limits.
pub(crate) fn chain_of(between: u8) -> Vec<Certificate> {
    let root = Forged { key: 40, authority: true, ..Forged::NONE };
    let mut path = vec![root.make()];
    for key in 41..41 + between {
        path.insert(0, Forged { authority: true, key, ..Forged::under(&path[0], key - 1) }.make());
    }
    path.insert(0, Forged::under(&path[0], 40 + between).make());
    path
}
