//! Boxes with real TPMs, of software: the whole way from the first request to the chain, and what TPMs give away.

use std::collections::BTreeMap;

use dolmen_hsm_evidence::Public;
use dolmen_hsm_swtpm::{Maker as TpmMaker, Swtpm};
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{
    Acknowledgement, Challenge, Fixed, Message as _, QuoteRequest, Response, Verifier,
};
use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_journal::Journal;
use dolmen_provisioning_registrar::{Answer, Call, Effect, Record, Registrar, Role};

use crate::{
    machine::Machine,
    measured::boot,
    support::{policy, released, roots},
    world::{DAY, NOW, Office, Pledge, asks, code, epoch, maker, nonce, organisation, setup, voucher},
};

fn ek(machine: &Machine) -> Hash {
    let area = machine.enrolment(&"A".parse().expect("a serial number")).ek_public;
    Hash::of(&Public::from_tpm2b(area.as_slice()).expect("a key").key().to_spki().expect("a key"))
}

/// A registrar that knows the TPMs of these boxes, and approves all.
pub(crate) fn office(text: &str, boxes: &[(&str, &Machine)]) -> Office {
    let eks: BTreeMap<_, _> = boxes.iter().map(|(serial, machine)| (*serial, ek(machine))).collect();
    let lines: Vec<_> = eks.iter().map(|(serial, ek)| format!("\"{serial}\" = \"{ek}\"")).collect();
    let registered = format!("{{ {} }}", lines.join(", "));
    let verifier = Verifier::new(policy(&[("registered-eks", &registered)]), released());
    with_verifier(text, verifier)
}

fn with_verifier(text: &str, verifier: Verifier) -> Office {
    let root = Hash::from_bytes(maker().root.certificate().fingerprint());
    Office::with(setup(&format!("{text}\n[approve]\nmakers = [\"{root}\"]"), verifier))
}

pub(crate) fn pledge(serial: &str, machine: &Machine) -> Pledge {
    Pledge { ldevid: machine.ldevid(), ..maker().build(serial, "") }
}

fn begin(office: &mut Office, pledge: &Pledge, machine: &Machine) -> Answer {
    let enrolment = machine.enrolment(&pledge.serial).to_json().expect("a message");
    office.ask(Call::Enrolment, &pledge.idevid, &enrolment)
}

pub(crate) fn challenge(answer: &Answer) -> Challenge {
    assert_eq!((answer.status, answer.media), (200, Some("application/json")), "{answer:?}");
    Challenge::from_json(&answer.body).expect("a challenge")
}

/// What becomes of the box's answer, with something in it changed.
fn appraise(
    office: &mut Office,
    pledge: &Pledge,
    machine: &Machine,
    change: impl FnOnce(&Challenge, &mut Response),
) -> Answer {
    let challenge = challenge(&begin(office, pledge, machine));
    let mut response = machine.respond(&challenge);
    change(&challenge, &mut response);
    office.ask(Call::Response, &pledge.idevid, &response.to_json().expect("a message"))
}

fn asked(office: &mut Office, ldevid: &Certificate) -> QuoteRequest {
    QuoteRequest::from_json(&office.ask(Call::AskQuote, ldevid, &[]).body).expect("a request")
}

fn attest(office: &mut Office, ldevid: &Certificate, machine: &Machine) -> Answer {
    let answer = machine.attest(&asked(office, ldevid)).to_json().expect("a message");
    office.ask(Call::Attestation, ldevid, &answer)
}

/// With a restart of the registrar after each step, and its records in a journal on the disk.
#[test]
fn a_box_joins_and_stays_what_it_was() {
    let mut machine = Machine::new(Swtpm::new(), boot());
    let mut office = office("on-drift = \"demote\"", &[("A", &machine)]);
    let pledge = pledge("A", &machine);
    let message = maker().sign(&voucher("A", organisation().root(), epoch(1)));
    let change = office.registrar.import(&message, "Ada", office.now);
    office.keep(change);
    let answer = office.ask(Call::RequestVoucher, &pledge.idevid, &pledge.request(nonce(1), |_| ()));
    assert_eq!((answer.status, answer.body), (200, message));
    office.restart();

    // What was asked is in memory alone: the box begins anew.
    let lost = challenge(&begin(&mut office, &pledge, &machine));
    office.restart();
    let response = machine.respond(&lost).to_json().unwrap();
    assert_eq!(office.refused(Call::Response, &pledge.idevid, &response), "no-challenge");
    assert_eq!(appraise(&mut office, &pledge, &machine, |_, _| ()).status, 204);
    // The same answer again: its challenge is used up.
    assert_eq!(office.refused(Call::Response, &pledge.idevid, &response), "no-challenge");
    office.restart();
    let ldevid = office.certify(&pledge);
    office.restart();
    assert_eq!(office.ask(Call::Bundle, &ldevid, &[]).status, 200);
    let request = pledge.admission(&ldevid, office.appraisal(&pledge), |_| ());
    assert_eq!(office.ask(Call::Admission, &ldevid, &request).status, 202);
    assert!(matches!(&office.effects[..], [Effect::Admit { serial, .. }] if *serial == pledge.serial));
    let change = office.registrar.admitted(&pledge.serial, &asks(pledge.serial.as_str()), Role::Validator, office.now);
    office.keep(change);
    office.restart();
    assert_eq!(office.ask(Call::Admission, &ldevid, &request).status, 200);

    // A day later, and after a boot.
    office.now += DAY;
    assert_eq!(office.registrar.due(office.now).len(), 1);
    machine.reboot(boot());
    let answer = attest(&mut office, &ldevid, &machine);
    assert_eq!((answer.status, answer.media), (200, Some("application/json")));
    // As often as the policy says, by default once a day.
    assert_eq!(Acknowledgement::from_json(&answer.body).unwrap().again_seconds, 86_400);
    assert!(office.registrar.due(office.now).is_empty());
    // It did so after it was admitted, as whoever asks can tell.
    let one = &office.registrar.state().boxes()[&pledge.serial];
    assert!(one.shown && one.appraised.as_ref().map(|appraised| appraised.at) > one.admitted);
    office.restart();
    // An old quote is refused, and is no alarm.
    let old = asked(&mut office, &ldevid);
    let answer = machine.attest(&old).to_json().unwrap();
    asked(&mut office, &ldevid);
    assert_eq!(office.refused(Call::Attestation, &ldevid, &answer), "quote-replayed");
    assert_eq!(office.refused(Call::Attestation, &ldevid, &answer), "no-challenge");
    assert_eq!(office.registrar.metrics(NOW).alarms, 0);

    drift(&mut office, &pledge, &ldevid, &mut machine);
    on_disk(&office);
}

/// Its firmware is another. It cannot hide that by enrolling anew.
fn drift(office: &mut Office, pledge: &Pledge, ldevid: &Certificate, machine: &mut Machine) {
    let mut flashed = boot();
    flashed.firmware[0] = (0, "other firmware");
    machine.reboot(flashed);
    assert_eq!(code(&appraise(office, pledge, machine, |_, _| ())), "firmware-changed");
    let demote =
        |code: &str| Effect::Demote { serial: pledge.serial.clone(), request: asks("A"), code: code.to_owned() };
    assert_eq!(office.effects.pop(), Some(demote("firmware-changed")));
    assert_eq!(code(&attest(office, ldevid, machine)), "drift-register");
    assert_eq!(office.effects.pop(), Some(demote("drift-register")));
    office.restart();
    assert_eq!(office.registrar.effects(), [demote("drift-register")]);
    assert_eq!(code(&begin(office, pledge, machine)), "box-alarmed");
    assert_eq!(office.refused(Call::SimpleEnroll, &pledge.idevid, &pledge.csr()), "box-alarmed");
    // Somebody looked at it: it was updated. It comes as before, and is told to enrol anew, as often as it comes.
    let change = office.registrar.allow_change(&pledge.serial, "Ada", office.now);
    office.keep(change);
    office.restart();
    for _ in 0..2 {
        let answer = attest(office, ldevid, machine);
        assert_eq!((answer.status, code(&answer)), (409, "enrol-anew".to_owned()));
    }
    assert_eq!((office.registrar.metrics(NOW).alarms, office.registrar.effects()), (0, vec![]));
    // That is about firmware alone: another image is another matter.
    let mut other = machine.attest(&asked(office, ldevid));
    other.claim.version.patch += 1;
    assert_eq!(office.refused(Call::Attestation, ldevid, &other.to_json().expect("a message")), "image-forbidden");
    assert_eq!(office.effects.pop(), Some(demote("image-forbidden")));
    let change = office.registrar.allow_change(&pledge.serial, "Ada", office.now);
    office.keep(change);

    assert_eq!(appraise(office, pledge, machine, |_, _| ()).status, 204);
    assert!(!office.registrar.state().boxes()[&pledge.serial].may_change);
    office.restart();
    assert_eq!(office.ask(Call::SimpleReenroll, &pledge.idevid, &pledge.csr()).status, 200);
    // What is enrolled is the new firmware, and going back is a change as any other.
    assert_eq!(attest(office, ldevid, machine).status, 200);
    assert_eq!(office.registrar.metrics(NOW).alarms, 0);
    office.now += 60;
    machine.reboot(boot());
    assert_eq!(code(&attest(office, ldevid, machine)), "drift-register");
    assert_eq!(office.registrar.metrics(NOW).alarms, 1);
    office.restart();
}

/// The records fit into the journal that they are for.
fn on_disk(office: &Office) {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("journal");
    let (mut journal, _) = Journal::<Record>::open(&path).expect("a journal");
    for (time, record) in &office.journal {
        journal.append(*time, record.clone()).expect("it is written");
    }
    drop(journal);
    let (_, entries) = Journal::<Record>::open(&path).expect("a journal");
    let records = entries.iter().map(|entry| (entry.time, &entry.record));
    let (registrar, more) = Registrar::open(office.registrar.setup().clone(), records).expect("its own journal");
    assert_eq!((registrar.state(), more), (office.registrar.state(), vec![]));
}

#[test]
fn tpms_that_are_not_what_they_should_be_are_refused() {
    let ours = Machine::new(Swtpm::new(), boot());
    let mut theirs = Machine::new(Swtpm::new(), boot());
    let mut office = office("", &[("A", &ours), ("B", &ours), ("C", &theirs)]);
    let [a, b, c] = [pledge("A", &ours), pledge("B", &ours), pledge("C", &theirs)];
    // Another TPM than the registered one, and none that is registered.
    assert_eq!(code(&begin(&mut office, &a, &theirs)), "ek-other");
    assert_eq!(code(&begin(&mut office, &pledge("D", &theirs), &theirs)), "ek-unregistered");
    // What was certified for another machine.
    let enrolment = ours.enrolment(&b.serial).to_json().unwrap();
    assert_eq!(office.refused(Call::Enrolment, &a.idevid, &enrolment), "certification-nonce");
    // An old quote, another TPM's, and the answer to the challenge before.
    let old = |challenge: &Challenge, response: &mut Response| {
        response.quote = ours.quote(&Fixed([9; 32]), &challenge.registers);
    };
    assert_eq!(code(&appraise(&mut office, &a, &ours, old)), "quote-replayed");
    let other = |challenge: &Challenge, response: &mut Response| {
        response.quote = theirs.quote(&challenge.nonce, &challenge.registers);
    };
    assert_eq!(code(&appraise(&mut office, &a, &ours, other)), "quote-signature");
    let before = challenge(&begin(&mut office, &a, &ours));
    challenge(&begin(&mut office, &a, &ours));
    let response = ours.respond(&before).to_json().unwrap();
    assert_eq!(office.refused(Call::Response, &a.idevid, &response), "activation");
    // A challenge is another box's, or too old.
    let response = ours.respond(&challenge(&begin(&mut office, &a, &ours))).to_json().unwrap();
    assert_eq!(office.refused(Call::Response, &c.idevid, &response), "out-of-order");
    office.now += 301;
    assert_eq!(office.refused(Call::Response, &a.idevid, &response), "no-challenge");
    // Something ran that no image has.
    let mut more = boot();
    more.firmware.push((4, "a root kit"));
    theirs.reboot(more);
    assert_eq!(code(&appraise(&mut office, &c, &theirs, |_, _| ())), "pcr-mismatch");

    // One TPM in two boxes.
    office.now += 301;
    assert_eq!(appraise(&mut office, &a, &ours, |_, _| ()).status, 204);
    assert_eq!(code(&appraise(&mut office, &b, &ours, |_, _| ())), "tpm-of-other-box");
    // A copied disk: the certificate is in another machine, whose TPM has another key.
    let ldevid = office.certify(&a);
    theirs.reboot(boot());
    assert_eq!(code(&attest(&mut office, &ldevid, &theirs)), "drift-key");
    assert_eq!(office.registrar.state().boxes()[&a.serial].alarm.as_deref(), Some("drift-key"));
    office.restart();
}

/// That of a maker whose certificate says that it is a program.
#[test]
fn a_tpm_of_software_is_refused_where_hardware_is_asked_for() {
    let tpms = TpmMaker::new();
    let hardware = Machine::new(Swtpm::made_by(&tpms, "id:49465800"), boot());
    let software = Machine::new(Swtpm::made_by(&tpms, "id:00001014"), boot());
    let roots = roots(&tpms.certificates());
    let terms = policy(&[("ek-roots", &roots), ("without-certificate", "")]);
    let mut office = with_verifier("", Verifier::new(terms, released()));
    let [a, b] = [pledge("A", &hardware), pledge("B", &software)];
    assert_eq!(appraise(&mut office, &a, &hardware, |_, _| ()).status, 204);
    assert_eq!(code(&begin(&mut office, &b, &software)), "tpm-software");
    office.certify(&a);
    office.restart();
}

#[test]
fn challenges_have_a_bound() {
    let machine = Machine::new(Swtpm::new(), boot());
    let serials: Vec<_> = (0..65).map(|number| format!("S{number}")).collect();
    let boxes: Vec<_> = serials.iter().map(|serial| (&serial[..], &machine)).collect();
    let mut office = office("", &boxes);
    let pledges: Vec<_> = serials.iter().map(|serial| pledge(serial, &machine)).collect();
    let (last, first) = pledges.split_last().unwrap();
    for pledge in first {
        challenge(&begin(&mut office, pledge, &machine));
    }
    assert_eq!(office.registrar.metrics(NOW).challenges, 64);
    let answer = begin(&mut office, last, &machine);
    assert_eq!((answer.status, code(&answer)), (503, "challenges-full".to_owned()));
    // One that has a challenge may have another, and in five minutes there is room.
    challenge(&begin(&mut office, &first[0], &machine));
    office.now += 301;
    challenge(&begin(&mut office, last, &machine));
    assert_eq!(office.registrar.metrics(NOW).challenges, 1);
}
