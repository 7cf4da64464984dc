//! What executes a machine's instructions.

use std::{
    env, fs,
    fs::OpenOptions,
    io::{self, Write as _},
    sync::OnceLock,
};

use crate::{Firmware, Machine, VmError, artefacts, limits::PROBE_WAIT_MAX};

/// What executes a machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself, by the kernel's KVM.
    Kvm,
    /// QEMU's translator: slow, and everywhere.
    Tcg,
}

/// What QEMU's KVM needs.
const DEVICE: &str = "/dev/kvm";

impl Accelerator {
    /// The one that `DOLMEN_VM_ACCELERATOR` names (`kvm`, `tcg`), else KVM where it boots our firmware, else TCG. Where
    /// KVM does not, standard error says why, once.
    ///
    /// That there is a `/dev/kvm` says little: OVMF with Secure Boot needs system management mode, which KVM on a
    /// virtual machine often lacks. So one is booted, once per boot of this machine: the answer is kept with the
    /// artefacts.
    ///
    /// # Errors
    ///
    /// [`VmError::Accelerator`] for another name, [`VmError::NoFirmware`].
    pub fn choose() -> Result<Self, VmError> {
        match env::var("DOLMEN_VM_ACCELERATOR").as_deref() {
            Ok("kvm") => return Ok(Self::Kvm),
            Ok("tcg") => return Ok(Self::Tcg),
            Ok(other) if !other.is_empty() => return Err(VmError::Accelerator(other.to_owned())),
            _ => {}
        }
        static CHOSEN: OnceLock<Accelerator> = OnceLock::new();
        if let Some(chosen) = CHOSEN.get() {
            return Ok(*chosen);
        }
        let missing = remembered_or(probe)?;
        Ok(*CHOSEN.get_or_init(|| match missing {
            None => Self::Kvm,
            Some(reason) => {
                // Whoever wonders why it takes long looks there.
                let _ = writeln!(io::stderr(), "virtual machines run under TCG, slowly: {reason}");
                Self::Tcg
            }
        }))
    }

    /// For QEMU's command line.
    pub(crate) const fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // A larger cache of translated code than the default: a boot goes through much code once. And all processors on
            // one thread: on several, one may meet a breakpoint of a Linux that patches itself after the patch is done,
            // and the guest panics (seen once in some hundred boots). A boot is one processor's work anyhow.
            Self::Tcg => ["-accel", "tcg,thread=single,tb-size=512", "-cpu", "max"],
        }
    }
}

/// What an earlier process found out since this machine was booted, else what `probe` finds out: why there is no KVM,
/// if there is none.
fn remembered_or(probe: impl FnOnce() -> Result<Option<String>, VmError>) -> Result<Option<String>, VmError> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let path = artefacts::root().join(format!("no-kvm-{}", boot.trim()));
    if let Ok(reason) = fs::read_to_string(&path) {
        return Ok(Some(reason).filter(|reason| !reason.is_empty()));
    }
    let found = probe()?;
    // If it cannot be kept, the next process finds out again.
    let _ = fs::create_dir_all(artefacts::root());
    let _ = fs::write(path, found.as_deref().unwrap_or_default());
    Ok(found)
}

/// Boots the firmware under KVM until it has looked for something to start. Why it does not, if it does not.
fn probe() -> Result<Option<String>, VmError> {
    if let Err(error) = OpenOptions::new().read(true).write(true).open(DEVICE) {
        return Ok(Some(format!("{DEVICE}: {error}")));
    }
    let mut machine = Machine::new("kvm-probe", Firmware::without_keys()?)?.accelerator(Accelerator::Kvm);
    let booted = machine.start().and_then(|mut running| running.wait_for_within("BdsDxe", PROBE_WAIT_MAX));
    let Err(error) = booted else { return Ok(None) };
    machine.discard_artefacts();
    let text = error.to_string();
    let of_qemu = text.lines().find_map(|line| line.strip_prefix("qemu-system-x86_64: "));
    let reason = of_qemu.or_else(|| text.lines().next()).unwrap_or_default();
    Ok(Some(format!("KVM does not boot OVMF: {reason}")))
}
