//! What an authority remembers.

use dolmen_provisioning_ca::{
    Crl, Serial, SerialError,
    register::{Event, Reason, Register, RegisterError},
};
use futures::executor::block_on;

use crate::support::{DAY, Organisation, START, serial, time};

fn issued(organisation: &Organisation) -> Event {
    Event::Issued { certificate: organisation.ldevid.clone() }
}

fn revoked(serial: &Serial) -> Event {
    Event::Revoked { serial: serial.clone(), reason: Reason::KeyCompromise, date: time(START + DAY) }
}

fn listed(number: u64) -> Event {
    Event::Listed { number, this_update: time(START), next_update: time(START + 7 * DAY) }
}

#[test]
fn lists_say_all_that_was_revoked_and_have_rising_numbers() {
    let organisation = Organisation::new();
    let ldevid = organisation.ldevid.serial();
    let mut register = Register::default();
    assert_eq!(register.next_list(time(START), time(START + DAY)).number, 1);
    for event in [issued(&organisation), listed(1), revoked(ldevid), listed(5)] {
        register.apply(&event).unwrap();
    }
    assert_eq!(register.next_update(), Some(time(START + 7 * DAY)));
    // Long after the certificate has expired.
    let list = register.next_list(time(START + 5000 * DAY), time(START + 5007 * DAY));
    let crl = block_on(organisation.issuing.revoke(&list)).unwrap();
    let crl = Crl::from_der(crl.der(), organisation.issuing.certificate()).unwrap();
    assert_eq!((crl.number(), crl.is_revoked(ldevid), crl.revoked().count()), (6, true, 1));
    let all: Vec<_> = register.issued().map(|(certificate, revocation)| (certificate.der(), revocation)).collect();
    assert_eq!(all, [(organisation.ldevid.der(), crl.revocation(ldevid))]);
}

#[test]
fn what_cannot_follow_changes_nothing() {
    let organisation = Organisation::new();
    let ldevid = organisation.ldevid.serial().clone();
    let mut register = Register::default();
    let refused = |register: &mut Register, event: &Event| {
        let before = register.clone();
        let error = register.apply(event).unwrap_err();
        assert_eq!(*register, before);
        error
    };
    assert_eq!(refused(&mut register, &revoked(&ldevid)), RegisterError::Unknown(ldevid.clone()));
    register.apply(&issued(&organisation)).unwrap();
    assert_eq!(refused(&mut register, &issued(&organisation)), RegisterError::Issued(ldevid.clone()));
    assert_eq!(refused(&mut register, &revoked(&serial(3))), RegisterError::Unknown(serial(3)));
    register.apply(&revoked(&ldevid)).unwrap();
    assert_eq!(refused(&mut register, &revoked(&ldevid)), RegisterError::Revoked(ldevid));
    register.apply(&listed(3)).unwrap();
    for number in [0, 2, 3] {
        assert_eq!(refused(&mut register, &listed(number)), RegisterError::Number { found: number, last: 3 });
    }
}

#[test]
fn events_have_a_form_that_stays() {
    let issued = serde_json::to_string(&issued(&Organisation::new())).unwrap();
    assert!(issued.starts_with(r#"{"did":"issued","certificate":"MII"#), "{issued}");
    let frozen = [
        (
            revoked(&serial(1)),
            r#"{"did":"revoked","serial":"41010101010101010101010101010101","reason":"keyCompromise","date":"2027-01-16T08:00:00Z"}"#,
        ),
        (
            listed(4),
            r#"{"did":"listed","number":4,"this_update":"2027-01-15T08:00:00Z","next_update":"2027-01-22T08:00:00Z"}"#,
        ),
    ];
    for (event, json) in frozen {
        assert_eq!(serde_json::to_string(&event).unwrap(), json);
        assert_eq!(serde_json::from_str::<Event>(json).unwrap(), event);
    }
    for json in [
        r#"{"did":"listed","number":4,"this_update":"2027-01-15T08:00:00Z","next_update":"2027-01-15T08:00:00Z","more":3}"#,
        r#"{"did":"revoked","serial":"0101010101010101","reason":"keycompromise","date":"2027-01-15T08:00:00Z"}"#,
        r#"{"did":"revoked","serial":"01","reason":"superseded","date":"2027-01-15T08:00:00Z"}"#,
        r#"{"did":"revoked","serial":"0101010101010101","reason":"superseded","date":"10000-01-01T00:00:00Z"}"#,
        r#"{"did":"issued","certificate":"MAA="}"#,
        r#"{"did":"something"}"#,
    ] {
        assert!(serde_json::from_str::<Event>(json).is_err(), "{json}");
    }
}

#[test]
fn numbers_and_reasons_are_read_as_they_are_written() {
    let number = serial(7);
    assert_eq!(number.to_string().parse(), Ok(number.clone()));
    assert_eq!(number.to_string().to_lowercase().parse(), Ok(number));
    for (text, error) in [
        ("", SerialError::Length(0)),
        ("4101", SerialError::Length(2)),
        ("zz01010101010101", SerialError::Text),
        ("410101010101010", SerialError::Text),
        (&"41".repeat(21), SerialError::Length(21)),
        ("8101010101010101", SerialError::FirstByte(0x81)),
    ] {
        assert_eq!(text.parse::<Serial>(), Err(error), "{text}");
    }
    for reason in Reason::ALL {
        assert_eq!(reason.name().parse(), Ok(reason));
        assert_eq!(serde_json::to_string(&reason).unwrap(), format!("{:?}", reason.name()));
    }
    assert!("certificateHold".parse::<Reason>().unwrap_err().contains("keyCompromise"));
}
