//! Whatever bytes come in, the answer is an error, or what was signed.

use std::sync::OnceLock;

use dolmen_provisioning_bundle::{Admission, ChainBundle};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::support::{admission_expectation, expectation, serial, world};

/// One of ours of each kind: a message, and its JSON.
fn ours() -> &'static [[Vec<u8>; 2]; 2] {
    static OURS: OnceLock<[[Vec<u8>; 2]; 2]> = OnceLock::new();
    OURS.get_or_init(|| {
        let (bundle, admission) = (world().bundle(), world().admission());
        [
            [world().registrar.bundle(&bundle), bundle.to_json().expect("JSON")],
            [world().machine.admission(&admission), admission.to_json().expect("JSON")],
        ]
    })
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
        Just(b"\\u0000".to_vec()),
        Just(b"\"chain_id\":8,".to_vec()),
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
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_messages_are_refused_or_say_the_same(which in 0..2_usize, changes in vec(any_change(), 1..4)) {
        let message = apply(&ours()[which][0], &changes);
        if let Ok(bundle) = ChainBundle::verify(&message, &expectation(&serial())) {
            prop_assert_eq!(bundle.content(), &world().bundle());
        }
        if let Ok(admission) = Admission::verify(&message, &admission_expectation()) {
            prop_assert_eq!(admission.content(), &world().admission());
        }
    }

    /// What is read can be written and read again.
    #[test]
    fn changed_texts_are_refused_or_whole(which in 0..2_usize, changes in vec(any_change(), 1..4)) {
        let json = apply(&ours()[which][1], &changes);
        if let Ok(bundle) = ChainBundle::from_json(&json) {
            prop_assert_eq!(&ChainBundle::from_json(&bundle.to_json().unwrap()).unwrap(), &bundle);
        }
        if let Ok(admission) = Admission::from_json(&json) {
            prop_assert_eq!(&Admission::from_json(&admission.to_json().unwrap()).unwrap(), &admission);
        }
    }

    #[test]
    fn bytes_are_no_message(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(ChainBundle::verify(&bytes, &expectation(&serial())).is_err());
        prop_assert!(Admission::verify(&bytes, &admission_expectation()).is_err());
        prop_assert!(ChainBundle::from_json(&bytes).is_err());
        prop_assert!(Admission::from_json(&bytes).is_err());
    }
}

/// Otherwise the tests above would see nothing but refusals.
#[test]
fn unchanged_ones_are_taken() {
    ChainBundle::verify(&ours()[0][0], &expectation(&serial())).unwrap();
    Admission::verify(&ours()[1][0], &admission_expectation()).unwrap();
}
