//! `dolmen boot`: what the image starts once the data partition is open. Boot goes one way: find what the box is, make
//! it a box of its own where it is none yet, run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    backends::Backend,
    run::{self, RunArgs},
};

mod claim;
mod found;

pub(crate) use found::SETTINGS;

/// Arguments of `dolmen boot`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen boot\n  dolmen boot --dir /tmp/box --keys soft --rpc 127.0.0.1:8545")]
pub(crate) struct BootArgs {
    /// Where the box keeps all that is its own.
    #[arg(long, value_name = "DIRECTORY", default_value = "/data/dolmen")]
    dir: PathBuf,
    #[command(flatten)]
    new: NewBox,
}

/// What a box gets that has no settings yet; nothing of it touches one that has.
#[derive(Args)]
struct NewBox {
    /// Where its keys live.
    #[arg(long, value_enum, default_value_t = Home::Tpm)]
    keys: Home,
    /// Where JSON-RPC listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8545")]
    rpc: std::net::SocketAddr,
    /// Where the web page listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:443")]
    page: std::net::SocketAddr,
    /// Where other boxes reach it.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:30303")]
    p2p: std::net::SocketAddr,
}

/// Where the keys of a new box live.
#[derive(Clone, Copy, ValueEnum)]
enum Home {
    /// The machine's TPM.
    Tpm,
    /// Encrypted files; for machines without a TPM that are no boxes of the image.
    Soft,
}

/// Runs the box of a directory; makes it first where it is none.
pub(crate) async fn boot(args: BootArgs) -> anyhow::Result<()> {
    let config = found::open_or_found(&args.dir, &args.new)?;
    claim::open_or_make(&args.dir)?;
    run::run(RunArgs { config, accel: Backend::Cpu, stop_on_stdin_eof: false }).await
}
