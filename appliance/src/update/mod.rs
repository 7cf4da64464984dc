//! `dolmen update`: the two slots of the image, and what is in them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use dolmen_archive::Progress;
use dolmen_image_boot::block::{BlockDevices, Slot};
use dolmen_image_bundle::ReleaseKey;
use dolmen_image_update::{EspFolder, Paths, Running, Status, Updater};
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use crate::archive::Meter;

mod bless;
mod floor;
mod report;

pub(crate) use report::Report;

/// The keys that sign bundles, in the image.
pub(crate) const RELEASE_KEYS: &str = "/usr/lib/dolmen/release.pem";
/// Where a box's node leaves what it took in.
pub(crate) const SPOOL: &str = "/data/update";
/// What the system says about its slots, for the page and the screen.
pub(crate) const REPORT: &str = "/run/dolmen/update.json";
/// A bundle that waits to be applied, in the spool directory.
pub(crate) const INCOMING: &str = "incoming.bundle";
/// Asks to go back to the other slot, in the spool directory.
pub(crate) const ROLL_BACK: &str = "rollback";

const ESP: &str = "/efi";
const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";

/// How long a server of bundles may take to answer, and be silent while it sends.
const SERVER_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Public keys in one file, at most.
const KEYS_BYTES_MAX: usize = 64 << 10;
/// Far above what an image has.
const BUNDLE_BYTES_MAX: u64 = 1 << 30;

/// Arguments of `dolmen update`.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dolmen update status --json\n  \
    dolmen update apply https://updates.example.org/dolmen-1.2.0.bundle --reboot\n  \
    dolmen update rollback --reboot\n\n\
    On a box of the image, as root. Who has no shell there uses the box's page, or its API with a token:\n  \
    curl --cacert tls.pem -H \"Authorization: Bearer $TOKEN\" -H \"Content-Type: application/octet-stream\" \\\n    \
    --data-binary @dolmen-1.2.0.bundle https://BOX/api/v1/update")]
pub(crate) struct UpdateArgs {
    #[command(subcommand)]
    command: UpdateCommand,
}

#[derive(Subcommand)]
enum UpdateCommand {
    /// Write a bundle into the slot that is not running; the next start is its.
    Apply {
        /// The bundle: a file, or an address to fetch it from.
        source: String,
        /// Start it at once.
        #[arg(long)]
        reboot: bool,
    },
    /// Show both slots.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Keep the running image, once its node is ready and blocks are being finalized.
    Bless {
        /// Seconds to wait for the node.
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        wait: u64,
        /// Where the node is not well by then and the image is on trial: start again, so that the one before comes back.
        #[arg(long)]
        reboot: bool,
        /// The directory of the box.
        #[arg(long, value_name = "DIRECTORY", default_value = "/data/dolmen")]
        dir: PathBuf,
    },
    /// Make the other slot the next one to start.
    Rollback {
        /// Start it at once.
        #[arg(long)]
        reboot: bool,
    },
    /// Do what the node was asked to over its web page.
    #[command(hide = true)]
    Spool {
        /// Start the new image at once.
        #[arg(long)]
        reboot: bool,
    },
}

/// Runs a subcommand; `false` where the running image is not well.
pub(crate) async fn update(args: UpdateArgs) -> anyhow::Result<bool> {
    match args.command {
        UpdateCommand::Apply { source, reboot } => {
            apply(&source).await?;
            restart_if(reboot)?;
        }
        UpdateCommand::Status { json } => show(&system(false)?.status()?, json)?,
        UpdateCommand::Bless { wait, reboot, dir } => {
            return bless::bless(&dir, Duration::from_secs(wait), reboot).await;
        }
        UpdateCommand::Rollback { reboot } => {
            roll_back()?;
            restart_if(reboot)?;
        }
        UpdateCommand::Spool { reboot } => spool(reboot)?,
    }
    Ok(true)
}

/// The disk that this system runs from.
fn system(write: bool) -> anyhow::Result<Updater<File, EspFolder>> {
    let running = Running::of_this_system().context("this is no box of the image")?;
    let slot = Slot::find(&BlockDevices::of_machine(), &running.root_hash, None);
    let slot = slot.context("no disk has the slot that is running: was it removed?")?;
    let paths = Paths { disk: slot.on.disk.path, esp: ESP.into(), efivars: EFI_VARIABLES.into() };
    Ok(if write { Updater::open(&paths, running) } else { Updater::open_to_look(&paths, running) }?)
}

async fn apply(source: &str) -> anyhow::Result<()> {
    if !["http://", "https://"].iter().any(|scheme| source.starts_with(scheme)) {
        return tokio::task::block_in_place(|| apply_file(Path::new(source)));
    }
    let path = Path::new(SPOOL).join("fetched.part");
    let fetched = download(source, &path).await.with_context(|| format!("cannot fetch {source}"));
    let applied = fetched.and_then(|()| tokio::task::block_in_place(|| apply_file(&path)));
    // The next one would overwrite it; until then it only takes room.
    let _ = fs::remove_file(&path);
    applied
}

async fn download(url: &str, path: &Path) -> anyhow::Result<()> {
    let mut pieces = fetch(url).await?.bytes_stream();
    let mut file = tokio::fs::File::create(path).await.with_context(|| format!("cannot create {}", path.display()))?;
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await.transpose()? {
        bytes += piece.len() as u64;
        ensure!(bytes <= BUNDLE_BYTES_MAX, "it has more than {BUNDLE_BYTES_MAX} bytes, which is no bundle");
        file.write_all(&piece).await.with_context(|| format!("cannot write {}", path.display()))?;
    }
    file.flush().await.with_context(|| format!("cannot write {}", path.display()))
}

fn apply_file(path: &Path) -> anyhow::Result<()> {
    let keys = release_keys(Path::new(RELEASE_KEYS))?;
    let mut bundle = File::open(path).with_context(|| format!("cannot open the bundle {}", path.display()))?;
    let mut updater = system(true)?;
    let mut meter = Meter::new();
    let version = updater.apply(&mut bundle, &keys, &mut floor::TpmFloor, &mut |done, total| {
        meter.show(Progress { step: "bytes", done, total })
    })?;
    drop(meter);
    anstream::println!("{version} is written; it starts with the next boot, and stays once its node is well");
    report::write(&mut updater, None);
    Ok(())
}

fn roll_back() -> anyhow::Result<()> {
    let mut updater = system(true)?;
    let version = updater.rollback(&mut floor::TpmFloor)?;
    anstream::println!("{version} starts with the next boot");
    report::write(&mut updater, None);
    Ok(())
}

/// What waits in the spool directory is done once, whatever comes of it.
fn spool(reboot: bool) -> anyhow::Result<()> {
    let (bundle, back) = (Path::new(SPOOL).join(INCOMING), Path::new(SPOOL).join(ROLL_BACK));
    let done = if bundle.exists() { apply_file(&bundle) } else { roll_back() };
    for path in [bundle, back] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    if let Err(error) = &done {
        report::write(&mut system(false)?, Some(format!("{error:#}")));
    }
    done?;
    restart_if(reboot)
}

fn show(status: &Status, json: bool) -> anyhow::Result<()> {
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(status)?);
        return Ok(());
    }
    for slot in &status.slots {
        let running = if slot.slot == status.running { ", running" } else { "" };
        let Some(entry) = &slot.entry else {
            anstream::println!("slot {}: empty{running}", slot.slot);
            continue;
        };
        let tries = match entry.tries {
            None => "kept".to_owned(),
            Some(tries) if tries.left == 0 => "tried and given up".to_owned(),
            Some(tries) => format!("on trial, {} tries left", tries.left),
        };
        anstream::println!(
            "slot {}: {} (security version {}), {tries}{running}",
            slot.slot,
            entry.version,
            entry.security_version
        );
    }
    if let Some(pinned) = &status.pinned {
        anstream::println!("the next start is that of {pinned}, after a roll-back");
    }
    Ok(())
}

fn restart_if(asked: bool) -> anyhow::Result<()> {
    if !asked {
        return Ok(());
    }
    let status = Command::new("systemctl").arg("reboot").status().context("cannot run systemctl to start again")?;
    ensure!(status.success(), "systemctl did not take the request to start again: {status}");
    Ok(())
}

/// The public keys in a file, PEM one after the other.
pub(crate) fn release_keys(path: &Path) -> anyhow::Result<Vec<ReleaseKey>> {
    const END: &str = "-----END PUBLIC KEY-----";
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the keys that sign bundles, {}", path.display()))?;
    ensure!(text.len() <= KEYS_BYTES_MAX, "{} is too long to be a file of public keys", path.display());
    let keys = text.split_inclusive(END).filter(|pem| pem.contains("BEGIN")).map(ReleaseKey::from_pem);
    let keys = keys.collect::<Result<Vec<_>, _>>().with_context(|| format!("a key in {} is none", path.display()))?;
    ensure!(!keys.is_empty(), "{} has no public key of Ed25519 in it", path.display());
    Ok(keys)
}

/// Asks a server for a bundle. What comes is believed for its signature, whoever sends it.
pub(crate) async fn fetch(url: &str) -> Result<reqwest::Response, reqwest::Error> {
    let client =
        reqwest::Client::builder().connect_timeout(SERVER_SILENCE_MAX).read_timeout(SERVER_SILENCE_MAX).build()?;
    client.get(url).send().await?.error_for_status()
}
