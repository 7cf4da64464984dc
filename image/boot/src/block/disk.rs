//! The disks of a machine.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use dolmen_image_disk::gpt::{BlockSize, GptError};
use rustix::fs::OFlags;

use crate::{file, limits::DISKS_MAX};

/// What `/sys` counts sizes in, whatever the disk's own blocks are.
const SECTOR_BYTES: u64 = 512;
/// How often it is looked whether a disk has come.
const INTERVAL: Duration = Duration::from_millis(20);
/// Bytes before the serial number in what a SCSI disk says of its unit (SPC-5 §7.7.18).
const SCSI_PAGE_HEADER_BYTES: usize = 4;

/// Where the kernel shows block devices.
#[derive(Clone, Debug)]
pub struct BlockDevices {
    sys: PathBuf,
    dev: PathBuf,
}

/// A whole disk, with a medium in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// As the kernel calls it: `nvme0n1`, `sda`, `vda`.
    pub name: String,
    /// Its device.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: u64,
    /// Bytes of a logical block. [`block_size`](Self::block_size) is of those that partition tables know.
    pub logical_block_bytes: u64,
    /// Whether people take it out: most USB sticks say so, USB disks do not.
    pub removable: bool,
    /// Whether it is connected by USB.
    pub usb: bool,
    /// Whether it cannot be written.
    pub read_only: bool,
    /// Who made it and how they call it, if it tells.
    pub model: Option<String>,
    /// Its serial number, if it tells.
    pub serial: Option<String>,
}

impl BlockDevices {
    /// This machine's.
    #[must_use]
    pub fn of_machine() -> Self {
        Self::at("/sys", "/dev")
    }

    /// Those of which `sys` tells, with their devices in `dev`.
    pub fn at(sys: impl Into<PathBuf>, dev: impl Into<PathBuf>) -> Self {
        Self { sys: sys.into(), dev: dev.into() }
    }

    /// All disks, in the order of their names. Devices of the kernel's own (`loop`, `ram`, `dm-`), optical drives,
    /// floppies, boot areas of eMMC, and drives without a medium are none.
    ///
    /// # Errors
    ///
    /// If `/sys` is not mounted.
    pub fn disks(&self) -> io::Result<Vec<Disk>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.sys.join("block"))? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names.into_iter().filter_map(|name| self.disk(name)).take(DISKS_MAX).collect())
    }

    /// Looks for something again and again, while devices appear, until it is there or the time is over.
    pub fn wait<T>(&self, timeout: Duration, mut find: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let end = Instant::now() + timeout;
        loop {
            let found = find(self);
            if found.is_some() || Instant::now() >= end {
                return found;
            }
            thread::sleep(INTERVAL);
        }
    }

    fn disk(&self, name: String) -> Option<Disk> {
        let block = self.sys.join("block").join(&name);
        // In /sys a device's link says how it is connected: ../devices/pci0000:00/0000:00:14.0/usb2/2-1/...
        let link = fs::canonicalize(&block).ok()?;
        let link = link.strip_prefix(fs::canonicalize(&self.sys).ok()?).ok()?.to_str()?.to_owned();
        let text = |attribute: &str| file::read_attribute(&block.join(attribute));
        let number = |attribute: &str| text(attribute).and_then(|text| text.parse::<u64>().ok());
        let flag = |attribute: &str| number(attribute) == Some(1);
        if !is_disk(&name, &link) || flag("hidden") {
            return None;
        }
        let bytes = number("size")?.checked_mul(SECTOR_BYTES).filter(|bytes| *bytes > 0)?;
        Some(Disk {
            path: self.dev.join(&name),
            bytes,
            logical_block_bytes: number("queue/logical_block_size").unwrap_or(SECTOR_BYTES),
            removable: flag("removable"),
            usb: link.contains("/usb"),
            read_only: flag("ro"),
            model: model(&block),
            serial: serial(&block),
            name,
        })
    }
}

impl Disk {
    /// Bytes of a logical block.
    ///
    /// # Errors
    ///
    /// [`GptError::BlockSize`] for a disk that no partition table can be on.
    pub fn block_size(&self) -> Result<BlockSize, GptError> {
        BlockSize::try_from(self.logical_block_bytes)
    }

    /// The device of its partition with this number.
    #[must_use]
    pub fn partition(&self, number: u32) -> PathBuf {
        let separator = if self.name.ends_with(|last: char| last.is_ascii_digit()) { "p" } else { "" };
        self.path.with_file_name(format!("{}{separator}{number}", self.name))
    }

    /// Opens it to be read.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Opens it to be written by nobody else. For an installer, which may only take a disk that is not in use.
    ///
    /// # Errors
    ///
    /// The kernel's; [`io::ErrorKind::ResourceBusy`] if one of its partitions is mounted or otherwise in use.
    pub fn open_exclusive(&self) -> io::Result<File> {
        let exclusive = OFlags::EXCL.bits().cast_signed();
        OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(&self.path)
    }
}

/// Whether a device is a disk, by its name and by how it is connected.
fn is_disk(name: &str, link: &str) -> bool {
    let virtual_device = link.starts_with("devices/virtual/");
    // An NVMe drive is shown by the subsystem that its paths belong to.
    let subsystem = link.starts_with("devices/virtual/nvme-subsystem/");
    let other_drive = ["sr", "fd", "nbd"].iter().any(|kind| name.starts_with(kind));
    // mmcblk0boot0 and mmcblk0rpmb.
    let emmc_area = name.starts_with("mmcblk") && name[6..].contains(|letter: char| !letter.is_ascii_digit());
    !(virtual_device && !subsystem || other_drive || emmc_area)
}

/// Vendor and model of SCSI and SATA disks, model of NVMe drives, name of memory cards.
fn model(block: &Path) -> Option<String> {
    let attribute = |name: &str| file::read_attribute(&block.join("device").join(name));
    // A SATA disk's vendor is "ATA", a virtio disk's is a number of the PCI bus.
    let vendor = attribute("vendor").filter(|vendor| vendor != "ATA" && !vendor.starts_with("0x"));
    match (vendor, attribute("model").or_else(|| attribute("name"))) {
        (Some(vendor), Some(model)) => Some(format!("{vendor} {model}")),
        (vendor, model) => model.or(vendor),
    }
}

fn serial(block: &Path) -> Option<String> {
    let attribute = |name: &str| file::read_attribute(&block.join(name));
    let scsi = || {
        let page = file::read(&block.join("device/vpd_pg80")).ok()?;
        let text = String::from_utf8_lossy(page.get(SCSI_PAGE_HEADER_BYTES..)?).trim_matches([' ', '\0']).to_owned();
        (!text.is_empty()).then_some(text)
    };
    attribute("device/serial").or_else(|| attribute("serial")).or_else(scsi)
}
