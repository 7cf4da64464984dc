//! What a database holds, to the byte.

use alloy_primitives::{FixedBytes, b256};
use alloy_rlp::Encodable as _;
use dolmen_types::certificate::RankedSignature;

use super::*;

/// A change here is a change of the format: raise [`db::FORMAT_VERSION`] with it, once a release has written the old
/// one.
#[test]
fn the_format_is_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2);
    for height in 1..=4 {
        store.commit(&next(&store, 100 + height, height % 3), None).unwrap();
    }
    let before = store.head().state.account(&TOKEN).unwrap();
    let removed = AccountChange { address: TOKEN, before, after: None, slots: vec![] };
    let mut last = executed(&store, StateDiff { accounts: vec![removed], codes: vec![] }, vec![]);
    last.record = Some((1, Bytes::from_static(&[0xd0])));
    let signature = RankedSignature { rank: 0, signature: FixedBytes::repeat_byte(7) };
    let certificate =
        Certificate { epoch: 0, view: 9, parent_view: 8, block: last.block.hash(), signatures: vec![signature] };
    store.commit(&last, Some(&certificate)).unwrap();
    assert_eq!(store.certificate(5).unwrap(), Some(certificate));
    assert_eq!(store.certificate(4).unwrap(), None);
    assert_eq!(store.epoch_record(1).unwrap(), Some(Bytes::from_static(&[0xd0])));
    let mut contents = Vec::new();
    for family in cf::ALL {
        family.encode(&mut contents);
        for entry in store.db.scan(family, &[]) {
            let (key, value) = entry.unwrap();
            key[..].encode(&mut contents);
            value[..].encode(&mut contents);
        }
    }
    let expected = b256!("0xbcda16ed88d361b2b9344477ceb1413901978f7cc5e0448025180d8da46e748e");
    assert_eq!(keccak256(&contents), expected, "the format changed: raise FORMAT_VERSION");
}
