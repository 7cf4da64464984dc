//! Register 4: what firmware ran on the way to the system.
//!
//! §3.3.4.5 of the profile: that it begins to boot, the line between it and what it loads, and then each image that it
//! loads, by its Authenticode digest: the boot loader, the UKI that this loads, and, with some stubs, the kernel in it.

use super::{EventKind, Measurement};
use crate::{pe::Image, uki::StubVersion};

const PCR: u32 = 4;
/// §10.4.4: the text without its zero byte.
const CALLING: &[u8] = b"Calling EFI Application from Boot Option";
/// The first version of systemd-stub that starts the kernel itself; those before have the firmware load it.
const STARTS_KERNEL: StubVersion = StubVersion(258);

/// What firmware measures when it boots this way at the first attempt: `images` are what it loads, in that order, as
/// they lie on the disk (signed). An image that it tries and does not load, and every one of its own programs that it
/// shows, add to it.
#[must_use]
pub fn boot_path(images: &[&Image<'_>]) -> Vec<Measurement> {
    let begin = Measurement::of(PCR, EventKind::Action, CALLING, "the firmware calls a boot option");
    let loaded = images.iter().enumerate().map(|(index, image)| Measurement {
        pcr: PCR,
        kind: EventKind::BootServicesApplication,
        digest: image.digest(),
        what: format!("image {index} of the boot path"),
    });
    [begin, Measurement::separator(PCR)].into_iter().chain(loaded).collect()
}

/// Whether the kernel in a UKI is an image of the boot path too, after the UKI.
///
/// A stub before 258 has the firmware load it, which measures it. Under Secure Boot that would also want a signature of
/// it, so the stub takes the place of the firmware's check, and with it of the measurement. Firmware without the
/// protocol by which it does so (`EFI_SECURITY2_ARCH_PROTOCOL`, as some servers lack) measures nevertheless.
#[must_use]
pub fn kernel_is_measured(stub: StubVersion, secure_boot: bool) -> bool {
    stub < STARTS_KERNEL && !secure_boot
}
