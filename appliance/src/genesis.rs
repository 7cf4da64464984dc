//! `dolmen genesis`: creating and checking genesis files and box keys.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

use alloy_eips::{eip2935, eip4788};
use alloy_primitives::{Address, Bytes, U256, utils::parse_ether};
use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand};
use dolmen_types::{
    Genesis, GenesisFile, PublicKey, Validator,
    genesis::{GenesisAccount, Governance, Organisation},
};

use crate::config::load_genesis;

/// Subcommands of `dolmen genesis`.
#[derive(Subcommand)]
pub(crate) enum GenesisCommand {
    /// Write a new genesis file.
    New(NewArgs),
    /// Check a genesis file and print the hash of block zero.
    #[command(after_help = "Example:\n  dolmen genesis check genesis.json")]
    Check {
        /// The file.
        file: PathBuf,
    },
}

/// Arguments of `dolmen genesis new`.
#[derive(Args)]
#[command(after_help = "Example:\n  dolmen genesis new --chain-id 2026 --out genesis.json \\\n    \
    --organisation alpha=0x<account> --organisation beta=0x<account> \\\n    \
    --validator box-a:alpha=<public key>@0x<fee address> --validator box-b:beta=<public key>@0x<fee address> \\\n    \
    --account 0x<address>=1000")]
pub(crate) struct NewArgs {
    /// EIP-155 chain id.
    #[arg(long)]
    chain_id: u64,
    /// A validator, NAME:ORGANISATION=PUBLIC_KEY@FEE_RECIPIENT, or without an organisation; once for each.
    #[arg(long = "validator", required = true, value_name = "NAME:ORG=KEY@ADDRESS", value_parser = parse_validator)]
    validators: Vec<Validator>,
    /// A member of the consortium and the account that votes for it, NAME=ADDRESS; once for each. Without any, nobody can
    /// ever change the chain.
    #[arg(long = "organisation", value_name = "NAME=ADDRESS", value_parser = parse_organisation)]
    organisations: Vec<Organisation>,
    /// Blocks of an epoch: validators and parameters change at its end.
    #[arg(long, default_value_t = Governance::default().epoch_blocks)]
    epoch_blocks: u64,
    /// Seconds after which a validator that proposes nothing is replaced by a box that stands by; 0 for never.
    #[arg(long, default_value_t = Governance::default().silent_after_s)]
    silent_after_s: u64,
    /// An account and its balance in ether, ADDRESS=ETHER; once for each.
    #[arg(long = "account", value_name = "ADDRESS=ETHER", value_parser = parse_account)]
    accounts: Vec<(Address, U256)>,
    /// Base fee in wei per gas; 0 makes transactions free of charge.
    #[arg(long, default_value_t = DEFAULT_BASE_FEE)]
    base_fee: u64,
    /// Gas a block may use.
    #[arg(long, default_value_t = DEFAULT_GAS_LIMIT)]
    gas_limit: u64,
    /// Least time between two blocks, milliseconds.
    #[arg(long, default_value_t = DEFAULT_INTERVAL_MIN_MS)]
    block_interval_min_ms: u64,
    /// Longest wait for a transaction before an empty block, milliseconds.
    #[arg(long, default_value_t = DEFAULT_INTERVAL_MAX_MS)]
    block_interval_max_ms: u64,
    /// Largest encoded block in bytes.
    #[arg(long, default_value_t = DEFAULT_BLOCK_BYTES)]
    block_bytes_max: u32,
    /// The file to write; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// 1 gwei, so that fees behave as contract developers expect.
const DEFAULT_BASE_FEE: u64 = 1_000_000_000;
/// About 4,000 token transfers a block.
const DEFAULT_GAS_LIMIT: u64 = 200_000_000;
/// Fifty blocks a second: an empty pool is looked at often enough for a finality of tens of milliseconds.
const DEFAULT_INTERVAL_MIN_MS: u64 = 20;
/// An idle chain's heartbeat: two small blocks a second.
const DEFAULT_INTERVAL_MAX_MS: u64 = 500;
/// 2 MiB.
const DEFAULT_BLOCK_BYTES: u32 = 2 << 20;

/// Runs a subcommand.
pub(crate) fn genesis(command: GenesisCommand) -> anyhow::Result<()> {
    match command {
        GenesisCommand::New(args) => {
            let mut accounts = BTreeMap::new();
            for (address, balance) in args.accounts {
                let first = accounts.insert(address, balance).is_none();
                ensure!(first, "--account names {address} twice; give its whole balance once");
            }
            let governance = Governance {
                epoch_blocks: args.epoch_blocks,
                silent_after_s: args.silent_after_s,
                organisations: args.organisations,
            };
            let defaults = file(args.chain_id, args.validators, governance, accounts)?;
            let file = GenesisFile {
                base_fee_per_gas: args.base_fee,
                gas_limit: args.gas_limit,
                block_interval_min_ms: args.block_interval_min_ms,
                block_interval_max_ms: args.block_interval_max_ms,
                block_bytes_max: args.block_bytes_max,
                ..defaults
            };
            write(&args.out, file)
        }
        GenesisCommand::Check { file } => {
            let genesis = load_genesis(&file)?;
            let settings = genesis.file();
            anstream::println!(
                "{}: chain {}, {} validators, {} accounts, block zero {}",
                file.display(),
                settings.chain_id,
                settings.validators.len(),
                settings.accounts.len(),
                dolmen_node::origin(&genesis)?.block.hash()
            );
            Ok(())
        }
    }
}

/// A genesis file with the default limits and Ethereum's system contracts for block hashes (EIP-2935, EIP-4788).
pub(crate) fn file(
    chain_id: u64,
    validators: Vec<Validator>,
    governance: Governance,
    balances: BTreeMap<Address, U256>,
) -> anyhow::Result<GenesisFile> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("the clock is before 1970")?;
    let balance = |(address, balance)| (address, GenesisAccount { balance, ..Default::default() });
    let mut accounts: BTreeMap<_, _> = balances.into_iter().map(balance).collect();
    for (address, code) in [
        (eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE),
        (eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE),
    ] {
        accounts.insert(address, GenesisAccount { nonce: 1, code: code.clone(), ..Default::default() });
    }
    Ok(GenesisFile {
        chain_id,
        timestamp_ms: u64::try_from(now.as_millis()).context("the clock is far in the future")?,
        gas_limit: DEFAULT_GAS_LIMIT,
        base_fee_per_gas: DEFAULT_BASE_FEE,
        block_interval_min_ms: DEFAULT_INTERVAL_MIN_MS,
        block_interval_max_ms: DEFAULT_INTERVAL_MAX_MS,
        block_bytes_max: DEFAULT_BLOCK_BYTES,
        validators,
        governance,
        accounts,
    })
}

/// Checks and writes a genesis file; never overwrites one, since it names a chain.
pub(crate) fn write(path: &Path, file: GenesisFile) -> anyhow::Result<()> {
    let genesis = Genesis::try_from(file)?;
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("cannot create {}; a genesis file is never overwritten", path.display()))?;
    serde_json::to_writer_pretty(&mut out, genesis.file())?;
    out.write_all(b"\n").and_then(|()| out.sync_all()).with_context(|| format!("cannot write {}", path.display()))
}

fn parse_validator(text: &str) -> anyhow::Result<Validator> {
    let form = || anyhow!("expected NAME:ORGANISATION=PUBLIC_KEY@FEE_RECIPIENT");
    let (name, rest) = text.rsplit_once('=').ok_or_else(form)?;
    let (name, organisation) = match name.split_once(':') {
        Some((name, organisation)) => (name, Some(organisation.to_owned())),
        None => (name, None),
    };
    let (public_key, fee_recipient) = rest.split_once('@').ok_or_else(form)?;
    let public_key: PublicKey = public_key.parse().context("the public key is not 64 hexadecimal digits")?;
    let fee_recipient = fee_recipient.parse().context("the fee recipient is not an address")?;
    Ok(Validator { name: name.to_owned(), public_key, fee_recipient, organisation, endpoint: None })
}

fn parse_organisation(text: &str) -> anyhow::Result<Organisation> {
    let (name, account) = text.rsplit_once('=').ok_or_else(|| anyhow!("expected NAME=ADDRESS"))?;
    let account = account.parse().context("not an address")?;
    Ok(Organisation { name: name.to_owned(), account, root_certificate: Bytes::new() })
}

fn parse_account(text: &str) -> anyhow::Result<(Address, U256)> {
    let (address, ether) = text.split_once('=').ok_or_else(|| anyhow!("expected ADDRESS=ETHER"))?;
    let balance = parse_ether(ether).context("the balance is not a number of ether")?;
    ensure!(!balance.is_zero(), "the balance is zero; leave the account out");
    Ok((address.parse().context("not an address")?, balance))
}
