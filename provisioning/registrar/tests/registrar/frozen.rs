//! The records' form: journals of years ago are read, and state is what they make.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_registrar::{Event, OpenError, Record, Registrar, Role, Setup, State, StateError, Step, Who};

use crate::{
    measured::bytes,
    support::{policy, released},
    world::{Firm, NOW, key, maker, organisation, setup},
};

fn hash(byte: u8) -> Hash {
    Hash::from_bytes([byte; 32])
}

/// A text for each kind of record. `HH` and `GG` stand for 32 bytes 0x11 and 0x22, `CERT` for a certificate.
fn records() -> Vec<(Event, &'static str)> {
    let serial = || "A".parse().expect("a serial number");
    let text = |text: &str| text.to_owned();
    let certificate = || organisation().ldevid(&maker().build("A", ""));
    vec![
        (Event::Began { version: 1, organisation: hash(0x11) }, r#"{"began":{"version":1,"organisation":"HH"}}"#),
        (Event::Seen { serial: serial(), idevid: hash(0x11) }, r#"{"seen":{"serial":"A","idevid":"HH"}}"#),
        (Event::Approved { serial: serial() }, r#"{"approved":{"serial":"A"}}"#),
        (Event::Declined { serial: serial(), reason: text("no") }, r#"{"declined":{"serial":"A","reason":"no"}}"#),
        (
            Event::Asked {
                serial: serial(),
                nonce: Some(hash(0x11)),
                message: hash(0x22),
                request: Some(bytes(vec![1, 2, 3])),
            },
            r#"{"asked":{"serial":"A","nonce":"HH","message":"GG","request":"AQID"}}"#,
        ),
        (Event::Exported { serial: serial() }, r#"{"exported":{"serial":"A"}}"#),
        (
            Event::Imported { serial: serial(), voucher: bytes(vec![1, 2, 3]) },
            r#"{"imported":{"serial":"A","voucher":"AQID"}}"#,
        ),
        (Event::Given { serial: serial(), voucher: hash(0x11) }, r#"{"given":{"serial":"A","voucher":"HH"}}"#),
        (
            Event::Reported { serial: serial(), step: Step::Enrolment, status: false, reason: Some(text("no")) },
            r#"{"reported":{"serial":"A","step":"enrolment","status":false,"reason":"no"}}"#,
        ),
        (
            Event::Appraised { serial: serial(), appraisal: bytes(vec![1, 2, 3]) },
            r#"{"appraised":{"serial":"A","appraisal":"AQID"}}"#,
        ),
        (
            Event::Issued { serial: serial(), certificate: certificate() },
            r#"{"issued":{"serial":"A","certificate":"CERT"}}"#,
        ),
        (
            Event::Superseded { serial: serial(), certificate: certificate() },
            r#"{"superseded":{"serial":"A","certificate":"CERT"}}"#,
        ),
        (Event::Bundled { serial: serial(), bundle: hash(0x11) }, r#"{"bundled":{"serial":"A","bundle":"HH"}}"#),
        (
            Event::AdmissionAsked { serial: serial(), request: text("{}") },
            r#"{"admission-asked":{"serial":"A","request":"{}"}}"#,
        ),
        (Event::AskedAgain { serial: serial() }, r#"{"asked-again":{"serial":"A"}}"#),
        (
            Event::Admitted { serial: serial(), role: Role::Validator },
            r#"{"admitted":{"serial":"A","role":"validator"}}"#,
        ),
        (Event::TurnedAway { serial: serial(), reason: text("no") }, r#"{"turned-away":{"serial":"A","reason":"no"}}"#),
        (Event::Retired { serial: serial() }, r#"{"retired":{"serial":"A"}}"#),
        (Event::FormerRetired { serial: serial() }, r#"{"former-retired":{"serial":"A"}}"#),
        (
            Event::Attested { serial: serial(), version: text("1.2.0"), resets: 7, restarts: 1 },
            r#"{"attested":{"serial":"A","version":"1.2.0","resets":7,"restarts":1}}"#,
        ),
        (Event::Alarm { serial: serial(), code: text("drift-key") }, r#"{"alarm":{"serial":"A","code":"drift-key"}}"#),
        (Event::Cleared { serial: serial() }, r#"{"cleared":{"serial":"A"}}"#),
        (Event::Revoked { serial: serial(), reason: text("lost") }, r#"{"revoked":{"serial":"A","reason":"lost"}}"#),
        (Event::Left { serial: serial() }, r#"{"left":{"serial":"A"}}"#),
        (
            Event::Replaced { old: serial(), new: "B".parse().expect("a serial number") },
            r#"{"replaced":{"old":"A","new":"B"}}"#,
        ),
        (Event::CrlSigned { number: 7 }, r#"{"crl-signed":{"number":7}}"#),
        (
            Event::Refused { call: text("response"), code: text("activation"), why: text("it guesses") },
            r#"{"refused":{"call":"response","code":"activation","why":"it guesses"}}"#,
        ),
    ]
}

#[test]
fn records_keep_their_form() {
    let certificate = organisation().ldevid(&maker().build("A", ""));
    let certificate = serde_json::to_string(&certificate).unwrap();
    for (event, text) in records() {
        let text = text.replace("HH", &"11".repeat(32)).replace("GG", &"22".repeat(32));
        let text = text.replace("\"CERT\"", &certificate);
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        // What nobody knows is not passed over.
        let more = text.replacen("{\"", "{\"x\":1,\"", 2);
        assert!(serde_json::from_str::<Event>(&more).is_err(), "{more}");
    }
    for (who, text) in [
        (Who::Registrar, r#""registrar""#.to_owned()),
        (Who::Operator("Ada".to_owned()), r#"{"operator":"Ada"}"#.to_owned()),
        (Who::Chain, r#""chain""#.to_owned()),
        (
            Who::Peer { address: "10.0.0.7:1".to_owned(), serial: None, certificate: Some(hash(0x11)) },
            format!(r#"{{"peer":{{"address":"10.0.0.7:1","serial":null,"certificate":"{}"}}}}"#, "11".repeat(32)),
        ),
    ] {
        let record = Record { who, what: Event::CrlSigned { number: 1 } };
        let text = format!(r#"{{"who":{text},"what":{{"crl-signed":{{"number":1}}}}}}"#);
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}

/// A record that does not follow changes nothing, and no record makes anything panic.
#[test]
fn journals_have_an_order() {
    let root = Hash::from_bytes(organisation().root().fingerprint());
    let record = |what| Record { who: Who::Registrar, what };
    let begin = |version, organisation| record(Event::Began { version, organisation });
    let mut state = State::default();
    for (event, _) in records().into_iter().skip(1) {
        assert_eq!(state.apply(NOW, &record(event)), Err(StateError::NotBegun));
    }
    assert_eq!(state.apply(NOW, &begin(2, root)), Err(StateError::Version(2)));
    state.apply(NOW, &begin(1, root)).unwrap();
    assert_eq!(state.apply(NOW, &begin(1, root)), Err(StateError::BegunTwice));
    let serial: dolmen_provisioning_appraisal::Serial = "A".parse().unwrap();
    for (event, text) in records().into_iter().skip(1) {
        let before = state.clone();
        if let Err(error) = state.apply(NOW, &record(event)) {
            assert!(matches!(error, StateError::UnknownBox(_) | StateError::Appraisal { .. } | StateError::Order(_)));
            assert_eq!(state, before, "{text}");
        }
    }
    assert!(state.boxes().contains_key(&serial));
    let late = record(Event::Revoked { serial, reason: "late".to_owned() });
    assert_eq!(state.apply(u64::MAX, &late), Err(StateError::Time(u64::MAX)));

    let open = |records: &[Record]| {
        let records = records.iter().map(|record| (NOW, record));
        Registrar::open(ours(), records).map(|(_, records)| records)
    };
    assert_eq!(open(&[]).unwrap(), [begin(1, root)]);
    assert!(open(&[begin(1, root)]).unwrap().is_empty());
    let other = begin(1, hash(0x11));
    match open(&[other]) {
        Err(OpenError::Journal(StateError::Organisation { found, expected })) => {
            assert_eq!((found, expected), (hash(0x11), root));
        }
        other => panic!("{other:?}"),
    }
}

fn ours() -> Setup {
    setup("", dolmen_provisioning_appraisal::Verifier::new(policy(&[]), released()))
}

/// Boxes would not follow it, or its messages would not be signed.
#[test]
fn a_registrar_has_its_own_certificate() {
    let open = |change: &dyn Fn(&mut Setup)| {
        let mut setup = ours();
        change(&mut setup);
        Registrar::open(setup, []).map(|_| ()).unwrap_err()
    };
    assert!(matches!(open(&|setup| setup.certificates.clear()), OpenError::NoCertificate));
    let ldevid = organisation().ldevid(&maker().build("A", ""));
    assert!(matches!(open(&|setup| setup.certificates[0] = ldevid.clone()), OpenError::Certificate(_)));
    let foreign = Firm::new("Example 2").certificates();
    assert!(matches!(open(&|setup| setup.certificates = foreign.clone()), OpenError::Certificate(_)));
    assert!(matches!(open(&|setup| setup.signer = key("another")), OpenError::OtherKey(_)));
}
