//! An organisation's root.

use std::fs;

use dolmen_provisioning_ca::{Profile, alt_name, register::Reason};
use dolmen_provisioning_ceremony::{
    CeremonyError, Organisation, Wanted, read_certificates, read_request, write_certificates,
};
use futures::executor::block_on;
use openssl::x509::X509Req;

use crate::support::{key, moment, openssl, request};

fn found(directory: &std::path::Path) -> Organisation {
    block_on(Organisation::found(directory, "Alpha", key(1), 7300, moment(1))).expect("it works")
}

#[test]
fn it_remembers_all_that_it_signed() {
    let dir = tempfile::tempdir().unwrap();
    let mut organisation = found(dir.path());
    let (registrar, issuing) = (request(2), request(3));
    let wanted = |profile, request, common_name| Wanted {
        profile,
        request,
        common_name,
        alt_names: if profile == Profile::Registrar { vec![alt_name::dns("r.alpha.example").unwrap()] } else { vec![] },
        days: 100_000,
    };
    let registrar =
        block_on(organisation.issue(key(1), wanted(Profile::Registrar, &registrar, "registrar-1"), moment(2))).unwrap();
    let issuing =
        block_on(organisation.issue(key(1), wanted(Profile::Issuing, &issuing, "issuing-1"), moment(3))).unwrap();
    // Not longer than the root.
    assert_eq!(registrar.validity().not_after(), organisation.root().validity().not_after());
    organisation.revoke(registrar.serial(), Reason::KeyCompromise, moment(4)).unwrap();
    let crl = block_on(organisation.list(key(1), 30, moment(5))).unwrap();
    assert!(crl.is_revoked(registrar.serial()) && !crl.is_revoked(issuing.serial()));
    let (root, register) = (organisation.root().clone(), organisation.register().clone());
    drop(organisation);

    let mut organisation = Organisation::open(dir.path()).unwrap();
    assert_eq!((organisation.name(), organisation.root(), organisation.register()), ("Alpha", &root, &register));
    assert_eq!(block_on(organisation.list(key(1), 30, moment(6))).unwrap().number(), crl.number() + 1);
    let again = organisation.revoke(registrar.serial(), Reason::Superseded, moment(7));
    assert!(matches!(again, Err(CeremonyError::NotRevoked(_))), "{again:?}");

    write_certificates(&dir.path().join("issuing.pem"), &[issuing, root]).unwrap();
    write_certificates(&dir.path().join("registrar.pem"), &[registrar]).unwrap();
    let at = "-attime 1800003600 -CAfile root.pem -CRLfile crl.pem -crl_check";
    openssl(dir.path(), &format!("verify {at} issuing.pem")).unwrap();
    let error = openssl(dir.path(), &format!("verify {at} registrar.pem")).unwrap_err();
    assert!(error.contains("certificate revoked"), "{error}");
}

#[test]
fn roots_are_made_once_and_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let alpha = dir.path().join("alpha");
    assert!(matches!(Organisation::open(&alpha), Err(CeremonyError::NotFounded(_))));
    assert!(!alpha.join("journal").exists());
    let root = found(&alpha).root().clone();
    let again = block_on(Organisation::found(&alpha, "Beta", key(2), 7300, moment(2)));
    assert!(matches!(again, Err(CeremonyError::Founded(_))));
    // Power lost before this file was written.
    fs::remove_file(alpha.join("root.pem")).unwrap();
    assert_eq!(Organisation::open(&alpha).unwrap().root(), &root);
    assert_eq!(read_certificates(&alpha.join("root.pem")).unwrap(), [root]);
    // And before the first record was.
    fs::write(alpha.join("journal"), b"{\"number\":1,").unwrap();
    assert!(matches!(Organisation::open(&alpha), Err(CeremonyError::NotFounded(_))));
    found(&alpha);
}

#[test]
fn only_the_roots_key_issues_and_only_what_is_its_to_issue() {
    let dir = tempfile::tempdir().unwrap();
    let mut organisation = found(dir.path());
    let request = request(2);
    let wanted = |profile| Wanted { profile, request: &request, common_name: "x", alt_names: Vec::new(), days: 30 };
    let error = block_on(organisation.issue(key(9), wanted(Profile::Registrar), moment(2))).unwrap_err();
    assert!(matches!(error, CeremonyError::Authority(_)), "{error}");
    for profile in [Profile::Root, Profile::LDevId, Profile::Masa] {
        let error = block_on(organisation.issue(key(1), wanted(profile), moment(2))).unwrap_err();
        assert!(matches!(error, CeremonyError::Profile(_)), "{error}");
    }
    assert_eq!(organisation.register().issued().count(), 0);
    assert!(matches!(Organisation::open(dir.path()), Err(CeremonyError::Journal(_))), "another has it open");
}

#[test]
fn files_are_read_in_both_forms() {
    let dir = tempfile::tempdir().unwrap();
    let (pem, der) = (dir.path().join("r.pem"), dir.path().join("r.der"));
    let request = request(2);
    fs::write(&der, request.der()).unwrap();
    fs::write(&pem, X509Req::from_der(request.der()).unwrap().to_pem().unwrap()).unwrap();
    for path in [&pem, &der] {
        assert_eq!(read_request(path).unwrap().der(), request.der());
        assert!(read_certificates(path).is_err());
    }
    let root = found(&dir.path().join("ca")).root().clone();
    fs::write(&der, root.der()).unwrap();
    assert_eq!(read_certificates(&der).unwrap(), [root]);
    fs::write(&pem, vec![b'x'; 600 << 10]).unwrap();
    assert!(matches!(read_certificates(&pem), Err(CeremonyError::Io { .. })));
    assert!(matches!(read_certificates(&dir.path().join("none")), Err(CeremonyError::Io { .. })));
}
