//! Which requests the authority answers, and with what.

use dolmen_provisioning_voucher::{
    Assertion, Expectation, Form, Freshness, JsonError, KeyIdentifier, Nonce, OrganisationRoots, OwnershipEpoch,
    PledgeRequest, RequestRefusal, SaleError, Voucher, VoucherBuilder, VoucherRequest, accept, check_request,
};

use crate::support::{Identity, Subject, World, expectation, maker_key, nonce, serial, time, world};

fn check(message: &[u8]) -> Result<VoucherBuilder, RequestRefusal> {
    check_request(message, &world().organisations(), &world().makers())
}

fn json(request: &VoucherRequest) -> Vec<u8> {
    request.to_json().expect("JSON")
}

/// The registrar's request with another box's in it.
fn with_prior(prior: Vec<u8>) -> VoucherRequest {
    VoucherRequest { form: Form::Registrar { prior_signed_voucher_request: prior }, ..world().pledge_request() }
}

fn asked(request: &VoucherRequest) -> Result<VoucherBuilder, RequestRefusal> {
    check(&world().registrar.sign(&json(request)))
}

/// A box asks so, and the registrar passes it on.
fn pledge_asked(request: &VoucherRequest) -> Result<VoucherBuilder, RequestRefusal> {
    let form = Form::Registrar { prior_signed_voucher_request: world().pledge.sign(&json(request)) };
    asked(&VoucherRequest { form, ..request.clone() })
}

fn refused<T: std::fmt::Debug>(result: Result<T, RequestRefusal>, code: &str) {
    match result {
        Err(refusal) => assert_eq!(refusal.code(), code, "{refusal}"),
        Ok(answered) => panic!("{code}: {answered:?}"),
    }
}

/// From the box's question to its answer.
#[test]
fn a_box_asks_and_follows() {
    let World { pledge, registrar, organisation_root, masa, .. } = world();
    let question = pledge.sign(&json(&world().pledge_request()));
    // The registrar's side.
    let request = PledgeRequest::verify(&question, &world().makers()).unwrap();
    assert_eq!(request.request(), &world().pledge_request());
    assert_eq!(request.registrar(), Some(&registrar.certificate));
    assert_eq!((request.idevid(), request.message()), (&pledge.certificate, &question[..]));
    let passed_on = request.of_registrar(time());
    assert_eq!(passed_on, with_prior(question));
    // The authority's.
    let builder = check(&registrar.sign(&json(&passed_on))).unwrap();
    assert_eq!(builder.serial_number(), &serial());
    assert_eq!(builder.registrar(), Some(&registrar.certificate));
    assert_eq!(builder.organisation(), &organisation_root.certificate);
    assert_eq!(builder.assertion(), Assertion::Proximity);
    let voucher = builder.build(time()).unwrap();
    assert_eq!(voucher, world().voucher());
    // The box's.
    let (serial, maker, nonce, tls) = (serial(), maker_key(), nonce(), world().tls());
    let message = masa.sign(&voucher.to_json().unwrap());
    let accepted = accept(&message, &world().masa_roots(), &expectation(&serial, &maker, &nonce, &tls)).unwrap();
    assert_eq!(accepted.pinned_domain_cert(), &organisation_root.certificate);
    assert_eq!(accepted.epoch(), OwnershipEpoch::new(8));
}

#[test]
fn the_authority_says_what_it_knows() {
    let builder = || asked(&world().registrar_request()).unwrap();
    let voucher = builder()
        .verified()
        .ownership_epoch(OwnershipEpoch::new(9))
        .expires_on(time())
        .pin_registrar()
        .unwrap()
        .build(time())
        .unwrap();
    let expected = Voucher {
        assertion: Assertion::Verified,
        expires_on: Some(time()),
        freshness: Freshness::Both(nonce(), OwnershipEpoch::new(9)),
        pinned_domain_cert: world().registrar.certificate.clone(),
        ..world().voucher()
    };
    assert_eq!(voucher, expected);
    // Both say that they are near each other, or it is not asserted.
    for assertion in [None, Some(Assertion::Logged), Some(Assertion::Verified)] {
        let request = VoucherRequest { assertion, ..world().pledge_request() };
        assert_eq!(pledge_asked(&request).unwrap().build(time()).unwrap().assertion, Assertion::Logged);
        let request = VoucherRequest { assertion, ..world().registrar_request() };
        assert_eq!(asked(&request).unwrap().build(time()).unwrap().assertion, Assertion::Logged);
    }
}

/// The box is given to a certificate that the authority knows, and not to what the registrar sends beside it.
#[test]
fn the_organisation_is_one_that_is_known() {
    let World { registrar, organisation, .. } = world();
    let message = registrar.sign(&json(&world().registrar_request()));
    let known = OrganisationRoots(organisation.roots());
    let builder = check_request(&message, &known, &world().makers()).unwrap();
    assert_eq!(builder.organisation(), &organisation.certificate);
    assert_eq!(builder.build(time()).unwrap().pinned_domain_cert, organisation.certificate);
}

#[test]
fn without_a_nonce_an_epoch_is_needed() {
    let request = VoucherRequest { nonce: None, ..world().pledge_request() };
    let builder = pledge_asked(&request).unwrap();
    assert!(matches!(builder.clone().build(time()), Err(JsonError::Neither)));
    let voucher = builder.ownership_epoch(OwnershipEpoch::new(8)).build(time()).unwrap();
    assert_eq!(voucher.freshness, Freshness::Epoch(OwnershipEpoch::new(8)));
    let (serial, maker, nonce, tls) = (serial(), maker_key(), nonce(), world().tls());
    let expectation = Expectation { nonce: None, ..expectation(&serial, &maker, &nonce, &tls) };
    let message = world().masa.sign(&voucher.to_json().unwrap());
    assert!(accept(&message, &world().masa_roots(), &expectation).is_ok());
}

#[test]
fn a_registrar_of_a_known_organisation_signs() {
    let World { registrar, organisation, masa, .. } = world();
    let request = json(&world().registrar_request());
    refused(check(&masa.sign(&request)), "registrar-request-untrusted");
    let stranger = Subject::root("another organisation").certify();
    refused(check(&Subject::registrar("registrar", &stranger).certify().sign(&request)), "registrar-request-untrusted");
    for purpose in [None, Some("1.3.6.1.5.5.7.3.1"), Some("2.5.29.37.0")] {
        let machine = Subject { purpose, ..Subject::registrar("machine", organisation) }.certify();
        refused(check(&machine.sign(&request)), "registrar-request-purpose");
    }
    let mut forged = registrar.sign(&request);
    *forged.last_mut().unwrap() ^= 1;
    refused(check(&forged), "registrar-request-forged");
    refused(check(&request), "registrar-request-damaged");
    refused(check(&registrar.sign(b"{}")), "registrar-request-content");
    refused(check(&registrar.sign(&world().voucher().to_json().unwrap())), "registrar-request-content");
    refused(check(&registrar.sign(&json(&world().pledge_request()))), "registrar-request-form");
}

#[test]
fn a_box_of_a_known_maker_asks_for_itself() {
    let World { registrar, pledge, maker_root, .. } = world();
    let request = json(&world().pledge_request());
    let by = |identity: &Identity| asked(&with_prior(identity.sign(&request)));
    let stranger = Subject::root("another maker").certify();
    refused(by(&Subject::pledge(&["BOX-0001"], &stranger).certify()), "pledge-request-untrusted");
    refused(by(registrar), "pledge-request-untrusted");
    let several = &["BOX-0001", "BOX-0002"];
    for serials in [&["BOX-0002"][..], &["BOX-00010"], &["box-0001"], several] {
        refused(by(&Subject::pledge(serials, maker_root).certify()), "pledge-request-serial");
    }
    refused(by(&Subject::signer("no serial number", maker_root).certify()), "pledge-request-serial");
    let mut forged = pledge.sign(&request);
    *forged.last_mut().unwrap() ^= 1;
    refused(asked(&with_prior(forged)), "pledge-request-forged");
    refused(asked(&with_prior(request.clone())), "pledge-request-damaged");
    refused(asked(&with_prior(pledge.sign(b"{}"))), "pledge-request-content");
    // A registrar that passes on what another registrar passed on.
    refused(asked(&with_prior(pledge.sign(&json(&world().registrar_request())))), "pledge-request-form");
}

#[test]
fn both_say_the_same() {
    let request = world().registrar_request();
    let other = VoucherRequest { serial_number: "BOX-0002".parse().unwrap(), ..request.clone() };
    refused(asked(&other), "registrar-request-serial");
    for nonce in [None, Some(Nonce::from_bytes([1; 16]).unwrap())] {
        refused(asked(&VoucherRequest { nonce, ..request.clone() }), "registrar-request-nonce");
    }
    let without = VoucherRequest { nonce: None, ..world().pledge_request() };
    let prior = world().pledge.sign(&json(&without));
    refused(asked(&with_prior(prior)), "registrar-request-nonce");

    let wrong = Some(KeyIdentifier::from_bytes([9; 20]).unwrap());
    let other = VoucherRequest { idevid_issuer: wrong.clone(), ..request.clone() };
    refused(asked(&other), "registrar-request-idevid-issuer");
    let other = VoucherRequest { idevid_issuer: wrong, ..world().pledge_request() };
    refused(pledge_asked(&other), "pledge-request-idevid-issuer");
    // The voucher names it, whether or not they do.
    let without = VoucherRequest { idevid_issuer: None, ..world().pledge_request() };
    let voucher = pledge_asked(&without).unwrap().build(time()).unwrap();
    assert_eq!(voucher.idevid_issuer, Some(maker_key()));
}

/// Somebody between box and registrar shows another certificate.
#[test]
fn the_box_is_connected_to_who_asks() {
    let World { organisation, organisation_root, .. } = world();
    let between = Subject::registrar("registrar", organisation).certify();
    for other in [&between.certificate, &organisation.certificate, &organisation_root.certificate] {
        let form = Form::Pledge { proximity_registrar_cert: Some(other.clone()) };
        refused(pledge_asked(&VoucherRequest { form, ..world().pledge_request() }), "pledge-request-proximity");
    }
    refused(check(&between.sign(&json(&world().registrar_request()))), "pledge-request-proximity");
}

/// On a stick: the box was connected to nobody. Whatever the registrar says, it was not near.
#[test]
fn a_carried_request_is_answered() {
    let carried = |assertion| VoucherRequest {
        assertion,
        form: Form::Pledge { proximity_registrar_cert: None },
        ..world().pledge_request()
    };
    for asserted in [None, Some(Assertion::Logged), Some(Assertion::Verified)] {
        let prior = world().pledge.sign(&json(&carried(asserted)));
        assert_eq!(PledgeRequest::verify(&prior, &world().makers()).unwrap().registrar(), None);
        for by_registrar in [asserted, Some(Assertion::Proximity)] {
            let request = VoucherRequest { assertion: by_registrar, ..with_prior(prior.clone()) };
            let builder = asked(&request).unwrap();
            assert_eq!(builder.assertion(), Assertion::Logged);
            assert_eq!(builder.registrar(), Some(&world().registrar.certificate));
            let voucher = builder.clone().build(time()).unwrap();
            assert_eq!(voucher, Voucher { assertion: Assertion::Logged, ..world().voucher() });
            assert_eq!(builder.verified().build(time()).unwrap().assertion, Assertion::Verified);
        }
    }
    // A box that asserts proximity to nobody is none.
    let form = Form::Pledge { proximity_registrar_cert: None };
    let lie = VoucherRequest { form, ..world().pledge_request() };
    assert!(matches!(lie.to_json(), Err(JsonError::Proximity)));
    let text = String::from_utf8(json(&carried(Some(Assertion::Logged)))).unwrap().replace("logged", "proximity");
    refused(asked(&with_prior(world().pledge.sign(text.as_bytes()))), "pledge-request-content");
}

/// Nobody asked: it goes with the box, or comes later on a stick.
#[test]
fn a_box_is_sold_with_a_voucher() {
    let World { organisation_root, registrar, masa, .. } = world();
    let (serial, maker, tls, nonce) = (serial(), maker_key(), world().tls(), nonce());
    let sold = |organisation: &Identity, epoch| {
        let organisation = organisation.certificate.clone();
        VoucherBuilder::sold(serial.clone(), maker.clone(), organisation, OwnershipEpoch::new(epoch))
    };
    let builder = sold(organisation_root, 8).unwrap();
    assert_eq!((builder.registrar(), builder.clone().pin_registrar()), (None, None));
    let voucher = builder.clone().build(time()).unwrap();
    let freshness = Freshness::Epoch(OwnershipEpoch::new(8));
    let expected = Voucher { assertion: Assertion::Logged, freshness, ..world().voucher() };
    assert_eq!(voucher, expected);
    assert_eq!(builder.verified().build(time()).unwrap(), Voucher { assertion: Assertion::Verified, ..expected });
    // A box that asked somebody else in the meantime follows it, and once.
    let message = masa.sign(&voucher.to_json().unwrap());
    for nonce in [None, Some(&nonce)] {
        let expectation = |epoch| Expectation {
            serial_number: &serial,
            idevid_issuer: Some(&maker),
            nonce,
            epoch: OwnershipEpoch::new(epoch),
            registrar: &tls,
        };
        let accepted = accept(&message, &world().masa_roots(), &expectation(7)).unwrap();
        assert_eq!(accepted.pinned_domain_cert(), &organisation_root.certificate);
        let again = accept(&message, &world().masa_roots(), &expectation(accepted.epoch().get())).unwrap_err();
        assert_eq!(again.code(), "voucher-replayed");
    }
    assert_eq!(sold(organisation_root, 0), Err(SaleError::Epoch));
    assert_eq!(sold(registrar, 8), Err(SaleError::NotAuthority));
}
