//! Certificates of all kinds, also those that no authority of ours issues, made by OpenSSL. The tests of vouchers have
//! them from here too.

use std::sync::atomic::{AtomicU32, Ordering};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use dolmen_provisioning_ca::{Certificate, chain::Roots};
use openssl::{
    asn1::{Asn1Object, Asn1OctetString, Asn1Time},
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    sha::sha256,
    x509::{
        X509, X509Builder, X509Extension, X509NameBuilder,
        extension::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, SubjectKeyIdentifier},
    },
};

const CMC_RA: &str = "1.3.6.1.5.5.7.3.28";
const DOCUMENT_SIGNING: &str = "1.3.6.1.5.5.7.3.36";

/// What a certificate says. The defaults are a signer's.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) issuer: Option<&'a Identity>,
    /// Whether it may issue others.
    pub(crate) authority: bool,
    /// How many authorities may be between it and others.
    pub(crate) path_length: Option<u32>,
    pub(crate) purpose: Option<&'a str>,
    pub(crate) box_serial_numbers: &'a [&'a str],
    /// Which bit of `KeyUsage` is set (RFC 5280 §4.2.1.3); none for no extension.
    pub(crate) usage: Option<u8>,
    pub(crate) valid: [&'a str; 2],
    pub(crate) kind: Kind,
}

/// `digitalSignature` and `keyCertSign`.
pub(crate) const SIGN: u8 = 0;
pub(crate) const ISSUE: u8 = 5;

/// What kind of key.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Curve(Nid),
    /// Of so many bits.
    Rsa(u32),
}

impl<'a> Subject<'a> {
    pub(crate) fn root(name: &'a str) -> Self {
        Self { authority: true, usage: Some(ISSUE), ..Self::signer(name, None) }
    }

    pub(crate) fn signer(name: &'a str, issuer: impl Into<Option<&'a Identity>>) -> Self {
        Self {
            name,
            issuer: issuer.into(),
            authority: false,
            path_length: None,
            purpose: None,
            box_serial_numbers: &[],
            usage: Some(SIGN),
            valid: ["20200101000000Z", "20490101000000Z"],
            kind: Kind::Curve(Nid::X9_62_PRIME256V1),
        }
    }

    pub(crate) fn authority(name: &'a str, issuer: &'a Identity) -> Self {
        Self { issuer: Some(issuer), ..Self::root(name) }
    }

    pub(crate) fn registrar(name: &'a str, issuer: &'a Identity) -> Self {
        Self { purpose: Some(CMC_RA), ..Self::signer(name, issuer) }
    }

    pub(crate) fn masa(name: &'a str, issuer: impl Into<Option<&'a Identity>>) -> Self {
        Self { purpose: Some(DOCUMENT_SIGNING), ..Self::signer(name, issuer) }
    }

    pub(crate) fn pledge(serials: &'a [&'a str], issuer: &'a Identity) -> Self {
        Self { box_serial_numbers: serials, ..Self::signer("box", issuer) }
    }

    pub(crate) fn certify(self) -> Identity {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Another key each time, also under the same name.
        let secret = sha256(format!("{} {number}", self.name).as_bytes());
        let key = match self.kind {
            Kind::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key"),
            Kind::Curve(curve) => key_of(&secret, curve),
        };
        self.certify_key(number, key, secret)
    }

    fn certify_key(self, number: u32, key: PKey<Private>, secret: [u8; 32]) -> Identity {
        let mut builder = X509Builder::new().expect("memory");
        let mut name = X509NameBuilder::new().expect("memory");
        name.append_entry_by_nid(Nid::COMMONNAME, self.name).expect("a name");
        for serial in self.box_serial_numbers {
            name.append_entry_by_nid(Nid::SERIALNUMBER, serial).expect("a serial number");
        }
        let name = name.build();
        let number = BigNum::from_u32(number).expect("memory");
        let issuer = self.issuer.map(|issuer| &issuer.x509);
        let [from, to] = self.valid.map(|time| Asn1Time::from_str_x509(time).expect("a time"));
        let build = |builder: &mut X509Builder| {
            builder.set_version(2)?;
            builder.set_serial_number(&*number.to_asn1_integer()?)?;
            builder.set_subject_name(&name)?;
            builder.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.subject_name()))?;
            builder.set_not_before(&from)?;
            builder.set_not_after(&to)?;
            builder.set_pubkey(&key)
        };
        build(&mut builder).expect("fields");
        self.extend(&mut builder);
        builder.sign(self.issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).expect("a signature");
        let x509 = builder.build();
        let certificate = Certificate::from_der(&x509.to_der().expect("DER")).expect("a certificate");
        let mut chain = vec![certificate.clone()];
        chain.extend(self.issuer.iter().flat_map(|issuer| issuer.chain.clone()));
        Identity { certificate, chain, x509, key, secret }
    }

    fn extend(&self, builder: &mut X509Builder) {
        let issuer = self.issuer.map(|issuer| &issuer.x509);
        let mut extensions = Vec::new();
        if self.authority {
            let mut constraints = BasicConstraints::new();
            constraints.critical().ca();
            if let Some(length) = self.path_length {
                constraints.pathlen(length);
            }
            extensions.push(constraints.build());
        }
        if let Some(usage) = self.usage {
            let bit = Asn1OctetString::new_from_bytes(&[3, 2, 7 - usage, 0x80 >> usage]).expect("memory");
            let name = Asn1Object::from_str("2.5.29.15").expect("a name");
            extensions.push(X509Extension::new_from_der(&name, true, &bit));
        }
        extensions.extend(self.purpose.map(|purpose| ExtendedKeyUsage::new().other(purpose).build()));
        for extension in extensions {
            builder.append_extension(extension.expect("an extension")).expect("an extension");
        }
        let subject_key = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).expect("a key");
        builder.append_extension(subject_key).expect("an extension");
        if let Some(issuer) = issuer.filter(|issuer| issuer.subject_key_id().is_some()) {
            let context = builder.x509v3_context(Some(issuer), None);
            let issuer_key = AuthorityKeyIdentifier::new().keyid(true).build(&context).expect("an issuer's key");
            builder.append_extension(issuer_key).expect("an extension");
        }
    }
}

/// Somebody who has a key and a certificate.
pub(crate) struct Identity {
    pub(crate) certificate: Certificate,
    /// With those of its authorities up to the root.
    pub(crate) chain: Vec<Certificate>,
    pub(crate) x509: X509,
    pub(crate) key: PKey<Private>,
    pub(crate) secret: [u8; 32],
}

impl Identity {
    pub(crate) fn signer(&self) -> MemoryKey {
        memory_key(&self.secret, Algorithm::EcdsaP256, &[Domain::Certificate])
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(vec![self.certificate.clone()]).expect("roots")
    }
}

pub(crate) fn memory_key(secret: &[u8; 32], algorithm: Algorithm, domains: &[Domain]) -> MemoryKey {
    let spec = KeySpec { algorithm, domains: domains.iter().copied().collect() };
    let uri: KeyUri = "soft:test".parse().expect("a name");
    MemoryKey::new(uri, spec, &Bytes::new(*secret)).expect("a key")
}

fn key_of(secret: &[u8; 32], curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    let secret = BigNum::from_slice(secret).expect("a number");
    let mut point = EcPoint::new(&group).expect("memory");
    point.mul_generator2(&group, &secret, &mut BigNumContext::new().expect("memory")).expect("a point");
    PKey::from_ec_key(EcKey::from_private_components(&group, &secret, &point).expect("a key")).expect("a key")
}
