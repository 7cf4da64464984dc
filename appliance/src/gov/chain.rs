//! A chain as one of its boxes shows it: JSON-RPC, and questions to the governance contract.

use std::time::Duration;

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use anyhow::{Context as _, ensure};
use dolmen_governance::ADDRESS;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Longest wait for an answer: a box that is busy answers so within ten seconds.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// JSON-RPC's code of a call that reverted.
const REVERTED: i64 = 3;

/// A box of the chain.
pub(super) struct Chain {
    http: reqwest::Client,
    url: String,
}

/// An error that the box answered.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub(super) struct Refusal {
    code: i64,
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

impl Refusal {
    /// What the contract reverted with, where it did.
    pub(super) fn revert_data(&self) -> Option<Bytes> {
        let data = self.data.as_ref().filter(|_| self.code == REVERTED)?;
        serde_json::from_value(data.clone()).ok()
    }
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    result: Value,
    error: Option<Refusal>,
}

impl Chain {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(REQUEST_MAX).build()?;
        Ok(Self { http, url: url.to_owned() })
    }

    /// Calls a method.
    pub(super) async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> anyhow::Result<T> {
        let hint = || format!("no box answers at {}; give the address of its JSON-RPC with --rpc", self.url);
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let response = self.http.post(&self.url).json(&request).send().await.with_context(hint)?;
        let response: Response = response.error_for_status().with_context(hint)?.json().await.with_context(hint)?;
        if let Some(refusal) = response.error {
            return Err(anyhow::Error::new(refusal).context(format!("the box at {} refuses {method}", self.url)));
        }
        serde_json::from_value(response.result).with_context(|| {
            format!("the box at {} answers {method} in a form that this version does not know", self.url)
        })
    }

    /// Asks the governance contract.
    pub(super) async fn ask<C: SolCall>(&self, call: &C) -> anyhow::Result<C::Return> {
        let params = json!([{"to": ADDRESS, "data": Bytes::from(call.abi_encode())}, "latest"]);
        let answer: Bytes = self.call("eth_call", params).await?;
        ensure!(!answer.is_empty(), "the chain of the box at {} has no governance contract", self.url);
        C::abi_decode_returns(&answer)
            .with_context(|| format!("the governance contract's answer to {} does not decode", C::SIGNATURE))
    }
}
