//! Certificates of endorsement keys: those of swtpm's test authority, and some of our own.

use dolmen_hsm_evidence::{EkCertificate, EvidenceError, Moment, Public, check_ek_certificate};
use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::BigNum,
    hash::MessageDigest,
    pkey::{PKey, Private},
    x509::{X509, X509Extension, X509NameBuilder, extension::ExtendedKeyUsage},
};

use crate::support::{public, vector};

/// 2033, when all are valid, and 2017, when none is.
const VALID: Moment = Moment::At(2_000_000_000);
const TOO_EARLY: Moment = Moment::At(1_500_000_000);

fn check(der: &[u8], roots: &[&str], intermediates: &[&str], moment: Moment) -> Result<EkCertificate, EvidenceError> {
    let [roots, intermediates] =
        [roots, intermediates].map(|names| names.iter().map(|name| vector(name)).collect::<Vec<_>>());
    let [roots, intermediates] =
        [&roots, &intermediates].map(|files| files.iter().map(|file| &file[..]).collect::<Vec<_>>());
    check_ek_certificate(der, &roots, &intermediates, moment)
}

#[test]
fn certificates_of_a_maker_hold() {
    for key in ["rsa2048", "p384"] {
        let der = vector(&format!("ek_{key}.der"));
        for moment in [Moment::Any, VALID] {
            let certificate = check(&der, &["root.der"], &["issuer.der"], moment).unwrap();
            certificate.matches(&public(&format!("ek_{key}"))).unwrap();
            assert_eq!(certificate.der, der);
            assert_eq!(certificate.fingerprint, openssl::sha::sha256(&der));
            assert_eq!(certificate.public_key, public(&format!("ek_{key}")).key().to_spki().unwrap());
            assert_eq!(certificate.manufacturer.as_deref(), Some("id:00001014"));
            assert_eq!(certificate.model.as_deref(), Some("swtpm"));
            assert_eq!(certificate.version.as_deref(), Some("id:20191023"));
        }
        // What is trusted may also be the maker's intermediate, or this certificate alone.
        check(&der, &["issuer.der"], &[], VALID).unwrap();
        check(&der, &[&format!("ek_{key}.der")], &[], VALID).unwrap();
    }
}

#[test]
fn certificates_without_a_chain_are_refused() {
    let der = vector("ek_p384.der");
    let chains: [(&[&str], &[&str]); 4] =
        [(&["root.der"], &[]), (&[], &["issuer.der", "root.der"]), (&["ek_rsa2048.der"], &["issuer.der"]), (&[], &[])];
    for (roots, intermediates) in chains {
        let refused = check(&der, roots, intermediates, Moment::Any).unwrap_err();
        assert!(matches!(refused, EvidenceError::Chain { .. }), "{roots:?}, {intermediates:?}: {refused}");
    }
    let refused = check(&der, &["root.der"], &["issuer.der"], TOO_EARLY).unwrap_err();
    assert!(refused.to_string().contains("not yet valid"), "{refused}");
    let refused = check(&der, &["root.der"], &["issuer.der"; 17], Moment::Any).unwrap_err();
    assert!(matches!(refused, EvidenceError::TooLong { found: 17, .. }), "{refused}");
}

#[test]
fn changed_certificates_are_refused() {
    let der = vector("ek_p384.der");
    for byte in 0..der.len() {
        let mut changed = der.clone();
        changed[byte] ^= 1 << (byte % 8);
        assert!(check(&changed, &["root.der"], &["issuer.der"], Moment::Any).is_err(), "byte {byte}");
    }
    assert!(check(&der[..der.len() - 1], &["root.der"], &["issuer.der"], Moment::Any).is_err());
}

/// As in a TPM's memory, whose indexes are larger than the certificates.
#[test]
fn padding_is_left_out() {
    let der = vector("ek_p384.der");
    for padding in [&[0_u8][..], &[0; 100], &[0xff; 100]] {
        let certificate = check(&[&der[..], padding].concat(), &["issuer.der"], &[], VALID).unwrap();
        assert_eq!(certificate.der, der);
    }
    for rest in [&[1_u8][..], &[0xff, 0], &[0, 0xff]] {
        let refused = check(&[&der[..], rest].concat(), &["issuer.der"], &[], VALID).unwrap_err();
        assert!(matches!(refused, EvidenceError::Trailing { .. }), "{refused}");
    }
    let refused = check(&[&der[..], &[0_u8; 20_000][..]].concat(), &["issuer.der"], &[], VALID).unwrap_err();
    assert!(matches!(refused, EvidenceError::TooLong { .. }), "{refused}");
}

#[test]
fn another_keys_certificate_is_refused() {
    let certificate = check(&vector("ek_p384.der"), &["issuer.der"], &[], VALID).unwrap();
    for key in ["ek_rsa2048", "ek_p256", "known_p384"] {
        let refused = certificate.matches(&public(key)).unwrap_err();
        assert!(matches!(refused, EvidenceError::CertificateKey), "{key}: {refused}");
    }
}

/// A certificate that a key gives itself.
fn self_signed(key: &PKey<Private>, extension: Option<X509Extension>) -> X509 {
    let mut name = X509NameBuilder::new().expect("memory");
    name.append_entry_by_text("CN", "a test").expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("memory");
    builder.set_version(2).expect("version 3");
    let serial = Asn1Integer::from_bn(&BigNum::from_u32(7).expect("memory")).expect("a number");
    builder.set_serial_number(&serial).expect("a number");
    builder.set_subject_name(&name).expect("a name");
    builder.set_issuer_name(&name).expect("a name");
    builder.set_not_before(&Asn1Time::from_unix(1_900_000_000).expect("a time")).expect("a time");
    builder.set_not_after(&Asn1Time::from_unix(2_100_000_000).expect("a time")).expect("a time");
    builder.set_pubkey(key).expect("a key");
    if let Some(extension) = extension {
        builder.append_extension(extension).expect("an extension");
    }
    builder.sign(key, MessageDigest::sha256()).expect("a signature");
    builder.build()
}

#[test]
fn other_uses_are_refused() {
    let key = PKey::private_key_from_der(&vector("known_p256.key")).unwrap();
    let ek: Public = public("known_p256");
    let certify = |uses: &[&str]| {
        let mut usage = ExtendedKeyUsage::new();
        for name in uses {
            usage.other(name);
        }
        let extension = (!uses.is_empty()).then(|| usage.build().unwrap());
        let der = self_signed(&key, extension).to_der().unwrap();
        check_ek_certificate(&der, &[&der], &[], VALID)
    };
    // Older makers' certificates say nothing about their use.
    let none: &[&str] = &[];
    for uses in [none, &["2.23.133.8.1"], &["clientAuth", "2.23.133.8.1"]] {
        let certificate = certify(uses).unwrap();
        certificate.matches(&ek).unwrap();
        assert_eq!((certificate.manufacturer, certificate.model, certificate.version), (None, None, None));
    }
    for uses in ["clientAuth", "2.23.133.8.3", "anyExtendedKeyUsage"] {
        let refused = certify(&[uses]).unwrap_err();
        assert!(matches!(refused, EvidenceError::CertificateUsage), "{uses}: {refused}");
    }
}
