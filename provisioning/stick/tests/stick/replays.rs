//! Letters and replies of before, of others, and by others.

use std::slice::from_ref;

use dolmen_hsm_api::Signer;
use dolmen_provisioning_ca::{Certificate, chain::Roots};
use dolmen_provisioning_pledge::Outcome;
use dolmen_provisioning_stick::{Arrived, Body, Letter, Method, Name, Office, Reply, Request, Standing};
use dolmen_provisioning_voucher::IdevidRoots;
use futures::executor::block_on;

use crate::{
    machine::Machine,
    site::{Desk, Progress, SERIAL, Site, Stick, carry, machine, place, sign},
    world::{Firm, Maker, key, maker, organisation},
};

/// A box whose letter with this number is on the stick, and a registrar that has answered those before.
fn until<'a>(machine: &'a Machine, number: u64) -> (Site<'a>, Desk, Stick) {
    let mut desk = Desk::new(machine, &[SERIAL, "B"]);
    let mut stick = desk.prepare(SERIAL);
    let mut site = Site::new(machine, SERIAL);
    assert_eq!(site.run(&mut stick), Progress::Posted);
    while site.carrier.number() < number {
        desk.plug(&mut stick);
        assert_eq!(site.run(&mut stick), Progress::Posted);
    }
    (site, desk, stick)
}

fn letter(stick: &Stick, number: u64) -> Vec<u8> {
    stick[&place(SERIAL, Name::letter(number))].clone()
}

fn reply(stick: &Stick, number: u64) -> Vec<u8> {
    stick[&place(SERIAL, Name::reply(number))].clone()
}

fn text(serial: &str, number: u64, requests: Vec<Request>) -> Letter {
    Letter { serial_number: serial.parse().expect("a serial number"), number, owner: None, requests }
}

fn get(path: &str) -> Request {
    Request { method: Method::Get, path: path.to_owned(), content_type: None, body: Body::default() }
}

fn signed(letter: &Letter, key: &dyn Signer, chain: &[Certificate]) -> Vec<u8> {
    block_on(letter.to_sign(chain).expect("a message").sign(key)).expect("a signature")
}

#[test]
fn the_same_letter_has_the_same_reply() {
    let machine = machine();
    let (mut site, mut desk, mut stick) = until(&machine, 2);
    desk.plug(&mut stick);
    let (first, records) = (reply(&stick, 2), desk.office.journal.len());
    desk.office.restart();
    desk.plug(&mut stick);
    assert_eq!((reply(&stick, 2), desk.office.journal.len()), (first, records));
    assert_eq!(desk.standings, [Standing::New, Standing::New, Standing::Again]);
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 1), 1);
}

#[test]
fn a_letter_of_before_does_nothing() {
    let machine = machine();
    let (mut site, mut desk, mut stick) = until(&machine, 2);
    desk.plug(&mut stick);
    let (records, kept) = (desk.office.journal.len(), desk.kept.clone());
    let again = desk.answer(&letter(&stick, 1)).unwrap();
    assert_eq!(desk.standings.last(), Some(&Standing::Old));
    assert_eq!((desk.office.journal.len(), &desk.kept), (records, &kept));
    // Nor is there anything in it for the box.
    assert_eq!(site.carrier.receive(&again).unwrap_err().code(), "reply-other-letter");
    // Another with the same number.
    let other =
        signed(&text(SERIAL, 2, vec![get("/.well-known/est/cacerts")]), &*site.own.key, &[site.own.idevid.clone()]);
    desk.answer(&other).unwrap();
    assert_eq!((desk.standings.last(), &desk.kept), (Some(&Standing::Old), &kept));
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 1), 1);
}

/// It begins to count anew, and is told how far it was.
#[test]
fn a_box_that_lost_its_letters_goes_on() {
    let machine = machine();
    let (mut site, mut desk, mut stick) = until(&machine, 2);
    desk.plug(&mut stick);
    site.disk.letters = None;
    site.restart();
    stick.clear();
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert_eq!(site.carrier.number(), 1);
    desk.plug(&mut stick);
    assert_eq!(desk.standings.last(), Some(&Standing::Old));
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert_eq!(site.carrier.number(), 3);
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 3), 3);
}

#[test]
fn replies_are_to_the_last_letter() {
    let machine = machine();
    let (mut site, mut desk, mut stick) = until(&machine, 2);
    desk.plug(&mut stick);
    let code = |site: &mut Site<'_>, message: &[u8]| site.carrier.receive(message).unwrap_err().code();
    assert_eq!(code(&mut site, &reply(&stick, 1)), "reply-other-letter");
    // By others: nobody, another organisation, and a box of the organisation.
    let shape = |edit: &dyn Fn(&mut Reply)| {
        let json = dolmen_provisioning_ca::cms::open(
            &reply(&stick, 2),
            dolmen_provisioning_ca::cms::ContentType::data(8 << 20),
        );
        let mut reply = Reply::from_json(json.unwrap().content()).unwrap();
        edit(&mut reply);
        reply
    };
    let by = |reply: &Reply, key: &dyn Signer, chain: &[Certificate]| {
        block_on(reply.to_sign(chain).unwrap().sign(key)).unwrap()
    };
    let good = shape(&|_| ());
    let other = Firm::new("Other");
    assert_eq!(code(&mut site, &by(&good, &*key("registrar"), &other.certificates())), "reply-untrusted");
    let by_box = by(&good, &*site.own.key, &[site.own.idevid.clone()]);
    let by_member = by(&good, &*site.own.ldevid, &[organisation().ldevid(&site.own)]);
    for message in [by_box, by_member] {
        assert_eq!(code(&mut site, &message), "reply-untrusted");
    }
    // What does not fit.
    assert_eq!(code(&mut site, &sign(&shape(&|reply| reply.serial_number = "B".parse().unwrap()))), "reply-serial");
    assert_eq!(code(&mut site, &sign(&shape(&|reply| reply.number = 1))), "reply-unfit");
    let more = shape(&|reply| reply.answers.push(reply.answers[0].clone()));
    assert_eq!(code(&mut site, &sign(&more)), "reply-unfit");
    assert_eq!(code(&mut site, &letter(&stick, 2)), "reply-content");
    // Nothing of this has changed anything.
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 1), 1);
    assert_eq!(site.carrier.number(), 3);
}

#[test]
fn letters_are_by_the_box_that_they_name() {
    let machine = machine();
    let (site, mut desk, stick) = until(&machine, 1);
    let (own, other) = (&site.own, maker().build("B", ""));
    let code = |desk: &mut Desk, message: &[u8]| desk.answer(message).unwrap_err().code();
    let idevid = from_ref(&own.idevid);
    assert_eq!(
        code(&mut desk, &signed(&text(SERIAL, 9, vec![]), &*other.key, from_ref(&other.idevid))),
        "letter-serial"
    );
    let stranger = Maker::new("Stranger").build(SERIAL, "");
    let message = signed(&text(SERIAL, 9, vec![]), &*stranger.key, from_ref(&stranger.idevid));
    assert_eq!(code(&mut desk, &message), "letter-untrusted");
    let message = signed(&text(SERIAL, 9, vec![]), &*key("registrar"), &organisation().certificates());
    assert_eq!(code(&mut desk, &message), "letter-untrusted");
    // Of an organisation's certificate that the registrar's did not issue.
    let foreign = Firm::new("Other").ldevid(own);
    assert_eq!(code(&mut desk, &signed(&text(SERIAL, 9, vec![]), &*own.ldevid, &[foreign])), "letter-untrusted");
    // For another owner.
    let owner = Some(Firm::new("Other").root().fingerprint().into());
    let message = signed(&Letter { owner, ..text(SERIAL, 9, vec![]) }, &*own.key, idevid);
    assert_eq!(code(&mut desk, &message), "letter-organisation");
    assert_eq!(code(&mut desk, &sign(&Reply::ahead(SERIAL.parse().unwrap(), vec![]))), "letter-content");
    assert!(desk.kept.is_empty());
    // The other organisation's registrar does not take ours.
    let firm = Firm::new("Other");
    let makers = IdevidRoots(Roots::new(vec![maker().root.certificate().clone()]).unwrap());
    let certificates = firm.certificates();
    let office = Office { makers: &makers, authorities: &certificates[1..], certificates: &certificates };
    assert_eq!(Arrived::verify(&letter(&stick, 1), &office).unwrap_err().code(), "letter-organisation");
    // What was kept is somebody else's.
    for kept in [sign(&Reply::ahead("B".parse().unwrap(), vec![])), b"nothing".to_vec()] {
        desk.kept.insert(own.idevid.fingerprint(), kept);
        assert_eq!(code(&mut desk, &letter(&stick, 1)), "letter-kept-reply");
    }
}

/// What a member may ask is for whoever showed the key of the certificate.
#[test]
fn bundles_are_for_holders_of_the_certificate() {
    let machine = machine();
    let (site, mut desk, _) = until(&machine, 1);
    let idevid = [site.own.idevid.clone()];
    let bundle = || get("/.well-known/dolmen/bundle");
    let statuses = |desk: &mut Desk, requests: Vec<Request>, number| {
        let (message, _) =
            desk.try_answer(&signed(&text(SERIAL, number, requests), &*site.own.key, &idevid), vec![]).unwrap();
        let content = dolmen_provisioning_ca::cms::ContentType::data(8 << 20);
        let opened = dolmen_provisioning_ca::cms::open(&message, content).unwrap();
        let reply = Reply::from_json(opened.content()).unwrap();
        reply.answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&mut desk, vec![bundle()], 5), [403]);
    // A certificate that is not given is shown by nobody: the rest waits.
    let body = Body(site.own.csr());
    let content_type = Some("application/pkcs10".to_owned());
    let request =
        Request { method: Method::Post, path: "/.well-known/est/simpleenroll".to_owned(), content_type, body };
    assert_eq!(statuses(&mut desk, vec![request.clone(), bundle()], 6), [409]);
    // Once it is given, by the rules of the registrar, the bundle is there too.
    desk.office.enrol(&site.own, 1);
    assert_eq!(statuses(&mut desk, vec![request, bundle(), get("/.well-known/est/cacerts")], 7), [200, 200, 200]);
}

/// A machine with the same serial number by another key gets no further, and takes no numbers away.
#[test]
fn an_impostor_takes_no_numbers() {
    let machine = machine();
    let (mut site, mut desk, mut stick) = until(&machine, 2);
    let impostor = maker().build(SERIAL, "impostor");
    let enrolment = dolmen_provisioning_appraisal::Message::to_json(&machine.enrolment(&impostor.serial)).unwrap();
    let content_type = Some("application/json".to_owned());
    let path = "/.well-known/dolmen/enrolment".to_owned();
    let request = Request { method: Method::Post, path, content_type, body: Body(enrolment) };
    let requests = vec![get("/.well-known/est/cacerts"), request];
    desk.answer(&signed(&text(SERIAL, 1000, requests), &*impostor.key, from_ref(&impostor.idevid))).unwrap();
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 2), 2);
    assert_eq!(site.carrier.number(), 3);
}

/// Neither on the first connection, by which the box got its owner, nor before the next is somebody else believed.
#[test]
fn replies_are_by_the_owner_from_the_first_letter_on() {
    let machine = machine();
    let (mut site, mut desk, mut stick) = until(&machine, 1);
    let other = Firm::new("Other").certificates();
    let hash = dolmen_image_bundle::Hash::of(&letter(&stick, 1));
    let by = |reply: &Reply, chain: &[Certificate]| {
        block_on(reply.to_sign(chain).unwrap().sign(&*key("registrar"))).unwrap()
    };
    let ahead = Reply::ahead(SERIAL.parse().unwrap(), vec![]);
    let answering = Reply { number: 1, letter: Some((*hash.as_bytes()).into()), ..ahead.clone() };
    // As if later letters had come: numbers cannot be used up by strangers.
    let later = Reply { number: u64::MAX, ..answering.clone() };
    for reply in [&answering, &later] {
        assert_eq!(site.carrier.receive(&by(reply, &other)).unwrap_err().code(), "reply-untrusted");
    }
    assert_eq!(site.carrier.receive(&sign(&ahead)).unwrap_err().code(), "reply-early");
    // Just switched on: nobody has said yet whose the box is.
    site.restart();
    for reply in [&answering, &later, &ahead] {
        assert_eq!(site.carrier.receive(&by(reply, &other)).unwrap_err().code(), "reply-early");
    }
    // A forged file in the place of the reply.
    stick.insert(place(SERIAL, Name::reply(1)), by(&answering, &other));
    assert_eq!(site.run(&mut stick), Progress::Posted);
    assert_eq!(site.refused, ["reply-untrusted"]);
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 3), 3);
    assert_eq!(site.carrier.number(), 3);
}

/// The same, where its first letter was answered: another with that number is no reply to it.
#[test]
fn a_box_that_lost_its_first_letter_goes_on() {
    let machine = machine();
    let (mut site, mut desk, mut stick) = until(&machine, 1);
    desk.plug(&mut stick);
    site.disk.letters = None;
    site.restart();
    stick.clear();
    assert_eq!(carry(&mut site, &mut desk, &mut stick, 4), 4);
    assert_eq!(site.carrier.number(), 4);
}

/// A box without an owner believes no numbers.
#[test]
fn strangers_use_up_no_numbers() {
    let machine = machine();
    let (mut site, mut stick) = (Site::new(&machine, SERIAL), Stick::new());
    assert_eq!(site.run(&mut stick), Progress::Posted);
    let hash = dolmen_image_bundle::Hash::of(&letter(&stick, 1));
    let reply = Reply {
        number: u64::MAX,
        letter: Some((*hash.as_bytes()).into()),
        ..Reply::ahead(SERIAL.parse().unwrap(), vec![])
    };
    assert_eq!(site.carrier.receive(&sign(&reply)).unwrap_err().code(), "reply-unfit");
    assert_eq!(site.carrier.number(), 1);
}

/// Whoever signs for the box signs what it wrote.
#[test]
fn signatures_are_of_the_letter() {
    let machine = machine();
    let (mut site, _, mut stick) = until(&machine, 1);
    stick.clear();
    let before = site.carrier.number();
    for message in [Vec::new(), signed(&text(SERIAL, 2, vec![]), &*site.own.key, &[site.own.idevid.clone()])] {
        assert!(site.carrier.performed(Outcome::Signed(message)).is_err());
    }
    assert!(site.carrier.performed(Outcome::Waited).is_err());
    assert_eq!(site.carrier.number(), before);
}
