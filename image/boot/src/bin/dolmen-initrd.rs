//! `dolmen-initrd`: the first process of a box. From the kernel to systemd, in one direction: drivers, the root file
//! system that the command line's root hash vouches for, the data on the disk, systemd.
//!
//! The initrd has this program as `/init`, drivers in `/modules` with their order in `/modules.load`, and may have an
//! `/etc/initrd-release` that says which image it belongs to. systemd-stub adds `/.extra`.
//!
//! Whatever fails before systemd runs is told on every console, and the machine starts again: systemd-boot has counted
//! the try, and after the third one goes back to the image before.

use std::{
    convert::Infallible,
    fs::File,
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use dolmen_image_boot::{
    block::{BlockDevices, Slot},
    command_line::{CommandLine, CommandLineError},
    device_mapper::{DeviceMapper, DeviceMapperError, Verity},
    early,
    efi::Variables,
    handover::{self, HandoverError},
    module::ModuleList,
    mount::{FileSystem, MountError, MountFlags},
    os_release::OsRelease,
    power::{Power, leave},
    report::{Report, chain},
    tpm::{Phase, Tpm, TpmError},
};
use dolmen_image_disk::verity::{RootHash, Superblock, VerityError};

/// How long disks may take to appear. Controllers with many of them need some ten seconds.
const DISKS_WAIT: Duration = Duration::from_secs(60);
/// How long a failure can be read before the machine starts again.
const FAILURE_WAIT: Duration = Duration::from_secs(3);

const SYSROOT: &str = "/sysroot";
/// Opens the data. In the root.
const DATA_PROGRAM: &str = "/usr/lib/dolmen/dolmen-data";
const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// Why there is no system.
#[derive(Debug, thiserror::Error)]
enum InitrdError {
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    CommandLine(#[from] CommandLineError),
    #[error("roothash= of the kernel's command line is none")]
    RootHash(#[source] VerityError),
    #[error(
        "no disk has the partitions {root} and {hashes} of the root file system; look whether the disk is connected"
    )]
    NoRoot { root: String, hashes: String },
    #[error("cannot read the hash tree of the root file system")]
    Hashes(#[source] io::Error),
    #[error("the hash tree of the root file system is damaged")]
    Superblock(#[source] VerityError),
    #[error(transparent)]
    DeviceMapper(#[from] DeviceMapperError),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error("cannot run {program} of the root file system")]
    Run {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{DATA_PROGRAM} failed ({0})")]
    Data(ExitStatus),
    #[error("cannot measure that the initrd is left, so that the data could still be unlocked")]
    Leave(#[source] TpmError),
}

fn main() {
    // There is no console before there is /dev.
    let mounted = early::mount();
    let report = Report::open("dolmen-initrd");
    let Err(error) = mounted.map_err(InitrdError::from).and_then(|()| boot(&report));
    report.warning(format_args!("cannot start: {}", chain(&error)));
    report.warning(format_args!("starting again in {} s", FAILURE_WAIT.as_secs()));
    thread::sleep(FAILURE_WAIT);
    leave(Power::Reboot)
}

/// The whole way. It does not come back from it.
fn boot(report: &Report) -> Result<Infallible, InitrdError> {
    report.marker(format_args!("initrd {}", version()));
    load_modules(report);
    if let Err(error) = early::mount_efi_variables() {
        report.warning(chain(&error));
    }
    enter_initrd(report);
    let root_hash = mount_root(report)?;
    report.marker(format_args!("root verified {:.8}", root_hash.to_string()));
    // From here on the root is the image's: what runs now finds its tools, and the kernel the modules that it asks for.
    handover::enter(Path::new(SYSROOT))?;
    open_data()?;
    leave_initrd()?;
    report.note("starting systemd");
    Err(InitrdError::Run { program: SYSTEMD, source: Command::new(SYSTEMD).exec() })
}

/// The image's, or this program's.
fn version() -> String {
    let release = OsRelease::read(Path::new("/etc/initrd-release")).unwrap_or_default();
    release.version().unwrap_or(env!("CARGO_PKG_VERSION")).to_owned()
}

fn load_modules(report: &Report) {
    match ModuleList::read(Path::new("/modules.load")) {
        Ok(modules) => modules.load(Path::new("/modules"), |error| report.warning(chain(&error))),
        // The kernel may have all drivers itself.
        Err(error) => report.note(chain(&error)),
    }
}

/// Without a TPM, or with one that fails, the data can be opened with the recovery key only: `dolmen-data` says why.
fn enter_initrd(report: &Report) {
    if let Err(error) = Tpm::open().and_then(|mut tpm| tpm.measure(Phase::EnterInitrd)) {
        report.warning(chain(&error));
    }
    if let Err(error) = early::keep_pcr_signatures() {
        report.warning(format_args!("cannot keep the signature of register 11: {error}"));
    }
}

fn mount_root(report: &Report) -> Result<RootHash, InitrdError> {
    let hash: RootHash = CommandLine::of_kernel()?.only("roothash")?.parse().map_err(InitrdError::RootHash)?;
    let booted_from = Variables::of_machine().booted_from().ok().flatten();
    let slot = BlockDevices::of_machine().wait(DISKS_WAIT, |devices| Slot::find(devices, &hash, booted_from));
    let no_root = || InitrdError::NoRoot { root: hash.root_guid().to_string(), hashes: hash.verity_guid().to_string() };
    let Slot { root, hashes, .. } = slot.ok_or_else(no_root)?;
    report.note(format_args!("root {} with hashes {}", root.display(), hashes.display()));
    let mut tree = File::open(&hashes).map_err(InitrdError::Hashes)?;
    let superblock = Superblock::read(&mut tree).map_err(InitrdError::Superblock)?;
    let verity = Verity { data: &root, hashes: &hashes, superblock: &superblock, root: hash };
    let device = DeviceMapper::open()?.create_verity("root", &verity)?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV;
    let source = device.to_string_lossy();
    FileSystem { source: &source, kind: "erofs", flags, options: "" }.mount(Path::new(SYSROOT))?;
    Ok(hash)
}

/// The program that opens the data has told people what it found. It says by its code whether to go on.
fn open_data() -> Result<(), InitrdError> {
    let run = |source| InitrdError::Run { program: DATA_PROGRAM, source };
    let status = Command::new(DATA_PROGRAM).status().map_err(run)?;
    if status.success() {
        return Ok(());
    }
    match status.code().and_then(Power::from_exit_code) {
        Some(power) => leave(power),
        None => Err(InitrdError::Data(status)),
    }
}

/// A machine without a TPM has nothing that could still be unlocked.
fn leave_initrd() -> Result<(), InitrdError> {
    if !Tpm::is_there() {
        return Ok(());
    }
    Tpm::open().and_then(|mut tpm| tpm.measure(Phase::LeaveInitrd)).map_err(InitrdError::Leave)
}
