//! Paths that hold, and those that do not: which certificate, and why.

use dolmen_provisioning_ca::{
    Authority, Certificate, Crl, Order, Profile, Validity,
    chain::{ChainError, Path, Purpose, Rules, When, verify},
};
use futures::executor::block_on;

use crate::forge::{Forged, chain_of};
use crate::support::{
    BOX, DAY, HARDWARE, ISSUING, Organisation, REGISTRAR, ROOT, START, STRANGER, YEAR, box_order, directory, forever,
    list, machine, openssl, order, serial, signer, subject, time, years,
};

const PURPOSES: [Purpose; 6] =
    [Purpose::Client, Purpose::Server, Purpose::Registrar, Purpose::Voucher, Purpose::IDevId, Purpose::Authority];

fn rules(when: When, purpose: Purpose) -> Rules<'static> {
    Rules { when, purpose, crls: &[] }
}

fn during() -> When {
    When::At(time(START + 3 * DAY))
}

/// Whether the path of a box holds.
fn check(organisation: &Organisation, rules: &Rules<'_>) -> Result<Path, ChainError> {
    verify(&organisation.ldevid, &organisation.others(), &organisation.roots(), rules)
}

/// The code, and which certificate it names.
fn refusal<T: std::fmt::Debug>(verdict: Result<T, ChainError>) -> (&'static str, Option<usize>) {
    let error = verdict.expect_err("a path that does not hold");
    (error.code(), error.which().map(|which| which.depth))
}

#[test]
fn a_box_has_a_path() {
    let organisation = Organisation::new();
    for when in [during(), When::Never] {
        let path = check(&organisation, &rules(when, Purpose::Client)).unwrap();
        let expected = [
            organisation.ldevid.clone(),
            organisation.issuing.certificate().clone(),
            organisation.root.certificate().clone(),
        ];
        assert_eq!(path.certificates(), expected);
        assert_eq!(path.root(), Some(organisation.root.certificate()));
        assert_eq!(path.uncovered(), [0, 1]);
    }
    // What is not needed is in nobody's way, and an authority that is trusted by itself is an end.
    let others = [organisation.roots(), organisation.others()].concat();
    assert!(verify(&organisation.ldevid, &others, &organisation.roots(), &rules(during(), Purpose::Client)).is_ok());
    let path = verify(&organisation.ldevid, &[], &organisation.others(), &rules(during(), Purpose::Client)).unwrap();
    assert_eq!(path.certificates().len(), 2);
}

#[test]
fn certificates_are_for_what_they_say() {
    let organisation = Organisation::new();
    let issue = |profile| {
        let order = order(profile, subject("other"), REGISTRAR, years(1));
        block_on(organisation.issuing.issue(&order)).unwrap()
    };
    let maker = block_on(Authority::root(signer(ROOT), subject("maker"), forever(), serial(1))).unwrap();
    let idevid = order(Profile::IDevId { hardware: HARDWARE }, machine(), BOX, forever());
    let roots = [organisation.root.certificate().clone(), maker.certificate().clone()];
    for (certificate, purposes) in [
        (organisation.ldevid.clone(), &[Purpose::Client, Purpose::Server, Purpose::IDevId][..]),
        (issue(Profile::Registrar), &[Purpose::Client, Purpose::Server, Purpose::Registrar, Purpose::IDevId]),
        (issue(Profile::Masa), &[Purpose::Server, Purpose::Voucher]),
        (block_on(maker.issue(&idevid)).unwrap(), &[Purpose::IDevId]),
        (organisation.issuing.certificate().clone(), &[Purpose::Authority]),
    ] {
        for purpose in PURPOSES {
            let verdict = verify(&certificate, &organisation.others(), &roots, &rules(during(), purpose));
            if purposes.contains(&purpose) {
                assert!(verdict.is_ok(), "{certificate:?} {purpose:?}: {verdict:?}");
            } else {
                assert_eq!(refusal(verdict), ("purpose", Some(0)), "{certificate:?} {purpose:?}");
            }
        }
    }
}

#[test]
fn a_path_holds_for_its_time() {
    let organisation = Organisation::new();
    for (at, expected) in [
        (START - 1, Err(("not-yet-valid", Some(2)))),
        (START, Ok(())),
        // For OpenSSL the last second is over.
        (START + YEAR - 1, Ok(())),
        (START + YEAR, Err(("expired", Some(0)))),
        (START + 10 * YEAR, Err(("expired", Some(1)))),
        (START + 20 * YEAR, Err(("expired", Some(2)))),
    ] {
        let verdict = check(&organisation, &rules(When::At(time(at)), Purpose::Client));
        assert_eq!(verdict.is_ok(), expected.is_ok(), "{at}");
        if let Err(expected) = expected {
            assert_eq!(refusal(verdict), expected, "{at}");
        }
    }
    let error = check(&organisation, &rules(When::At(time(START + YEAR)), Purpose::Client)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "certificate 0 of the path (\"SERIALNUMBER=SN-0042,CN=box-1,O=Example\", serial \
         53131313131313131313131313131313) has expired at 2028-01-15T08:00:00Z; \
         renew it, or set the clock if it is wrong"
    );
    // A box whose clock is not set takes what has expired, and nothing else that is wrong.
    assert!(check(&organisation, &rules(When::Never, Purpose::Client)).is_ok());
    let old = Order { validity: Validity::new(time(0), time(1)).unwrap(), ..box_order() };
    let old = block_on(organisation.issuing.issue(&old)).unwrap();
    let judge = |when| verify(&old, &organisation.others(), &organisation.roots(), &rules(when, Purpose::Client));
    assert!(judge(When::Never).is_ok());
    assert_eq!(refusal(judge(during())), ("expired", Some(0)));
    let verdict = verify(&old, &organisation.others(), &[], &rules(When::Never, Purpose::Client));
    assert_eq!(refusal(verdict).0, "untrusted");
}

/// A path is found where there is one, whichever certificates stand beside it.
#[test]
fn a_renewed_authority_is_taken() {
    let organisation = Organisation::new();
    let ended = Order {
        validity: Validity::new(time(START - 2), time(START - 1)).unwrap(),
        serial: serial(0x44),
        ..order(Profile::Issuing, subject("issuing"), ISSUING, years(1))
    };
    let ended = block_on(organisation.root.issue(&ended)).unwrap();
    let renewed = organisation.issuing.certificate().clone();
    for others in [[ended.clone(), renewed.clone()], [renewed.clone(), ended.clone()]] {
        let path = verify(&organisation.ldevid, &others, &organisation.roots(), &rules(during(), Purpose::Client));
        assert_eq!(path.unwrap().certificates()[1], renewed);
    }
    let verdict = verify(&organisation.ldevid, &[ended], &organisation.roots(), &rules(during(), Purpose::Client));
    assert_eq!(refusal(verdict), ("expired", Some(1)));
}

#[test]
fn strangers_are_not_trusted() {
    let organisation = Organisation::new();
    // Another root of the same name, with another key.
    let other = block_on(Authority::root(signer(STRANGER), subject("root"), years(20), serial(1))).unwrap();
    let roots = [other.certificate().clone()];
    let verdict = verify(&organisation.ldevid, &organisation.others(), &roots, &rules(during(), Purpose::Client));
    assert_eq!(refusal(verdict), ("untrusted", Some(1)));
    let verdict = verify(&organisation.ldevid, &[], &organisation.roots(), &rules(during(), Purpose::Client));
    assert_eq!(refusal(verdict), ("untrusted", Some(0)));
    let verdict = verify(other.certificate(), &[], &organisation.roots(), &rules(during(), Purpose::Authority));
    assert_eq!(refusal(verdict), ("untrusted", Some(0)));
    // A certificate that names our authority and its key, and that a stranger signed.
    let forged = Forged { signed_by: Some(STRANGER), ..Forged::under(organisation.issuing.certificate(), ISSUING) };
    let verdict =
        verify(&forged.make(), &organisation.others(), &organisation.roots(), &rules(during(), Purpose::Client));
    assert_eq!(refusal(verdict), ("signature", Some(0)));
    // The same, signed by our authority, holds: it was the signature.
    let right = Forged::under(organisation.issuing.certificate(), ISSUING).make();
    verify(&right, &organisation.others(), &organisation.roots(), &rules(during(), Purpose::Client)).unwrap();
}

/// Makers have keys of other kinds, and we check them all the same.
#[test]
fn other_makers_boxes_are_taken() {
    let config = "[req]\nprompt = no\ndistinguished_name = n\n[n]\nO = Maker\n[box]\nO = Maker\nserialNumber = 12-34\n\
                  [ca]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n\
                  subjectKeyIdentifier = hash\n[idevid]\nkeyUsage = critical, digitalSignature\n\
                  subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n\
                  subjectAltName = otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hardware\n\
                  [hardware]\nkind = OID:1.3.6.1.4.1.99999.1\nserial = OCTETSTRING:12-34\n";
    let directory =
        directory(&[("c.cnf", config.as_bytes()), ("b.cnf", config.replace("= n\n", "= box\n").as_bytes())]);
    for command in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -config c.cnf -extensions ca -out ca.pem",
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout k.pem -config b.cnf -out r.pem",
        "x509 -req -in r.pem -CA ca.pem -CAkey ca.key -set_serial 5 -extfile c.cnf -extensions idevid -out c.pem",
        "x509 -in c.pem -outform DER -out c.der",
        "x509 -in ca.pem -outform DER -out ca.der",
    ] {
        openssl(directory.path(), command).unwrap();
    }
    let [ca, idevid] = ["ca.der", "c.der"]
        .map(|name| Certificate::from_der(&std::fs::read(directory.path().join(name)).unwrap()).unwrap());
    let path = verify(&idevid, &[], std::slice::from_ref(&ca), &rules(When::Never, Purpose::IDevId)).unwrap();
    assert_eq!(path.certificates(), [idevid.clone(), ca.clone()]);
    assert!(idevid.is_issued_by(&ca).unwrap() && !ca.is_issued_by(&idevid).unwrap());
    assert_eq!((idevid.machine_serial(), idevid.box_serial()), (Some("12-34"), None));
    let verdict = verify(&idevid, &[], &Organisation::new().roots(), &rules(When::Never, Purpose::IDevId));
    assert_eq!(refusal(verdict), ("untrusted", Some(0)));
}

#[test]
fn a_box_issues_nothing() {
    let organisation = Organisation::new();
    let forged = Forged::under(&organisation.ldevid, BOX).make();
    let others = [organisation.ldevid.clone(), organisation.issuing.certificate().clone()];
    for when in [during(), When::Never] {
        let verdict = verify(&forged, &others, &organisation.roots(), &rules(when, Purpose::Client));
        assert_eq!(refusal(verdict), ("not-authority", Some(1)));
    }
}

#[test]
fn an_issuing_authority_has_none_under_it() {
    let organisation = Organisation::new();
    let below = Forged { authority: true, key: 20, ..Forged::under(organisation.issuing.certificate(), ISSUING) };
    let below = below.make();
    let last = Forged::under(&below, 20).make();
    let others = [below, organisation.issuing.certificate().clone()];
    let verdict = verify(&last, &others, &organisation.roots(), &rules(during(), Purpose::Client));
    assert_eq!(refusal(verdict), ("path-length", Some(2)));
}

#[test]
fn paths_are_bounded() {
    for (between, expected) in [(4, None), (5, Some("too-long"))] {
        let path = chain_of(between);
        let (root, others) = path[1..].split_last().unwrap();
        let verdict = verify(&path[0], others, std::slice::from_ref(root), &rules(during(), Purpose::Client));
        assert_eq!(verdict.err().map(|error| error.code()), expected, "{between}");
    }
    let organisation = Organisation::new();
    let (one, root) = (organisation.others()[0].clone(), organisation.roots()[0].clone());
    let judge = |others: usize, roots: usize| {
        let (others, roots) = (vec![one.clone(); others], vec![root.clone(); roots]);
        verify(&organisation.ldevid, &others, &roots, &rules(during(), Purpose::Client))
    };
    assert!(judge(32, 256).is_ok());
    assert_eq!(refusal(judge(33, 1)), ("too-many", None));
    assert_eq!(refusal(judge(1, 257)), ("too-many", None));
}

#[test]
fn what_nobody_knows_and_is_critical_is_refused() {
    let organisation = Organisation::new();
    for (critical, expected) in [(false, None), (true, Some("critical-extension"))] {
        let forged = Forged { unknown: Some(critical), ..Forged::under(organisation.issuing.certificate(), ISSUING) };
        let verdict =
            verify(&forged.make(), &organisation.others(), &organisation.roots(), &rules(during(), Purpose::Client));
        assert_eq!(verdict.err().map(|error| error.code()), expected);
    }
}

/// A key that agrees on others' keys makes no signature of TLS 1.3.
#[test]
fn keys_are_for_what_they_say() {
    let organisation = Organisation::new();
    let forged = Forged { agrees: true, ..Forged::under(organisation.issuing.certificate(), ISSUING) }.make();
    let verdict = verify(&forged, &organisation.others(), &organisation.roots(), &rules(during(), Purpose::Client));
    assert_eq!(refusal(verdict), ("purpose", Some(0)));
}

/// RFC 5280 §4.2.1.1: whoever issues names its key.
#[test]
fn paths_are_strict() {
    let organisation = Organisation::new();
    let forged = Forged { names_keys: false, ..Forged::under(organisation.issuing.certificate(), ISSUING) }.make();
    let verdict = verify(&forged, &organisation.others(), &organisation.roots(), &rules(during(), Purpose::Client));
    assert_eq!(refusal(verdict), ("refused", Some(0)));
}

/// An authority for servers alone issues no registrars.
#[test]
fn an_authority_can_be_for_one_purpose() {
    let organisation = Organisation::new();
    let root = organisation.root.certificate();
    let servers = Forged { authority: true, server_only: true, key: 20, ..Forged::under(root, ROOT) }.make();
    let last = Forged::under(&servers, 20).make();
    let judge =
        |purpose| verify(&last, std::slice::from_ref(&servers), &organisation.roots(), &rules(during(), purpose));
    assert!(judge(Purpose::Server).is_ok());
    assert_eq!(refusal(judge(Purpose::Client)), ("purpose", Some(1)));
    // And is no server itself.
    let verdict = verify(&servers, &[], &organisation.roots(), &rules(during(), Purpose::Server));
    assert_eq!(refusal(verdict), ("purpose", Some(0)));
}

fn revoke(authority: &Authority, certificate: &Certificate) -> Crl {
    block_on(authority.revoke(&list(&[certificate.serial().clone()]))).expect("a list")
}

#[test]
fn what_was_revoked_is_refused() {
    let organisation = Organisation::new();
    let issuing = organisation.issuing.certificate();
    let of_box = revoke(&organisation.issuing, &organisation.ldevid);
    let of_issuing = revoke(&organisation.root, issuing);
    // However old the list is, and without any time.
    for when in [during(), When::At(time(START + 300 * DAY)), When::Never] {
        let judge = |crls: &[Crl]| check(&organisation, &Rules { when, purpose: Purpose::Client, crls });
        assert_eq!(refusal(judge(std::slice::from_ref(&of_box))), ("revoked", Some(0)));
        assert_eq!(refusal(judge(std::slice::from_ref(&of_issuing))), ("revoked", Some(1)));
        assert_eq!(refusal(judge(&[of_issuing.clone(), of_box.clone()])), ("revoked", Some(0)));
        // The same numbers on another issuer's list say nothing.
        let others = [revoke(&organisation.root, &organisation.ldevid), revoke(&organisation.issuing, issuing)];
        assert!(judge(&others).is_ok());
    }
}

#[test]
fn it_is_said_what_no_list_covers() {
    let organisation = Organisation::new();
    let [of_root, of_issuing] =
        [&organisation.root, &organisation.issuing].map(|authority| block_on(authority.revoke(&list(&[]))).unwrap());
    let late = When::At(time(START + 33 * DAY));
    for (crls, when, expected) in [
        (vec![of_root.clone(), of_issuing.clone()], during(), &[][..]),
        (vec![of_root.clone()], during(), &[0]),
        (vec![of_issuing.clone()], during(), &[1]),
        (vec![of_root.clone(), of_issuing.clone()], late, &[0, 1]),
        (vec![of_root, of_issuing], When::Never, &[]),
        (Vec::new(), When::Never, &[0, 1]),
    ] {
        let path = check(&organisation, &Rules { when, purpose: Purpose::Client, crls: &crls }).unwrap();
        assert_eq!(path.uncovered(), expected);
    }
}
