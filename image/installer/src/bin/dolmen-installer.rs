//! The first process of the stick: mounts, loads drivers, and runs the installer as its child.
//!
//! The installer proper is a second process of the same program. Whatever becomes of it, this one is still there to say
//! so, and the kernel does not panic over a first process that is gone.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{self, Command, ExitStatus},
    time::Duration,
};

use dolmen_image_boot::{
    early,
    module::ModuleList,
    mount::{FileSystem, MountFlags},
    power::{self, Power},
    report::{Report, chain},
};
use dolmen_image_bundle::ReleaseKey;
use dolmen_image_console::{Console, Language, Place};
use dolmen_image_installer::{machine::ThisMachine, session};

/// What the child is started with.
const CHILD: &str = "run";
/// How the child says that the machine is to be started again.
const REBOOT: i32 = 10;
/// How the child says that the machine is to be switched off.
const POWER_OFF: i32 = 11;

/// The drivers, and the order in which they are loaded.
const MODULES: &str = "/modules";
const MODULES_LIST: &str = "/modules.load";
/// Public keys that may sign bundles and answer files. The signature of the stick's UKI covers them.
const RELEASE_KEYS: &str = "/release.pem";
/// Bytes of that file. A key has some 120.
const RELEASE_KEYS_BYTES_MAX: u64 = 64 << 10;
/// How long a problem of the first process stays on the consoles.
const READ_TIME: Duration = Duration::from_secs(60);

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() {
    if std::env::args().nth(1).as_deref() == Some(CHILD) {
        process::exit(installer());
    }
    if process::id() != 1 {
        eprintln!(
            "dolmen-installer is the first process of the stick and does nothing elsewhere; see `dolmen usb write`"
        );
        process::exit(2);
    }
    let mounted = early::mount();
    let report = Report::open("dolmen-installer");
    if let Err(error) = mounted {
        give_up(&report, &chain(&error));
    }
    load_modules(&report);
    match Command::new("/proc/self/exe").arg(CHILD).status() {
        Ok(status) => leave(&report, status),
        Err(error) => give_up(&report, &format!("the installer does not start: {error}; make the stick anew")),
    }
}

fn load_modules(report: &Report) {
    match ModuleList::read(Path::new(MODULES_LIST)) {
        Ok(modules) => modules.load(Path::new(MODULES), |error| report.note(chain(&error))),
        Err(error) => report.warning(chain(&error)),
    }
    if let Err(error) = early::mount_efi_variables() {
        report.note(chain(&error));
    }
    // The TPM's event log is there. Nothing else needs it.
    let security = FileSystem {
        source: "securityfs",
        kind: "securityfs",
        flags: MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC),
        options: "",
    };
    if let Err(error) = security.mount(Path::new("/sys/kernel/security")) {
        report.note(chain(&error));
    }
}

/// The child: everything that can fail.
fn installer() -> i32 {
    let keys = match release_keys() {
        Ok(keys) => keys,
        Err(why) => {
            Report::open("dolmen-installer").warning(why);
            return 1;
        }
    };
    let mut console = Console::new(Language::English, Place::of_machine());
    match session::run(&mut ThisMachine::new(), &mut console, &keys, VERSION) {
        Power::Reboot => REBOOT,
        Power::Off => POWER_OFF,
    }
}

/// All keys of the stick, one PEM block after the other.
fn release_keys() -> Result<Vec<ReleaseKey>, String> {
    const END: &str = "-----END PUBLIC KEY-----";
    let failed = |why: &dyn std::fmt::Display| format!("{RELEASE_KEYS}: {why}; make the stick anew");
    let bytes = fs::metadata(RELEASE_KEYS).map_err(|error| failed(&error))?.len();
    if bytes > RELEASE_KEYS_BYTES_MAX {
        return Err(failed(&"too long"));
    }
    let text = fs::read_to_string(RELEASE_KEYS).map_err(|error| failed(&error))?;
    let blocks = text.split_inclusive(END).filter(|block| block.contains(END));
    let keys = blocks.map(|block| ReleaseKey::from_pem(block.trim()).map_err(|error| failed(&error)));
    let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(failed(&"no key in it")) } else { Ok(keys) }
}

fn leave(report: &Report, status: ExitStatus) -> ! {
    match status.code() {
        Some(REBOOT) => power::leave(Power::Reboot),
        Some(POWER_OFF) => power::leave(Power::Off),
        code => {
            let why = code.map_or_else(
                || format!("signal {}", status.signal().unwrap_or_default()),
                |code| format!("exit code {code}"),
            );
            give_up(
                report,
                &format!(
                    "the installer ended by itself ({why}); if it was writing to a disk, that disk is not whole: start again, \
                 and tell support what you see"
                ),
            )
        }
    }
}

/// Says why, long enough to be read, and switches off.
fn give_up(report: &Report, why: &str) -> ! {
    report.warning(why);
    std::thread::sleep(READ_TIME);
    power::leave(Power::Off)
}
