//! Which vouchers a box follows.

use dolmen_provisioning_ca::{
    Certificate,
    chain::ChainError,
    cms::{CmsError, ContentType, to_sign},
};
use dolmen_provisioning_voucher::{
    Accepted, Assertion, Expectation, Freshness, JSON_VOUCHER, KeyIdentifier, Nonce, OwnershipEpoch, Refusal,
    Registrar, RegistrarError, SerialNumber, Voucher, accept,
};
use futures::executor::block_on;

use crate::support::{Kind, Subject, World, expectation, maker_key, nonce, serial, tls, world};

/// A box that keeps epoch 7 and waits for the answer to [`nonce`].
struct Pledge {
    serial: SerialNumber,
    maker: KeyIdentifier,
    nonce: Option<Nonce>,
    epoch: OwnershipEpoch,
    registrar: Registrar,
}

impl Pledge {
    fn new() -> Self {
        let epoch = OwnershipEpoch::new(7);
        Self { serial: serial(), maker: maker_key(), nonce: Some(nonce()), epoch, registrar: world().tls() }
    }

    fn take(&self, message: &[u8]) -> Result<Accepted, Refusal> {
        let usual = nonce();
        let expectation = expectation(&self.serial, &self.maker, &usual, &self.registrar);
        let expectation = Expectation { nonce: self.nonce.as_ref(), epoch: self.epoch, ..expectation };
        accept(message, &world().masa_roots(), &expectation)
    }

    fn voucher(&self, voucher: &Voucher) -> Result<Accepted, Refusal> {
        self.take(&world().masa.sign(&voucher.to_json().expect("JSON")))
    }
}

fn with(freshness: Freshness) -> Voucher {
    Voucher { freshness, ..world().voucher() }
}

fn epoch(epoch: u64) -> Freshness {
    Freshness::Epoch(OwnershipEpoch::new(epoch))
}

fn both(epoch: u64) -> Freshness {
    Freshness::Both(nonce(), OwnershipEpoch::new(epoch))
}

fn refused(result: Result<Accepted, Refusal>, code: &str) {
    match result {
        Err(refusal) => assert_eq!(refusal.code(), code, "{refusal}"),
        Ok(accepted) => panic!("{code}: {accepted:?}"),
    }
}

#[test]
fn the_answer_to_the_boxs_request_is_followed() {
    let World { organisation_root, .. } = world();
    let accepted = Pledge::new().voucher(&world().voucher()).unwrap();
    assert_eq!(accepted.pinned_domain_cert(), &organisation_root.certificate);
    assert_eq!(accepted.epoch(), OwnershipEpoch::new(8));
    assert_eq!(accepted.assertion(), Assertion::Proximity);
    // The same once more is no news: the box made up its nonce for one answer.
    let after = Pledge { nonce: None, epoch: accepted.epoch(), ..Pledge::new() };
    refused(after.voucher(&world().voucher()), "voucher-nonce");
}

#[test]
fn a_voucher_without_nonce_needs_a_greater_epoch() {
    for pledge in [Pledge::new(), Pledge { nonce: None, ..Pledge::new() }] {
        for (number, allowed) in [(0, false), (6, false), (7, false), (8, true), (9, true), (1031, true)] {
            let result = pledge.voucher(&with(epoch(number)));
            if allowed {
                assert_eq!(result.unwrap().epoch(), OwnershipEpoch::new(number));
            } else {
                let refusal = result.unwrap_err();
                assert_eq!(refusal.code(), "voucher-replayed");
                let expected = (OwnershipEpoch::new(number), OwnershipEpoch::new(7));
                assert!(matches!(refusal, Refusal::Replayed { found, held } if (found, held) == expected));
            }
        }
    }
    let followed = Pledge { epoch: OwnershipEpoch::new(8), ..Pledge::new() };
    refused(followed.voucher(&with(epoch(8))), "voucher-replayed");
    // A box that nobody owned yet.
    let new = Pledge { epoch: OwnershipEpoch::default(), ..Pledge::new() };
    refused(new.voucher(&with(epoch(0))), "voucher-replayed");
    assert_eq!(new.voucher(&with(epoch(1))).unwrap().epoch(), OwnershipEpoch::new(1));
}

#[test]
fn a_voucher_with_both_satisfies_both() {
    assert_eq!(Pledge::new().voucher(&with(both(9))).unwrap().epoch(), OwnershipEpoch::new(9));
    refused(Pledge::new().voucher(&with(both(7))), "voucher-replayed");
    let other = Freshness::Both(Nonce::from_bytes([1; 16]).unwrap(), OwnershipEpoch::new(9));
    refused(Pledge::new().voucher(&with(other)), "voucher-nonce");
    refused(Pledge { nonce: None, ..Pledge::new() }.voucher(&with(both(9))), "voucher-nonce");
}

#[test]
fn the_nonce_is_the_boxs() {
    for bytes in [&[0xa5; 15][..], &[0xa5; 17], &[0xa4; 16], &[0; 8]] {
        let other = Freshness::Nonce(Nonce::from_bytes(bytes).unwrap());
        refused(Pledge::new().voucher(&with(other)), "voucher-nonce");
    }
    refused(Pledge { nonce: None, ..Pledge::new() }.voucher(&world().voucher()), "voucher-nonce");
}

/// A TPM's counter goes up one by one.
#[test]
fn epochs_go_up_by_steps() {
    for number in [1032, 1 << 32, u64::MAX] {
        for freshness in [epoch(number), both(number)] {
            let refusal = Pledge::new().voucher(&with(freshness)).unwrap_err();
            assert_eq!(refusal.code(), "voucher-epoch-step");
            assert!(matches!(refusal, Refusal::EpochStep { found, limit: 1024, .. } if found.get() == number));
        }
    }
    let new = Pledge { epoch: OwnershipEpoch::default(), ..Pledge::new() };
    assert_eq!(new.voucher(&with(epoch(1024))).unwrap().epoch(), OwnershipEpoch::new(1024));
    refused(new.voucher(&with(epoch(1025))), "voucher-epoch-step");
    let late = Pledge { epoch: OwnershipEpoch::new(u64::MAX - 1), ..Pledge::new() };
    assert_eq!(late.voucher(&with(epoch(u64::MAX))).unwrap().epoch(), OwnershipEpoch::new(u64::MAX));
}

/// Otherwise the next voucher with that nonce's epoch would be taken twice.
#[test]
fn epochs_end() {
    let last = Pledge { epoch: OwnershipEpoch::new(u64::MAX), ..Pledge::new() };
    refused(last.voucher(&world().voucher()), "voucher-epochs-exhausted");
    refused(last.voucher(&with(epoch(u64::MAX))), "voucher-replayed");
}

#[test]
fn the_voucher_is_for_this_box() {
    for other in ["BOX-0002", "BOX-000", "BOX-00011", "box-0001", " BOX-0001"] {
        let voucher = Voucher { serial_number: other.parse().unwrap(), ..world().voucher() };
        let refusal = Pledge::new().voucher(&voucher).unwrap_err();
        assert_eq!(refusal.code(), "voucher-serial");
        assert!(matches!(&refusal, Refusal::Serial { found, .. } if found.as_str() == other), "{refusal}");
    }
    let issued = |issuer| Voucher { idevid_issuer: issuer, ..world().voucher() };
    let other = KeyIdentifier::from_bytes([9; 20]).unwrap();
    refused(Pledge::new().voucher(&issued(Some(other))), "voucher-idevid-issuer");
    assert!(Pledge::new().voucher(&issued(None)).is_ok());
}

/// Without an issuer's key in its certificate no voucher that names one is for this box.
#[test]
fn a_box_that_knows_no_issuer() {
    let (serial, maker, nonce, registrar) = (serial(), maker_key(), nonce(), world().tls());
    let expectation = Expectation { idevid_issuer: None, ..expectation(&serial, &maker, &nonce, &registrar) };
    let take = |voucher: &Voucher| {
        accept(&world().masa.sign(&voucher.to_json().unwrap()), &world().masa_roots(), &expectation)
    };
    refused(take(&world().voucher()), "voucher-idevid-issuer");
    assert!(take(&Voucher { idevid_issuer: None, ..world().voucher() }).is_ok());
}

#[test]
fn the_maker_signs() {
    let json = world().voucher().to_json().unwrap();
    let stranger = Subject::masa("voucher signer", None).certify();
    refused(Pledge::new().take(&stranger.sign(&json)), "voucher-untrusted");
    // Owners do not sign vouchers, and neither do boxes.
    for identity in [&world().registrar, &world().pledge] {
        refused(Pledge::new().take(&identity.sign(&json)), "voucher-untrusted");
    }
    let mut forged = world().masa.sign(&json);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    refused(Pledge::new().take(&forged), "voucher-forged");
    let mut changed = world().masa.sign(&json);
    let at = changed.windows(8).position(|window| window == b"BOX-0001").unwrap();
    changed[at + 7] = b'2';
    refused(Pledge::new().take(&changed), "voucher-forged");
    refused(Pledge::new().take(b""), "voucher-damaged");
    refused(Pledge::new().take(&json), "voucher-damaged");
}

#[test]
fn what_the_maker_signs_is_a_voucher() {
    refused(Pledge::new().take(&world().masa.sign(b"{}")), "voucher-content");
    let request = world().pledge_request().to_json().unwrap();
    refused(Pledge::new().take(&world().masa.sign(&request)), "voucher-content");
    let json = world().voucher().to_json().unwrap();
    let other_type = to_sign(ContentType::data(64 << 10), &json, &world().masa.chain).unwrap();
    let other_type = block_on(other_type.sign(&world().masa.signer())).unwrap();
    let refusal = Pledge::new().take(&other_type).unwrap_err();
    let expected =
        |error: &CmsError| matches!(error, CmsError::ContentType { expected, .. } if *expected == JSON_VOUCHER.oid);
    assert!(matches!(&refusal, Refusal::Damaged(error) if expected(error)), "{refusal}");
}

#[test]
fn the_registrar_is_the_owners() {
    let World { registrar, organisation, organisation_root, masa_root, .. } = world();
    let pinned = |certificate: &Certificate| {
        let voucher = Voucher { pinned_domain_cert: certificate.clone(), ..world().voucher() };
        Pledge::new().voucher(&voucher)
    };
    for identity in [registrar, organisation, organisation_root] {
        assert_eq!(pinned(&identity.certificate).unwrap().pinned_domain_cert(), &identity.certificate);
    }
    let other = Subject::root("another organisation").certify();
    let others = Subject::registrar("registrar", &other).certify();
    let same_name = Subject::root("organisation root").certify();
    let neighbour = Subject::registrar("another registrar", organisation).certify();
    for certificate in [&other, &others, &same_name, &neighbour, masa_root].map(|identity| &identity.certificate) {
        let refusal = pinned(certificate).unwrap_err();
        assert_eq!(refusal.code(), "voucher-pinned-certificate", "{certificate:?}");
        // The cause is for people.
        assert!(matches!(&refusal, Refusal::PinnedCertificate(ChainError::Untrusted(_))), "{refusal:?}");
    }
    // The right voucher, and somebody else at the other end.
    let elsewhere = Pledge { registrar: tls(&others), ..Pledge::new() };
    refused(elsewhere.voucher(&world().voucher()), "voucher-pinned-certificate");
}

/// Whatever else it shows: nothing needs to vouch for what the voucher names.
#[test]
fn a_pinned_registrar_needs_no_authority() {
    let weak = Subject { kind: Kind::Rsa(1024), ..Subject::root("weak") }.certify();
    let registrar = Subject::registrar("registrar of the weak", &weak).certify();
    let shown = Registrar::from_tls(registrar.chain.iter().map(Certificate::der)).unwrap();
    let pledge = Pledge { registrar: shown, ..Pledge::new() };
    let pinned = |certificate: &Certificate| {
        pledge.voucher(&Voucher { pinned_domain_cert: certificate.clone(), ..world().voucher() })
    };
    assert!(pinned(&registrar.certificate).is_ok());
    refused(pinned(&weak.certificate), "voucher-pinned-certificate");
}

/// A voucher that names a machine of the organisation does not make it an authority.
#[test]
fn a_pinned_machine_does_not_vouch() {
    let World { organisation, .. } = world();
    let machine = Subject::signer("some machine", organisation).certify();
    let registrar = Subject::registrar("registrar of the machine", &machine).certify();
    let voucher = Voucher { pinned_domain_cert: machine.certificate.clone(), ..world().voucher() };
    refused(Pledge { registrar: tls(&registrar), ..Pledge::new() }.voucher(&voucher), "voucher-pinned-certificate");
}

#[test]
fn the_registrar_is_a_registrar() {
    let World { organisation, .. } = world();
    for purpose in [None, Some("1.3.6.1.5.5.7.3.1"), Some("2.5.29.37.0"), Some("1.3.6.1.5.5.7.3.27")] {
        let machine = Subject { purpose, ..Subject::registrar("a machine", organisation) }.certify();
        let pledge = Pledge { registrar: tls(&machine), ..Pledge::new() };
        refused(pledge.voucher(&world().voucher()), "voucher-registrar-purpose");
        // Not even if the voucher names it.
        let voucher = Voucher { pinned_domain_cert: machine.certificate.clone(), ..world().voucher() };
        refused(pledge.voucher(&voucher), "voucher-registrar-purpose");
    }
}

/// Nothing asks what time it is.
#[test]
fn expired_is_not_refused() {
    let valid = ["20000101000000Z", "20010101000000Z"];
    let organisation = Subject { valid, ..Subject::root("old organisation") }.certify();
    let registrar = Subject { valid, ..Subject::registrar("old registrar", &organisation) }.certify();
    let masa = Subject { valid, ..Subject::masa("old signer", &world().masa_root) }.certify();
    let voucher = Voucher {
        created_on: "2000-01-01T00:00:00Z".parse().unwrap(),
        expires_on: Some("2000-01-02T00:00:00Z".parse().unwrap()),
        pinned_domain_cert: organisation.certificate.clone(),
        ..world().voucher()
    };
    let pledge = Pledge { registrar: tls(&registrar), ..Pledge::new() };
    let accepted = pledge.take(&masa.sign(&voucher.to_json().unwrap())).unwrap();
    assert_eq!(accepted.pinned_domain_cert(), &organisation.certificate);
}

#[test]
fn revocation_is_not_asked_for() {
    for (checks, allowed) in [(None, true), (Some(false), true), (Some(true), false)] {
        let voucher = Voucher { domain_cert_revocation_checks: checks, ..world().voucher() };
        let result = Pledge::new().voucher(&voucher);
        if allowed {
            assert!(result.is_ok());
        } else {
            refused(result, "voucher-revocation-checks");
        }
    }
}

#[test]
fn registrars_show_some_certificates() {
    let World { registrar, organisation, .. } = world();
    let der = registrar.certificate.der();
    assert_eq!(Registrar::from_tls([der]).unwrap().certificate(), &registrar.certificate);
    assert!(Registrar::from_tls([der; 5]).is_ok());
    assert!(matches!(Registrar::from_tls([der; 6]), Err(RegistrarError::Number { found: 6, limit: 5 })));
    assert!(matches!(Registrar::from_tls([[0_u8; 0]; 0]), Err(RegistrarError::Number { found: 0, .. })));
    let error = Registrar::from_tls([der, b"none"]).unwrap_err();
    assert!(matches!(error, RegistrarError::Certificate { index: 1, .. }), "{error}");
    // Without those in between there is no path to the root, but one to whoever issued the certificate.
    let alone = Pledge { registrar: Registrar::from_tls([der]).unwrap(), ..Pledge::new() };
    refused(alone.voucher(&world().voucher()), "voucher-pinned-certificate");
    let voucher = Voucher { pinned_domain_cert: organisation.certificate.clone(), ..world().voucher() };
    assert!(alone.voucher(&voucher).is_ok());
}
