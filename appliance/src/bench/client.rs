//! JSON-RPC over HTTP: single calls, batches, and the fast path for raw transactions.

use std::{fmt::Write as _, time::Duration};

use alloy_primitives::{B256, U64, U256};
use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Longest wait for an answer: boxes under full load answer within a second.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// Requests in a batch at most: below the boxes' limit of 1,000.
pub(super) const BATCH_MAX: usize = 500;

/// A client of one box. Cloning shares its connections.
#[derive(Clone)]
pub(super) struct Rpc {
    http: reqwest::Client,
    url: String,
    /// The box's name, for error messages.
    pub(super) name: String,
}

/// An error that a box answered.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RpcError {
    code: i64,
    message: String,
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

/// One answer of a batch; `result` is not read where only success matters.
#[derive(Deserialize)]
struct Response {
    id: usize,
    #[serde(default)]
    result: Value,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct Acknowledgement {
    id: usize,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct Refusal {
    error: RpcError,
}

impl Rpc {
    /// A client of the box at `url`.
    pub(super) fn new(name: &str, url: &str) -> anyhow::Result<Self> {
        // No proxy: the boxes are on this machine, whatever the environment says.
        let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).timeout(REQUEST_MAX).build()?;
        Ok(Self { http, url: url.to_owned(), name: name.to_owned() })
    }

    /// Calls one method.
    pub(super) async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> anyhow::Result<T> {
        let mut results = self.batch(method, vec![params]).await?;
        let result = results.pop().context("one result for each call")?;
        serde_json::from_value(result).with_context(|| format!("read the result of {method} from {}", self.name))
    }

    /// The height of its latest block.
    pub(super) async fn height(&self) -> anyhow::Result<u64> {
        let height: U64 = self.call("eth_blockNumber", json!([])).await?;
        Ok(height.to())
    }

    /// The hash of its block at a height.
    pub(super) async fn block_hash(&self, height: u64) -> anyhow::Result<B256> {
        let block: Value = self.call("eth_getBlockByNumber", json!([format!("{height:#x}"), false])).await?;
        serde_json::from_value(block["hash"].clone()).with_context(|| format!("{} has no block {height}", self.name))
    }

    /// Calls one method with each of the parameter lists; fails if one call does. Results in order.
    pub(super) async fn batch(&self, method: &str, params: Vec<Value>) -> anyhow::Result<Vec<Value>> {
        let mut results = Vec::with_capacity(params.len());
        for chunk in params.chunks(BATCH_MAX) {
            let requests: Vec<_> = (0..)
                .zip(chunk)
                .map(|(id, params): (usize, _)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
                .collect();
            let answer = self.post(serde_json::to_vec(&requests)?).await?;
            let mut responses: Vec<Response> = self.parse(&answer, chunk.len())?;
            responses.sort_by_key(|response| response.id);
            for (id, response) in responses.into_iter().enumerate() {
                ensure!(response.id == id, "{} answered a batch of {method} with other ids", self.name);
                if let Some(error) = response.error {
                    bail!("{} refused {method} {}: {error}", self.name, chunk[id]);
                }
                results.push(response.result);
            }
        }
        Ok(results)
    }

    /// Sends signed transactions, each `0x` and hexadecimal, in one batch; says which were refused, by place, and why.
    pub(super) async fn send_raw<'a>(
        &self,
        transactions: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<Vec<(usize, RpcError)>> {
        let mut body = String::with_capacity(64 * 1024);
        let mut count = 0;
        for transaction in transactions {
            let open = if count == 0 { '[' } else { ',' };
            write!(
                body,
                r#"{open}{{"jsonrpc":"2.0","id":{count},"method":"eth_sendRawTransaction","params":["{transaction}"]}}"#
            )
            .expect("writing to a string does not fail");
            count += 1;
        }
        body.push(']');
        let answer = self.post(body.into_bytes()).await?;
        let responses: Vec<Acknowledgement> = self.parse(&answer, count)?;
        Ok(responses.into_iter().filter_map(|response| Some((response.id, response.error?))).collect())
    }

    async fn post(&self, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let request = self.http.post(&self.url).header("content-type", "application/json").body(body);
        let response = request.send().await.with_context(|| format!("send a request to {}", self.name))?;
        let status = response.status();
        let answer = response.bytes().await.with_context(|| format!("read an answer of {}", self.name))?;
        ensure!(status.is_success(), "{} answered {status}: {}", self.name, String::from_utf8_lossy(&answer));
        Ok(answer.into())
    }

    fn parse<T: DeserializeOwned>(&self, answer: &[u8], count: usize) -> anyhow::Result<Vec<T>> {
        // A batch that is refused as a whole is answered by one object.
        if answer.trim_ascii_start().starts_with(b"{") {
            let Refusal { error } =
                serde_json::from_slice(answer).with_context(|| format!("read an answer of {}", self.name))?;
            bail!("{} refused a batch of {count}: {error}", self.name);
        }
        let responses: Vec<T> =
            serde_json::from_slice(answer).with_context(|| format!("read an answer of {}", self.name))?;
        ensure!(responses.len() == count, "{} answered {} of {count} calls", self.name, responses.len());
        Ok(responses)
    }
}

/// The part of a block that the benchmark reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlockHashes {
    /// Hashes of the transactions, in order.
    pub(super) transactions: Vec<B256>,
    /// Gas used.
    pub(super) gas_used: U256,
}

/// The part of a receipt that the benchmark reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    /// One for success.
    pub(super) status: U256,
    /// Where a contract was created.
    pub(super) contract_address: Option<alloy_primitives::Address>,
}

impl Receipt {
    /// Whether the transaction did what it was to do.
    pub(super) fn succeeded(&self) -> bool {
        self.status == U256::ONE
    }
}
