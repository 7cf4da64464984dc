//! Requests that somebody carries: the same rules, and a week for the answer to a challenge.

use dolmen_hsm_swtpm::Swtpm;
use dolmen_provisioning_appraisal::Message as _;
use dolmen_provisioning_registrar::{Call, Who};

use crate::{
    machine::Machine,
    measured::boot,
    tpm::{challenge, office, pledge},
    world::{DAY, code},
};

#[test]
fn a_challenge_waits_for_whoever_carries_its_answer() {
    let machine = Machine::new(Swtpm::new(), boot());
    let mut office = office("", &[("A", &machine)]);
    let pledge = pledge("A", &machine);
    let enrolment = machine.enrolment(&pledge.serial).to_json().unwrap();
    let carried = challenge(&office.carried(Call::Enrolment, &pledge.idevid, &enrolment));
    // The same box by a connection, which has a challenge of its own; neither opens the other.
    let connected = challenge(&office.ask(Call::Enrolment, &pledge.idevid, &enrolment));
    assert_eq!(office.registrar.metrics(office.now).challenges, 2);
    let [carried, connected] = [carried, connected].map(|one| machine.respond(&one).to_json().unwrap());
    assert_eq!(office.ask(Call::Response, &pledge.idevid, &connected).status, 204);
    assert_eq!(office.refused(Call::Response, &pledge.idevid, &carried), "no-challenge");
    // Others come and go in the meantime.
    office.now += 6 * DAY;
    let answer = office.ask(Call::Enrolment, &pledge.idevid, &enrolment);
    assert_eq!((answer.status, office.registrar.metrics(office.now).challenges), (200, 2));
    // What cannot be read uses nothing up.
    assert_eq!(code(&office.carried(Call::Response, &pledge.idevid, b"{}")), "message-damaged");
    assert_eq!(office.carried(Call::Response, &pledge.idevid, &carried).status, 204);
    assert_eq!(office.registrar.metrics(office.now).challenges, 1);
    let (_, last) = office.journal.last().unwrap();
    assert!(matches!(&last.who, Who::Peer { address, .. } if address == "stick"));
    assert_eq!(code(&office.carried(Call::Response, &pledge.idevid, &carried)), "no-challenge");

    // A second longer than a week, and a restart.
    for restart in [false, true] {
        let asked = challenge(&office.carried(Call::Enrolment, &pledge.idevid, &enrolment));
        let response = machine.respond(&asked).to_json().unwrap();
        if restart {
            office.restart();
        } else {
            office.now += 7 * DAY + 1;
        }
        assert_eq!(code(&office.carried(Call::Response, &pledge.idevid, &response)), "no-challenge");
    }
    assert_eq!(office.registrar.metrics(office.now).challenges, 0);
}

/// They take no place on the network, and have a bound of their own.
#[test]
fn carried_challenges_have_a_bound() {
    let machine = Machine::new(Swtpm::new(), boot());
    let serials: Vec<_> = (0..65).map(|number| format!("S{number}")).collect();
    let boxes: Vec<_> = serials.iter().map(|serial| (&serial[..], &machine)).collect();
    let mut office = office("", &boxes);
    for (number, serial) in serials.iter().enumerate() {
        let pledge = pledge(serial, &machine);
        let enrolment = machine.enrolment(&pledge.serial).to_json().unwrap();
        let answer = office.carried(Call::Enrolment, &pledge.idevid, &enrolment);
        if number < 64 {
            challenge(&answer);
            continue;
        }
        assert_eq!((answer.status, code(&answer)), (503, "challenges-full".to_owned()));
        challenge(&office.ask(Call::Enrolment, &pledge.idevid, &enrolment));
        office.now += 7 * DAY + 1;
        challenge(&office.carried(Call::Enrolment, &pledge.idevid, &enrolment));
    }
}
