//! Writing a new version to the slot that is not running.

use std::{
    cell::RefCell,
    io::{self, Read, Seek, Write},
    ops::Range,
};

use dolmen_image_bundle::{Hash, Part, PartName, ReleaseKey};
use dolmen_image_disk::verity;
use semver::Version;

use crate::{
    Disk, EntryName, Esp, Floor, Tries, UpdateError, Updater,
    limits::{CHUNK_BYTES, TRIES, UKI_BYTES_MAX},
    plan::{Meter, Plan, open, skip},
    region::Region,
    ukis,
    updater::{BOOT_FILE, BOOT_FOLDER, staged},
};

impl<D: Disk, E: Esp> Updater<D, E> {
    /// Updates the box: the next start is that of the new version, which is said. The steps are on the
    /// [first page](crate).
    ///
    /// The bundle is read twice, from its beginning: once to see that all of it is right, so that a damaged one costs
    /// nothing, and once to write it. `keys` are those of the running image, which its root hash vouches for. `progress`
    /// is told how many bytes are read and written, and how many will be.
    ///
    /// # Errors
    ///
    /// Refusals change nothing: [`UpdateError::Bundle`], [`UpdateError::NotNewer`], [`UpdateError::SecurityVersion`],
    /// [`UpdateError::SlotTooSmall`], [`UpdateError::OnTrial`] and others. From then on
    /// [`UpdateError::EspFull`], [`UpdateError::ReadBack`] and [`UpdateError::Io`] may leave the other slot empty, and
    /// what is running starts again. After an error of the very last step, that may be the new version.
    pub fn apply(
        &mut self,
        bundle: &mut (impl Read + Seek),
        keys: &[ReleaseKey],
        floor: &mut dyn Floor,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Version, UpdateError> {
        self.lock()?;
        let mut meter = Meter::new(progress);
        let plan = self.plan(bundle, keys, floor, &mut meter)?;
        self.clear(&plan)?;
        let written = self.write(&plan, bundle, keys, &mut meter).and_then(|()| self.switch(&plan));
        if written.is_err() {
            // Its error counts, not one of tidying up.
            let _ = self.remove_staged();
        }
        written?;
        Ok(plan.signed.manifest().version.clone())
    }

    /// Takes away what could start the other slot, and what a killed run left.
    fn clear(&mut self, plan: &Plan) -> Result<(), UpdateError> {
        for file in ukis::ours(&self.esp)?.iter().filter(|file| !plan.keep.contains(file)) {
            self.esp.remove(&ukis::path(file)).map_err(UpdateError::io("remove a file from the ESP"))?;
        }
        self.esp.sync(ukis::FOLDER).map_err(UpdateError::io("remove a file from the ESP"))?;
        self.remove_staged()?;
        // There is only one left to start. After a roll-back it was named; from here on the newest counts again.
        self.pin(None)
    }

    /// Writes all parts where nobody looks for them yet, and reads them back.
    fn write(
        &mut self,
        plan: &Plan,
        bundle: &mut (impl Read + Seek),
        keys: &[ReleaseKey],
        meter: &mut Meter<'_>,
    ) -> Result<(), UpdateError> {
        let mut bundle = open(bundle, keys)?;
        if *bundle.signed_manifest() != plan.signed {
            return Err(UpdateError::BundleChanged);
        }
        while let Some(part) = bundle.next_part()? {
            let what = *part.part();
            let part = meter.of(part);
            match what.name {
                PartName::Boot if !plan.new_boot => skip(part)?,
                PartName::Boot => self.stage_part(BOOT_FOLDER, &what, part)?,
                PartName::Uki => self.stage_part(ukis::FOLDER, &what, part)?,
                PartName::Verity => self.fill(plan.slots.bytes_of(&plan.slots.other.verity), part)?,
                PartName::Root => self.fill(plan.slots.bytes_of(&plan.slots.other.root), part)?,
            }
        }
        self.read_back(plan, meter)
    }

    fn stage_part(&mut self, folder: &str, what: &Part, mut part: impl Read) -> Result<(), UpdateError> {
        self.stage(folder, &mut part)?;
        let path = staged(folder);
        let written = self.esp.read(&path, UKI_BYTES_MAX).map_err(UpdateError::io("read from the ESP"))?;
        if Hash::of(&written) != what.sha256 {
            return Err(UpdateError::EspReadBack(path));
        }
        self.esp.sync(folder).map_err(UpdateError::io("write to the ESP"))
    }

    /// Writes a part to a partition, which has room for it.
    fn fill(&mut self, place: Range<u64>, mut part: impl Read) -> Result<(), UpdateError> {
        let disk = RefCell::new(&mut self.disk);
        let mut region = Region::new(&disk, place);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = fill_chunk(&mut part, &mut chunk).map_err(UpdateError::reading("read the bundle"))?;
            if count == 0 {
                return Ok(());
            }
            region.write_all(&chunk[..count]).map_err(UpdateError::io("write to the slot"))?;
        }
    }

    /// Whether the medium has what the root hash vouches for.
    fn read_back(&mut self, plan: &Plan, meter: &mut Meter<'_>) -> Result<(), UpdateError> {
        let synced = self.disk.sync().and_then(|()| self.disk.forget());
        synced.map_err(UpdateError::io("write to the slot"))?;
        let manifest = plan.signed.manifest();
        let slot = &plan.slots.other;
        let disk = RefCell::new(&mut self.disk);
        let mut root = Region::new(&disk, plan.slots.bytes_of(&slot.root));
        let mut hashes = Region::new(&disk, plan.slots.bytes_of(&slot.verity));
        let mut before = 0;
        let mut progress = |blocks: u64| {
            meter.add((blocks - before) * verity::BLOCK_BYTES as u64);
            before = blocks;
        };
        verity::verify(&mut root, &mut hashes, manifest.root_blocks(), &manifest.root_hash, &mut progress)
            .map_err(|source| UpdateError::ReadBack { slot: slot.name, source })
    }

    /// Gives everything its name, what starts it last.
    fn switch(&mut self, plan: &Plan) -> Result<(), UpdateError> {
        plan.table.write(&mut self.disk, Disk::sync).map_err(UpdateError::WriteTable)?;
        if plan.new_boot {
            self.publish(BOOT_FOLDER, BOOT_FILE)?;
        }
        let version = plan.signed.manifest().version.clone();
        let name = EntryName { version, tries: Some(Tries { left: TRIES, done: 0 }) };
        self.publish(ukis::FOLDER, &name.to_string())
    }
}

/// Reads until the chunk is full or nothing is left, so that a disk is given large pieces.
fn fill_chunk(reader: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match reader.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
