//! Looking at what is installed on a disk, without changing a byte of it.

use std::io::Cursor;

use dolmen_image_bundle::{Hash, Manifest, PartName};
use dolmen_image_disk::{
    gpt::Gpt,
    verity::{self, RootHash, Superblock, VerityError},
};

use crate::{
    boot_files::{BOOT_LOADER, LOADER_CONF, LOADER_CONF_TEXT, is_uki_of},
    disk::{Disk, Section, read_at},
    esp::{self, EspError, EspFile},
    layout::{self, ESP, SLOTS},
    limits::HASH_BYTES_MAX,
};

/// What a slot holds.
#[derive(Debug)]
pub enum Slot {
    /// Nothing: there is no hash tree.
    Empty,
    /// An image, every block of which is as its root hash says.
    Whole {
        /// The root hash, by the partitions' GUIDs.
        root: RootHash,
        /// Whether it is the image of the bundle.
        of_bundle: bool,
    },
    /// An image with a block that was changed, or whose hashes were.
    Damaged {
        /// The root hash that it should have.
        root: RootHash,
        /// What is wrong.
        cause: VerityError,
    },
}

/// What is in the EFI system partition, compared with a bundle.
#[derive(Debug)]
pub struct Esp {
    /// All of its files.
    pub files: Vec<EspFile>,
    /// Whether the boot loader is the bundle's.
    pub boot_loader: bool,
    /// Whether the bundle's UKI is there, whatever tries it has left.
    pub uki: bool,
    /// Whether the boot loader's settings are those that an installation makes.
    pub settings: bool,
}

/// A box's disk, looked at.
#[derive(Debug)]
pub struct Findings {
    /// Both slots.
    pub slots: [Slot; 2],
    /// The EFI system partition, or why it cannot be read.
    pub esp: Result<Esp, EspError>,
}

impl Findings {
    /// Whether the disk holds the bundle's image and boots it: a slot with it, and the boot files. The other slot may be
    /// empty or hold another image, and must not be damaged.
    #[must_use]
    pub fn is_bundle(&self) -> bool {
        let damaged = self.slots.iter().any(|slot| matches!(slot, Slot::Damaged { .. }));
        let holds = self.slots.iter().any(|slot| matches!(slot, Slot::Whole { of_bundle: true, .. }));
        let boots = self.esp.as_ref().is_ok_and(|esp| esp.boot_loader && esp.uki && esp.settings);
        holds && boots && !damaged
    }
}

/// Looks at a box's disk: every block of both slots, and every file of the EFI system partition.
///
/// That a slot is whole says that it is what its partitions' GUIDs say, which whoever changes the one can change too:
/// only the bundle's root hash is signed. `progress` is told of bytes that were read, and of how many there are in all.
///
/// # Errors
///
/// [`VerityError::Io`] where the disk cannot be read, which says nothing about what is on it.
pub fn look(
    disk: &mut impl Disk,
    table: &Gpt,
    manifest: &Manifest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Findings, VerityError> {
    let mut slots = Vec::new();
    for (number, (root, verity)) in SLOTS.into_iter().enumerate() {
        let slot = number as u64;
        let mut progress = |bytes: u64, all: u64| progress(slot * all + bytes, SLOTS.len() as u64 * all);
        slots.push(look_at_slot(disk, table, root, verity, manifest, &mut progress)?);
    }
    let esp = look_at_esp(disk, table, manifest);
    let slots = <[Slot; 2]>::try_from(slots).unwrap_or([Slot::Empty, Slot::Empty]);
    Ok(Findings { slots, esp })
}

fn look_at_slot(
    disk: &mut impl Disk,
    table: &Gpt,
    root_name: &str,
    verity_name: &str,
    manifest: &Manifest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Slot, VerityError> {
    let (Ok((root_partition, root_bytes)), Ok((verity_partition, verity_bytes))) =
        (layout::find(table, root_name), layout::find(table, verity_name))
    else {
        return Ok(Slot::Empty);
    };
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(root_partition.identity.guid.as_bytes());
    hash[16..].copy_from_slice(verity_partition.identity.guid.as_bytes());
    let root = RootHash::from_bytes(hash);
    let of_bundle = root == manifest.root_hash;
    let superblock = Superblock::read(&mut Section::new(&mut *disk, verity_bytes.clone()));
    let blocks = match superblock {
        Err(VerityError::NoSuperblock) => return Ok(Slot::Empty),
        Err(error @ VerityError::Io { .. }) => return Err(error),
        Err(cause) => return Ok(Slot::Damaged { root, cause }),
        // The bundle's manifest knows it for sure; of another image its own superblock must be believed, as far as there
        // is room.
        Ok(_) if of_bundle => manifest.root_blocks(),
        Ok(superblock) => superblock.data_blocks,
    };
    let block_bytes = verity::BLOCK_BYTES as u64;
    let room = (root_bytes.end - root_bytes.start) / block_bytes;
    let hash_bytes = match verity::hash_device_bytes(blocks) {
        Ok(bytes) if blocks <= room && bytes <= HASH_BYTES_MAX.min(verity_bytes.end - verity_bytes.start) => bytes,
        _ => return Ok(Slot::Damaged { root, cause: VerityError::DataBlocks(blocks) }),
    };
    let hashes = read_at(disk, verity_bytes.start, usize::try_from(hash_bytes).unwrap_or(usize::MAX));
    let mut hashes = hashes.map_err(|source| VerityError::Io { operation: "read hash block", block: 0, source })?;
    let mut hashes = Cursor::new(&mut hashes);
    let mut data = Section::new(&mut *disk, root_bytes);
    let mut report = |done| progress(done * block_bytes, blocks * block_bytes);
    match verity::verify(&mut data, &mut hashes, blocks, &root, &mut report) {
        Ok(()) => Ok(Slot::Whole { root, of_bundle }),
        Err(error @ VerityError::Io { .. }) => Err(error),
        Err(cause) => Ok(Slot::Damaged { root, cause }),
    }
}

fn look_at_esp(disk: &mut impl Disk, table: &Gpt, manifest: &Manifest) -> Result<Esp, EspError> {
    let missing = |error| EspError::NoFileSystem(std::io::Error::other(error));
    let (_, bytes) = layout::find(table, ESP).map_err(missing)?;
    let files = esp::files(&mut Section::new(disk, bytes))?;
    let has = |part: PartName, is: &dyn Fn(&str) -> bool| {
        files.iter().any(|file| is(&file.path) && file.sha256 == *manifest.part(part).sha256.as_bytes())
    };
    let settings = *Hash::of(LOADER_CONF_TEXT.as_bytes()).as_bytes();
    Ok(Esp {
        boot_loader: has(PartName::Boot, &|path| path.eq_ignore_ascii_case(BOOT_LOADER)),
        uki: has(PartName::Uki, &|path| is_uki_of(path, &manifest.version)),
        settings: files.iter().any(|file| file.path == LOADER_CONF && file.sha256 == settings),
        files,
    })
}
