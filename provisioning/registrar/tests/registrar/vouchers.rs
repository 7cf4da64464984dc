//! Vouchers and requests for them.

use dolmen_provisioning_registrar::{Call, Refusal};
use dolmen_provisioning_voucher::{
    Expectation, Form, Freshness, OrganisationRoots, OwnershipEpoch, Registrar, SerialNumber, accept, check_request,
};
use futures::executor::block_on;

use crate::world::{Firm, Maker, NOW, Office, epoch, maker, nonce, organisation, unix, voucher};

#[test]
fn requests_that_do_not_hold_are_refused() {
    let mut office = Office::new("");
    let [ours, theirs] = ["A", "B"].map(|serial| maker().build(serial, ""));
    let mut refused = |request: &[u8]| office.refused(Call::RequestVoucher, &ours.idevid, request);
    let other = ours.request(nonce(1), |request| request.serial_number = "B".parse().unwrap());
    assert_eq!(refused(&other), "pledge-request-serial");
    assert_eq!(refused(&theirs.request(nonce(1), |_| ())), "signer-other");
    let mut forged = ours.request(nonce(1), |_| ());
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(refused(&forged), "pledge-request-forged");
    assert_eq!(refused(b"no message"), "pledge-request-damaged");
    // Somebody is in between, with another registrar's certificate.
    let between = Form::Pledge { proximity_registrar_cert: Some(Firm::new("Example 2").registrar) };
    assert_eq!(refused(&ours.request(nonce(1), |request| request.form = between)), "pledge-request-proximity");
    assert!(office.registrar.state().boxes().is_empty());
    // One that was carried names no registrar.
    let carried = ours.request(nonce(1), |request| {
        (request.form, request.assertion) = (Form::Pledge { proximity_registrar_cert: None }, None);
    });
    assert_eq!(office.ask(Call::RequestVoucher, &ours.idevid, &carried).status, 202);
    // Another box by the same name.
    let clone = maker().build("A", "another");
    let request = clone.request(nonce(9), |_| ());
    assert_eq!(office.refused(Call::RequestVoucher, &clone.idevid, &request), "idevid-other");
    office.restart();
}

#[test]
fn nonces_are_used_once() {
    let mut office = Office::new("");
    let [ours, theirs] = ["A", "B"].map(|serial| maker().build(serial, ""));
    let first = ours.request(nonce(1), |_| ());
    let second = ours.request(nonce(2), |_| ());
    for request in [&first, &first, &second, &second] {
        assert_eq!(office.ask(Call::RequestVoucher, &ours.idevid, request).status, 202);
    }
    assert_eq!(office.refused(Call::RequestVoucher, &ours.idevid, &first), "nonce-replayed");
    // The same nonce in another request, and in another box's.
    let changed = ours.request(nonce(2), |request| request.created_on = Some(unix(NOW)));
    assert_eq!(office.refused(Call::RequestVoucher, &ours.idevid, &changed), "nonce-replayed");
    let stolen = theirs.request(nonce(2), |_| ());
    assert_eq!(office.refused(Call::RequestVoucher, &theirs.idevid, &stolen), "nonce-replayed");
    // After a restart, too.
    office.restart();
    assert_eq!(office.refused(Call::RequestVoucher, &ours.idevid, &first), "nonce-replayed");
    assert_eq!(office.ask(Call::RequestVoucher, &ours.idevid, &second).status, 202);
}

/// The request goes to the authority by hand, and the voucher comes back.
#[test]
fn a_voucher_is_fetched_by_hand() {
    let mut office = Office::new("[approve]\nserials = [\"A\"]");
    let pledge = maker().build("A", "");
    let ask = |office: &mut Office, byte| {
        let request = pledge.request(nonce(byte), |_| ());
        office.ask(Call::RequestVoucher, &pledge.idevid, &request)
    };
    assert!(matches!(block_on(office.registrar.export(&pledge.serial, "Ada", NOW)), Err(Refusal::UnknownBox(_))));
    assert_eq!(ask(&mut office, 1).status, 202);
    let (change, request) = block_on(office.registrar.export(&pledge.serial, "Ada", NOW)).unwrap();
    office.keep(Ok::<_, Refusal>(change));

    let firm = organisation();
    let roots = dolmen_provisioning_ca::chain::Roots::new(vec![firm.root().clone()]).unwrap();
    let makers = &office.registrar.setup().makers;
    let builder = check_request(&request, &OrganisationRoots(roots), makers).unwrap();
    let message = maker().sign(&builder.build(unix(NOW)).unwrap());
    // The box asked again in between: this is the answer to another question.
    assert_eq!(ask(&mut office, 2).status, 202);
    assert!(matches!(office.registrar.import(&message, "Ada", NOW), Err(Refusal::VoucherNonce(_))));
    let answer = Freshness::Nonce(nonce(2));
    let message = maker().sign(&voucher("A", firm.root(), answer));
    let change = office.registrar.import(&message, "Ada", NOW);
    office.keep(change);
    assert_eq!(ask(&mut office, 2).body, message);
    // The box follows it.
    let serial: SerialNumber = "A".parse().unwrap();
    let tls = Registrar::from_tls(firm.certificates().iter().take(2).map(|one| one.der().to_vec())).unwrap();
    let (epoch, asked) = (OwnershipEpoch::new(0), nonce(2));
    let expectation =
        Expectation { serial_number: &serial, idevid_issuer: None, nonce: Some(&asked), epoch, registrar: &tls };
    let masas = &office.registrar.setup().masas;
    assert_eq!(accept(&message, masas, &expectation).unwrap().pinned_domain_cert(), firm.root());
    // With a new nonce it waits again.
    assert_eq!(ask(&mut office, 3).status, 202);
    office.restart();
}

#[test]
fn vouchers_that_do_not_hold_are_not_kept() {
    let mut office = Office::new("");
    let firm = organisation();
    let good = voucher("A", firm.root(), epoch(5));
    let mut code = |message: &[u8]| office.registrar.import(message, "Ada", NOW).map_err(|refusal| refusal.code());
    assert_eq!(code(&Maker::new("Other").sign(&good)).unwrap_err(), "voucher-untrusted");
    let mut forged = maker().sign(&good);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(code(&forged).unwrap_err(), "voucher-forged");
    assert_eq!(code(&vec![0; (16 << 10) + 1]).unwrap_err(), "voucher-too-large");
    let theirs = voucher("A", Firm::new("Example 2").root(), epoch(5));
    assert_eq!(code(&maker().sign(&theirs)).unwrap_err(), "voucher-organisation");
    let unasked = voucher("A", firm.root(), Freshness::Nonce(nonce(1)));
    assert_eq!(code(&maker().sign(&unasked)).unwrap_err(), "voucher-unasked");
    // A box of the maker signs no vouchers.
    let pledge = maker().build("A", "");
    let json = good.to_json().unwrap();
    let unsigned = dolmen_provisioning_ca::cms::to_sign(
        dolmen_provisioning_voucher::JSON_VOUCHER,
        &json,
        std::slice::from_ref(&pledge.idevid),
    );
    let by_box = block_on(unsigned.unwrap().sign(&*pledge.key)).unwrap();
    assert_eq!(code(&by_box).unwrap_err(), "voucher-signer-purpose");
    assert!(office.registrar.state().vouchers().is_empty());
}

#[test]
fn greater_epochs_take_the_place_of_smaller_ones() {
    let mut office = Office::new("[approve]\nserials = [\"A\"]");
    let firm = organisation();
    // Any of the organisation's certificates can be pinned.
    for (number, pinned) in [(5, firm.root()), (7, firm.authority.certificate()), (8, &firm.registrar)] {
        let message = maker().sign(&voucher("A", pinned, epoch(number)));
        let change = office.registrar.import(&message, "Ada", NOW);
        office.keep(change);
        let again = office.registrar.import(&message, "Ada", NOW).unwrap();
        assert!(again.records.is_empty());
    }
    for number in [5, 8] {
        let old = maker().sign(&voucher("A", firm.root(), epoch(number)));
        let refusal = office.registrar.import(&old, "Ada", NOW).unwrap_err();
        assert_eq!(refusal.code(), "voucher-old");
    }
    office.restart();
    let pledge = maker().build("A", "");
    let answer = office.ask(Call::RequestVoucher, &pledge.idevid, &pledge.request(nonce(1), |_| ()));
    assert_eq!(answer.body, maker().sign(&voucher("A", &firm.registrar, epoch(8))));
    // A voucher for boxes of another authority is none for this one.
    let mut other = voucher("A", firm.root(), epoch(9));
    other.idevid_issuer = Some(dolmen_provisioning_voucher::KeyIdentifier::from_bytes([1; 20]).unwrap());
    let change = office.registrar.import(&maker().sign(&other), "Ada", NOW);
    office.keep(change);
    assert_eq!(office.ask(Call::RequestVoucher, &pledge.idevid, &pledge.request(nonce(2), |_| ())).status, 202);
}
