//! What support asks for, in one file on the stick: what the kernel, the firmware and the TPM say about this machine,
//! and what is on its disks beside data.
//!
//! No secrets: not a byte of a data partition is read, and of the firmware's variables only those on a list are, which
//! say how it boots and whom it trusts. The installer's log is in it.

mod tar;

pub use self::tar::archive;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use dolmen_image_disk::gpt::{Damage, Gpt};
use rustix::fs::OFlags;
use serde_json::{Value, json};

use crate::{
    layout,
    limits::{SUPPORT_FILES_MAX, SUPPORT_ITEM_BYTES_MAX},
    target::DiskFacts,
};

/// Bytes of one message of the kernel's log, as the kernel has it at most.
const MESSAGE_BYTES: usize = 8192;
/// Variables of the firmware and of systemd's boot loader that are taken, by the beginnings of their names. There is one
/// that must not be: `LoaderSystemToken` is a secret of its machine.
const VARIABLES: [&str; 22] = [
    "Boot0",
    "Boot1",
    "Boot2",
    "BootCurrent-",
    "BootNext-",
    "BootOrder-",
    "SecureBoot-",
    "SetupMode-",
    "PK-",
    "KEK-",
    "db-",
    "dbx-",
    "LoaderBootCountPath-",
    "LoaderDevicePartUUID-",
    "LoaderEntries-",
    "LoaderEntryDefault-",
    "LoaderEntrySelected-",
    "LoaderFeatures-",
    "LoaderFirmwareInfo-",
    "LoaderFirmwareType-",
    "LoaderInfo-",
    "Stub",
];
/// What the firmware says about the machine, in `/sys/class/dmi/id`.
const DMI: [&str; 14] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_uuid",
    "product_version",
    "sys_vendor",
];
/// What the kernel says about itself and the hardware.
const PROC: [&str; 8] = ["cmdline", "cpuinfo", "interrupts", "iomem", "meminfo", "modules", "partitions", "version"];
/// What the firmware and the boot loader measured, if the kernel shows it.
const TPM_LOG: &str = "sys/kernel/security/tpm0/binary_bios_measurements";

/// What is known beside the machine's own files.
#[derive(Debug)]
pub struct Known<'a> {
    /// The installer's log up to now.
    pub log: &'a str,
    /// Versions: of the installer, and of the bundle if there is a right one.
    pub versions: Value,
    /// The machine's disks and their tables.
    pub disks: Vec<(&'a DiskFacts, Value)>,
    /// Seconds since 1970.
    pub time: u64,
}

/// Gathers everything into an archive. `root` is `/`; what is missing there is left out and named in `missing.txt`.
#[must_use]
pub fn bundle(root: &Path, known: &Known<'_>) -> Vec<u8> {
    let mut gathered = Gathered::default();
    gathered.files.push(("installer.log".to_owned(), known.log.as_bytes().to_vec()));
    gathered.files.push(("versions.json".to_owned(), pretty(&known.versions)));
    let disks: Vec<_> = known.disks.iter().map(|(disk, table)| disk_json(disk, table)).collect();
    gathered.files.push(("disks.json".to_owned(), pretty(&Value::Array(disks))));
    gathered.take("kernel.log", kernel_log(&root.join("dev/kmsg")));
    gathered.take("tpm-event-log.bin", read(&root.join(TPM_LOG)));
    for name in PROC {
        gathered.take(&format!("proc/{name}"), read(&root.join("proc").join(name)));
    }
    for name in DMI {
        gathered.take(&format!("dmi/{name}"), read(&root.join("sys/class/dmi/id").join(name)));
    }
    for path in variables(&root.join("sys/firmware/efi/efivars")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        gathered.take(&format!("efi/{name}"), read(&path));
    }
    let (_, left_out) = tar::archive(&gathered.files, known.time);
    gathered.files.retain(|(name, _)| !left_out.contains(name));
    gathered.missing.extend(left_out.iter().map(|name| format!("{name}: too long")));
    gathered.files.insert(0, ("missing.txt".to_owned(), gathered.missing.join("\n").into_bytes()));
    tar::archive(&gathered.files, known.time).0
}

/// A disk's table as JSON, for [`Known::disks`]: partitions with their bytes, and what is wrong with it.
#[must_use]
pub fn table_json(table: &Gpt, damage: &[Damage]) -> Value {
    let partitions = table.partitions().iter().map(|partition| {
        let bytes = table.bytes_of(partition);
        json!({
            "number": partition.number,
            "name": partition.identity.name.to_string(),
            "type": partition.identity.kind.to_string(),
            "guid": partition.identity.guid.to_string(),
            "attributes": format!("{:#018x}", partition.identity.attributes.bits()),
            "start": bytes.start,
            "end": bytes.end,
        })
    });
    let damage = damage.iter().map(|damage| format!("{}: {}", damage.part, damage.cause));
    json!({
        "disk_guid": table.disk_guid().to_string(),
        "block_bytes": table.geometry().block_size().bytes(),
        "ours": layout::is_ours(table),
        "partitions": partitions.collect::<Vec<_>>(),
        "damage": damage.collect::<Vec<_>>(),
    })
}

fn disk_json(disk: &DiskFacts, table: &Value) -> Value {
    json!({
        "name": disk.name,
        "bytes": disk.bytes,
        "model": disk.model,
        "serial": disk.serial,
        "ids": disk.ids,
        "usb": disk.usb,
        "removable": disk.removable,
        "read_only": disk.read_only,
        "stick": disk.stick,
        "table": table,
    })
}

#[derive(Default)]
struct Gathered {
    files: Vec<(String, Vec<u8>)>,
    missing: Vec<String>,
}

impl Gathered {
    fn take(&mut self, name: &str, content: io::Result<Vec<u8>>) {
        match content {
            Ok(content) => self.files.push((name.to_owned(), content)),
            Err(error) => self.missing.push(format!("{name}: {error}")),
        }
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}

/// A file's beginning, as much as is taken of one.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(SUPPORT_ITEM_BYTES_MAX).read_to_end(&mut content)?;
    Ok(content)
}

/// The variables that are taken, sorted by name.
fn variables(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return vec![] };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        VARIABLES.iter().any(|taken| name.starts_with(taken))
    });
    let mut paths: Vec<_> = paths.take(SUPPORT_FILES_MAX).collect();
    paths.sort();
    paths
}

/// The kernel's messages. Reading one gives one message, with its level and time in front (`Documentation/ABI/testing/
/// dev-kmsg`).
fn kernel_log(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut messages = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut log = Vec::new();
    let mut message = [0; MESSAGE_BYTES];
    while (log.len() as u64) < SUPPORT_ITEM_BYTES_MAX {
        match messages.read(&mut message) {
            Ok(0) => break,
            Ok(count) => log.extend(&message[..count]),
            // The oldest messages were overwritten while they were read: the next read goes on behind them.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(log)
}
