//! Vouchers and requests for them.

use std::fmt::Debug;

use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_voucher::{
    Assertion, Expectation, Form, Freshness, JSON_VOUCHER, KeyIdentifier, Nonce, OwnershipEpoch, PledgeRequest,
    Registrar, SerialNumber, Voucher, VoucherRequest, accept, check_request,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Target,
    world::{SERIAL, WORLD, now},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("voucher", vouchers, voucher),
    Target::new("voucher_request", requests, request),
    Target::new("voucher_values", values, value),
    Target::new("voucher_message", messages, message).cases(1_500),
    Target::new("voucher_signed", vouchers, voucher_signed).cases(300),
    Target::new("voucher_request_signed", pledge_requests, request_signed).cases(200),
];

pub(crate) fn serial() -> SerialNumber {
    SERIAL.parse().expect("a serial number")
}

fn nonce() -> Nonce {
    Nonce::from_bytes([0xa5; 16]).expect("a nonce")
}

/// A voucher for the box, and the organisation.
pub(crate) fn voucher_of(freshness: Freshness) -> Voucher {
    Voucher {
        created_on: now(),
        expires_on: Some(now()),
        assertion: Assertion::Proximity,
        serial_number: serial(),
        idevid_issuer: KeyIdentifier::of_issuer(WORLD.machine.certificate()),
        pinned_domain_cert: WORLD.root.certificate().clone(),
        domain_cert_revocation_checks: Some(false),
        freshness,
    }
}

fn vouchers() -> Vec<Vec<u8>> {
    let freshness = [Freshness::Nonce(nonce()), Freshness::Epoch(OwnershipEpoch::new(8))];
    freshness.map(|freshness| voucher_of(freshness).to_json().expect("JSON")).into()
}

fn pledge_request() -> VoucherRequest {
    VoucherRequest {
        created_on: Some(now()),
        assertion: Some(Assertion::Proximity),
        nonce: Some(nonce()),
        serial_number: serial(),
        idevid_issuer: KeyIdentifier::of_issuer(WORLD.machine.certificate()),
        form: Form::Pledge { proximity_registrar_cert: Some(WORLD.registrar.certificate().clone()) },
    }
}

fn pledge_requests() -> Vec<Vec<u8>> {
    vec![pledge_request().to_json().expect("JSON")]
}

/// The box's request, signed.
pub(crate) fn asked() -> Vec<u8> {
    WORLD.machine.message(JSON_VOUCHER, &pledge_requests()[0]).expect("a message")
}

fn requests() -> Vec<Vec<u8>> {
    let form = Form::Registrar { prior_signed_voucher_request: asked() };
    let of_registrar = VoucherRequest { form, ..pledge_request() };
    [pledge_request(), of_registrar].map(|request| request.to_json().expect("JSON")).into()
}

fn voucher(bytes: &[u8]) -> bool {
    let Ok(voucher) = Voucher::from_json(bytes) else { return false };
    let text = voucher.to_json().expect("JSON");
    let again = Voucher::from_json(&text).expect("the same");
    assert_eq!((&again, again.to_json().expect("JSON")), (&voucher, text));
    true
}

fn request(bytes: &[u8]) -> bool {
    let Ok(request) = VoucherRequest::from_json(bytes) else { return false };
    let text = request.to_json().expect("JSON");
    let again = VoucherRequest::from_json(&text).expect("the same");
    assert_eq!((&again, again.to_json().expect("JSON")), (&request, text));
    true
}

fn values() -> Vec<Vec<u8>> {
    let texts = ["\"18446744073709551615\"", "\"paWlpaWlpaWlpaWlpaWlpQ==\"", "\"SN 0042~\""];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

fn value(bytes: &[u8]) -> bool {
    fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> bool {
        let Ok(value) = serde_json::from_slice::<T>(bytes) else { return false };
        let text = serde_json::to_vec(&value).expect("JSON");
        assert_eq!(serde_json::from_slice::<T>(&text).expect("the same"), value);
        true
    }
    read::<SerialNumber>(bytes) | read::<OwnershipEpoch>(bytes) | read::<Nonce>(bytes) | read::<KeyIdentifier>(bytes)
}

fn messages() -> Vec<Vec<u8>> {
    let [pledge, registrar] = [&requests()[0], &requests()[1]];
    let mut messages = vec![
        WORLD.machine.message(JSON_VOUCHER, pledge).expect("a message"),
        WORLD.registrar.message(JSON_VOUCHER, registrar).expect("a message"),
    ];
    messages.extend(vouchers().iter().map(|voucher| WORLD.masa.message(JSON_VOUCHER, voucher).expect("a message")));
    messages
}

fn message(bytes: &[u8]) -> bool {
    let pinned = follow(bytes);
    assert!(pinned.as_ref().is_none_or(|pinned| pinned == WORLD.root.certificate()), "a voucher that nobody signed");
    let mut taken = pinned.is_some();
    if let Ok(request) = PledgeRequest::verify(bytes, &WORLD.makers()) {
        assert_eq!((request.message(), request.request()), (bytes, &pledge_request()));
        taken = true;
    }
    if let Ok(builder) = check_request(bytes, &WORLD.organisations(), &WORLD.makers()) {
        assert_eq!(builder.serial_number(), &serial());
        assert_eq!(builder.registrar(), Some(WORLD.registrar.certificate()));
        taken = true;
    }
    taken
}

/// What the box follows of a voucher: to whom it belongs from then on. Whatever else the authority may have signed, the
/// registrar at the other end of the connection leads there.
fn follow(bytes: &[u8]) -> Option<Certificate> {
    let (serial, nonce, issuer) = (serial(), nonce(), KeyIdentifier::of_issuer(WORLD.machine.certificate()));
    let registrar = Registrar::from_tls(WORLD.registrar.ders()).expect("certificates");
    let epoch = OwnershipEpoch::new(7);
    let expectation = Expectation {
        serial_number: &serial,
        idevid_issuer: issuer.as_ref(),
        nonce: Some(&nonce),
        epoch,
        registrar: &registrar,
    };
    let accepted = accept(bytes, &WORLD.masas(), &expectation).ok()?;
    assert!(accepted.epoch() >= epoch);
    let pinned = accepted.pinned_domain_cert();
    let ours = [WORLD.root.certificate(), WORLD.authority.certificate(), WORLD.registrar.certificate()];
    assert!(ours.map(Certificate::public_key).contains(&pinned.public_key()), "somebody else's box");
    Some(pinned.clone())
}

fn voucher_signed(json: &[u8]) -> bool {
    let Some(message) = WORLD.masa.message(JSON_VOUCHER, json) else { return false };
    let Some(pinned) = follow(&message) else { return false };
    let voucher = Voucher::from_json(json).expect("what is followed can be read");
    assert_eq!((voucher.serial_number, voucher.pinned_domain_cert), (serial(), pinned));
    true
}

/// From the box to its registrar, on to the authority, and to the voucher.
fn request_signed(json: &[u8]) -> bool {
    let Some(asked) = WORLD.machine.message(JSON_VOUCHER, json) else { return false };
    let Ok(request) = PledgeRequest::verify(&asked, &WORLD.makers()) else { return false };
    assert_eq!((request.idevid(), &request.request().serial_number), (WORLD.machine.certificate(), &serial()));
    let passed_on = request.of_registrar(now()).to_json().expect("what was read can be passed on");
    let passed_on = WORLD.registrar.message(JSON_VOUCHER, &passed_on).expect("a message");
    let Ok(builder) = check_request(&passed_on, &WORLD.organisations(), &WORLD.makers()) else { return false };
    builder.build(now()).is_ok_and(|voucher| voucher.to_json().is_ok())
}
