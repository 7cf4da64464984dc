//! Predicting registers of a box's TPM from the files that it boots.
//!
//! | register | holds | by |
//! |---|---|---|
//! | 4 | what firmware ran: [`boot_path`] | the firmware |
//! | 7 | by whose authority: [`SecureBoot`] | the firmware |
//! | 11 | what is in the UKI, and how far the boot is: [`uki`] and [`phases`] | systemd-stub, then the running system |
//!
//! What each prediction rests on:
//!
//! - **4 and 7** on the TCG's "PC Client Platform Firmware Profile" (1.05) §3.3.4, which says what is measured and in
//!   which order, and on how EDK II does it, which nearly all firmware is made from. They hold for firmware that boots
//!   at the first attempt and measures what it must and no more. Other firmware measures more into 4 (its own setup
//!   program, or an attempt that failed) and into 7 (`dbt`, that it can be debugged, or that memory is open to devices
//!   while it boots). So compare a prediction with a box of the same model once, by [`difference`], before anything is
//!   bound to it.
//! - **11** on systemd-stub(7) and systemd-measure(1) alone, whatever the firmware: nothing else extends this
//!   register. It begins at zero; what is extended, in which order, depends on the stub's version as the table in
//!   `pcr11.rs` says.
//!
//! All values are of the SHA-256 bank.

mod error;
mod guid;
mod pcr11;
mod pcr4;
mod pcr7;
mod policy;

use std::fmt;

use dolmen_hsm_evidence::{Event, EventLog, HashAlgorithm, Pcrs};
use sha2::{Digest as _, Sha256};

pub use error::MeasureError;
pub use guid::Guid;
pub use pcr4::{boot_path, kernel_is_measured};
pub use pcr7::{SecureBoot, certificate_list};
pub use pcr11::{Phase, phases, uki};
pub use policy::{PcrSignatures, policy_digest};

use crate::pe::Digest;

/// Events that extend nothing.
const EV_NO_ACTION: u32 = 3;

/// Something that is going to be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The register.
    pub pcr: u32,
    /// How a log calls it.
    pub kind: EventKind,
    /// What the register is extended with.
    pub digest: Digest,
    /// What it is, for people.
    pub what: String,
}

/// How the firmware's log calls a measurement ("PC Client Platform Firmware Profile" §10.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// `EV_SEPARATOR`: what follows is measured by what was loaded, not by the firmware itself.
    Separator,
    /// `EV_IPL`: systemd-stub's.
    Ipl,
    /// `EV_EFI_VARIABLE_DRIVER_CONFIG`: a variable's content.
    VariableDriverConfig,
    /// `EV_EFI_BOOT_SERVICES_APPLICATION`: an image that was loaded.
    BootServicesApplication,
    /// `EV_EFI_ACTION`: a text about what the firmware does.
    Action,
    /// `EV_EFI_VARIABLE_AUTHORITY`: a certificate by which an image was loaded.
    VariableAuthority,
    /// A phase of the boot. It is in systemd's own log.
    Phase,
}

impl EventKind {
    /// The number in the firmware's log; none if it is not there.
    pub const fn id(self) -> Option<u32> {
        match self {
            Self::Separator => Some(0x0000_0004),
            Self::Ipl => Some(0x0000_000d),
            Self::VariableDriverConfig => Some(0x8000_0001),
            Self::BootServicesApplication => Some(0x8000_0003),
            Self::Action => Some(0x8000_0007),
            Self::VariableAuthority => Some(0x8000_00e0),
            Self::Phase => None,
        }
    }
}

impl Measurement {
    /// Something whose digest is that of its bytes.
    fn of(pcr: u32, kind: EventKind, bytes: &[u8], what: impl Into<String>) -> Self {
        Self { pcr, kind, digest: Sha256::digest(bytes).into(), what: what.into() }
    }

    /// The line between the firmware's own measurements and those of what it loads (§3.3.4.1).
    fn separator(pcr: u32) -> Self {
        Self::of(pcr, EventKind::Separator, &[0; 4], "separator")
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PCR {} {} {}", self.pcr, const_hex::encode(self.digest), self.what)
    }
}

/// What registers hold after these measurements. Registers that none of them extends have no value.
#[must_use]
pub fn replay(measurements: &[Measurement]) -> Pcrs {
    let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).expect("SHA-256 has 32 bytes");
    for measurement in measurements {
        pcrs.extend(measurement.pcr, &measurement.digest).expect("only registers that a TPM has are predicted");
    }
    pcrs
}

/// Where a box's log leaves what was predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What was predicted; none if nothing more.
    pub predicted: Option<Measurement>,
    /// What the log has; none if nothing more.
    pub logged: Option<Event>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.predicted {
            Some(predicted) => write!(f, "predicted is {predicted}")?,
            None => write!(f, "nothing more is predicted")?,
        }
        let Some(logged) = &self.logged else { return write!(f, ", and the log ends") };
        let digest = logged.digest(HashAlgorithm::Sha256).map_or("no digest".to_owned(), const_hex::encode);
        write!(f, ", and the log has {digest} in an event of kind {:#010x}", logged.kind)
    }
}

/// The first of a register's measurements that a box's log has otherwise, for the person who looks for the reason why
/// its value is another. What the running system measures is in no firmware's log and not compared.
#[must_use]
pub fn difference(predicted: &[Measurement], log: &EventLog, pcr: u32) -> Option<Difference> {
    let mut predicted =
        predicted.iter().filter(|measurement| measurement.pcr == pcr && measurement.kind.id().is_some());
    let mut logged = log.events().iter().filter(|event| event.pcr == pcr && event.kind != EV_NO_ACTION);
    loop {
        let (expected, found) = (predicted.next(), logged.next());
        let same = match (expected, found) {
            (None, None) => return None,
            (Some(expected), Some(found)) => found.digest(HashAlgorithm::Sha256) == Some(&expected.digest),
            _ => false,
        };
        if !same {
            return Some(Difference { predicted: expected.cloned(), logged: found.cloned() });
        }
    }
}
