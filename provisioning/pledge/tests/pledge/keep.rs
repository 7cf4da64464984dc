//! A member's life at which nothing goes wrong.

use dolmen_provisioning_ca::{chain, renewal::Standing};
use dolmen_provisioning_pledge::{Client, Keeper, KeeperPhase, Outcome, Record, ResumeError, Role, Step, Trust};

use crate::{
    house::{DAY, House, LIFE},
    registrar::{START, Stock},
    resume::records,
    support::{identity, rotated, world},
    unexpected::outcomes,
};

const ATTEST: [&str; 5] = ["discover", "connect", "send", "reattest", "send"];

#[test]
fn a_box_that_booted_shows_itself() {
    let mut house = House::new();
    assert_eq!((house.keeper.attested(), house.keeper.phase()), (None, KeeperPhase::Discovering));
    let mut phases = Vec::new();
    for step in ATTEST {
        phases.push(house.keeper.phase());
        assert_eq!(house.keeper.next().name(), step);
        if let Step::Connect(connect) = house.keeper.next() {
            assert!(matches!(connect.client, Client::LDevId(chain) if chain == house.keeper.ldevid()));
            let root = world().organisations[0].root.certificate();
            assert_eq!(connect.trust, Trust::Owner(root));
        }
        house.step(None);
    }
    assert_eq!(
        phases.iter().map(|phase| phase.code()).collect::<Vec<_>>(),
        ["discovering", "connecting", "attesting", "attesting", "attesting"]
    );
    assert_eq!(house.keeper.attested(), Some(START));
    assert_eq!(house.paths(), ["attestation", "attestation"]);
    assert!(house.keeper.last_refusal().is_none() && house.keeper.last_failure().is_none());
    assert_eq!(house.keeper.chain().1, Role::Follower);
    house.check_well();
}

#[test]
fn a_box_attests_as_often_as_its_registrar_wants() {
    for (again, expected) in [(0, 60), (60, 60), (3600, 3600), (86_400, 86_400), (u32::MAX, 7 * DAY)] {
        let mut house = House::with(Stock::Epoch(8), None);
        house.registrar().again = again;
        for time in 0..3 {
            house.rest();
            assert_eq!(house.registrar().attested.last(), Some(&(START + time * expected)), "{again}");
            if expected > 60 {
                house.sleep(expected - 120);
                assert_eq!(house.keeper.phase(), KeeperPhase::Resting);
            }
            house.step(None);
            assert_eq!(house.keeper.phase(), KeeperPhase::Discovering);
        }
        assert_eq!(house.registrar().certificates.len(), 1);
    }
}

/// Not a second earlier, and then at once.
#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let due = START + LIFE / 3 * 2;
    for (at, renewed) in [(due - 1, false), (due, true)] {
        let mut house = House::new();
        house.rest();
        house.steps();
        house.paths();
        let (before, registrar) = (house.keeper.certificate().clone(), house.machine.registrars[0].1.now);
        // The last of the wait ends then.
        house.sleep(at - registrar - 60);
        assert_eq!(house.clock, at);
        assert_eq!(house.keeper.standing(at), if renewed { Standing::SevenDays } else { Standing::Good });
        house.rest();
        assert_eq!(*house.keeper.certificate() != before, renewed);
        let paths = house.paths();
        if !renewed {
            assert_eq!(paths, ["attestation"; 2]);
            continue;
        }
        assert_eq!(paths, ["attestation", "attestation", "simplereenroll", "attestation", "attestation"]);
        let steps = house.steps();
        let expected = [
            &["wait"][..],
            &ATTEST,
            &["make-renewal", "send", "store"],
            // As the new one, to the registrar that is known.
            &ATTEST[1..],
        ];
        assert_eq!(steps, expected.concat());
        assert_eq!(house.registrar().attested[1..], [at, at]);
        assert_eq!(house.keeper.certificate().validity().not_before().as_secs(), at);
        house.check_well();
        // And once.
        house.sleep(DAY);
        house.rest();
        assert_eq!(house.registrar().certificates.len(), 2);
    }
}

/// One that its authority forgot to give an end is kept.
#[test]
fn a_certificate_without_an_end_is_not_renewed() {
    let mut house = House::with(Stock::Epoch(8), None);
    house.rest();
    assert_eq!(house.keeper.standing(u64::MAX), Standing::Good);
    let before = house.keeper.certificate().clone();
    for _ in 0..5 {
        house.sleep(100 * LIFE);
        house.rest();
    }
    assert_eq!(*house.keeper.certificate(), before);
    assert_eq!(house.registrar().attested.len(), 6);
}

/// The box was switched off too long: it is appraised anew, by its maker's certificate.
#[test]
fn an_expired_certificate_leads_to_another_enrolment() {
    let mut house = House::new();
    house.pass(LIFE + 1);
    let expired = house.keeper.certificate().clone();
    assert_eq!(house.keeper.standing(house.clock), Standing::Expired);
    house.run_to(|step| matches!(step, Step::Connect(_)));
    match house.keeper.next() {
        Step::Connect(connect) => {
            assert!(matches!(connect.client, Client::IDevId(chain) if chain == identity().chain()));
            let root = world().organisations[0].root.certificate();
            assert_eq!(connect.trust, Trust::Owner(root));
        }
        step => panic!("{step:?}"),
    }
    house.step(None);
    assert_eq!(house.keeper.phase(), KeeperPhase::Enrolling);
    house.rest();
    let steps = ["discover", "connect", "attest", "send", "respond", "send", "make-renewal", "send", "store"];
    assert_eq!(house.steps(), [&steps[..], &ATTEST[1..]].concat());
    assert_eq!(house.paths(), ["enrolment", "response", "simplereenroll", "attestation", "attestation"]);
    assert_ne!(*house.keeper.certificate(), expired);
    house.check_well();
    assert!(house.keeper.last_refusal().is_none());
}

/// The registrar decides, whatever the box's clock says.
#[test]
fn a_certificate_that_its_registrar_does_not_take_leads_to_another_enrolment() {
    for (code, clock) in
        [("ldevid-expired", START), ("ldevid-not-issued", START), ("ldevid-unknown", START), ("ldevid-unknown", 0)]
    {
        let mut house = House::new();
        house.rest();
        house.paths();
        house.clock = clock;
        match code {
            "ldevid-expired" => house.registrar().now += LIFE + 1,
            // With an old backup of its journal.
            "ldevid-not-issued" => house.registrar().certificates.clear(),
            _ => house.registrar().authority = Some(rotated(&world().organisations[0], 0x25)),
        }
        house.attest();
        // It was mended.
        assert!(house.keeper.last_refusal().is_none(), "{code}");
        let paths = house.paths();
        assert_eq!(paths[..3], ["attestation", "enrolment", "response"], "{code}");
        assert_eq!(paths.last(), Some(&"attestation"));
        assert!(house.machine.waited <= 60, "{code}: it does not wait for that");
        house.check_well();
    }
}

/// An operator allowed it: nobody has to do anything at the box.
#[test]
fn other_firmware_leads_to_another_enrolment() {
    let mut house = House::new();
    house.rest();
    house.paths();
    let before = house.keeper.certificate().clone();
    house.registrar().flashed = true;
    house.attest();
    assert!(house.keeper.last_refusal().is_none(), "it was mended");
    let paths = house.paths();
    let (attests, enrols) = (["attestation"; 2], ["enrolment", "response", "simplereenroll"]);
    assert_eq!(paths, [&attests[..], &enrols, &attests].concat());
    assert!(house.machine.waited <= 60, "it does not wait for that");
    assert_ne!(*house.keeper.certificate(), before);
    house.check_well();
    // A registrar that says so of a box that just enrolled is left alone for an hour.
    let enrolled = house.registrar().certificates.len();
    house.keeper.attest_now();
    for _ in 0..400 {
        house.registrar().flashed = true;
        house.step(None);
    }
    let (hours, count) = (house.machine.waited / 3600, house.registrar().certificates.len() - enrolled);
    assert!(hours >= 2 && count as u64 <= hours + 2, "{count} in {hours} h");
    house.registrar().flashed = false;
    house.rest();
    house.check_well();
}

/// The organisation has another issuing authority: its certificates come with the new one, and are stored.
#[test]
fn an_authority_may_be_another() {
    for stock in [Stock::Epoch(8), Stock::Pinned(8)] {
        let mut house = House::with(stock, Some(LIFE));
        house.rest();
        let organisation = &world().organisations[0];
        let mut known = vec![organisation.issuing.certificate().clone()];
        for key in [0x25, 0x26, 0x27] {
            let authority = rotated(organisation, key);
            known.push(authority.certificate().clone());
            house.registrar().authority = Some(authority);
            house.paths();
            house.attest();
            let paths = house.paths();
            assert_eq!(paths[3..5], ["simplereenroll", "cacerts"]);
            let ldevid = house.keeper.ldevid();
            assert_eq!(ldevid.get(1), known.last(), "shown with its authority");
            let root = organisation.root.certificate();
            let rules = chain::Rules::timeless(chain::Purpose::Client);
            chain::verify(&ldevid[0], &ldevid[1..], std::slice::from_ref(root), &rules).unwrap();
            house.check_well();
            // A record holds no more of them than it needs: the first, the root, and the new one.
            assert_eq!(authorities(&house), 3);
        }
        // What is known is not asked for again.
        house.live(LIFE / 3);
        house.rest();
        house.paths();
        house.sleep(LIFE / 3);
        house.rest();
        assert_eq!(house.paths(), ["attestation", "attestation", "simplereenroll", "attestation", "attestation"]);
        house.check_well();
    }
}

fn authorities(house: &House) -> usize {
    let text = std::str::from_utf8(house.machine.disk.as_deref().expect("a record")).expect("text");
    let json: serde_json::Value = serde_json::from_str(text.lines().nth(2).expect("JSON")).expect("JSON");
    json["enrolled"]["authorities"].as_array().expect("a list").len()
}

#[test]
fn a_box_attests_when_it_is_told_to() {
    let mut house = House::new();
    house.rest();
    // In a wait, which goes on.
    house.keeper.attest_now();
    assert!(matches!(house.keeper.next(), Step::Wait { .. }));
    house.attest();
    assert_eq!(house.registrar().attested.len(), 2);
    // Before the registrar has the quote: that one will do.
    for step in 1..=4 {
        let count = house.registrar().attested.len();
        house.keeper.attest_now();
        house.step(None);
        for _ in 1..step {
            house.step(None);
        }
        house.keeper.attest_now();
        house.rest();
        assert_eq!(house.registrar().attested.len(), count + 1, "{step}");
    }
    // While the quote is on its way: another one.
    let count = house.registrar().attested.len();
    house.keeper.attest_now();
    house.run_to_path("POST", "attestation");
    house.keeper.attest_now();
    house.rest();
    assert_eq!(house.registrar().attested.len(), count + 2);
    // In a pause: nobody was there.
    let (hint, registrar) = house.machine.registrars.remove(0);
    house.keeper.attest_now();
    house.run_to(|step| matches!(step, Step::Wait { seconds: 60 }));
    assert_eq!(house.keeper.phase(), KeeperPhase::Resting);
    house.step(None);
    for _ in 0..20 {
        house.step(None);
    }
    house.run_to(|step| matches!(step, Step::Wait { .. }));
    assert_eq!(house.keeper.phase(), KeeperPhase::Pausing);
    house.machine.registrars.push((hint, registrar));
    house.keeper.attest_now();
    house.step(None);
    assert!(matches!(house.keeper.next(), Step::Discover));
    house.rest();
    assert_eq!(house.registrar().attested.len(), count + 3);
}

#[test]
fn a_certificate_is_renewed_when_people_ask() {
    let mut house = House::new();
    house.rest();
    let before = house.keeper.certificate().clone();
    house.paths();
    house.keeper.renew_now();
    assert!(matches!(house.keeper.next(), Step::Wait { .. }));
    house.step(None);
    house.rest();
    assert_eq!(house.paths(), ["attestation", "attestation", "simplereenroll", "attestation", "attestation"]);
    let renewed = house.keeper.certificate().clone();
    assert_ne!(renewed, before);
    // Once.
    house.attest();
    assert_eq!(*house.keeper.certificate(), renewed);
    // Until the registrar lets it have one.
    house.registrar().waits[1] = 2;
    house.keeper.renew_now();
    house.step(None);
    house.rest();
    assert_ne!(*house.keeper.certificate(), renewed);
    house.check_well();
}

/// The registrar has somebody decide about the new certificate: the box comes again, and attests again.
#[test]
fn a_renewal_may_have_to_wait() {
    let mut house = House::new();
    house.rest();
    house.registrar().waits[1] = 2;
    house.sleep(LIFE / 3 * 2);
    house.rest();
    assert_eq!(house.registrar().certificates.len(), 2);
    assert_eq!(house.registrar().attested.len(), 1 + 3 + 1);
    house.check_well();
}

#[test]
fn a_keeper_is_a_members() {
    let (records, _) = records(Stock::Epoch(8));
    let resume = |record: &[u8]| Keeper::resume(Record::from_bytes(record).unwrap(), identity());
    for record in &records[..3] {
        let error = resume(record).unwrap_err();
        assert!(matches!(error, ResumeError::NotMember));
        assert_eq!(error.code(), "record-not-member");
    }
    let keeper = resume(&records[3]).unwrap();
    assert_eq!(keeper.chain().0.content().chain_id, 7);
    // As a pledge's record, it is checked whole.
    let text = String::from_utf8(records[3].clone()).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(text.lines().nth(2).unwrap()).unwrap();
    json["held"] = "8".into();
    let forged = crate::resume::sealed(&json.to_string());
    assert_eq!(resume(&forged).unwrap_err().code(), "record-voucher");
}

/// A driver that mistakes its steps is told so, and nothing comes of it; what fits is taken, whatever it says.
#[test]
fn outcomes_fit_their_steps_alone() {
    let mut seen = std::collections::BTreeSet::new();
    // Far enough for a renewal, and for an enrolment with a new authority.
    for (begin, rotate) in [(LIFE / 3 * 2, false), (LIFE + 1, true)] {
        let house = |steps: usize| {
            let mut house = House::new();
            house.pass(begin);
            if rotate {
                house.registrar().authority = Some(rotated(&world().organisations[0], 0x25));
            }
            for _ in 0..steps {
                house.step(None);
            }
            house
        };
        for at in 0..16 {
            let mut walker = house(at);
            let (step, clock) = (walker.keeper.next().name(), walker.clock);
            let before = format!("{:?}", walker.keeper);
            seen.insert(step);
            for (outcome, steps) in outcomes() {
                if steps.contains(&step) {
                    house(at).keeper.done(outcome, clock).unwrap();
                    continue;
                }
                let unexpected = walker.keeper.done(outcome.clone(), clock).unwrap_err();
                assert_eq!((unexpected.step, unexpected.outcome), (step, outcome.name()));
                assert_eq!(format!("{:?}", walker.keeper), before, "{step} {}", outcome.name());
            }
        }
    }
    let all = ["attest", "connect", "discover", "make-renewal", "reattest", "respond", "send", "store", "wait"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn phases_have_names_that_stay() {
    let codes = KeeperPhase::ALL.map(KeeperPhase::code);
    assert_eq!(
        codes,
        ["resting", "pausing", "discovering", "connecting", "attesting", "renewing", "enrolling", "leaving"]
    );
}

/// Whatever it is told, a box that waits waits.
#[test]
fn a_wait_does_not_fail() {
    let mut house = House::new();
    house.rest();
    assert!(house.keeper.done(Outcome::Failed("?".to_owned()), START).is_err());
    assert_eq!(house.keeper.phase(), KeeperPhase::Resting);
}
