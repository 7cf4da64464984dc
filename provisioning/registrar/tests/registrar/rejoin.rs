//! Boxes that come back with another consensus key, and keys that the chain has no more.

use dolmen_provisioning_registrar::{Call, Effect, Event, Membership, Role, Who};

use crate::{
    member::admit,
    world::{NOW, Office, asks, code, maker, nonce},
};

/// It was decommissioned, or its disk is a new one: the TPM is the same, the consensus key is not.
#[test]
fn a_member_comes_back_with_another_key() {
    let mut office = Office::new("");
    let pledge = maker().build("A", "");
    let ldevid = office.enrol(&pledge, 1);
    admit(&mut office, &pledge, &ldevid);
    office.effects.clear();
    // It gets its certificate as at its first time, and asks.
    office.ask(Call::RequestVoucher, &pledge.idevid, &pledge.request(nonce(9), |_| ()));
    office.happened(pledge.appraised(1));
    let ldevid = office.certify(&pledge);
    let ask = |office: &mut Office, name: &str| {
        let request = pledge.admission(&ldevid, office.appraisal(&pledge), |one| one.request = asks(name));
        let answer = office.ask(Call::Admission, &ldevid, &request);
        assert_eq!((answer.status, answer.retry_after), (202, Some(30)), "{answer:?}");
        std::mem::take(&mut office.effects)
    };
    let serial = &pledge.serial;
    let retire = |name| Effect::Retire { serial: serial.clone(), request: asks(name), code: "rejoined".to_owned() };
    let appraisal = office.appraisal(&pledge);
    let admit =
        |name| Effect::Admit { serial: serial.clone(), request: asks(name), appraisal, since: NOW, replaces: None };
    // The old key goes first, however often the box asks, and whatever else it asks meanwhile.
    for name in ["second", "second", "third"] {
        assert_eq!(ask(&mut office, name), [retire("A")]);
        office.restart();
        assert_eq!(office.registrar.effects(), [retire("A")]);
    }
    // What is said late of the old one, or of one that the chain never heard of, makes nothing of the new one.
    for name in ["A", "second"] {
        let change = office.registrar.admitted(serial, &asks(name), Role::Validator, NOW).unwrap();
        assert_eq!((change.records, change.effects), (vec![], vec![]), "{name}");
        assert!(office.registrar.turned_away(serial, &asks(name), "no", NOW).unwrap().records.is_empty());
    }
    let change = office.registrar.retired(serial, &asks("A"), NOW);
    assert_eq!(office.keep(change), [admit("third")]);
    office.restart();
    assert_eq!(office.registrar.effects(), [admit("third")]);
    assert!(office.registrar.retired(serial, &asks("A"), NOW).unwrap().records.is_empty(), "it is reported twice");
    // That may be under way when the box comes with another one again: it is retired as well.
    assert_eq!(ask(&mut office, "fourth"), [retire("third")]);
    office.restart();
    let change = office.registrar.retired(serial, &asks("third"), NOW);
    assert_eq!(office.keep(change), [admit("fourth")]);
    let change = office.registrar.admitted(serial, &asks("fourth"), Role::Follower, NOW);
    office.keep(change);
    office.restart();
    assert!(office.registrar.effects().is_empty());
    let events = office.journal.iter().filter_map(|(_, record)| match &record.what {
        Event::AdmissionAsked { request, .. } => Some(request.clone()),
        Event::FormerRetired { .. } => Some("retired".to_owned()),
        Event::Admitted { .. } => Some("admitted".to_owned()),
        _ => None,
    });
    let [a, second, third, fourth] = ["A", "second", "third", "fourth"].map(asks);
    let expected = [&a, "admitted", &second, &third, "retired", &fourth, "retired", "admitted"].map(ToOwned::to_owned);
    assert_eq!(events.collect::<Vec<_>>(), expected);

    // Cast out with two keys: both go.
    ask(&mut office, "fifth");
    let change = office.registrar.revoke(serial, "Ada", "stolen", NOW);
    let retire = |name| Effect::Retire { serial: serial.clone(), request: asks(name), code: "revoked".to_owned() };
    assert_eq!(office.keep(change), [retire("fourth"), retire("fifth")]);
    office.restart();
    for (name, left) in [("fourth", &["fifth"][..]), ("fifth", &[])] {
        let change = office.registrar.retired(serial, &asks(name), NOW);
        office.keep(change);
        assert_eq!(office.registrar.effects(), left.iter().map(|name| retire(name)).collect::<Vec<_>>());
    }
    office.restart();
}

/// A box that named another's key would have that one taken from the chain with its own next one.
#[test]
fn a_consensus_key_is_of_one_box() {
    let mut office = Office::new("");
    let [ours, theirs] = ["A", "B"].map(|serial| maker().build(serial, ""));
    let ldevid = office.enrol(&ours, 1);
    let other = office.enrol(&theirs, 2);
    admit(&mut office, &ours, &ldevid);
    let appraisal = office.appraisal(&theirs);
    let asked = |text: &str| theirs.admission(&other, appraisal, |one| one.request = text.to_owned());
    let upper = asks("A").to_uppercase().replace("PUBLIC_KEY", "public_key");
    for text in [&asks("A"), &upper] {
        let code = office.refused(Call::Admission, &other, &asked(text));
        assert_eq!(code, "admission-key-of-other-box", "{text}");
    }
    for text in ["{}", "?", "{\"public_key\":\"ab\"}"] {
        assert_eq!(office.refused(Call::Admission, &other, &asked(text)), "admission-key", "{text}");
    }
    // Nor while it is on its way out.
    let again = ours.admission(&ldevid, office.appraisal(&ours), |one| one.request = asks("another"));
    assert_eq!(office.ask(Call::Admission, &ldevid, &again).status, 202);
    for text in [asks("A"), asks("another")] {
        let code = office.refused(Call::Admission, &other, &asked(&text));
        assert_eq!(code, "admission-key-of-other-box", "{text}");
    }
    office.restart();
}

/// An organisation's operator did it on the chain, or others voted for it: nobody asked here.
#[test]
fn a_key_may_be_retired_by_hand() {
    // However the box stands: as a member, waiting, turned away, under an alarm, revoked, or in another's place.
    for standing in ["admitted", "asked", "turned-away", "alarmed", "revoked", "replaced"] {
        let mut office = Office::new("on-drift = \"retire\"");
        let [pledge, new] = ["A", "B"].map(|serial| maker().build(serial, ""));
        let ldevid = office.enrol(&pledge, 1);
        office.ask(Call::RequestVoucher, &new.idevid, &new.request(nonce(2), |_| ()));
        admit(&mut office, &pledge, &ldevid);
        let serial = &pledge.serial;
        match standing {
            "asked" => office.happened(Event::AdmissionAsked { serial: serial.clone(), request: asks("A") }),
            "turned-away" => office.happened(Event::TurnedAway { serial: serial.clone(), reason: "no".to_owned() }),
            "alarmed" => office.happened(Event::Alarm { serial: serial.clone(), code: "drift-key".to_owned() }),
            "revoked" => {
                let change = office.registrar.revoke(serial, "Ada", "stolen", NOW);
                office.keep(change);
            }
            "replaced" => {
                let change = office.registrar.replace(serial, &new.serial, "Ada", NOW);
                office.keep(change);
            }
            _ => {}
        }
        let change = office.registrar.retired(serial, &asks("A"), NOW);
        office.keep(change);
        office.restart();
        let state = office.registrar.state().boxes()[serial].membership.clone();
        assert_eq!(state, Some((asks("A"), Membership::Retired)), "{standing}");
        assert!(office.registrar.effects().is_empty(), "{standing}");
        if ["revoked", "replaced"].contains(&standing) {
            continue;
        }
        // Its key is of no use any more, whatever else it says; another one is.
        let change = office.registrar.allow_change(serial, "Ada", NOW);
        office.keep(change);
        let mut ask = |request: String| {
            let message = pledge.admission(&ldevid, office.appraisal(&pledge), |one| one.request = request);
            office.effects.clear();
            office.ask(Call::Admission, &ldevid, &message)
        };
        let moved = asks("A").replacen('{', "{\"endpoint\":\"10.0.0.2:1\",", 1);
        for request in [asks("A"), moved] {
            assert_eq!(code(&ask(request)), "box-retired", "{standing}");
        }
        assert_eq!(ask(asks("another")).status, 202, "{standing}");
        let asked = office.effects.iter().find(|effect| matches!(effect, Effect::Admit { .. }));
        assert!(matches!(asked, Some(Effect::Admit { request, .. }) if *request == asks("another")), "{standing}");
        assert_eq!(office.registrar.effects().len(), 1, "no key has to go first");
        office.restart();
    }
}

/// A proposal expires, or is rejected by mistake: that is not the last word.
#[test]
fn the_chain_is_asked_again() {
    let mut office = Office::new("");
    let pledge = maker().build("A", "");
    let ldevid = office.enrol(&pledge, 1);
    let serial = &pledge.serial;
    let again = |office: &mut Office| office.registrar.ask_again(serial, "Ada", office.now);
    assert_eq!(again(&mut office).unwrap_err().code(), "out-of-order");
    let request = pledge.admission(&ldevid, office.appraisal(&pledge), |_| ());
    assert_eq!(office.ask(Call::Admission, &ldevid, &request).status, 202);
    assert!(again(&mut office).unwrap().records.is_empty(), "it asks");
    let change = office.registrar.turned_away(serial, &asks("A"), "proposal 7 was expired", NOW);
    office.keep(change);
    office.restart();
    assert!(office.registrar.effects().is_empty());
    assert_eq!(office.refused(Call::Admission, &ldevid, &request), "admission-turned-away");
    // Not for a box that is to be looked at.
    office.happened(Event::Alarm { serial: serial.clone(), code: "drift-key".to_owned() });
    assert_eq!(again(&mut office).unwrap_err().code(), "box-alarmed");
    let change = office.registrar.allow_change(serial, "Ada", NOW);
    office.keep(change);

    office.now += 10;
    let appraisal = office.appraisal(&pledge);
    let since = NOW + 10;
    let admit = Effect::Admit { serial: serial.clone(), request: asks("A"), appraisal, since, replaces: None };
    let change = again(&mut office);
    assert_eq!(office.keep(change), std::slice::from_ref(&admit));
    let (_, record) = office.journal.last().unwrap();
    assert_eq!(record.who, Who::Operator("Ada".to_owned()));
    assert_eq!(record.what, Event::AskedAgain { serial: serial.clone() });
    office.restart();
    office.now += 10;
    assert_eq!(office.registrar.effects(), [admit]);
    assert_eq!(office.ask(Call::Admission, &ldevid, &request).status, 202);
    let change = office.registrar.admitted(serial, &asks("A"), Role::Follower, office.now);
    office.keep(change);
    assert_eq!(office.ask(Call::Admission, &ldevid, &request).status, 200);
    assert_eq!(again(&mut office).unwrap_err().code(), "out-of-order", "it is a member");
    let unknown = office.registrar.ask_again(&"B".parse().unwrap(), "Ada", NOW).unwrap_err();
    assert_eq!(unknown.code(), "unknown-box");
    let change = office.registrar.revoke(serial, "Ada", "stolen", office.now);
    office.keep(change);
    assert_eq!(again(&mut office).unwrap_err().code(), "box-revoked");
    office.restart();
}

/// Whoever plugs in the new box first finds it in the inbox of the chain: it can be put into the old one's place there.
#[test]
fn a_box_that_asked_takes_the_place_of_another() {
    for turned_away in [false, true] {
        let mut office = Office::new("");
        let [old, new, third] = ["A", "B", "C"].map(|serial| maker().build(serial, ""));
        let certificates = [(&old, 1), (&new, 2), (&third, 3)].map(|(pledge, tpm)| office.enrol(pledge, tpm));
        admit(&mut office, &old, &certificates[0]);
        admit(&mut office, &third, &certificates[2]);
        let request = new.admission(&certificates[1], office.appraisal(&new), |_| ());
        assert_eq!(office.ask(Call::Admission, &certificates[1], &request).status, 202);
        if turned_away {
            let change = office.registrar.turned_away(&new.serial, &asks("B"), "no slot", NOW);
            office.keep(change);
        }
        // One of the chain's takes nobody's place, nor does one whose key of before may be.
        let refused = |office: &mut Office, new| office.registrar.replace(&old.serial, new, "Ada", NOW).unwrap_err();
        assert_eq!(refused(&mut office, &third.serial).code(), "out-of-order");
        let again = third.admission(&certificates[2], office.appraisal(&third), |one| one.request = asks("C 2"));
        assert_eq!(office.ask(Call::Admission, &certificates[2], &again).status, 202);
        assert_eq!(refused(&mut office, &third.serial).code(), "out-of-order");
        let change = office.registrar.retired(&third.serial, &asks("C"), NOW);
        office.keep(change);
        let change = office.registrar.turned_away(&third.serial, &asks("C 2"), "no slot", NOW);
        office.keep(change);

        office.now += 5;
        let change = office.registrar.replace(&old.serial, &new.serial, "Ada", office.now);
        let since = if turned_away { office.now } else { NOW };
        let expected = [
            Effect::Retire { serial: old.serial.clone(), request: asks("A"), code: "replaced".to_owned() },
            Effect::Admit {
                serial: new.serial.clone(),
                request: asks("B"),
                appraisal: office.appraisal(&new),
                since,
                replaces: Some(old.serial.clone()),
            },
        ];
        assert_eq!(office.keep(change), expected);
        office.restart();
        assert_eq!(office.registrar.effects(), expected);
        assert_eq!(office.ask(Call::Admission, &certificates[1], &request).status, 202);
        let change = office.registrar.admitted(&new.serial, &asks("B"), Role::Validator, office.now);
        office.keep(change);
        assert_eq!(office.ask(Call::Admission, &certificates[1], &request).status, 200);
        office.restart();
    }
}
