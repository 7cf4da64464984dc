//! Boxes that come: who may, who waits, and who is sent away.

use dolmen_provisioning_registrar::{Call, Refusal, Standing};

use crate::world::{Maker, NOW, Office, code, epoch, maker, nonce, organisation, voucher};

#[test]
fn a_box_waits_for_an_approval_and_for_a_voucher() {
    let mut office = Office::new("retry-seconds = 7");
    let pledge = maker().build("A", "");
    let request = pledge.request(nonce(1), |_| ());
    let answer = office.ask(Call::RequestVoucher, &pledge.idevid, &request);
    assert_eq!((answer.status, answer.retry_after), (202, Some(7)));
    assert_eq!(office.registrar.state().waiting().collect::<Vec<_>>(), [&pledge.serial]);
    // The same again leaves nothing behind.
    let records = office.journal.len();
    office.ask(Call::RequestVoucher, &pledge.idevid, &request);
    assert_eq!(office.journal.len(), records);

    let change = office.registrar.approve(&pledge.serial, "Ada", NOW);
    office.keep(change);
    office.restart();
    let answer = office.ask(Call::RequestVoucher, &pledge.idevid, &request);
    assert_eq!((answer.status, answer.retry_after), (202, Some(7)));
    assert_eq!(office.registrar.state().wanted().collect::<Vec<_>>(), [&pledge.serial]);

    let message = maker().sign(&voucher("A", organisation().root(), epoch(1)));
    let change = office.registrar.import(&message, "Ada", NOW);
    office.keep(change);
    assert_eq!(office.registrar.state().wanted().count(), 0);
    let answer = office.ask(Call::RequestVoucher, &pledge.idevid, &request);
    assert_eq!((answer.status, answer.media), (200, Some("application/voucher-cms+json")));
    assert_eq!(answer.body, message);
    // The answer was lost, and the registrar started again.
    office.restart();
    let records = office.journal.len();
    assert_eq!(office.ask(Call::RequestVoucher, &pledge.idevid, &request), answer);
    assert_eq!(office.journal.len(), records);
    assert_eq!(office.registrar.metrics(NOW).answered["requestvoucher"], 1);
}

#[test]
fn some_are_approved_before_they_come() {
    let root = dolmen_image_bundle::Hash::from_bytes(maker().root.certificate().fingerprint());
    let by_maker = format!("[approve]\nmakers = [\"{root}\"]");
    for text in ["[approve]\nserials = [\"A\"]", &by_maker, ""] {
        let mut office = Office::new(text);
        let pledge = maker().build("A", "");
        if text.is_empty() {
            let change = office.registrar.approve(&pledge.serial, "Ada", NOW);
            office.keep(change);
            assert!(office.registrar.state().expected().contains(&pledge.serial));
        }
        office.ask(Call::RequestVoucher, &pledge.idevid, &pledge.request(nonce(1), |_| ()));
        assert_eq!(office.registrar.state().boxes()[&pledge.serial].standing, Standing::Approved, "{text}");
        assert!(office.registrar.state().expected().is_empty());
        office.restart();
    }
}

#[test]
fn the_inbox_has_a_bound() {
    let mut office = Office::new("waiting-max = 1");
    let [one, two] = ["A", "B"].map(|serial| maker().build(serial, ""));
    assert_eq!(office.ask(Call::RequestVoucher, &one.idevid, &one.request(nonce(1), |_| ())).status, 202);
    let answer = office.ask(Call::RequestVoucher, &two.idevid, &two.request(nonce(2), |_| ()));
    assert_eq!((answer.status, code(&answer)), (503, "inbox-full".to_owned()));
    // Not even a trace of it but the refusal.
    assert!(!office.registrar.state().boxes().contains_key(&two.serial));
    let change = office.registrar.decline(&one.serial, "Ada", "not ours", NOW);
    office.keep(change);
    assert_eq!(office.ask(Call::RequestVoucher, &two.idevid, &two.request(nonce(2), |_| ())).status, 202);
    assert_eq!(office.refused(Call::RequestVoucher, &one.idevid, &one.request(nonce(3), |_| ())), "box-declined");
    // It was a mistake.
    let change = office.registrar.approve(&one.serial, "Ada", NOW);
    office.keep(change);
    assert_eq!(office.ask(Call::RequestVoucher, &one.idevid, &one.request(nonce(4), |_| ())).status, 202);
    office.restart();
}

#[test]
fn boxes_of_unknown_makers_are_refused() {
    let mut office = Office::new("");
    let other = Maker::new("Other").build("A", "");
    let request = other.request(nonce(1), |_| ());
    assert_eq!(office.refused(Call::RequestVoucher, &other.idevid, &request), "idevid-unknown-maker");
    // A machine of the organisation is no box by its maker, and the other way round.
    let firm = organisation();
    assert_eq!(office.refused(Call::RequestVoucher, &firm.registrar, &request), "idevid-unknown-maker");
    let ours = maker().build("A", "");
    assert_eq!(office.refused(Call::Bundle, &ours.idevid, &[]), "ldevid-unknown");
    assert_eq!(office.refused(Call::Bundle, &firm.registrar, &[]), "no-serial-number");
    // Nobody, and nothing that is a certificate.
    let answer = office.request(Call::RequestVoucher, &[], &request, None);
    assert_eq!((answer.status, code(&answer)), (401, "no-certificate".to_owned()));
    let answer = office.request(Call::RequestVoucher, &[&ours.idevid; 6], &request, None);
    assert_eq!((answer.status, code(&answer)), (400, "certificate-damaged".to_owned()));
    // The authority's certificates are for anybody.
    let answer = office.request(Call::CaCerts, &[], &[], None);
    assert_eq!(answer.status, 200);
    assert_eq!(dolmen_provisioning_ca::est::read_certs(&answer.body).unwrap().len(), 2);
    let answer = office.request(Call::CaCerts, &[], &[0], None);
    assert_eq!((answer.status, code(&answer)), (413, "body-too-large".to_owned()));
    assert_eq!(office.registrar.state().boxes().len(), 0);
    assert_eq!(office.registrar.metrics(NOW).refused["idevid-unknown-maker"], 2);
}

#[test]
fn steps_have_an_order() {
    let mut office = Office::new("");
    let pledge = maker().build("A", "");
    let report = b"{\"version\":\"1\",\"status\":true}";
    assert_eq!(office.refused(Call::SimpleEnroll, &pledge.idevid, &pledge.csr()), "out-of-order");
    assert_eq!(office.refused(Call::VoucherStatus, &pledge.idevid, report), "out-of-order");
    assert_eq!(office.refused(Call::SimpleReenroll, &pledge.idevid, &pledge.csr()), "out-of-order");
    assert_eq!(office.refused(Call::Enrolment, &pledge.idevid, b"{}"), "message-damaged");
    assert_eq!(office.refused(Call::Response, &pledge.idevid, b"{}"), "message-damaged");
    assert_eq!(office.refused(Call::SimpleEnroll, &pledge.idevid, b"not base64"), "certificate-request-damaged");
    assert!(office.registrar.state().boxes().is_empty());

    office.ask(Call::RequestVoucher, &pledge.idevid, &pledge.request(nonce(1), |_| ()));
    let answer = office.ask(Call::SimpleEnroll, &pledge.idevid, &pledge.csr());
    assert_eq!((answer.status, answer.retry_after), (202, Some(30)), "it waits for an approval");
    assert_eq!(office.refused(Call::VoucherStatus, &pledge.idevid, report), "not-approved");
    let change = office.registrar.approve(&pledge.serial, "Ada", NOW);
    office.keep(change);
    assert_eq!(office.refused(Call::SimpleEnroll, &pledge.idevid, &pledge.csr()), "out-of-order");
    assert_eq!(office.refused(Call::EnrollStatus, &pledge.idevid, report), "out-of-order");
    // With a certificate that the authority gave to nobody here.
    let stray = organisation().ldevid(&pledge);
    assert_eq!(office.refused(Call::Bundle, &stray, &[]), "ldevid-not-issued");
    assert_eq!(office.refused(Call::AskQuote, &stray, &[]), "ldevid-not-issued");
    office.restart();
}

#[test]
fn reports_are_kept_once() {
    let mut office = Office::new("[approve]\nserials = [\"A\"]");
    let pledge = maker().build("A", "");
    office.ask(Call::RequestVoucher, &pledge.idevid, &pledge.request(nonce(1), |_| ()));
    let bad = b"{\"version\":\"1\",\"status\":false,\"reason\":\"voucher-\\nnonce\",\"reason-context\":{\"a\":[1]}}";
    assert_eq!(office.ask(Call::VoucherStatus, &pledge.idevid, bad).status, 200);
    let records = office.journal.len();
    assert_eq!(office.ask(Call::VoucherStatus, &pledge.idevid, bad).status, 200);
    assert_eq!(office.journal.len(), records);
    let held = |office: &Office| office.registrar.state().boxes()[&pledge.serial].voucher_report.clone();
    assert_eq!(held(&office), Some((false, Some("voucher- nonce".to_owned()))));
    office.ask(Call::VoucherStatus, &pledge.idevid, b"{\"version\":\"1\",\"status\":true}");
    assert_eq!(held(&office), Some((true, None)));
    for text in ["", "{}", "{\"version\":\"2\",\"status\":true}", "{\"version\":\"1\",\"status\":1}", "[]"] {
        assert_eq!(office.refused(Call::VoucherStatus, &pledge.idevid, text.as_bytes()), "report-damaged", "{text}");
    }
    office.restart();
}

#[test]
fn whoever_asks_too_often_is_counted_alone() {
    let mut office = Office::new("");
    let pledge = maker().build("A", "");
    let answers: Vec<_> = (0..40).map(|_| office.ask(Call::Response, &pledge.idevid, b"{}").status).collect();
    assert_eq!(answers.iter().filter(|status| **status == 400).count(), 30);
    assert_eq!(office.journal.len(), 31, "with the one that begins the journal");
    assert_eq!(office.registrar.metrics(NOW).refused["rate"], 10);
    // Others are not affected, nor is the box after a while.
    let other = maker().build("B", "");
    assert_eq!(office.ask(Call::Response, &other.idevid, b"{}").status, 400);
    office.now += 5;
    assert_eq!(office.ask(Call::Response, &pledge.idevid, b"{}").status, 400);
    let refused = office.ask(Call::Response, &pledge.idevid, b"{}");
    assert_eq!((refused.status, refused.retry_after), (429, Some(60)));
}

#[test]
fn operators_have_names_and_reasons() {
    let mut office = Office::new("");
    let serial = "A".parse().unwrap();
    for by in ["", "a\nb", &"x".repeat(65)] {
        assert!(matches!(office.registrar.approve(&serial, by, NOW), Err(Refusal::Text(_))), "{by:?}");
    }
    assert!(matches!(office.registrar.decline(&serial, "Ada", "no", NOW), Err(Refusal::UnknownBox(_))));
    assert!(matches!(office.registrar.revoke(&serial, "Ada", "", NOW), Err(Refusal::Text(_))));
    assert!(matches!(office.registrar.revoke(&serial, "Ada", "no", NOW), Err(Refusal::UnknownBox(_))));
    assert!(matches!(office.registrar.allow_change(&serial, "Ada", NOW), Err(Refusal::UnknownBox(_))));
    let change = office.registrar.approve(&serial, "Ada", NOW);
    office.keep(change);
    let change = office.registrar.decline(&serial, "Ada", "no", NOW);
    office.keep(change);
    assert!(office.registrar.state().expected().is_empty());
    office.restart();
}

/// A box that is out cannot fill the journal any faster than strangers do.
#[test]
fn boxes_that_are_out_are_counted_with_strangers() {
    let mut office = Office::new("");
    let [out, other] = ["A", "B"].map(|serial| maker().build(serial, ""));
    office.ask(Call::RequestVoucher, &out.idevid, &out.request(nonce(1), |_| ()));
    let change = office.registrar.decline(&out.serial, "Ada", "no", NOW);
    office.keep(change);
    let statuses: Vec<_> = (0..40).map(|_| office.ask(Call::SimpleEnroll, &out.idevid, &out.csr()).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 30);
    office.now += 30;
    assert_eq!(office.ask(Call::SimpleEnroll, &out.idevid, &out.csr()).status, 429);
    assert_eq!(office.ask(Call::RequestVoucher, &other.idevid, &other.request(nonce(2), |_| ())).status, 202);
    office.now += 30;
    assert_eq!(office.ask(Call::SimpleEnroll, &out.idevid, &out.csr()).status, 403);
}
