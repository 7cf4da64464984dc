//! `openssl verify` takes what we issue, and refuses what we refuse.

use std::{fs, path::Path};

use dolmen_provisioning_ca::{Authority, Certificate, Profile};
use futures::executor::block_on;
use openssl::x509::X509Crl;

use crate::support::{
    HARDWARE, Organisation, REGISTRAR, ROOT, START, YEAR, directory, forever, list, machine, openssl, order, pem,
    private_key, serial, signer, subject, years,
};

fn files(organisation: &Organisation, certificate: &Certificate) -> tempfile::TempDir {
    let crls = [organisation.root.clone(), organisation.issuing.clone()].map(|authority| {
        let crl = block_on(authority.revoke(&list(&[serial(0x77)]))).expect("a list");
        X509Crl::from_der(crl.der()).and_then(|crl| crl.to_pem()).expect("a list")
    });
    directory(&[
        ("root.pem", &pem(organisation.root.certificate())),
        ("issuing.pem", &pem(organisation.issuing.certificate())),
        ("c.pem", &pem(certificate)),
        ("crls.pem", &crls.concat()),
    ])
}

fn verify(directory: &Path, at: u64, more: &str) -> Result<String, String> {
    let arguments = "verify -x509_strict -CAfile root.pem -untrusted issuing.pem";
    openssl(directory, &format!("{arguments} -attime {at} {more} c.pem"))
}

#[test]
fn it_takes_a_box() {
    let organisation = Organisation::new();
    let directory = files(&organisation, &organisation.ldevid);
    let during = START + YEAR / 12;
    for more in ["", "-purpose sslclient", "-purpose sslserver", "-crl_check_all -CRLfile crls.pem"] {
        assert_eq!(verify(directory.path(), during, more), Ok("c.pem: OK\n".to_owned()), "{more}");
    }
    for name in ["box-1.example", "box-2.example"] {
        let taken = verify(directory.path(), during, &format!("-verify_hostname {name}")).is_ok();
        assert_eq!(taken, name == "box-1.example");
    }
    // That it looks at all.
    assert!(verify(directory.path(), START + 2 * YEAR, "").unwrap_err().contains("certificate has expired"));
    assert!(verify(directory.path(), START - 1, "").unwrap_err().contains("not yet valid"));
}

#[test]
fn it_takes_a_registrar_and_a_masa() {
    let organisation = Organisation::new();
    for profile in [Profile::Registrar, Profile::Masa] {
        let certificate =
            block_on(organisation.issuing.issue(&order(profile, subject("r"), REGISTRAR, years(1)))).unwrap();
        let directory = files(&organisation, &certificate);
        assert!(verify(directory.path(), START, "-purpose sslserver").is_ok());
        assert_eq!(verify(directory.path(), START, "-purpose sslclient").is_ok(), profile == Profile::Registrar);
    }
}

/// As vouchers are checked by hand.
#[test]
fn it_takes_what_a_masa_signs() {
    let organisation = Organisation::new();
    let order = order(Profile::Masa, subject("masa"), REGISTRAR, years(1));
    let masa = block_on(organisation.issuing.issue(&order)).unwrap();
    let directory = files(&organisation, &masa);
    let key = private_key(REGISTRAR).private_key_to_pem_pkcs8().unwrap();
    for (name, content) in [("k.pem", &key[..]), ("v.json", b"{}")] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    let sign = "cms -sign -binary -nodetach -in v.json -signer c.pem -inkey k.pem -certfile issuing.pem -outform DER";
    openssl(directory.path(), &format!("{sign} -out v.cms")).unwrap();
    let verify = "cms -verify -binary -inform DER -in v.cms -CAfile root.pem -out v.txt -attime";
    let verify = |more: &str| openssl(directory.path(), &format!("{verify} {} {more}", START + 1));
    assert!(verify("-purpose any").unwrap().contains("Verification successful"));
    assert!(verify("").unwrap_err().contains("certificate purpose"));
}

#[test]
fn it_takes_a_box_by_its_maker() {
    let maker = Authority::root(signer(ROOT), subject("maker"), forever(), serial(1));
    let maker = block_on(maker).unwrap();
    let order = order(Profile::IDevId { hardware: HARDWARE }, machine(), REGISTRAR, forever());
    let idevid = block_on(maker.issue(&order)).unwrap();
    let directory = directory(&[("root.pem", &pem(maker.certificate())), ("c.pem", &pem(&idevid))]);
    for at in [START, START + 1000 * YEAR] {
        let arguments = format!("verify -x509_strict -CAfile root.pem -purpose sslclient -attime {at} c.pem");
        assert_eq!(openssl(directory.path(), &arguments), Ok("c.pem: OK\n".to_owned()));
    }
}

#[test]
fn it_refuses_what_was_revoked() {
    let organisation = Organisation::new();
    let directory = files(&organisation, &organisation.ldevid);
    let crl = block_on(organisation.issuing.revoke(&list(&[organisation.ldevid.serial().clone()]))).unwrap();
    let crl = X509Crl::from_der(crl.der()).and_then(|crl| crl.to_pem()).unwrap();
    fs::write(directory.path().join("crl.pem"), crl).unwrap();
    let verdict = verify(directory.path(), START + YEAR / 12, "-crl_check -CRLfile crl.pem");
    assert!(verdict.unwrap_err().contains("certificate revoked"));
}
