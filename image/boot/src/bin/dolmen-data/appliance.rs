//! A real machine: its tools, its disk and its people.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use dolmen_image_boot::{
    block::{BlockDevices, Partitions, Slot},
    command::{Command, CommandError, Output},
    command_line::CommandLine,
    efi::Variables,
    luks::Contents,
    mount::{FileSystem, MountFlags},
    os_release::OsRelease,
    power::Power,
    report::{Report, chain},
    tpm::{BitsFloor, SecurityVersion, Tpm},
};
use dolmen_image_disk::verity::RootHash;
use rustix::fs::sync;

use crate::{
    flow::{self, Outcome},
    furnish,
    grow::{self, DATA},
    machine::{Image, LABEL_MADE, LABEL_NEW, Machine, News, State, VolumeKey},
    recovery_key::RecoveryKey,
    trial,
};

/// Where the data are.
const DATA_DIRECTORY: &str = "/data";
/// Where the ESP is.
const ESP_DIRECTORY: &str = "/efi";
/// The opened volume.
const OPENED_NAME: &str = "data";
const OPENED: &str = "/dev/mapper/data";
/// The recovery key, until the machine is switched off.
const RECOVERY_KEY: &str = "/run/dolmen/recovery-key";

/// The field of `os-release` with the image's security version.
const SECURITY_VERSION: &str = "DOLMEN_SECURITY_VERSION";

/// What systemd-stub left, and the initrd's program copied.
const PCR_SIGNATURE: &str = "/run/systemd/tpm2-pcr-signature.json";
const PCR_PUBLIC_KEY: &str = "/run/systemd/tpm2-pcr-public-key.pem";

/// Says that LUKS2 is being written to a partition. It is where the volume's content will be, behind all of LUKS2's own,
/// so that writing that does not delete it.
const MARK: &[u8; 26] = b"dolmen-data is being made\n";
const MARK_AT: u64 = 32 << 20;
const MARK_BYTES: usize = 4096;

/// How long a check of the file system may take: some hours on a large and slow disk.
const CHECK_TIMEOUT: Duration = Duration::from_secs(6 * 3600);
/// How long people have for a recovery key: it may be far away.
const ASK_WAIT: Duration = Duration::from_secs(24 * 3600);
/// How long a refusal can be read before the box is switched off.
const OFF_WAIT: Duration = Duration::from_secs(600);

/// Finds out what machine this is and opens its data.
pub(crate) fn run(report: &Report) -> Result<Outcome> {
    let (mut appliance, image) = Appliance::find(report)?;
    let outcome = flow::run(&mut appliance, &image);
    if outcome == Outcome::Leave(Power::Off) {
        report.consoles().discard_typed();
        report.consoles().print("\nThis box will be switched off in 10 minutes, or when you press Enter.\n");
        let _ = report.consoles().read_line(OFF_WAIT);
    }
    Ok(outcome)
}

/// This machine.
struct Appliance<'a> {
    report: &'a Report,
    /// The disk that the running image is on.
    disk: Partitions,
}

impl<'a> Appliance<'a> {
    fn find(report: &'a Report) -> Result<(Self, Image)> {
        // cryptsetup locks there, and would tell everybody that it had to make it.
        fs::create_dir_all("/run/cryptsetup")?;
        fs::create_dir_all("/run/dolmen")?;
        let variables = Variables::of_machine();
        let hash: RootHash = CommandLine::of_kernel()?.only("roothash")?.parse()?;
        let slot = Slot::find(&BlockDevices::of_machine(), &hash, variables.booted_from()?);
        let disk = slot.context("the disk with the running image is gone")?.on;
        let appliance = Self { report, disk };
        let on_trial = appliance.mount_esp().and_then(|()| trial::on_trial(&variables, Path::new(ESP_DIRECTORY)));
        // A box that does not know waits for people rather than starting again and again.
        let on_trial = on_trial.unwrap_or_else(|error| {
            report.warning(format_args!("cannot tell whether this image is on trial: {error:#}"));
            false
        });
        let release = OsRelease::read(Path::new("/usr/lib/os-release"))?;
        let version = release.get(SECURITY_VERSION).with_context(|| format!("os-release has no {SECURITY_VERSION}"))?;
        Ok((appliance, Image { security_version: version.parse()?, on_trial }))
    }

    fn mount_esp(&self) -> Result<()> {
        let (device, _) = self.disk.named("esp")?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let source = device.to_string_lossy();
        FileSystem { source: &source, kind: "vfat", flags, options: "umask=0077" }.mount(Path::new(ESP_DIRECTORY))?;
        Ok(())
    }

    /// The data partition's device.
    fn device(&self) -> Result<PathBuf> {
        Ok(self.disk.named(DATA)?.0)
    }

    fn cryptenroll(&self, key: &[u8]) -> Result<Command> {
        // The key's file is this program's standard input: it never lies anywhere.
        let enroll = tool("/usr/bin/systemd-cryptenroll").arg("--unlock-key-file=/proc/self/fd/0").input(key);
        Ok(enroll.arg(self.device()?))
    }

    fn write_mark(&self, mark: &[u8]) -> Result<()> {
        let mut device = OpenOptions::new().write(true).open(self.device()?)?;
        let mut block = [0; MARK_BYTES];
        block[..mark.len()].copy_from_slice(mark);
        device.seek(SeekFrom::Start(MARK_AT))?;
        device.write_all(&block)?;
        Ok(device.sync_all()?)
    }
}

impl Machine for Appliance<'_> {
    fn floor(&mut self) -> Result<Option<SecurityVersion>> {
        Ok(BitsFloor::new(&mut Tpm::open()?).read()?)
    }

    fn grow_partition(&mut self) -> Result<()> {
        let Some(number) = grow::grow(&self.disk)? else { return Ok(()) };
        let number = number.to_string();
        tool("/usr/bin/partx").args(["--update", "--nr", &number]).arg(&self.disk.disk.path).run()?;
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let mut device = File::open(self.device()?)?;
        let contents = Contents::read(&mut device)?;
        let mut found = [0; MARK.len()];
        device.seek(SeekFrom::Start(MARK_AT))?;
        let marked = match device.read_exact(&mut found) {
            Ok(()) => found == *MARK,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => false,
            Err(error) => return Err(error.into()),
        };
        let state = State::of(&contents, marked);
        self.report.note(format_args!("the data partition is {state:?}: {contents:?}, with a mark: {marked}"));
        Ok(state)
    }

    fn format(&mut self, key: &VolumeKey) -> Result<()> {
        self.write_mark(MARK)?;
        // The key is as random as any that could be derived from it.
        let derivation = ["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"];
        let format = tool("/usr/sbin/cryptsetup").args(["luksFormat", "--batch-mode", "--type=luks2"]).args(derivation);
        format.args(["--label", LABEL_NEW, "--key-file=-"]).arg(self.device()?).input(&key[..]).run()?;
        self.write_mark(&[])
    }

    fn enrol_tpm(&mut self, key: &[u8]) -> Result<()> {
        // Register 7, the state of Secure Boot, as it is now. Register 11, the boot file, as it is signed: also for
        // images that are made later.
        let registers = ["--tpm2-pcrs=7", "--tpm2-public-key-pcrs=11", "--tpm2-device=auto"];
        let signed = [format!("--tpm2-public-key={PCR_PUBLIC_KEY}"), format!("--tpm2-signature={PCR_SIGNATURE}")];
        self.cryptenroll(key)?.args(registers).args(signed).run()?;
        Ok(())
    }

    fn forget_tpm(&mut self) -> Result<()> {
        tool("/usr/bin/systemd-cryptenroll").arg("--wipe-slot=tpm2").arg(self.device()?).run()?;
        Ok(())
    }

    fn enrol_recovery_key(&mut self, key: &VolumeKey) -> Result<RecoveryKey> {
        let output = self.cryptenroll(&key[..])?.args(["--recovery-key", "--wipe-slot=password"]).run()?;
        RecoveryKey::parse(&output.text()).context("systemd-cryptenroll did not tell the recovery key")
    }

    fn unlock_by_tpm(&mut self) -> Result<()> {
        let options = format!("tpm2-device=auto,tpm2-signature={PCR_SIGNATURE},headless=1");
        let attach = tool("/usr/bin/systemd-cryptsetup").args(["attach", OPENED_NAME]).arg(self.device()?);
        attach.args(["-", &options]).run().map(drop).map_err(|error| {
            let said = error.output().map(|output| output.stderr.as_str()).unwrap_or_default();
            self.report.note(said);
            // What it says last is only that it asks nobody for a password.
            match said.lines().find(|line| line.starts_with("Failed to")) {
                Some(reason) => anyhow!("the TPM does not open the data: {reason}"),
                None => error.into(),
            }
        })
    }

    fn unlock_by_key(&mut self, key: &RecoveryKey) -> Result<bool> {
        let open = tool("/usr/sbin/cryptsetup").args(["open", "--type=luks2", "--key-file=-"]);
        match open.arg(self.device()?).arg(OPENED_NAME).input(key.as_str().as_bytes()).run() {
            Ok(_) => Ok(true),
            // cryptsetup(8), "RETURN CODES".
            Err(error) if error.code() == Some(2) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn label_made(&mut self) -> Result<()> {
        tool("/usr/sbin/cryptsetup").args(["config", "--label", LABEL_MADE]).arg(self.device()?).run()?;
        Ok(File::open(self.device()?)?.sync_all()?)
    }

    fn make_file_system(&mut self) -> Result<()> {
        // A hundredth for root, whose log can go on when the node has filled the disk.
        tool("/usr/sbin/mkfs.ext4").args(["-q", "-m", "1", "-L", LABEL_MADE, OPENED]).run()?;
        Ok(())
    }

    fn check_file_system(&mut self) -> Result<()> {
        let check = |how: &str| {
            let checked = tool("/usr/sbin/e2fsck").args([how, OPENED]).timeout(CHECK_TIMEOUT).run();
            if let Some(output) = checked.as_ref().map_or_else(CommandError::output, Some) {
                self.report.note(output.text().as_str());
            }
            repaired(checked)
        };
        check("-p").or_else(|error| {
            // What is not repaired without asking is repaired as whoever is asked would have it: nobody could mount it
            // otherwise, and the node checks what it finds.
            self.report.warning(format_args!("the file system is damaged, and is repaired: {}", chain(&error)));
            check("-fy").context("the file system of the data is damaged beyond repair")
        })
    }

    fn mount(&mut self) -> Result<()> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
        let options = "errors=remount-ro";
        FileSystem { source: OPENED, kind: "ext4", flags, options }.mount(Path::new(DATA_DIRECTORY))?;
        Ok(())
    }

    fn grow_file_system(&mut self) -> Result<()> {
        tool("/usr/sbin/resize2fs").arg(OPENED).run()?;
        Ok(())
    }

    fn furnish(&mut self) -> Result<()> {
        let data = Path::new(DATA_DIRECTORY);
        furnish::make_directories(data, Path::new("/etc/passwd"))?;
        furnish::make_machine_id(&data.join("config/machine-id")).context("cannot make the machine's id")?;
        furnish::bind(data)?;
        // A box without its settings is still reached by those of the image.
        if let Err(error) = furnish::copy_networks(&data.join("config/network"), Path::new("/run/systemd/network")) {
            self.report.warning(format_args!("cannot copy the settings of networks: {error:#}"));
        }
        sync();
        Ok(())
    }

    fn tell(&mut self, news: &News<'_>) {
        match news {
            News::Created => self.report.marker("data created"),
            News::Unlocked => self.report.marker("data unlocked"),
            News::Refused(why) => self.report.marker(format_args!("data refused: {why}")),
            News::Ready => self.report.marker("data ready"),
            News::Warning(what) => self.report.warning(what),
            News::RecoveryKey(key) => {
                self.report.secret(format_args!("recovery key: {}", key.as_str()));
                self.report.consoles().print(
                    "\nWrite this key down and keep it away from this box. It opens the data when the TPM does not, as\n\
                     after a change of the firmware's settings. It is not shown again after this box is switched off.\n\n",
                );
                if let Err(error) = furnish::write_private(Path::new(RECOVERY_KEY), &format!("{}\n", key.as_str())) {
                    self.report.warning(format_args!("cannot write {RECOVERY_KEY}: {error}"));
                }
            }
        }
    }

    fn ask(&mut self, try_number: u32, tries: u32) -> Option<Option<RecoveryKey>> {
        if try_number == 1 {
            // Keyboards are connected by USB, and nothing has loaded their drivers yet.
            if let Err(error) = tool("/usr/sbin/modprobe").args(["-a", "-q", "usbhid", "hid-generic"]).run() {
                self.report.note(chain(&error));
            }
        }
        // It shows as it is typed: nobody types 64 letters blindly, and it was shown here once before.
        self.report.consoles().discard_typed();
        self.report.consoles().print(&format!(
            "\nThe data on this box can be opened with its recovery key only.\nRecovery key (try {try_number} of {tries}): "
        ));
        let line = self.report.consoles().read_line(ASK_WAIT)?;
        Some(RecoveryKey::parse(&line))
    }
}

/// A program of the root, with an environment of its own.
fn tool(path: &str) -> Command {
    // udev does not run yet: whoever makes a device must not wait for it.
    Command::new(path).env("PATH", "/usr/sbin:/usr/bin").env("DM_DISABLE_UDEV", "1")
}

/// Whether e2fsck found nothing, or has repaired what it found. e2fsck(8), "EXIT CODE".
fn repaired(run: Result<Output, CommandError>) -> Result<(), CommandError> {
    match run {
        Err(error) if error.code().is_none_or(|code| code >= 4) => Err(error),
        _ => Ok(()),
    }
}
