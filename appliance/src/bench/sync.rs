//! `dolmen bench sync`: boxes that join a chain of many accounts while transfers flow, one after the other: with the state
//! of a late block, with such a state and kills on the way, and by executing all blocks.
//!
//! | file | does |
//! |---|---|
//! | `fill.rs` | makes the accounts |
//! | `join.rs` | one join, measured |
//! | `report.rs` | the figures |

mod fill;
mod join;
mod report;

use std::{path::Path, sync::Arc};

use self::{
    fill::Fill,
    join::{Kills, Site},
    report::Report,
};
use super::{
    SyncArgs, Workload,
    devnet::{Description, Devnet, Place},
    follower::{Follower, Ports},
    load::{Flight, LANES_PER_BOX, Pace, keep_up},
    machine::Machine,
    report::{Progress, write_json},
    watch::Watcher,
    workload::Setup,
};
use crate::config::SyncFrom;

/// Accounts that send the transfers.
const SENDERS: usize = 100;

/// Measures three joins, prints the result and writes it where `args` says. Fails where a box does not join.
pub(super) async fn sync(args: SyncArgs) -> anyhow::Result<()> {
    let progress = Progress::new();
    let machine = Machine::read();
    let place = Place::of(&args.devnet);
    place.ensure_new()?;
    let followers = followers(&args, &place.dir)?;
    let peers = followers.each_ref().map(|follower| follower.peer.clone());
    progress.say(format!("starting {} boxes", args.devnet.boxes));
    let devnet = Devnet::start(&args.devnet, place, &peers).await?;
    let machine = machine.writing_to(&devnet.dir);
    let description = devnet.description.clone();
    let report = devnet.during(&progress, run(&args, &description, &followers, machine, &progress)).await?;
    drop(progress);
    report.print();
    if let Some(path) = &args.json {
        write_json(&report, path)?;
    }
    Ok(())
}

/// The boxes that will join, in the order of [`Report::new`].
fn followers(args: &SyncArgs, place: &Path) -> anyhow::Result<[Follower; 3]> {
    let mut ports = Ports::after(&args.devnet)?;
    let mut create = |name, from| Follower::create(place, (name, from), &mut ports, args.devnet.accel);
    Ok([
        create("snapshot", SyncFrom::Snapshot)?,
        create("interrupted", SyncFrom::Snapshot)?,
        create("replay", SyncFrom::Blocks)?,
    ])
}

/// Makes the accounts, then has boxes join under load.
async fn run(
    args: &SyncArgs,
    description: &Description,
    followers: &[Follower; 3],
    machine: Machine,
    progress: &Progress,
) -> anyhow::Result<Report> {
    let boxes = description.clients()?;
    let fill = Fill::run(&boxes[0], &description.accounts, args.accounts, progress).await?;
    let lanes = (boxes.len() * LANES_PER_BOX).min(SENDERS);
    let workload = (Workload::Transfer, SENDERS, lanes);
    let setup = Arc::new(Setup::run(&boxes[0], &description.accounts, workload, progress).await?);
    let flight = Flight::new(lanes, Pace::Rate(f64::from(args.rate)));
    let watcher = Watcher::open(&description.boxes, boxes[0].clone(), flight.clone()).await?;
    let site = Site::new(description, &boxes, &fill, progress)?;
    let (quiet, joins) = tokio::select! {
        result = joins(args, &site, followers) => result?,
        result = keep_up(&setup, &boxes, &flight, args.rate) => match result? {},
        result = watcher.follow() => match result? {},
    };
    Ok(Report::new(args, &fill, quiet, joins, machine))
}

/// Measures the chain alone and then each join. The one that is killed comes second: how long a state takes to fetch says
/// when to kill.
async fn joins(
    args: &SyncArgs,
    site: &Site<'_>,
    [snapshot, interrupted, replay]: &[Follower; 3],
) -> anyhow::Result<(f64, [report::Join; 3])> {
    site.wait_for_state(args.devnet.epoch_blocks).await?;
    let quiet = site.quiet().await?;
    let (snapshot, fetch) = site.join(snapshot, Kills::NONE).await?;
    let kills = Kills { count: args.interruptions, after: fetch / (args.interruptions + 1) };
    let (interrupted, _) = site.join(interrupted, kills).await?;
    let (replay, _) = site.join(replay, Kills::NONE).await?;
    Ok((quiet, [snapshot, interrupted, replay]))
}
