//! A maker: from the factory to the sale.

use std::{collections::BTreeSet, fs};

use dolmen_provisioning_ca::{Profile, chain::Roots, cms::to_sign};
use dolmen_provisioning_ceremony::{
    Birth, CeremonyError, LedgerError, Maker, Organisation, Wanted, write_certificates,
};
use dolmen_provisioning_voucher::{
    Accepted, Assertion, Expectation, Form, JSON_VOUCHER, KeyIdentifier, MasaRoots, Nonce, OrganisationRoots,
    OwnershipEpoch, Refusal, Registrar, SerialNumber, VoucherRequest, accept,
};
use futures::executor::block_on;

use crate::support::{birth, key, maker, moment, openssl, request};

/// An organisation with a registrar.
struct Buyer {
    organisation: Organisation,
    registrar: dolmen_provisioning_ca::Certificate,
}

fn buyer(directory: &std::path::Path, name: &str, secret: u8) -> Buyer {
    let mut organisation =
        block_on(Organisation::found(directory, name, key(secret), 7300, moment(secret))).expect("it works");
    let request = request(secret + 1);
    let wanted = Wanted {
        profile: Profile::Registrar,
        request: &request,
        common_name: "registrar",
        alt_names: Vec::new(),
        days: 825,
    };
    let registrar = block_on(organisation.issue(key(secret), wanted, moment(secret + 1))).expect("it works");
    Buyer { organisation, registrar }
}

fn numbers(numbers: &[u8]) -> BTreeSet<SerialNumber> {
    numbers.iter().map(|number| format!("BOX-{number}").parse().expect("it works")).collect()
}

/// What a box with this epoch makes of a voucher at a registrar.
fn take(
    maker: &Maker,
    buyer: &Buyer,
    number: u8,
    epoch: u64,
    nonce: Option<&Nonce>,
    voucher: &[u8],
) -> Result<Accepted, Refusal> {
    let roots = MasaRoots(Roots::new(vec![maker.root().clone()]).expect("it works"));
    let issuer = KeyIdentifier::from_bytes(maker.issuing().key_identifier().expect("it works")).expect("it works");
    let registrar = Registrar::from_tls([buyer.registrar.der(), buyer.organisation.root().der()]).expect("it works");
    let expectation = Expectation {
        serial_number: &format!("BOX-{number}").parse().expect("it works"),
        idevid_issuer: Some(&issuer),
        nonce,
        epoch: OwnershipEpoch::new(epoch),
        registrar: &registrar,
    };
    accept(voucher, &roots, &expectation)
}

#[test]
fn a_box_that_was_sold_follows_its_owner_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = maker(&dir.path().join("masa"));
    for number in [1, 2] {
        block_on(maker.certify(key(2), &birth(number), moment(10 + number))).unwrap();
    }
    let alpha = buyer(&dir.path().join("alpha"), "Alpha", 20);
    let beta = buyer(&dir.path().join("beta"), "Beta", 30);
    let root = alpha.organisation.root().clone();
    let mut seen = Vec::new();
    let sold =
        block_on(maker.sell(&*key(3), &numbers(&[1, 2]), &root, false, moment(40), |done| seen.push(done))).unwrap();
    assert_eq!((sold.len(), seen), (2, vec![2]));
    let (number, voucher) = &sold[0];
    assert_eq!(number.as_str(), "BOX-1");
    let accepted = take(&maker, &alpha, 1, 5, None, voucher).unwrap();
    assert_eq!((accepted.epoch().get(), accepted.assertion()), (6, Assertion::Logged));
    assert_eq!(take(&maker, &alpha, 1, 6, None, voucher).unwrap_err().code(), "voucher-replayed");
    assert!(take(&maker, &alpha, 2, 5, None, voucher).is_err());
    assert!(take(&maker, &beta, 1, 5, None, voucher).is_err());

    // Once more gives the same, after a restart too.
    drop(maker);
    let mut maker = Maker::open(&dir.path().join("masa")).unwrap();
    let again = block_on(maker.sell(&*key(3), &numbers(&[1, 2]), &root, false, moment(41), |_| {})).unwrap();
    assert_eq!(again, sold);
    // Somebody else gets it only if it was given up, and then the first one's voucher is worth nothing.
    let other = beta.organisation.root().clone();
    let refused = block_on(maker.sell(&*key(3), &numbers(&[1, 2]), &other, false, moment(42), |_| {}));
    assert!(matches!(refused, Err(CeremonyError::Refused(LedgerError::Sold(_)))), "{refused:?}");
    let resold = block_on(maker.sell(&*key(3), &numbers(&[1]), &other, true, moment(43), |_| {})).unwrap();
    assert_eq!(take(&maker, &beta, 1, 6, None, &resold[0].1).unwrap().epoch().get(), 7);
    assert!(take(&maker, &alpha, 1, 7, None, voucher).is_err());
    assert!(take(&maker, &alpha, 1, 6, None, &resold[0].1).is_err());
}

#[test]
fn a_registrars_request_is_answered_for_the_owner() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = maker(&dir.path().join("masa"));
    let idevid = block_on(maker.certify(key(2), &birth(1), moment(10))).unwrap();
    let alpha = buyer(&dir.path().join("alpha"), "Alpha", 20);
    let nonce = Nonce::from_bytes([7; 32]).unwrap();
    let pledge = VoucherRequest {
        created_on: None,
        assertion: Some(Assertion::Proximity),
        nonce: Some(nonce.clone()),
        serial_number: "BOX-1".parse().unwrap(),
        idevid_issuer: None,
        form: Form::Pledge { proximity_registrar_cert: Some(alpha.registrar.clone()) },
    };
    let pledge = to_sign(JSON_VOUCHER, &pledge.to_json().unwrap(), &[idevid, maker.issuing().clone()]).unwrap();
    let pledge = block_on(pledge.sign(&*key(101))).unwrap();
    let request = VoucherRequest {
        created_on: None,
        assertion: Some(Assertion::Proximity),
        nonce: Some(nonce.clone()),
        serial_number: "BOX-1".parse().unwrap(),
        idevid_issuer: None,
        form: Form::Registrar { prior_signed_voucher_request: pledge },
    };
    let request = to_sign(JSON_VOUCHER, &request.to_json().unwrap(), std::slice::from_ref(&alpha.registrar)).unwrap();
    let request = block_on(request.sign(&*key(21))).unwrap();
    let roots = OrganisationRoots(Roots::new(vec![alpha.organisation.root().clone()]).unwrap());

    let early = block_on(maker.answer(&*key(3), &request, &roots, moment(50)));
    assert!(matches!(early, Err(CeremonyError::Refused(LedgerError::NotSold(_)))), "{early:?}");
    let root = alpha.organisation.root().clone();
    block_on(maker.sell(&*key(3), &numbers(&[1]), &root, false, moment(51), |_| {})).unwrap();
    let (number, voucher) = block_on(maker.answer(&*key(3), &request, &roots, moment(52))).unwrap();
    assert_eq!(number.as_str(), "BOX-1");
    let accepted = take(&maker, &alpha, 1, 6, Some(&nonce), &voucher).unwrap();
    assert_eq!((accepted.epoch().get(), accepted.assertion()), (7, Assertion::Proximity));
    assert!(take(&maker, &alpha, 1, 6, None, &voucher).is_err());
    // The voucher of the sale counts less now: who sells again makes another.
    let sold = block_on(maker.sell(&*key(3), &numbers(&[1]), &root, false, moment(53), |_| {})).unwrap();
    assert_eq!(take(&maker, &alpha, 1, 7, None, &sold[0].1).unwrap().epoch().get(), 8);
}

#[test]
fn boxes_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = maker(dir.path());
    let idevid = block_on(maker.certify(key(2), &birth(1), moment(10))).unwrap();
    // The same box once more, whose certificate may have been lost on its way.
    assert_eq!(block_on(maker.certify(key(2), &birth(1), moment(11))).unwrap(), idevid);
    assert_eq!(maker.ledger().machines().count(), 1);
    let same_number = Birth { endorsement_key: [9; 32], ..birth(1) };
    let same_tpm = Birth { serial_number: "BOX-9".parse().unwrap(), ..birth(1) };
    for (birth, code) in [(same_number, "made"), (same_tpm, "same TPM")] {
        let error = block_on(maker.certify(key(2), &birth, moment(11))).unwrap_err();
        let expected = matches!(
            (&error, code),
            (CeremonyError::Refused(LedgerError::Made(_)), "made")
                | (CeremonyError::Refused(LedgerError::SameTpm(_)), "same TPM")
        );
        assert!(expected, "{error:?}");
    }
    let root = maker.root().clone();
    let unknown = block_on(maker.sell(&*key(3), &numbers(&[1, 7]), &root, false, moment(12), |_| {}));
    assert!(matches!(unknown, Err(CeremonyError::Refused(LedgerError::Unknown(_)))));
    assert!(maker.ledger().machines().all(|(_, machine)| machine.owner.is_none()), "nothing was sold");
}

#[test]
fn openssl_takes_boxes_and_vouchers() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = maker(dir.path());
    let idevid = block_on(maker.certify(key(2), &birth(1), moment(10))).unwrap();
    write_certificates(&dir.path().join("idevid.pem"), &[idevid]).unwrap();
    write_certificates(&dir.path().join("issuing.pem"), &[maker.issuing().clone()]).unwrap();
    openssl(dir.path(), "verify -attime 4000000000 -CAfile root.pem -untrusted issuing.pem idevid.pem").unwrap();
    let root = maker.root().clone();
    let sold = block_on(maker.sell(&*key(3), &numbers(&[1]), &root, false, moment(11), |_| {})).unwrap();
    fs::write(dir.path().join("v.vcj"), &sold[0].1).unwrap();
    let said = openssl(
        dir.path(),
        "cms -verify -binary -inform DER -in v.vcj -CAfile root.pem -purpose any -attime 1800003600",
    );
    assert!(said.unwrap().contains("\"serial-number\":\"BOX-1\""));
}

#[test]
fn births_are_files_that_stay_readable() {
    let born = birth(1);
    let json = born.to_json().unwrap();
    assert_eq!(Birth::from_json(&json).unwrap(), born);
    let text = String::from_utf8(json).unwrap();
    for (from, to) in [
        ("dolmen-birth-v1", "dolmen-birth-v2"),
        ("\"5\"", "5"),
        ("\"BOX-1\"", "\"\""),
        ("0101010101", "01010101"),
        ("\"format\"", "\"more\": 1, \"format\""),
    ] {
        assert!(text.contains(from));
        assert!(Birth::from_json(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
    // Every byte of the request is signed.
    let at = text.find("\"MI").unwrap() + 60;
    let mut changed = text.clone().into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    assert!(Birth::from_json(&changed).is_err());
}
