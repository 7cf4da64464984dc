//! A maker may have one root for its boxes and its vouchers: what a key is for stands in its certificate.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, Domain, Signer};
use dolmen_provisioning_ca::{
    Authority, ObjectIdentifier, Order, Profile, PublicKey, Serial, Subject, UnixTime, Validity, chain::Roots,
    cms::to_sign,
};
use dolmen_provisioning_voucher::{
    Accepted, Form, IdevidRoots, JSON_VOUCHER, MasaRoots, OrganisationRoots, PledgeRequest, Refusal, Voucher,
    VoucherRequest, accept, check_request,
};
use futures::executor::block_on;

use crate::support::{SERIAL, expectation, maker_key, memory_key, nonce, serial, time, world};

const IDEVID: Profile = Profile::IDevId { hardware: ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1.2") };

fn signer(secret: u8) -> Arc<dyn Signer> {
    Arc::new(memory_key(&[secret; 32], Algorithm::EcdsaP256, &[Domain::Certificate]))
}

fn subject(name: &str) -> Subject {
    Subject::new("Maker", name).expect("a name")
}

fn forever() -> Validity {
    Validity::new(time(), UnixTime::MAX).expect("an end after the beginning")
}

/// The only root.
fn maker() -> Authority {
    let root = Authority::root(signer(20), subject("root"), forever(), Serial::from_random([1; 16]));
    block_on(root).expect("a root")
}

fn roots() -> Roots {
    Roots::new(vec![maker().certificate().clone()]).expect("a root")
}

/// A message by somebody to whom the root gave a certificate of this profile.
fn signed(profile: Profile, json: &[u8]) -> Vec<u8> {
    let signer = signer(21);
    let mut subject = subject(profile.name());
    if matches!(profile, Profile::IDevId { .. } | Profile::LDevId) {
        subject = subject.with_machine_serial(SERIAL).expect("a serial number");
    }
    let order = Order {
        profile,
        subject,
        key: PublicKey::of(&*signer).expect("a key"),
        alt_names: Vec::new(),
        validity: forever(),
        serial: Serial::from_random([2; 16]),
    };
    let certificate = block_on(maker().issue(&order)).expect("a certificate");
    let unsigned = to_sign(JSON_VOUCHER, json, &[certificate]).expect("a message");
    block_on(unsigned.sign(&*signer)).expect("a signature")
}

fn follow(message: &[u8]) -> Result<Accepted, Refusal> {
    let (serial, maker, nonce, tls) = (serial(), maker_key(), nonce(), world().tls());
    accept(message, &MasaRoots(roots()), &expectation(&serial, &maker, &nonce, &tls))
}

#[test]
fn only_a_masa_signs_vouchers() {
    let json = world().voucher().to_json().unwrap();
    follow(&signed(Profile::Masa, &json)).unwrap();
    for profile in [IDEVID, Profile::LDevId, Profile::Registrar] {
        let refusal = follow(&signed(profile, &json)).unwrap_err();
        assert_eq!(refusal.code(), "voucher-signer-purpose", "{profile:?}: {refusal}");
    }
}

#[test]
fn only_a_box_asks_for_itself() {
    let form = Form::Pledge { proximity_registrar_cert: None };
    let request = VoucherRequest { idevid_issuer: None, assertion: None, form, ..world().pledge_request() };
    let json = request.to_json().unwrap();
    let makers = IdevidRoots(roots());
    PledgeRequest::verify(&signed(IDEVID, &json), &makers).unwrap();
    let refusal = PledgeRequest::verify(&signed(Profile::Masa, &json), &makers).unwrap_err();
    assert_eq!(refusal.code(), "pledge-request-purpose", "{refusal}");
}

#[test]
fn only_a_registrar_asks_for_a_box() {
    let json = world().registrar_request().to_json().unwrap();
    let organisations = OrganisationRoots(roots());
    for profile in [IDEVID, Profile::LDevId, Profile::Masa] {
        let refusal = check_request(&signed(profile, &json), &organisations, &world().makers()).unwrap_err();
        assert_eq!(refusal.code(), "registrar-request-purpose", "{profile:?}: {refusal}");
    }
    // It is one: what it passes on names another.
    let refusal = check_request(&signed(Profile::Registrar, &json), &organisations, &world().makers()).unwrap_err();
    assert_eq!(refusal.code(), "pledge-request-proximity", "{refusal}");
}

/// Nor does a maker's root become an organisation's by the way: a registrar of the maker's is not one of the owner's.
#[test]
fn the_makers_registrar_is_not_the_owners() {
    let pinned = Voucher { pinned_domain_cert: maker().certificate().clone(), ..world().voucher() };
    let refusal = follow(&signed(Profile::Masa, &pinned.to_json().unwrap())).unwrap_err();
    assert_eq!(refusal.code(), "voucher-pinned-certificate", "{refusal}");
}
