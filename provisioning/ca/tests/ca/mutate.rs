//! Changed bytes, seeded: nothing panics, and nothing that was changed is taken.

use dolmen_provisioning_ca::{
    Certificate, Crl, Request, RequestBuilder,
    chain::{Purpose, Rules, When, verify},
    est::{self, EstError, read_certs, read_certs_only, read_enrolled, read_request},
};
use futures::executor::block_on;

use crate::support::{
    BOX, ISSUING, Organisation, Random, content, list, machine, names, public_key, sealed, serial, signer,
};

/// Cases of each test; where one fails, its number is the seed that shows it again.
const CASES: u64 = 5_000;

fn mutations(bytes: &[u8]) -> impl Iterator<Item = (u64, Vec<u8>)> {
    (0..CASES).map(|seed| (seed, Random(seed).mutate(bytes))).filter(move |(_, mutated)| mutated != bytes)
}

/// Every bit alone.
fn flips(bytes: &[u8]) -> impl Iterator<Item = (u64, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit as u64, flipped)
    })
}

fn is_trusted(organisation: &Organisation, certificate: &Certificate) -> bool {
    let rules = Rules { when: When::Never, purpose: Purpose::Client, crls: &[] };
    verify(certificate, &organisation.others(), &organisation.roots(), &rules).is_ok()
}

#[test]
fn changed_certificates_are_refused() {
    let organisation = Organisation::new();
    let der = organisation.ldevid.der();
    let mut read = 0;
    for (seed, mutated) in mutations(der).chain(flips(der)) {
        if let Ok(certificate) = Certificate::from_der(&mutated) {
            read += 1;
            assert!(!is_trusted(&organisation, &certificate), "{seed}");
            let issuing = organisation.issuing.certificate();
            assert!(!certificate.is_issued_by(issuing).unwrap_or(false), "{seed}");
        }
    }
    // Otherwise nothing was seen but bytes that are no certificate; and the right one is trusted.
    assert!(read > 1000, "{read}");
    assert!(is_trusted(&organisation, &Certificate::from_der(der).unwrap()));
}

/// Changed authorities, from which a path might be built.
#[test]
fn changed_authorities_vouch_for_nobody() {
    let organisation = Organisation::new();
    let rules = Rules { when: When::Never, purpose: Purpose::Client, crls: &[] };
    let mut read = 0;
    for (seed, mutated) in mutations(organisation.issuing.certificate().der()) {
        if let Ok(changed) = Certificate::from_der(&mutated) {
            read += 1;
            let verdict = verify(&organisation.ldevid, &[changed], &organisation.roots(), &rules);
            assert!(verdict.is_err(), "{seed}");
        }
    }
    assert!(read > 200, "{read}");
}

#[test]
fn changed_lists_are_refused() {
    let issuing = Organisation::new().issuing;
    let crl = block_on(issuing.revoke(&list(&[serial(1), serial(2)]))).unwrap();
    for (seed, mutated) in mutations(crl.der()).chain(flips(crl.der())) {
        assert!(Crl::from_der(&mutated, issuing.certificate()).is_err(), "{seed}");
    }
    assert!(Crl::from_der(crl.der(), issuing.certificate()).is_ok());
}

fn request() -> Request {
    let builder = RequestBuilder::new(&machine(), names()).and_then(|builder| builder.with_channel_binding(&[7; 32]));
    block_on(builder.expect("a request").sign(&*signer(BOX))).expect("a signature")
}

#[test]
fn changed_requests_are_refused() {
    let request = request();
    for (seed, mutated) in mutations(request.der()).chain(flips(request.der())) {
        assert!(Request::from_der(&mutated).is_err(), "{seed}");
    }
    assert!(Request::from_der(request.der()).is_ok());
}

#[test]
fn changed_messages_have_no_new_certificates() {
    let organisation = Organisation::new();
    let both = [organisation.ldevid.clone(), organisation.issuing.certificate().clone()];
    let der = est::certs_only(&both).unwrap();
    for (seed, mutated) in mutations(&der) {
        for certificate in read_certs_only(&mutated).unwrap_or_default() {
            assert!(both.contains(&certificate) || !is_trusted(&organisation, &certificate), "{seed}");
        }
    }
    let body = est::write_enrolled(&organisation.ldevid).unwrap();
    for (seed, mutated) in mutations(body.as_bytes()) {
        for certificate in read_certs(&mutated).unwrap_or_default() {
            assert!(certificate == organisation.ldevid || !is_trusted(&organisation, &certificate), "{seed}");
        }
        if let Ok(certificate) = read_enrolled(&mutated, &public_key(BOX)) {
            assert_eq!(certificate.public_key(), Ok(public_key(BOX)), "{seed}");
        }
    }
}

#[test]
fn changed_bodies_of_requests_are_refused() {
    let request = request();
    let mut same = 0;
    for (seed, mutated) in mutations(est::write_request(&request).as_bytes()) {
        match read_request(&mutated) {
            // The ends of lines can be anywhere.
            Ok(read) => {
                assert_eq!(read, request, "{seed}");
                same += 1;
            }
            Err(EstError::Request(_) | EstError::Base64 | EstError::Bytes { .. }) => {}
            Err(other) => panic!("{seed}: {other}"),
        }
    }
    assert!(same < CASES / 10, "{same}");
}

/// Changed before they were signed: what is behind the check of a signature holds too. What is read is what would be
/// written.
#[test]
fn whoever_signs_nonsense_does_no_harm() {
    let organisation = Organisation::new();
    let request = request();
    let issuing = organisation.issuing.certificate();
    let crl = block_on(organisation.issuing.revoke(&list(&[serial(1), serial(2), serial(3)]))).unwrap();
    assert!(Request::from_der(&sealed(content(request.der()), BOX)).is_ok());
    assert!(Crl::from_der(&sealed(content(crl.der()), ISSUING), issuing).is_ok());
    assert!(is_trusted(
        &organisation,
        &Certificate::from_der(&sealed(content(organisation.ldevid.der()), ISSUING)).unwrap()
    ));
    let mut read = [0; 3];
    for (_, mutated) in mutations(content(request.der())) {
        if let Ok(request) = Request::from_der(&sealed(&mutated, BOX)) {
            assert_eq!(request.public_key(), public_key(BOX));
            assert!(request.alt_names().len() <= 16);
            read[0] += 1;
        }
    }
    for (_, mutated) in mutations(content(crl.der())) {
        if let Ok(crl) = Crl::from_der(&sealed(&mutated, ISSUING), issuing) {
            assert!(crl.is_of(issuing) && crl.next_update() >= crl.this_update());
            read[1] += 1;
        }
    }
    for (_, mutated) in mutations(content(organisation.ldevid.der())) {
        if let Ok(certificate) = Certificate::from_der(&sealed(&mutated, ISSUING)) {
            read[2] += usize::from(is_trusted(&organisation, &certificate));
        }
    }
    // Names, numbers and times can be others.
    assert!(read.iter().all(|read| *read > 100), "{read:?}");
}
