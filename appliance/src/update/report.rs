//! What the system says about its slots to those who may not look themselves: the node and its page.

use std::{fs, path::Path};

use dolmen_image_update::{Disk, Esp, Status, Updater};
use serde::{Deserialize, Serialize};

use super::REPORT;

/// What one says.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Slots)]
pub(crate) struct Report {
    /// Version that runs.
    pub(crate) running: String,
    /// Its tries that are left, where it is on trial.
    pub(crate) tries_left: Option<u32>,
    /// Version in the other slot, where it can be started.
    pub(crate) other: Option<String>,
    /// Its tries that are left, where it was never kept; none left where it was given up.
    pub(crate) other_tries_left: Option<u32>,
    /// Why the last update, or the last return to the other slot, was refused.
    pub(crate) refused: Option<String>,
}

impl Report {
    pub(crate) fn load(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn new(status: &Status, refused: Option<String>) -> Self {
        let entry = |running: bool| {
            status
                .slots
                .iter()
                .find(|slot| (slot.slot == status.running) == running)
                .and_then(|slot| slot.entry.as_ref())
        };
        let left = |running| entry(running).and_then(|entry| entry.tries).map(|tries| tries.left);
        Self {
            running: status.version.to_string(),
            tries_left: left(true),
            other: entry(false).map(|entry| entry.version.to_string()),
            other_tries_left: left(false),
            refused,
        }
    }
}

/// Writes it. Nobody's work depends on it: a failure is only said.
pub(super) fn write<D: Disk, E: Esp>(updater: &mut Updater<D, E>, refused: Option<String>) {
    let written = updater.status().map_err(anyhow::Error::new).and_then(|status| {
        let new = Path::new(REPORT).with_extension("new");
        fs::write(&new, serde_json::to_vec(&Report::new(&status, refused))?)?;
        Ok(fs::rename(&new, REPORT)?)
    });
    if let Err(error) = written {
        tracing::warn!(error = format!("{error:#}"), "the page and the screen are not told of the slots");
    }
}
