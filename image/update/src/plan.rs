//! Looking before anything is changed: whether the bundle is right and for this box, and whether there is room.

use std::io::{self, BufReader, Read, Seek};

use dolmen_image_bundle::{Bundle, Hash, Manifest, PartName, PartReader, ReleaseKey, SecurityVersion, SignedManifest};
use dolmen_image_disk::gpt::Gpt;

use crate::{
    Disk, Esp, Floor, UpdateError, Updater,
    limits::BOOT_BYTES_MAX,
    slots::Slots,
    ukis::{self, Uki},
    updater::{BOOT_FILE, BOOT_FOLDER},
};

/// What is to be done. Holding one says that the bundle was right when it was read, and that this box may have it.
pub(crate) struct Plan {
    pub(crate) signed: SignedManifest,
    pub(crate) slots: Slots,
    /// The table after it.
    pub(crate) table: Gpt,
    /// Files of the UKIs that are running, which stay.
    pub(crate) keep: Vec<String>,
    /// Whether the boot loader is another.
    pub(crate) new_boot: bool,
}

/// Counts bytes for whoever watches.
pub(crate) struct Meter<'a> {
    done: u64,
    all: u64,
    report: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Meter<'a> {
    pub(crate) fn new(report: &'a mut dyn FnMut(u64, u64)) -> Self {
        Self { done: 0, all: 0, report }
    }

    pub(crate) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        (self.report)(self.done, self.all);
    }

    /// Passes a reader's bytes on and counts them.
    pub(crate) const fn of<'m, R>(&'m mut self, reader: R) -> Metered<'m, 'a, R> {
        Metered { reader, meter: self }
    }
}

/// See [`Meter::of`].
pub(crate) struct Metered<'m, 'a, R> {
    reader: R,
    meter: &'m mut Meter<'a>,
}

impl<R: Read> Read for Metered<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.meter.add(count as u64);
        Ok(count)
    }
}

/// Begins a bundle.
pub(crate) fn open<'a, R: Read + Seek>(
    bundle: &'a mut R,
    keys: &[ReleaseKey],
) -> Result<Bundle<BufReader<&'a mut R>>, UpdateError> {
    bundle.rewind().map_err(UpdateError::io("read the bundle"))?;
    Ok(Bundle::open(BufReader::new(bundle), keys)?)
}

/// Reads a part for nothing but to check it.
pub(crate) fn skip(mut part: impl Read) -> Result<(), UpdateError> {
    io::copy(&mut part, &mut io::sink()).map(drop).map_err(UpdateError::reading("read the bundle"))
}

impl<D: Disk, E: Esp> Updater<D, E> {
    /// Reads all of the bundle, and looks at the box.
    pub(crate) fn plan(
        &mut self,
        bundle: &mut (impl Read + Seek),
        keys: &[ReleaseKey],
        floor: &mut dyn Floor,
        meter: &mut Meter<'_>,
    ) -> Result<Plan, UpdateError> {
        let mut bundle = open(bundle, keys)?;
        let signed = bundle.signed_manifest().clone();
        let manifest = signed.manifest();
        let floor = floor.read().map_err(|source| {
            let operation = "read the lowest security version that this box opens its data to";
            UpdateError::Floor { operation, source }
        })?;
        self.check_version(manifest, floor)?;
        let slots = Slots::read(&mut self.disk, &self.running.root_hash)?;
        check_room(manifest, &slots)?;
        let table = slots.renamed(&manifest.root_hash)?;
        let keep = self.running_ukis()?;
        let new_boot = self.is_new_boot(&manifest.part(PartName::Boot).sha256)?;
        // Read, write, and read the root file system back.
        meter.all = 2 * manifest.parts_bytes() + manifest.part(PartName::Root).bytes;
        while let Some(part) = bundle.next_part()? {
            match part.part().name {
                PartName::Uki => check_uki(part, manifest, meter)?,
                _ => skip(meter.of(part))?,
            }
        }
        bundle.end()?;
        Ok(Plan { slots, table, keep, new_boot, signed })
    }

    fn check_version(&self, manifest: &Manifest, floor: Option<SecurityVersion>) -> Result<(), UpdateError> {
        let floor = floor.map_or(self.running.security_version, |floor| floor.max(self.running.security_version));
        if manifest.security_version < floor {
            let found = manifest.security_version;
            return Err(UpdateError::SecurityVersion { what: "the update", found, floor });
        }
        if manifest.version <= self.running.version {
            let (found, running) = (manifest.version.clone(), self.running.version.clone());
            return Err(UpdateError::NotNewer { found, running });
        }
        if manifest.root_hash == self.running.root_hash {
            return Err(UpdateError::SameRoot);
        }
        Ok(())
    }

    /// Names of the files with the running root hash, one as a rule. None is on trial.
    fn running_ukis(&self) -> Result<Vec<String>, UpdateError> {
        let mut ukis = ukis::read(&self.esp)?;
        ukis.retain(|file| file.uki.root_hash == self.running.root_hash);
        if ukis.is_empty() {
            return Err(UpdateError::NoRunningUki(self.running.root_hash));
        }
        if ukis.iter().all(|file| file.name.tries.is_some()) {
            return Err(UpdateError::OnTrial);
        }
        Ok(ukis.into_iter().map(|file| file.file).collect())
    }

    fn is_new_boot(&self, sha256: &Hash) -> Result<bool, UpdateError> {
        match self.esp.read(&format!("{BOOT_FOLDER}/{BOOT_FILE}"), BOOT_BYTES_MAX) {
            Ok(bytes) => Ok(Hash::of(&bytes) != *sha256),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => Ok(true),
            Err(source) => Err(UpdateError::Io { operation: "read the boot loader on the ESP", source }),
        }
    }
}

fn check_room(manifest: &Manifest, slots: &Slots) -> Result<(), UpdateError> {
    for (name, partition) in [(PartName::Root, &slots.other.root), (PartName::Verity, &slots.other.verity)] {
        let place = slots.bytes_of(partition);
        let (bytes, room) = (manifest.part(name).bytes, place.end - place.start);
        if bytes > room {
            return Err(UpdateError::SlotTooSmall { part: name.as_str(), bytes, slot: slots.other.name, room });
        }
    }
    Ok(())
}

/// A UKI that starts another root file system, or that systemd-boot sorts otherwise, would make the update one of no
/// effect, or worse.
fn check_uki<R: Read>(part: PartReader<'_, R>, manifest: &Manifest, meter: &mut Meter<'_>) -> Result<(), UpdateError> {
    let mut bytes = Vec::new();
    meter.of(part).read_to_end(&mut bytes).map_err(UpdateError::reading("read the bundle"))?;
    let uki = Uki::parse(&bytes)?;
    for (what, uki, manifest) in [
        ("version", uki.version.to_string(), manifest.version.to_string()),
        ("security version", uki.security_version.to_string(), manifest.security_version.to_string()),
        ("root hash", uki.root_hash.to_string(), manifest.root_hash.to_string()),
    ] {
        if uki != manifest {
            return Err(UpdateError::UkiDiffers { what, uki, manifest });
        }
    }
    Ok(())
}
