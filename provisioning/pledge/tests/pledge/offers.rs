//! Vouchers from sticks.

use dolmen_provisioning_pledge::{Phase, Step, Who};
use dolmen_provisioning_voucher::Nonce;

use crate::{
    machine::Machine,
    registrar::{Registrar, Stock},
    support::{SERIAL, Ticket, hint, world},
};

fn ticket(organisation: usize) -> Ticket<'static> {
    let pinned = world().organisations[organisation].root.certificate();
    Ticket { serial: SERIAL, pinned, nonce: None, epoch: Some(8) }
}

fn machine(organisation: usize, stock: Stock) -> Machine {
    let mut machine = Machine::new(vec![(hint("a"), Registrar::new(organisation, 0, stock))]);
    machine.epoch = 7;
    machine
}

#[test]
fn a_stick_leads_to_its_registrar() {
    let mut machine = machine(0, Stock::Refused);
    let mut pledge = machine.start();
    pledge.offer_voucher(&ticket(0).voucher()).unwrap();
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
    // Nobody was asked for a voucher.
    assert!(!machine.steps.contains(&"make-nonce"));
    assert_eq!(machine.registrars[0].1.statuses[0], "voucher true");
}

/// Whoever is asked meanwhile may be quicker; the stick's voucher is kept for its registrar.
#[test]
fn a_stick_waits_for_its_registrar() {
    let mut machine = machine(1, Stock::Refused);
    let mut pledge = machine.start();
    pledge.offer_voucher(&ticket(0).voucher()).unwrap();
    assert!(!machine.run(&mut pledge, 50));
    machine.registrars.push((hint("b"), Registrar::new(0, 1, Stock::Refused)));
    assert!(machine.run(&mut pledge, 100));
    machine.check_joined(&pledge, 0);
}

/// A stick that is put in while the box waits is not waited for.
#[test]
fn a_stick_ends_a_wait() {
    let mut machine = machine(0, Stock::Refused);
    let mut pledge = machine.start();
    while !matches!(pledge.next(), Step::Wait { .. }) {
        machine.step(&mut pledge, None);
    }
    pledge.offer_voucher(&ticket(0).voucher()).unwrap();
    assert!(!matches!(pledge.next(), Step::Wait { .. }));
    assert!(machine.run(&mut pledge, 100));
    assert_eq!(machine.waited, 0);
    machine.check_joined(&pledge, 0);
}

#[test]
fn the_same_rules_hold() {
    let mut machine = machine(0, Stock::Refused);
    let mut pledge = machine.start();
    let nonce = Some(Nonce::from_bytes([1; 32]).unwrap());
    let mut changed = ticket(0).voucher();
    *changed.last_mut().unwrap() ^= 1;
    let own = world().organisations[0].registrars[0].sign(b"{}");
    for (voucher, code) in [
        (Ticket { epoch: Some(0), ..ticket(0) }.voucher(), "voucher-replayed"),
        (Vec::new(), "voucher-damaged"),
        (changed, "voucher-forged"),
        (own, "voucher-untrusted"),
        (Ticket { serial: "SN-0043", ..ticket(0) }.voucher(), "voucher-serial"),
        (Ticket { nonce: nonce.clone(), ..ticket(0) }.voucher(), "voucher-nonce"),
        (Ticket { nonce, epoch: None, ..ticket(0) }.voucher(), "voucher-nonce"),
    ] {
        assert_eq!(pledge.offer_voucher(&voucher).unwrap_err().code(), code);
        let report = pledge.last_refusal().unwrap();
        assert_eq!((report.who(), report.code()), (Who::Pledge, code));
    }
    // Far from 0, which is not known to be far from what the TPM has.
    pledge.offer_voucher(&Ticket { epoch: Some(1_000_000), ..ticket(0) }.voucher()).unwrap();
    // What the TPM has is known once the box is connected.
    pledge.offer_voucher(&Ticket { epoch: Some(7), ..ticket(0) }.voucher()).unwrap();
    assert_eq!(pledge.last_refusal().unwrap().code(), "voucher-nonce");
    for _ in 0..3 {
        machine.step(&mut pledge, None);
    }
    assert_eq!(pledge.last_refusal().unwrap().code(), "voucher-replayed");
    assert!(!machine.run(&mut pledge, 50));
    assert!(machine.disk.is_none());
}

#[test]
fn only_some_are_kept() {
    let mut pledge = machine(0, Stock::Refused).start();
    for epoch in 1..=4 {
        let voucher = Ticket { epoch: Some(epoch), ..ticket(0) }.voucher();
        pledge.offer_voucher(&voucher).unwrap();
        // The same once more takes no place.
        pledge.offer_voucher(&voucher).unwrap();
    }
    let fifth = Ticket { epoch: Some(9), ..ticket(0) }.voucher();
    assert_eq!(pledge.offer_voucher(&fifth).unwrap_err().code(), "voucher-offers-full");
}

#[test]
fn a_box_has_one_owner() {
    let mut machine = machine(0, Stock::Epoch(8));
    let mut pledge = machine.start();
    while pledge.phase() < Phase::TakingOwnership {
        machine.step(&mut pledge, None);
    }
    let greater = Ticket { epoch: Some(99), ..ticket(1) }.voucher();
    let refused = |pledge: &mut dolmen_provisioning_pledge::Pledge| {
        assert_eq!(pledge.offer_voucher(&greater).unwrap_err().code(), "voucher-already-owned");
        assert_eq!(pledge.last_refusal().unwrap().code(), "voucher-already-owned");
    };
    refused(&mut pledge);
    assert!(machine.run(&mut pledge, 100));
    refused(&mut pledge);
    machine.check_joined(&pledge, 0);
    refused(&mut machine.start());
}
