//! `dolmen devnet --zero-touch`: boxes that come fresh from the factory and join a chain by themselves.
//!
//! Maker, organisations and registrars are those of the commands that people use; the boxes run what the image runs. Only
//! their TPMs are programs, and what firmware would have measured is made up.

use std::{io::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::{
    factory::Factory,
    join::{Joining, watch},
    organisation::{NAMES, Organisation},
};
use super::{
    DevnetArgs,
    devices::Swtpm,
    finalizing,
    layout::{Layout, Place, ports},
    process::{self, Processes},
    say_ready, show,
};

mod factory;
mod join;
mod organisation;

/// Boxes of one devnet.
const BOXES_MAX: u16 = 64;

/// Arguments of `dolmen devnet add-box`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen devnet add-box\n  dolmen devnet add-box --dir devnet --organisation beta")]
pub(super) struct AddBoxArgs {
    /// The directory of the devnet.
    #[arg(long, default_value = "devnet", value_name = "DIR")]
    dir: PathBuf,
    /// Which organisation bought the box.
    #[arg(long, value_enum, default_value_t = Owner::Alpha)]
    organisation: Owner,
}

/// The organisations of the devnet.
#[derive(Clone, Copy, ValueEnum)]
enum Owner {
    Alpha,
    Beta,
}

/// The part of a policy that is read here.
#[derive(Deserialize)]
struct DecidedBy {
    kind: String,
    own: bool,
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt()).context("cannot handle SIGINT")? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A box that is plugged in: it has a TPM as long as this is there.
struct PluggedIn {
    joining: Joining,
    tpm: Swtpm,
}

/// Runs all until a signal to stop.
pub(super) async fn devnet(args: &DevnetArgs) -> anyhow::Result<()> {
    let mut signals = StopSignals::new()?;
    let (mut processes, mut boxes) = (Processes::new()?, Vec::new());
    let outcome = tokio::select! {
        () = signals.received() => Ok(()),
        outcome = run(args, &mut processes, &mut boxes) => outcome,
    };
    processes.stop().await;
    outcome
}

async fn run(args: &DevnetArgs, processes: &mut Processes, boxes: &mut Vec<PluggedIn>) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
    let dir = std::fs::canonicalize(&args.dir).with_context(|| format!("cannot open {}", args.dir.display()))?;
    ensure!(
        args.base_port != 0 || !dir.join("genesis.json").exists(),
        "{} holds a chain whose boxes know each other's ports; say the --base-port that it began with",
        dir.display()
    );
    let all = ports(args.base_port, args.boxes + 3)?;
    let (founder, registrars, new) = (&all[..1], &all[1..3], &all[3..]);
    let factory = Factory::open(&dir).await?;
    say("a maker of boxes, with an image that they run");
    let mut organisations = Vec::new();
    for ((name, number), ports) in NAMES.into_iter().zip(1..).zip(registrars) {
        organisations.push(Organisation::open(&dir, name, number, ports[0], founder[0][0]).await?);
        say(format!("organisation {name}, with a registrar on port {}", ports[0]));
    }
    let chain = organisations.iter().map(Organisation::of_genesis).collect::<anyhow::Result<_>>()?;
    let layout = Layout::open_or_create(args, founder, Some(chain))?;
    let mut places = layout.places();
    *processes = Processes::of(&layout, args.accel)?;
    finalizing(&layout, &places, processes).await?;
    say(format!("chain {}, with one box that founded it", layout.chain_id));
    decide(&organisations, &places[0].rpc_url()).await?;

    let hints: Vec<u16> = registrars.iter().map(|ports| ports[0]).collect();
    for (index, ports) in new.iter().enumerate() {
        let (index, owner) = (u16::try_from(index)? + 1, &organisations[index % organisations.len()]);
        let place = Place::new(&layout.dir, index, ports, true)?;
        let made = factory.make(&place, index, ports, &hints, owner).await?;
        places.push(place);
        boxes.push(made);
    }
    say(format!("{} boxes made, certified and sold", boxes.len()));
    for organisation in &organisations {
        let mine = boxes.iter().map(|one| &one.joining).filter(|one| one.organisation == organisation.name);
        organisation.serve(&factory, mine.map(|one| &*one.serial_number), processes).await?;
    }
    for one in &*boxes {
        one.start(processes)?;
    }
    say("all are plugged in");
    layout.write_summary(&places, &processes.pids(&places))?;
    let joining = boxes.iter_mut().map(|one| &mut one.joining).collect();
    watch(joining, &layout.dir, processes).await?;
    say_ready(&layout, &places)?;
    show(&layout, &places, processes).await
}

/// Plugs one more box in, and runs it until a signal to stop.
pub(super) async fn add_box(args: AddBoxArgs) -> anyhow::Result<()> {
    let mut signals = StopSignals::new()?;
    let (mut processes, mut boxes) = (Processes::new()?, Vec::new());
    let outcome = tokio::select! {
        () = signals.received() => Ok(()),
        outcome = add(args, &mut processes, &mut boxes) => outcome,
    };
    processes.stop().await;
    outcome
}

async fn add(args: AddBoxArgs, processes: &mut Processes, boxes: &mut Vec<PluggedIn>) -> anyhow::Result<()> {
    let dir = std::fs::canonicalize(&args.dir).with_context(|| format!("cannot open {}", args.dir.display()))?;
    ensure!(
        dir.join("genesis.json").exists() && Factory::is_in(&dir),
        "{} holds no devnet of --zero-touch; start one first",
        dir.display()
    );
    let factory = Factory::open(&dir).await?;
    let name = NAMES[args.organisation as usize];
    let organisation = Organisation::known(&dir, name)?;
    let index = (1..BOXES_MAX).find(|index| !dir.join(format!("box-{index}")).exists());
    let index = index.context("the devnet has as many boxes as one can have")?;
    let all = ports(0, 1)?;
    let place = Place::new(&dir, index, &all[0], true)?;
    let hints = Organisation::registrars(&dir)?;
    let made = factory.make(&place, index, &all[0], &hints, &organisation).await?;
    say(format!("{} was made, certified and sold to {name}", made.joining.serial_number));
    organisation.expect(&made.joining.serial_number).await?;
    boxes.push(made);
    for one in &*boxes {
        one.start(processes)?;
    }
    say("it is plugged in");
    watch(boxes.iter_mut().map(|one| &mut one.joining).collect(), &dir, processes).await?;
    anstream::println!("READY box={} rpc={} ui={}", place.name, place.rpc_url(), place.ui_url());
    std::io::stdout().flush().context("cannot write to standard output")?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let dead = processes.newly_dead();
        ensure!(dead.is_empty(), "{} stopped; see its log in {}", dead.join(", "), place.directory.display());
    }
}

/// Has each organisation decide alone about its own boxes' votes: else people of the other would have to agree.
async fn decide(organisations: &[Organisation], rpc: &str) -> anyhow::Result<()> {
    let known: Vec<DecidedBy> =
        serde_json::from_str(&process::run(["gov", "policies", "--json", "--rpc", rpc]).await?)?;
    for kind in ["promote", "replace"] {
        if known.iter().any(|known| known.kind == kind && known.own) {
            continue;
        }
        let mut proposal: Option<String> = None;
        for organisation in organisations {
            let id = match &proposal {
                None => {
                    let propose = ["gov", "propose", "set-policy", kind, "--own", "true"];
                    organisation.sign(&propose, rpc).await?
                }
                Some(id) => organisation.sign(&["gov", "vote", id, "yes"], rpc).await?,
            };
            proposal = Some(id);
        }
    }
    Ok(())
}

impl PluggedIn {
    fn start(&self, processes: &mut Processes) -> anyhow::Result<()> {
        let Joining { place, .. } = &self.joining;
        processes.start(&place.name, &place.log(), |command| {
            command.args(["boot", "--stop-on-stdin-eof", "--keys", "tpm", "--tcti", &self.tpm.tcti(), "--dir"]);
            command.arg(&place.directory);
            for (option, address) in [("--rpc", place.rpc), ("--page", place.admin), ("--p2p", place.p2p)] {
                command.args([option, &address.to_string()]);
            }
        })
    }
}

fn say(what: impl std::fmt::Display) {
    anstream::println!("  {what}");
}
