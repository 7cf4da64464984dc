//! A driver that mistakes its steps is told so, and nothing comes of it.

use dolmen_provisioning_appraisal::{Fixed, QuoteRequest};
use dolmen_provisioning_pledge::{Answer, Discovery, Outcome, Step};
use dolmen_provisioning_voucher::OwnershipEpoch;
use futures::executor::block_on;

use crate::{
    machine::{Machine, enrolment, reattestation, response},
    registrar::{Registrar, Stock},
    support::{LDEVID, hint, signer},
};

/// Steps that can fail.
const ALL: &[&str] = &[
    "discover",
    "connect",
    "send",
    "read-epoch",
    "raise-epoch",
    "make-nonce",
    "sign",
    "attest",
    "respond",
    "reattest",
    "make-request",
    "make-renewal",
    "make-admission",
    "store",
];

/// Each outcome that there is, and the steps that it can come of.
pub(crate) fn outcomes() -> Vec<(Outcome, &'static [&'static str])> {
    let subject = dolmen_provisioning_ca::Subject::new("Example", "box").expect("a name");
    let request = dolmen_provisioning_ca::RequestBuilder::new(&subject, Vec::new()).expect("a request");
    let request = block_on(request.sign(&*signer(LDEVID))).expect("a signature");
    let quote = QuoteRequest { nonce: Fixed([1; 32]), registers: [4].into() };
    let answer = Answer { status: 500, content_type: None, retry_after: None, body: Vec::new() };
    vec![
        (Outcome::Discovered(Discovery { hints: vec![hint("a")], chance: 0 }), &["discover"]),
        (Outcome::Connected(vec![b"?".to_vec()]), &["connect"]),
        (Outcome::Answered(answer), &["send"]),
        (Outcome::Epoch(OwnershipEpoch::new(1)), &["read-epoch", "raise-epoch"]),
        (Outcome::Nonce([1; 32]), &["make-nonce"]),
        (Outcome::Signed(b"?".to_vec()), &["sign"]),
        (Outcome::Enrolment(Box::new(enrolment())), &["attest"]),
        (Outcome::Response(Box::new(response([1; 32]))), &["respond"]),
        (Outcome::Reattestation(Box::new(reattestation(&quote))), &["reattest"]),
        (Outcome::Request(request), &["make-request", "make-renewal"]),
        (Outcome::AdmissionRequest("{}".to_owned()), &["make-admission"]),
        (Outcome::Stored, &["store"]),
        (Outcome::Waited, &["wait"]),
        (Outcome::Failed("?".to_owned()), ALL),
    ]
}

#[test]
fn outcomes_fit_their_steps_alone() {
    let outcomes = outcomes();
    let mut registrar = Registrar::new(0, 0, Stock::Epoch(8));
    registrar.waits = [1; 3];
    let mut machine = Machine::new(vec![(hint("a"), registrar)]);
    let mut pledge = machine.start();
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let step = pledge.next().name();
        seen.insert(step);
        let before = format!("{pledge:?}");
        for (outcome, _) in outcomes.iter().filter(|(_, steps)| !steps.contains(&step)) {
            let unexpected = pledge.done(outcome.clone()).unwrap_err();
            assert_eq!((unexpected.step, unexpected.outcome), (step, outcome.name()));
            assert_eq!(format!("{pledge:?}"), before, "{step} {}", outcome.name());
        }
        if matches!(pledge.next(), Step::Joined { .. }) {
            break;
        }
        machine.step(&mut pledge, None);
    }
    machine.check_joined(&pledge, 0);
    // None of a keeper's.
    assert_eq!(seen.len(), 14, "{seen:?}");
}

/// And those that fit do, whatever they say.
#[test]
fn outcomes_that_fit_are_taken() {
    let outcomes = outcomes();
    let steps = 60;
    for at in 0..steps {
        let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, Stock::Epoch(8)))]);
        let mut pledge = machine.start();
        if machine.run(&mut pledge, at) {
            assert!(at > 20);
            return;
        }
        let step = pledge.next().name();
        for (outcome, _) in outcomes.iter().filter(|(_, steps)| steps.contains(&step)) {
            let mut machine = Machine::new(vec![(hint("a"), Registrar::new(0, 0, Stock::Epoch(8)))]);
            let mut pledge = machine.start();
            assert!(!machine.run(&mut pledge, at));
            pledge.done(outcome.clone()).unwrap();
        }
    }
    panic!("the box is not its chain's after {steps} steps");
}
