//! The record, byte by byte: the next version of a box reads what this one wrote.

use sha2::{Digest as _, Sha256};

use crate::{registrar::Stock, resume::records};

/// The keys take their nonces from RFC 6979: the same box at the same registrar has the same records.
#[test]
fn records_are_these_bytes() {
    let (records, _) = records(Stock::Nonce);
    let hashes: Vec<_> = records.iter().map(|record| const_hex::encode(Sha256::digest(record))).collect();
    assert_eq!(
        hashes,
        [
            "f4be8605941854d65f5a881868f8ef20c4a902ed66c1fc7ff9e681325bde6726",
            "4babb4bfa88b7e3d973c9acf533da4d4279380c19193245f074c9735be24f6ae",
            "6311b80b2dfb849f6ab72781fd6ad4899488e0615234675d35522dcd1ea14c24",
            "14f1839f21b75176e19db7d9117771501ea65d8a23aac5d804c9fbca7de9dce8",
        ]
    );
}

#[test]
fn a_record_has_three_lines() {
    let (records, _) = records(Stock::Epoch(8));
    let text = String::from_utf8(records[3].clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "dolmen-pledge-record-v1");
    assert_eq!(lines[1], const_hex::encode(Sha256::digest(lines[2])));
    let json: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
    let mut members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["enrolled", "held", "nonce", "registrar", "voucher"]);
    assert_eq!(json["held"], "7");
    assert_eq!(json["enrolled"]["bundled"]["role"], "follower");
}
