//! What somebody carries on a stick: letters of boxes, replies of registrars, and the box's record of both.

use std::{slice, sync::LazyLock};

use dolmen_image_bundle::Hash;
use dolmen_provisioning_ca::cms::ContentType;
use dolmen_provisioning_pledge::{Client, Connect, Outcome, Step, Trust};
use dolmen_provisioning_stick::{
    Answer, Arrived, Body, Carrier, Finished, Letter, Method, Name, Office, Reply, Request, Task,
};

use crate::{
    Target, voucher,
    world::{Party, WORLD},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("stick_letter", letters, letter),
    Target::new("stick_letter_message", letter_messages, arrive).cases(1_000),
    Target::new("stick_letter_signed", letters, letter_signed).cases(150),
    Target::new("stick_reply", replies, reply),
    Target::new("stick_reply_signed", first_replies, reply_signed).cases(200),
    Target::new("stick_record", records, record).cases(800),
    Target::new("stick_name", names, name),
];

/// Of messages with either.
const TYPE: ContentType = ContentType::data(2 << 20);
/// In the text of a reply: the hash of the letter that the box has written.
const LETTER_HASH: &str = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

fn letter_of(number: u64, owner: Option<[u8; 32]>) -> Letter {
    let get = Request {
        method: Method::Get,
        path: "/.well-known/est/cacerts".to_owned(),
        content_type: None,
        body: Body::default(),
    };
    let post = Request {
        method: Method::Post,
        path: "/.well-known/brski/requestvoucher".to_owned(),
        content_type: Some("application/voucher-cms+json".to_owned()),
        body: Body(voucher::asked()),
    };
    Letter { serial_number: voucher::serial(), number, owner: owner.map(Into::into), requests: vec![get, post] }
}

fn letters() -> Vec<Vec<u8>> {
    let owned = letter_of(u64::MAX, Some(WORLD.root.certificate().fingerprint()));
    let first = Letter { requests: Vec::new(), ..letter_of(1, None) };
    [owned, letter_of(7, None), first].map(|letter| letter.to_json().expect("JSON")).into()
}

fn letter(json: &[u8]) -> bool {
    let Ok(letter) = Letter::from_json(json) else { return false };
    let text = letter.to_json().expect("what was read can be written");
    let again = Letter::from_json(&text).expect("the same");
    assert_eq!((&again, again.to_json().expect("JSON")), (&letter, text));
    true
}

fn letter_messages() -> Vec<Vec<u8>> {
    let sign = |party: &Party, json: &[u8]| party.message(TYPE, json).expect("a message");
    vec![sign(&WORLD.machine, &letters()[1]), sign(&WORLD.member, &letters()[0])]
}

/// At the registrar: who wrote it, what is asked, and the reply. Nobody writes a letter but the box.
fn arrive(message: &[u8]) -> bool {
    let makers = WORLD.makers();
    let authorities = [WORLD.authority.certificate().clone(), WORLD.root.certificate().clone()];
    let office = Office { makers: &makers, authorities: &authorities, certificates: &WORLD.registrar.chain };
    let Ok(arrived) = Arrived::verify(message, &office) else { return false };
    assert_eq!(arrived.serial_number(), &voucher::serial());
    let signers = [&WORLD.machine, &WORLD.member].map(|party| party.certificate().fingerprint().into());
    assert!(signers.contains(&arrived.signer()));
    let count = arrived.letter().requests.len();
    let mut visit = arrived.visit(None, &office).expect("no reply was kept");
    let mut answered = 0;
    while let Some(asked) = visit.next() {
        assert!(!asked.certificates.is_empty());
        answered += 1;
        visit.answered(Answer { status: 200, content_type: None, retry_after: None, body: Body(vec![7; 9]) });
    }
    assert_eq!(answered, count);
    let finished = visit.finish(Vec::new(), &office).expect("a reply can be written");
    assert!(matches!(finished, Finished::Unsigned { keep, .. } if keep == (count > 0)));
    true
}

fn letter_signed(json: &[u8]) -> bool {
    let by = |party: &Party| party.message(TYPE, json).is_some_and(|message| arrive(&message));
    let (pledge, member) = (by(&WORLD.machine), by(&WORLD.member));
    assert!(!(pledge || member) || letter(json));
    pledge && member
}

fn replies() -> Vec<Vec<u8>> {
    let done = Answer {
        status: 200,
        content_type: Some("application/pkcs7-mime".to_owned()),
        retry_after: None,
        body: Body(vec![1, 2, 3]),
    };
    let later = Answer { status: 202, content_type: None, retry_after: Some("30".to_owned()), body: Body::default() };
    let hash: [u8; 32] = const_hex::decode_to_array(LETTER_HASH).expect("32 bytes");
    let reply = Reply {
        serial_number: voucher::serial(),
        number: 1,
        letter: Some(hash.into()),
        answers: Vec::new(),
        vouchers: vec![Body(vec![4, 5])],
    };
    let ahead = Reply::ahead(voucher::serial(), vec![vec![4, 5]]);
    let answered = Reply { number: 9, answers: vec![done, later], ..reply.clone() };
    let replies = [reply, ahead, answered];
    replies.map(|reply| reply.to_json().expect("JSON")).into()
}

fn reply(json: &[u8]) -> bool {
    let Ok(reply) = Reply::from_json(json) else { return false };
    let text = reply.to_json().expect("what was read can be written");
    let again = Reply::from_json(&text).expect("the same");
    assert_eq!((&again, again.to_json().expect("JSON")), (&reply, text));
    true
}

/// The record of a box that wrote its first letter, and that letter.
static WAITING: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let mut carrier = Carrier::new(voucher::serial());
    let hint = Carrier::hint().expect("a hint");
    let client = Client::IDevId(&WORLD.machine.chain);
    let step = Step::Connect(Connect { hint: &hint, client, trust: Trust::Provisional });
    let Task::Sign { unsigned, .. } = carrier.take(&step) else { panic!("no letter") };
    let letter = WORLD.machine.sign(&unsigned);
    carrier.performed(Outcome::Signed(letter.clone())).expect("the letter");
    (carrier.record(), letter)
});

fn waiting() -> Carrier {
    Carrier::resume(&WAITING.0, voucher::serial()).expect("its own record")
}

/// Without the one that answers what the first letter did not ask.
fn first_replies() -> Vec<Vec<u8>> {
    replies()[..2].to_vec()
}

/// The box takes a reply of whoever, before it has an owner; but none to a letter that it did not write.
fn reply_signed(json: &[u8]) -> bool {
    let letter = Hash::of(&WAITING.1).to_string();
    let json = String::from_utf8_lossy(json).replace(LETTER_HASH, &letter).into_bytes();
    let Some(message) = WORLD.registrar.message(TYPE, &json) else { return false };
    let mut carrier = waiting();
    let before = carrier.record();
    let Ok(vouchers) = carrier.receive(&message) else {
        assert_eq!(carrier.record(), before, "a refused reply changes nothing");
        return false;
    };
    let reply = Reply::from_json(&json).expect("what is taken can be read");
    assert_eq!(vouchers.len(), reply.vouchers.len());
    let record = carrier.record();
    assert_eq!(Carrier::resume(&record, voucher::serial()).expect("its own record").record(), record);
    true
}

/// The third line of records.
fn records() -> Vec<Vec<u8>> {
    let mut carrier = waiting();
    let mut records = vec![Carrier::new(voucher::serial()).record(), carrier.record()];
    let reply = String::from_utf8_lossy(&replies()[0]).replace(LETTER_HASH, &Hash::of(&WAITING.1).to_string());
    let reply = WORLD.registrar.message(TYPE, reply.as_bytes()).expect("a message");
    carrier.receive(&reply).expect("a reply to its letter");
    records.push(carrier.record());
    let third = |record: &Vec<u8>| record.split(|byte| *byte == b'\n').nth(2).expect("three lines").to_vec();
    records.iter().map(third).collect()
}

fn record(json: &[u8]) -> bool {
    let record = [b"dolmen-carrier-record-v1\n", Hash::of(json).to_string().as_bytes(), b"\n", json, b"\n"].concat();
    let _ = Carrier::resume(json, voucher::serial());
    let Ok(mut carrier) = Carrier::resume(&record, voucher::serial()) else { return false };
    let written = carrier.record();
    assert_eq!(Carrier::resume(&written, voucher::serial()).expect("its own record").record(), written);
    // It goes on by it.
    let hint = Carrier::hint().expect("a hint");
    let root = WORLD.root.certificate();
    for trust in [Trust::Provisional, Trust::Owner(root)] {
        let client = Client::IDevId(slice::from_ref(WORLD.machine.certificate()));
        let _ = carrier.take(&Step::Connect(Connect { hint: &hint, client, trust }));
    }
    true
}

fn names() -> Vec<Vec<u8>> {
    ["letter-7.cms", "reply-0.cms", "letter-18446744073709551615.cms"].map(|name| name.as_bytes().to_vec()).into()
}

fn name(bytes: &[u8]) -> bool {
    let Some(name) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Name>().ok()) else { return false };
    assert_eq!(name.to_string().as_bytes(), bytes);
    true
}
