//! Whether boxes hold the same chain.

use std::ops::RangeInclusive;

use alloy_primitives::{hex, keccak256};
use serde_json::{Value, json};

use crate::{Account, Acknowledged, BoxInfo, http};

/// Calls in one request: far below the server's limit of 1,000.
const BATCH: usize = 200;

/// Compares every block in the range, header and transaction hashes, among the boxes; each must have reached its end.
pub fn check_same_blocks(boxes: &[BoxInfo], range: RangeInclusive<u64>) {
    let numbers: Vec<u64> = range.collect();
    for part in numbers.chunks(BATCH) {
        let params: Vec<Value> = part.iter().map(|number| json!([format!("{number:#x}"), false])).collect();
        let mut first: Option<Vec<Value>> = None;
        for own in boxes {
            let blocks = batch(own, "eth_getBlockByNumber", params.clone());
            for (number, block) in part.iter().zip(&blocks) {
                assert!(block["stateRoot"].is_string(), "{} has no block {number}: {block}", own.name);
            }
            let Some(first) = &first else {
                first = Some(blocks);
                continue;
            };
            for ((number, expected), found) in part.iter().zip(first).zip(&blocks) {
                assert_eq!(expected, found, "{} and {} differ in block {number}", boxes[0].name, own.name);
            }
        }
    }
}

/// Every box must show each acknowledged transaction with the receipt that was seen: same block, same content.
pub fn check_receipts(boxes: &[BoxInfo], acknowledged: &[Acknowledged]) {
    for own in boxes {
        for part in acknowledged.chunks(BATCH) {
            let params = part.iter().map(|seen| json!([seen.hash])).collect();
            for (seen, found) in part.iter().zip(batch(own, "eth_getTransactionReceipt", params)) {
                assert!(
                    !found.is_null(),
                    "{} lost the finalized transaction {}: {}",
                    own.name,
                    seen.hash,
                    seen.receipt
                );
                assert_eq!(seen.receipt, found, "{} shows another receipt for {}", own.name, seen.hash);
            }
        }
    }
}

/// The state that each box holds at a height is the one that its header names, and the same on all of them: the first
/// node of a proof is the trie's root, so the hash of that node is the `stateRoot`.
pub fn check_state(boxes: &[BoxInfo], height: u64, accounts: &[Account]) {
    let number = format!("{height:#x}");
    for account in accounts {
        let params = json!([account.address, [], number]);
        let expected = boxes[0].call("eth_getProof", params.clone());
        for own in boxes {
            let header = own.call("eth_getBlockByNumber", json!([number, false]));
            let proof = own.call("eth_getProof", params.clone());
            let root = proof["accountProof"][0].as_str().and_then(|node| hex::decode(node).ok());
            let root = root.unwrap_or_else(|| panic!("{} proves nothing at block {height}: {proof}", own.name));
            assert_eq!(header["stateRoot"], json!(keccak256(root)), "{} holds another state at {height}", own.name);
            assert_eq!(expected, proof, "{} and {} differ at {height}", boxes[0].name, own.name);
        }
    }
}

fn batch(own: &BoxInfo, method: &str, params: Vec<Value>) -> Vec<Value> {
    let results = http::rpc_batch(own.rpc_address(), method, params);
    results.unwrap_or_else(|error| panic!("{method} in a batch on {}: {error}", own.name))
}
