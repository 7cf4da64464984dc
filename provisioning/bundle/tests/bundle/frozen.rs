//! The formats, byte by byte: a box of one version reads what a registrar of another writes.

use dolmen_provisioning_bundle::{Admission, ChainBundle};
use sha2::{Digest as _, Sha256};

use crate::support::world;

const BUNDLE: &str = concat!(
    r#"{"format":"dolmen-chain-bundle-v1","body":{"#,
    r#""serial_number":"SN-0042","#,
    r#""issued_at":"2027-01-15T08:00:00Z","#,
    r#""chain_id":7,"#,
    r#""genesis":"{\n  \"chain_id\": 7\n}\n","#,
    r#""genesis_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","#,
    r#""checkpoint":{"height":600,"hash":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},"#,
    r#""peers":[{"public_key":"0101010101010101010101010101010101010101010101010101010101010101","#,
    r#""address":"10.0.0.1:30303"},"#,
    r#"{"public_key":"0202020202020202020202020202020202020202020202020202020202020202","#,
    r#""address":"[fd00::2]:30303"}],"#,
    r#""organisation":{"id":3,"name":"Example"},"#,
    r#""organisation_roots":[ROOT],"#,
    r#""appraisal":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"}}"#,
);

const ADMISSION: &str = concat!(
    r#"{"format":"dolmen-admission-v1","body":{"#,
    r#""serial_number":"SN-0042","#,
    r#""chain_id":7,"#,
    r#""genesis_hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","#,
    r#""request":"{\"chain_id\":7,\"name\":\"box-1\"}\n","#,
    r#""appraisal":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"}}"#,
);

#[test]
fn a_bundle_is_this_text() {
    let expected = BUNDLE.replace("ROOT", &serde_json::to_string(world().root()).unwrap());
    assert_eq!(String::from_utf8(world().bundle().to_json().unwrap()).unwrap(), expected);
    assert_eq!(ChainBundle::from_json(expected.as_bytes()).unwrap(), world().bundle());
}

#[test]
fn an_admission_is_this_text() {
    assert_eq!(String::from_utf8(world().admission().to_json().unwrap()).unwrap(), ADMISSION);
    assert_eq!(Admission::from_json(ADMISSION.as_bytes()).unwrap(), world().admission());
}

/// The keys take their nonces from RFC 6979: the same content gives the same message.
#[test]
fn messages_are_these_bytes() {
    let hash = |bytes: &[u8]| const_hex::encode(Sha256::digest(bytes));
    let bundle = hash(&world().registrar.bundle(&world().bundle()));
    let admission = hash(&world().machine.admission(&world().admission()));
    assert_eq!(bundle, "696d981d7072ac52926598fb8ca0c3376090a7769bae50251554ffd32b1ac65f");
    assert_eq!(admission, "288ec6e5d93b68379e5b0b1664225bb02ead6d7154f479a0bf81b47c9c1b4ad9");
}
