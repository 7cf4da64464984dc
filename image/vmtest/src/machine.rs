//! A computer that is switched off.

use std::{path::Path, time::Instant};

use uuid::Uuid;

use crate::{
    Accelerator, Disk, Firmware, Network, Pattern, Running, Tpm, VmError, artefacts::Artefacts, command, running::Power,
};

/// What ends a wait at once: nothing good comes after it. In EDK II's words and in systemd-boot's.
const FORBIDDEN: [&str; 5] =
    ["Kernel panic", "Access Denied", "Access denied", "Security Violation", "Security violation"];

/// A computer that is switched off. Its parts outlive its boots.
///
/// It has two processors, 2 GiB of memory, a serial port, a clock that shows the time, and a source of randomness; all
/// else is added. It boots from its drives in their order.
pub struct Machine {
    pub(crate) name: String,
    pub(crate) accelerator: Option<Accelerator>,
    pub(crate) memory_mib: u32,
    pub(crate) processors: u32,
    pub(crate) firmware: Firmware,
    pub(crate) tpm: Option<Tpm>,
    pub(crate) drives: Vec<Drive>,
    pub(crate) network: Option<Network>,
    pub(crate) clock: Option<String>,
    pub(crate) uuid: Uuid,
    pub(crate) serial: String,
    pub(crate) watchdog: bool,
    pub(crate) screen: bool,
    pub(crate) forbidden: Vec<Pattern>,
    pub(crate) artefacts: Artefacts,
    boots: u32,
}

/// A disk in a machine, or a stick in its port.
#[derive(Debug)]
pub struct Drive {
    pub(crate) name: String,
    pub(crate) disk: Disk,
    pub(crate) attachment: Attachment,
    pub(crate) read_only: bool,
}

/// How a drive is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// By virtio, as in clouds: `/dev/vda`.
    Virtio,
    /// By NVM Express: `/dev/nvme0n1`.
    Nvme,
    /// By SATA: `/dev/sda`.
    Ahci,
    /// In a port of USB 3, from which it can be pulled.
    Usb,
}

impl Drive {
    /// A drive. Its name is its serial number too.
    pub fn new(name: &str, disk: Disk, attachment: Attachment) -> Self {
        Self { name: name.to_owned(), disk, attachment, read_only: false }
    }

    /// Protects it from being written. Disks on SATA cannot be protected: QEMU then refuses to start.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The disk alone.
    #[must_use]
    pub fn into_disk(self) -> Disk {
        self.disk
    }
}

impl Machine {
    /// One with this firmware and nothing that could be left out. The name is for people.
    ///
    /// # Errors
    ///
    /// [`VmError::File`] where there is no place for what it leaves behind.
    pub fn new(name: &str, firmware: Firmware) -> Result<Self, VmError> {
        Ok(Self {
            name: name.to_owned(),
            accelerator: None,
            memory_mib: 2048,
            processors: 2,
            firmware,
            tpm: None,
            drives: Vec::new(),
            network: None,
            clock: None,
            uuid: Uuid::from_u128(0x646f_6c6d_656e_4000_8000_7465_7374_7672),
            serial: "DOLMEN-VM-1".to_owned(),
            watchdog: false,
            screen: false,
            forbidden: FORBIDDEN.map(Pattern::from).into(),
            artefacts: Artefacts::new(name)?,
            boots: 0,
        })
    }

    /// Has it executed by this, and not by what [`Accelerator::choose`] says.
    #[must_use]
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = Some(accelerator);
        self
    }

    /// Gives it so many MiB of memory.
    #[must_use]
    pub fn memory_mib(mut self, mib: u32) -> Self {
        self.memory_mib = mib;
        self
    }

    /// Gives it so many processors.
    #[must_use]
    pub fn processors(mut self, processors: u32) -> Self {
        self.processors = processors;
        self
    }

    /// Gives it a TPM.
    #[must_use]
    pub fn tpm(mut self, tpm: Tpm) -> Self {
        self.tpm = Some(tpm);
        self
    }

    /// Adds a drive behind the others.
    #[must_use]
    pub fn drive(mut self, drive: Drive) -> Self {
        self.drives.push(drive);
        self
    }

    /// Gives it a network card.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = Some(network);
        self
    }

    /// Sets its clock at each power on, to a time of UTC such as `2026-11-26T12:00:00`.
    #[must_use]
    pub fn clock(mut self, time: &str) -> Self {
        self.clock = Some(time.to_owned());
        self
    }

    /// What its maker wrote into its SMBIOS tables: unique id and serial number.
    #[must_use]
    pub fn smbios(mut self, uuid: Uuid, serial: &str) -> Self {
        self.uuid = uuid;
        serial.clone_into(&mut self.serial);
        self
    }

    /// Gives it a watchdog (Intel 6300ESB), which resets it unless it is fed.
    #[must_use]
    pub fn watchdog(mut self) -> Self {
        self.watchdog = true;
        self
    }

    /// Gives it a graphics card, whose screen can be looked at, and a keyboard.
    #[must_use]
    pub fn screen(mut self) -> Self {
        self.screen = true;
        self
    }

    /// Has waits end at once when a line shows this. `Kernel panic`, `Access Denied` and their like do so from the
    /// beginning on. What is waited for is never forbidden.
    #[must_use]
    pub fn forbid(mut self, pattern: impl Into<Pattern>) -> Self {
        self.forbidden.push(pattern.into());
        self
    }

    /// Switches it on. It runs until what is returned is dropped, which cuts its power.
    ///
    /// # Errors
    ///
    /// [`VmError::Program`] where QEMU or swtpm is not installed, [`VmError::NotListening`] where one of them ends at
    /// once or hangs, and what [`Accelerator::choose`] says.
    pub fn start(&mut self) -> Result<Running<'_>, VmError> {
        let accelerator = match self.accelerator {
            Some(accelerator) => accelerator,
            None => Accelerator::choose()?,
        };
        self.boots += 1;
        let power = Power::new(self.artefacts.path(), self.boots)?;
        let arguments = command::arguments(self, accelerator, &power);
        let started = Instant::now();
        match power.on(self.tpm.as_ref(), &arguments) {
            Ok(on) => Ok(Running::new(self, on, started)),
            Err(error) => {
                self.artefacts.keep();
                Err(error)
            }
        }
    }

    /// The disk of a drive.
    ///
    /// # Errors
    ///
    /// [`VmError::NoDrive`].
    pub fn disk(&mut self, drive: &str) -> Result<&mut Disk, VmError> {
        let at = self.find(drive)?;
        Ok(&mut self.drives[at].disk)
    }

    /// Puts in a drive behind the others, or before them: then it boots from that one first.
    pub fn insert(&mut self, drive: Drive, first: bool) {
        let at = if first { 0 } else { self.drives.len() };
        self.drives.insert(at, drive);
    }

    /// Takes out a drive.
    ///
    /// # Errors
    ///
    /// [`VmError::NoDrive`].
    pub fn remove(&mut self, drive: &str) -> Result<Drive, VmError> {
        let at = self.find(drive)?;
        Ok(self.drives.remove(at))
    }

    /// Puts in another TPM, or none; the one that it had.
    pub fn replace_tpm(&mut self, tpm: Option<Tpm>) -> Option<Tpm> {
        std::mem::replace(&mut self.tpm, tpm)
    }

    /// Its TPM.
    pub fn tpm_mut(&mut self) -> Option<&mut Tpm> {
        self.tpm.as_mut()
    }

    /// Its firmware.
    pub fn firmware_mut(&mut self) -> &mut Firmware {
        &mut self.firmware
    }

    /// Where its consoles' logs, screenshots and the messages of QEMU and swtpm are, for each boot: `boot-1.console.log`
    /// and so on. In `DOLMEN_ARTEFACTS/vm`, else in `vm` in cargo's target directory. It is removed with the machine,
    /// unless an operation on it failed, or the thread that drops it panics, as a failed test does.
    #[must_use]
    pub fn artefacts(&self) -> &Path {
        self.artefacts.path()
    }

    /// Keeps them in any case.
    pub fn keep_artefacts(&mut self) {
        self.artefacts.keep();
    }

    /// Keeps none, as what failed had to.
    pub fn discard_artefacts(&mut self) {
        self.artefacts.discard();
    }

    pub(crate) fn find(&self, drive: &str) -> Result<usize, VmError> {
        let found = self.drives.iter().position(|other| other.name == drive);
        found.ok_or_else(|| VmError::NoDrive {
            machine: self.name.clone(),
            name: drive.to_owned(),
            has: self.drives.iter().map(|drive| drive.name.clone()).collect(),
        })
    }
}
