//! What all of it is done with.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use crate::{
    Disk, Esp, EspFolder, Running, UpdateError,
    limits::LOADER_CONF_BYTES_MAX,
    loader_conf::{self, default_of, with_default},
    ukis::{self, STAGED},
};

/// Where a box's disk, ESP and firmware variables are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The whole disk: a block device, or a file with an image of it.
    pub disk: PathBuf,
    /// The folder where its ESP is mounted, `/efi`.
    pub esp: PathBuf,
    /// efivarfs, `/sys/firmware/efi/efivars`.
    pub efivars: PathBuf,
}

/// A box, or an image of one, and what is running there.
#[derive(Debug)]
pub struct Updater<D, E> {
    pub(crate) disk: D,
    pub(crate) esp: E,
    pub(crate) efivars: PathBuf,
    pub(crate) running: Running,
}

impl Updater<File, EspFolder> {
    /// Of this system. Needs to read and write the disk.
    ///
    /// # Errors
    ///
    /// [`UpdateError::Io`] where the disk cannot be opened.
    pub fn open(paths: &Paths, running: Running) -> Result<Self, UpdateError> {
        let disk = File::options().read(true).write(true).open(&paths.disk);
        let disk = disk.map_err(UpdateError::io("open the disk"))?;
        Ok(Self::new(disk, EspFolder::new(paths.esp.clone()), paths.efivars.clone(), running))
    }

    /// Of this system, to look only ([`status`](Self::status)): a device that was open for writing makes udev look at
    /// it again.
    ///
    /// # Errors
    ///
    /// [`UpdateError::Io`] where the disk cannot be opened.
    pub fn open_to_look(paths: &Paths, running: Running) -> Result<Self, UpdateError> {
        let disk = File::open(&paths.disk).map_err(UpdateError::io("open the disk"))?;
        Ok(Self::new(disk, EspFolder::new(paths.esp.clone()), paths.efivars.clone(), running))
    }
}

impl<D: Disk, E: Esp> Updater<D, E> {
    /// Of any disk and ESP.
    pub const fn new(disk: D, esp: E, efivars: PathBuf, running: Running) -> Self {
        Self { disk, esp, efivars, running }
    }

    /// Keeps others of ours away. The lock goes with the disk.
    pub(crate) fn lock(&self) -> Result<(), UpdateError> {
        match self.disk.lock().map_err(UpdateError::io("lock the disk"))? {
            true => Ok(()),
            false => Err(UpdateError::Locked),
        }
    }

    /// Writes a file that nobody reads yet.
    pub(crate) fn stage(&mut self, folder: &str, content: &mut dyn Read) -> Result<(), UpdateError> {
        self.esp.write(&staged(folder), content).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => UpdateError::EspFull(error),
            _ => UpdateError::reading("write to the ESP")(error),
        })
    }

    /// Gives what was staged its name.
    pub(crate) fn publish(&mut self, folder: &str, name: &str) -> Result<(), UpdateError> {
        let renamed = self.esp.rename(&staged(folder), &format!("{folder}/{name}"));
        renamed.and_then(|()| self.esp.sync(folder)).map_err(UpdateError::io("rename a file on the ESP"))
    }

    /// Removes what a run left that was killed.
    pub(crate) fn remove_staged(&mut self) -> Result<(), UpdateError> {
        for folder in [ukis::FOLDER, BOOT_FOLDER, loader_conf::FOLDER] {
            let files = self.esp.list(folder).map_err(UpdateError::io("look what is on the ESP"))?;
            if files.iter().any(|file| file.eq_ignore_ascii_case(STAGED)) {
                let removed = self.esp.remove(&staged(folder)).and_then(|()| self.esp.sync(folder));
                removed.map_err(UpdateError::io("remove a file from the ESP"))?;
            }
        }
        Ok(())
    }

    /// Which UKI systemd-boot starts whatever the versions are.
    pub(crate) fn pinned(&self) -> Result<Option<String>, UpdateError> {
        Ok(default_of(&self.loader_conf()?).map(str::to_owned))
    }

    /// Changes that.
    pub(crate) fn pin(&mut self, default: Option<&str>) -> Result<(), UpdateError> {
        let text = self.loader_conf()?;
        if default_of(&text) == default {
            return Ok(());
        }
        self.stage(loader_conf::FOLDER, &mut with_default(&text, default).as_bytes())?;
        self.publish(loader_conf::FOLDER, "loader.conf")
    }

    /// Empty where there is none.
    fn loader_conf(&self) -> Result<String, UpdateError> {
        match self.esp.read(loader_conf::PATH, LOADER_CONF_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(UpdateError::Io { operation: "read loader.conf on the ESP", source }),
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

/// Where the firmware looks for a boot loader, and which.
pub(crate) const BOOT_FOLDER: &str = "EFI/BOOT";
pub(crate) const BOOT_FILE: &str = "BOOTX64.EFI";

pub(crate) fn staged(folder: &str) -> String {
    format!("{folder}/{STAGED}")
}
