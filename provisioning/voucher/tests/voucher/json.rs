//! The texts: what they say comes back, and what nobody means is refused.

use dolmen_provisioning_voucher::{Assertion, Form, Freshness, JsonError, OwnershipEpoch, Voucher, VoucherRequest};
use serde_json::{Value, json};

use crate::support::{nonce, time, world};

const VOUCHER: &str = "ietf-voucher:voucher";
const REQUEST: &str = "ietf-voucher-request:voucher";
const EPOCH: &str = "dolmen-voucher:ownership-epoch";

fn voucher() -> Voucher {
    let freshness = Freshness::Both(nonce(), OwnershipEpoch::new(8));
    Voucher { expires_on: Some(time()), freshness, ..world().voucher() }
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("JSON")
}

fn voucher_of(value: &Value) -> Result<Voucher, JsonError> {
    Voucher::from_json(&serde_json::to_vec(value).expect("JSON"))
}

fn request_of(value: &Value) -> Result<VoucherRequest, JsonError> {
    VoucherRequest::from_json(&serde_json::to_vec(value).expect("JSON"))
}

/// A voucher with one member of another value, or without it.
fn with(name: &str, member: Option<Value>) -> Result<Voucher, JsonError> {
    let mut value = value(&voucher().to_json().expect("JSON"));
    let members = value[VOUCHER].as_object_mut().expect("members");
    members.remove(name);
    members.extend(member.map(|member| (name.to_owned(), member)));
    voucher_of(&value)
}

#[test]
fn vouchers_come_back() {
    let every = [
        Freshness::Nonce(nonce()),
        Freshness::Epoch(OwnershipEpoch::new(0)),
        Freshness::Epoch(OwnershipEpoch::new(u64::MAX)),
        Freshness::Both(nonce(), OwnershipEpoch::new(8)),
    ];
    for freshness in every {
        for assertion in [Assertion::Verified, Assertion::Logged, Assertion::Proximity] {
            let full = Voucher { freshness: freshness.clone(), assertion, ..voucher() };
            assert_eq!(Voucher::from_json(&full.to_json().unwrap()).unwrap(), full);
            let least =
                Voucher { expires_on: None, idevid_issuer: None, domain_cert_revocation_checks: None, ..full.clone() };
            assert_eq!(Voucher::from_json(&least.to_json().unwrap()).unwrap(), least);
            assert_ne!(least, full);
        }
    }
}

#[test]
fn requests_come_back() {
    let world = world();
    let carried = VoucherRequest {
        created_on: None,
        assertion: None,
        nonce: None,
        idevid_issuer: None,
        form: Form::Pledge { proximity_registrar_cert: None },
        ..world.pledge_request()
    };
    for request in [world.pledge_request(), world.registrar_request(), carried] {
        assert_eq!(VoucherRequest::from_json(&request.to_json().unwrap()).unwrap(), request);
    }
}

/// Numbers of 64 bits are strings, and the names of the RFCs are used.
#[test]
fn members_are_those_of_the_rfcs() {
    let value = value(&voucher().to_json().unwrap());
    let members: Vec<_> = value[VOUCHER].as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "created-on",
        "expires-on",
        "assertion",
        "serial-number",
        "idevid-issuer",
        "pinned-domain-cert",
        "domain-cert-revocation-checks",
        "nonce",
        EPOCH,
    ];
    expected.sort_unstable();
    let mut members = members;
    members.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(value[VOUCHER][EPOCH], json!("8"));
    assert_eq!(value[VOUCHER]["created-on"], json!("2026-11-22T08:00:00Z"));
    assert_eq!(value[VOUCHER]["assertion"], json!("proximity"));
    assert_eq!(value[VOUCHER]["nonce"], json!("paWlpaWlpaWlpaWlpaWlpQ=="));
}

/// The members of an example of RFC 8366 §5.2, with a certificate that is one.
#[test]
fn others_vouchers_are_read() {
    let pinned = value(&voucher().to_json().unwrap())[VOUCHER]["pinned-domain-cert"].clone();
    let text = format!(
        r#"{{
          "ietf-voucher:voucher": {{
            "created-on": "2016-10-07T19:31:42.5+02:00",
            "assertion": "logged",
            "serial-number": "JADA123456789",
            "idevid-issuer": "AAECAwQFBgc=",
            "pinned-domain-cert": {pinned},
            "nonce": "AAECAwQFBgc="
          }}
        }}"#
    );
    let voucher = Voucher::from_json(text.as_bytes()).unwrap();
    assert_eq!(voucher.created_on.to_string(), "2016-10-07T17:31:42Z");
    assert_eq!(voucher.freshness.nonce().unwrap().as_bytes(), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(voucher.idevid_issuer.unwrap().as_bytes(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_voucher_is_good_for_something_once() {
    assert!(with("nonce", None).is_ok() && with(EPOCH, None).is_ok());
    let mut value = value(&voucher().to_json().unwrap());
    for name in ["nonce", EPOCH] {
        value[VOUCHER].as_object_mut().unwrap().remove(name);
    }
    assert!(matches!(voucher_of(&value), Err(JsonError::Neither)));
}

#[test]
fn values_are_checked() {
    let long = "x".repeat(65);
    for (name, member) in [
        ("created-on", json!("yesterday")),
        ("created-on", json!(1_795_334_400)),
        ("assertion", json!("Verified")),
        ("assertion", json!("guessed")),
        ("serial-number", json!("")),
        ("serial-number", json!(long)),
        ("serial-number", json!(7)),
        ("idevid-issuer", json!("")),
        ("pinned-domain-cert", json!("")),
        ("pinned-domain-cert", json!("MIIB")),
        ("domain-cert-revocation-checks", json!("false")),
        ("nonce", json!("AAECAwQFBg==")),
        ("nonce", json!("AAECAwQFBgc")),
        ("nonce", json!("AAECAwQFBgd=")),
        ("nonce", json!("AAEC AwQFBgc=")),
        ("nonce", json!("AAECAwQF_wc=")),
        (EPOCH, json!(8)),
        (EPOCH, json!("08")),
        (EPOCH, json!("-1")),
        (EPOCH, json!("18446744073709551616")),
    ] {
        assert!(matches!(with(name, Some(member.clone())), Err(JsonError::Json(_))), "{name}: {member}");
    }
    assert!(with(EPOCH, Some(json!("18446744073709551615"))).is_ok());
}

#[test]
fn members_are_known_and_there_once() {
    for name in ["created-on", "assertion", "serial-number", "pinned-domain-cert"] {
        assert!(matches!(with(name, None), Err(JsonError::Json(_))), "{name}");
    }
    for name in ["last-renewal-date", "ownership-epoch", "proximity-registrar-cert", "more"] {
        assert!(matches!(with(name, Some(json!("2026-11-22T08:00:00Z"))), Err(JsonError::Json(_))), "{name}");
    }
    let text = String::from_utf8(voucher().to_json().unwrap()).unwrap();
    let whole = value(text.as_bytes());
    for (name, member) in whole[VOUCHER].as_object().unwrap() {
        // `null` is no value, not even of what may be missing.
        assert!(matches!(with(name, Some(Value::Null)), Err(JsonError::Json(_))), "{name}");
        let twice = text.replacen("\"created-on\"", &format!("{name:?}:{member},\"created-on\""), 1);
        assert_eq!(value(twice.as_bytes()), whole, "the test's own text");
        assert!(matches!(Voucher::from_json(twice.as_bytes()), Err(JsonError::Json(_))), "{name}");
    }
    for text in [text.clone() + "x", text.clone() + "{}", format!("[{text}]"), text.replacen('{', "{\"more\":1,", 1)] {
        assert!(matches!(Voucher::from_json(text.as_bytes()), Err(JsonError::Json(_))), "{text}");
    }
    // A request is no voucher, and a voucher no request.
    assert!(matches!(Voucher::from_json(text.replace(VOUCHER, REQUEST).as_bytes()), Err(JsonError::Json(_))));
    assert!(matches!(VoucherRequest::from_json(text.as_bytes()), Err(JsonError::Json(_))));
}

#[test]
fn sizes_are_bounded() {
    assert!(matches!(Voucher::from_json(b""), Err(JsonError::Bytes { found: 0, .. })));
    let mut text = voucher().to_json().unwrap();
    text.resize(64 << 10, b' ');
    assert!(Voucher::from_json(&text).is_ok());
    text.push(b' ');
    assert!(matches!(Voucher::from_json(&text), Err(JsonError::Bytes { found: 65_537, limit: 65_536 })));
    let deep = "[".repeat(60_000);
    assert!(matches!(Voucher::from_json(deep.as_bytes()), Err(JsonError::Json(_))));
}

#[test]
fn a_request_is_a_boxs_or_a_registrars() {
    let world = world();
    let mut both = value(&world.registrar_request().to_json().unwrap());
    let pledge = value(&world.pledge_request().to_json().unwrap());
    both[REQUEST]["proximity-registrar-cert"] = pledge[REQUEST]["proximity-registrar-cert"].clone();
    assert!(matches!(request_of(&both), Err(JsonError::Form)));

    let mut nobody = pledge.clone();
    nobody[REQUEST].as_object_mut().unwrap().remove("proximity-registrar-cert");
    assert!(matches!(request_of(&nobody), Err(JsonError::Proximity)));
    nobody[REQUEST]["assertion"] = json!("logged");
    let carried = request_of(&nobody).unwrap();
    assert_eq!(carried.form, Form::Pledge { proximity_registrar_cert: None });
    // What would not be read is not written.
    let wrong = VoucherRequest { assertion: Some(Assertion::Proximity), ..carried };
    assert!(matches!(wrong.to_json(), Err(JsonError::Proximity)));

    for (length, allowed) in [(0, false), (1, true), (32 << 10, true), ((32 << 10) + 1, false)] {
        let form = Form::Registrar { prior_signed_voucher_request: vec![7; length] };
        let written = VoucherRequest { form, ..world.pledge_request() }.to_json();
        assert_eq!(written.is_ok(), allowed, "{length}");
        assert!(allowed || matches!(written, Err(JsonError::PriorBytes { found, .. }) if found == length));
    }
    for name in ["pinned-domain-cert", "domain-cert-revocation-checks", "last-renewal-date", "expires-on", EPOCH] {
        let mut more = pledge.clone();
        more[REQUEST][name] = json!("2026-11-22T08:00:00Z");
        assert!(matches!(request_of(&more), Err(JsonError::Json(_))), "{name}");
    }
    for name in ["created-on", "assertion", "nonce", "idevid-issuer", "proximity-registrar-cert"] {
        let mut null = pledge.clone();
        null[REQUEST][name] = Value::Null;
        assert!(matches!(request_of(&null), Err(JsonError::Json(_))), "{name}");
    }
}
