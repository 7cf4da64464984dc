//! Tables, disks in memory, and the tools that judge them.

use std::{
    collections::BTreeMap,
    env,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use dolmen_image_disk::gpt::{
    Attributes, BlockSize, Geometry, Gpt, GptError, Identity, PartitionName, PartitionType, Uuid,
};

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const SIZES: [BlockSize; 2] = [BlockSize::Bytes512, BlockSize::Bytes4096];

pub(crate) fn identity(kind: PartitionType, number: u8, name: &str, attributes: Attributes) -> Identity {
    Identity {
        kind,
        guid: Uuid::from_bytes([number; 16]),
        attributes,
        name: PartitionName::new(name).expect("a short name"),
    }
}

/// What an image has: an ESP, two slots of root and hashes, and data.
pub(crate) fn image(block_size: BlockSize, mib: u64) -> Gpt {
    let geometry = Geometry::new(block_size, mib * MIB).expect("room for a table");
    let mut table = Gpt::new(geometry, Uuid::from_u128(0x0011_2233_4455_4677_8899_aabb_ccdd_eeff));
    let read_only = Attributes::READ_ONLY;
    for (kind, number, name, attributes, mib) in [
        (PartitionType::ESP, 1, "esp", Attributes::REQUIRED, 3),
        (PartitionType::ROOT_X86_64, 2, "dolmen_1.0", read_only, 2),
        (PartitionType::ROOT_X86_64_VERITY, 3, "dolmen_1.0_verity", read_only, 1),
        (PartitionType::ROOT_X86_64, 4, "空", read_only | Attributes::NO_AUTO, 2),
        (PartitionType::ROOT_X86_64_VERITY, 5, "", Attributes::NONE, 1),
        (PartitionType::LINUX_DATA, 6, "data", Attributes::GROW_FILE_SYSTEM, 2),
    ] {
        table.append(identity(kind, number, name, attributes), mib * MIB).expect("16 MiB are enough");
    }
    table
}

/// A disk of any size, of which memory holds what was written.
#[derive(Clone)]
pub(crate) struct Disk {
    bytes: u64,
    position: u64,
    sectors: BTreeMap<u64, [u8; SECTOR]>,
    /// What was written, in order, and after how many writes there was a sync.
    pub(crate) writes: Vec<(u64, Vec<u8>)>,
    pub(crate) syncs: Vec<usize>,
}

pub(crate) const SECTOR: usize = 512;

impl Disk {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { bytes, position: 0, sectors: BTreeMap::new(), writes: Vec::new(), syncs: Vec::new() }
    }

    /// One with a table.
    pub(crate) fn with(table: &Gpt, bytes: u64) -> Self {
        let mut disk = Self::new(bytes);
        disk.put_table(table);
        disk
    }

    pub(crate) fn put_table(&mut self, table: &Gpt) {
        let sync = |disk: &mut Self| {
            disk.syncs.push(disk.writes.len());
            Ok(())
        };
        table.write(self, sync).expect("a disk that fails at nothing");
    }

    /// Its table, damaged or not.
    pub(crate) fn table(&self, block_size: BlockSize) -> Result<Gpt, GptError> {
        Gpt::read(&mut self.clone(), block_size).map(|found| found.table)
    }

    pub(crate) fn get(&self, at: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut disk = Self { position: at, ..self.clone() };
        disk.read_exact(&mut bytes).expect("bytes before the end");
        bytes
    }

    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        self.position = at;
        self.write_all(bytes).expect("bytes before the end");
    }

    /// Sector and place in it where the next byte is, and how many of `wanted` bytes follow there.
    fn here(&self, wanted: usize) -> (u64, usize, usize) {
        let at = usize::try_from(self.position % SECTOR as u64).expect("less than a sector");
        let left = usize::try_from(self.bytes.saturating_sub(self.position)).unwrap_or(usize::MAX);
        (self.position / SECTOR as u64, at, wanted.min(SECTOR - at).min(left))
    }
}

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (sector, at, count) = self.here(buffer.len());
        let bytes = self.sectors.get(&sector).unwrap_or(&[0; SECTOR]);
        buffer[..count].copy_from_slice(&bytes[at..at + count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Disk {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let (sector, at, count) = self.here(buffer.len());
        self.sectors.entry(sector).or_insert([0; SECTOR])[at..at + count].copy_from_slice(&buffer[..count]);
        self.writes.push((self.position, buffer[..count].to_vec()));
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(0) => self.bytes,
            other => panic!("{other:?}"),
        };
        Ok(self.position)
    }
}

/// Runs a tool that must succeed.
pub(crate) fn run(tool: &str, arguments: &[&str], file: &Path) -> String {
    let output = output(tool, arguments, file, "");
    assert!(output.status.success(), "{tool} {arguments:?}: {}", text(&output));
    text(&output)
}

/// Runs a tool on a file, with `input` to read, and without a language of its own.
pub(crate) fn output(tool: &str, arguments: &[&str], file: &Path, input: &str) -> Output {
    let script = file.with_extension("input");
    std::fs::write(&script, input).expect("a file beside the disk");
    Command::new(find(tool))
        .args(arguments)
        .arg(file)
        .env("LC_ALL", "C.UTF-8")
        .stdin(std::fs::File::open(&script).expect("the same file"))
        .output()
        .expect("the tool starts")
}

/// What it said.
pub(crate) fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

/// These tools are the administrator's, whose folders are not in everybody's PATH.
fn find(tool: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(tool)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("there is no {tool} here: run scripts/setup.sh test"))
}
