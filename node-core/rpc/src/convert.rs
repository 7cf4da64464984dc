//! The chain's types as Ethereum's JSON-RPC shows them.

use alloy_consensus::{Header as RawHeader, ReceiptEnvelope, Sealed, Transaction as _, transaction::Recovered};
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::{
    Block as RpcBlock, BlockTransactions, EIP1186AccountProofResponse, EIP1186StorageProof, Header, Log,
    Transaction as RpcTx, TransactionReceipt,
};
use alloy_serde::JsonStorageKey;
use dolmen_pool::VerifiedTransaction;
use dolmen_store::AccountProof;
use dolmen_types::{Block, Receipt, Transaction};

use crate::{FoundTransaction, backend::locate};

/// A transaction with its place in the chain, if it has one.
pub(crate) type TransactionJson = RpcTx<Transaction>;
/// A block with its transactions or their hashes.
pub(crate) type BlockJson = RpcBlock<TransactionJson>;
/// A receipt with its place in the chain.
pub(crate) type ReceiptJson = TransactionReceipt<ReceiptEnvelope<Log>>;

/// A header on its own.
pub(crate) fn header(header: RawHeader, hash: B256) -> Header {
    Header::from_consensus(Sealed::new_unchecked(header, hash), None, None)
}

/// A block with the hashes of its transactions.
pub(crate) fn block_with_hashes(block: &Block) -> BlockJson {
    let hashes = block.transactions().iter().map(|transaction| *transaction.hash()).collect();
    block_json(block, BlockTransactions::Hashes(hashes))
}

/// A block with its transactions.
pub(crate) fn block_with_transactions(block: &Block, senders: &[Address]) -> BlockJson {
    let full = senders.iter().enumerate().map(|(index, sender)| block_transaction(block, index, *sender));
    block_json(block, BlockTransactions::Full(full.collect()))
}

fn block_json(block: &Block, transactions: BlockTransactions<TransactionJson>) -> BlockJson {
    let sealed = Sealed::new_unchecked(block.header().clone(), block.hash());
    let header = Header::from_consensus(sealed, None, Some(U256::from(block.encoded_len())));
    RpcBlock { header, uncles: Vec::new(), transactions, withdrawals: Some(Default::default()) }
}

/// The transaction at a place in a block.
pub(crate) fn block_transaction(block: &Block, index: usize, sender: Address) -> TransactionJson {
    let transaction = &block.transactions()[index];
    RpcTx {
        inner: Recovered::new_unchecked(transaction.clone(), sender),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        transaction_index: Some(index as u64),
        effective_gas_price: Some(transaction.effective_gas_price(block.header().base_fee_per_gas)),
        block_timestamp: Some(block.header().timestamp),
    }
}

/// A transaction that has no block yet. What it will pay is not known: `gasPrice` is the most, as Geth shows it.
pub(crate) fn pooled_transaction(verified: &VerifiedTransaction) -> TransactionJson {
    let transaction = verified.transaction();
    RpcTx {
        inner: Recovered::new_unchecked(transaction.clone(), verified.sender()),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(transaction.max_fee_per_gas()),
        block_timestamp: None,
    }
}

/// A transaction wherever it was found.
pub(crate) fn found_transaction(found: &FoundTransaction) -> TransactionJson {
    match found {
        FoundTransaction::Finalized { block, index, sender } => block_transaction(block.block(), *index, *sender),
        FoundTransaction::Pooled(verified) => pooled_transaction(verified),
    }
}

/// The receipt at a place in a block.
pub(crate) fn receipt(block: &Block, receipts: &[Receipt], index: usize, sender: Address) -> ReceiptJson {
    let before = Before {
        gas: index.checked_sub(1).map_or(0, |previous| receipts[previous].cumulative_gas_used()),
        logs: receipts[..index].iter().map(|receipt| receipt.logs().len() as u64).sum(),
    };
    receipt_json(block, &receipts[index], index, sender, before)
}

/// All receipts of a block.
pub(crate) fn block_receipts(block: &Block, receipts: &[Receipt], senders: &[Address]) -> Vec<ReceiptJson> {
    let mut before = Before { gas: 0, logs: 0 };
    let receipts = receipts.iter().zip(senders).enumerate().map(|(index, (receipt, sender))| {
        let json = receipt_json(block, receipt, index, *sender, before);
        before = Before { gas: receipt.cumulative_gas_used(), logs: before.logs + receipt.logs().len() as u64 };
        json
    });
    receipts.collect()
}

/// What the transactions before one in its block used.
#[derive(Clone, Copy)]
struct Before {
    gas: u64,
    logs: u64,
}

fn receipt_json(block: &Block, receipt: &Receipt, index: usize, sender: Address, before: Before) -> ReceiptJson {
    let transaction = &block.transactions()[index];
    let mut log_index = before.logs;
    let inner = receipt.clone().map_logs(|log| {
        log_index += 1;
        locate(block, index, log_index - 1, log)
    });
    TransactionReceipt {
        inner,
        transaction_hash: *transaction.hash(),
        transaction_index: Some(index as u64),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        gas_used: receipt.cumulative_gas_used() - before.gas,
        effective_gas_price: transaction.effective_gas_price(block.header().base_fee_per_gas),
        blob_gas_used: None,
        blob_gas_price: None,
        from: sender,
        to: transaction.to(),
        contract_address: transaction.is_create().then(|| sender.create(transaction.nonce())),
    }
}

/// A proof, its storage keys in the form in which they were asked for.
pub(crate) fn proof(address: Address, keys: &[JsonStorageKey], proof: AccountProof) -> EIP1186AccountProofResponse {
    let account = proof.account.unwrap_or_default();
    let slots = keys.iter().zip(proof.slots);
    EIP1186AccountProofResponse {
        address,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: proof.storage_root,
        account_proof: proof.proof,
        storage_proof: slots.map(|(key, (_, value, proof))| EIP1186StorageProof::new(*key, value, proof)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{SignableTransaction as _, TxEip1559, TxLegacy};
    use alloy_primitives::{Bytes, LogData, TxKind, address, b256};
    use alloy_primitives::{Log as RawLog, Signature};
    use dolmen_types::{
        block::{BlockRules, Proposal, next_header},
        receipt,
    };
    use serde_json::{Value, json};

    use super::*;

    const SENDER: Address = address!("00000000000000000000000000000000000000aa");
    const TARGET: Address = address!("00000000000000000000000000000000000000bb");

    fn signature() -> Signature {
        Signature::new(U256::from(0x11), U256::from(0x22), true)
    }

    /// A block with a call that logs twice and a creation that logs once.
    fn example() -> (Block, Vec<Receipt>) {
        let call = TxEip1559 {
            chain_id: 1337,
            nonce: 3,
            gas_limit: 90_000,
            max_fee_per_gas: 20,
            max_priority_fee_per_gas: 2,
            to: TxKind::Call(TARGET),
            value: U256::from(5),
            input: Bytes::from_static(&[1, 2]),
            ..Default::default()
        };
        let create = TxLegacy { chain_id: Some(1337), nonce: 4, gas_price: 9, gas_limit: 60_000, ..Default::default() };
        let call: Transaction = call.into_signed(signature()).into();
        let create: Transaction = create.into_signed(signature()).into();
        let log = |byte: u8| RawLog {
            address: TARGET,
            data: LogData::new_unchecked(vec![B256::repeat_byte(byte)], Bytes::from(vec![byte])),
        };
        let receipts = vec![
            receipt::receipt(&call, true, 50_000, vec![log(1), log(2)]),
            receipt::receipt(&create, false, 110_000, vec![log(3)]),
        ];
        let parent = RawHeader { number: 6, gas_limit: 30_000_000, base_fee_per_gas: Some(7), ..Default::default() };
        let proposal = Proposal { timestamp_ms: 1_700_000_000_123, beneficiary: SENDER };
        let mut header = next_header(&parent, B256::repeat_byte(6), proposal, BlockRules::of(&parent));
        header.gas_used = 110_000;
        header.logs_bloom = receipt::bloom(&receipts);
        header.receipts_root = receipt::root(&receipts);
        (Block::seal(header, vec![call, create]), receipts)
    }

    fn without(mut value: Value, keys: &[&str]) -> Value {
        let object = value.as_object_mut().expect("an object");
        keys.iter().for_each(|key| assert!(object.remove(*key).is_some(), "{key} is missing"));
        value
    }

    #[test]
    fn receipts_as_the_execution_apis_show_them() {
        let (block, receipts) = example();
        let all = block_receipts(&block, &receipts, &[SENDER, SENDER]);
        for (index, one) in all.iter().enumerate() {
            assert_eq!(*one, super::receipt(&block, &receipts, index, SENDER));
        }
        let call = serde_json::to_value(&all[0]).unwrap();
        assert_eq!(call["logs"].as_array().unwrap().len(), 2);
        assert_eq!(
            call["logs"][1],
            json!({
                "address": TARGET.to_string().to_lowercase(),
                "topics": [B256::repeat_byte(2)],
                "data": "0x02",
                "blockHash": block.hash(),
                "blockNumber": "0x7",
                "blockTimestamp": "0x6553f100",
                "transactionHash": block.transactions()[0].hash(),
                "transactionIndex": "0x0",
                "logIndex": "0x1",
                "removed": false,
            })
        );
        assert_eq!(
            without(call, &["logs", "logsBloom"]),
            json!({
                "type": "0x2",
                "status": "0x1",
                "cumulativeGasUsed": "0xc350",
                "transactionHash": block.transactions()[0].hash(),
                "transactionIndex": "0x0",
                "blockHash": block.hash(),
                "blockNumber": "0x7",
                "gasUsed": "0xc350",
                "effectiveGasPrice": "0x9",
                "from": SENDER.to_string().to_lowercase(),
                "to": TARGET.to_string().to_lowercase(),
                "contractAddress": null,
            })
        );
        let create = serde_json::to_value(&all[1]).unwrap();
        assert_eq!(create["logs"][0]["logIndex"], "0x2");
        assert_eq!(create["gasUsed"], "0xea60");
        assert_eq!(create["status"], "0x0");
        assert_eq!(create["type"], "0x0");
        assert_eq!(create.get("to"), Some(&Value::Null));
        assert_eq!(create["contractAddress"], json!(SENDER.create(4)));
    }

    #[test]
    fn transactions_as_the_execution_apis_show_them() {
        let (block, _) = example();
        let call = serde_json::to_value(block_transaction(&block, 0, SENDER)).unwrap();
        assert_eq!(
            call,
            json!({
                "type": "0x2",
                "chainId": "0x539",
                "nonce": "0x3",
                "gas": "0x15f90",
                "gasPrice": "0x9",
                "maxFeePerGas": "0x14",
                "maxPriorityFeePerGas": "0x2",
                "to": TARGET.to_string().to_lowercase(),
                "value": "0x5",
                "input": "0x0102",
                "accessList": [],
                "r": "0x11",
                "s": "0x22",
                "v": "0x1",
                "yParity": "0x1",
                "hash": block.transactions()[0].hash(),
                "blockHash": block.hash(),
                "blockNumber": "0x7",
                "blockTimestamp": "0x6553f100",
                "transactionIndex": "0x0",
                "from": SENDER.to_string().to_lowercase(),
            })
        );
        let legacy = serde_json::to_value(block_transaction(&block, 1, SENDER)).unwrap();
        assert_eq!(legacy["gasPrice"], "0x9");
        assert_eq!(legacy["v"], "0xa96");
        assert_eq!(legacy.get("to"), Some(&Value::Null));
        assert!(legacy.get("yParity").is_none());
    }

    #[test]
    fn blocks_as_the_execution_apis_show_them() {
        let (block, _) = example();
        let hashes = serde_json::to_value(block_with_hashes(&block)).unwrap();
        assert_eq!(hashes["transactions"][1], json!(block.transactions()[1].hash()));
        let full = serde_json::to_value(block_with_transactions(&block, &[SENDER, TARGET])).unwrap();
        assert_eq!(full["transactions"][1]["from"], json!(TARGET));
        assert_eq!(full["hash"], json!(block.hash()));
        assert_eq!(full["number"], "0x7");
        assert_eq!(full["size"], json!(U256::from(block.encoded().len())));
        assert_eq!(full["timestamp"], "0x6553f100");
        assert_eq!(full["extraData"], "0x0000018bcfe5687b");
        assert_eq!(full["baseFeePerGas"], "0x7");
        assert_eq!(full["uncles"], json!([]));
        assert_eq!(full["withdrawals"], json!([]));
        assert_eq!(full["difficulty"], "0x0");
        assert_eq!(full["nonce"], "0x0000000000000000");
        let names = [
            "parentHash",
            "sha3Uncles",
            "miner",
            "stateRoot",
            "transactionsRoot",
            "receiptsRoot",
            "logsBloom",
            "gasLimit",
            "gasUsed",
            "mixHash",
            "withdrawalsRoot",
            "blobGasUsed",
            "excessBlobGas",
            "parentBeaconBlockRoot",
            "requestsHash",
        ];
        names.iter().for_each(|name| assert!(full.get(*name).is_some(), "{name}"));
    }

    #[test]
    fn proofs_keep_the_form_of_their_keys() {
        let keys = [
            JsonStorageKey::Number(U256::from(1)),
            JsonStorageKey::Hash(b256!("0000000000000000000000000000000000000000000000000000000000000002")),
        ];
        let slots = vec![(U256::from(1), U256::from(42), vec![]), (U256::from(2), U256::ZERO, vec![])];
        let account =
            AccountProof { account: None, storage_root: alloy_consensus::EMPTY_ROOT_HASH, proof: vec![], slots };
        let json = serde_json::to_value(proof(TARGET, &keys, account)).unwrap();
        assert_eq!(json["storageProof"][0], json!({"key": "0x1", "value": "0x2a", "proof": []}));
        assert_eq!(json["storageProof"][1]["key"], json!(B256::with_last_byte(2)));
        assert_eq!(json["nonce"], "0x0");
        assert_eq!(json["storageHash"], json!(alloy_consensus::EMPTY_ROOT_HASH));
    }
}
