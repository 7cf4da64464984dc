//! Sending a call to the governance contract, and what became of it.

use std::time::{Duration, Instant};

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256, hex};
use alloy_sol_types::SolEventInterface as _;
use anyhow::{Context as _, bail};
use dolmen_governance::{ADDRESS, contract::GovernanceEvents};
use serde::Deserialize;
use serde_json::json;

use super::{chain::Chain, refusal, wallet::Wallet};

/// The most gas that a transaction may use (EIP-7825).
const GAS_MAX: u64 = 16_777_216;
/// Beyond the estimate, for what others change until the transaction is in a block.
const GAS_SPARE: u64 = 500_000;
/// Longest wait for the receipt: many epochs' worth of silent proposers.
const RECEIPT_MAX: Duration = Duration::from_secs(60);
/// Between two looks for it.
const POLL: Duration = Duration::from_millis(100);

/// The part of a receipt that is read here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    /// The transaction.
    pub(super) transaction_hash: B256,
    /// The block that it is in.
    pub(super) block_number: U64,
    status: U64,
    logs: Vec<Log>,
}

#[derive(Debug, Deserialize)]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

impl Receipt {
    /// The proposal that the transaction was about.
    pub(super) fn proposal(&self) -> Option<U256> {
        let own = self.logs.iter().filter(|log| log.address == ADDRESS);
        own.filter_map(|log| GovernanceEvents::decode_raw_log(&log.topics, &log.data).ok()).find_map(
            |event| match event {
                GovernanceEvents::Proposed(event) => Some(event.id),
                GovernanceEvents::Voted(event) => Some(event.id),
                GovernanceEvents::Withdrawn(event) => Some(event.id),
                _ => None,
            },
        )
    }
}

/// Prints a call for a wallet that is elsewhere; its names are those of EIP-1474.
pub(super) async fn print(chain: &Chain, input: &Bytes) -> anyhow::Result<()> {
    let chain_id: U64 = chain.call("eth_chainId", json!([])).await?;
    let transaction = json!({"to": ADDRESS, "data": input, "value": "0x0", "chainId": chain_id});
    anstream::println!("{}", serde_json::to_string_pretty(&transaction)?);
    Ok(())
}

/// Sends a call from an account, and waits until it is final. What the contract refuses is not sent.
pub(super) async fn send(chain: &Chain, wallet: &Wallet, from: Address, input: Bytes) -> anyhow::Result<Receipt> {
    let call = json!({"from": from, "to": ADDRESS, "data": input});
    let estimate = chain.call::<U64>("eth_estimateGas", json!([call])).await.map_err(refusal::explained)?;
    let gas_limit = estimate.to::<u64>().saturating_mul(5).div_ceil(4).saturating_add(GAS_SPARE).min(GAS_MAX);
    let chain_id: U64 = chain.call("eth_chainId", json!([])).await?;
    let nonce: U64 = chain.call("eth_getTransactionCount", json!([from, "pending"])).await?;
    let tip: U256 = chain.call("eth_maxPriorityFeePerGas", json!([])).await?;
    let price: U256 = chain.call("eth_gasPrice", json!([])).await?;
    let transaction = TxEip1559 {
        chain_id: chain_id.to(),
        nonce: nonce.to(),
        gas_limit,
        // Only what the block asks for is paid; the base fee may rise with the next epoch.
        max_fee_per_gas: price.saturating_to::<u128>().saturating_mul(2),
        max_priority_fee_per_gas: tip.saturating_to(),
        to: TxKind::Call(ADDRESS),
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    };
    let signature = wallet.sign(&transaction.signature_hash()).await?;
    let signed = transaction.into_signed(signature);
    let mut encoded = Vec::with_capacity(signed.eip2718_encoded_length());
    signed.eip2718_encode(&mut encoded);
    let raw = hex::encode_prefixed(encoded);
    let hash: B256 = chain
        .call("eth_sendRawTransaction", json!([raw]))
        .await
        .with_context(|| format!("the transaction of {from} was not taken; an account needs ether for its gas"))?;
    let receipt = wait(chain, &hash).await?;
    if receipt.status == U64::ZERO {
        // What it would meet now is most likely what it met.
        chain.call::<Bytes>("eth_call", json!([call, "latest"])).await.map_err(refusal::explained)?;
        bail!(
            "transaction {hash} failed in block {}, because others were faster; run the command again",
            receipt.block_number
        );
    }
    Ok(receipt)
}

async fn wait(chain: &Chain, hash: &B256) -> anyhow::Result<Receipt> {
    let started = Instant::now();
    loop {
        let receipt: Option<Receipt> = chain.call("eth_getTransactionReceipt", json!([hash])).await?;
        if let Some(receipt) = receipt {
            return Ok(receipt);
        }
        if started.elapsed() > RECEIPT_MAX {
            bail!(
                "transaction {hash} is not final after {} s; see with `dolmen status` whether the chain makes blocks, \
                 and with `dolmen gov proposals` whether it took effect later",
                RECEIPT_MAX.as_secs()
            );
        }
        tokio::time::sleep(POLL).await;
    }
}
