//! Answer files.

use dolmen_image_bundle::{
    Sign, SigningKey,
    answer::{Action, Answer, AnswerError, Language, Then, sign},
};
use proptest::prelude::*;

use crate::support::{OTHER, key, keys};

const FILE: &str = "action = \"reimage-keep\"\ndisk = \"nvme-Samsung_SSD_S64ANS0T123456\"\nmin_bytes = 100_000_000_000\n\
                    language = \"zh\"\nthen = \"reboot\"\nonce = false\n";

fn answer() -> Answer {
    Answer {
        action: Action::ReimageKeep,
        disk: Some("nvme-Samsung_SSD_S64ANS0T123456".into()),
        min_bytes: Some(100_000_000_000),
        language: Some(Language::Zh),
        then: Then::Reboot,
        once: false,
    }
}

fn install() -> Answer {
    let (disk, min_bytes, language) = (None, None, None);
    Answer { action: Action::Install, disk, min_bytes, language, then: Then::Poweroff, once: true }
}

#[test]
fn signed_ones_are_followed() {
    let signature = sign(FILE.as_bytes(), &key()).unwrap();
    assert_eq!(Answer::verify(FILE.as_bytes(), &signature, &keys()).unwrap(), answer());
}

#[test]
fn what_is_not_said_is_careful() {
    assert_eq!(Answer::parse(b"action = \"install\"").unwrap(), install());
    for (name, action) in [
        ("install", Action::Install),
        ("reimage-keep", Action::ReimageKeep),
        ("reimage-wipe", Action::ReimageWipe),
        ("verify", Action::Verify),
        ("support", Action::Support),
    ] {
        let file = format!("action = \"{name}\"");
        assert_eq!(Answer::parse(file.as_bytes()).unwrap(), Answer { action, ..install() });
    }
}

#[test]
fn they_are_written_and_read() {
    for answer in [answer(), install(), Answer { min_bytes: Some(u64::MAX), ..install() }] {
        assert_eq!(Answer::parse(answer.to_toml().unwrap().as_bytes()).unwrap(), answer);
    }
    let unnamed = Answer { disk: Some(String::new()), ..install() };
    assert!(matches!(unnamed.to_toml(), Err(AnswerError::Disk(_))));
}

#[test]
fn no_byte_can_change() {
    let mut signed = [FILE.as_bytes(), &sign(FILE.as_bytes(), &key()).unwrap()].concat();
    for at in 0..signed.len() {
        signed[at] ^= 1;
        let (file, signature) = signed.split_at(FILE.len());
        assert!(matches!(Answer::verify(file, signature, &keys()), Err(AnswerError::Signature)), "{at}");
        signed[at] ^= 1;
    }
    let (file, signature) = signed.split_at(FILE.len());
    for length in 0..64 {
        let error = Answer::verify(file, &signature[..length], &keys()).unwrap_err();
        assert!(matches!(error, AnswerError::SignatureBytes(found) if found == length), "{error}");
    }
    assert!(matches!(Answer::verify(&file[1..], signature, &keys()), Err(AnswerError::Signature)));
}

#[test]
fn others_have_no_say() {
    let other = SigningKey::from_pem(OTHER).unwrap();
    let signature = sign(FILE.as_bytes(), &other).unwrap();
    assert!(matches!(Answer::verify(FILE.as_bytes(), &signature, &keys()), Err(AnswerError::Signature)));
    assert!(matches!(Answer::verify(FILE.as_bytes(), &signature, &[]), Err(AnswerError::Signature)));
    // A manifest's signature is none of an answer file.
    let manifest = key().sign(&[b"dolmen-image-manifest-v1\0", FILE.as_bytes()].concat()).unwrap();
    assert!(matches!(Answer::verify(FILE.as_bytes(), &manifest, &keys()), Err(AnswerError::Signature)));
}

#[test]
fn others_are_no_answers() {
    for file in [
        "",
        "action = \"erase\"",
        "action = \"install\"\nforce = true",
        "action = \"install\"\naction = \"verify\"",
        "action = \"install\"\nmin_bytes = -1",
        "action = \"install\"\nthen = \"halt\"",
        "action = \"install\"\nlanguage = \"fr\"",
        "action = \"install\"\nonce = \"no\"",
        "[install]",
    ] {
        assert!(matches!(Answer::parse(file.as_bytes()), Err(AnswerError::Toml(_))), "{file}");
        assert!(sign(file.as_bytes(), &key()).is_err());
    }
    assert!(matches!(Answer::parse(b"\xff"), Err(AnswerError::Toml(_))));
    for disk in ["", "a\\nb", "a\\u0000", &"a".repeat(256)] {
        let file = format!("action = \"install\"\ndisk = \"{disk}\"");
        assert!(matches!(Answer::parse(file.as_bytes()), Err(AnswerError::Disk(_))), "{disk}");
    }
    let long = format!("action = \"install\"\n#{}", " ".repeat(16 << 10));
    assert!(matches!(Answer::parse(long.as_bytes()), Err(AnswerError::Bytes(_))));
    assert!(matches!(Answer::verify(long.as_bytes(), &[0; 64], &keys()), Err(AnswerError::Bytes(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,40}", number: i64) {
        let _ = Answer::parse(&bytes);
        let file = format!("action = \"install\"\ndisk = {text:?}\nmin_bytes = {number}\n{text}");
        if let Ok(answer) = Answer::parse(file.as_bytes()) {
            prop_assert_eq!(Answer::parse(answer.to_toml().unwrap().as_bytes()).unwrap(), answer);
        }
    }
}
