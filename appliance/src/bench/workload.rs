//! Before and after the load: funds, the token, and the proof that every transaction did what it was to do.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256, hex};
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{
    Workload,
    client::{Receipt, Rpc},
    devnet::DevAccount,
    report::Progress,
    sign::{Account, Fees, Plan, Request, Signed, TRANSFER_GAS, sign, token_transfer},
};

/// Creation bytecode of the ERC-20 token; the file says from which sources.
const ERC20: &str = include_str!("erc20.txt");
/// Gas limit of a deployment; the token's uses about 600,000.
const DEPLOY_GAS: u64 = 2_000_000;
/// Units of the token that each account gets: more than it can send.
const TOKENS: u64 = 1_000_000_000_000;
/// Set-up transactions of one sender under way at a time.
const SETUP_BATCH: usize = 500;
/// How long a batch of them may take to be finalized.
const SETUP_MAX: Duration = Duration::from_secs(60);
/// Between two looks for receipts.
const POLL: Duration = Duration::from_millis(20);

/// The accounts after set-up, and what they hold.
pub(super) struct Setup {
    /// Who sends what.
    pub(super) plan: Plan,
    /// Wei that each account got.
    funds: U256,
}

impl Setup {
    /// Creates accounts, funds them from the devnet's own, and for ERC-20 deploys the token and hands it out.
    pub(super) async fn run(
        rpc: &Rpc,
        dev: &[DevAccount],
        (workload, count, lanes): (Workload, usize, usize),
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let fees = read_fees(rpc).await?;
        let accounts: Vec<_> = (0..count).map(|_| Account::random()).collect();
        let mut bank = Bank::open(rpc, dev, fees).await?;
        let funds = bank.share(count)?;
        progress.say(format!("funding {count} accounts"));
        let transfers = accounts.iter().map(|account| Request {
            to: account.address.into(),
            value: funds,
            input: Bytes::new(),
            gas_limit: TRANSFER_GAS,
        });
        bank.send(transfers.collect()).await?;
        let mut token = Address::ZERO;
        if workload == Workload::Erc20 {
            progress.say("deploying the token and handing it out".to_owned());
            token = bank.deploy(erc20_code()?).await?;
            let amount = U256::from(TOKENS);
            let transfers = accounts.iter().map(|account| token_transfer(token, account.address, amount));
            bank.send_from_first(transfers.collect()).await?;
        }
        Ok(Self { plan: Plan { accounts, workload, token, fees, lanes }, funds })
    }

    /// Checks on `rpc` that every account holds exactly what it must after the load, in which lane `i` sent its first
    /// `sent[i]` transactions; so all of them took effect, once.
    pub(super) async fn check_balances(&self, rpc: &Rpc, sent: &[u64]) -> anyhow::Result<()> {
        let plan = &self.plan;
        let (mut paid, mut received) = (vec![0_u64; plan.accounts.len()], vec![0_u64; plan.accounts.len()]);
        for (lane, sent) in sent.iter().enumerate() {
            for position in 0..*sent {
                let (sender, nonce) = plan.sender(lane, position);
                paid[sender] += 1;
                received[plan.recipient(sender, nonce)] += 1;
            }
        }
        let (start, cost) = match plan.workload {
            Workload::Transfer => (self.funds, U256::from(plan.fees.gas_price * u128::from(TRANSFER_GAS)) + U256::ONE),
            Workload::Erc20 => (U256::from(TOKENS), U256::ONE),
        };
        let mut sum = U256::ZERO;
        for (index, found) in self.balances(rpc).await?.into_iter().enumerate() {
            let expected = start + U256::from(received[index]) - U256::from(paid[index]) * cost;
            let address = plan.accounts[index].address;
            ensure!(
                found == expected,
                "account {address} holds {found} on {}, but {expected} after the load: transactions are missing, or \
                 took effect more than once",
                rpc.name
            );
            sum += found;
        }
        if plan.workload == Workload::Erc20 {
            let expected = start * U256::from(plan.accounts.len());
            ensure!(sum == expected, "the holders have {sum} units of the token on {}, not {expected}", rpc.name);
        }
        Ok(())
    }

    async fn balances(&self, rpc: &Rpc) -> anyhow::Result<Vec<U256>> {
        let addresses = self.plan.accounts.iter().map(|account| account.address);
        let (method, params): (_, Vec<Value>) = match self.plan.workload {
            Workload::Transfer => ("eth_getBalance", addresses.map(|address| json!([address, "latest"])).collect()),
            Workload::Erc20 => {
                let call = |address| json!([{"to": self.plan.token, "data": balance_of(address)}, "latest"]);
                ("eth_call", addresses.map(call).collect())
            }
        };
        rpc.batch(method, params).await?.into_iter().map(read_quantity).collect()
    }
}

/// Asks for the receipts of transactions that are in finalized blocks; returns the hashes of those that failed.
pub(super) async fn failed_receipts(rpc: &Rpc, hashes: &[B256]) -> anyhow::Result<Vec<B256>> {
    let mut failed = Vec::new();
    for (hash, receipt) in hashes.iter().zip(receipts(rpc, hashes).await?) {
        let receipt = receipt.with_context(|| format!("{} has no receipt of transaction {hash}", rpc.name))?;
        if !receipt.succeeded() {
            failed.push(*hash);
        }
    }
    Ok(failed)
}

async fn receipts(rpc: &Rpc, hashes: &[B256]) -> anyhow::Result<Vec<Option<Receipt>>> {
    let params = hashes.iter().map(|hash| json!([hash])).collect();
    let results = rpc.batch("eth_getTransactionReceipt", params).await?;
    results.into_iter().map(|receipt| serde_json::from_value(receipt).context("read a receipt")).collect()
}

/// What the chain takes for gas.
pub(super) async fn read_fees(rpc: &Rpc) -> anyhow::Result<Fees> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Block {
        base_fee_per_gas: U256,
    }
    let chain_id: U64 = rpc.call("eth_chainId", json!([])).await?;
    let block: Block = rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
    let gas_price = u128::try_from(block.base_fee_per_gas).ok().context("the base fee exceeds 2^128 wei")?;
    Ok(Fees { chain_id: chain_id.to(), gas_price })
}

fn erc20_code() -> anyhow::Result<Bytes> {
    let code: String = ERC20.lines().filter(|line| !line.starts_with('#')).map(str::trim).collect();
    Ok(hex::decode(code).context("the built-in token's bytecode is not hexadecimal")?.into())
}

/// A call of ERC-20's `balanceOf(address)`.
fn balance_of(address: Address) -> Bytes {
    [&hex!("70a08231")[..], address.into_word().as_slice()].concat().into()
}

/// Reads a number as `eth_getBalance` and `eth_call` write it: with and without leading zeros.
fn read_quantity(value: Value) -> anyhow::Result<U256> {
    let text = value.as_str().context("a balance is not a string")?;
    let digits = text.strip_prefix("0x").with_context(|| format!("`{text}` is not hexadecimal"))?;
    U256::from_str_radix(digits, 16).ok().with_context(|| format!("`{text}` is not a number"))
}

/// The devnet's accounts with funds.
pub(super) struct Bank<'a> {
    rpc: &'a Rpc,
    fees: Fees,
    accounts: Vec<(Account, u64)>,
    least_balance: U256,
}

impl<'a> Bank<'a> {
    /// The accounts as `rpc` knows them; no other transactions of theirs may be under way.
    pub(super) async fn open(rpc: &'a Rpc, dev: &[DevAccount], fees: Fees) -> anyhow::Result<Self> {
        let (mut accounts, mut least_balance) = (Vec::new(), U256::MAX);
        for account in dev {
            let nonce: U64 = rpc.call("eth_getTransactionCount", json!([account.address, "latest"])).await?;
            let balance: U256 = rpc.call("eth_getBalance", json!([account.address, "latest"])).await?;
            least_balance = least_balance.min(balance);
            accounts.push((Account::from_key(account.private_key)?, nonce.to()));
        }
        Ok(Self { rpc, fees, accounts, least_balance })
    }

    /// Wei for each of `count` accounts: half of what there is.
    fn share(&self, count: usize) -> anyhow::Result<U256> {
        let share = self.least_balance / U256::from(2 * count.div_ceil(self.accounts.len()));
        ensure!(!share.is_zero(), "the devnet's accounts have {} wei: too little for the load", self.least_balance);
        Ok(share)
    }

    /// Sends requests from all accounts in turn, and waits until they succeeded.
    pub(super) async fn send(&mut self, requests: Vec<Request>) -> anyhow::Result<()> {
        for batch in requests.chunks(SETUP_BATCH) {
            let signed: Vec<_> =
                batch.iter().enumerate().map(|(index, request)| self.sign(index, request.clone())).collect();
            self.finalize(&signed).await?;
        }
        Ok(())
    }

    /// Sends requests from the first account, and waits until they succeeded.
    async fn send_from_first(&mut self, requests: Vec<Request>) -> anyhow::Result<()> {
        for batch in requests.chunks(SETUP_BATCH) {
            let signed: Vec<_> = batch.iter().map(|request| self.sign(0, request.clone())).collect();
            self.finalize(&signed).await?;
        }
        Ok(())
    }

    /// Deploys a contract from the first account.
    pub(super) async fn deploy(&mut self, code: Bytes) -> anyhow::Result<Address> {
        let request = Request { to: TxKind::Create, value: U256::ZERO, input: code, gas_limit: DEPLOY_GAS };
        let signed = self.sign(0, request);
        let receipts = self.finalize(&[signed]).await?;
        receipts.first().and_then(|receipt| receipt.contract_address).context("the deployment created no contract")
    }

    fn sign(&mut self, index: usize, request: Request) -> Signed {
        let count = self.accounts.len();
        let (account, nonce) = &mut self.accounts[index % count];
        let signed = sign(account, *nonce, self.fees, request);
        *nonce += 1;
        signed
    }

    /// Sends transactions and waits for their receipts.
    async fn finalize(&self, signed: &[Signed]) -> anyhow::Result<Vec<Receipt>> {
        let refused = self.rpc.send_raw(signed.iter().map(|signed| &*signed.raw)).await?;
        if let Some((_, error)) = refused.first() {
            bail!("{} refused a transaction of the set-up: {error}", self.rpc.name);
        }
        let hashes: Vec<_> = signed.iter().map(|signed| signed.hash).collect();
        let (mut done, start) = (Vec::new(), Instant::now());
        while done.len() < hashes.len() {
            let found = receipts(self.rpc, &hashes[done.len()..]).await?;
            for (hash, receipt) in hashes[done.len()..].iter().zip(found) {
                let Some(receipt) = receipt else { break };
                ensure!(receipt.succeeded(), "transaction {hash} of the set-up failed");
                done.push((*hash, receipt));
            }
            let (seconds, missing) = (start.elapsed().as_secs(), hashes.len() - done.len());
            ensure!(start.elapsed() < SETUP_MAX, "{missing} set-up transactions are not finalized after {seconds} s");
            tokio::time::sleep(POLL).await;
        }
        Ok(done.into_iter().map(|(_, receipt)| receipt).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_a_contract_that_fits_a_block() {
        let code = erc20_code().unwrap();
        assert!(code.len() > 1000 && code.len() < 24_576, "{} bytes", code.len());
        // `transfer` and `balanceOf` are among the selectors that it compares with.
        for selector in [hex!("a9059cbb"), hex!("70a08231")] {
            assert!(code.windows(4).any(|bytes| bytes == selector));
        }
    }

    #[test]
    fn balances_are_read_in_both_notations() {
        assert_eq!(read_quantity(json!("0x0")).unwrap(), U256::ZERO);
        assert_eq!(read_quantity(json!(format!("0x{:064x}", 258))).unwrap(), U256::from(258));
        assert!(read_quantity(json!(7)).is_err());
        assert!(read_quantity(json!("7")).is_err());
    }
}
