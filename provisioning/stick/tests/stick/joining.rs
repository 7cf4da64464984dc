//! Joining, by a stick that is carried to and fro.

use dolmen_provisioning_pledge::{Client, Connect, Hint, Phase, Role, Source, Step, Trust};
use dolmen_provisioning_registrar::{Event, Who};
use dolmen_provisioning_stick::{Carrier, Kind, Name, Reply, Standing, Task};

use crate::{
    site::{Desk, Progress, SERIAL, Site, Stick, carry, machine, place, sign},
    world::{DAY, epoch, maker, organisation, voucher},
};

/// What was asked in a letter on the stick.
fn paths(stick: &Stick, number: u64) -> Vec<String> {
    let message = &stick[&place(SERIAL, Name::letter(number))];
    let text = String::from_utf8_lossy(message);
    let parts = text.split("\"path\":\"").skip(1);
    parts.map(|part| part.split('"').next().expect("a path").rsplit('/').next().expect("a name").to_owned()).collect()
}

#[test]
fn three_carries_after_a_prepared_stick() {
    let machine = machine();
    let mut desk = Desk::new(&machine, &[SERIAL]);
    let mut stick = desk.prepare(SERIAL);
    let mut site = Site::new(&machine, SERIAL);

    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert_eq!((site.pledge.phase(), site.disk.epoch), (Phase::Attesting, 1));
    assert_eq!(paths(&stick, 1), ["cacerts", "enrolment", "voucher_status"]);
    desk.plug(&mut stick);
    // It takes a week to and fro.
    desk.office.now += 6 * DAY;
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert_eq!(paths(&stick, 2), ["response", "simpleenroll", "bundle"]);
    desk.plug(&mut stick);
    desk.office.now += 6 * DAY;
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert_eq!(site.pledge.phase(), Phase::AwaitingAdmission);
    assert_eq!(paths(&stick, 3), ["admission"]);
    desk.plug(&mut stick);
    // The chain takes its time; the stick is put in again.
    desk.plug(&mut stick);
    desk.decide(SERIAL);
    desk.plug(&mut stick);
    assert_eq!(desk.standings[2..], [Standing::New, Standing::Again, Standing::Again]);
    assert_eq!(site.run(&mut stick), Progress::Joined);
    assert_eq!(site.joined().0, Role::Validator);
    assert_eq!((site.carrier.number(), site.refused.len()), (3, 0));
    assert!(site.pledge.last_refusal().is_none(), "{:?}", site.pledge.last_refusal());

    // The audit log says by what way, and the report came.
    let carried = |(_, record): &&(u64, _)| {
        matches!(record, dolmen_provisioning_registrar::Record {
        who: Who::Peer { address, .. }, ..
    } if address == "stick")
    };
    assert!(desk.office.journal.iter().filter(carried).count() >= 6);
    assert!(!desk.office.journal.iter().any(|(_, record)| matches!(record.what, Event::Refused { .. })));
    let one = &desk.office.registrar.state().boxes()[&site.own.serial];
    assert_eq!(one.voucher_report, Some((true, None)));
    assert_eq!(one.certificates, [site.joined().1]);
    desk.office.restart();
    // A member stays one.
    site.restart();
    assert_eq!(site.run(&mut Stick::new()), Progress::Joined);
}

/// The box says who it is, and is brought its voucher.
#[test]
fn a_box_without_a_prepared_stick_writes_first() {
    let machine = machine();
    let mut desk = Desk::new(&machine, &[SERIAL]);
    let (mut site, mut stick) = (Site::new(&machine, SERIAL), Stick::new());
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert!(paths(&stick, 1).is_empty());
    // No voucher yet.
    let reply = |desk: &mut Desk, stick: &mut Stick, vouchers| {
        let (reply, keep) = desk.try_answer(&stick[&place(SERIAL, Name::letter(1))].clone(), vouchers).unwrap();
        assert_eq!(keep, None, "nothing has happened");
        stick.insert(place(SERIAL, Name::reply(1)), reply);
    };
    reply(&mut desk, &mut stick, vec![]);
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert!(site.disk.record.is_none());
    assert!(site.pledge.last_failure().unwrap().message().contains("no voucher"), "{:?}", site.pledge.last_failure());
    // One of another box, then the right one.
    for (serial, epoch_number) in [("B", 1), (SERIAL, 1)] {
        let message = maker().sign(&voucher(serial, organisation().root(), epoch(epoch_number)));
        reply(&mut desk, &mut stick, vec![message]);
        assert_eq!(site.run(&mut stick), Progress::Posted);
        assert_eq!(site.disk.record.is_some(), serial == SERIAL);
    }
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 3), 3);
    assert_eq!(site.carrier.number(), 4);
}

/// Somebody has to approve the box: the same letter is answered then.
#[test]
fn a_letter_waits_for_an_approval() {
    let machine = machine();
    let mut desk = Desk::by(&machine, &[SERIAL], "");
    let mut stick = desk.prepare(SERIAL);
    let mut site = Site::new(&machine, SERIAL);
    assert_eq!(site.run(&mut stick), Progress::Posted);
    desk.plug(&mut stick);
    let first = stick[&place(SERIAL, Name::reply(1))].clone();
    let change = desk.office.registrar.approve(&site.own.serial, "Ada", desk.office.now);
    desk.office.keep(change);
    desk.plug(&mut stick);
    assert_ne!(stick[&place(SERIAL, Name::reply(1))], first);
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 2), 2);
    assert_eq!(site.carrier.number(), 3);
}

/// It carried the refusal back, and begins anew.
#[test]
fn a_refused_box_begins_anew() {
    let machine = machine();
    let mut desk = Desk::by(&machine, &[SERIAL], "");
    let mut stick = desk.prepare(SERIAL);
    let mut site = Site::new(&machine, SERIAL);
    assert_eq!(site.run(&mut stick), Progress::Posted);
    desk.plug(&mut stick);
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert_eq!(site.pledge.last_refusal().unwrap().code(), "not-approved");
    assert_eq!(site.carrier.number(), 2);
    let change = desk.office.registrar.approve(&site.own.serial, "Ada", desk.office.now);
    desk.office.keep(change);
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 3), 3);
    assert_eq!(site.carrier.number(), 4);
}

/// What it asked of the box is in memory alone.
#[test]
fn a_registrar_that_was_restarted_has_the_box_begin_anew() {
    let machine = machine();
    let mut desk = Desk::new(&machine, &[SERIAL]);
    let mut stick = desk.prepare(SERIAL);
    let mut site = Site::new(&machine, SERIAL);
    assert_eq!(site.run(&mut stick), Progress::Posted);
    desk.plug(&mut stick);
    desk.office.restart();
    assert_eq!(site.run(&mut stick), Progress::Posted);
    desk.plug(&mut stick);
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 3), 3);
    assert_eq!(site.pledge.last_refusal().unwrap().code(), "no-challenge");
    assert_eq!((site.carrier.number(), site.refused.len()), (5, 0));
}

/// More than a week.
#[test]
fn challenges_do_not_wait_for_ever() {
    let machine = machine();
    let mut desk = Desk::new(&machine, &[SERIAL]);
    let mut stick = desk.prepare(SERIAL);
    let mut site = Site::new(&machine, SERIAL);
    site.run(&mut stick);
    desk.plug(&mut stick);
    site.run(&mut stick);
    desk.office.now += 7 * DAY + 1;
    desk.plug(&mut stick);
    site.run(&mut stick);
    assert_eq!(site.pledge.last_refusal().unwrap().code(), "no-challenge");
}

/// A stick is one place among others.
#[test]
fn other_places_are_the_drivers() {
    let machine = machine();
    let desk = Desk::new(&machine, &[SERIAL]);
    let mut site = Site::new(&machine, SERIAL);
    let hint = Hint::new(Source::Dhcp, "10.0.0.1", 8443).unwrap();
    let chain = [site.own.idevid.clone()];
    let step = |hint| Step::Connect(Connect { hint, client: Client::IDevId(&chain), trust: Trust::Provisional });
    assert!(matches!(site.carrier.take(&step(&hint)), Task::Yours));
    assert!(matches!(site.carrier.take(&Step::Attest), Task::Yours));
    // Nobody is known by the stick: the box writes who it is.
    let ours = Carrier::hint().unwrap();
    assert!(matches!(site.carrier.take(&step(&ours)), Task::Sign { .. }));
    site.plug(&desk.prepare(SERIAL));
    assert!(matches!(site.carrier.take(&step(&ours)), Task::Store(_)));
    site.carrier.performed(dolmen_provisioning_pledge::Outcome::Stored).unwrap();
    assert!(matches!(site.carrier.take(&step(&ours)), Task::Done(_)));
    assert!(matches!(site.carrier.take(&step(&hint)), Task::Yours));
}

/// Each box has a directory on the stick.
#[test]
fn boxes_share_a_stick() {
    let machine = machine();
    // One of them is refused: both say that they have the same TPM.
    let mut desk = Desk::new(&machine, &["A", "B"]);
    let mut stick = desk.prepare("A");
    stick.extend(desk.prepare("B"));
    let [mut a, mut b] = ["A", "B"].map(|serial| Site::new(&machine, serial));
    for _ in 0..3 {
        assert_eq!((a.run(&mut stick), b.run(&mut stick)), (Progress::Posted, Progress::Posted));
        desk.plug(&mut stick);
        desk.decide("A");
        desk.plug(&mut stick);
    }
    assert_eq!(a.run(&mut stick), Progress::Joined);
    assert_eq!(b.pledge.last_refusal().unwrap().code(), "tpm-of-other-box");
    assert!(a.refused.is_empty() && b.refused.is_empty());
    let replies = stick.keys().filter(|(_, name)| name.kind == Kind::Reply);
    assert!(replies.count() >= 6);
    // What is for the one is nothing for the other.
    let ahead = sign(&Reply::ahead("B".parse().unwrap(), vec![]));
    assert_eq!(a.carrier.receive(&ahead).unwrap_err().code(), "reply-serial");
}
