//! Machines of which a test says what is in them, and sticks.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::PathBuf,
    rc::Rc,
    time::Duration,
};

use dolmen_image_bundle::answer;
use dolmen_image_console::{Closed, Front, Key, Language, Script, Size, View};
use dolmen_image_disk::gpt::{
    Attributes, BlockSize, Geometry, Gpt, Identity as PartitionIdentity, Partition, PartitionName, PartitionType, Uuid,
};
use dolmen_image_installer::{
    disk::{Disk, Section},
    esp::{self, Format},
    identity::Identity,
    machine::Machine,
    session,
    stick::{LABEL, PAYLOAD, Stick, StickFiles},
    target::DiskFacts,
};

use crate::{
    image::{Image, MIB, keys, signer},
    medium::Medium,
};
pub(crate) use dolmen_image_boot::power::Power;

pub(crate) const UUID: &str = "4c4c4544-0044-4d10-8056-b4c04f4d3533";

/// A disk that several have open.
#[derive(Clone)]
pub(crate) struct Handle {
    medium: Rc<RefCell<Medium>>,
    position: u64,
}

impl Handle {
    fn at<T>(&mut self, act: impl FnOnce(&mut Medium) -> T) -> T {
        let mut medium = self.medium.borrow_mut();
        medium.position = self.position;
        let result = act(&mut medium);
        self.position = medium.position;
        result
    }
}

impl Read for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.at(|medium| medium.read(buffer))
    }
}

impl Write for Handle {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.at(|medium| medium.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Handle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at(|medium| medium.seek(to))
    }
}

impl Disk for Handle {
    fn sync(&mut self) -> io::Result<()> {
        self.at(Medium::sync)
    }

    fn forget_cached(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&mut self, bytes: Range<u64>) -> io::Result<()> {
        self.at(|medium| medium.discard(bytes))
    }
}

/// A machine in memory.
pub(crate) struct Memory {
    pub(crate) disks: BTreeMap<String, (DiskFacts, Rc<RefCell<Medium>>)>,
    pub(crate) identity: Identity,
    pub(crate) floor: Result<Option<u8>, String>,
    pub(crate) booted_from: Option<Uuid>,
    pub(crate) started_next: Option<Partition>,
    pub(crate) root: PathBuf,
    now: Duration,
}

impl Memory {
    /// One with a stick and no other disk.
    pub(crate) fn with(stick: Medium) -> Self {
        let mut machine = Self {
            disks: BTreeMap::new(),
            identity: Identity::of(Some(UUID), Some("7DMSM53")),
            floor: Ok(None),
            booted_from: None,
            started_next: None,
            root: "/nowhere".into(),
            now: Duration::from_secs(5),
        };
        machine.put("sda", stick);
        machine.facts("sda").usb = true;
        machine
    }

    /// With another disk.
    pub(crate) fn put(&mut self, name: &str, medium: Medium) {
        let facts = DiskFacts {
            name: name.to_owned(),
            path: format!("/dev/{name}").into(),
            bytes: medium.bytes,
            block_size: Some(medium.block_size),
            model: "Model".to_owned(),
            serial: format!("SN-{name}"),
            ids: vec![],
            usb: false,
            removable: false,
            read_only: false,
            stick: false,
        };
        self.disks.insert(name.to_owned(), (facts, Rc::new(RefCell::new(medium))));
    }

    pub(crate) fn facts(&mut self, name: &str) -> &mut DiskFacts {
        &mut self.disks.get_mut(name).expect("a disk of this machine").0
    }

    pub(crate) fn disk(&self, name: &str) -> Medium {
        self.disks[name].1.borrow().clone()
    }

    pub(crate) fn change(&self, name: &str, act: impl FnOnce(&mut Medium)) {
        act(&mut self.disks[name].1.borrow_mut());
    }

    /// Switches it on, with somebody who types this, each key when a dialog waits for one.
    pub(crate) fn start(&mut self, typed: &str) -> (Power, Script) {
        let (power, script, left) = self.start_with_some_of(typed);
        assert!(left.is_empty(), "nobody asked for {left:?}: {}", script.text());
        (power, script)
    }

    /// The same, with somebody who may type more than is asked for; what was not comes back.
    pub(crate) fn start_with_some_of(&mut self, typed: &str) -> (Power, Script, String) {
        let mut typist = Typist { script: Script::new(Size::SERIAL, ""), typed: typed.chars().collect() };
        let power = session::run(self, &mut typist, &keys(), "0.1.0");
        (power, typist.script, typist.typed.into_iter().collect())
    }

    /// A file of the stick's folder.
    pub(crate) fn file(&self, name: &str) -> Option<Vec<u8>> {
        files(&mut self.disk("sda")).read(name, 64 * MIB).expect("a FAT")
    }
}

impl Machine for Memory {
    type Disk = Handle;

    fn disks(&mut self) -> io::Result<Vec<DiskFacts>> {
        Ok(self.disks.values().map(|(facts, _)| facts.clone()).collect())
    }

    fn open(&mut self, disk: &DiskFacts) -> io::Result<Handle> {
        Ok(Handle { medium: self.disks[&disk.name].1.clone(), position: 0 })
    }

    fn open_to_write(&mut self, disk: &DiskFacts) -> io::Result<Handle> {
        if self.disks[&disk.name].1.borrow().read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.open(disk)
    }

    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn booted_from(&self) -> Option<Uuid> {
        self.booted_from
    }

    fn security_floor(&mut self) -> Result<Option<u8>, String> {
        self.floor.clone()
    }

    fn start_next_from(&mut self, esp: &Partition) -> Result<(), String> {
        self.started_next = Some(esp.clone());
        Ok(())
    }

    fn noise(&mut self) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Counting(0)))
    }

    fn uptime(&self) -> Duration {
        self.now
    }

    fn time(&self) -> u64 {
        1_790_000_000
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn root(&self) -> PathBuf {
        self.root.clone()
    }
}

/// Somebody who waits to be asked: what is typed while something is under way is lost.
struct Typist {
    script: Script,
    typed: VecDeque<char>,
}

impl Front for Typist {
    fn turn(&mut self, view: &dyn View, wait: Duration) -> Result<Option<Key>, Closed> {
        if wait.is_zero() {
            return self.script.turn(view, wait);
        }
        while let Some(key) = self.typed.pop_front() {
            self.script.types(key.to_string());
            // A tab is seen by nobody but the screen.
            if let Some(key) = self.script.turn(view, Duration::ZERO)? {
                return Ok(Some(key));
            }
        }
        self.script.turn(view, wait)
    }

    fn print(&mut self, line: &str) {
        self.script.print(line);
    }

    fn speak(&mut self, language: Language) {
        self.script.speak(language);
    }
}

/// Bytes that make no GUID twice.
struct Counting(u8);

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for byte in &mut *buffer {
            self.0 = self.0.wrapping_mul(5).wrapping_add(17);
            *byte = self.0;
        }
        Ok(buffer.len())
    }
}

/// A stick with a payload and files in its folder.
pub(crate) fn stick(payload: &[u8], files_on_it: &[(&str, &[u8])]) -> Medium {
    let payload_bytes = (payload.len() as u64).next_multiple_of(MIB);
    let bytes = 67 * MIB + payload_bytes;
    let mut medium = Medium::new(bytes);
    let geometry = Geometry::new(BlockSize::Bytes512, bytes).expect("a large disk");
    let mut table = Gpt::new(geometry, Uuid::from_u128(1));
    let mut append = |name, kind, guid, bytes| {
        let name = PartitionName::new(name).expect("a short name");
        let identity = PartitionIdentity { kind, guid: Uuid::from_u128(guid), attributes: Attributes::NONE, name };
        let partition = table.append(identity, bytes).expect("room").clone();
        table.bytes_of(&partition)
    };
    let fat = append("esp", PartitionType::ESP, 2, 64 * MIB);
    let part = append(PAYLOAD, PartitionType::LINUX_DATA, 3, payload_bytes);
    table.write(&mut medium, |_| Ok(())).expect("memory");
    medium.put(part.start, payload);
    let format = Format { label: LABEL, volume_id: 7, block_size: BlockSize::Bytes512 };
    let mut section = Section::new(&mut medium, fat);
    esp::format(&mut section, &format).expect("memory");
    esp::write(&mut section, &[("EFI/BOOT/BOOTX64.EFI", b"the installer")]).expect("memory");
    for (name, content) in files_on_it {
        files(&mut medium).write(name, content).expect("memory");
    }
    medium
}

pub(crate) fn files(medium: &mut Medium) -> StickFiles<&mut Medium> {
    let stick = Stick::find(medium, BlockSize::Bytes512).expect("memory").expect("a stick");
    StickFiles::new(medium, &stick)
}

/// A stick that does what an answer file says.
pub(crate) fn answering(image: &Image, answer: &str) -> Medium {
    let signature = answer::sign(answer.as_bytes(), &signer()).expect("an answer file");
    stick(&image.bundle, &[("answer.toml", answer.as_bytes()), ("answer.toml.sig", &signature)])
}
