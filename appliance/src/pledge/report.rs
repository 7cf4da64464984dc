//! What a new box says of itself, in a file that its screen and its page read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dolmen_provisioning_pledge::{Pledge, Who};
use serde::{Deserialize, Serialize};

/// The file's name in the box's directory.
pub(crate) const FILE: &str = "provisioning.json";

/// How far the box is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Its serial number.
    pub(crate) serial_number: String,
    /// The phase's code.
    pub(crate) phase: String,
    /// What was refused last, if anything was.
    pub(crate) refusal: Option<Trouble>,
    /// What failed last, if anything did.
    pub(crate) failure: Option<Trouble>,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// Its code, which never changes.
    pub(crate) code: String,
    /// What it is.
    pub(crate) message: String,
    /// `pledge` or `registrar`: whose word it is.
    pub(crate) by: String,
    /// Which registrar had a part in it.
    pub(crate) at: Option<String>,
}

impl Trouble {
    fn of(report: &dolmen_provisioning_pledge::Report) -> Self {
        let by = match report.who() {
            Who::Pledge => "pledge",
            Who::Registrar => "registrar",
        };
        Self {
            code: report.code().to_owned(),
            message: report.message().to_owned(),
            by: by.to_owned(),
            at: report.at().map(ToString::to_string),
        }
    }
}

impl Report {
    /// What a box said last; none where it never was new.
    pub(crate) fn load(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok()
    }
}

/// Tells people how far the box is, once for each change.
pub(super) struct Reporter {
    path: PathBuf,
    told: Option<Report>,
}

impl Reporter {
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join(FILE), told: None }
    }

    pub(super) fn tell(&mut self, pledge: &Pledge) {
        let report = Report {
            serial_number: pledge.identity().serial_number().to_string(),
            phase: pledge.phase().code().to_owned(),
            refusal: pledge.last_refusal().map(Trouble::of),
            failure: pledge.last_failure().map(Trouble::of),
        };
        if self.told.as_ref() == Some(&report) {
            return;
        }
        let new = |trouble: fn(&Report) -> &Option<Trouble>| {
            let before = self.told.as_ref().and_then(|told| trouble(told).as_ref());
            trouble(&report).as_ref().filter(|now| Some(*now) != before)
        };
        if let Some(Trouble { code, message, by, at }) = new(|report| &report.refusal) {
            tracing::warn!(code, reason = message, by, at, "refused");
        }
        if let Some(Trouble { code, message, at, .. }) = new(|report| &report.failure) {
            tracing::info!(code, reason = message, at, "failed; the box tries again");
        }
        if self.told.as_ref().is_none_or(|told| told.phase != report.phase) {
            tracing::info!(phase = report.phase, serial_number = report.serial_number, "provisioning");
        }
        // The screen is not worth a stop.
        if let Err(error) = write(&self.path, &report) {
            tracing::warn!(path = %self.path.display(), %error, "the screen is not told how far the box is");
        }
        self.told = Some(report);
    }
}

fn write(path: &Path, report: &Report) -> std::io::Result<()> {
    let new = path.with_extension("json.new");
    fs::write(&new, serde_json::to_vec_pretty(report)?)?;
    fs::rename(&new, path)
}
