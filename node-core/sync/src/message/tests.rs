use alloy_primitives::{Bytes as Raw, U256};
use dolmen_store::{
    Account,
    snapshot::{AccountEntry, Slot, StorageEntry},
};
use dolmen_types::Certificate;
use proptest::{collection::vec, prelude::*};

use super::*;

fn any_hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    (any_hash(), 0..=64_u8).prop_map(|(key, nibbles)| Prefix::of(&key, nibbles))
}

fn any_trie() -> impl Strategy<Value = TrieId> {
    prop_oneof![Just(TrieId::Accounts), any_hash().prop_map(TrieId::Storage)]
}

fn any_raw(max: usize) -> impl Strategy<Value = Raw> {
    vec(any::<u8>(), 0..max).prop_map(Raw::from)
}

fn any_slot() -> impl Strategy<Value = Slot> {
    (any_hash(), any_hash()).prop_map(|(key, value)| Slot { key, value: U256::from_be_bytes(value.0) })
}

fn any_account() -> impl Strategy<Value = AccountEntry> {
    let storage = prop_oneof![
        3 => vec(any_slot(), 0..4).prop_map(StorageEntry::Slots),
        1 => any_hash().prop_map(StorageEntry::Large),
    ];
    (any_hash(), any::<u64>(), any_hash(), storage).prop_map(|(key, nonce, code_hash, storage)| {
        let account = Account { nonce, balance: U256::from(nonce), code_hash };
        AccountEntry { key, account, storage }
    })
}

fn any_pivot() -> impl Strategy<Value = Pivot> {
    (any_hash(), any::<u64>(), any_raw(50)).prop_map(|(state_root, number, record)| {
        let header = Header { state_root, number, ..Default::default() };
        let certificate =
            Certificate { epoch: number / 7, view: 3, parent_view: 2, block: state_root, signatures: vec![] };
        Pivot::new(header, certificate, record)
    })
}

fn any_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Pivots),
        (any_hash(), any_trie(), vec(any_prefix(), 0..9)).prop_map(|(pivot, trie, prefixes)| Request::Nodes {
            pivot,
            trie,
            prefixes
        }),
        (any_hash(), any_prefix()).prop_map(|(pivot, prefix)| Request::Accounts { pivot, prefix }),
        (any_hash(), any_hash(), any_prefix()).prop_map(|(pivot, account, prefix)| Request::Slots {
            pivot,
            account,
            prefix
        }),
        vec(any_hash(), 0..9).prop_map(|hashes| Request::Codes { hashes }),
        (any_hash(), 0..=HEADERS_MAX as u64).prop_map(|(block, count)| Request::Headers { block, count }),
        (any_hash(), any::<u64>()).prop_map(|(block, offset)| Request::Block { block, offset }),
        (any::<u64>(), 0..=LINKS_MAX as u64).prop_map(|(epoch, count)| Request::Links { epoch, count }),
    ]
}

fn any_response() -> impl Strategy<Value = Response> {
    prop_oneof![
        Just(Response::Busy),
        Just(Response::Unavailable),
        vec(any_pivot(), 0..3).prop_map(Response::Pivots),
        vec(vec(any_raw(40), 0..=2), 0..9).prop_map(Response::Nodes),
        vec(any_account(), 0..9).prop_map(Response::Accounts),
        vec(any_slot(), 0..9).prop_map(Response::Slots),
        vec(any_raw(600), 0..=2).prop_map(Response::TooLarge),
        vec(any_raw(90), 0..9).prop_map(Response::Codes),
        vec(any_pivot().prop_map(|pivot| pivot.header().clone()), 0..4).prop_map(Response::Headers),
        (any::<u64>(), any_raw(90)).prop_map(|(length, bytes)| Response::Block { length, bytes }),
        vec(any_pivot(), 0..4).prop_map(Response::Links),
    ]
}

proptest! {
    #[test]
    fn requests_are_read_back(id in any::<u64>(), request in any_request()) {
        let message = request.encode(id);
        prop_assert!(is_request(&message));
        prop_assert_eq!(answered_id(&message), None);
        prop_assert_eq!(Request::decode(&message), Ok((id, request)));
        prop_assert!(matches!(Response::decode(&message), Err(DecodeError::Kind(_))));
    }

    #[test]
    fn responses_are_read_back(id in any::<u64>(), response in any_response()) {
        let message = response.encode(id);
        prop_assert!(!is_request(&message));
        prop_assert_eq!(answered_id(&message), Some(id));
        prop_assert_eq!(Response::decode(&message), Ok((id, response)));
        if message.len() <= REQUEST_BYTES_MAX {
            prop_assert!(matches!(Request::decode(&message), Err(DecodeError::Kind(_))));
        }
    }

    #[test]
    fn no_bytes_stop_the_reader(kind in prop_oneof![0..10_u8, 0x80..0x8d_u8], body in vec(any::<u8>(), 0..300)) {
        let message = [&[0_u8; 8][..], &[kind], &body[..]].concat();
        let _ = (Request::decode(&message), Response::decode(&message), is_request(&message));
    }

    #[test]
    fn no_change_of_a_message_stops_the_reader(
        response in any_response(),
        request in any_request(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        for message in [response.encode(1), request.encode(1)] {
            let mut changed = message.to_vec();
            let place = at.index(changed.len());
            changed[place] = byte;
            let _ = (Request::decode(&changed), Response::decode(&changed));
            let cut = &message[..cut.index(message.len())];
            prop_assert!(Request::decode(cut).is_err() && Response::decode(cut).is_err());
        }
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_is_read() {
    let hashes = Request::Codes { hashes: vec![B256::ZERO; CODES_MAX + 1] }.encode(1);
    assert_eq!(Request::decode(&hashes), Err(DecodeError::TooMany { what: "hashes", max: CODES_MAX }));
    let nodes = Response::Nodes(vec![vec![]; NODES_MAX + 1]).encode(1);
    assert_eq!(Response::decode(&nodes), Err(DecodeError::TooMany { what: "nodes", max: NODES_MAX }));
    let headers = Request::Headers { block: B256::ZERO, count: u64::MAX }.encode(1);
    assert_eq!(Request::decode(&headers), Err(DecodeError::TooMany { what: "headers", max: HEADERS_MAX }));
    let links = Request::Links { epoch: 0, count: LINKS_MAX as u64 + 1 }.encode(1);
    assert_eq!(Request::decode(&links), Err(DecodeError::TooMany { what: "links", max: LINKS_MAX }));
    let huge = vec![0x85; MESSAGE_BYTES_MAX + 1];
    let too_large = DecodeError::TooLarge { bytes: MESSAGE_BYTES_MAX + 1, max: MESSAGE_BYTES_MAX };
    assert_eq!(Response::decode(&huge), Err(too_large));
    assert_eq!(Response::decode(&[0; 8]), Err(DecodeError::Short(8)));
    assert_eq!(Response::decode(&[0; 9]), Err(DecodeError::Rlp(alloy_rlp::Error::InputTooShort)));
    let trailing = [&Response::Busy.encode(1)[..], &[0xc0]].concat();
    assert_eq!(Response::decode(&trailing), Err(DecodeError::Rlp(alloy_rlp::Error::UnexpectedLength)));
}
