//! The machine that the box is: how full its disks are, and how hot it is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::statvfs::statvfs;
use sysinfo::Components;
use tokio::{sync::watch, time::MissedTickBehavior};

use crate::config::BoxConfig;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(20);

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// File systems that a full one of stops the box, by what the box has there.
    pub(super) disks: Vec<(&'static str, Space)>,
    /// None on machines that have none.
    pub(super) sensors: Vec<Sensor>,
}

/// Of a file system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// What the box may still write.
    pub(super) free: u64,
    pub(super) size: u64,
}

/// Of temperature.
#[derive(Clone, Debug)]
pub(super) struct Sensor {
    pub(super) name: String,
    pub(super) celsius: f32,
    /// Where the hardware is too hot, if it says so.
    pub(super) limit: Option<f32>,
}

/// What of the box is where.
pub(super) type Directories = [(&'static str, PathBuf); 2];

/// The directories without whose disks a box ends.
pub(super) fn directories(config: &BoxConfig) -> Directories {
    [("data", config.data_dir.clone()), ("keys", config.keys.devices.dir.clone())]
}

/// Looks now and then, for as long as somebody wants to know.
pub(super) async fn watch(directories: Directories, tell: watch::Sender<Machine>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let directories = directories.clone();
        // A disk or a sensor may be slow to answer.
        let Ok(found) = tokio::task::spawn_blocking(move || look(&directories)).await else { return };
        if tell.send(found).is_err() {
            return;
        }
    }
}

fn look(directories: &Directories) -> Machine {
    Machine { disks: spaces(directories), sensors: sensors() }
}

/// Those that can be read.
pub(super) fn spaces(directories: &Directories) -> Vec<(&'static str, Space)> {
    directories.iter().filter_map(|(of, directory)| Some((*of, Space::of(directory).ok()?))).collect()
}

/// What the sensors say now.
pub(super) fn sensors() -> Vec<Sensor> {
    let sensor = |one: &sysinfo::Component| {
        let celsius = one.temperature().filter(|celsius| celsius.is_finite())?;
        let limit = one.critical().filter(|limit| limit.is_finite() && *limit > 0.0);
        Some(Sensor { name: one.label().to_owned(), celsius, limit })
    };
    Components::new_with_refreshed_list().iter().filter_map(sensor).collect()
}

impl Space {
    pub(super) fn of(directory: &Path) -> nix::Result<Self> {
        let found = statvfs(directory)?;
        let unit = found.fragment_size();
        Ok(Self { free: found.blocks_available() * unit, size: found.blocks() * unit })
    }

    /// Of 1; of a file system that does not say its size, all.
    pub(super) fn free_part(self) -> f64 {
        if self.size == 0 { 1.0 } else { self.free as f64 / self.size as f64 }
    }
}
