//! Virtual machines that boot the image as a box does, and break it as the world does.
//!
//! A [`Machine`] is a computer that is switched off: memory, a [`Firmware`] with or without our keys, a [`Tpm`], and
//! [`Drive`]s with a [`Disk`] each. Whatever is done to a box with a screwdriver is done to it then: flip a bit of a
//! disk, put in another TPM, enrol other keys. [`Machine::start`] switches it on and borrows it: nobody changes a disk
//! while it runs. A [`Running`] machine has a serial console to [wait](Running::wait_for) on and to type into, a stick
//! that can be [pulled](Running::unplug), ports of its network, a screen, and a plug to pull.
//!
//! ```no_run
//! # use dolmen_image_vmtest::{Attachment, Disk, Drive, Firmware, Keys, Machine, Pattern, Tpm, VmError};
//! # fn main() -> Result<(), VmError> {
//! let mut machine = Machine::new("box", Firmware::trusting(&Keys::test()?)?)?
//!     .tpm(Tpm::new()?)
//!     .drive(Drive::new("box", Disk::copy_of("out/image/dolmen.img")?, Attachment::Virtio));
//! let mut running = machine.start()?;
//! running.wait_for("dolmen: data created")?;
//! running.wait_for("dolmen: data ready")?;
//! running.cut_power();
//! machine.disk("box")?.flip("slot-a", 4096)?;
//! let mut running = machine.start()?;
//! running.wait_for(Pattern::regex("dolmen: data (unlocked|refused)")?)?;
//! # Ok(())
//! # }
//! ```
//!
//! What it stands on: QEMU (q35 with SMM), OVMF built for Secure Boot, and swtpm, each a child of this process that is
//! killed when its owner is dropped, and by the kernel when this process dies. Under TCG, QEMU's own translator, a
//! machine is some twenty times slower than the real one and its clock runs on nevertheless: tests wait for markers on
//! the console and never assert seconds. KVM is used where it boots OVMF ([`Accelerator::choose`]).
//!
//! What a machine leaves behind is kept where its test fails: see [`Machine::artefacts`].

mod accelerator;
mod artefacts;
mod command;
mod console;
mod disk;
mod error;
mod esp;
mod firmware;
mod limits;
mod machine;
mod network;
mod pattern;
mod process;
mod qmp;
mod running;
mod timings;
mod tpm;
mod window;

pub use accelerator::Accelerator;
pub use disk::Disk;
pub use error::{Scene, VmError};
pub use esp::Esp;
pub use firmware::{Certificate, Firmware, Keys, StoreError, Variable, VariableStore};
pub use limits::MARKER_WAIT_MAX;
pub use machine::{Attachment, Drive, Machine};
pub use network::Network;
pub use pattern::Pattern;
pub use running::{Found, Running};
pub use timings::{Timing, Timings};
pub use tpm::Tpm;
pub use window::Window;
