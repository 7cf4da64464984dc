//! The formats: byte by byte, within their bounds, and as `openssl` reads them.

use std::{fs, path::Path, process::Command};

use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_stick::{
    Answer, Body, ContentError, LETTER_MESSAGE_BYTES_MAX, Letter, Method, REPLY_MESSAGE_BYTES_MAX, Reply, Request,
    limits::{ANSWER_BODY_BYTES_MAX, REQUEST_BODY_BYTES_MAX, REQUESTS_MAX, VOUCHER_BYTES_MAX, VOUCHERS_MAX},
};
use futures::executor::block_on;

use crate::{
    site::sign,
    world::{maker, organisation},
};

const LETTER: &str = concat!(
    r#"{"format":"dolmen-letter-v1","body":{"serial_number":"A","number":7,"#,
    r#""owner":"abababababababababababababababababababababababababababababababab","requests":["#,
    r#"{"method":"GET","path":"/.well-known/est/cacerts","body":""},"#,
    r#"{"method":"POST","path":"/.well-known/dolmen/enrolment","content_type":"application/json","body":"e30="}]}}"#,
);

const REPLY: &str = concat!(
    r#"{"format":"dolmen-reply-v1","body":{"serial_number":"A","number":7,"#,
    r#""letter":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","answers":["#,
    r#"{"status":200,"content_type":"application/pkcs7-mime","body":"AQID"},"#,
    r#"{"status":202,"retry_after":"30","body":""}],"vouchers":["BAU="]}}"#,
);

const AHEAD: &str =
    r#"{"format":"dolmen-reply-v1","body":{"serial_number":"A","number":0,"answers":[],"vouchers":["BAU="]}}"#;

pub(crate) fn letter() -> Letter {
    let get = Request {
        method: Method::Get,
        path: "/.well-known/est/cacerts".to_owned(),
        content_type: None,
        body: Body::default(),
    };
    let post = Request {
        method: Method::Post,
        path: "/.well-known/dolmen/enrolment".to_owned(),
        content_type: Some("application/json".to_owned()),
        body: Body(b"{}".to_vec()),
    };
    let owner = Some([0xab; 32].into());
    Letter { serial_number: "A".parse().expect("a serial number"), number: 7, owner, requests: vec![get, post] }
}

pub(crate) fn reply() -> Reply {
    let done = Answer {
        status: 200,
        content_type: Some("application/pkcs7-mime".to_owned()),
        retry_after: None,
        body: Body(vec![1, 2, 3]),
    };
    let later = Answer { status: 202, content_type: None, retry_after: Some("30".to_owned()), body: Body::default() };
    Reply {
        serial_number: "A".parse().expect("a serial number"),
        number: 7,
        letter: Some([0xcd; 32].into()),
        answers: vec![done, later],
        vouchers: vec![Body(vec![4, 5])],
    }
}

#[test]
fn texts_are_these() {
    assert_eq!(String::from_utf8(letter().to_json().unwrap()).unwrap(), LETTER);
    assert_eq!(Letter::from_json(LETTER.as_bytes()).unwrap(), letter());
    assert_eq!(String::from_utf8(reply().to_json().unwrap()).unwrap(), REPLY);
    assert_eq!(Reply::from_json(REPLY.as_bytes()).unwrap(), reply());
    let ahead = Reply::ahead("A".parse().unwrap(), vec![vec![4, 5]]);
    assert_eq!(String::from_utf8(ahead.to_json().unwrap()).unwrap(), AHEAD);
    assert_eq!(Reply::from_json(AHEAD.as_bytes()).unwrap(), ahead);
}

#[test]
fn other_texts_are_refused() {
    for (from, to) in [
        ("dolmen-letter-v1", "dolmen-reply-v1"),
        ("\"number\":7", "\"number\":0"),
        ("\"number\":7", "\"number\":-7"),
        ("\"number\":7", "\"number\":18446744073709551616"),
        ("\"number\":7", "\"number\":7,\"number\":7"),
        ("\"number\":7,", "\"number\":7,\"more\":1,"),
        ("\"owner\":\"ab", "\"owner\":\"AB"),
        ("\"GET\"", "\"PUT\""),
        ("\"/.well-known/est", "\"well-known/est"),
        ("/est/", "/e st/"),
        ("/est/", "/e\\u0000st/"),
        ("\"application/json\"", "\"\""),
        ("\"application/json\"", "\"a\\nb\""),
        ("\"application/json\"", "null"),
        ("\"e30=\"", "\"e30\""),
        ("\"e30=\"", "\"e31=\""),
        ("}}", "}} x"),
    ] {
        let text = LETTER.replacen(from, to, 1);
        assert_ne!(text, LETTER);
        assert!(Letter::from_json(text.as_bytes()).is_err(), "{text}");
    }
    for (from, to) in [
        ("dolmen-reply-v1", "dolmen-reply-v2"),
        ("\"number\":7", "\"number\":0"),
        ("\"status\":200", "\"status\":99"),
        ("\"status\":200", "\"status\":600"),
        ("\"30\"", "\"\\u001b\""),
        ("\"answers\":[", "\"answers\":{"),
        ("\"vouchers\":[\"BAU=\"]", "\"vouchers\":null"),
        (",\"vouchers\":[\"BAU=\"]", ""),
    ] {
        let text = REPLY.replacen(from, to, 1);
        assert_ne!(text, REPLY);
        assert!(Reply::from_json(text.as_bytes()).is_err(), "{text}");
    }
    // Answers to no letter, and a letter without a number.
    let text = AHEAD.replace("\"answers\":[]", "\"answers\":[{\"status\":200,\"body\":\"\"}]");
    assert!(matches!(Reply::from_json(text.as_bytes()), Err(ContentError::Invalid(_))));
    assert!(Reply::from_json(AHEAD.replace("\"number\":0", "\"number\":1").as_bytes()).is_err());
    assert!(Letter::from_json(&vec![b' '; LETTER_MESSAGE_BYTES_MAX]).is_err());
    assert!(Reply::from_json(&vec![b' '; REPLY_MESSAGE_BYTES_MAX]).is_err());
}

#[test]
fn parts_have_bounds() {
    let with = |requests| Letter { requests, ..letter() };
    let request = |bytes| Request { body: Body(vec![0xff; bytes]), ..letter().requests[1].clone() };
    // The longest body of a request and short ones fit.
    let mut requests = vec![request(8 << 10); REQUESTS_MAX - 1];
    requests.push(request(REQUEST_BODY_BYTES_MAX));
    let longest = with(requests.clone()).to_json().unwrap();
    assert_eq!(Letter::from_json(&longest).unwrap().requests.len(), REQUESTS_MAX);
    requests.push(request(1));
    assert!(matches!(with(requests).to_json(), Err(ContentError::Bytes { found: 9, .. })));
    assert!(matches!(with(vec![request(REQUEST_BODY_BYTES_MAX + 1)]).to_json(), Err(ContentError::Bytes { .. })));
    assert!(matches!(with(vec![request(REQUEST_BODY_BYTES_MAX); 2]).to_json(), Err(ContentError::Bytes { .. })));

    let answer = |bytes| Answer { body: Body(vec![0xff; bytes]), ..reply().answers[0].clone() };
    let with = |answers, vouchers| Reply { answers, vouchers, ..reply() };
    let vouchers = vec![Body(vec![1; VOUCHER_BYTES_MAX]); VOUCHERS_MAX];
    let answers = vec![answer(64 << 10), answer(8 << 10), answer(ANSWER_BODY_BYTES_MAX)];
    let longest = with(answers, vouchers.clone()).to_json().unwrap();
    assert!(Reply::from_json(&longest).is_ok());
    assert!(with(vec![answer(1); REQUESTS_MAX + 1], vec![]).to_json().is_err());
    assert!(with(vec![answer(ANSWER_BODY_BYTES_MAX + 1)], vec![]).to_json().is_err());
    assert!(with(vec![], [vouchers, vec![Body(vec![])]].concat()).to_json().is_err());
    assert!(with(vec![], vec![Body(vec![1; VOUCHER_BYTES_MAX + 1])]).to_json().is_err());
}

/// Logs have no bodies.
#[test]
fn bodies_are_not_shown() {
    let shown = format!("{:?} {:?}", letter(), reply());
    assert!(shown.contains("2 bytes") && shown.contains("3 bytes") && !shown.contains("123"), "{shown}");
}

fn openssl(directory: &Path, arguments: &str) -> bool {
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(directory).output();
    let output = output.expect("openssl; scripts/setup.sh installs it");
    eprintln!("{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[test]
fn openssl_reads_both() {
    const VERIFY: &str =
        "cms -verify -binary -inform DER -in message -CAfile root.pem -purpose any -attime 2000000000 -out content";
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let pledge = maker().build("A", "");
    let chain = [pledge.idevid.clone()];
    let letter_message = block_on(letter().to_sign(&chain).unwrap().sign(&*pledge.key)).unwrap();
    let (firm, maker) = (organisation(), maker());
    let cases: [(Vec<u8>, Vec<u8>, &Certificate, &Certificate); 2] = [
        (letter_message, letter().to_json().unwrap(), maker.root.certificate(), firm.root()),
        (sign(&reply()), reply().to_json().unwrap(), firm.root(), maker.root.certificate()),
    ];
    for (message, json, root, other) in cases {
        for (root, is_right) in [(root, true), (other, false)] {
            fs::write(directory.join("der"), root.der()).unwrap();
            assert!(openssl(directory, "x509 -inform DER -in der -out root.pem"));
            fs::write(directory.join("message"), &message).unwrap();
            assert_eq!(openssl(directory, VERIFY), is_right);
            if is_right {
                assert_eq!(fs::read(directory.join("content")).unwrap(), json);
            }
        }
    }
}
