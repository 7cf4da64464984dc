//! Keys and certificates of everybody who has a part, and what they sign.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use cms::{content_info::ContentInfo, signed_data::SignedData};
use der::{Any, Decode as _, Encode as _, asn1::OctetString};
use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri};
use dolmen_hsm_memory::MemoryKey;
use dolmen_provisioning_voucher::{
    Assertion, Certificate, Expectation, Form, Freshness, IdevidRoots, KeyIdentifier, MasaRoots, Nonce,
    OrganisationRoots, OwnershipEpoch, Registrar, Roots, SerialNumber, Timestamp, Voucher, VoucherRequest,
    cms::{JSON_VOUCHER, to_sign},
};
use futures::executor::block_on;
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    sign::Signer,
    x509::{
        X509, X509Builder, X509NameBuilder,
        extension::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier},
    },
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub(crate) const SERIAL: &str = "BOX-0001";
pub(crate) const CMC_RA: &str = "1.3.6.1.5.5.7.3.28";

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
    /// None for no extension.
    pub(crate) usage: Option<Usage>,
    pub(crate) valid: [&'a str; 2],
    pub(crate) kind: Kind,
    pub(crate) version: i32,
}

/// What kind of key.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Curve(Nid),
    /// Of so many bits.
    Rsa(u32),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    Sign,
    Issue,
    Encrypt,
}

impl<'a> Subject<'a> {
    pub(crate) fn root(name: &'a str) -> Self {
        Self { authority: true, usage: Some(Usage::Issue), ..Self::signer(name, None) }
    }

    pub(crate) fn signer(name: &'a str, issuer: impl Into<Option<&'a Identity>>) -> Self {
        Self {
            name,
            issuer: issuer.into(),
            authority: false,
            path_length: None,
            purpose: None,
            box_serial_numbers: &[],
            usage: Some(Usage::Sign),
            valid: ["20200101000000Z", "20490101000000Z"],
            kind: Kind::Curve(Nid::X9_62_PRIME256V1),
            version: 2,
        }
    }

    pub(crate) fn authority(name: &'a str, issuer: &'a Identity) -> Self {
        Self { issuer: Some(issuer), ..Self::root(name) }
    }

    pub(crate) fn registrar(name: &'a str, issuer: &'a Identity) -> Self {
        Self { purpose: Some(CMC_RA), ..Self::signer(name, issuer) }
    }

    pub(crate) fn pledge(serials: &'a [&'a str], issuer: &'a Identity) -> Self {
        Self { box_serial_numbers: serials, ..Self::signer("box", issuer) }
    }

    pub(crate) fn certify(self) -> Identity {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Another key each time, also under the same name.
        let secret: [u8; 32] = Sha256::digest(format!("{} {number}", self.name)).into();
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
            builder.set_version(self.version)?;
            builder.set_serial_number(&*number.to_asn1_integer()?)?;
            builder.set_subject_name(&name)?;
            builder.set_issuer_name(issuer.map_or(&*name, |issuer| issuer.subject_name()))?;
            builder.set_not_before(&from)?;
            builder.set_not_after(&to)?;
            builder.set_pubkey(&key)
        };
        build(&mut builder).expect("fields");
        if self.version == 2 {
            self.extend(&mut builder);
        }
        builder.sign(self.issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).expect("a signature");
        let x509 = builder.build();
        let certificate = Certificate::from_der(x509.to_der().expect("DER")).expect("a certificate");
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
            let mut extension = KeyUsage::new();
            match usage {
                Usage::Sign => extension.digital_signature(),
                Usage::Issue => extension.key_cert_sign(),
                Usage::Encrypt => extension.key_encipherment(),
            };
            extensions.push(extension.critical().build());
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

    /// A voucher or request that it signed.
    pub(crate) fn sign(&self, json: &[u8]) -> Vec<u8> {
        let unsigned = to_sign(JSON_VOUCHER, json, &self.chain).expect("a message");
        block_on(unsigned.sign(&self.signer())).expect("a signature")
    }

    pub(crate) fn roots(&self) -> Roots {
        Roots::new(vec![self.certificate.clone()]).expect("roots")
    }
}

pub(crate) fn memory_key(secret: &[u8; 32], algorithm: Algorithm, domains: &[Domain]) -> MemoryKey {
    let spec = KeySpec { algorithm, domains: domains.iter().copied().collect() };
    let uri: KeyUri = "soft:test".parse().expect("a name");
    MemoryKey::new(uri, spec, &Zeroizing::new(*secret)).expect("a key")
}

fn key_of(secret: &[u8; 32], curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    let secret = BigNum::from_slice(secret).expect("a number");
    let mut point = EcPoint::new(&group).expect("memory");
    point.mul_generator2(&group, &secret, &mut BigNumContext::new().expect("memory")).expect("a point");
    PKey::from_ec_key(EcKey::from_private_components(&group, &secret, &point).expect("a key")).expect("a key")
}

/// A maker, a box of theirs, and an organisation that buys it.
pub(crate) struct World {
    pub(crate) masa_root: Identity,
    pub(crate) masa: Identity,
    pub(crate) maker_root: Identity,
    pub(crate) pledge: Identity,
    pub(crate) organisation_root: Identity,
    pub(crate) organisation: Identity,
    pub(crate) registrar: Identity,
}

pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let masa_root = Subject::root("voucher root").certify();
        let maker_root = Subject::root("maker root").certify();
        let organisation_root = Subject::root("organisation root").certify();
        let organisation = Subject::authority("organisation", &organisation_root).certify();
        World {
            masa: Subject::signer("voucher signer", &masa_root).certify(),
            pledge: Subject::pledge(&[SERIAL], &maker_root).certify(),
            registrar: Subject::registrar("registrar", &organisation).certify(),
            masa_root,
            maker_root,
            organisation_root,
            organisation,
        }
    })
}

impl World {
    pub(crate) fn masa_roots(&self) -> MasaRoots {
        MasaRoots(self.masa_root.roots())
    }

    pub(crate) fn makers(&self) -> IdevidRoots {
        IdevidRoots(self.maker_root.roots())
    }

    pub(crate) fn organisations(&self) -> OrganisationRoots {
        OrganisationRoots(self.organisation_root.roots())
    }

    pub(crate) fn tls(&self) -> Registrar {
        tls(&self.registrar)
    }

    /// For the box, with its nonce, from the authority's side.
    pub(crate) fn voucher(&self) -> Voucher {
        Voucher {
            created_on: time(),
            expires_on: None,
            assertion: Assertion::Proximity,
            serial_number: serial(),
            idevid_issuer: Some(maker_key()),
            pinned_domain_cert: self.organisation_root.certificate.clone(),
            domain_cert_revocation_checks: Some(false),
            freshness: Freshness::Nonce(nonce()),
        }
    }

    pub(crate) fn pledge_request(&self) -> VoucherRequest {
        VoucherRequest {
            created_on: Some(time()),
            assertion: Some(Assertion::Proximity),
            nonce: Some(nonce()),
            serial_number: serial(),
            idevid_issuer: Some(maker_key()),
            form: Form::Pledge { proximity_registrar_cert: Some(self.registrar.certificate.clone()) },
        }
    }

    pub(crate) fn registrar_request(&self) -> VoucherRequest {
        let prior = self.pledge.sign(&self.pledge_request().to_json().expect("JSON"));
        VoucherRequest { form: Form::Registrar { prior_signed_voucher_request: prior }, ..self.pledge_request() }
    }
}

/// What a box sees of a registrar that it connects to. Roots are not sent.
pub(crate) fn tls(registrar: &Identity) -> Registrar {
    let sent = &registrar.chain[..registrar.chain.len() - 1];
    Registrar::from_tls(sent.iter().map(Certificate::as_der)).expect("certificates")
}

pub(crate) fn expectation<'a>(
    serial_number: &'a SerialNumber,
    idevid_issuer: &'a KeyIdentifier,
    nonce: &'a Nonce,
    registrar: &'a Registrar,
) -> Expectation<'a> {
    let (idevid_issuer, nonce) = (Some(idevid_issuer), Some(nonce));
    Expectation { serial_number, idevid_issuer, nonce, epoch: OwnershipEpoch::new(7), registrar }
}

pub(crate) fn time() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().expect("a time")
}

pub(crate) fn serial() -> SerialNumber {
    SERIAL.parse().expect("a serial number")
}

pub(crate) fn nonce() -> Nonce {
    Nonce::from_bytes([0xa5; 16]).expect("a nonce")
}

pub(crate) fn maker_key() -> KeyIdentifier {
    world().pledge.certificate.authority_key_identifier().expect("an issuer's key")
}

/// A message with something in it changed.
pub(crate) fn edit(message: &[u8], change: impl FnOnce(&mut SignedData)) -> Vec<u8> {
    let info = ContentInfo::from_der(message).expect("a message");
    let mut signed: SignedData = info.content.decode_as().expect("SignedData");
    change(&mut signed);
    let content = Any::encode_from(&signed).expect("SignedData");
    ContentInfo { content_type: info.content_type, content }.to_der().expect("a message")
}

/// The same, signed again by somebody who means it.
pub(crate) fn edit_and_sign(message: &[u8], key: &PKey<Private>, change: impl FnOnce(&mut SignedData)) -> Vec<u8> {
    edit(message, |signed| {
        change(signed);
        let mut signers = signed.signer_infos.0.clone().into_vec();
        for signer in &mut signers {
            let attributes = signer.signed_attrs.as_ref().map(|attributes| attributes.to_der().expect("attributes"));
            let mut openssl = Signer::new(MessageDigest::sha256(), key).expect("a key");
            let signature = openssl.sign_oneshot_to_vec(&attributes.unwrap_or_default()).expect("a signature");
            signer.signature = OctetString::new(signature).expect("a signature");
        }
        signed.signer_infos = signers.try_into().expect("signers");
    })
}
