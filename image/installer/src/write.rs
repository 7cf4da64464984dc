//! Writing an image to a disk, in an order in which no half-written disk ever passes for a whole one.
//!
//! ```text
//! read      the boot files, before the disk is touched; the stick must still hold what was checked
//! mark      the boot sectors of all EFI system partitions: from here on nothing on the disk boots
//! erase     the keys of what was encrypted, and the old tables; only to wipe
//! slots     root and hashes into the first slot, nothing into the second; hashed while they are written
//! check     the first slot, read back from the medium, against the root hash
//! data      its first bytes zeroed, so that the box makes it; never when it is kept
//! table     both copies
//! ESP       all of it but the boot sector, read back
//! boot      the boot sector: from here on the disk is whole
//! ```
//!
//! Each step is on the medium before the next one begins. Wherever the power fails, the disk boots as before (nothing
//! was done yet), or not at all, or is whole. Data that are kept are in the table at any time, and no byte of them is
//! written.

use std::io::{self, BufReader, Read, SeekFrom, Write};

use dolmen_image_bundle::{Bundle, BundleError, Hash, PartName, PartReader, ReleaseKey, SignedManifest};
use dolmen_image_disk::{
    gpt::{ALIGNMENT, GptError},
    verity::{self, VerityError},
};

use crate::{
    boot_files::{BOOT_LOADER, LOADER_CONF, LOADER_CONF_TEXT, uki_path},
    disk::{Disk, Section, bytes_of, write_zeros},
    erase::{self, Erased},
    esp::{self, EspError, Format, Held},
    layout::{self, ESP, SLOTS},
    limits::{BOOT_FILE_BYTES_MAX, CHUNK_BYTES},
    mark,
    plan::{Change, Plan},
};

/// Label of a box's EFI system partition.
pub const ESP_LABEL: &str = "ESP";

/// What is being done. The order is that in which it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The boot files are read from the stick.
    Read,
    /// What is on the disk is made unbootable.
    Mark,
    /// Keys and old tables are destroyed.
    Erase,
    /// The image is written to its slot.
    Slots,
    /// The slot is read back.
    Check,
    /// The data partition is emptied.
    Data,
    /// The partition table is written.
    Table,
    /// The EFI system partition is made.
    Esp,
    /// The boot sector is written.
    Boot,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step.
    pub step: Step,
    /// Bytes that are done. 0 when it begins.
    pub done: u64,
    /// Bytes in all, from the beginning of a step on. 0 where a step is short.
    pub all: u64,
}

/// A disk that is whole.
#[derive(Debug)]
pub struct Written {
    /// What became of each encrypted volume, of those that were wiped.
    pub erased: Vec<Erased>,
}

/// An installation that did not end.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}",
    if *touched {
        "the disk is not whole and does not boot; once the cause is removed, start the installer again"
    } else {
        "nothing was changed on the disk"
    }
)]
pub struct NotWritten {
    /// Whether anything was written to the disk.
    pub touched: bool,
    /// Why it did not end.
    #[source]
    pub cause: WriteError,
}

/// Why a disk is not whole.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The stick gives something wrong, or nothing.
    #[error("the stick cannot be read or is not what was checked; put it in again if it was pulled, or make a new one")]
    Stick(#[source] BundleError),
    /// The stick gives another image than before.
    #[error("the stick holds another image now than when it was checked; do not use it")]
    OtherImage,
    /// The disk gave an error.
    #[error("cannot {operation}; look for errors of the disk in the kernel's log, and replace it if there are any")]
    Disk {
        /// What was being done.
        operation: &'static str,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// What was written is not what is read.
    #[error("the disk does not give back what was written to its slot; replace it")]
    Slot(#[source] VerityError),
    /// The same, of the hashes.
    #[error("the disk does not give back the hashes that were written; replace it")]
    Hashes,
    /// The table.
    #[error("the partition table cannot be written")]
    Table(#[source] GptError),
    /// The EFI system partition.
    #[error("the EFI system partition cannot be made")]
    Esp(#[source] EspError),
    /// What was written to it is not what is read.
    #[error("the disk does not give back {0} of the EFI system partition; replace it")]
    EspFile(String),
}

/// Writes the image of a bundle to a disk as planned. `payload` is read from its beginning; it must be the bundle that
/// was checked in full, whose manifest is `checked`.
///
/// `noise` gives random bytes, `report` is told of each step when it begins, and of long ones again and again.
///
/// # Errors
///
/// [`NotWritten`], which says whether the disk is as it was.
pub fn write<D: Disk>(
    plan: &Plan,
    disk: &mut D,
    payload: impl Read,
    keys: &[ReleaseKey],
    checked: &SignedManifest,
    noise: &mut impl Read,
    report: &mut dyn FnMut(Progress),
) -> Result<Written, NotWritten> {
    let mut touched = false;
    let mut writer = Writer { plan, disk, checked, report };
    writer.run(payload, keys, noise, &mut touched).map_err(|cause| NotWritten { touched, cause })
}

struct Writer<'a, D> {
    plan: &'a Plan,
    disk: &'a mut D,
    checked: &'a SignedManifest,
    report: &'a mut dyn FnMut(Progress),
}

impl<D: Disk> Writer<'_, D> {
    fn run(
        &mut self,
        payload: impl Read,
        keys: &[ReleaseKey],
        noise: &mut impl Read,
        touched: &mut bool,
    ) -> Result<Written, WriteError> {
        self.begin(Step::Read, 0);
        let mut bundle =
            Bundle::open(BufReader::with_capacity(CHUNK_BYTES, payload), keys).map_err(WriteError::Stick)?;
        if bundle.signed_manifest().json() != self.checked.json() {
            return Err(WriteError::OtherImage);
        }
        let boot_loader = boot_file(&mut bundle, PartName::Boot)?;
        let uki = boot_file(&mut bundle, PartName::Uki)?;

        *touched = true;
        self.mark()?;
        let erased = self.erase(noise)?;
        self.slots(&mut bundle)?;
        self.check()?;
        self.empty_data()?;
        self.table()?;
        let uki_path = uki_path(&self.checked.manifest().version);
        self.esp(&[
            (BOOT_LOADER, &boot_loader),
            (LOADER_CONF, LOADER_CONF_TEXT.as_bytes()),
            (uki_path.as_str(), &uki),
        ])?;
        Ok(Written { erased })
    }

    fn mark(&mut self) -> Result<(), WriteError> {
        self.begin(Step::Mark, 0);
        let failed = disk_error("make the old boot sectors unusable");
        for at in &self.plan.old_boot_sectors {
            mark::write(self.disk, *at, self.plan.change).map_err(&failed)?;
        }
        // Only then: the new place may be in what another system boots.
        self.disk.sync().map_err(&failed)?;
        mark::write(self.disk, self.plan.boot_sector, self.plan.change).map_err(&failed)?;
        self.disk.sync().map_err(failed)
    }

    fn erase(&mut self, noise: &mut impl Read) -> Result<Vec<Erased>, WriteError> {
        let mut erased = Vec::new();
        if self.plan.change != Change::ReimageWipe {
            return Ok(erased);
        }
        self.begin(Step::Erase, 0);
        for volume in &self.plan.erase {
            erased.push(erase::crypto_erase(self.disk, volume, noise).map_err(disk_error("destroy the old keys"))?);
        }
        let failed = disk_error("remove the old partition table");
        let bytes = bytes_of(self.disk).map_err(&failed)?;
        // Both ends but the mark, which is where the first MiB ends.
        for end in [bytes - ALIGNMENT..bytes, 0..ALIGNMENT] {
            write_zeros(self.disk, end).map_err(&failed)?;
        }
        // An old volume may have been where it is.
        mark::write(self.disk, self.plan.boot_sector, self.plan.change).map_err(&failed)?;
        self.disk.sync().map_err(failed)?;
        Ok(erased)
    }

    fn slots(&mut self, bundle: &mut Bundle<impl Read>) -> Result<(), WriteError> {
        let all = [PartName::Verity, PartName::Root].map(|name| self.checked.manifest().part(name).bytes).iter().sum();
        self.begin(Step::Slots, all);
        let [(root, verity), (empty_root, empty_verity)] = SLOTS;
        let failed = disk_error("write the image to its slot");
        let mut done = 0;
        for name in [verity, root] {
            let (_, bytes) = layout::find(&self.plan.table, name).map_err(WriteError::Table)?;
            let Some(mut part) = bundle.next_part().map_err(WriteError::Stick)? else {
                return Err(WriteError::OtherImage);
            };
            let mut target = Section::new(&mut *self.disk, bytes);
            let report = &mut *self.report;
            copy(&mut part, &mut target, &mut |count| {
                done += count;
                report(Progress { step: Step::Slots, done, all });
            })?;
        }
        for name in [empty_verity, empty_root] {
            let (_, bytes) = layout::find(&self.plan.table, name).map_err(WriteError::Table)?;
            write_zeros(self.disk, bytes.start..bytes.start + verity::BLOCK_BYTES as u64).map_err(&failed)?;
        }
        self.disk.sync().map_err(failed)
    }

    fn check(&mut self) -> Result<(), WriteError> {
        let manifest = self.checked.manifest();
        let (blocks, all) = (manifest.root_blocks(), manifest.part(PartName::Root).bytes);
        self.begin(Step::Check, all);
        let failed = disk_error("read back the image");
        self.disk.forget_cached().map_err(&failed)?;
        let [(root, verity), _] = SLOTS;
        let (_, root) = layout::find(&self.plan.table, root).map_err(WriteError::Table)?;
        let (_, verity) = layout::find(&self.plan.table, verity).map_err(WriteError::Table)?;
        let part = manifest.part(PartName::Verity);
        let mut hashes = vec![0; usize::try_from(part.bytes).unwrap_or(usize::MAX)];
        self.disk.seek(SeekFrom::Start(verity.start)).map_err(&failed)?;
        self.disk.read_exact(&mut hashes).map_err(&failed)?;
        if Hash::of(&hashes) != part.sha256 {
            return Err(WriteError::Hashes);
        }
        let report = &mut *self.report;
        let mut progress = |blocks| {
            report(Progress { step: Step::Check, done: blocks * verity::BLOCK_BYTES as u64, all });
        };
        let mut data = Section::new(&mut *self.disk, root);
        verity::verify(&mut data, &mut io::Cursor::new(hashes), blocks, &manifest.root_hash, &mut progress)
            .map_err(WriteError::Slot)
    }

    fn empty_data(&mut self) -> Result<(), WriteError> {
        if let Some(bytes) = &self.plan.empty_data {
            self.begin(Step::Data, 0);
            let failed = disk_error("empty the data partition");
            write_zeros(self.disk, bytes.clone()).map_err(&failed)?;
            self.disk.sync().map_err(failed)?;
        }
        Ok(())
    }

    fn table(&mut self) -> Result<(), WriteError> {
        self.begin(Step::Table, 0);
        self.plan.table.write(self.disk, |disk| disk.sync()).map_err(WriteError::Table)
    }

    fn esp(&mut self, files: &[(&str, &[u8])]) -> Result<(), WriteError> {
        self.begin(Step::Esp, 0);
        let (partition, bytes) = layout::find(&self.plan.table, ESP).map_err(WriteError::Table)?;
        let block_size = self.plan.table.geometry().block_size();
        let (volume_id, ..) = partition.identity.guid.as_fields();
        let mut held = Held::new(Section::new(&mut *self.disk, bytes));
        let format = Format { label: ESP_LABEL, volume_id, block_size };
        esp::format(&mut held, &format).map_err(WriteError::Esp)?;
        esp::write(&mut held, files).map_err(WriteError::Esp)?;
        let failed = disk_error("write the EFI system partition");
        held.sync().map_err(&failed)?;
        held.forget_cached().map_err(&failed)?;
        let found = esp::files(&mut held).map_err(WriteError::Esp)?;
        for (path, content) in files {
            let sha256 = *Hash::of(content).as_bytes();
            if !found.iter().any(|file| file.path == *path && file.sha256 == sha256) {
                return Err(WriteError::EspFile((*path).to_owned()));
            }
        }
        (self.report)(Progress { step: Step::Boot, done: 0, all: 0 });
        held.release(block_size).map_err(failed)
    }

    fn begin(&mut self, step: Step, all: u64) {
        (self.report)(Progress { step, done: 0, all });
    }
}

/// A boot file, whole and right.
fn boot_file(bundle: &mut Bundle<impl Read>, name: PartName) -> Result<Vec<u8>, WriteError> {
    let part = bundle.next_part().map_err(WriteError::Stick)?.filter(|part| part.part().name == name);
    let mut part = part.ok_or(WriteError::OtherImage)?;
    let mut content = Vec::new();
    part.by_ref()
        .take(BOOT_FILE_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(|error| WriteError::Stick(cause(error)))?;
    Ok(content)
}

/// Copies a part, which is an error of the stick where it ends wrongly and one of the disk where that takes no more.
fn copy(
    part: &mut PartReader<'_, impl Read>,
    target: &mut impl Write,
    copied: &mut dyn FnMut(u64),
) -> Result<(), WriteError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = part.read(&mut buffer).map_err(|error| WriteError::Stick(cause(error)))?;
        if count == 0 {
            return Ok(());
        }
        target.write_all(&buffer[..count]).map_err(disk_error("write the image to its slot"))?;
        copied(count as u64);
    }
}

/// What is wrong with the bundle, out of its reader's error.
fn cause(error: io::Error) -> BundleError {
    match error.downcast() {
        Ok(cause) => cause,
        Err(source) => BundleError::Io { operation: "read the bundle", source },
    }
}

fn disk_error(operation: &'static str) -> impl Fn(io::Error) -> WriteError {
    move |source| WriteError::Disk { operation, source }
}
