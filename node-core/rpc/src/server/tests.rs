//! The server as its callers see it: real sockets, a real chain.

mod client;
mod governance;

use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use client::{WebSocket, http, post, rpc};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream as Socket,
};

use super::*;
use crate::testing::{BASE_FEE, Chain, EVENTS, LOGGER, NUMBER, REVERTER};

async fn result(server: &RpcServer, method: &str, params: Value) -> Value {
    let answer = rpc(server.address(), method, params).await;
    assert!(answer.get("error").is_none(), "{method}: {answer}");
    answer.get("result").unwrap_or_else(|| panic!("{method}: {answer}")).clone()
}

async fn error(server: &RpcServer, method: &str, params: Value) -> (i64, String) {
    let answer = rpc(server.address(), method, params).await;
    let error = answer.get("error").unwrap_or_else(|| panic!("{method}: {answer}"));
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_transactions_and_receipts() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let log = chain.log(0, B256::repeat_byte(5));
    let raw = Bytes::from(log.encoded_2718());
    assert_eq!(result(&server, "eth_sendRawTransaction", json!([raw])).await, json!(log.hash()));
    let pooled = result(&server, "eth_getTransactionByHash", json!([log.hash()])).await;
    assert_eq!((pooled.get("blockHash"), &pooled["from"]), (Some(&Value::Null), &json!(chain.sender())));
    // What it will pay is not known yet.
    assert_eq!(pooled["gasPrice"], pooled["maxFeePerGas"]);
    assert_eq!(result(&server, "eth_getTransactionReceipt", json!([log.hash()])).await, Value::Null);
    assert_eq!(result(&server, "eth_getTransactionCount", json!([chain.sender(), "pending"])).await, "0x1");
    assert_eq!(result(&server, "eth_getTransactionCount", json!([chain.sender(), "latest"])).await, "0x0");

    let block = chain.commit(&[log.clone(), chain.transfer(1, 5)]);
    let by_number = result(&server, "eth_getBlockByNumber", json!(["0x1", false])).await;
    assert_eq!(by_number["hash"], json!(block.hash()));
    assert_eq!(by_number, result(&server, "eth_getBlockByHash", json!([block.hash()])).await);
    let full = result(&server, "eth_getBlockByNumber", json!(["latest", true])).await;
    let mined = result(&server, "eth_getTransactionByHash", json!([log.hash()])).await;
    assert_eq!(full["transactions"][0], mined);
    assert_eq!((&mined["blockNumber"], &mined["blockTimestamp"]), (&json!("0x1"), &full["timestamp"]));
    assert_eq!(mined["gasPrice"], json!(U256::from(BASE_FEE)));
    for (method, id) in [
        ("eth_getTransactionByBlockNumberAndIndex", json!("0x1")),
        ("eth_getTransactionByBlockHashAndIndex", json!(block.hash())),
    ] {
        assert_eq!(result(&server, method, json!([id, "0x0"])).await, mined);
        assert_eq!(result(&server, method, json!([id, "0x2"])).await, Value::Null);
    }
    for (method, params) in [
        ("eth_getRawTransactionByHash", json!([log.hash()])),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([block.hash(), "0x0"])),
        ("debug_getRawTransaction", json!([log.hash()])),
    ] {
        assert_eq!(result(&server, method, params).await, json!(raw), "{method}");
    }
    let header = Bytes::from(alloy_rlp::encode(block.header()));
    assert_eq!(result(&server, "debug_getRawHeader", json!(["0x1"])).await, json!(header));
    assert_eq!(result(&server, "debug_getRawBlock", json!([block.hash()])).await, json!(block.encoded()));
    let found = chain.backend.finalized(1).unwrap().unwrap();
    let raw_receipts: Vec<_> = found.receipts().iter().map(|receipt| Bytes::from(receipt.encoded_2718())).collect();
    assert_eq!(result(&server, "debug_getRawReceipts", json!(["0x1"])).await, json!(raw_receipts));
    assert_eq!(error(&server, "debug_getRawBlock", json!(["0x63"])).await.1, "header not found");
    let receipts = result(&server, "eth_getBlockReceipts", json!(["0x1"])).await;
    assert_eq!(receipts[0], result(&server, "eth_getTransactionReceipt", json!([log.hash()])).await);
    assert_eq!((&receipts[0]["status"], &receipts[1]["gasUsed"]), (&json!("0x1"), &json!("0x5208")));
    let header = result(&server, "eth_getHeaderByHash", json!([block.hash()])).await;
    assert_eq!((&header["number"], header.get("transactions")), (&json!("0x1"), None));
    assert_eq!(header, result(&server, "eth_getHeaderByNumber", json!(["finalized"])).await);
    assert_eq!(result(&server, "eth_getBlockTransactionCountByNumber", json!(["0x1"])).await, "0x2");
    assert_eq!(result(&server, "eth_getUncleCountByBlockHash", json!([block.hash()])).await, "0x0");
    let unknown = [
        ("eth_getBlockByNumber", json!(["0x63", true])),
        ("eth_getBlockByHash", json!([B256::ZERO])),
        ("eth_getBlockReceipts", json!(["0x63"])),
        ("eth_getHeaderByNumber", json!(["0x63"])),
        ("eth_getBlockTransactionCountByHash", json!([B256::ZERO])),
        ("eth_getUncleCountByBlockNumber", json!(["0x63"])),
        ("eth_getUncleByBlockNumberAndIndex", json!(["0x1", "0x0"])),
        ("eth_getTransactionByHash", json!([B256::ZERO])),
    ];
    for (method, params) in unknown {
        assert_eq!(result(&server, method, params).await, Value::Null, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_calls_proofs_and_fees() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    chain.commit(&[chain.transfer(0, 5)]);
    let target = Address::repeat_byte(0xbb);
    assert_eq!(result(&server, "eth_getBalance", json!([target, "latest"])).await, "0x5");
    assert_eq!(result(&server, "eth_getBalance", json!([target, "0x0"])).await, "0x0");
    assert_eq!(result(&server, "eth_getCode", json!([NUMBER, "latest"])).await, "0x4360005260206000f3");
    assert_eq!(result(&server, "eth_getCode", json!([target])).await, "0x");
    assert_eq!(
        result(&server, "eth_getStorageAt", json!([NUMBER, "0x1", "latest"])).await,
        json!(B256::with_last_byte(42))
    );
    let proof = result(&server, "eth_getProof", json!([NUMBER, ["0x01"], "latest"])).await;
    assert_eq!((&proof["storageProof"][0]["key"], &proof["storageProof"][0]["value"]), (&json!("0x1"), &json!("0x2a")));
    assert!(!proof["accountProof"].as_array().unwrap().is_empty());
    let old = result(&server, "eth_getProof", json!([target, [], "0x0"])).await;
    assert_eq!(old["balance"], "0x0");

    let word = |number: u8| json!(B256::with_last_byte(number));
    assert_eq!(result(&server, "eth_call", json!([{"to": NUMBER}, "latest"])).await, word(1));
    assert_eq!(result(&server, "eth_call", json!([{"to": NUMBER}, {"blockNumber": "0x0"}])).await, word(0));
    assert_eq!(result(&server, "eth_call", json!([{"to": NUMBER}, "latest", null, {"number": "0x9"}])).await, word(9));
    let code = json!({target.to_string(): {"code": "0x4360005260206000f3"}});
    assert_eq!(result(&server, "eth_call", json!([{"to": target}, "latest", code])).await, word(1));
    assert_eq!(
        result(&server, "eth_estimateGas", json!([{"from": chain.sender(), "to": target, "value": "0x1"}])).await,
        "0x5208"
    );
    let list = result(&server, "eth_createAccessList", json!([{"from": chain.sender(), "to": NUMBER}])).await;
    assert!(list["accessList"].is_array() && list["gasUsed"].is_string() && list.get("error").is_none(), "{list}");

    assert_eq!(result(&server, "eth_gasPrice", json!([])).await, json!(U256::from(BASE_FEE)));
    assert_eq!(result(&server, "eth_maxPriorityFeePerGas", json!([])).await, "0x0");
    assert_eq!(result(&server, "eth_blobBaseFee", json!([])).await, "0x1");
    let history = result(&server, "eth_feeHistory", json!(["0x2", "latest", [50]])).await;
    assert_eq!((&history["oldestBlock"], &history["reward"]), (&json!("0x0"), &json!([["0x0"], ["0x1"]])));
    assert_eq!(history["baseFeePerGas"], json!(["0x7", "0x7", "0x7"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn small_namespaces() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    chain.pool_add(chain.transfer(0, 1));
    chain.pool_add(chain.transfer(2, 1));
    let own = json!(chain.sender().to_string());
    for (method, params, expected) in [
        ("web3_clientVersion", json!([]), json!("dolmen/test")),
        ("web3_sha3", json!(["0x"]), json!(alloy_primitives::KECCAK256_EMPTY)),
        ("net_version", json!([]), json!("1337")),
        ("net_listening", json!([]), json!(true)),
        ("net_peerCount", json!([]), json!("0x3")),
        ("eth_chainId", json!([]), json!("0x539")),
        ("eth_blockNumber", json!([]), json!("0x0")),
        ("eth_syncing", json!([]), json!(false)),
        ("eth_accounts", json!([]), json!([])),
        ("eth_pendingTransactions", json!([]), json!([])),
        ("txpool_status", json!([]), json!({"pending": "0x1", "queued": "0x1"})),
        (
            "rpc_modules",
            json!([]),
            json!({
                "debug": "1.0",
                "dolmen": "1.0",
                "eth": "1.0",
                "net": "1.0",
                "rpc": "1.0",
                "txpool": "1.0",
                "web3": "1.0"
            }),
        ),
    ] {
        assert_eq!(result(&server, method, params).await, expected, "{method}");
    }
    let content = result(&server, "txpool_content", json!([])).await;
    assert_eq!(content["queued"][own.as_str().unwrap()]["2"]["nonce"], "0x2");
    let from = result(&server, "txpool_contentFrom", json!([own])).await;
    assert_eq!(from["pending"]["0"]["hash"], json!(chain.transfer(0, 1).hash()));
    // Without params at all.
    let answer = post(server.address(), r#"{"jsonrpc":"2.0","id":"a","method":"eth_chainId"}"#).await;
    assert_eq!(answer.json(), json!({"jsonrpc": "2.0", "id": "a", "result": "0x539"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_searches() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let block = chain.commit(&[chain.log(0, B256::repeat_byte(1)), chain.log(1, B256::repeat_byte(2))]);
    chain.commit(&[chain.log(2, B256::repeat_byte(2))]);
    let found = async |filter: Value| result(&server, "eth_getLogs", json!([filter])).await.as_array().unwrap().len();
    assert_eq!(found(json!({"fromBlock": "earliest"})).await, 3);
    assert_eq!(found(json!({})).await, 1);
    assert_eq!(found(json!({"fromBlock": "0x0", "topics": [B256::repeat_byte(2)]})).await, 2);
    assert_eq!(found(json!({"fromBlock": "0x0", "address": [NUMBER]})).await, 0);
    assert_eq!(found(json!({"blockHash": block.hash(), "address": LOGGER})).await, 2);
    assert_eq!(found(json!({"fromBlock": "0x1", "toBlock": "0x2"})).await, 3);
    assert_eq!(
        error(&server, "eth_getLogs", json!([{"fromBlock": "0x1", "toBlock": "0x3"}])).await,
        (-32602, "block range extends beyond current head block".to_owned())
    );
    // A filter may wait for blocks to come.
    let future = result(&server, "eth_newFilter", json!([{"fromBlock": "0x1", "toBlock": "0x63"}])).await;
    assert_eq!(result(&server, "eth_getFilterLogs", json!([future])).await.as_array().unwrap().len(), 3);
    let logs = result(&server, "eth_getLogs", json!([{"blockHash": block.hash()}])).await;
    let receipts = result(&server, "eth_getBlockReceipts", json!([block.hash()])).await;
    assert_eq!((&logs[0], &logs[1]), (&receipts[0]["logs"][0], &receipts[1]["logs"][0]));
    assert_eq!(
        error(&server, "eth_getLogs", json!([{"fromBlock": "0x2", "toBlock": "0x1"}])).await,
        (-32602, "invalid block range params".to_owned())
    );
    assert_eq!(
        error(&server, "eth_getLogs", json!([{"blockHash": B256::ZERO}])).await,
        (-32000, "unknown block".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_over_http() {
    let chain = Chain::new(RpcLimits { filter_values_max: 2, ..Default::default() });
    let (server, _registry) = chain.serve();
    let wide = json!([{"address": [LOGGER], "topics": [B256::repeat_byte(1)]}]);
    let filter = result(&server, "eth_newFilter", wide.clone()).await;
    assert_eq!(error(&server, "eth_newFilter", wide.clone()).await.0, -32005);
    let blocks = result(&server, "eth_newBlockFilter", json!([])).await;
    let block = chain.commit(&[chain.log(0, B256::repeat_byte(1))]);
    assert_eq!(result(&server, "eth_getFilterChanges", json!([blocks])).await, json!([block.hash()]));
    let logs = result(&server, "eth_getFilterChanges", json!([filter])).await;
    assert_eq!(logs[0]["blockHash"], json!(block.hash()));
    assert_eq!(result(&server, "eth_getFilterLogs", json!([filter])).await, logs);
    assert_eq!(error(&server, "eth_getFilterLogs", json!([blocks])).await.1, "filter not found");
    assert_eq!(error(&server, "eth_newFilter", json!([{"blockHash": block.hash()}])).await.0, -32602);
    let mut socket = WebSocket::connect(server.address()).await;
    let subscribe = json!(["logs", {"address": LOGGER}]);
    assert_eq!(socket.call("eth_subscribe", subscribe.clone()).await["error"]["code"], -32005);
    assert_eq!(result(&server, "eth_uninstallFilter", json!([filter])).await, true);
    assert_eq!(result(&server, "eth_uninstallFilter", json!([filter])).await, false);
    assert!(socket.call("eth_subscribe", subscribe).await["result"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_callers_match_on() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    (0..12).for_each(|_| drop(chain.commit(&[])));
    assert_eq!(
        error(&server, "eth_nope", json!([])).await,
        (-32601, "the method eth_nope does not exist/is not available".to_owned())
    );
    assert_eq!(
        error(&server, "eth_getBalance", json!([])).await,
        (-32602, "missing value for required argument 0".to_owned())
    );
    assert_eq!(
        error(&server, "eth_chainId", json!([1])).await,
        (-32602, "too many arguments, want at most 0".to_owned())
    );
    assert!(error(&server, "eth_getBalance", json!(["0x1", "latest"])).await.1.starts_with("invalid argument 0: "));
    assert_eq!(
        error(&server, "eth_getBalance", json!([NUMBER, "0x63"])).await,
        (-32000, "header not found".to_owned())
    );
    let pruned = error(&server, "eth_getBalance", json!([NUMBER, "0x1"])).await;
    assert!(pruned.0 == -32000 && pruned.1.contains("from block 4"), "{pruned:?}");
    assert_eq!(
        error(&server, "eth_subscribe", json!(["newHeads"])).await,
        (-32601, "notifications not supported".to_owned())
    );
    assert_eq!(error(&server, "eth_getFilterChanges", json!(["0x1"])).await, (-32000, "filter not found".to_owned()));

    let reason = hex!(
        "08c379a0"
        "0000000000000000000000000000000000000000000000000000000000000020"
        "0000000000000000000000000000000000000000000000000000000000000002"
        "6869000000000000000000000000000000000000000000000000000000000000"
    );
    let reverted = rpc(server.address(), "eth_call", json!([{"to": REVERTER, "data": Bytes::from(reason)}])).await;
    assert_eq!(reverted["error"], json!({"code": 3, "message": "execution reverted: hi", "data": Bytes::from(reason)}));
    assert_eq!(
        error(&server, "eth_estimateGas", json!([{"to": REVERTER}])).await,
        (3, "execution reverted".to_owned())
    );

    assert_eq!(error(&server, "eth_sendRawTransaction", json!(["0x"])).await.0, -32000);
    assert!(
        error(&server, "eth_sendRawTransaction", json!(["0x03c0"]))
            .await
            .1
            .starts_with("transaction type not supported")
    );
    let raw = |nonce| json!([Bytes::from(chain.transfer(nonce, 1).encoded_2718())]);
    chain.pool_add(chain.transfer(0, 1));
    assert_eq!(error(&server, "eth_sendRawTransaction", raw(0)).await, (-32000, "already known".to_owned()));
    chain.commit(&[chain.transfer(0, 1)]);
    assert!(error(&server, "eth_sendRawTransaction", raw(0)).await.1.starts_with("nonce too low"));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let code = async |body: &str| post(server.address(), body).await.json()["error"]["code"].clone();
    assert_eq!(code("{").await, -32700);
    assert_eq!(code("[1").await, -32700);
    assert_eq!(code(r#"{"id":1}"#).await, -32600);
    assert_eq!(code("[]").await, -32600);
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{"a":1}}"#).await, -32602);
    assert_eq!(post(server.address(), "hello").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_sizes_are_bounded() {
    let limits =
        RpcLimits { batch_length_max: 3, body_bytes_max: 1000, response_bytes_max: 1500, ..Default::default() };
    let chain = Chain::new(limits);
    let (server, _registry) = chain.serve();
    let one = |id: u32, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": []});
    let notification = json!({"jsonrpc": "2.0", "method": "eth_chainId", "params": []});
    let batch = json!([one(1, "eth_chainId"), notification, one(2, "eth_nope")]);
    let answers = post(server.address(), &batch.to_string()).await.json();
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": 1, "result": "0x539"}));
    assert_eq!(
        (&answers[1]["id"], &answers[1]["error"]["code"], answers.as_array().unwrap().len()),
        (&json!(2), &json!(-32601), 2)
    );
    let too_long = json!([one(1, "eth_chainId"), one(2, "eth_chainId"), one(3, "eth_chainId"), one(4, "eth_chainId")]);
    let answer = post(server.address(), &too_long.to_string()).await.json();
    assert_eq!(answer["error"]["code"], -32600);
    assert!(answer["error"]["message"].as_str().unwrap().contains("the most is 3"));
    assert_eq!(post(server.address(), &" ".repeat(1001)).await.status, 413);
    let large = rpc(server.address(), "eth_getBlockByNumber", json!(["0x0"])).await;
    assert_eq!(large["error"]["code"], -32008);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_transactions_is_answered_in_order() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let call =
        |id: u32, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let transactions = [0, 1, 2].map(|nonce| chain.transfer(nonce, 1));
    let raw = |index: usize| json!([Bytes::from(transactions[index].encoded_2718())]);
    let send = "eth_sendRawTransaction";
    let pending = json!([chain.sender(), "pending"]);
    let batch = json!([
        call(1, send, raw(0)),
        call(2, send, json!(["0x03c0"])),
        {"jsonrpc": "2.0", "method": "eth_chainId", "params": []},
        call(3, send, raw(0)),
        call(4, send, json!([])),
        call(5, send, raw(1)),
        call(6, "eth_getTransactionCount", pending),
        {"id": 7},
        call(8, send, raw(2)),
    ]);
    let answers = post(server.address(), &batch.to_string()).await.json();
    let answers = answers.as_array().unwrap();
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [json!(1), json!(2), json!(3), json!(4), json!(5), json!(6), json!(7), json!(8)]);
    assert_eq!(answers[0]["result"], json!(transactions[0].hash()));
    assert_eq!(answers[1]["error"]["code"], -32000);
    assert_eq!(answers[2]["error"]["message"], "already known");
    assert_eq!(answers[3]["error"]["code"], -32602);
    assert_eq!(answers[4]["result"], json!(transactions[1].hash()));
    assert_eq!(answers[5]["result"], "0x2", "what was sent before is there");
    assert_eq!(answers[6]["error"]["code"], -32600);
    assert_eq!(answers[7]["result"], json!(transactions[2].hash()));
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_call_from_any_page() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let preflight = "OPTIONS / HTTP/1.1\r\nhost: localhost\r\norigin: https://dapp.example\r\n\
        access-control-request-method: POST\r\n\
        access-control-request-headers: content-type\r\nconnection: close\r\n\r\n";
    let answer = http(server.address(), preflight).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("content-type"));
    let called = post(server.address(), r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#).await;
    assert_eq!((called.status, called.header("access-control-allow-origin")), (200, Some("*")));
    let get = http(server.address(), "GET / HTTP/1.1\r\nhost: 10.0.0.7:8545\r\nconnection: close\r\n\r\n").await;
    assert_eq!((get.status, get.header("access-control-allow-origin")), (405, Some("*")));
    let text = "POST / HTTP/1.1\r\nhost: [::1]\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\
        connection: close\r\n\r\n{}";
    assert_eq!(http(server.address(), text).await.status, 415);
}

/// A page whose own name points to the box's address (DNS rebinding) would be of the same origin.
#[tokio::test(flavor = "multi_thread")]
async fn requests_must_name_a_host_of_the_box() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let get = |host: &str, more: &str| format!("GET / HTTP/1.1\r\nhost: {host}\r\n{more}connection: close\r\n\r\n");
    let refused = http(server.address(), &get("evil.example:8545", "")).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("\"evil.example\"") && refused.text().contains("rpc.hosts"), "{}", refused.text());
    let upgrade = "upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n";
    assert_eq!(http(server.address(), &get("evil.example", upgrade)).await.status, 403);
    let mut registry = Registry::default();
    let listener = StdTcpListener::bind("127.0.0.1:0").unwrap();
    let hosts = AllowedHosts::new(["box.example".to_owned()]);
    let listed = RpcServer::start_for(hosts, listener, chain.backend.clone(), &mut registry).unwrap();
    assert_eq!(http(listed.address(), &get("box.example:8545", "")).await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn estimates_and_overrides_as_geth_has_them() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let (poor, target) = (Address::repeat_byte(0xcc), Address::repeat_byte(0xbb));
    // Enough for 20,000 gas at this price, for 30,000, for none.
    let estimate = async |balance: u64, data: &str| {
        let call = json!({"from": poor, "to": target, "gasPrice": "0x64", "data": data});
        let state = json!({poor.to_string(): {"balance": U256::from(balance)}});
        error(&server, "eth_estimateGas", json!([call, "latest", state])).await
    };
    let allowance = |gas: u64| (-32000, format!("gas required exceeds allowance ({gas})"));
    assert_eq!(estimate(2_000_000, "0x").await, allowance(20_000));
    assert_eq!(estimate(0, "0x").await, allowance(0));
    assert_eq!(estimate(2_110_000, &format!("0x{}", "01".repeat(100))).await, allowance(21_100));
    // A limit below what any transaction costs is none.
    let small = json!([{"from": chain.sender(), "to": target, "gas": "0x5207"}]);
    assert_eq!(result(&server, "eth_estimateGas", small).await, "0x5208");
    // Returns GAS: a call gets the server's cap, not the block's limit of 16,000,000.
    let gas = json!({target.to_string(): {"code": "0x5a60005260206000f3"}});
    let left = result(&server, "eth_call", json!([{"to": target}, "latest", gas])).await;
    assert!(left.as_str().unwrap().parse::<U256>().unwrap() > U256::from(49_000_000), "{left}");
    let precompile = json!({Address::with_last_byte(1).to_string(): {"code": "0x5a60005260206000f3"}});
    let refused = error(&server, "eth_call", json!([{"to": target}, "latest", precompile])).await;
    assert!(refused.0 == -32602 && refused.1.contains("precompiled"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions() {
    let chain = Chain::new(RpcLimits { subscriptions_per_connection_max: 3, ..Default::default() });
    let (server, _registry) = chain.serve();
    let mut socket = WebSocket::connect(server.address()).await;
    let heads = socket.call("eth_subscribe", json!(["newHeads"])).await["result"].clone();
    assert!(heads.as_str().unwrap().starts_with("0x"));
    let logs =
        socket.call("eth_subscribe", json!(["logs", {"topics": [B256::repeat_byte(1)]}])).await["result"].clone();
    let pending = socket.call("eth_subscribe", json!(["newPendingTransactions", true])).await["result"].clone();
    assert_eq!(socket.call("eth_subscribe", json!(["newHeads"])).await["error"]["code"], -32006);
    assert_eq!(socket.call("eth_subscribe", json!(["nonsense"])).await["error"]["code"], -32006);
    let message = |subscription: &Value, result: Value| {
        let params = json!({"subscription": subscription, "result": result});
        json!({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})
    };
    let log = chain.log(0, B256::repeat_byte(1));
    chain.pool_add(log.clone());
    let new = socket.next().await.expect("open");
    assert_eq!((&new["params"]["subscription"], &new["params"]["result"]["hash"]), (&pending, &json!(log.hash())));
    let block = chain.commit(&[log.clone(), chain.log(1, B256::repeat_byte(2))]);
    let mut got = [socket.next().await.expect("open"), socket.next().await.expect("open")];
    got.sort_by_key(|message| message["params"]["subscription"] != heads);
    let header = result(&server, "eth_getHeaderByHash", json!([block.hash()])).await;
    assert_eq!(got[0], message(&heads, header));
    let receipt = result(&server, "eth_getTransactionReceipt", json!([log.hash()])).await;
    assert_eq!(got[1], message(&logs, receipt["logs"][0].clone()));

    // In a batch it would be answered twice.
    let one = |method: &str| json!({"jsonrpc": "2.0", "id": 70, "method": method, "params": ["newHeads"]});
    socket.send(&json!([one("eth_subscribe"), one("eth_nope")])).await;
    let answers = socket.next().await.expect("open");
    assert_eq!((&answers[0]["error"]["code"], &answers[1]["error"]["code"]), (&json!(-32600), &json!(-32601)));

    assert_eq!(socket.call("eth_unsubscribe", json!([heads])).await["result"], true);
    assert_eq!(socket.call("eth_unsubscribe", json!([logs])).await["result"], true);
    chain.commit(&[]);
    assert_eq!(socket.call("eth_chainId", json!([])).await["result"], "0x539");
    let unknown = socket.call("eth_subscribe", json!(["nonsense"])).await["error"].clone();
    assert_eq!(unknown, json!({"code": -32601, "message": "no \"nonsense\" subscription in eth namespace"}));
    // Two blocks later nothing more came from the ended subscriptions: the next message is the pool's.
    chain.pool_add(chain.transfer(2, 1));
    assert_eq!(socket.next().await.expect("open")["params"]["subscription"], pending);
}

#[tokio::test]
async fn a_subscriber_that_misses_blocks_is_told() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let mut socket = WebSocket::connect(server.address()).await;
    let heads = socket.call("eth_subscribe", json!(["newHeads"])).await["result"].clone();
    // On one thread: nothing reads meanwhile.
    (0..EVENTS + 3).for_each(|_| drop(chain.commit(&[])));
    let end = socket.next().await.expect("open");
    assert_eq!(end["params"]["subscription"], heads);
    assert_eq!(end["params"]["error"], "3 blocks were missed because this subscriber fell behind; subscribe again");
    // The connection goes on.
    assert_eq!(socket.call("eth_blockNumber", json!([])).await["result"], "0x13");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_is_closed() {
    let chain = Chain::new(RpcLimits { write_stall_max: Duration::from_millis(300), ..Default::default() });
    let (server, _registry) = chain.serve();
    let mut socket = WebSocket::connect(server.address()).await;
    socket.call("eth_subscribe", json!(["newPendingTransactions"])).await;
    socket.call("eth_subscribe", json!(["newHeads"])).await;
    let mut other = WebSocket::connect(server.address()).await;
    let places = server.connections_max as usize;
    assert_eq!(server.places.available_permits(), places - 2);
    let mut events = chain.events.subscribe();
    chain.commit(&[]);
    let event = events.recv().await.expect("announced");
    let flood = async {
        while server.places.available_permits() < places - 1 {
            chain.events.send(event.clone()).expect("the backend follows");
            tokio::time::sleep(Duration::from_micros(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), flood).await.expect("closed in time");
    // Who reads stays.
    assert_eq!(other.call("eth_chainId", json!([])).await["result"], "0x539");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_and_counted() {
    let chain = Chain::new(RpcLimits { connections_max: 1, ..Default::default() });
    let (server, registry) = chain.serve();
    let mut first = WebSocket::connect(server.address()).await;
    let mut second = Socket::connect(server.address()).await.unwrap();
    let mut refusal = String::new();
    second.read_to_string(&mut refusal).await.unwrap();
    assert!(refusal.starts_with("HTTP/1.1 503 "), "{refusal}");
    assert_eq!(first.call("eth_nope\"}", json!([])).await["error"]["code"], -32601);
    assert_eq!(first.call("eth_chainId", json!([])).await["result"], "0x539");
    let text = encode(&registry);
    for line in [
        "rpc_connections 1",
        "rpc_connections_refused_total 1",
        "rpc_calls_total{method=\"eth_chainId\",outcome=\"ok\"} 1",
        "rpc_calls_total{method=\"unknown\",outcome=\"refused\"} 1",
        "rpc_call_seconds_count{method=\"eth_chainId\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("nope"));
    drop(first);
    // The place comes back.
    let reconnect = async {
        while server.places.available_permits() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reconnect).await.expect("freed");
    assert_eq!(result(&server, "eth_chainId", json!([])).await, "0x539");
}

fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_requests_finish() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let address = server.address();
    let transfer = chain.transfer(0, 1);
    let raw = Bytes::from(transfer.encoded_2718());
    let waiting = tokio::spawn(async move { rpc(address, "eth_sendRawTransactionSync", json!([raw, 20_000])).await });
    while chain.backend.pool().status().pending == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut idle = Socket::connect(address).await.unwrap();
    idle.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
    let stopping = tokio::spawn(server.shutdown(Duration::from_secs(2)));
    while Socket::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    chain.commit(std::slice::from_ref(&transfer));
    let receipt = waiting.await.unwrap();
    assert_eq!(receipt["result"]["transactionHash"], json!(transfer.hash()));
    drop(idle);
    assert!(stopping.await.unwrap(), "all connections are closed");
}
