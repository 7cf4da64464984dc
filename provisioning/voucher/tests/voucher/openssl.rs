//! `openssl` as the other side: it takes our messages and makes some that we take.

use std::{fs, path::Path, process::Command};

use dolmen_provisioning_ca::{
    chain::{ChainError, Purpose, Rules},
    cms::{CmsError, Verified, verify},
};
use dolmen_provisioning_voucher::{JSON_VOUCHER, accept};
use tempfile::TempDir;

use crate::support::{Subject, World, expectation, maker_key, nonce, serial, world};

const VERIFY: &str = "cms -verify -binary -inform DER -in message -CAfile root.pem -purpose any -out content";
const SIGN: &str = "cms -sign -binary -nodetach -outform DER -econtent_type 1.2.840.113549.1.9.16.1.40 -md sha256 -in \
                    voucher.json -signer signer.pem -inkey signer.key -out message";

fn openssl(directory: &Path, arguments: &str) -> bool {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let output = output.expect("openssl; scripts/setup.sh installs it");
    eprintln!("{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

/// With the voucher, who signs it, and the root.
fn directory() -> TempDir {
    let World { masa, masa_root, registrar, .. } = world();
    let directory = tempfile::tempdir().expect("a directory");
    let files = [
        ("voucher.json", world().voucher().to_json().expect("JSON")),
        ("root.pem", masa_root.x509.to_pem().expect("PEM")),
        ("signer.pem", masa.x509.to_pem().expect("PEM")),
        ("signer.key", masa.key.private_key_to_pem_pkcs8().expect("PEM")),
        ("other.pem", registrar.x509.to_pem().expect("PEM")),
    ];
    for (name, content) in files {
        fs::write(directory.path().join(name), content).expect("a file");
    }
    directory
}

fn read(directory: &TempDir, name: &str) -> Vec<u8> {
    fs::read(directory.path().join(name)).expect("a file")
}

/// What we say of a message that openssl makes so.
fn made(directory: &TempDir, arguments: &str) -> Result<Verified, CmsError> {
    assert!(openssl(directory.path(), arguments));
    let rules = Rules::timeless(Purpose::Voucher);
    verify(&read(directory, "message"), JSON_VOUCHER, &world().masa_root.roots(), &rules)
}

#[test]
fn it_takes_our_messages() {
    let directory = directory();
    let json = world().voucher().to_json().unwrap();
    fs::write(directory.path().join("message"), world().masa.sign(&json)).unwrap();
    assert!(openssl(directory.path(), VERIFY));
    assert_eq!(read(&directory, "content"), json);
    assert!(openssl(directory.path(), &format!("{VERIFY} -certfile signer.pem")));
    // That it looks at all.
    assert!(!openssl(directory.path(), &VERIFY.replace("root.pem", "other.pem")));
    let mut forged = world().masa.sign(&json);
    *forged.last_mut().unwrap() ^= 1;
    fs::write(directory.path().join("message"), forged).unwrap();
    assert!(!openssl(directory.path(), VERIFY));
}

#[test]
fn it_reads_what_ours_say() {
    let directory = directory();
    fs::write(directory.path().join("message"), world().masa.sign(b"{}")).unwrap();
    assert!(openssl(directory.path(), "cms -cmsout -print -inform DER -in message -out text"));
    let text = String::from_utf8(read(&directory, "text")).unwrap();
    for part in [
        "id-ct-animaJSONVoucher (1.2.840.113549.1.9.16.1.40)",
        "algorithm: sha256 (2.16.840.1.101.3.4.2.1)",
        "algorithm: ecdsa-with-SHA256 (1.2.840.10045.4.3.2)",
        "object: contentType (1.2.840.113549.1.9.3)",
        "object: messageDigest (1.2.840.113549.1.9.4)",
    ] {
        let known = text.contains(part) || text.contains(&part.replace("id-ct-animaJSONVoucher ", "undefined "));
        assert!(known, "{part}: {text}");
    }
    assert!(!text.contains("signingTime"), "{text}");
}

#[test]
fn we_take_its_messages() {
    let directory = directory();
    let json = world().voucher().to_json().unwrap();
    for more in ["", " -certfile root.pem", " -keyid", " -nosmimecap"] {
        assert_eq!(made(&directory, &format!("{SIGN}{more}")).unwrap().content(), json, "{more}");
        let (serial, maker, nonce, tls) = (serial(), maker_key(), nonce(), world().tls());
        let expectation = expectation(&serial, &maker, &nonce, &tls);
        assert!(accept(&read(&directory, "message"), &world().masa_roots(), &expectation).is_ok(), "{more}");
    }
}

#[test]
fn we_do_not_take_all_of_them() {
    let directory = directory();
    let sign = |arguments: &str| made(&directory, arguments).unwrap_err();
    assert!(matches!(sign(&format!("{SIGN} -noattr")), CmsError::NoAttributes));
    assert!(matches!(sign(&format!("{SIGN} -nocerts")), CmsError::Certificates { found: 0, .. }));
    let detached = SIGN.replace(" -nodetach", "");
    assert!(matches!(sign(&detached), CmsError::Detached));
    assert!(matches!(sign(&SIGN.replace("sha256", "sha384")), CmsError::Algorithm { what: "digest", .. }));
    assert!(matches!(
        sign(&SIGN.replace("-econtent_type 1.2.840.113549.1.9.16.1.40 ", "")),
        CmsError::ContentType { .. }
    ));
    // Lengths that are not known at the beginning are BER.
    assert!(matches!(sign(&format!("{SIGN} -stream")), CmsError::Der { .. }));
    // PEM is for people.
    assert!(matches!(sign(&SIGN.replace("-outform DER", "-outform PEM")), CmsError::Der { .. }));

    let stranger = Subject::masa("voucher signer", None).certify();
    fs::write(directory.path().join("signer.pem"), stranger.x509.to_pem().unwrap()).unwrap();
    fs::write(directory.path().join("signer.key"), stranger.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    assert!(matches!(sign(SIGN), CmsError::Path(ChainError::Untrusted(_))));
}
