//! Whether the running image is kept: when its node is ready, and blocks are being finalized.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use super::{floor::TpmFloor, report, restart_if, system};
use crate::{config::BoxConfig, status};

/// Between two looks at the node.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Blocks that the node must have finalized since it was first ready.
const BLOCKS_MIN: u64 = 3;

/// Blesses the running image once its node is well; `false`, or a restart, where it is not in time.
pub(super) async fn bless(dir: &Path, wait: Duration, reboot: bool) -> anyhow::Result<bool> {
    report::write(&mut system(false)?, None);
    let end = Instant::now() + wait;
    let mut first = None;
    let mut reason = "the box has no settings yet".to_owned();
    while Instant::now() < end {
        match look(dir).await {
            Ok(height) => {
                if height >= *first.get_or_insert(height) + BLOCKS_MIN {
                    return keep();
                }
                reason = format!("no block was finalized after block {height}");
            }
            Err(error) => {
                first = None;
                reason = format!("{error:#}");
            }
        }
        sleep(LOOK_INTERVAL).await;
    }
    let mut updater = system(false)?;
    let status = updater.status()?;
    let on_trial = status
        .slots
        .iter()
        .any(|slot| slot.slot == status.running && slot.entry.as_ref().is_some_and(|entry| entry.tries.is_some()));
    report::write(&mut updater, Some(format!("{} is not kept: {reason}", status.version)));
    anstream::eprintln!("the node is not well after {} s: {reason}", wait.as_secs());
    restart_if(reboot && on_trial)?;
    Ok(false)
}

/// The node's height, if it is ready.
async fn look(dir: &Path) -> anyhow::Result<u64> {
    let config = BoxConfig::load(&dir.join(crate::boot::SETTINGS))?;
    let answer = status::ask_own(&config, dir).await.context("the node does not answer")?;
    anyhow::ensure!(answer.ready, "{}", answer.reason);
    answer.status["height"].as_u64().context("the node's answer has no height")
}

fn keep() -> anyhow::Result<bool> {
    let mut updater = system(true)?;
    let blessed = updater.bless(&mut TpmFloor)?;
    match blessed.entry {
        Some(entry) => anstream::println!("{} is kept", entry.version),
        None => anstream::println!("the running image was kept before"),
    }
    if let Some(floor) = blessed.floor {
        anstream::println!("security versions below {floor} open this box's data no more");
    }
    report::write(&mut updater, None);
    Ok(true)
}
