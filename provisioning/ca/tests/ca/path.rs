//! Which certificates vouch for which, of whatever maker.

use dolmen_provisioning_ca::{
    Certificate, CertificateError,
    chain::{ChainError, Purpose, Roots, RootsError, Rules, verify},
    cms::{self, CmsError},
};

use crate::{
    certify::{Identity, Kind, SIGN, Subject},
    message::{RULES, TYPE, World, sign, world},
};

/// A path to one of `roots`, of somebody who is a registrar.
fn path(identity: &Identity, roots: &[Certificate]) -> Result<Vec<Certificate>, ChainError> {
    let path = verify(&identity.certificate, &identity.chain, roots, &Rules::timeless(Purpose::Registrar))?;
    Ok(path.certificates().to_vec())
}

fn refused(identity: &Identity, roots: &[Certificate]) -> &'static str {
    path(identity, roots).expect_err("a path that does not hold").code()
}

#[test]
fn paths_end_at_the_first_trusted_certificate() {
    let root = Subject::root("organisation root").certify();
    let organisation = Subject::authority("organisation", &root).certify();
    let registrar = Subject::registrar("registrar", &organisation).certify();
    let all = [&registrar, &organisation, &root].map(|identity| identity.certificate.clone());
    assert_eq!(path(&registrar, &all[2..]).unwrap(), all);
    assert_eq!(path(&registrar, &all[1..]).unwrap(), all[..2]);
    assert_eq!(path(&registrar, &all[1..2]).unwrap(), all[..2]);
    assert_eq!(path(&registrar, &all).unwrap(), all[..1]);
    assert_eq!(path(&registrar, &all[..1]).unwrap(), all[..1]);
    let several = [world().masa_root.certificate.clone(), root.certificate.clone()];
    let rules = Rules::timeless(Purpose::Registrar);
    assert_eq!(verify(&all[0], &all[1..2], &several, &rules).unwrap().certificates(), all);
    // What is in between is needed.
    assert!(matches!(verify(&all[0], &[], &several, &rules), Err(ChainError::Untrusted(_))));
    assert_eq!(refused(&registrar, &world().masa_root.roots()), "untrusted");
}

/// Who is trusted himself does not become trusted for something else, and whoever vouches for him does not matter.
#[test]
fn what_is_trusted_itself_needs_nobody() {
    let weak = Subject { kind: Kind::Rsa(1024), ..Subject::root("weak") }.certify();
    let registrar = Subject::registrar("registrar of the weak", &weak).certify();
    let own = registrar.roots();
    assert_eq!(path(&registrar, &own).unwrap(), registrar.chain[..1]);
    assert_eq!(refused(&registrar, &weak.roots()), "refused");
    let verdict = verify(&registrar.certificate, &registrar.chain, &own, &Rules::timeless(Purpose::Voucher));
    assert!(matches!(verdict, Err(ChainError::Purpose { .. })), "{verdict:?}");
    // It vouches for nobody.
    assert_eq!(refused(&Subject::registrar("another", &registrar).certify(), &own), "not-authority");
}

#[test]
fn strangers_do_not_sign() {
    let World { masa, masa_root, .. } = world();
    let false_root = Subject::root("voucher root").certify();
    // Under the same names, with certificates of their own making.
    for stranger in [Subject::masa("voucher signer", None), Subject::masa("voucher signer", &false_root)] {
        let message = sign(&stranger.certify(), b"{}");
        let error = cms::verify(&message, TYPE, &masa_root.roots(), &RULES).unwrap_err();
        assert!(matches!(error, CmsError::Path(ChainError::Untrusted(_))), "{error}");
    }
    assert!(cms::verify(&sign(masa, b"{}"), TYPE, &masa_root.roots(), &RULES).is_ok());
}

#[test]
fn time_does_not_matter_where_there_is_none() {
    for valid in [["20000101000000Z", "20010101000000Z"], ["20480101000000Z", "20490101000000Z"]] {
        let root = Subject { valid, ..Subject::root("another time") }.certify();
        let authority = Subject { valid, ..Subject::authority("authority", &root) }.certify();
        let signer = Subject { valid, ..Subject::masa("signer", &authority) }.certify();
        let verified = cms::verify(&sign(&signer, b"{}"), TYPE, &root.roots(), &RULES).unwrap();
        assert_eq!(verified.path().certificates(), signer.chain);
        assert_eq!(verified.content(), b"{}");
    }
}

#[test]
fn only_authorities_vouch() {
    let World { masa_root, .. } = world();
    let roots = masa_root.roots();
    // A signer with an ordinary certificate issues one.
    let masa = Subject::signer("no authority", masa_root).certify();
    let forged = Subject::registrar("forged", &masa).certify();
    assert!(["not-authority", "untrusted"].contains(&refused(&forged, &roots)));
    // An authority that may not sign certificates.
    let authority = Subject { usage: Some(SIGN), ..Subject::authority("may not", masa_root) }.certify();
    let issued = Subject::registrar("issued", &authority).certify();
    assert!(path(&issued, &roots).is_err() && path(&issued, &authority.roots()).is_err());
    // One that does not say that it is one, and is trusted.
    let plain = Subject { authority: false, ..Subject::root("plain") }.certify();
    assert_eq!(refused(&Subject::registrar("of the plain", &plain).certify(), &plain.roots()), "not-authority");
    // One below an authority that allows none below it.
    let last = Subject { path_length: Some(0), ..Subject::authority("the last", masa_root) }.certify();
    let below = Subject::authority("below", &last).certify();
    assert!(path(&Subject::registrar("of the last", &last).certify(), &roots).is_ok());
    assert_eq!(refused(&Subject::registrar("too deep", &below).certify(), &roots), "path-length");
}

#[test]
fn weak_keys_do_not_vouch() {
    for (bits, allowed) in [(1024, false), (2048, true)] {
        let root = Subject { kind: Kind::Rsa(bits), ..Subject::root("RSA") }.certify();
        assert_eq!(path(&Subject::registrar("issued", &root).certify(), &root.roots()).is_ok(), allowed, "{bits}");
    }
}

#[test]
fn roots_are_read() {
    let roots = [&world().masa_root, &world().registrar];
    let pem: Vec<_> = roots.iter().flat_map(|root| root.x509.to_pem().unwrap()).collect();
    assert_eq!(*Roots::from_pem(&pem).unwrap(), roots.map(|root| root.certificate.clone()));

    assert!(matches!(Roots::new(Vec::new()), Err(RootsError::Number { found: 0, .. })));
    assert!(matches!(Roots::from_pem(b""), Err(RootsError::Number { found: 0, .. })));
    let many = vec![roots[0].certificate.clone(); 257];
    assert!(Roots::new(many[..256].to_vec()).is_ok());
    assert!(matches!(Roots::new(many), Err(RootsError::Number { found: 257, limit: 256 })));
    let broken = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert!(matches!(Roots::from_pem(broken), Err(RootsError::Pem(_))));
}

#[test]
fn certificates_name_a_machine_or_none() {
    let World { masa_root, masa, .. } = world();
    let serial =
        |serials| Subject::pledge(serials, masa_root).certify().certificate.machine_serial().map(str::to_owned);
    assert_eq!(serial(&["BOX-0001"]), Some("BOX-0001".to_owned()));
    assert_eq!(serial(&["BOX-0001", "BOX-0002"]), None);
    assert_eq!(masa.certificate.machine_serial(), None);
    assert_eq!(masa_root.certificate.authority_key_identifier(), None);
    let key = masa_root.x509.subject_key_id().unwrap().as_slice();
    assert_eq!(masa.certificate.authority_key_identifier().unwrap(), key);
}

/// A year before 2050 with four digits (RFC 5280 §4.1.2.5): it would be written again with two.
#[test]
fn times_have_one_form() {
    let der = world().masa.certificate.der();
    let from = der.windows(15).position(|window| window == b"\x17\x0d200101000000Z").expect("a time");
    let mut four = der.to_vec();
    four.splice(from..from + 15, *b"\x18\x0f20200101000000Z");
    // Validity, what is signed, and all of it have two bytes more.
    for length in [from - 1, 7, 3] {
        four[length] += 2;
    }
    let error = Certificate::from_der(&four).unwrap_err();
    assert!(matches!(error, CertificateError::Malformed("it is not in DER")), "{error}");
}
