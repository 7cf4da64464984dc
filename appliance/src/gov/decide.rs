//! Proposing, voting and taking back: one transaction, and how the proposal stands after it.

use alloy_primitives::Bytes;
use anyhow::Context as _;
use serde_json::{Value, json};

use super::{
    chain::Chain,
    members::Members,
    proposals::{self, Proposal},
    transaction,
    wallet::WalletArgs,
};

/// Sends a call to the contract and prints what came of it.
pub(super) async fn decide(chain: &Chain, wallet: WalletArgs, input: Bytes, json: bool) -> anyhow::Result<()> {
    let wallet = wallet.open(chain).await?;
    let Some(from) = wallet.address() else { return transaction::print(chain, &input).await };
    let receipt = transaction::send(chain, &wallet, from, input).await?;
    let id = receipt.proposal().context("the transaction was about no proposal; the box may be of another version")?;
    let answer: Value = chain.call("dolmen_proposal", json!([id])).await?;
    if json {
        let done = json!({
            "transaction": receipt.transaction_hash,
            "block": receipt.block_number,
            "proposal": answer,
        });
        anstream::println!("{}", serde_json::to_string_pretty(&done)?);
        return Ok(());
    }
    let proposal: Proposal = serde_json::from_value(answer).context("the box does not show the proposal")?;
    proposals::print(chain, &proposal, &Members::load(chain).await?).await
}
