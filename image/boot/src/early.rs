//! What the first process mounts before it can do anything.

use std::{fs, path::Path};

use crate::mount::{FileSystem, MountError, MountFlags};

/// The kernel's own file systems, in the order in which they are mounted.
const KERNELS: [(&str, FileSystem<'static>); 5] = [
    ("/proc", kernels("proc", "")),
    ("/sys", kernels("sysfs", "")),
    // Devices must work here, and libraries map /dev/zero to be executed.
    ("/dev", FileSystem { source: "devtmpfs", kind: "devtmpfs", flags: MountFlags::NOSUID, options: "mode=0755" }),
    (
        "/dev/pts",
        FileSystem { flags: MountFlags::NOSUID.union(MountFlags::NOEXEC), ..kernels("devpts", "mode=0620,gid=5") },
    ),
    (RUN, FileSystem { flags: MountFlags::NOSUID.union(MountFlags::NODEV), ..kernels("tmpfs", "mode=0755,size=20%") }),
];

/// Where the firmware's variables are.
const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";

/// Where things are that live until the machine is switched off.
const RUN: &str = "/run";

/// Mounts those that the first process of any system needs: `/proc`, `/sys`, `/dev` with `/dev/pts`, and `/run`. Has the
/// kernel take all that is written to its log, which it would else cut short.
///
/// # Errors
///
/// Whatever cannot be mounted. Nothing works without them.
pub fn mount() -> Result<(), MountError> {
    for (target, file_system) in KERNELS {
        file_system.mount(Path::new(target))?;
    }
    // A kernel without this setting takes everything anyhow.
    let _ = fs::write("/proc/sys/kernel/printk_devkmsg", "on\n");
    Ok(())
}

/// Mounts the firmware's variables. The driver is a module of Debian's kernel: load modules first.
///
/// Says whether the machine has them: one that was started by a legacy BIOS has not.
///
/// # Errors
///
/// [`MountError::Mount`].
pub fn mount_efi_variables() -> Result<bool, MountError> {
    let target = Path::new(EFI_VARIABLES);
    if !target.is_dir() {
        return Ok(false);
    }
    kernels("efivarfs", "").mount(target).map(|()| true)
}

/// Copies what systemd-stub left in the initrd to where systemd's tools look for it: the public key and the signatures of
/// register 11. An image that is signed for no register has neither.
///
/// # Errors
///
/// If one is there and cannot be copied.
pub fn keep_pcr_signatures() -> std::io::Result<()> {
    for name in ["tpm2-pcr-signature.json", "tpm2-pcr-public-key.pem"] {
        let from = Path::new("/.extra").join(name);
        if from.exists() {
            fs::create_dir_all("/run/systemd")?;
            fs::copy(from, Path::new("/run/systemd").join(name))?;
        }
    }
    Ok(())
}

/// One in which nothing is executed and no device is.
const fn kernels<'a>(kind: &'a str, options: &'a str) -> FileSystem<'a> {
    let flags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
    FileSystem { source: kind, kind, flags, options }
}
