//! Register 11: what is in the UKI, and how far the boot is.
//!
//! systemd-stub extends it with each section that it knows, in an order of its own that the file's does not change:
//! first with the name and its zero byte, then with the content as it lies in memory. The running system extends it
//! with a word when a phase of the boot begins, so that what is bound to a phase cannot be had once it is over.

use sha2::{Digest as _, Sha256};

use super::{EventKind, MeasureError, Measurement};
use crate::{pe::Image, uki::StubVersion};

/// The register of the UKI's content.
pub(super) const PCR: u32 = 11;

/// Sections in the order in which they are measured, and the first version of systemd that does. What came later came
/// in between, so that versions agree on images without sections that one of them does not know. `.pcrsig` is missing:
/// it signs what comes out. From systemd's sources and its news: 254 brought `.uname` and `.sbat`, 256 `.ucode`. Seen in
/// a TPM: what 252 and 257 do.
const MEASURED: [(&str, u32); 10] = [
    (".linux", 252),
    (".osrel", 252),
    (".cmdline", 252),
    (".initrd", 252),
    (".ucode", 256),
    (".splash", 252),
    (".dtb", 252),
    (".uname", 254),
    (".sbat", 254),
    (".pcrpkey", 252),
];

/// Sections of which the stub chooses, by the boot menu and the machine.
const CHOSEN: [&str; 4] = [".profile", ".dtbauto", ".hwids", ".efifw"];

/// A phase of the boot, for which systemd extends the register with a word (systemd-pcrphase.service(8)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The initrd runs.
    EnterInitrd,
    /// The initrd is about to hand over.
    LeaveInitrd,
    /// Basic services are up.
    Sysinit,
    /// The system is up.
    Ready,
    /// It is about to go down.
    Shutdown,
    /// Everything but the basics is down.
    Final,
}

impl Phase {
    /// The phases up to a running system, of which [`PcrSignatures`](super::PcrSignatures) are usually made: each with
    /// those before it, as systemd-measure does where it is told nothing.
    pub const BOOT: [&'static [Self]; 4] = [
        &[Self::EnterInitrd],
        &[Self::EnterInitrd, Self::LeaveInitrd],
        &[Self::EnterInitrd, Self::LeaveInitrd, Self::Sysinit],
        &[Self::EnterInitrd, Self::LeaveInitrd, Self::Sysinit, Self::Ready],
    ];

    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::EnterInitrd => "enter-initrd",
            Self::LeaveInitrd => "leave-initrd",
            Self::Sysinit => "sysinit",
            Self::Ready => "ready",
            Self::Shutdown => "shutdown",
            Self::Final => "final",
        }
    }
}

/// What the stub of a UKI measures of it. Signing does not change it, nor does `.pcrsig`.
///
/// # Errors
///
/// [`MeasureError::Stub`] if the image does not begin with a known stub, [`MeasureError::NoKernel`] if it is no UKI,
/// [`MeasureError::Section`] and [`MeasureError::Duplicate`] if what is measured is not certain.
pub fn uki(image: &Image<'_>) -> Result<Vec<Measurement>, MeasureError> {
    let stub = StubVersion::of(image).map_err(MeasureError::Stub)?;
    let has = |name: &&str| image.section(name).is_some();
    if let Some(chosen) = CHOSEN.into_iter().find(has) {
        return Err(MeasureError::Section(chosen));
    }
    if !has(&".linux") {
        return Err(MeasureError::NoKernel);
    }
    let mut measurements = Vec::new();
    for (name, _) in MEASURED.into_iter().filter(|(_, since)| stub >= StubVersion(*since)) {
        let mut sections = image.sections().iter().filter(|section| section.is_named(name));
        let section = sections.next();
        if sections.next().is_some() {
            return Err(MeasureError::Duplicate(name));
        }
        // The stub takes an empty one for none.
        let Some(section) = section.filter(|section| section.memory_size() > 0) else { continue };
        let mut hasher = Sha256::new();
        hasher.update(image.data(section));
        update_zeros(&mut hasher, section.zeros());
        let digest = hasher.finalize().into();
        let name_bytes = [name.as_bytes(), b"\0"].concat();
        measurements.push(Measurement::of(PCR, EventKind::Ipl, &name_bytes, format!("name {name}")));
        measurements.push(Measurement { pcr: PCR, kind: EventKind::Ipl, digest, what: format!("content of {name}") });
    }
    Ok(measurements)
}

/// What the running system measures when it goes through these phases.
#[must_use]
pub fn phases(phases: &[Phase]) -> Vec<Measurement> {
    let measurement = |phase: &Phase| {
        let word = phase.word();
        Measurement::of(PCR, EventKind::Phase, word.as_bytes(), format!("phase {word}"))
    };
    phases.iter().map(measurement).collect()
}

/// Hashes zeros without having them all in memory.
fn update_zeros(hasher: &mut Sha256, mut count: usize) {
    let zeros = [0; 4096];
    while count > 0 {
        let part = count.min(zeros.len());
        hasher.update(&zeros[..part]);
        count -= part;
    }
}
