//! Gas prices: what to offer, and what others paid.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_rpc_types_eth::FeeHistory;
use dolmen_types::{Block, Receipt};

use crate::{Backend, RpcError};

/// Blocks that the suggested tip looks at.
const TIP_BLOCKS: u64 = 20;
/// From this share of its gas limit on a block counts as full: then the highest bidders got in.
const FULL_PERCENT: u64 = 90;
/// Wei per blob gas where there are no blobs (EIP-4844's minimum).
pub(crate) const BLOB_BASE_FEE: u128 = 1;

impl Backend {
    /// A tip with which a transaction gets into the next blocks, wei per gas: zero while blocks have room, one wei
    /// above the least that got into the recent full ones where they do not.
    pub fn suggested_tip(&self) -> Result<u128, RpcError> {
        let head = self.head().block.number();
        if let Some((height, tip)) = *self.tip.lock()
            && height == head
        {
            return Ok(tip);
        }
        let mut tip = 0;
        for number in head.saturating_sub(TIP_BLOCKS - 1)..=head {
            let Some((header, _)) = self.header(number.into())? else { continue };
            if header.gas_used.saturating_mul(100) >= header.gas_limit.saturating_mul(FULL_PERCENT) {
                tip = tip.max(self.least_tip(number)?.saturating_add(1));
            }
        }
        *self.tip.lock() = Some((head, tip));
        Ok(tip)
    }

    fn least_tip(&self, number: u64) -> Result<u128, RpcError> {
        let Some(block) = self.block_at(number)? else { return Ok(0) };
        Ok(tips(&block).min().unwrap_or(0))
    }

    /// Fees of up to `count` blocks that end with `newest` (EIP-1559's `eth_feeHistory`); with `percentiles`, the
    /// tips at these percentiles of each block's gas.
    pub fn fee_history(
        &self,
        count: u64,
        newest: BlockNumberOrTag,
        percentiles: &[f64],
    ) -> Result<FeeHistory, RpcError> {
        self.check_percentiles(percentiles)?;
        let newest = self.number_of(BlockId::Number(newest))?.ok_or(RpcError::HeaderNotFound)?;
        let count = count.min(self.limits().fee_history_blocks_max).min(newest + 1);
        let mut history = FeeHistory { oldest_block: newest + 1, ..Default::default() };
        let mut rewards = Vec::new();
        let mut looked_at = 0;
        for number in (newest + 1 - count..=newest).rev() {
            if number > 0 && number < self.store().first_block() {
                // This box does not have it, or has it no more: the answer is shorter.
                break;
            }
            let (header, _) = self.header(number.into())?.ok_or(RpcError::HeaderNotFound)?;
            if !percentiles.is_empty() {
                let (block, receipts) = self.block_and_receipts(number)?;
                looked_at += receipts.len();
                if looked_at > self.limits().fee_history_transactions_max && number < newest {
                    break;
                }
                rewards.push(block_rewards(&block, &receipts, percentiles));
            }
            history.oldest_block = number;
            history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or(0).into());
            history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
        }
        let rewards = (!percentiles.is_empty()).then_some(rewards);
        Ok(finish(history, rewards, self.base_fee().into()))
    }

    fn check_percentiles(&self, percentiles: &[f64]) -> Result<(), RpcError> {
        let most = self.limits().fee_history_percentiles_max;
        if percentiles.len() > most {
            return Err(RpcError::Limit(format!("over the query limit {most}: {} percentiles", percentiles.len())));
        }
        for (index, &percentile) in percentiles.iter().enumerate() {
            if !(0.0..=100.0).contains(&percentile) {
                return Err(RpcError::InvalidParams(format!("invalid reward percentile: {percentile}")));
            }
            if index > 0 && percentile <= percentiles[index - 1] {
                let before = percentiles[index - 1];
                let text = format!("invalid reward percentile: #{}:{before} >= #{index}:{percentile}", index - 1);
                return Err(RpcError::InvalidParams(text));
            }
        }
        Ok(())
    }

    /// A block and its receipts, without putting them in the place of blocks that others ask for.
    fn block_and_receipts(&self, number: u64) -> Result<(Arc<Block>, Arc<Vec<Receipt>>), RpcError> {
        if let Some(recent) = self.recent.lock().get(number) {
            return Ok((recent.block().clone(), recent.shared_receipts().clone()));
        }
        let block = self.block_at(number)?.ok_or(RpcError::HeaderNotFound)?;
        Ok((block, Arc::new(self.store().receipts(number)?.unwrap_or_default())))
    }
}

/// Puts the arrays in chain order and adds the next block's fee.
fn finish(mut history: FeeHistory, mut rewards: Option<Vec<Vec<u128>>>, next_base_fee: u128) -> FeeHistory {
    if history.base_fee_per_gas.is_empty() {
        // As Geth answers a count of zero.
        return FeeHistory::default();
    }
    history.base_fee_per_gas.reverse();
    history.gas_used_ratio.reverse();
    rewards.iter_mut().for_each(|rows| rows.reverse());
    history.base_fee_per_gas.push(next_base_fee);
    history.base_fee_per_blob_gas = vec![BLOB_BASE_FEE; history.base_fee_per_gas.len()];
    history.blob_gas_used_ratio = vec![0.0; history.gas_used_ratio.len()];
    history.reward = rewards;
    history
}

/// What each transaction of a block paid its proposer, wei per gas.
fn tips(block: &Block) -> impl Iterator<Item = u128> {
    let base_fee = block.header().base_fee_per_gas.unwrap_or(0);
    block.transactions().iter().map(move |transaction| transaction.effective_tip_per_gas(base_fee).unwrap_or(0))
}

/// The tips at percentiles of a block's gas: of its transactions by rising tip, the one at which the gas used so far
/// reaches that share.
fn block_rewards(block: &Block, receipts: &[Receipt], percentiles: &[f64]) -> Vec<u128> {
    let mut before = 0;
    let gas = receipts.iter().map(|receipt| {
        let used = receipt.cumulative_gas_used() - before;
        before = receipt.cumulative_gas_used();
        used
    });
    let mut by_tip: Vec<(u128, u64)> = tips(block).zip(gas).collect();
    by_tip.sort_unstable_by_key(|(tip, _)| *tip);
    let total = block.header().gas_used;
    let mut rising = by_tip.iter();
    let (mut tip, mut sum) = rising.next().copied().unwrap_or_default();
    let reach = |percentile: &f64| {
        let threshold = share(total, *percentile);
        while sum < threshold {
            let Some((next, gas)) = rising.next() else { break };
            (tip, sum) = (*next, sum.saturating_add(*gas));
        }
        tip
    };
    percentiles.iter().map(reach).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a percentile between 0 and 100 of gas below 2^53 stays in range and needs no more precision"
)]
fn share(total: u64, percentile: f64) -> u64 {
    (total as f64 * percentile / 100.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "gas is far below 2^53")]
fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 { 0.0 } else { used as f64 / limit as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BASE_FEE, Chain};

    #[tokio::test]
    async fn history_of_fees() {
        let chain = Chain::new(Default::default());
        chain.commit(&[]);
        // Tips of 1, 2 and 3 wei at 21,000 gas each.
        let transfers: Vec<_> = (0..3).map(|nonce| chain.transfer_with_tip(nonce, 1, u128::from(nonce) + 1)).collect();
        chain.commit(&transfers);
        let history = chain.backend.fee_history(10, BlockNumberOrTag::Latest, &[0.0, 34.0, 100.0]).unwrap();
        assert_eq!(history.oldest_block, 0);
        assert_eq!(history.base_fee_per_gas, vec![u128::from(BASE_FEE); 4]);
        assert_eq!(history.gas_used_ratio.len(), 3);
        assert_eq!(history.gas_used_ratio[1], 0.0);
        assert!(history.gas_used_ratio[2] > 0.0);
        assert_eq!(history.reward.unwrap(), [[0, 0, 0], [0, 0, 0], [1, 2, 3]]);
        let newest = chain.backend.fee_history(1, BlockNumberOrTag::Number(1), &[]).unwrap();
        assert_eq!((newest.oldest_block, newest.base_fee_per_gas.len(), newest.reward), (1, 2, None));
        assert_eq!(chain.backend.fee_history(0, BlockNumberOrTag::Latest, &[]).unwrap(), FeeHistory::default());
    }

    #[tokio::test]
    async fn bounds_of_the_history() {
        let limits =
            crate::RpcLimits { fee_history_transactions_max: 2, fee_history_blocks_max: 2, ..Default::default() };
        let chain = Chain::new(limits);
        for nonce in 0..3 {
            chain.commit(&[chain.transfer(2 * nonce, 1), chain.transfer(2 * nonce + 1, 1)]);
        }
        assert_eq!(chain.backend.fee_history(9, BlockNumberOrTag::Latest, &[]).unwrap().oldest_block, 2);
        assert_eq!(chain.backend.fee_history(9, BlockNumberOrTag::Latest, &[50.0]).unwrap().oldest_block, 3);
        let code = |percentiles: &[f64]| {
            chain.backend.fee_history(1, BlockNumberOrTag::Latest, percentiles).expect_err("refused").code()
        };
        assert_eq!(code(&[101.0]), -32602);
        assert_eq!(code(&[f64::NAN]), -32602);
        assert_eq!(code(&[50.0, 50.0]), -32602);
        assert_eq!(code(&[1.0; 101]), -32005);
        let unknown = chain.backend.fee_history(1, BlockNumberOrTag::Number(99), &[]).expect_err("not there yet");
        assert_eq!(unknown.to_string(), "header not found");
    }

    #[tokio::test]
    async fn the_suggested_tip_follows_full_blocks() {
        let chain = Chain::new(Default::default());
        chain.commit(&[chain.transfer_with_tip(0, 1, 50)]);
        assert_eq!(chain.backend.suggested_tip().unwrap(), 0);
        // One call that burns nearly all the block's gas.
        chain.commit(&[chain.burn_gas(1, 70)]);
        assert_eq!(chain.backend.suggested_tip().unwrap(), 71);
    }
}
