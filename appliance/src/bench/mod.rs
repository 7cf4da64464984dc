//! `dolmen bench`: a chain of boxes under load, and boxes that join one, measured from outside; signature engines beside
//! libraries.
//!
//! [`chain::chain`] starts a devnet of real processes on this machine, loads it through the boxes' JSON-RPC as
//! applications would, and reports what the chain finalized, how long that took and what it cost. `chain.rs` has the
//! phases. [`sync::sync`] does so with boxes that join such a chain. Boxes beside the devnet's are made in `follower.rs`
//! and run by `process.rs`. [`crypto`] measures engines and libraries in this process.

mod chain;
mod client;
mod cpu;
pub(crate) mod crypto;
mod devnet;
mod follower;
mod key;
mod load;
mod machine;
mod metrics;
mod process;
mod report;
mod sign;
mod sync;
mod watch;
mod workload;

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use dolmen_hsm_api::KeyUri;
use dolmen_types::genesis::Governance;
pub(crate) use key::{KeyLoad, key};

use crate::{
    backends::{Backend, keys::Keys},
    keys::DeviceArgs,
};

/// Boxes of a benchmark at most: they share this machine.
const BOXES_MAX: i64 = 32;
/// Boxes beside them that follow the chain at most, for the same reason.
const FOLLOWERS_MAX: i64 = 32;
/// Longest measured window: bounds the transactions signed in advance, which lie in memory.
const SECONDS_MAX: i64 = 600;
/// Sending accounts at most: each is funded by a transaction before the measurement.
const ACCOUNTS_MAX: i64 = 10_000;
/// Transactions in flight at most: the pools hold 65,536.
const IN_FLIGHT_MAX: i64 = 32_768;
/// Accounts of a chain that boxes join at most: a box keeps each in some 250 bytes of memory, and these share a machine.
const STATE_ACCOUNTS_MAX: i64 = 100_000_000;
/// Times that a box which joins is killed at most.
const INTERRUPTIONS_MAX: i64 = 1000;
/// Transfers a second at most while boxes join: a chain on one machine carries some thousand.
const JOIN_RATE_MAX: i64 = 10_000;

/// What `dolmen bench` measures.
#[derive(Subcommand)]
pub(crate) enum BenchCommand {
    /// Measure a chain of boxes on this machine under load: throughput, time to finality, CPU time, memory.
    Chain(ChainArgs),
    /// Measure how a new box joins a chain of many accounts: from a snapshot, and by executing all blocks.
    Sync(SyncArgs),
    /// Measure verification of signatures: our engines beside the libraries of others, every verdict checked.
    Verify(crypto::VerifyArgs),
    /// Measure recovery of signers, as for Ethereum's transactions, with and without hints.
    Recover(crypto::RecoverArgs),
    /// Measure signing: by libraries, or by one key wherever it lives, with latencies.
    Sign(Box<SigningArgs>),
    /// Measure hashing of many messages at once.
    Hash(crypto::HashArgs),
    /// Measure encryption of messages.
    Cipher(crypto::CipherArgs),
}

/// Settings of `dolmen bench sign`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen bench sign --alg sm2,p256 --csv sign.csv\n  \
    dolmen bench sign --key tpm:page --config /etc/dolmen/box.toml --threads 1,2,8")]
pub(crate) struct SigningArgs {
    /// Measure this key instead of libraries, one signature at a time on each thread.
    #[arg(long, value_name = "URI")]
    key: Option<KeyUri>,
    #[command(flatten)]
    devices: DeviceArgs,
    #[command(flatten)]
    libraries: crypto::SignArgs,
}

/// Runs `dolmen bench`.
pub(crate) async fn bench(command: BenchCommand) -> anyhow::Result<()> {
    match command {
        BenchCommand::Chain(args) => chain::chain(args).await,
        BenchCommand::Sync(args) => sync::sync(args).await,
        // Nothing else runs on this runtime, and Ctrl-C ends the process.
        BenchCommand::Verify(args) => crypto::verify(&args),
        BenchCommand::Recover(args) => crypto::recover(&args),
        BenchCommand::Sign(args) => match &args.key {
            None => crypto::sign(&args.libraries),
            Some(uri) => {
                let crypto::Common { threads, seconds, json, .. } = args.libraries.common;
                key(&Keys::new(args.devices.devices()?)?, uri, &KeyLoad { threads, seconds }, json.as_deref())
            }
        },
        BenchCommand::Hash(args) => crypto::hash(&args),
        BenchCommand::Cipher(args) => crypto::cipher(&args),
    }
}

/// The chain that a benchmark starts.
#[derive(Args, Clone, Debug)]
pub(crate) struct DevnetSettings {
    /// Boxes of the chain, all on this machine.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=BOXES_MAX))]
    pub(crate) boxes: u32,
    /// What checks signatures in the boxes, as for `dolmen run`.
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    pub(crate) accel: Backend,
    /// Each box has a TPM of software, as for `dolmen devnet`.
    #[arg(long)]
    pub(crate) swtpm: bool,
    /// Each box has a PKCS#11 token of software, as for `dolmen devnet`.
    #[arg(long)]
    pub(crate) softhsm: bool,
    /// Blocks of an epoch, as for `dolmen devnet`.
    #[arg(long, default_value_t = Governance::default().epoch_blocks, value_name = "BLOCKS")]
    pub(crate) epoch_blocks: u64,
    /// Where the chain lies; it stays there. Without it, a temporary folder that is removed.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// First of the TCP ports that the boxes listen on, as for `dolmen devnet`. 0 takes free ports.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(crate) base_port: u16,
}

/// Settings of `dolmen bench chain`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  dolmen bench chain\n  \
    dolmen bench chain --boxes 7 --workload transfer --rate 500 --seconds 10 --json result.json\n  \
    dolmen bench chain --workload transfer --rate 90 --followers 10")]
pub(crate) struct ChainArgs {
    #[command(flatten)]
    pub(crate) devnet: DevnetSettings,
    /// What the transactions do.
    #[arg(long, value_enum, default_value_t = Workload::Erc20)]
    pub(crate) workload: Workload,
    /// Length of the measured window in seconds, after a warm-up.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=SECONDS_MAX))]
    pub(crate) seconds: u32,
    /// Transactions sent per second. Without it, as many as the chain finalizes.
    #[arg(long)]
    pub(crate) rate: Option<NonZeroU32>,
    /// Boxes that follow the chain without a vote, beside `--boxes`. The chain is measured before they start, with them
    /// and after they have stopped, each time for `--seconds`. Takes `--rate`.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=FOLLOWERS_MAX))]
    pub(crate) followers: u32,
    /// Accounts that send, each through one box.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=ACCOUNTS_MAX))]
    pub(crate) accounts: u32,
    /// Transactions sent and not finalized, at most, where `--rate` is not given.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(1..=IN_FLIGHT_MAX))]
    pub(crate) in_flight: u32,
    /// Writes the result as JSON into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// Settings of `dolmen bench sync`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  dolmen bench sync\n  \
    dolmen bench sync --accounts 100000 --interruptions 3 --rate 50 --epoch-blocks 200 --json result.json")]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    pub(crate) devnet: DevnetSettings,
    /// Accounts that the chain gets before boxes join it.
    #[arg(long, default_value_t = 1_000_000,
          value_parser = clap::value_parser!(u32).range(1..=STATE_ACCOUNTS_MAX))]
    pub(crate) accounts: u32,
    /// How often one of the boxes is killed while it fetches the state.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=INTERRUPTIONS_MAX))]
    pub(crate) interruptions: u32,
    /// Transfers sent per second meanwhile.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=JOIN_RATE_MAX))]
    pub(crate) rate: u32,
    /// Writes the result as JSON into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Sends 1 wei to another account.
    Transfer,
    /// Sends one unit of an OpenZeppelin ERC-20 token to another holder.
    Erc20,
}

impl Workload {
    /// The name on the command line and in reports.
    const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Erc20 => "erc20",
        }
    }
}
