//! What a new box says of itself, in a file that its screen and its page read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy_primitives::hex;
use dolmen_provisioning_pledge::{Keeper, Pledge, Who};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The file's name in the box's directory.
pub(crate) const FILE: &str = "provisioning.json";

/// How far the box is, or how it stands once it has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Provisioning)]
pub(crate) struct Report {
    /// Its serial number.
    pub(crate) serial_number: String,
    /// The code of a phase of the first boot, or of what keeps the box.
    pub(crate) phase: String,
    /// What was refused last, if anything was.
    pub(crate) refusal: Option<Trouble>,
    /// What failed last, if anything did.
    pub(crate) failure: Option<Trouble>,
    /// Its certificate, once it has one.
    pub(crate) certificate: Option<CertificateReport>,
    /// When its registrar last found it to be as it was, in seconds since 1970; none since the start.
    pub(crate) attested: Option<u64>,
}

/// A box's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProvisionedCertificate)]
pub(crate) struct CertificateReport {
    /// Whose it is.
    pub(crate) subject: String,
    /// Who issued it.
    pub(crate) issuer: String,
    /// Of the box's key, hexadecimal.
    pub(crate) public_key: String,
    /// Its first second, since 1970.
    pub(crate) since: u64,
    /// Its last second, since 1970.
    pub(crate) until: u64,
    /// The code of how it stands: `good`, `due`, `30-days`, `7-days`, `1-day`, `expired` or `clock-behind`.
    pub(crate) standing: String,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

    /// Of a box at its first boot.
    pub(super) fn of_pledge(pledge: &Pledge) -> Self {
        Self {
            serial_number: pledge.identity().serial_number().to_string(),
            phase: pledge.phase().code().to_owned(),
            refusal: pledge.last_refusal().map(Trouble::of),
            failure: pledge.last_failure().map(Trouble::of),
            certificate: None,
            attested: None,
        }
    }

    /// Of a box that has joined.
    pub(super) fn of_keeper(keeper: &Keeper, now: u64) -> Self {
        let certificate = keeper.certificate();
        let (validity, public_key) = (certificate.validity(), certificate.public_key());
        let certificate = CertificateReport {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            // It was one when the certificate was read.
            public_key: public_key.map(|key| hex::encode(key.to_bytes())).unwrap_or_default(),
            since: validity.not_before().as_secs(),
            until: validity.not_after().as_secs(),
            standing: keeper.standing(now).code().to_owned(),
        };
        Self {
            serial_number: keeper.identity().serial_number().to_string(),
            phase: keeper.phase().code().to_owned(),
            refusal: keeper.last_refusal().map(Trouble::of),
            failure: keeper.last_failure().map(Trouble::of),
            certificate: Some(certificate),
            attested: keeper.attested(),
        }
    }

    fn standing(&self) -> Option<&str> {
        self.certificate.as_ref().map(|certificate| &*certificate.standing)
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

    pub(super) fn tell(&mut self, report: &Report) {
        if self.told.as_ref() == Some(report) {
            return;
        }
        let told = self.told.as_ref();
        let is_new =
            |trouble: &&Trouble, before: Option<&Option<Trouble>>| before.and_then(Option::as_ref) != Some(*trouble);
        let refusal = report.refusal.as_ref().filter(|now| is_new(now, told.map(|told| &told.refusal)));
        if let Some(Trouble { code, message, by, at }) = refusal {
            tracing::warn!(code, reason = message, by, at, "refused");
        }
        let failure = report.failure.as_ref().filter(|now| is_new(now, told.map(|told| &told.failure)));
        if let Some(Trouble { code, message, at, .. }) = failure {
            tracing::info!(code, reason = message, at, "failed; the box tries again");
        }
        if told.is_none_or(|told| told.phase != report.phase) {
            tracing::info!(phase = report.phase, serial_number = report.serial_number, "provisioning");
        }
        if told.and_then(Report::standing) != report.standing() {
            match report.standing() {
                None | Some("good" | "due") => {}
                Some("clock-behind") => tracing::warn!("the clock is behind the box's certificate; set it"),
                Some(left) => {
                    tracing::warn!(
                        left,
                        "the box's certificate is about to end and was not renewed; see what refuses it"
                    );
                }
            }
        }
        // The screen is not worth a stop.
        if let Err(error) = write(&self.path, report) {
            tracing::warn!(path = %self.path.display(), %error, "the screen is not told how far the box is");
        }
        self.told = Some(report.clone());
    }
}

fn write(path: &Path, report: &Report) -> std::io::Result<()> {
    let new = path.with_extension("json.new");
    fs::write(&new, serde_json::to_vec_pretty(report)?)?;
    fs::rename(&new, path)
}
