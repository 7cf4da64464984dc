//! Boxes that were appraised: their certificates, the chain, and how they go.

use std::slice;

use dolmen_hsm_api::Signer;
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::Verifier;
use dolmen_provisioning_bundle::{ChainBundle, Expectation};
use dolmen_provisioning_ca::{
    Certificate, RequestBuilder, Subject,
    chain::{Purpose, Rules, When, verify},
};
use dolmen_provisioning_registrar::{Call, Effect, Event, Membership, Refusal, Role, Standing};
use futures::executor::block_on;

use crate::support::{policy, released};
use crate::world::{
    DAY, Firm, NOW, Office, Pledge, asks, certificate, chain, code, csr, key, maker, nonce, organisation, setup_of,
    unix,
};

fn renewal(present: &Certificate, key: &dyn Signer) -> Vec<u8> {
    csr(key, &RequestBuilder::renewal(present))
}

/// A member of the chain.
pub(crate) fn admit(office: &mut Office, pledge: &Pledge, ldevid: &Certificate) {
    let request = pledge.admission(ldevid, office.appraisal(pledge), |_| ());
    assert_eq!(office.ask(Call::Admission, ldevid, &request).status, 202);
    let change = office.registrar.admitted(&pledge.serial, &asks(pledge.serial.as_str()), Role::Validator, office.now);
    office.keep(change);
}

#[test]
fn certificates_are_for_the_appraised_key() {
    let mut office = Office::new("ldevid-days = 10");
    let pledge = maker().build("A", "");
    let ldevid = office.enrol(&pledge, 1);
    assert_eq!((ldevid.box_serial(), ldevid.machine_serial()), (Some("A"), Some("A")));
    let validity = ldevid.validity();
    assert_eq!((validity.not_before().as_secs(), validity.not_after().as_secs()), (NOW, NOW + 10 * DAY));
    // What the request says of itself does not count.
    let subject = Subject::read(ldevid.subject()).unwrap();
    assert_eq!((subject.organisation(), subject.common_name()), ("Example", "A"));
    assert!(ldevid.alt_names().len() == 1);

    // The answer was lost: another certificate for the same key, and both hold.
    office.restart();
    let again = office.certify(&pledge);
    assert!(again != ldevid && again.public_key() == ldevid.public_key());
    for ldevid in [&ldevid, &again] {
        assert_eq!(office.ask(Call::Bundle, ldevid, &[]).status, 200);
    }
    // Of another key, and with a request for another connection.
    let any = RequestBuilder::new(&subject, Vec::new()).unwrap();
    let other = csr(&*key("another"), &any);
    assert_eq!(office.refused(Call::SimpleEnroll, &pledge.idevid, &other), "key-not-appraised");
    let bound = RequestBuilder::new(&subject, Vec::new()).and_then(|any| any.with_channel_binding(b"this session"));
    let bound = csr(&*pledge.ldevid, &bound.unwrap());
    office.binding = Some(b"another session");
    assert_eq!(office.refused(Call::SimpleEnroll, &pledge.idevid, &bound), "channel-binding");
    for session in [None, Some(&b"this session"[..])] {
        office.binding = session;
        assert_eq!(office.ask(Call::SimpleEnroll, &pledge.idevid, &bound).status, 200);
    }
    // Long after the appraisal.
    office.now += DAY + 1;
    assert_eq!(office.refused(Call::SimpleEnroll, &pledge.idevid, &pledge.csr()), "appraisal-old");
    let report = b"{\"version\":\"1\",\"status\":true}";
    assert_eq!(office.ask(Call::EnrollStatus, &pledge.idevid, report).status, 200);
    office.restart();
}

#[test]
fn a_box_has_so_many_certificates() {
    let mut office = Office::new("");
    let pledge = maker().build("A", "");
    let first = office.enrol(&pledge, 1);
    for _ in 0..15 {
        office.now += 5;
        office.certify(&pledge);
    }
    assert_eq!(office.ask(Call::Bundle, &first, &[]).status, 200);
    office.now += 5;
    office.certify(&pledge);
    let one = &office.registrar.state().boxes()[&pledge.serial];
    assert_eq!(one.certificates.len(), 16);
    assert!(office.registrar.state().revoked().contains_key(first.serial()));
    assert_eq!(office.refused(Call::Bundle, &first, &[]), "ldevid-not-issued");
    office.restart();
}

#[test]
fn a_box_is_told_of_the_chain_and_asks_to_join_it() {
    let mut office = Office::new("");
    let pledge = maker().build("A", "");
    let ldevid = office.enrol(&pledge, 1);
    let answer = office.request(Call::Bundle, &[&ldevid], &[], None);
    assert_eq!((answer.status, code(&answer)), (503, "no-chain".to_owned()));
    let answer = office.ask(Call::Bundle, &ldevid, &[]);
    assert_eq!((answer.status, answer.media), (200, Some("application/cms")));
    let (firm, serial) = (organisation(), "A".parse().unwrap());
    let expectation = Expectation { serial_number: &serial, owner: firm.root() };
    let bundle = ChainBundle::verify(&answer.body, &expectation).unwrap();
    assert_eq!((bundle.content().chain_id, &bundle.content().peers), (7, &chain().peers));
    assert_eq!(bundle.content().appraisal.unwrap().as_bytes(), office.appraisal(&pledge).as_bytes());

    let appraisal = office.appraisal(&pledge);
    let request = pledge.admission(&ldevid, appraisal, |_| ());
    let answer = office.ask(Call::Admission, &ldevid, &request);
    assert_eq!((answer.status, answer.retry_after), (202, Some(30)));
    let serial = pledge.serial.clone();
    let admit = Effect::Admit { serial, request: asks("A"), appraisal, since: NOW, replaces: None };
    assert_eq!(office.effects, slice::from_ref(&admit));
    // Power failed before the transaction was sent: it is asked for again, as is the box's request.
    office.restart();
    assert_eq!(office.registrar.effects(), slice::from_ref(&admit));
    let records = office.journal.len();
    assert_eq!(office.ask(Call::Admission, &ldevid, &request), answer);
    assert_eq!((office.journal.len(), office.effects.pop()), (records, Some(admit)));

    let change = office.registrar.admitted(&pledge.serial, &asks(pledge.serial.as_str()), Role::Follower, NOW);
    office.keep(change);
    let change = office.registrar.admitted(&pledge.serial, &asks(pledge.serial.as_str()), Role::Follower, NOW).unwrap();
    assert!(change.records.is_empty() && office.registrar.effects().is_empty());
    let answer = office.ask(Call::Admission, &ldevid, &request);
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{\"role\":\"follower\"}"[..]));
    // At another address, with the same key, it is what it is.
    let moved = pledge.admission(&ldevid, appraisal, |admission| {
        admission.request = admission.request.replacen('{', "{\"endpoint\":\"10.0.0.2:1\",", 1);
    });
    assert_eq!(office.ask(Call::Admission, &ldevid, &moved), answer);
    assert!(office.registrar.effects().is_empty());
    office.restart();
    assert_eq!(office.ask(Call::Admission, &ldevid, &request), answer);
}

/// When it was admitted is when it became what it is.
#[test]
fn a_change_of_role_has_a_time() {
    let mut office = Office::new("");
    let pledge = maker().build("A", "");
    let ldevid = office.enrol(&pledge, 1);
    let request = pledge.admission(&ldevid, office.appraisal(&pledge), |_| ());
    assert_eq!(office.ask(Call::Admission, &ldevid, &request).status, 202);
    let admitted = |office: &Office| office.registrar.state().boxes()[&pledge.serial].admitted;
    assert_eq!(admitted(&office), None);
    for (after, role, expected) in [
        (10, Role::Follower, 10),
        (20, Role::Follower, 10),
        (30, Role::Validator, 30),
        (40, Role::Validator, 30),
        (50, Role::Follower, 50),
    ] {
        office.now = NOW + after;
        let change = office.registrar.admitted(&pledge.serial, &asks(pledge.serial.as_str()), role, office.now);
        office.keep(change);
        assert_eq!(admitted(&office), Some(NOW + expected), "{after}");
        assert!(!office.registrar.state().boxes()[&pledge.serial].shown);
        office.restart();
    }
    // The same record again, as an older program may have written it.
    office.now = NOW + 60;
    office.happened(Event::Admitted { serial: pledge.serial.clone(), role: Role::Follower });
    assert_eq!(admitted(&office), Some(NOW + 50));
    // It went, and came back.
    office.now = NOW + 70;
    let change = office.registrar.retired(&pledge.serial, &asks(pledge.serial.as_str()), office.now);
    office.keep(change);
    assert_eq!(admitted(&office), Some(NOW + 50));
    let again = pledge.admission(&ldevid, office.appraisal(&pledge), |admission| admission.request = asks("another"));
    assert_eq!(office.ask(Call::Admission, &ldevid, &again).status, 202);
    office.now = NOW + 80;
    let change = office.registrar.admitted(&pledge.serial, &asks("another"), Role::Follower, office.now);
    office.keep(change);
    assert_eq!(admitted(&office), Some(NOW + 80));
    office.restart();
}

#[test]
fn admissions_that_do_not_hold_are_refused() {
    let mut office = Office::new("");
    let [ours, theirs] = ["A", "B"].map(|serial| maker().build(serial, ""));
    let ldevid = office.enrol(&ours, 1);
    let other = office.enrol(&theirs, 2);
    let appraisal = office.appraisal(&ours);
    let mut refused = |request: &[u8]| office.refused(Call::Admission, &ldevid, request);
    // Another organisation's box, another box, and another box's signature.
    let foreign = Firm::new("Example 2").ldevid(&ours);
    assert_eq!(refused(&ours.admission(&foreign, appraisal, |_| ())), "admission-untrusted");
    let serial = |serial: &'static str| {
        move |one: &mut dolmen_provisioning_bundle::Admission| {
            one.serial_number = serial.parse().unwrap();
        }
    };
    assert_eq!(refused(&ours.admission(&ldevid, appraisal, serial("B"))), "admission-serial");
    assert_eq!(refused(&theirs.admission(&other, appraisal, |_| ())), "signer-other");
    // Another chain, and another appraisal.
    assert_eq!(refused(&ours.admission(&ldevid, appraisal, |one| one.chain_id = 8)), "admission-chain");
    let hash = dolmen_provisioning_bundle::Hash::from_bytes([1; 32]);
    assert_eq!(refused(&ours.admission(&ldevid, appraisal, |one| one.genesis_hash = hash)), "admission-chain");
    assert_eq!(refused(&ours.admission(&ldevid, Hash::of(b"another"), |_| ())), "admission-appraisal");
    let mut forged = ours.admission(&ldevid, appraisal, |_| ());
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(refused(&forged), "admission-forged");
    assert_eq!(refused(b"none"), "admission-damaged");
    assert!(office.effects.is_empty());
    // On the connection of another organisation's box.
    let request = ours.admission(&ldevid, appraisal, |_| ());
    assert_eq!(office.refused(Call::Admission, &foreign, &request), "ldevid-unknown");

    // The others say no, and later to another request yes.
    assert_eq!(office.ask(Call::Admission, &ldevid, &request).status, 202);
    let change = office.registrar.turned_away(&ours.serial, &asks(ours.serial.as_str()), "no slot", NOW);
    office.keep(change);
    assert_eq!(office.refused(Call::Admission, &ldevid, &request), "admission-turned-away");
    let again = ours.admission(&ldevid, appraisal, |admission| admission.request = asks("another"));
    assert_eq!(office.ask(Call::Admission, &ldevid, &again).status, 202);
    let refusal =
        office.registrar.admitted(&theirs.serial, &asks(theirs.serial.as_str()), Role::Follower, NOW).unwrap_err();
    assert_eq!(refusal.code(), "out-of-order");
    office.restart();
}

#[test]
fn a_revoked_box_is_out() {
    let mut office = Office::new("");
    let [ours, theirs] = ["A", "B"].map(|serial| maker().build(serial, ""));
    let ldevid = office.enrol(&ours, 1);
    let other = office.enrol(&theirs, 2);
    admit(&mut office, &ours, &ldevid);
    let change = office.registrar.revoke(&ours.serial, "Ada", "stolen", NOW);
    let retire = Effect::Retire { serial: ours.serial.clone(), request: asks("A"), code: "revoked".to_owned() };
    assert_eq!(office.keep(change), slice::from_ref(&retire));
    office.restart();
    assert_eq!(office.registrar.effects(), [retire]);
    let change = office.registrar.retired(&ours.serial, &asks(ours.serial.as_str()), NOW);
    office.keep(change);
    assert!(office.registrar.effects().is_empty());

    for call in [Call::Bundle, Call::AskQuote] {
        assert_eq!(office.refused(call, &ldevid, &[]), "box-revoked");
    }
    let request = ours.request(nonce(9), |_| ());
    assert_eq!(office.refused(Call::RequestVoucher, &ours.idevid, &request), "box-revoked");
    assert_eq!(office.refused(Call::SimpleEnroll, &ours.idevid, &ours.csr()), "box-revoked");
    assert_eq!(office.refused(Call::SimpleReenroll, &ours.idevid, &ours.csr()), "box-revoked");
    let again = renewal(&ldevid, &*ours.ldevid);
    assert_eq!(office.refused(Call::SimpleReenroll, &ldevid, &again), "box-revoked");
    assert!(matches!(office.registrar.approve(&ours.serial, "Ada", NOW), Err(Refusal::Revoked { .. })));

    // Others learn of it from the list.
    let (change, crl) = block_on(office.registrar.sign_crl(NOW, DAY)).unwrap();
    office.keep(Ok::<_, Refusal>(change));
    assert_eq!((crl.number(), crl.is_revoked(ldevid.serial()), crl.is_revoked(other.serial())), (1, true, false));
    let firm = organisation();
    let rules = Rules { when: When::At(unix(NOW)), purpose: Purpose::Client, crls: slice::from_ref(&crl) };
    let path = |certificate| {
        verify(certificate, firm.authority.chain(), slice::from_ref(firm.authority.certificate()), &rules)
    };
    assert_eq!(path(&ldevid).unwrap_err().code(), "revoked");
    path(&other).unwrap();
    let (_, crl) = block_on(office.registrar.sign_crl(NOW, DAY)).unwrap();
    assert_eq!(crl.number(), 2);
}

#[test]
fn a_box_renews_its_certificate() {
    let mut office = Office::new("ldevid-days = 10\nappraisal-hours-max = 480");
    let [ours, theirs] = ["A", "B"].map(|serial| maker().build(serial, ""));
    let ldevid = office.enrol(&ours, 1);
    let other = office.enrol(&theirs, 2);
    office.now += 8 * DAY;
    let answer = office.ask(Call::SimpleReenroll, &ldevid, &renewal(&ldevid, &*ours.ldevid));
    let renewed = certificate(&answer, &*ours.ldevid);
    assert_eq!(renewed.validity().not_after().as_secs(), office.now + 10 * DAY);
    assert_eq!(renewed.alt_names(), ldevid.alt_names());
    // In another's name, and with another key.
    let mut refused = |request: &[u8]| office.refused(Call::SimpleReenroll, &ldevid, request);
    assert_eq!(refused(&renewal(&other, &*ours.ldevid)), "reenroll-other");
    assert_eq!(refused(&renewal(&ldevid, &*theirs.ldevid)), "key-not-appraised");
    // One that is over is good for this alone.
    office.now += 3 * DAY;
    assert_eq!(office.refused(Call::Bundle, &ldevid, &[]), "ldevid-expired");
    assert_eq!(office.ask(Call::SimpleReenroll, &ldevid, &renewal(&ldevid, &*ours.ldevid)).status, 200);
    // Its maker's certificate does, too.
    assert_eq!(office.ask(Call::SimpleReenroll, &ours.idevid, &ours.csr()).status, 200);
    // It was forgotten here once it was over, and still is good for this; unless the box was cast out.
    assert_eq!(office.ask(Call::SimpleReenroll, &ldevid, &renewal(&ldevid, &*ours.ldevid)).status, 200);
    office.restart();
    // Nobody looked at the box for too long.
    office.now += 10 * DAY;
    assert_eq!(office.refused(Call::SimpleReenroll, &ldevid, &renewal(&ldevid, &*ours.ldevid)), "appraisal-old");
}

#[test]
fn a_box_takes_the_place_of_another() {
    let mut office = Office::new("");
    let [old, new, third] = ["A", "B", "C"].map(|serial| maker().build(serial, ""));
    let ldevid = office.enrol(&old, 1);
    admit(&mut office, &old, &ldevid);
    let unknown = office.registrar.replace(&old.serial, &new.serial, "Ada", NOW).unwrap_err();
    assert_eq!(unknown.code(), "unknown-box");
    assert_eq!(office.ask(Call::RequestVoucher, &new.idevid, &new.request(nonce(2), |_| ())).status, 202);
    let change = office.registrar.replace(&old.serial, &new.serial, "Ada", NOW);
    let retire = Effect::Retire { serial: old.serial.clone(), request: asks("A"), code: "replaced".to_owned() };
    assert_eq!(office.keep(change), [retire]);
    assert_eq!(office.registrar.state().boxes()[&old.serial].standing, Standing::Replaced(new.serial.clone()));
    assert!(office.registrar.state().revoked().contains_key(ldevid.serial()));
    assert_eq!(office.refused(Call::Bundle, &ldevid, &[]), "box-replaced");
    // It need not be approved, and its admission names the old one.
    office.happened(new.appraised(2));
    let renewed = office.certify(&new);
    let request = new.admission(&renewed, office.appraisal(&new), |_| ());
    assert_eq!(office.ask(Call::Admission, &renewed, &request).status, 202);
    let replaced = office.effects.iter().find_map(|effect| match effect {
        Effect::Admit { serial, replaces, .. } if *serial == new.serial => replaces.clone(),
        _ => None,
    });
    assert_eq!(replaced.as_ref(), Some(&old.serial));
    // Once, and not with itself.
    assert!(office.registrar.replace(&old.serial, &new.serial, "Ada", NOW).unwrap().records.is_empty());
    office.enrol(&third, 3);
    for (old, new) in [(&new, &new), (&third, &new), (&old, &third)] {
        assert!(office.registrar.replace(&old.serial, &new.serial, "Ada", NOW).is_err());
    }
    office.restart();
}

#[test]
fn boxes_attest_when_it_is_time() {
    let mut office = Office::new("on-drift = \"retire\"");
    let pledge = maker().build("A", "");
    let ldevid = office.enrol(&pledge, 1);
    admit(&mut office, &pledge, &ldevid);
    assert!(office.registrar.due(NOW + DAY - 1).is_empty());
    assert_eq!(office.registrar.due(NOW + DAY), [(pledge.serial.clone(), NOW + DAY)]);
    assert_eq!(office.ask(Call::AskQuote, &ldevid, &[]).status, 200);
    assert_eq!(office.refused(Call::Attestation, &ldevid, b"{}"), "message-damaged");
    // Late, and too late.
    office.now = NOW + 3 * DAY;
    let change = office.registrar.tick(office.now).unwrap();
    assert!(change.records.is_empty());
    office.now += 1;
    let change = office.registrar.tick(office.now);
    // Being late alone casts no box out.
    assert!(office.keep(change).is_empty());
    assert!(office.registrar.tick(office.now).unwrap().records.is_empty());
    assert_eq!(office.registrar.metrics(NOW).alarms, 1);
    office.restart();
    let serial = pledge.serial.clone();
    office.happened(Event::Attested { serial: serial.clone(), version: "1.2.0".to_owned(), resets: 6, restarts: 0 });
    assert_eq!(office.registrar.metrics(NOW).alarms, 0);
    // Another firmware is another matter: somebody has to look.
    office.happened(Event::Alarm { serial: serial.clone(), code: "drift-register".to_owned() });
    office.happened(Event::Attested { serial: serial.clone(), version: "1.2.0".to_owned(), resets: 7, restarts: 0 });
    let retire = Effect::Retire { serial: serial.clone(), request: asks("A"), code: "drift-register".to_owned() };
    assert_eq!(office.registrar.effects(), [retire]);
    let again = renewal(&ldevid, &*pledge.ldevid);
    assert_eq!(office.refused(Call::SimpleReenroll, &ldevid, &again), "box-alarmed");
    let change = office.registrar.allow_change(&serial, "Ada", office.now);
    office.keep(change);
    assert!(office.registrar.effects().is_empty());
    assert_eq!(office.ask(Call::SimpleReenroll, &ldevid, &again).status, 200);
    let membership = office.registrar.state().boxes()[&serial].membership.as_ref().map(|(_, state)| state.clone());
    assert_eq!(membership, Some(Membership::Admitted(Role::Validator)));
    office.restart();
}

/// One that follows has no vote that it could lose: nothing is asked of the chain, once it is demoted or from the start.
#[test]
fn only_those_who_vote_are_demoted() {
    let mut office = Office::new("on-drift = \"demote\"");
    let pledge = maker().build("A", "");
    let ldevid = office.enrol(&pledge, 1);
    admit(&mut office, &pledge, &ldevid);
    let serial = pledge.serial.clone();
    office.happened(Event::Alarm { serial: serial.clone(), code: "drift-register".to_owned() });
    let (request, code) = (asks("A"), "drift-register".to_owned());
    assert_eq!(office.registrar.effects(), [Effect::Demote { serial: serial.clone(), request, code }]);
    let change = office.registrar.admitted(&serial, &asks("A"), Role::Follower, NOW);
    office.keep(change);
    office.restart();
    assert!(office.registrar.effects().is_empty());
    assert_eq!(office.registrar.metrics(NOW).alarms, 1, "somebody still has to look");
}

/// The organisation forgot to renew its authority: that is told before, and called by its name then.
#[test]
fn an_authority_that_is_over_issues_nothing() {
    let [issuing, registrar] = [NOW + 20 * DAY, NOW + 5 * DAY];
    let firm = Firm::until("Example", unix(issuing), unix(registrar));
    let verifier = Verifier::new(policy(&[]), released());
    let mut office = Office::with(setup_of(firm, "appraisal-hours-max = 9000", verifier));
    let pledge = maker().build("A", "");
    let change = office.registrar.approve(&pledge.serial, "Ada", NOW);
    office.keep(change);
    office.happened(Event::Seen { serial: pledge.serial.clone(), idevid: Hash::of(pledge.idevid.der()) });
    office.happened(pledge.appraised(1));
    let ldevid = office.certify(&pledge);
    assert_eq!(ldevid.validity().not_after().as_secs(), issuing, "not longer than the authority's own");

    let seconds = |office: &Office, now| office.registrar.metrics(now).certificate_seconds;
    let standing =
        |office: &Office, now| office.registrar.standing(now).map(|(name, standing)| (name, standing.code()));
    assert_eq!(standing(&office, NOW), [("registrar", "7-days"), ("issuing", "30-days")]);
    assert_eq!(seconds(&office, NOW), [("issuing", 20 * DAY), ("registrar", 5 * DAY)].into());
    let day = issuing - DAY;
    assert_eq!(standing(&office, day), [("registrar", "expired"), ("issuing", "1-day")]);
    assert_eq!(seconds(&office, day), [("issuing", DAY), ("registrar", 0)].into());
    for now in [issuing + 1, u64::MAX] {
        assert_eq!(standing(&office, now), [("registrar", "expired"), ("issuing", "expired")]);
    }

    // Its last second, and the next.
    office.now = issuing;
    office.certify(&pledge);
    office.now += 1;
    let answer = office.ask(Call::SimpleEnroll, &pledge.idevid, &pledge.csr());
    assert_eq!((answer.status, code(&answer), answer.retry_after), (500, "authority-expired".to_owned(), Some(30)));
    assert_eq!(office.refused(Call::SimpleReenroll, &pledge.idevid, &pledge.csr()), "authority-expired");
    let again = renewal(&ldevid, &*pledge.ldevid);
    assert_eq!(office.refused(Call::SimpleReenroll, &ldevid, &again), "authority-expired");
    let why = office.journal.iter().rev().find_map(|(_, record)| match &record.what {
        Event::Refused { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.is_some_and(|why| why.contains(&unix(issuing).to_string()) && why.contains("issue it another")));
    // A clock that no certificate can have is another matter.
    office.now = u64::MAX;
    assert_eq!(code(&office.ask(Call::SimpleEnroll, &pledge.idevid, &pledge.csr())), "clock");
}
