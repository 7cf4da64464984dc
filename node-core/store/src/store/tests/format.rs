//! What a database holds, to the byte.

use alloy_primitives::b256;
use alloy_rlp::Encodable as _;

use super::*;

/// A change here is a change of the format: raise [`db::FORMAT_VERSION`] with it, once a release has written the old
/// one.
#[test]
fn the_format_is_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2);
    for height in 1..=4 {
        store.commit(&next(&store, 100 + height, height % 3)).unwrap();
    }
    let before = store.head().state.account(&TOKEN).unwrap();
    let removed = AccountChange { address: TOKEN, before, after: None, slots: vec![] };
    store.commit(&executed(&store, StateDiff { accounts: vec![removed], codes: vec![] }, vec![])).unwrap();
    let mut contents = Vec::new();
    for family in cf::ALL {
        family.encode(&mut contents);
        for entry in store.db.scan(family, &[]) {
            let (key, value) = entry.unwrap();
            key[..].encode(&mut contents);
            value[..].encode(&mut contents);
        }
    }
    let expected = b256!("0x97490ddbacbcd0e67de4c2272926e5ad429ea9ae795c6eedf3e1098a6f7a2820");
    assert_eq!(keccak256(&contents), expected, "the format changed: raise FORMAT_VERSION");
}
