//! `dolmen gov`: who governs a chain, and changes of it by proposal and vote.
//!
//! It asks any box of the chain by JSON-RPC. A proposal or vote is a transaction of an organisation's account to the
//! governance contract; whoever signs it need not trust the box.

mod chain;
mod decide;
mod member;
mod members;
mod overview;
mod proposals;
mod propose;
mod refusal;
mod request;
mod show;
mod text;
mod transaction;
mod wallet;

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall as _;
use clap::{Args, Subcommand, ValueEnum};
use dolmen_governance::contract;

use self::{chain::Chain, wallet::WalletArgs};
pub(crate) use self::{
    member::{ChainBox, Member, Standing, account_of},
    overview::Consortium,
    request::AdmissionRequest,
};

/// Arguments of `dolmen gov`.
#[derive(Args)]
pub(crate) struct GovArgs {
    /// The JSON-RPC of a box of the chain.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8545", value_name = "URL")]
    rpc: String,
    /// Print JSON: what the box answers, or what was done.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: GovCommand,
}

#[derive(Subcommand)]
enum GovCommand {
    /// Show the epoch that runs, what waits for its end, and what may be voted on.
    #[command(after_help = "Examples:\n  dolmen gov status\n  dolmen gov status --rpc http://10.0.0.5:8545 --json")]
    Status,
    /// List the members of the consortium.
    #[command(after_help = "Example:\n  dolmen gov organisations")]
    Organisations,
    /// List the boxes of the chain.
    #[command(after_help = "Examples:\n  dolmen gov boxes\n  dolmen gov boxes --all")]
    Boxes {
        /// Those that are retired, too.
        #[arg(long)]
        all: bool,
    },
    /// List how changes of each kind are decided.
    #[command(after_help = "Example:\n  dolmen gov policies")]
    Policies,
    /// Show whether accounts need permissions, and those of one.
    #[command(after_help = "Examples:\n  dolmen gov permissions\n  \
        dolmen gov permissions 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266")]
    Permissions {
        /// The account.
        address: Option<Address>,
    },
    /// List proposals, the newest first.
    #[command(after_help = "Example:\n  dolmen gov proposals --count 50")]
    Proposals {
        /// How many at most.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=100))]
        count: u64,
    },
    /// Show a proposal, what it changes and how it stands.
    #[command(after_help = "Example:\n  dolmen gov show 7")]
    Show {
        /// Its number.
        id: u64,
    },
    /// Show an epoch: who votes in it, what its blocks obey, and what proves it.
    #[command(after_help = "Examples:\n  dolmen gov epoch\n  dolmen gov epoch 0 --json")]
    Epoch {
        /// Its number; that of the next block if not given.
        number: Option<u64>,
    },
    /// On a box that is to join: write its request for admission, signed with its consensus key.
    #[command(after_help = "Examples:\n  dolmen gov request --config box.toml --organisation 1 \\\n    \
        --fee-recipient 0x00000000000000000000000000000000000000f5 --out request.json\n  \
        dolmen gov request --key soft:consensus --dir keys --organisation 1 --name box-5 --endpoint 10.0.0.15:30303 \\\n    \
        --chain-id 2026 --fee-recipient 0x00000000000000000000000000000000000000f5")]
    Request(Box<request::RequestArgs>),
    /// Propose a change, which is a vote for it; it is carried out at once where that is enough.
    #[command(after_help = "Examples:\n  dolmen gov propose promote box-5 --key soft:alpha --dir keys\n  \
        dolmen gov propose set-parameters --gas-limit 100000000 --devnet devnet --as organisation-0\n  \
        dolmen gov propose retire box-2 --print")]
    Propose(Box<propose::ProposeArgs>),
    /// Vote on a proposal, or change a vote; the vote that is enough carries the change out.
    #[command(after_help = "Examples:\n  dolmen gov vote 7 yes --key soft:alpha --dir keys\n  \
        dolmen gov vote 7 no --devnet devnet --as organisation-1")]
    Vote(Box<VoteArgs>),
    /// Take back a proposal of one's own.
    #[command(after_help = "Example:\n  dolmen gov withdraw 7 --key soft:alpha --dir keys")]
    Withdraw(Box<WithdrawArgs>),
}

/// Arguments of `dolmen gov vote`.
#[derive(Args)]
struct VoteArgs {
    /// The proposal.
    id: u64,
    /// For it or against it.
    #[arg(value_enum)]
    vote: Vote,
    #[command(flatten)]
    wallet: WalletArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vote {
    /// For it.
    Yes,
    /// Against it.
    No,
}

/// Arguments of `dolmen gov withdraw`.
#[derive(Args)]
struct WithdrawArgs {
    /// The proposal.
    id: u64,
    #[command(flatten)]
    wallet: WalletArgs,
}

/// Runs a subcommand.
pub(crate) async fn gov(args: GovArgs) -> anyhow::Result<()> {
    let GovArgs { rpc, json, command } = args;
    let chain = Chain::new(&rpc)?;
    match command {
        GovCommand::Status => show::status(&chain, json).await,
        GovCommand::Organisations => show::organisations(&chain, json).await,
        GovCommand::Boxes { all } => show::boxes(&chain, all, json).await,
        GovCommand::Policies => show::policies(&chain, json).await,
        GovCommand::Permissions { address } => show::permissions(&chain, address, json).await,
        GovCommand::Proposals { count } => proposals::list_all(&chain, count, json).await,
        GovCommand::Show { id } => proposals::show(&chain, id, json).await,
        GovCommand::Epoch { number } => show::epoch(&chain, number, json).await,
        GovCommand::Request(args) => request::request(&chain, *args).await,
        GovCommand::Propose(args) => propose::propose(&chain, *args, json).await,
        GovCommand::Vote(args) => {
            let VoteArgs { id, vote, wallet } = *args;
            let call = contract::voteCall { id: U256::from(id), approve: vote == Vote::Yes };
            decide::decide(&chain, wallet, call.abi_encode().into(), json).await
        }
        GovCommand::Withdraw(args) => {
            let WithdrawArgs { id, wallet } = *args;
            let call = contract::withdrawCall { id: U256::from(id) };
            decide::decide(&chain, wallet, call.abi_encode().into(), json).await
        }
    }
}
