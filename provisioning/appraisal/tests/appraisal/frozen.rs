//! The formats, byte by byte: boxes and registrars of different versions talk to each other, and the chain has hashes of
//! appraisals.

use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{
    Acknowledgement, Appraisal, Challenge, Claim, Enrolment, Fixed, Logs, Message, MessageError, QuoteRequest,
    Reattestation, Response, SignedQuote, SignedStatement, activation_proof, certification_nonce,
};

use crate::{
    measured::bytes,
    support::{NONCE, SECRET, serial},
};

fn statement(byte: u8) -> SignedStatement {
    SignedStatement { statement: bytes(vec![byte; 4]), signature: bytes(vec![byte + 1; 3]) }
}

fn quote() -> SignedQuote {
    let registers = [(4, 1), (11, 2)].map(|(register, byte)| (register, Hash::from_bytes([byte; 32])));
    SignedQuote { quote: statement(0x60), registers: registers.into() }
}

fn claim() -> Claim {
    Claim { version: "1.2.0-rc.1".parse().expect("a version"), root_hash: Hash::from_bytes([0xab; 32]) }
}

pub(crate) fn enrolment() -> Enrolment {
    Enrolment {
        ek_certificate: Some(bytes(vec![0x10; 5])),
        ek_chain: vec![bytes(vec![0x20; 4]), bytes(Vec::new())],
        ek_public: bytes(vec![0x30; 3]),
        ak_public: bytes(vec![0xff; 3]),
        ldevid_public: bytes(vec![0xfb; 3]),
        certification: statement(0x50),
        logs: Logs { firmware: bytes(vec![0x70; 2]), userspace: None },
        claim: claim(),
    }
}

pub(crate) fn challenge() -> Challenge {
    Challenge {
        id_object: bytes(vec![1; 4]),
        encrypted_secret: bytes(vec![2; 4]),
        nonce: Fixed(NONCE),
        registers: [11, 0, 4].into(),
    }
}

pub(crate) fn response() -> Response {
    Response { proof: activation_proof(&SECRET, &Fixed(NONCE)), quote: quote() }
}

pub(crate) fn quote_request() -> QuoteRequest {
    QuoteRequest { nonce: Fixed(NONCE), registers: [11, 7].into() }
}

pub(crate) fn reattestation() -> Reattestation {
    let logs = Logs { firmware: bytes(vec![0x70; 2]), userspace: Some(bytes(vec![0x71; 1])) };
    Reattestation { ak_public: bytes(vec![0xff; 3]), quote: quote(), logs, claim: claim() }
}

pub(crate) const fn acknowledgement() -> Acknowledgement {
    Acknowledgement { again_seconds: 86_400 }
}

const ENROLMENT: &str = r#"{"format":"dolmen-enrolment-v1","body":{"ek_certificate":"EBAQEBA=","ek_chain":["ICAgIA==",""],"ek_public":"MDAw","ak_public":"////","ldevid_public":"+/v7","certification":{"statement":"UFBQUA==","signature":"UVFR"},"logs":{"firmware":"cHA=","userspace":null},"claim":{"version":"1.2.0-rc.1","root_hash":"abababababababababababababababababababababababababababababababab"}}}"#;
const CHALLENGE: &str = r#"{"format":"dolmen-challenge-v1","body":{"id_object":"AQEBAQ==","encrypted_secret":"AgICAg==","nonce":"YSBub25jZSB0aGF0IHdhcyBuZXZlciB1c2VkIHlldC4=","registers":[0,4,11]}}"#;
const RESPONSE: &str = r#"{"format":"dolmen-response-v1","body":{"proof":"PROOF","quote":{"quote":{"statement":"YGBgYA==","signature":"YWFh"},"registers":{"4":"0101010101010101010101010101010101010101010101010101010101010101","11":"0202020202020202020202020202020202020202020202020202020202020202"}}}}"#;
const QUOTE_REQUEST: &str = r#"{"format":"dolmen-quote-request-v1","body":{"nonce":"YSBub25jZSB0aGF0IHdhcyBuZXZlciB1c2VkIHlldC4=","registers":[7,11]}}"#;
const REATTESTATION: &str = r#"{"format":"dolmen-reattestation-v1","body":{"ak_public":"////","quote":{"quote":{"statement":"YGBgYA==","signature":"YWFh"},"registers":{"4":"0101010101010101010101010101010101010101010101010101010101010101","11":"0202020202020202020202020202020202020202020202020202020202020202"}},"logs":{"firmware":"cHA=","userspace":"cQ=="},"claim":{"version":"1.2.0-rc.1","root_hash":"abababababababababababababababababababababababababababababababab"}}}"#;
const ACKNOWLEDGEMENT: &str = r#"{"format":"dolmen-acknowledgement-v1","body":{"again_seconds":86400}}"#;
/// By sha256sum, and by openssl's HMAC with the secret as key, over the label and the nonce.
const CERTIFICATION_NONCE: &str = "96e1975a891d9f7c19d7ef97a05009a5c43543a69fd7e38a6f102a2b3514e2dc";
const PROOF: &str = "CkRH8XlJLWrLOcKJg5HjhoXhlVyosjm5vmGXxDzQ35w=";

fn is_text<M: Message + PartialEq + std::fmt::Debug>(message: &M, text: &str) {
    assert_eq!(String::from_utf8(message.to_json().expect("a message")).expect("text"), text);
    assert_eq!(&M::from_json(text.as_bytes()).expect("a message"), message);
}

#[test]
fn messages_are_these_texts() {
    is_text(&enrolment(), ENROLMENT);
    is_text(&challenge(), CHALLENGE);
    is_text(&response(), &RESPONSE.replace("PROOF", PROOF));
    is_text(&quote_request(), QUOTE_REQUEST);
    is_text(&reattestation(), REATTESTATION);
    is_text(&acknowledgement(), ACKNOWLEDGEMENT);
}

#[test]
fn a_nonce_is_made_of_a_serial_number() {
    // printf 'dolmen-certification-v1\0S4EVNX0M123456' | sha256sum
    assert_eq!(const_hex::encode(certification_nonce(&serial())), CERTIFICATION_NONCE);
}

/// Each part has its own length or order, so that a shifted one would be seen.
const APPRAISAL: [&str; 19] = [
    "646f6c6d656e2d61707072616973616c2d763100",
    "0003",
    "532d37",
    "000a",
    "312e322e302d72632e31",
    "07",
    "abababababababababababababababababababababababababababababababab",
    "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
    "01efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef",
    "0004",
    "000b0102",
    "0002",
    "3059",
    "01",
    "0b1111111111111111111111111111111111111111111111111111111111111111",
    "02002222222222222222222222222222222222222222222222222222222222222222",
    "013333333333333333333333333333333333333333333333333333333333333333",
    "0000000500000006",
    "0000000000000007",
];

/// By sha256sum of these bytes.
const HASH: &str = "981bd89c42bd9f3658555a527193a2671f576db8126287052a9ccf0af0cb2e4e";

#[test]
fn an_appraisal_is_these_bytes() {
    let bytes = const_hex::decode(APPRAISAL.concat()).unwrap();
    let appraisal = Appraisal::from_bytes(&bytes).unwrap();
    assert_eq!(appraisal.serial().as_str(), "S-7");
    assert_eq!(appraisal.version(), &claim().version);
    assert_eq!(appraisal.security_version().get(), 7);
    let hash = |byte| Hash::from_bytes([byte; 32]);
    assert_eq!((appraisal.root_hash(), appraisal.ek()), (hash(0xab), hash(0xcd)));
    assert_eq!(appraisal.ek_certificate(), Some(hash(0xef)));
    assert_eq!((appraisal.ak_name(), appraisal.ldevid()), (&[0, 0x0b, 1, 2][..], &[0x30, 0x59][..]));
    assert_eq!(appraisal.registers(), &[(11, hash(0x11))].into());
    assert_eq!(appraisal.firmware(), &[(0, hash(0x22)), (1, hash(0x33))].into());
    assert_eq!((appraisal.counters().resets, appraisal.counters().restarts, appraisal.tpm_firmware()), (5, 6, 7));
    assert_eq!(appraisal.to_bytes(), bytes);
    assert_eq!(appraisal.hash().to_string(), HASH);

    // Registers in another order, a third way to say yes, another format.
    let other = |at: usize, part: &str| {
        let mut parts = APPRAISAL;
        parts[at] = part;
        Appraisal::from_bytes(&const_hex::decode(parts.concat()).unwrap()).map(drop)
    };
    assert_eq!(other(5, "08"), Ok(()));
    let [first, second] = [APPRAISAL[15], APPRAISAL[16]];
    let swapped = [&first[..2], second, &first[2..]].concat();
    let mut parts = APPRAISAL;
    (parts[15], parts[16]) = (&swapped, "");
    assert!(Appraisal::from_bytes(&const_hex::decode(parts.concat()).unwrap()).is_err());
    for (at, part) in [
        (0, "646f6c6d656e2d61707072616973616c2d763200"),
        (2, "532d0a"),
        (4, "312e322e302d72632e20"),
        (5, "00"),
        (8, "02efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef"),
        (14, "181111111111111111111111111111111111111111111111111111111111111111"),
        (18, "000000000000000700"),
    ] {
        assert!(other(at, part).is_err(), "{at}");
    }
}

#[test]
fn other_texts_are_no_messages() {
    let refused = |text: &str| Enrolment::from_json(text.as_bytes()).unwrap_err();
    let of = |from: &str, to: &str| {
        assert!(ENROLMENT.contains(from), "{from}");
        refused(&ENROLMENT.replacen(from, to, 1))
    };
    assert!(matches!(refused(CHALLENGE), MessageError::Format { expected: "dolmen-enrolment-v1", .. }));
    assert!(matches!(of("enrolment-v1", "enrolment-v2"), MessageError::Format { .. }));
    // Members that are not known, missing, or of another kind.
    assert!(matches!(of("\"claim\"", "\"more\":1,\"claim\""), MessageError::Json(_)));
    assert!(matches!(of("\"root_hash\"", "\"more\":1,\"root_hash\""), MessageError::Json(_)));
    assert!(matches!(of(",\"body\"", ",\"more\":1,\"body\""), MessageError::Json(_)));
    assert!(matches!(of("\"ek_public\":\"MDAw\",", ""), MessageError::Json(_)));
    assert!(matches!(of("\"MDAw\"", "[1,2,3]"), MessageError::Json(_)));
    assert!(matches!(of("\"MDAw\"", "\"MDA\""), MessageError::Json(_)));
    // The same message, written otherwise.
    assert!(matches!(of("{\"format\"", "{ \"format\""), MessageError::Form));
    assert!(matches!(of("\"MDAw\"", "\"MDA\\u0077\""), MessageError::Form));
    assert!(matches!(of("\"MDAw\"", "\"MDAw\\n\""), MessageError::Form | MessageError::Json(_)));
    assert!(matches!(of("EBAQEBA=", "EBAQEBB="), MessageError::Form));
    assert!(matches!(of(",\"userspace\":null", ""), MessageError::Form));
    let swapped = QUOTE_REQUEST.replace("[7,11]", "[11,7]");
    assert!(matches!(QuoteRequest::from_json(swapped.as_bytes()), Err(MessageError::Form)));
    let twice = QUOTE_REQUEST.replace("[7,11]", "[7,7,11]");
    assert!(matches!(QuoteRequest::from_json(twice.as_bytes()), Err(MessageError::Form)));
    assert!(matches!(refused(""), MessageError::Json(_)));
    assert!(matches!(refused(&[ENROLMENT, "{}"].concat()), MessageError::Json(_)));
}

/// No number that a box would not expect, and no second way to write one.
#[test]
fn acknowledgements_have_one_number() {
    let read = |number: &str| Acknowledgement::from_json(ACKNOWLEDGEMENT.replace("86400", number).as_bytes());
    for seconds in [0, 1, u32::MAX] {
        assert_eq!(read(&seconds.to_string()).unwrap().again_seconds, seconds);
    }
    for number in ["-1", "4294967296", "1.0", "1e3", "\"1\"", "null", "", " 1", "01", "1,\"more\":1"] {
        assert!(read(number).is_err(), "{number}");
    }
    let long = ACKNOWLEDGEMENT.replace("86400", &" ".repeat(128));
    assert!(matches!(Acknowledgement::from_json(long.as_bytes()), Err(MessageError::TooLong { limit: 128, .. })));
}

#[test]
fn messages_are_bounded() {
    let mut long = enrolment();
    long.ek_chain = vec![bytes(Vec::new()); 5];
    assert!(matches!(long.to_json(), Err(MessageError::TooLong { found: 5, limit: 4, .. })));
    let mut long = enrolment();
    long.claim.version = format!("1.2.0-{}", "a".repeat(60)).parse().unwrap();
    assert!(matches!(long.to_json(), Err(MessageError::TooLong { found: 66, limit: 64, .. })));
    let mut none = challenge();
    none.registers.insert(24);
    assert!(matches!(none.to_json(), Err(MessageError::Register(24))));
    assert!(matches!(Response::from_json(&vec![b' '; 1 << 20]), Err(MessageError::TooLong { .. })));
    // All that fits the members fits the message.
    let mut most = enrolment();
    most.ek_certificate = Some(bytes(vec![0xff; 16 << 10]));
    most.ek_chain = vec![bytes(vec![0xff; 16 << 10]); 4];
    for area in [&mut most.ek_public, &mut most.ak_public, &mut most.ldevid_public] {
        *area = bytes(vec![0xff; 1024]);
    }
    most.certification = SignedStatement { statement: bytes(vec![0xff; 1024]), signature: bytes(vec![0xff; 518]) };
    most.logs = Logs { firmware: bytes(vec![0xff; 1 << 20]), userspace: Some(bytes(vec![0xff; 64 << 10])) };
    assert_eq!(Enrolment::from_json(&most.to_json().unwrap()).unwrap(), most);
    let registers = (0..24).map(|register| (register, Hash::from_bytes([0xff; 32]))).collect();
    let quote = SignedQuote { quote: most.certification.clone(), registers };
    let again = Reattestation { ak_public: most.ak_public, quote: quote.clone(), logs: most.logs, claim: claim() };
    assert_eq!(Reattestation::from_json(&again.to_json().unwrap()).unwrap(), again);
    let most = Response { proof: Fixed([0xff; 32]), quote };
    assert_eq!(Response::from_json(&most.to_json().unwrap()).unwrap(), most);
    let registers = (0..24).collect();
    let (id_object, encrypted_secret) = (bytes(vec![0xff; 132]), bytes(vec![0xff; 512]));
    let most = Challenge { id_object, encrypted_secret, nonce: Fixed([0xff; 32]), registers };
    assert_eq!(Challenge::from_json(&most.to_json().unwrap()).unwrap(), most);
}
