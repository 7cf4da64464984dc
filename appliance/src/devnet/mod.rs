//! `dolmen devnet`: several boxes of one chain as child processes in the foreground.

use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use dolmen_types::genesis::{EPOCH_BLOCKS, Governance};
use tokio::signal::unix::{SignalKind, signal};

mod devices;
mod layout;
mod process;
mod site;
mod watch;
mod zero_touch;

use layout::{Layout, Place};
use process::Processes;

use crate::{backends::Backend, config::PeerConfig};

/// Arguments of `dolmen devnet`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:\n  dolmen devnet\n  dolmen devnet --boxes 7 --dir /tmp/seven --base-port 20000\n  \
    dolmen devnet --zero-touch\n  dolmen devnet add-box\n\n\
    Stop with Ctrl-C. A second run on the same directory resumes the chain.")]
pub(crate) struct DevnetArgs {
    /// How many boxes.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    boxes: u16,
    /// Genesis, keys, databases, logs and devnet.json go here.
    #[arg(long, default_value = "devnet", value_name = "DIR")]
    dir: PathBuf,
    /// The first port; each box takes three of the next ten. 0 takes free ports.
    #[arg(long, default_value_t = 8545, value_name = "PORT")]
    base_port: u16,
    /// EIP-155 chain id of a new chain.
    #[arg(long, default_value_t = 1337)]
    chain_id: u64,
    /// Funded development accounts of a new chain.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    accounts: u16,
    /// Blocks of an epoch of a new chain: validators and parameters change at its end. 600 if not given, or 20 with
    /// --zero-touch, where boxes wait for it.
    #[arg(long, value_name = "BLOCKS")]
    epoch_blocks: Option<u64>,
    /// Seconds after which a validator of a new chain that proposes nothing is replaced by a box that stands by; 0 for
    /// never.
    #[arg(long, default_value_t = Governance::default().silent_after_s, value_name = "SECONDS")]
    silent_after_s: u64,
    /// What checks signatures, as for `dolmen run`.
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    accel: Backend,
    /// Give each box a TPM of software (swtpm), which seals its key and stamps its log of votes.
    #[arg(long)]
    swtpm: bool,
    /// Give each box a PKCS#11 token of software (SoftHSM) with the keys of its web page, which then signs its
    /// answers.
    #[arg(long)]
    softhsm: bool,
    /// Another box that all of these list as a peer, PUBLIC_KEY@ADDRESS; once for each. It is started by hand.
    #[arg(long = "peer", value_name = "KEY@ADDRESS", value_parser = parse_peer)]
    peers: Vec<PeerConfig>,
    /// Only write the files, then exit; start each box with `dolmen run`.
    #[arg(long, conflicts_with = "swtpm")]
    prepare: bool,
    /// Found the chain with one box, and plug the --boxes in fresh from the factory: with a maker, two organisations,
    /// their registrars, and a TPM of software each. They join by themselves.
    #[arg(long, conflicts_with_all = ["swtpm", "softhsm", "peers", "prepare"])]
    zero_touch: bool,
    /// With --zero-touch: a network namespace for each box and registrar, so that boxes find registrars as on a network.
    /// Needs root and iproute2.
    #[arg(long, requires = "zero_touch")]
    namespaces: bool,
    #[command(subcommand)]
    command: Option<DevnetCommand>,
}

#[derive(Subcommand)]
enum DevnetCommand {
    /// Plug one more box, fresh from the factory, into a devnet that began with --zero-touch and runs; it runs until
    /// Ctrl-C.
    AddBox(zero_touch::AddBoxArgs),
}

impl DevnetArgs {
    fn epoch_blocks(&self) -> u64 {
        let short = *EPOCH_BLOCKS.start();
        self.epoch_blocks.unwrap_or_else(|| if self.zero_touch { short } else { Governance::default().epoch_blocks })
    }
}

fn parse_peer(text: &str) -> anyhow::Result<PeerConfig> {
    let (public_key, address) = text.split_once('@').context("expected PUBLIC_KEY@ADDRESS")?;
    let public_key = public_key.parse().context("the public key is not 64 hexadecimal digits")?;
    let address = address.parse().context("the address is not an IP address with a port, like 10.0.0.11:30303")?;
    Ok(PeerConfig { public_key, address })
}

/// Longest wait for all boxes to finalize a first block.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// Runs the boxes until a signal to stop.
pub(crate) async fn devnet(args: DevnetArgs) -> anyhow::Result<()> {
    match args.command {
        Some(DevnetCommand::AddBox(args)) => return zero_touch::add_box(args).await,
        None if args.zero_touch => return zero_touch::devnet(&args).await,
        None => {}
    }
    let layout = Layout::open_or_create(&args, &site::local(args.base_port, args.boxes)?, None)?;
    let places = layout.places();
    if args.prepare {
        layout.write_summary(&places, &[])?;
        anstream::println!("prepared {} boxes in {}", layout.boxes.len(), layout.dir.display());
        return Ok(());
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut boxes = Processes::of(&layout, args.accel)?;
    layout.write_summary(&places, &boxes.pids(&places))?;
    let outcome = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        result = watch(&layout, &places, &mut boxes) => result,
    };
    if std::io::stderr().is_terminal() {
        anstream::eprintln!("\nstopping");
    }
    boxes.stop().await;
    outcome
}

/// Waits until all boxes finalize, says so, then keeps a status line up to date.
async fn watch(layout: &Layout, places: &[Place], boxes: &mut Processes) -> anyhow::Result<()> {
    finalizing(layout, places, boxes).await?;
    say_ready(layout, places)?;
    say_pages(places);
    show(layout, places, boxes).await
}

/// Waits until all boxes finalize.
async fn finalizing(layout: &Layout, places: &[Place], boxes: &mut Processes) -> anyhow::Result<()> {
    let watcher = watch::Watcher::new(places);
    let ready = tokio::time::timeout(READY_WITHIN, async {
        loop {
            let finalizing = watcher.poll().await.finalizing;
            // After asking: boxes of another devnet on the same ports may have answered for ours, which then died.
            let dead = boxes.dead();
            ensure!(dead.is_empty(), "{} stopped; see its log in {}", dead.join(", "), layout.dir.display());
            if finalizing == places.len() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    ready.await.with_context(|| {
        format!("not every box finalized a block within {READY_WITHIN:?}; see the logs in {}", layout.dir.display())
    })?
}

/// The line that programs wait for.
fn say_ready(layout: &Layout, places: &[Place]) -> anyhow::Result<()> {
    anstream::println!(
        "READY chain={} boxes={} rpc={} ui={} dir={}",
        layout.chain_id,
        places.len(),
        places[0].rpc_url(),
        places[0].ui_url(),
        layout.dir.display()
    );
    std::io::stdout().flush().context("cannot write to standard output")
}

/// Where the pages are, for people: a terminal is the screen of these boxes.
fn say_pages(places: &[Place]) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    for place in places {
        let code = std::fs::read_to_string(place.claim_code()).unwrap_or_default();
        anstream::eprintln!("{}  {}  claim code {}", place.name, place.ui_url(), code.trim_end());
    }
}

/// Keeps a status line up to date.
async fn show(layout: &Layout, places: &[Place], boxes: &mut Processes) -> anyhow::Result<()> {
    let watcher = watch::Watcher::new(places);
    let live = std::io::stderr().is_terminal();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for name in boxes.newly_dead() {
            anstream::eprintln!(
                "\n{name} stopped; restart it with `dolmen run --config {}`",
                layout.config_of(&name).display()
            );
        }
        let line = watcher.poll().await;
        if live {
            anstream::eprint!("\r\x1b[2K{line}");
        }
    }
}
