//! Which certificates vouch for which, whatever the time is.

use dolmen_provisioning_voucher::{
    Certificate, CertificateError, PathError, Roots, RootsError,
    cms::{CmsError, JSON_VOUCHER, verify},
};

use crate::support::{Identity, Kind, Subject, Usage, World, world};

fn path(identity: &Identity, roots: &Roots) -> Result<Vec<Certificate>, PathError> {
    roots.path(&identity.certificate, &identity.chain)
}

fn reason(identity: &Identity, roots: &Roots) -> String {
    match path(identity, roots) {
        Err(PathError::Untrusted { reason, .. }) => reason.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn paths_end_at_any_trusted_certificate() {
    let World { registrar, organisation, organisation_root, masa_root, .. } = world();
    let all = [&registrar.certificate, &organisation.certificate, &organisation_root.certificate].map(Clone::clone);
    assert_eq!(path(registrar, &organisation_root.roots()).unwrap(), all);
    assert_eq!(path(registrar, &organisation.roots()).unwrap(), all[..2]);
    assert_eq!(path(registrar, &registrar.roots()).unwrap(), all[..1]);
    let several = Roots::new(vec![masa_root.certificate.clone(), organisation_root.certificate.clone()]).unwrap();
    assert_eq!(several.path(&registrar.certificate, &all[1..2]).unwrap(), all);
    // What is in between is needed.
    assert!(matches!(several.path(&registrar.certificate, &[]), Err(PathError::Untrusted { .. })));
    assert!(matches!(path(registrar, &masa_root.roots()), Err(PathError::Untrusted { .. })));
}

#[test]
fn strangers_are_not_trusted() {
    let World { masa, masa_root, .. } = world();
    let false_root = Subject::root("voucher root").certify();
    let alone = Subject::signer("voucher signer", None).certify();
    assert_eq!(reason(&alone, &masa_root.roots()), "self-signed certificate");
    // Under the same names, with certificates of their own making.
    for stranger in [&alone, &Subject::signer("voucher signer", &false_root).certify()] {
        let error = verify(&stranger.sign(b"{}"), JSON_VOUCHER, &masa_root.roots()).unwrap_err();
        assert!(matches!(error, CmsError::Path(PathError::Untrusted { .. })), "{error}");
    }
    assert!(verify(&masa.sign(b"{}"), JSON_VOUCHER, &masa_root.roots()).is_ok());
}

#[test]
fn time_does_not_matter() {
    for valid in [["20000101000000Z", "20010101000000Z"], ["20480101000000Z", "20490101000000Z"]] {
        let root = Subject { valid, ..Subject::root("another time") }.certify();
        let authority = Subject { valid, ..Subject::authority("authority", &root) }.certify();
        let signer = Subject { valid, ..Subject::signer("signer", &authority) }.certify();
        assert_eq!(path(&signer, &root.roots()).unwrap(), signer.chain);
        assert_eq!(verify(&signer.sign(b"{}"), JSON_VOUCHER, &root.roots()).unwrap().content(), b"{}");
    }
}

#[test]
fn only_authorities_vouch() {
    let World { masa_root, .. } = world();
    let roots = masa_root.roots();
    // A signer with an ordinary certificate issues one.
    let masa = Subject::signer("no authority", masa_root).certify();
    let forged = Subject::signer("forged", &masa).certify();
    assert!(["invalid CA certificate", "unable to get local issuer certificate"].contains(&&*reason(&forged, &roots)));
    // An authority that may not sign certificates.
    let authority = Subject { usage: Some(Usage::Sign), ..Subject::authority("may not", masa_root) }.certify();
    let issued = Subject::signer("issued", &authority).certify();
    assert!(path(&issued, &roots).is_err());
    // One below an authority that allows none below it.
    let last = Subject { path_length: Some(0), ..Subject::authority("the last", masa_root) }.certify();
    let below = Subject::authority("below", &last).certify();
    assert!(path(&Subject::signer("of the last", &last).certify(), &roots).is_ok());
    assert_eq!(reason(&Subject::signer("too deep", &below).certify(), &roots), "path length constraint exceeded");
}

#[test]
fn paths_have_an_end() {
    let World { masa_root, .. } = world();
    let mut authorities = vec![Subject::authority("1", masa_root).certify()];
    for name in ["2", "3", "4", "5"] {
        let next = Subject::authority(name, &authorities[authorities.len() - 1]).certify();
        authorities.push(next);
    }
    let roots = masa_root.roots();
    assert_eq!(path(&Subject::signer("signer", &authorities[3]).certify(), &roots).unwrap().len(), 6);
    assert!(path(&Subject::signer("signer", &authorities[4]).certify(), &roots).is_err());
}

/// OpenSSL takes a self-signed certificate of version 1 for an authority.
#[test]
fn old_certificates_do_not_vouch() {
    let root = Subject { version: 0, ..Subject::root("version 1") }.certify();
    let issued = Subject::signer("issued", &root).certify();
    let error = path(&issued, &root.roots()).unwrap_err();
    assert!(matches!(&error, PathError::NotAuthority { subject } if subject == "CN=version 1"), "{error}");
    // Trusted itself it needs nobody.
    assert_eq!(path(&root, &root.roots()).unwrap(), root.chain);
}

#[test]
fn weak_keys_do_not_vouch() {
    for (bits, allowed) in [(1024, false), (2048, true)] {
        let root = Subject { kind: Kind::Rsa(bits), ..Subject::root("RSA") }.certify();
        assert_eq!(path(&Subject::signer("issued", &root).certify(), &root.roots()).is_ok(), allowed, "{bits}");
    }
}

#[test]
fn roots_are_read() {
    let World { masa_root, maker_root, .. } = world();
    let pem: Vec<_> = [masa_root, maker_root].iter().flat_map(|root| root.x509.to_pem().unwrap()).collect();
    let roots = Roots::from_pem(&pem).unwrap();
    assert_eq!(roots.certificates(), [masa_root.certificate.clone(), maker_root.certificate.clone()]);
    let one = Roots::from_der(masa_root.certificate.as_der()).unwrap();
    assert_eq!(one.certificates(), masa_root.chain);

    assert!(matches!(Roots::new(Vec::new()), Err(RootsError::Number { found: 0, .. })));
    assert!(matches!(Roots::from_pem(b""), Err(RootsError::Number { found: 0, .. })));
    assert!(matches!(Roots::new(vec![masa_root.certificate.clone(); 257]), Err(RootsError::Number { found: 257, .. })));
    let broken = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert!(matches!(Roots::from_pem(broken), Err(RootsError::Pem(_))));
    let error = Roots::from_der(b"no certificate").unwrap_err();
    assert!(matches!(error, RootsError::Certificate { index: 0, source: CertificateError::Der(_) }), "{error}");
}

#[test]
fn certificates_are_read() {
    let World { masa, pledge, registrar, maker_root, .. } = world();
    let der = masa.certificate.as_der();
    assert_eq!(Certificate::from_der(der).unwrap(), masa.certificate);
    for bytes in [&b""[..], &[0x30; 4097]] {
        assert!(
            matches!(Certificate::from_der(bytes), Err(CertificateError::Bytes { found, .. }) if found == bytes.len())
        );
    }
    let trailing = [der, b"\0"].concat();
    assert!(matches!(Certificate::from_der(trailing), Err(CertificateError::Der(_))));
    // A year before 2050 with four digits (RFC 5280 §4.1.2.5): it would be written again with two.
    let from = der.windows(15).position(|window| window == b"\x17\x0d200101000000Z").expect("a time");
    let mut four = der.to_vec();
    four.splice(from..from + 15, *b"\x18\x0f20200101000000Z");
    // Validity, what is signed, and all of it have two bytes more.
    for length in [from - 1, 7, 3] {
        four[length] += 2;
    }
    assert!(matches!(Certificate::from_der(four), Err(CertificateError::NotDer)));

    assert_eq!(pledge.certificate.box_serial_number().unwrap().as_str(), "BOX-0001");
    assert_eq!(masa.certificate.box_serial_number(), None);
    assert_eq!(maker_root.certificate.authority_key_identifier(), None);
    let maker_key = maker_root.x509.subject_key_id().unwrap().as_slice();
    assert_eq!(pledge.certificate.authority_key_identifier().unwrap().as_bytes(), maker_key);
    assert!(registrar.certificate.is_registrar());
    for purpose in [None, Some("1.3.6.1.5.5.7.3.1"), Some("2.5.29.37.0")] {
        let other = Subject { purpose, ..Subject::registrar("other", maker_root) }.certify();
        assert!(!other.certificate.is_registrar(), "{purpose:?}");
    }
}
