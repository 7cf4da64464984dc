//! Many accounts: a contract makes some hundred in each transaction, by sending one wei to each.

use std::time::Instant;

use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_primitives::{Address, B256, Bytes, U64, U256, hex};
use anyhow::ensure;
use serde::Deserialize;
use serde_json::json;

use crate::bench::{
    client::Rpc,
    devnet::DevAccount,
    report::Progress,
    sign::Request,
    workload::{Bank, read_fees},
};

/// Creates a contract that takes two words, an address and a number, and sends one wei each to so many addresses from
/// that one on. Where it cannot it takes all back.
const DISPERSER: [u8; 51] = hex!(
    // Returns what follows as the contract's code: PUSH1 42, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN.
    "602a" "80" "6009" "5f" "39" "5f" "f3"
    // The stack, its top at the right, is: number, address.
    "6020" "35" "5f" "35"
    // 5: JUMPDEST. To 36 where the number is zero: DUP2, ISZERO, PUSH1, JUMPI.
    "5b" "81" "15" "6024" "57"
    // No output, no input, 1 wei, the address (DUP6), no gas but the stipend: CALL.
    "5f" "5f" "5f" "5f" "6001" "85" "5f" "f1"
    // To 38 where that failed: ISZERO, PUSH1, JUMPI.
    "15" "6026" "57"
    // The address plus one, the number less one, and back to 5.
    "6001" "01" "90" "6001" "90" "03" "90" "6005" "56"
    // 36: JUMPDEST, STOP.
    "5b" "00"
    // 38: JUMPDEST, PUSH0, PUSH0, REVERT.
    "5b" "5f" "5f" "fd"
);
/// Gas for each account. The call takes 34,300: a cold account, a value and a new account, less the stipend, which comes
/// back. The loop around it takes 84.
const GAS_EACH: u64 = 34_400;
/// Gas for the rest: 22,024 for the transaction with its two words, and the stipend that the last call lends.
const GAS_BASE: u64 = 30_000;
/// Transactions under way at a time: some nine full blocks, so that most blocks are full and few wait for a batch's end.
const BATCH: usize = 100;
/// The first of the accounts; neither contracts nor precompiles are near.
const FIRST: Address = Address::new(hex!("d010000000000000000000000000000000000000"));
/// Accounts whose balance is looked at, about.
const SAMPLE: u32 = 200;

/// The accounts that were made.
pub(super) struct Fill {
    /// How many.
    pub(super) accounts: u32,
    /// Transactions that made them.
    pub(super) transactions: usize,
    /// Blocks that it took.
    pub(super) blocks: u64,
    /// Seconds that it took.
    pub(super) seconds: f64,
}

impl Fill {
    /// Makes accounts with the devnet's funds.
    pub(super) async fn run(rpc: &Rpc, dev: &[DevAccount], accounts: u32, progress: &Progress) -> anyhow::Result<Self> {
        let mut bank = Bank::open(rpc, dev, read_fees(rpc).await?).await?;
        let contract = bank.deploy(Bytes::copy_from_slice(&DISPERSER)).await?;
        let calls = calls(contract, accounts, block_gas_limit(rpc).await?);
        let (began, first) = (Instant::now(), rpc.height().await?);
        for (number, batch) in calls.chunks(BATCH).enumerate() {
            progress.say(format!("making {accounts} accounts, {} % done", number * BATCH * 100 / calls.len()));
            bank.send(batch.to_vec()).await?;
        }
        let (transactions, blocks) = (calls.len(), rpc.height().await? - first);
        let fill = Self { accounts, transactions, blocks, seconds: began.elapsed().as_secs_f64() };
        fill.check(rpc).await?;
        Ok(fill)
    }

    /// Checks on `rpc` that accounts all over the range are there.
    pub(super) async fn check(&self, rpc: &Rpc) -> anyhow::Result<()> {
        let step = self.accounts.div_ceil(SAMPLE) as usize;
        let numbers: Vec<u32> = (0..self.accounts).step_by(step).chain([self.accounts - 1]).collect();
        let params = numbers.iter().map(|number| json!([address(*number), "latest"])).collect();
        for (number, balance) in numbers.iter().zip(rpc.batch("eth_getBalance", params).await?) {
            ensure!(
                balance == "0x1",
                "account {number}, {}, holds {balance} on {} instead of one wei",
                address(*number),
                rpc.name
            );
        }
        Ok(())
    }
}

/// The transactions that make `accounts` accounts, each as large as it may be.
fn calls(contract: Address, accounts: u32, block_gas_limit: u64) -> Vec<Request> {
    let gas = MAX_TX_GAS_LIMIT_OSAKA.min(block_gas_limit);
    // Some hundred, as the limits are.
    let most = u32::try_from(gas.saturating_sub(GAS_BASE) / GAS_EACH).unwrap_or(u32::MAX).max(1);
    let call = |first: u32| {
        let count = most.min(accounts - first);
        let input = [address(first).into_word().0, U256::from(count).to_be_bytes::<32>()].concat();
        Request {
            to: contract.into(),
            value: U256::from(count),
            input: input.into(),
            gas_limit: GAS_BASE + GAS_EACH * u64::from(count),
        }
    };
    (0..accounts).step_by(most as usize).map(call).collect()
}

fn address(number: u32) -> Address {
    Address::from_word(B256::from(U256::from_be_slice(FIRST.as_slice()) + U256::from(number)))
}

async fn block_gas_limit(rpc: &Rpc) -> anyhow::Result<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Block {
        gas_limit: U64,
    }
    let block: Block = rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
    Ok(block.gas_limit.to())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_jumps_to_where_it_may() {
        let code = &DISPERSER[9..];
        assert_eq!(code.len(), usize::from(DISPERSER[1]));
        for target in [0x05, 0x24, 0x26] {
            assert_eq!(code[target], 0x5b, "{target}");
        }
    }

    #[test]
    fn every_account_is_made_once_within_the_limits_of_gas() {
        let calls = calls(Address::ZERO, 1_000_000, 200_000_000);
        let mut next = 0;
        for call in &calls {
            assert!(call.gas_limit <= MAX_TX_GAS_LIMIT_OSAKA);
            assert_eq!(Address::from_slice(&call.input[12..32]), address(next));
            assert_eq!(U256::from_be_slice(&call.input[32..]), call.value);
            next += call.value.to::<u32>();
        }
        assert_eq!(next, 1_000_000);
        assert!(calls.iter().rev().skip(1).all(|call| call.gas_limit > MAX_TX_GAS_LIMIT_OSAKA - GAS_EACH));
        assert_ne!(address(0), address(1));
    }
}
