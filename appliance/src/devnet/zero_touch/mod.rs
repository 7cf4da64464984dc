//! `dolmen devnet --zero-touch`: boxes that come fresh from the factory and join a chain by themselves.
//!
//! Maker, organisations and registrars are those of the commands that people use; the boxes run what the image runs. Only
//! their TPMs are programs, and what firmware would have measured is made up.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use self::{
    factory::Factory,
    join::{Joining, watch},
    organisation::{NAMES, Organisation},
};
use super::{
    DevnetArgs,
    devices::Swtpm,
    finalizing,
    layout::{Layout, Members, Place},
    process::{self, Processes},
    say_ready, show,
    site::{self, Network},
};
use crate::run::StopSignals;

mod factory;
mod join;
mod organisation;

/// Boxes of one devnet.
const BOXES_MAX: u16 = 64;
/// Sites before those of boxes that join: the box that founded the chain, and the registrars.
const FIRST_BOX: u16 = 3;

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
    /// Leave it to an operator to approve the box, or to put it in the place of another.
    #[arg(long)]
    wait: bool,
    /// Tell it of no registrar: it joins by a stick, whose place is the folder `stick` in its directory.
    #[arg(long)]
    air_gapped: bool,
    /// Have it boot what no image is: its registrar refuses it.
    #[arg(long)]
    tampered: bool,
}

/// Until all boxes vote that need nobody: each waits for the end of an epoch, one after the other.
const VOTES_WITHIN: Duration = Duration::from_secs(600);

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

/// A box that is plugged in: it has a TPM as long as this is there.
struct PluggedIn {
    joining: Joining,
    tpm: Swtpm,
}

/// What runs; it ends with this.
struct Stage {
    processes: Processes,
    boxes: Vec<PluggedIn>,
    /// Last: the others are in it.
    network: Option<Network>,
}

impl Stage {
    /// Sets it, runs what is on it until a signal to stop, and clears it.
    async fn during(play: impl AsyncFnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut signals = StopSignals::new()?;
        let mut stage = Self { processes: Processes::new()?, boxes: Vec::new(), network: None };
        let outcome = tokio::select! {
            () = signals.received() => Ok(()),
            outcome = play(&mut stage) => outcome,
        };
        stage.processes.stop().await;
        outcome
    }

    /// Plugs in all boxes, and shows how they join; fails where they do not vote `within` some time.
    async fn plug_in(&mut self, dir: &Path, within: Option<Duration>) -> anyhow::Result<()> {
        for one in &self.boxes {
            one.start(&mut self.processes)?;
        }
        let boxes = self.boxes.iter_mut().map(|one| &mut one.joining).collect();
        watch(boxes, dir, within, &mut self.processes).await
    }
}

/// Runs all until a signal to stop.
pub(super) async fn devnet(args: &DevnetArgs) -> anyhow::Result<()> {
    Stage::during(async |stage| run(args, stage).await).await
}

async fn run(args: &DevnetArgs, stage: &mut Stage) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot create {}", args.dir.display()))?;
    let dir = std::fs::canonicalize(&args.dir).with_context(|| format!("cannot open {}", args.dir.display()))?;
    ensure!(
        args.namespaces || args.base_port != 0 || !dir.join("genesis.json").exists(),
        "{} holds a chain whose boxes know each other's ports; say the --base-port that it began with",
        dir.display()
    );
    let all = if args.namespaces {
        stage.network.insert(Network::make(&dir)?).sites(0..args.boxes + FIRST_BOX)?
    } else {
        site::local(args.base_port, args.boxes + FIRST_BOX)?
    };
    let (before, new) = all.split_at(usize::from(FIRST_BOX));
    let (founder, registrars) = before.split_at(1);
    let factory = Factory::open(&dir).await?;
    say("a maker of boxes, with an image that they run");
    let mut organisations = Vec::new();
    for ((name, number), site) in NAMES.into_iter().zip(1..).zip(registrars) {
        organisations.push(Organisation::open(&dir, name, number, site, founder[0].rpc()).await?);
        say(format!("organisation {name}, with a registrar at {}", site.rpc()));
    }
    let of_genesis = organisations.iter().map(Organisation::of_genesis).collect::<anyhow::Result<_>>()?;
    // The box that founds the chain is of the first one.
    let members = Members { organisations: of_genesis, registrar: organisations[0].registrar() };
    let layout = Layout::open_or_create(args, founder, Some(members))?;
    let mut places = layout.places();
    stage.processes = Processes::of(&layout, args.accel)?;
    finalizing(&layout, &places, &mut stage.processes).await?;
    say(format!("chain {}, with one box that founded it", layout.chain_id));
    decide(&organisations, &places[0].rpc_url()).await?;

    let hints = Organisation::registrars(&dir)?;
    for (index, site) in (1..).zip(new) {
        let owner = &organisations[usize::from(index - 1) % organisations.len()];
        let place = Place::new(&layout.dir, index, site)?;
        stage.boxes.push(factory.make(&place, index, site, Some(&hints), owner).await?);
        places.push(place);
    }
    say(format!("{} boxes made, certified and sold", new.len()));
    for organisation in &organisations {
        let mine = stage.boxes.iter().map(|one| &one.joining).filter(|one| one.organisation == organisation.name);
        organisation.serve(&factory, mine.map(|one| &*one.serial_number), &mut stage.processes).await?;
    }
    say("all are plugged in");
    stage.plug_in(&layout.dir, Some(VOTES_WITHIN)).await?;
    layout.write_summary(&places, &stage.processes.pids(&places))?;
    say_ready(&layout, &places)?;
    show(&layout, &places, &mut stage.processes).await
}

/// Plugs one more box in, and runs it until a signal to stop.
pub(super) async fn add_box(args: AddBoxArgs) -> anyhow::Result<()> {
    Stage::during(async |stage| add(args, stage).await).await
}

async fn add(args: AddBoxArgs, stage: &mut Stage) -> anyhow::Result<()> {
    let dir = std::fs::canonicalize(&args.dir).with_context(|| format!("cannot open {}", args.dir.display()))?;
    ensure!(
        dir.join("genesis.json").exists() && Factory::is_in(&dir),
        "{} holds no devnet of --zero-touch; start one first",
        dir.display()
    );
    let mut factory = Factory::open(&dir).await?;
    if args.tampered {
        factory.tamper();
    }
    let name = NAMES[args.organisation as usize];
    let organisation = Organisation::known(&dir, name);
    let index = (1..BOXES_MAX).find(|index| !dir.join(format!("box-{index}")).exists());
    let index = index.context("the devnet has as many boxes as one can have")?;
    let network = Network::of(&dir);
    let number = index + FIRST_BOX - 1;
    let all =
        if network.is_there() { stage.network.insert(network).sites(number..number + 1)? } else { site::local(0, 1)? };
    let hints = if args.air_gapped { None } else { Some(Organisation::registrars(&dir)?) };
    let (site, hints) = (&all[0], hints.as_deref());
    let place = Place::new(&dir, index, site)?;
    let made = factory.make(&place, index, site, hints, &organisation).await?;
    let serial_number = made.joining.serial_number.clone();
    say(format!("{serial_number} was made, certified and sold to {name}"));
    organisation.expect(&serial_number, args.wait).await?;
    stage.boxes.push(made);
    say("it is plugged in");
    // People take as long as they take.
    let by_people = args.wait || args.air_gapped || args.tampered;
    stage.plug_in(&dir, (!by_people).then_some(VOTES_WITHIN)).await?;
    anstream::println!("READY box={} rpc={} ui={}", place.name, place.rpc_url(), place.ui_url());
    std::io::stdout().flush().context("cannot write to standard output")?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let dead = stage.processes.newly_dead();
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
        processes.start(&place.name, &place.log(), place.namespace.as_deref(), |command| {
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
