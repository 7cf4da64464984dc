//! Who refuses whom, by which code, and what becomes of it.

use dolmen_provisioning_ca::{Certificate, UnixTime, Validity, est};
use dolmen_provisioning_pledge::{Answer, KeeperPhase, Outcome, Step, Who};
use futures::executor::block_on;

use crate::{
    house::{House, LIFE},
    machine::Trouble,
    registrar::{Registrar, START, Stock, ok, public_key, refused},
    support::{IDEVID, LDEVID, Organisation, SERIAL, hint, issue_ldevid, rotated, signer, world},
};

fn code(house: &House) -> (Who, &str) {
    let report = house.keeper.last_refusal().expect("a refusal");
    (report.who(), report.code())
}

fn failure(house: &House) -> Option<&str> {
    house.keeper.last_failure().map(|report| report.code())
}

/// Runs until this is asked, and answers it so.
fn answered(begin: u64, (method, path): (&str, &str), answer: Answer) -> House {
    let mut house = House::new();
    house.pass(begin);
    house.run_to_path(method, path);
    house.step(Some(&Trouble::Answer(answer)));
    house
}

/// What is asked, and after how long.
const ASKED: [(u64, (&str, &str)); 6] = [
    (0, ("GET", "attestation")),
    (0, ("POST", "attestation")),
    (LIFE / 3 * 2, ("POST", "simplereenroll")),
    (LIFE + 1, ("POST", "enrolment")),
    (LIFE + 1, ("POST", "response")),
    (LIFE + 1, ("POST", "simplereenroll")),
];

/// Codes of the registrar that a box cannot change by asking again.
const FOR_GOOD: [&str; 13] = [
    "box-revoked",
    "box-replaced",
    "box-declined",
    "box-alarmed",
    "idevid-unknown-maker",
    "idevid-other",
    "drift-key",
    "drift-register",
    "firmware-changed",
    "quote-replayed",
    "key-not-appraised",
    "reenroll-other",
    "message-damaged",
];

/// Codes that another enrolment may help against.
const ENROL_ANEW: [&str; 4] = ["ldevid-expired", "ldevid-not-issued", "ldevid-unknown", "enrol-anew"];

/// It begins at once; where that is refused too, the box is as patient as ever, and begins by its certificate again.
#[test]
fn another_enrolment_is_tried_once() {
    for (begin, asked) in &ASKED[..3] {
        for refusal in ENROL_ANEW {
            let mut house = answered(*begin, *asked, refused(403, refusal, false));
            assert_eq!((code(&house), house.keeper.phase()), ((Who::Registrar, refusal), KeeperPhase::Connecting));
            house.paths();
            house.run_to_path("POST", "enrolment");
            house.step(Some(&Trouble::Answer(refused(403, "box-alarmed", false))));
            assert_eq!((code(&house), house.keeper.phase()), ((Who::Registrar, "box-alarmed"), KeeperPhase::Pausing));
            assert_eq!((house.paths().len(), house.machine.waited), (1, 0));
            house.live(840);
            assert!(house.paths().is_empty());
            house.rest();
            let paths = house.paths();
            assert_eq!(paths[..2], ["attestation"; 2], "{asked:?} {refusal}");
            house.check_well();
        }
    }
}

#[test]
fn a_box_that_is_refused_says_so_and_asks_again_seldom() {
    for (begin, asked) in ASKED {
        // What leads to another enrolment does not in the midst of one.
        let more: &[_] = if begin > LIFE { &ENROL_ANEW } else { &[] };
        for refusal in FOR_GOOD.iter().chain(more).copied() {
            let mut house = answered(begin, asked, refused(403, refusal, false));
            assert_eq!(code(&house), (Who::Registrar, refusal), "{asked:?}");
            assert_eq!(house.keeper.phase(), KeeperPhase::Pausing);
            let before = house.keeper.certificate().clone();
            house.paths();
            house.live(840);
            assert!(house.paths().is_empty(), "{asked:?} {refusal}");
            assert_eq!(*house.keeper.certificate(), before);
            // Nothing is deleted, and the box goes on when its registrar does.
            house.rest();
            house.check_well();
            assert!(house.machine.waited <= 960, "{asked:?} {refusal}");
        }
    }
}

#[test]
fn a_registrar_that_may_answer_otherwise_is_asked_soon() {
    for (begin, asked) in ASKED {
        for (refusal, status) in [
            ("rate", 429),
            ("challenges-full", 503),
            ("no-challenge", 409),
            ("appraisal-old", 409),
            ("not-approved", 403),
            ("out-of-order", 409),
            ("clock", 500),
        ] {
            let answer = refused(status, refusal, true);
            let mut house = answered(begin, asked, answer.clone());
            assert_eq!(code(&house), (Who::Registrar, refusal));
            house.rest();
            house.check_well();
            assert!(house.machine.waited < 5, "{asked:?} {refusal}");
            // When it says so.
            let mut house = answered(begin, asked, Answer { retry_after: Some("30".to_owned()), ..answer });
            house.rest();
            house.check_well();
            assert_eq!(house.machine.waited, 30, "{asked:?} {refusal}");
        }
    }
}

/// A registrar that is there and does not do its part is asked less and less, as one that is not there.
#[test]
fn pauses_grow_as_long_as_nothing_is_done() {
    for (begin, asked) in ASKED {
        let mut house = House::new();
        house.pass(begin);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            house.run_to_path(asked.0, asked.1);
            let before = house.machine.waited;
            house.step(Some(&Trouble::Undone));
            assert_eq!(failure(&house), Some("connection-failed"));
            house.run_to(|step| matches!(step, Step::Discover));
            pauses.push(house.machine.waited - before);
        }
        assert_eq!(pauses, [2, 5, 10, 20, 40, 80, 160, 300, 300], "{asked:?}");
        house.rest();
        house.check_well();
    }
}

/// Nor is one disturbed without end by a box whose own part fails, whatever went well before.
#[test]
fn pauses_grow_as_long_as_the_box_fails() {
    for (begin, step, code) in [
        (0, "reattest", "attestation-failed"),
        (LIFE / 3 * 2, "make-renewal", "request-not-made"),
        (LIFE / 3 * 2, "store", "record-not-stored"),
        (LIFE + 1, "attest", "attestation-failed"),
        (LIFE + 1, "respond", "response-failed"),
        (LIFE + 1, "make-renewal", "request-not-made"),
    ] {
        let mut house = House::new();
        house.pass(begin);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            house.run_to(|next| next.name() == step);
            let before = house.machine.waited;
            house.step(Some(&Trouble::Undone));
            assert_eq!((failure(&house), house.keeper.phase()), (Some(code), KeeperPhase::Pausing));
            house.run_to(|next| !matches!(next, Step::Wait { .. }));
            pauses.push(house.machine.waited - before);
        }
        assert_eq!(pauses, [2, 5, 10, 20, 40, 80, 160, 300, 300], "{step}");
        house.rest();
        house.check_well();
    }
}

#[test]
fn strange_answers_are_failures() {
    for (begin, asked) in ASKED {
        for answer in [
            ok("text/html", "<html>"),
            Answer { status: 302, ..ok("", "") },
            Answer { status: 500, ..ok("", "") },
            ok("application/json", vec![b' '; 8 << 20]),
        ] {
            // One that has no body to be read is taken at its word.
            if asked.1 == "response" && answer.status == 200 && answer.body.len() < 1024 {
                continue;
            }
            let mut house = answered(begin, asked, answer);
            assert_eq!((failure(&house), house.keeper.last_refusal()), (Some("answer-strange"), None), "{asked:?}");
            house.rest();
            house.check_well();
        }
    }
}

/// An attestation counts when the registrar says when to come again, and not before.
#[test]
fn a_registrar_says_when_to_come_again() {
    let json = |text: &str| ok("application/json", text);
    for answer in [
        Answer { status: 204, ..ok("", "") },
        ok("", ""),
        json(""),
        json("{}"),
        json("{\"again_seconds\":60}"),
        json("{\"format\":\"dolmen-acknowledgement-v1\",\"body\":{}}"),
        json("{\"format\":\"dolmen-acknowledgement-v1\",\"body\":{\"again_seconds\":-1}}"),
        json("{\"format\":\"dolmen-acknowledgement-v2\",\"body\":{\"again_seconds\":60}}"),
    ] {
        let mut house = answered(0, ("POST", "attestation"), answer);
        assert_eq!((failure(&house), house.keeper.attested()), (Some("answer-strange"), None));
        house.rest();
        assert_eq!(house.keeper.attested(), Some(house.clock));
        house.check_well();
    }
}

#[test]
fn questions_that_cannot_be_read_are_refused() {
    for (begin, asked, expected) in
        [(0, ("GET", "attestation"), "quote-request-damaged"), (LIFE + 1, ("POST", "enrolment"), "challenge-damaged")]
    {
        let mut house = answered(begin, asked, ok("application/json", "{}"));
        assert_eq!(code(&house), (Who::Pledge, expected));
        house.rest();
        house.check_well();
    }
}

fn certs(certificate: &Certificate) -> Answer {
    ok("application/pkcs7-mime; smime-type=certs-only", est::write_enrolled(certificate).expect("certs"))
}

fn issued(organisation: &Organisation, key: u8, serial: &str, from: u64) -> Certificate {
    let [from, to] = [from, from + LIFE].map(|seconds| UnixTime::from_secs(seconds).expect("a time"));
    let validity = Validity::new(from, to).expect("an end");
    issue_ldevid(&organisation.issuing, public_key(key), serial, 99, validity)
}

/// Each is refused by its code, is asked for again after an hour, and changes nothing.
#[test]
fn a_new_certificate_is_looked_at_as_the_first_was() {
    let [own, other] = &world().organisations;
    for begin in [LIFE / 3 * 2, LIFE + 1] {
        let now = START + begin;
        let stale = House::new().keeper.certificate().clone();
        let cases = [
            (certs(&issued(own, 9, SERIAL, now)), "new-certificate-damaged"),
            (certs(&issued(own, IDEVID, SERIAL, now)), "new-certificate-damaged"),
            (certs(&issued(own, LDEVID, "SN-0043", now)), "certificate-serial"),
            (certs(&own.registrars[0].chain[0]), "new-certificate-damaged"),
            (ok("application/pkcs7-mime", "?"), "new-certificate-damaged"),
            (ok("application/pkcs7-mime", ""), "new-certificate-damaged"),
            (ok("application/pkcs7-mime", est::cacerts(&own.issuing).unwrap()), "new-certificate-damaged"),
            // The one that the box has, and one of before.
            (certs(&stale), "certificate-stale"),
            (certs(&issued(own, LDEVID, SERIAL, START - 1)), "certificate-stale"),
        ];
        for (answer, expected) in cases {
            let mut house = answered(begin, ("POST", "simplereenroll"), answer);
            check_unfit(&mut house, expected);
        }
        // By an authority that nobody has named: its name is asked for, and the root does not vouch for it.
        let answer = certs(&issued(other, LDEVID, SERIAL, now));
        let mut house = answered(begin, ("POST", "simplereenroll"), answer);
        house.run_to_path("GET", "cacerts");
        house.step(None);
        check_unfit(&mut house, "certificate-untrusted");
    }
}

/// Nor do authorities of somebody else, whatever the registrar says.
#[test]
fn new_authorities_are_the_owners() {
    let [own, other] = &world().organisations;
    let authority = rotated(own, 0x25);
    let bodies = [
        (est::cacerts(&other.issuing).unwrap(), "certificate-untrusted"),
        (est::cacerts(&own.issuing).unwrap(), "certificate-untrusted"),
        (String::new(), "cacerts-damaged"),
        ("?".to_owned(), "cacerts-damaged"),
    ];
    for (body, expected) in bodies {
        let mut house = House::new();
        house.pass(LIFE + 1);
        house.registrar().authority = Some(authority.clone());
        house.run_to_path("GET", "cacerts");
        house.step(Some(&Trouble::Answer(ok("application/pkcs7-mime", body))));
        check_unfit(&mut house, expected);
    }
}

fn check_unfit(house: &mut House, expected: &str) {
    assert_eq!(code(house), (Who::Pledge, expected));
    let before = House::new().keeper.certificate().clone();
    assert_eq!((house.keeper.phase(), house.keeper.certificate()), (KeeperPhase::Pausing, &before));
    house.paths();
    house.live(3540);
    assert!(house.paths().is_empty(), "{expected}");
    assert_eq!(*house.keeper.certificate(), before);
    house.rest();
    assert_ne!(*house.keeper.certificate(), before);
    house.check_well();
}

/// A key that is not the certificate's asks for nothing.
#[test]
fn another_key_does_not_ask() {
    let mut house = House::new();
    house.pass(LIFE / 3 * 2);
    house.run_to(|step| matches!(step, Step::MakeRenewal(_)));
    let request = match house.keeper.next() {
        Step::MakeRenewal(present) => dolmen_provisioning_ca::RequestBuilder::renewal(present),
        step => panic!("{step:?}"),
    };
    let clock = house.clock;
    let request = block_on(request.sign(&*signer(9))).unwrap();
    house.keeper.done(Outcome::Request(request), clock).unwrap();
    assert_eq!(failure(&house), Some("request-other-key"));
    house.rest();
    house.check_well();
}

/// A server that is none of the owner's is told nothing.
#[test]
fn a_server_has_to_be_the_owners() {
    for begin in [0, LIFE + 1] {
        let mut house = House::new();
        house.pass(begin);
        let mut stranger = Registrar::new(1, 0, Stock::Refused);
        stranger.now = house.clock;
        let mut owner = std::mem::replace(house.registrar(), stranger);
        for _ in 0..40 {
            house.step(None);
        }
        assert!(house.registrar().log.is_empty());
        assert_eq!(failure(&house), Some("server-not-owner"));
        assert_eq!(house.keeper.last_failure().unwrap().at(), Some(&hint("a")));
        // Another one of the owner's does.
        (owner.registrar, owner.now) = (1, house.registrar().now);
        house.machine.registrars = vec![(hint("b"), owner)];
        house.rest();
        house.check_well();
        // And certificates that are none.
        house.keeper.attest_now();
        house.run_to(|step| matches!(step, Step::Connect(_)));
        let clock = house.clock;
        house.keeper.done(Outcome::Connected(vec![vec![0x30; 7]]), clock).unwrap();
        assert_eq!(failure(&house), Some("server-certificates"));
        house.rest();
        house.check_well();
    }
}

/// Enrolling anew helps once. A registrar that gives certificates and takes none is not asked without end.
#[test]
fn a_registrar_that_contradicts_itself_is_left_alone() {
    let mut house = House::new();
    for _ in 0..400 {
        let ask = matches!(house.keeper.next(), Step::Send(request) if request.path.ends_with("attestation"));
        let answer = Trouble::Answer(refused(403, "ldevid-not-issued", false));
        house.step(Some(&answer).filter(|_| ask));
    }
    assert_eq!(code(&house), (Who::Registrar, "ldevid-not-issued"));
    let (hours, count) = (house.machine.waited / 3600, house.registrar().certificates.len() as u64);
    assert!(hours >= 2 && count <= hours + 2, "{count} in {hours} h");
    house.rest();
    house.check_well();
}

/// One that refuses is left alone while the owner's others are asked.
#[test]
fn another_registrar_is_asked() {
    let mut house = House::new();
    let mut second = house.registrar().clone();
    second.registrar = 1;
    house.machine.registrars.push((hint("b"), second));
    house.run_to_path("GET", "attestation");
    house.step(Some(&Trouble::Answer(refused(403, "box-alarmed", false))));
    house.rest();
    assert_eq!((house.machine.waited, house.machine.registrars[1].1.attested.len()), (0, 1));
    assert!(house.registrar().attested.is_empty());
}
