//! A box in memory: a disk and an ESP that keep a record of what is done to them, lose power, and start again.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    rc::Rc,
};

use dolmen_image_bundle::{SecurityVersion, Version};
use dolmen_image_disk::{
    gpt::{Attributes, BlockSize, Geometry, Gpt, Identity, PartitionName, PartitionType, Uuid},
    verity::{self, RootHash, Superblock},
};
use dolmen_image_uki::pe::Image as Pe;
use dolmen_image_update::{Disk, EntryName, Esp, Floor, FloorError, Tries, UpdateError, Updater};

use crate::images::{Image, keys};

const MIB: usize = 1 << 20;
const SECTOR: usize = 512;

/// What is on the media.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) disk: Vec<u8>,
    /// By path, in lower case as FAT compares names; with the name as it is written.
    pub(crate) esp: BTreeMap<String, (String, Vec<u8>)>,
}

/// What was done to them.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Sector(usize, Vec<u8>),
    DiskSync,
    Put(String, Vec<u8>),
    FileSync(String),
    Rename(String, String),
    Remove(String),
    FolderSync(String),
}

/// A box with whatever happens to it.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) log: Vec<Event>,
    /// How many events succeed before one fails.
    pub(crate) fails_at: Option<usize>,
    /// Bytes that the ESP has room for.
    pub(crate) esp_bytes: usize,
    /// A byte of the disk that flips once everything is on the medium.
    pub(crate) rots_at: Option<usize>,
    /// A file of the ESP that loses its last byte once it is on the medium.
    pub(crate) rotten: Option<&'static str>,
    pub(crate) locked: bool,
}

impl State {
    /// A box that was installed with an image in slot A.
    pub(crate) fn installed(image: &Image) -> Self {
        let geometry = Geometry::new(BlockSize::Bytes512, 8 * MIB as u64).expect("room for a table");
        let mut table = Gpt::new(geometry, Uuid::from_bytes([9; 16]));
        let (root, hashes) = (PartitionType::ROOT_X86_64, PartitionType::ROOT_X86_64_VERITY);
        for (name, kind, guid) in [
            ("esp", PartitionType::ESP, Uuid::from_bytes([1; 16])),
            ("slot-a", root, image.root_hash.root_guid()),
            ("slot-a-verity", hashes, image.root_hash.verity_guid()),
            ("slot-b", root, Uuid::from_bytes([4; 16])),
            ("slot-b-verity", hashes, Uuid::from_bytes([5; 16])),
            ("data", PartitionType::LINUX_DATA, Uuid::from_bytes([6; 16])),
        ] {
            let name = PartitionName::new(name).expect("short");
            let identity = Identity { kind, guid, attributes: Attributes::READ_ONLY, name };
            table.append(identity, MIB as u64).expect("8 MiB are enough");
        }
        let mut disk = vec![0; 8 * MIB];
        table.write(&mut Cursor::new(&mut disk[..]), |_| Ok(())).expect("memory");
        disk[2 * MIB..2 * MIB + image.root.len()].copy_from_slice(&image.root);
        disk[3 * MIB..3 * MIB + image.verity.len()].copy_from_slice(&image.verity);
        disk[6 * MIB..7 * MIB].fill(0xda);
        let mut state = Self { disk, esp: BTreeMap::new() };
        state.put("EFI/BOOT/BOOTX64.EFI", &image.boot);
        state.put(&format!("EFI/Linux/dolmen_{}.efi", image.version), &image.uki);
        state.put("loader/loader.conf", b"timeout 0\neditor no\n");
        state
    }

    pub(crate) fn put(&mut self, path: &str, content: &[u8]) {
        self.esp.insert(path.to_lowercase(), (path.to_owned(), content.to_vec()));
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let Some((_, content)) = self.esp.remove(&from.to_lowercase()) {
            self.put(to, &content);
        }
    }

    /// Names of UKIs.
    pub(crate) fn entries(&self) -> Vec<String> {
        let names = self.esp.values().map(|(path, _)| path);
        names.filter_map(|path| path.strip_prefix("EFI/Linux/").map(str::to_owned)).collect()
    }

    /// Whether the root hash finds its slot and vouches for all of it.
    pub(crate) fn has(&self, root_hash: &RootHash) -> Result<(), String> {
        let found = Gpt::read(&mut Cursor::new(&self.disk), BlockSize::Bytes512).map_err(|error| error.to_string())?;
        let region = |guid| {
            let partition = found.table.by_guid(guid).ok_or(format!("no partition {guid}"))?;
            let bytes = found.table.bytes_of(partition);
            let index = |at| usize::try_from(at).expect("8 MiB");
            Ok::<_, String>(&self.disk[index(bytes.start)..index(bytes.end)])
        };
        let (root, hashes) = (region(root_hash.root_guid())?, region(root_hash.verity_guid())?);
        let blocks = Superblock::read(&mut Cursor::new(hashes)).map_err(|error| error.to_string())?.data_blocks;
        verity::verify(&mut &root[..], &mut Cursor::new(hashes), blocks, root_hash, &mut |_| {})
            .map_err(|error| error.to_string())
    }

    /// Starts as firmware, systemd-boot and the initrd do: what was started, with its counter counted down.
    pub(crate) fn start(&mut self, loaders: &[&[u8]]) -> Result<Version, String> {
        let content = |path: &str| self.esp.get(path).map(|(_, content)| &content[..]);
        let boot = content("efi/boot/bootx64.efi").ok_or("no boot loader")?;
        if !loaders.contains(&boot) {
            return Err("a broken boot loader".into());
        }
        let conf = String::from_utf8(content("loader/loader.conf").ok_or("no loader.conf")?.to_vec()).expect("text");
        let default = conf.lines().filter_map(|line| line.strip_prefix("default ")).next_back().map(str::to_owned);
        let mut entries: Vec<(String, EntryName)> =
            self.entries().into_iter().filter_map(|file| EntryName::parse(&file).map(|name| (file, name))).collect();
        let bad = |name: &EntryName| name.tries.is_some_and(|tries| tries.left == 0);
        entries.sort_by(|(_, a), (_, b)| bad(a).cmp(&bad(b)).then(b.version.cmp(&a.version)));
        let pinned = entries.iter().position(|(file, _)| Some(file) == default.as_ref()).unwrap_or(0);
        let (file, name) = entries.get(pinned).ok_or("no UKI")?.clone();
        let path = format!("EFI/Linux/{file}");
        let uki = content(&path.to_lowercase()).ok_or("no such UKI")?;
        let uki = Pe::parse(uki).map_err(|error| format!("{file}: {error}"))?;
        let cmdline = uki.section(".cmdline").map(|section| uki.data(section)).ok_or("no command line")?;
        let cmdline = String::from_utf8(cmdline.to_vec()).expect("text");
        let hash = cmdline.split(' ').find_map(|word| word.strip_prefix("roothash=")).ok_or("no root hash")?;
        self.has(&hash.parse().expect("a root hash")).map_err(|error| format!("{file}: {error}"))?;
        if let Some(Tries { left, done }) = name.tries {
            let tries = Some(Tries { left: left.saturating_sub(1), done: done + 1 });
            let counted = EntryName { tries, ..name.clone() };
            self.rename(&path, &format!("EFI/Linux/{counted}"));
        }
        Ok(name.version)
    }

    /// What is there when power fails after the first `done` events of `log`, which began here. What was not synced by
    /// then is there or not, as `kept` says, sector by sector and name by name.
    pub(crate) fn after(&self, log: &[Event], done: usize, kept: &mut dyn FnMut() -> bool) -> Self {
        let mut state = self.clone();
        for (at, event) in log[..done].iter().enumerate() {
            let later = &log[at..done];
            match event {
                Event::Sector(at, bytes) => {
                    if later.iter().any(|event| matches!(event, Event::DiskSync)) || kept() {
                        state.disk[*at..at + SECTOR].copy_from_slice(bytes);
                    }
                }
                Event::Put(path, content) => {
                    if later.iter().any(|event| matches!(event, Event::FileSync(synced) if synced == path)) {
                        state.put(path, content);
                    } else if kept() {
                        state.put(path, &content[..if kept() { content.len() / 2 } else { 0 }]);
                    }
                }
                Event::Rename(from, to) => {
                    if synced(later, to) || kept() {
                        state.rename(from, to);
                    }
                }
                Event::Remove(path) => {
                    if synced(later, path) || kept() {
                        state.esp.remove(&path.to_lowercase());
                    }
                }
                Event::DiskSync | Event::FileSync(_) | Event::FolderSync(_) => {}
            }
        }
        state
    }
}

fn synced(later: &[Event], path: &str) -> bool {
    let folder = path.rsplit_once('/').map(|(folder, _)| folder);
    later.iter().any(|event| matches!(event, Event::FolderSync(synced) if Some(&synced[..]) == folder))
}

impl World {
    pub(crate) fn new(state: State) -> Rc<RefCell<Self>> {
        let (log, fails_at, rots_at, rotten) = (Vec::new(), None, None, None);
        Rc::new(RefCell::new(Self { state, log, fails_at, esp_bytes: MIB, rots_at, rotten, locked: false }))
    }

    fn note(&mut self, event: Event) -> io::Result<()> {
        if self.fails_at == Some(self.log.len()) {
            self.fails_at = None;
            return Err(io::Error::other("the medium"));
        }
        match &event {
            Event::Sector(at, bytes) => self.state.disk[*at..at + SECTOR].copy_from_slice(bytes),
            Event::Put(path, content) => self.state.put(path, content),
            Event::Rename(from, to) => self.state.rename(from, to),
            Event::Remove(path) => drop(self.state.esp.remove(&path.to_lowercase())),
            Event::DiskSync | Event::FileSync(_) | Event::FolderSync(_) => {}
        }
        self.log.push(event);
        Ok(())
    }
}

type Shared = Rc<RefCell<World>>;

/// The disk of a world.
pub(crate) struct FakeDisk(Shared, u64);
/// Its ESP.
pub(crate) struct FakeEsp(Shared);

impl Read for FakeDisk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let world = self.0.borrow();
        let mut disk = Cursor::new(&world.state.disk);
        disk.set_position(self.1);
        let count = disk.read(buffer)?;
        self.1 += count as u64;
        Ok(count)
    }
}

impl Write for FakeDisk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut at = usize::try_from(self.1).expect("8 MiB");
        assert!(at.is_multiple_of(SECTOR), "a write that is not aligned");
        let count = buffer.len().min(self.0.borrow().state.disk.len() - at);
        for piece in buffer[..count].chunks(SECTOR) {
            let mut sector = self.0.borrow().state.disk[at..at + SECTOR].to_vec();
            sector[..piece.len()].copy_from_slice(piece);
            self.0.borrow_mut().note(Event::Sector(at, sector))?;
            at += SECTOR;
        }
        self.1 += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for FakeDisk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.1 = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(0) => self.0.borrow().state.disk.len() as u64,
            other => panic!("{other:?}"),
        };
        Ok(self.1)
    }
}

impl Disk for FakeDisk {
    fn block_size(&self) -> io::Result<u64> {
        Ok(512)
    }

    fn lock(&self) -> io::Result<bool> {
        Ok(!self.0.borrow().locked)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.borrow_mut().note(Event::DiskSync)
    }

    fn forget(&mut self) -> io::Result<()> {
        let mut world = self.0.borrow_mut();
        assert!(matches!(world.log.last(), Some(Event::DiskSync)), "what is not synced cannot be read back");
        if let Some(at) = world.rots_at {
            world.state.disk[at] ^= 1;
        }
        Ok(())
    }
}

impl Esp for FakeEsp {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let world = self.0.borrow();
        let folder = format!("{folder}/");
        let files = world.state.esp.values().filter_map(|(path, _)| path.strip_prefix(&folder));
        Ok(files.map(str::to_owned).collect())
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let world = self.0.borrow();
        let (_, content) = world.state.esp.get(&path.to_lowercase()).ok_or(ErrorKind::NotFound)?;
        if content.len() as u64 > limit {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(content.clone())
    }

    fn write(&mut self, path: &str, content: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        let mut world = self.0.borrow_mut();
        let others = world.state.esp.iter().filter(|(name, _)| **name != path.to_lowercase());
        let used: usize = others.map(|(_, (_, content))| content.len()).sum();
        let room = world.esp_bytes.saturating_sub(used);
        world.note(Event::Put(path.to_owned(), bytes[..bytes.len().min(room)].to_vec()))?;
        read?;
        if bytes.len() > room {
            return Err(ErrorKind::StorageFull.into());
        }
        world.note(Event::FileSync(path.to_owned()))?;
        if world.rotten == Some(path) {
            bytes.pop();
            world.state.put(path, &bytes);
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.0.borrow_mut().note(Event::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.0.borrow_mut().note(Event::Remove(path.to_owned()))
    }

    fn sync(&mut self, folder: &str) -> io::Result<()> {
        self.0.borrow_mut().note(Event::FolderSync(folder.to_owned()))
    }
}

/// A TPM's floor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tpm {
    pub(crate) floor: Option<u8>,
    pub(crate) broken: bool,
}

impl Floor for Tpm {
    fn read(&mut self) -> Result<Option<SecurityVersion>, FloorError> {
        if self.broken { Err("no TPM".into()) } else { Ok(self.floor.and_then(SecurityVersion::new)) }
    }

    fn raise(&mut self, to: SecurityVersion) -> Result<(), FloorError> {
        self.floor = self.floor.max(Some(to.get()));
        if self.broken { Err("no TPM".into()) } else { Ok(()) }
    }
}

/// The updater of a world in which this image is running.
pub(crate) fn updater(world: &Shared, running: &Image) -> Updater<FakeDisk, FakeEsp> {
    let efivars = PathBuf::from("/nonexistent/efivars");
    Updater::new(FakeDisk(world.clone(), 0), FakeEsp(world.clone()), efivars, running.running())
}

/// Updates a world in which this image is running by a bundle.
pub(crate) fn apply(world: &Shared, running: &Image, bundle: &[u8], tpm: &mut Tpm) -> Result<Version, UpdateError> {
    updater(world, running).apply(&mut Cursor::new(bundle), &keys(), tpm, &mut |_, _| {})
}
