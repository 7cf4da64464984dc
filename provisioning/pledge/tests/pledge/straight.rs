//! A first boot at which nothing goes wrong, in each way that there is.

use dolmen_provisioning_pledge::{Phase, Role, Step};

use crate::{
    machine::Machine,
    registrar::{Registrar, Stock},
    support::hint,
};

fn machine(stock: Stock) -> Machine {
    Machine::new(vec![(hint("a"), Registrar::new(0, 0, stock))])
}

/// The order of the protocol, step by step.
#[test]
fn each_step_comes_once() {
    let mut machine = machine(Stock::Epoch(8));
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
    assert_eq!(machine.epoch, 8);
    assert_eq!(
        machine.steps,
        [
            "discover",
            "connect",
            "read-epoch",
            "make-nonce",
            "sign",
            "send",
            "store",
            "raise-epoch",
            "send",
            "send",
            "attest",
            "send",
            "respond",
            "send",
            "make-request",
            "send",
            "store",
            "send",
            "connect",
            "send",
            "store",
            "make-admission",
            "sign",
            "send",
            "store",
        ]
    );
    let paths: Vec<_> = machine.registrars[0].1.log.iter().map(|(path, _)| *path).collect();
    assert_eq!(
        paths,
        [
            "/.well-known/brski/requestvoucher",
            "/.well-known/brski/voucher_status",
            "/.well-known/est/cacerts",
            "/.well-known/dolmen/enrolment",
            "/.well-known/dolmen/response",
            "/.well-known/est/simpleenroll",
            "/.well-known/brski/enrollstatus",
            "/.well-known/dolmen/bundle",
            "/.well-known/dolmen/admission",
        ]
    );
    assert_eq!(machine.registrars[0].1.statuses, ["voucher true", "enroll true"]);
    assert!(pledge.last_refusal().is_none() && pledge.last_failure().is_none());
    assert!(matches!(pledge.next(), Step::Joined { role: Role::Follower, .. }));
}

#[test]
fn a_voucher_with_a_nonce_raises_the_epoch_by_one() {
    let mut machine = machine(Stock::Nonce);
    machine.epoch = 41;
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
    assert_eq!(machine.raised, [42]);
}

/// The root of an organisation comes by the word of the registrar that the voucher pinned.
#[test]
fn a_voucher_for_one_registrar_alone_is_enough() {
    let mut machine = machine(Stock::Pinned(1));
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
    // And again, from the disk.
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 2));
    machine.check_joined(&pledge, 0);
}

#[test]
fn registrars_that_have_to_wait_are_waited_for() {
    let mut machine = machine(Stock::Epoch(1));
    machine.registrars[0].1.waits = [2, 3, 4];
    let mut pledge = machine.start();
    let mut phases = vec![pledge.phase()];
    while !matches!(pledge.next(), Step::Joined { .. }) {
        machine.step(&mut pledge, None);
        if phases.last() != Some(&pledge.phase()) {
            phases.push(pledge.phase());
        }
    }
    machine.check_joined(&pledge, 0);
    assert_eq!(machine.waited, (2 + 3 + 4) * 30);
    // Whoever is asked again is asked the same.
    for path in ["/.well-known/brski/requestvoucher", "/.well-known/est/simpleenroll", "/.well-known/dolmen/admission"]
    {
        let mut asked = machine.registrars[0].1.log.iter().filter(|(other, _)| *other == path).map(|(_, body)| body);
        let first = asked.next().unwrap();
        assert!(asked.clone().count() >= 2 && asked.all(|body| body == first), "{path}");
    }
    phases.retain(|phase| !matches!(phase, Phase::Pausing | Phase::Discovering | Phase::Connecting));
    phases.dedup();
    assert_eq!(
        phases,
        [
            Phase::Asking,
            Phase::TakingOwnership,
            Phase::Attesting,
            Phase::Enrolling,
            Phase::FetchingBundle,
            Phase::AwaitingAdmission,
            Phase::Member,
        ]
    );
}

#[test]
fn nobody_there_is_waited_for_with_pauses() {
    let mut machine = Machine::new(Vec::new());
    let mut pledge = machine.start();
    assert!(!machine.run(&mut pledge, 60));
    assert_eq!(machine.steps.iter().filter(|step| **step == "discover").count(), 30);
    assert!(machine.waited > 30 * 60, "{}", machine.waited);
    // Whoever comes then is found.
    machine.registrars.push((hint("a"), Registrar::new(0, 0, Stock::Nonce)));
    assert!(machine.run(&mut pledge, 60));
    machine.check_joined(&pledge, 0);
}

#[test]
fn a_member_stays_one() {
    let mut machine = machine(Stock::Epoch(1));
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 100));
    machine.steps.clear();
    let asked = machine.registrars[0].1.log.len();
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 2));
    machine.check_joined(&pledge, 0);
    assert_eq!(machine.steps, ["read-epoch"]);
    assert_eq!(machine.registrars[0].1.log.len(), asked);
}
