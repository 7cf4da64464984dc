//! Whatever bytes come in, the answer is an error, or what was signed.

use std::sync::OnceLock;

use dolmen_provisioning_ca::{Certificate, chain::Roots};
use dolmen_provisioning_pledge::{Client, Connect, Outcome, Step, Trust};
use dolmen_provisioning_stick::{Arrived, Carrier, Letter, Name, Office, Reply, Task, directory};
use dolmen_provisioning_voucher::{IdevidRoots, SerialNumber};
use futures::executor::block_on;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    formats,
    site::sign,
    world::{Pledge, maker, organisation},
};

struct Ours {
    pledge: Pledge,
    makers: IdevidRoots,
    certificates: Vec<Certificate>,
    /// A letter, its reply, and the box's record of both.
    letter: Vec<u8>,
    reply: Vec<u8>,
    record: Vec<u8>,
}

impl Ours {
    fn arrived(&self, message: &[u8]) -> Option<Letter> {
        let certificates = &self.certificates;
        let office = Office { makers: &self.makers, authorities: &certificates[1..], certificates };
        Arrived::verify(message, &office).ok().map(|arrived| arrived.letter().clone())
    }

    fn serial(&self) -> SerialNumber {
        self.pledge.serial.as_str().parse().expect("a serial number")
    }
}

fn ours() -> &'static Ours {
    static OURS: OnceLock<Ours> = OnceLock::new();
    OURS.get_or_init(|| {
        let pledge = maker().build("A", "");
        let serial: SerialNumber = "A".parse().expect("a serial number");
        let mut carrier = Carrier::new(serial.clone());
        let (hint, chain) = (Carrier::hint().expect("a hint"), [pledge.idevid.clone()]);
        let step = Step::Connect(Connect { hint: &hint, client: Client::IDevId(&chain), trust: Trust::Provisional });
        let Task::Sign { unsigned, .. } = carrier.take(&step) else { panic!("no letter") };
        let letter = block_on(unsigned.sign(&*pledge.key)).expect("a signature");
        carrier.performed(Outcome::Signed(letter.clone())).expect("the letter");
        let hash = dolmen_image_bundle::Hash::of(&letter);
        let letter_hash = Some((*hash.as_bytes()).into());
        let reply = Reply { serial_number: serial, number: 1, letter: letter_hash, answers: vec![], vouchers: vec![] };
        let reply = sign(&reply);
        carrier.receive(&reply).expect("it is to this letter");
        let record = carrier.record();
        let makers = IdevidRoots(Roots::new(vec![maker().root.certificate().clone()]).expect("a root"));
        Ours { pledge, makers, certificates: organisation().certificates(), letter, reply, record }
    })
}

/// The box that has written the letter, and waits.
fn waiting() -> Carrier {
    let text = std::str::from_utf8(&ours().record).expect("text");
    let json = text.lines().nth(2).expect("JSON");
    let mut json: serde_json::Value = serde_json::from_str(json).expect("JSON");
    json["exchanges"][0]["reply"] = serde_json::Value::Null;
    Carrier::resume(&record(&json.to_string()), ours().serial()).expect("a record")
}

/// A record with a checksum that is right.
fn record(json: &str) -> Vec<u8> {
    let sum = dolmen_image_bundle::Hash::of(json.as_bytes());
    format!("dolmen-carrier-record-v1\n{sum}\n{json}\n").into_bytes()
}

#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
}

fn any_change() -> impl Strategy<Value = Change> {
    let token = prop_oneof![
        Just(b"\x30\x80".to_vec()),
        Just(b"\x84\xff\xff\xff\xff".to_vec()),
        Just(b"{\"".to_vec()),
        Just(b"[[[[[[[[".to_vec()),
        Just(b"\"number\":8,".to_vec()),
        vec(any::<u8>(), 1..4),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), 1..64_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<Index>(), token).prop_map(|(at, token)| Change::Insert(at, token)),
        (any::<Index>(), 1..64_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

fn apply(bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let part = |at: &Index, length: usize| at.index(bytes.len())..bytes.len().min(at.index(bytes.len()) + length);
        match change {
            Change::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Change::Remove(at, length) => drop(bytes.drain(part(at, *length))),
            Change::Insert(at, token) => {
                let at = at.index(bytes.len());
                drop(bytes.splice(at..at, token.iter().copied()));
            }
            Change::Repeat(at, length) => {
                let part = part(at, *length);
                bytes.extend_from_within(part);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn changed_messages_are_refused_or_say_the_same(changes in vec(any_change(), 1..4)) {
        let (letter, reply) = (apply(&ours().letter, &changes), apply(&ours().reply, &changes));
        if let Some(found) = ours().arrived(&letter) {
            prop_assert_eq!(Some(found), ours().arrived(&ours().letter));
        }
        let mut carrier = waiting();
        if carrier.receive(&reply).is_ok() {
            prop_assert_eq!(carrier.number(), 1);
        }
    }

    /// What is read can be written and read again.
    #[test]
    fn changed_texts_are_refused_or_whole(changes in vec(any_change(), 1..4)) {
        let texts = [formats::letter().to_json().unwrap(), formats::reply().to_json().unwrap()];
        let [letter, reply] = texts.map(|text| apply(&text, &changes));
        if let Ok(letter) = Letter::from_json(&letter) {
            prop_assert_eq!(&Letter::from_json(&letter.to_json().unwrap()).unwrap(), &letter);
        }
        if let Ok(reply) = Reply::from_json(&reply) {
            prop_assert_eq!(&Reply::from_json(&reply.to_json().unwrap()).unwrap(), &reply);
        }
    }

    #[test]
    fn bytes_are_no_message(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(ours().arrived(&bytes).is_none());
        prop_assert!(waiting().receive(&bytes).is_err());
        prop_assert!(Letter::from_json(&bytes).is_err());
        prop_assert!(Reply::from_json(&bytes).is_err());
        prop_assert!(Carrier::resume(&bytes, ours().serial()).is_err());
    }

    /// A record is changed, with its checksum or without.
    #[test]
    fn changed_records_are_refused_or_whole(changes in vec(any_change(), 1..4)) {
        let ours = ours();
        let changed = apply(&ours.record, &changes);
        prop_assert!(changed == ours.record || Carrier::resume(&changed, ours.serial()).is_err());
        let text = std::str::from_utf8(&ours.record).unwrap();
        let json = apply(text.lines().nth(2).unwrap().as_bytes(), &changes);
        if let Ok(json) = String::from_utf8(json)
            && let Ok(carrier) = Carrier::resume(&record(&json), ours.serial())
        {
            let again = Carrier::resume(&carrier.record(), ours.serial()).unwrap();
            prop_assert_eq!(again.record(), carrier.record());
        }
    }

    #[test]
    fn names_are_names(text in "(letter|reply)?-?[0-9]{0,21}(.cms)?", serial in "[ -~]{1,64}") {
        if let Ok(name) = text.parse::<Name>() {
            prop_assert_eq!(name.to_string(), text);
        }
        let directory = directory(&serial.parse().unwrap());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_%".contains(&byte);
        prop_assert!(directory.bytes().all(allowed) && directory.len() <= 192);
    }
}

/// Otherwise the tests above would see nothing but refusals.
#[test]
fn unchanged_ones_are_taken() {
    let ours = ours();
    assert_eq!(ours.arrived(&ours.letter).unwrap().number, 1);
    let mut carrier = waiting();
    carrier.receive(&ours.reply).unwrap();
    assert_eq!(carrier.record(), Carrier::resume(&ours.record, ours.serial()).unwrap().record());
    assert_eq!(carrier.record(), ours.record);
}

/// Where the text is in a message.
fn content(message: &[u8]) -> std::ops::Range<usize> {
    let find = |text: &[u8]| message.windows(text.len()).rposition(|part| part == text).expect("it is there");
    find(b"{\"format\"")..find(b"}}") + 2
}

/// One after the other. Certificates beside the signer's are not signed by him: they are judged by the path that they
/// make.
#[test]
fn no_byte_can_be_changed() {
    let ours = ours();
    let letter = ours.arrived(&ours.letter);
    for bit in [0x01, 0x80] {
        let flip = |message: &[u8], at: usize| {
            let mut message = message.to_vec();
            message[at] ^= bit;
            message
        };
        for at in (0..ours.letter.len()).step_by(3) {
            let changed = ours.arrived(&flip(&ours.letter, at));
            assert!(changed.is_none() || changed == letter, "{at}");
        }
        for at in content(&ours.reply).step_by(3) {
            let refused = waiting().receive(&flip(&ours.reply, at)).unwrap_err().code();
            assert!(matches!(refused, "reply-forged" | "reply-damaged"), "{at}: {refused}");
        }
    }
    for length in (0..ours.letter.len()).step_by(11) {
        assert!(ours.arrived(&ours.letter[..length]).is_none(), "{length}");
    }
    for length in (0..ours.reply.len()).step_by(11) {
        assert!(waiting().receive(&ours.reply[..length]).is_err(), "{length}");
    }
    for message in [&ours.letter, &ours.reply] {
        let longer = [&message[..], b"\0"].concat();
        assert!(ours.arrived(&longer).is_none() && waiting().receive(&longer).is_err());
    }
}

/// Larger than any: nobody reads further.
#[test]
fn huge_messages_are_refused() {
    let huge = vec![0x30; 16 << 20];
    assert!(ours().arrived(&huge).is_none());
    assert_eq!(waiting().receive(&huge).unwrap_err().code(), "reply-damaged");
    assert!(Carrier::resume(&vec![b'd'; 64 << 20], ours().serial()).is_err());
}
