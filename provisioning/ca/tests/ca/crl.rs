//! Revocation lists: ours, and what is no list.

use std::{collections::BTreeMap, fs, sync::Arc};

use dolmen_provisioning_ca::{Authority, Crl, CrlError, CrlReason, Revocation, RevocationList, Serial, SignError};
use futures::executor::block_on;

use crate::forge::Forged;
use crate::support::{
    DAY, ISSUING, Liar, Organisation, ROOT, START, STRANGER, box_order, content, directory, find, insert, list,
    openssl, pem, private_key, sealed, serial, signer, subject, time, years,
};

#[test]
fn ours_say_what_was_revoked() {
    let organisation = Organisation::new();
    let serials = [serial(1), serial(2), organisation.ldevid.serial().clone()];
    let crl = block_on(organisation.issuing.revoke(&list(&serials))).unwrap();
    assert_eq!(Crl::from_der(crl.der(), organisation.issuing.certificate()).unwrap(), crl);
    assert_eq!((crl.number(), crl.revoked().count()), (7, 3));
    let entries: BTreeMap<_, _> = crl.revoked().map(|(serial, entry)| (serial.clone(), entry)).collect();
    assert_eq!(entries, list(&serials).revoked);
    assert!(serials.iter().all(|serial| crl.is_revoked(serial)));
    assert!(!crl.is_revoked(&serial(3)));
    let expected = Revocation { date: time(START + DAY), reason: CrlReason::KeyCompromise };
    assert_eq!(crl.revocation(&serial(1)), Some(expected));
    assert_eq!(crl.revocation(&serial(3)), None);
    assert!(crl.is_of(organisation.issuing.certificate()) && !crl.is_of(organisation.root.certificate()));
}

#[test]
fn a_list_holds_for_its_time() {
    let organisation = Organisation::new();
    let crl = block_on(organisation.root.revoke(&list(&[]))).unwrap();
    assert_eq!(crl.revoked().count(), 0);
    let (first, last) = (START + 2 * DAY, START + 32 * DAY);
    assert_eq!((crl.this_update(), crl.next_update()), (time(first), time(last)));
    let times = [first - 1, first, last, last + 1].map(|seconds| crl.is_current(time(seconds)));
    assert_eq!(times, [false, true, true, false]);
}

#[test]
fn openssl_takes_ours() {
    let organisation = Organisation::new();
    let serials = [serial(1), serial(2), organisation.ldevid.serial().clone()];
    let crl = block_on(organisation.issuing.revoke(&list(&serials))).unwrap();
    let ca = [pem(organisation.issuing.certificate()), pem(organisation.root.certificate())].concat();
    let directory = directory(&[("l.der", crl.der()), ("ca.pem", &ca)]);
    let text = openssl(directory.path(), "crl -inform DER -in l.der -noout -text -CAfile ca.pem").unwrap();
    assert!(text.contains("verify OK"), "{text}");
    for line in [
        "Version 2 (0x1)",
        "Issuer: O = Example, CN = issuing",
        "Last Update: Jan 17 08:00:00 2027 GMT",
        "Next Update: Feb 16 08:00:00 2027 GMT",
        "X509v3 CRL Number: \n                7\n",
        "Serial Number: 41010101010101010101010101010101\n        Revocation Date: Jan 16 08:00:00 2027 GMT",
        "X509v3 CRL Reason Code: \n                Key Compromise",
        "X509v3 CRL Reason Code: \n                Cessation Of Operation",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // A reason that says nothing is not written.
    assert_eq!(text.matches("X509v3 CRL Reason Code").count(), 2, "{text}");
}

#[test]
fn others_sign_no_list() {
    let organisation = Organisation::new();
    let crl = block_on(organisation.issuing.revoke(&list(&[]))).unwrap();
    let error = Crl::from_der(crl.der(), organisation.root.certificate()).unwrap_err();
    assert!(matches!(error, CrlError::OtherIssuer { .. }), "{error}");
    // Of the same name, with another key.
    let other = block_on(Authority::root(signer(STRANGER), subject("root"), years(20), serial(1))).unwrap();
    let forged = block_on(other.revoke(&list(&[]))).unwrap();
    let error = Crl::from_der(forged.der(), organisation.root.certificate()).unwrap_err();
    assert!(matches!(error, CrlError::Signature(_)), "{error}");
    assert!(!forged.is_of(organisation.root.certificate()));

    let liar = Arc::new(Liar { says: signer(ISSUING), signs: signer(STRANGER) });
    let authority = Authority::new(organisation.issuing.certificate().clone(), Vec::new(), liar).unwrap();
    let error = block_on(authority.revoke(&list(&[]))).unwrap_err();
    assert!(matches!(error, CrlError::Sign(SignError::WrongKey(_))), "{error}");
    assert!(block_on(authority.issue(&box_order())).is_err());
}

#[test]
fn lists_are_bounded() {
    let issuing = Organisation::new().issuing;
    let reversed = RevocationList { next_update: time(START), ..list(&[]) };
    assert!(matches!(block_on(issuing.revoke(&reversed)), Err(CrlError::Reversed)));
    let removed = Revocation { date: time(START), reason: CrlReason::RemoveFromCRL };
    let changes = RevocationList { revoked: [(serial(1), removed)].into(), ..list(&[]) };
    assert!(matches!(block_on(issuing.revoke(&changes)), Err(CrlError::Malformed("it is a list of changes"))));
    let entry = Revocation { date: time(START), reason: CrlReason::KeyCompromise };
    let number = |at: u32| {
        let mut bytes = [0x5a; 16];
        bytes[12..].copy_from_slice(&at.to_be_bytes());
        Serial::from_random(bytes)
    };
    let revoked: BTreeMap<_, _> = (0..20_000).map(|at| (number(at), entry)).collect();
    let full = RevocationList { revoked: revoked.clone(), ..list(&[]) };
    let crl = block_on(issuing.revoke(&full)).unwrap();
    assert!(crl.is_revoked(&number(19_999)) && !crl.is_revoked(&number(20_000)));
    let more = RevocationList { revoked: revoked.into_iter().chain([(number(20_000), entry)]).collect(), ..full };
    assert!(matches!(block_on(issuing.revoke(&more)), Err(CrlError::TooMany(20_001))));
    let bytes = vec![0x30; (1 << 20) + 1];
    assert!(matches!(Crl::from_der(&bytes, issuing.certificate()), Err(CrlError::Bytes(_))));
}

const CONFIG: &str = "[ca]\ndefault_ca = a\n[a]\ndatabase = index\ncrlnumber = number\ndefault_md = sha256\n\
    default_crl_days = 30\ncrl_extensions = e\ncertificate = ca.pem\nprivate_key = k.pem\n\
    [e]\nauthorityKeyIdentifier = keyid\n[p]\nonlyuser = TRUE\n";
const ENTRY: &str = "R\t280115080000Z\t270116080000Z,superseded\t0A0B\tunknown\t/CN=box-2\n";

/// A list as `openssl ca -gencrl` makes it, of the same authority.
fn made(organisation: &Organisation, config: &str, index: &str) -> Result<Crl, CrlError> {
    let directory = directory(&[
        ("c.cnf", config.as_bytes()),
        ("index", index.as_bytes()),
        ("number", b"1F"),
        ("ca.pem", &pem(organisation.issuing.certificate())),
        ("k.pem", &private_key(ISSUING).private_key_to_pem_pkcs8().expect("a key")),
    ]);
    openssl(directory.path(), "ca -gencrl -config c.cnf -out l.pem").expect("a list");
    openssl(directory.path(), "crl -in l.pem -outform DER -out l.der").expect("a list");
    let der = fs::read(directory.path().join("l.der")).expect("a list");
    Crl::from_der(&der, organisation.issuing.certificate())
}

#[test]
fn we_take_openssl_s() {
    let crl = made(&Organisation::new(), CONFIG, ENTRY).unwrap();
    let entries: Vec<_> = crl.revoked().map(|(serial, entry)| (serial.to_string(), entry)).collect();
    let expected = Revocation { date: time(START + DAY), reason: CrlReason::Superseded };
    assert_eq!((crl.number(), entries), (0x1f, vec![("0A0B".to_owned(), expected)]));
}

/// Lists of a part of an issuer's certificates, without a number, of the first version, and with a serial number that is
/// too long.
#[test]
fn other_lists_are_refused() {
    let organisation = Organisation::new();
    let part = CONFIG.replace("= keyid\n", "= keyid\nissuingDistributionPoint = critical, @p\n");
    let error = made(&organisation, &part, ENTRY).unwrap_err();
    assert!(matches!(&error, CrlError::Critical(oid) if oid.to_string() == "2.5.29.28"), "{error:?}");
    let unnumbered = CONFIG.replace("crlnumber = number\n", "");
    let error = made(&organisation, &unnumbered, ENTRY).unwrap_err();
    assert!(matches!(error, CrlError::Malformed("it has no number")), "{error:?}");
    let first = unnumbered.replace("crl_extensions = e\n", "");
    let error = made(&organisation, &first, &ENTRY.replace(",superseded", "")).unwrap_err();
    assert!(matches!(error, CrlError::Der(_)), "{error:?}");
    let long = "01".repeat(21);
    let error = made(&organisation, CONFIG, &ENTRY.replace("0A0B", &long)).unwrap_err();
    assert!(matches!(error, CrlError::Der(_) | CrlError::Malformed(_)), "{error:?}");
}

/// Its signature holds for the form that nobody wrote.
#[test]
fn a_list_has_one_form() {
    let issuing = Organisation::new().issuing;
    let crl = block_on(issuing.revoke(&list(&[serial(1)]))).unwrap();
    let (place, _) = find(crl.der(), b"\x06\x03\x55\x1d\x15", 0);
    let other = insert(crl.der(), place + 5, b"\x01\x01\x00");
    let error = Crl::from_der(&other, issuing.certificate()).unwrap_err();
    assert!(matches!(error, CrlError::Malformed("it is not in DER")), "{error:?}");
}

#[test]
fn a_list_has_a_certificate_once() {
    let issuing = Organisation::new().issuing;
    let crl = block_on(issuing.revoke(&list(&[serial(1), serial(2)]))).unwrap();
    let content = content(crl.der());
    let (place, entry) = find(content, &[&[2, 16], serial(1).as_bytes()].concat(), 2);
    let twice = sealed(&insert(content, place, entry), ISSUING);
    let error = Crl::from_der(&twice, issuing.certificate()).unwrap_err();
    assert!(matches!(error, CrlError::Malformed("it has a serial number twice")), "{error:?}");
}

/// Two algorithms, and an end before the beginning.
#[test]
fn a_list_is_sound() {
    let issuing = Organisation::new().issuing;
    let crl = block_on(issuing.revoke(&list(&[serial(1)]))).unwrap();
    for (before, after, reason) in [
        (&b"\x2a\x86\x48\xce\x3d\x04\x03\x02"[..], &b"\x2a\x86\x48\xce\x3d\x04\x03\x03"[..], "two algorithms"),
        (b"270216080000Z", b"270116080000Z", "until when"),
    ] {
        let mut content = content(crl.der()).to_vec();
        let at = content.windows(before.len()).position(|window| window == before).unwrap();
        content[at..at + after.len()].copy_from_slice(after);
        let error = Crl::from_der(&sealed(&content, ISSUING), issuing.certificate()).unwrap_err();
        assert!(matches!(error, CrlError::Malformed(found) if found.contains(reason)), "{reason}: {error:?}");
    }
}

#[test]
fn not_every_authority_signs_lists() {
    let root = Organisation::new().root;
    let forged = Forged { authority: true, key: 20, ..Forged::under(root.certificate(), ROOT) }.make();
    let authority = Authority::new(forged, Vec::new(), signer(20)).unwrap();
    let error = block_on(authority.revoke(&list(&[]))).unwrap_err();
    assert!(matches!(&error, CrlError::NotAllowed(name) if name == "CN=forged-20"), "{error:?}");
}
