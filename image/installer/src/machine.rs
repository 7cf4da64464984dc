//! What the installer needs of the machine it runs on.

use std::{
    fs::{self, File},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use dolmen_image_boot::{
    block::BlockDevices,
    efi::Variables,
    report::chain,
    tpm::{BitsFloor, Tpm},
};
use dolmen_image_disk::gpt::{Partition, Uuid};

use crate::{
    boot_next::{boot_next, entry_name, entry_number},
    device::Device,
    disk::Disk,
    identity::Identity,
    target::DiskFacts,
};

/// A machine: the one that the installer runs on, or one of a test.
pub trait Machine {
    /// Its disks, opened.
    type Disk: Disk;

    /// All disks that there are now.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn disks(&mut self) -> io::Result<Vec<DiskFacts>>;

    /// Opens one to read it.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn open(&mut self, disk: &DiskFacts) -> io::Result<Self::Disk>;

    /// Opens one to write to it, which nobody else then does.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn open_to_write(&mut self, disk: &DiskFacts) -> io::Result<Self::Disk>;

    /// Which machine it is.
    fn identity(&self) -> Identity;

    /// The partition that it was started from, if its firmware tells.
    fn booted_from(&self) -> Option<Uuid>;

    /// The least security version that its TPM takes; none where it has none, or no TPM.
    ///
    /// # Errors
    ///
    /// Why the TPM does not tell, in a line.
    fn security_floor(&mut self) -> Result<Option<u8>, String>;

    /// Has the firmware start from this partition next.
    ///
    /// # Errors
    ///
    /// Why it does not, in a line.
    fn start_next_from(&mut self, esp: &Partition) -> Result<(), String>;

    /// Random bytes, as many as anybody wants.
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn noise(&mut self) -> io::Result<Box<dyn Read>>;

    /// Time since it was switched on.
    fn uptime(&self) -> Duration;

    /// Seconds since 1970, by a clock that may be wrong.
    fn time(&self) -> u64;

    /// Waits.
    fn wait(&mut self, time: Duration);

    /// Its root directory, for what support asks for.
    fn root(&self) -> PathBuf;
}

/// The machine that this program runs on.
#[derive(Debug)]
pub struct ThisMachine {
    began: Instant,
    uptime: Duration,
}

/// Whose variables those of UEFI are, 2.10 §3.3, as `efivarfs` has it.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const EFI_VARIABLES: &str = "/sys/firmware/efi/efivars";
/// Kept when the machine is off, and there for boot loaders and systems. UEFI 2.10 §8.2.
const ATTRIBUTES: u32 = 7;

impl ThisMachine {
    /// From now on.
    #[must_use]
    pub fn new() -> Self {
        let uptime = fs::read_to_string("/proc/uptime").ok();
        let seconds = uptime.as_deref().and_then(|text| text.split(' ').next()?.parse().ok());
        let uptime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default();
        Self { began: Instant::now(), uptime }
    }
}

impl Default for ThisMachine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for ThisMachine {
    type Disk = Device;

    fn disks(&mut self) -> io::Result<Vec<DiskFacts>> {
        let disks = BlockDevices::of_machine().disks()?;
        let facts = disks.into_iter().map(|disk| {
            let block = Path::new("/sys/block").join(&disk.name);
            let wwid = ["wwid", "device/wwid"].iter().find_map(|file| fs::read_to_string(block.join(file)).ok());
            DiskFacts::of(disk, wwid.as_deref().map(str::trim))
        });
        Ok(facts.collect())
    }

    fn open(&mut self, disk: &DiskFacts) -> io::Result<Device> {
        Device::open(&disk.path)
    }

    fn open_to_write(&mut self, disk: &DiskFacts) -> io::Result<Device> {
        Device::open_to_write(&disk.path)
    }

    fn identity(&self) -> Identity {
        Identity::read(Path::new("/sys/class/dmi/id"))
    }

    fn booted_from(&self) -> Option<Uuid> {
        Variables::of_machine().booted_from().ok().flatten()
    }

    fn security_floor(&mut self) -> Result<Option<u8>, String> {
        if !Tpm::is_there() {
            return Ok(None);
        }
        let mut tpm = Tpm::open().map_err(|error| chain(&error))?;
        let floor = BitsFloor::new(&mut tpm).read().map_err(|error| chain(&error))?;
        Ok(floor.map(dolmen_image_boot::tpm::SecurityVersion::get))
    }

    fn start_next_from(&mut self, esp: &Partition) -> Result<(), String> {
        let entries = boot_entries().map_err(|error| format!("cannot read the firmware's boot entries: {error}"))?;
        let next = boot_next(esp, &entries).ok_or("the firmware has no number left for a boot entry")?;
        let set = |name: &str, value: &[u8]| {
            write_variable(name, value).map_err(|error| format!("the firmware does not take {name}: {error}"))
        };
        if let Some(entry) = &next.entry {
            set(&entry_name(next.number), entry)?;
        }
        set("BootNext", &next.number.to_le_bytes())
    }

    fn noise(&mut self) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(File::open("/dev/urandom")?))
    }

    fn uptime(&self) -> Duration {
        self.uptime + self.began.elapsed()
    }

    fn time(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }

    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn root(&self) -> PathBuf {
        "/".into()
    }
}

fn boot_entries() -> io::Result<Vec<(u16, Vec<u8>)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(EFI_VARIABLES)? {
        let entry = entry?;
        let name = entry.file_name().into_string().unwrap_or_default();
        let Some((name, GLOBAL)) = name.split_once('-') else { continue };
        if let Some(number) = entry_number(name) {
            // The attributes are before the value.
            let content = fs::read(entry.path())?;
            entries.push((number, content.get(4..).unwrap_or_default().to_vec()));
        }
    }
    Ok(entries)
}

/// Sets a variable, in one write as the kernel wants it.
fn write_variable(name: &str, value: &[u8]) -> io::Result<()> {
    let content = [&ATTRIBUTES.to_le_bytes(), value].concat();
    let path = Path::new(EFI_VARIABLES).join(format!("{name}-{GLOBAL}"));
    fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?.write_all(&content)
}
