//! Who refuses whom, by which code, and what becomes of it.

use dolmen_provisioning_bundle::{ChainBundle, Hash};
use dolmen_provisioning_ca::est;
use dolmen_provisioning_pledge::{Answer, Pledge, Step, Who};

use crate::{
    machine::{Machine, Trouble},
    registrar::{Registrar, Stock, ok, public_key, refused, sign_bundle},
    support::{LDEVID, SERIAL, hint, ldevid, world},
};

fn machine(stocks: &[(usize, Stock)]) -> Machine {
    let registrars = stocks.iter().zip(["a", "b", "c"]);
    let mut machine = Machine::new(
        registrars
            .map(|((organisation, stock), host)| (hint(host), Registrar::new(*organisation, 0, *stock)))
            .collect(),
    );
    machine.epoch = 7;
    machine
}

/// Runs until this is asked.
fn run_to(machine: &mut Machine, pledge: &mut Pledge, path: &str) {
    for _ in 0..200 {
        if matches!(pledge.next(), Step::Send(request) if request.path.ends_with(path)) {
            return;
        }
        machine.step(pledge, None);
    }
    panic!("{path} is never asked for: {:?}", machine.steps);
}

fn code(pledge: &Pledge) -> (Who, &str) {
    let report = pledge.last_refusal().expect("a refusal");
    (report.who(), report.code())
}

#[test]
fn one_that_refuses_is_left_alone_while_others_are_asked() {
    let mut machine = machine(&[(1, Stock::Refused), (0, Stock::Epoch(8))]);
    let mut pledge = machine.start();
    run_to(&mut machine, &mut pledge, "requestvoucher");
    machine.step(&mut pledge, None);
    assert_eq!(code(&pledge), (Who::Registrar, "voucher-none"));
    assert_eq!(pledge.last_refusal().unwrap().at(), Some(&hint("a")));
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
    assert_eq!((machine.waited, machine.registrars[0].1.log.len()), (0, 1));
}

#[test]
fn one_that_refuses_is_asked_again_later() {
    let mut machine = machine(&[(0, Stock::Refused)]);
    let mut pledge = machine.start();
    for _ in 0..60 {
        machine.step(&mut pledge, None);
    }
    let asked = machine.registrars[0].1.log.len() as u64;
    assert!(asked > 1 && (machine.waited / 900..=machine.waited / 900 + 1).contains(&asked), "{asked}");
    machine.registrars[0].1.stock = Stock::Nonce;
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
}

/// Each voucher that does not hold is told to who gave it, and the next registrar is asked.
#[test]
fn vouchers_that_do_not_hold_are_told() {
    for (stock, refusal) in [
        (Stock::OtherBox, "voucher-serial"),
        (Stock::OtherOwner, "voucher-pinned-certificate"),
        (Stock::Epoch(7), "voucher-replayed"),
    ] {
        let mut machine = machine(&[(1, stock), (0, Stock::Epoch(8))]);
        let mut pledge = machine.start();
        run_to(&mut machine, &mut pledge, "voucher_status");
        assert_eq!(code(&pledge), (Who::Pledge, refusal));
        assert!(machine.disk.is_none() && machine.raised.is_empty());
        assert!(machine.run(&mut pledge, 100));
        machine.check_joined(&pledge, 0);
        assert_eq!(machine.registrars[0].1.statuses, [format!("voucher false {refusal}")]);
    }
}

/// A nonce is used once: the voucher of before is none for the next request.
#[test]
fn an_old_answer_is_refused() {
    let mut machine = machine(&[(0, Stock::Nonce)]);
    let mut pledge = machine.start();
    run_to(&mut machine, &mut pledge, "requestvoucher");
    machine.step(&mut pledge, Some(&Trouble::Changed(1000, 1)));
    assert!(code(&pledge).1.starts_with("voucher-"), "{:?}", code(&pledge));
    machine.step(&mut pledge, None);
    run_to(&mut machine, &mut pledge, "requestvoucher");
    machine.step(&mut pledge, Some(&Trouble::Old(0)));
    assert_eq!(code(&pledge), (Who::Pledge, "voucher-nonce"));
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
}

/// A server that is none of the owner's gets no request, and no certificate of the owner's is shown to it for nothing.
#[test]
fn from_the_voucher_on_servers_have_to_be_the_owners() {
    let mut machine = machine(&[(0, Stock::Epoch(8))]);
    let mut pledge = machine.start();
    run_to(&mut machine, &mut pledge, "cacerts");
    // Somebody else takes its place.
    let owner = std::mem::replace(&mut machine.registrars[0].1, Registrar::new(1, 0, Stock::Epoch(9)));
    let mut pledge = machine.crash();
    for _ in 0..40 {
        machine.step(&mut pledge, None);
    }
    assert!(machine.registrars[0].1.log.is_empty());
    assert_eq!(pledge.last_failure().map(|report| report.code()), Some("server-not-owner"));
    machine.registrars[0].1 = owner;
    // Another registrar of the owner's does, too.
    machine.registrars.push((hint("b"), Registrar::new(0, 1, Stock::Refused)));
    machine.registrars.remove(0);
    assert!(machine.run(&mut pledge, 200));
    machine.check_joined(&pledge, 0);
}

/// What a registrar answers at this step, what the box says of it, and that it goes on when the answer is right.
fn answered(path: &str, answer: Answer, expected: (Who, &str)) -> Machine {
    let mut machine = machine(&[(0, Stock::Epoch(8))]);
    let mut pledge = machine.start();
    run_to(&mut machine, &mut pledge, path);
    machine.step(&mut pledge, Some(&Trouble::Answer(answer)));
    assert_eq!(code(&pledge), expected, "{path}");
    assert!(machine.run(&mut pledge, 200), "{:?}", machine.steps);
    machine.check_joined(&pledge, 0);
    machine
}

#[test]
fn refusals_of_the_owners_registrar_are_shown_and_asked_again() {
    let paths = ["cacerts", "enrolment", "response", "simpleenroll", "bundle", "admission"];
    for path in paths {
        for retry in [false, true] {
            let machine = answered(path, refused(403, "ek-untrusted", retry), (Who::Registrar, "ek-untrusted"));
            // Quickly, where that helps.
            assert_eq!(machine.waited >= 900, !retry, "{path}: {}", machine.waited);
        }
        answered(path, Answer { status: 404, ..ok("text/html", "?") }, (Who::Registrar, "registrar-refused"));
    }
}

#[test]
fn what_the_owners_registrar_gives_is_looked_at() {
    let own = &world().organisations[0];
    let other = &world().organisations[1];
    let certs = |body: String| ok("application/pkcs7-mime", body);
    let enrolled = |certificate| certs(est::write_enrolled(&certificate).unwrap());
    let pledge = |code| (Who::Pledge, code);
    answered("cacerts", certs("?".to_owned()), pledge("cacerts-damaged"));
    answered("enrolment", ok("application/json", "{}"), pledge("challenge-damaged"));
    let key = public_key(LDEVID);
    for (answer, code) in [
        (certs(String::new()), "new-certificate-damaged"),
        (enrolled(ldevid(own, public_key(9), SERIAL, 9)), "new-certificate-damaged"),
        (enrolled(ldevid(other, key, SERIAL, 9)), "certificate-untrusted"),
        (enrolled(ldevid(own, key, "SN-0043", 9)), "certificate-serial"),
    ] {
        let machine = answered("simpleenroll", answer, pledge(code));
        let statuses = &machine.registrars[0].1.statuses;
        assert_eq!(statuses[..], ["voucher true".to_owned(), format!("enroll false {code}"), "enroll true".to_owned()]);
    }
    let bundle = Registrar::new(0, 0, Stock::Nonce).content();
    let cms = |bundle: &ChainBundle, party| ok("application/cms", sign_bundle(bundle, party));
    let foreign = ChainBundle { serial_number: "SN-0043".parse().unwrap(), ..bundle.clone() };
    answered("bundle", cms(&foreign, &own.registrars[0]), pledge("bundle-serial"));
    answered("bundle", cms(&bundle, &other.registrars[0]), pledge("bundle-untrusted"));
    answered("bundle", ok("application/cms", "?"), pledge("bundle-damaged"));
    for body in ["{}", "{\"role\":\"king\"}", "{\"role\":\"follower\",\"more\":1}", ""] {
        answered("admission", ok("application/json", body), pledge("role-damaged"));
    }
    assert_ne!(bundle.genesis_hash, Hash::from_bytes([0; 32]));
}

/// An answer of another kind is nobody's refusal.
#[test]
fn strange_answers_are_failures() {
    for path in ["requestvoucher", "cacerts", "enrolment", "simpleenroll", "bundle", "admission"] {
        for answer in [
            ok("text/html", "<html>"),
            Answer { status: 302, ..ok("", "") },
            Answer { status: 500, ..ok("", "") },
            ok("application/json", vec![b' '; 8 << 20]),
        ] {
            let mut machine = machine(&[(0, Stock::Epoch(8))]);
            let mut pledge = machine.start();
            run_to(&mut machine, &mut pledge, path);
            machine.step(&mut pledge, Some(&Trouble::Answer(answer)));
            assert!(pledge.last_refusal().is_none(), "{path}");
            assert_eq!(pledge.last_failure().map(|report| report.code()), Some("answer-strange"), "{path}");
            assert!(machine.run(&mut pledge, 100));
            machine.check_joined(&pledge, 0);
            assert!(machine.waited < 10);
        }
    }
}

/// Whatever it says to a status, the box goes on; and if it says nothing, the box goes on after some times.
#[test]
fn a_status_holds_nobody_up() {
    for answer in [refused(403, "no", false), Answer { status: 500, ..ok("", "") }, ok("", vec![b'x'; 1 << 20])] {
        let mut machine = machine(&[(0, Stock::Epoch(8))]);
        let mut pledge = machine.start();
        run_to(&mut machine, &mut pledge, "voucher_status");
        machine.step(&mut pledge, Some(&Trouble::Answer(answer.clone())));
        run_to(&mut machine, &mut pledge, "enrollstatus");
        machine.step(&mut pledge, Some(&Trouble::Answer(answer)));
        assert!(machine.run(&mut pledge, 10));
        assert!(pledge.last_refusal().is_none());
    }
    let mut machine = machine(&[(0, Stock::Epoch(8))]);
    let mut pledge = machine.start();
    for _ in 0..3 {
        run_to(&mut machine, &mut pledge, "voucher_status");
        machine.step(&mut pledge, Some(&Trouble::Undone));
    }
    run_to(&mut machine, &mut pledge, "cacerts");
    assert!(machine.run(&mut pledge, 100));
    assert_eq!(machine.registrars[0].1.statuses, ["enroll true"]);
}
