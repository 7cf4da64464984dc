//! Image files, and what the tools of others say about them.

use std::{
    env,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use dolmen_image_disk::gpt::{BlockSize, Uuid};
use dolmen_image_installer::{
    device::Device,
    disk::{Disk as _, Section},
    erase::Erased,
    esp,
    layout::{ESP_START, ROOT_BYTES},
    plan::{Change, plan},
    prior::Prior,
    write::write,
};
use tempfile::TempDir;

use crate::image::{GIB, Image, keys};

/// A sparse file that stands for a disk.
pub(crate) struct DiskFile {
    directory: TempDir,
}

impl DiskFile {
    pub(crate) fn new(bytes: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        File::create(directory.path().join("disk.img")).and_then(|file| file.set_len(bytes)).expect("a sparse file");
        Self { directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("disk.img")
    }

    /// Some bytes of it as a file of their own.
    pub(crate) fn cut(&self, name: &str, bytes: std::ops::Range<u64>) -> PathBuf {
        let path = self.directory.path().join(name);
        let mut section = Section::new(Device::open(&self.path()).expect("the file"), bytes);
        let mut content = Vec::new();
        section.read_to_end(&mut content).expect("bytes of the file");
        fs::write(&path, content).expect("room");
        path
    }

    /// Writes an image to it, as the installer does to a device.
    pub(crate) fn write(&self, image: &Image, change: Change) -> Vec<Erased> {
        let mut disk = Device::open_to_write(&self.path()).expect("the file");
        let prior = Prior::read(&mut disk, BlockSize::Bytes512).expect("a disk");
        let mut number = 0;
        let plan = plan(change, prior, image.manifest(), None, &mut || {
            number += 1;
            Uuid::from_u128(number)
        })
        .expect("a disk that fits");
        let mut noise = File::open("/dev/urandom").expect("the kernel's");
        let written = write(&plan, &mut disk, &image.bundle[..], &keys(), &image.signed, &mut noise, &mut |_| {});
        written.expect("a file that fails at nothing").erased
    }
}

/// Runs a tool that must succeed.
pub(crate) fn run(tool: &str, arguments: &[&str], input: &str) -> String {
    let output = output(tool, arguments, input);
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{tool} {arguments:?}: {text}");
    text
}

/// Runs a tool with `input` to read, and without a language of its own.
pub(crate) fn output(tool: &str, arguments: &[&str], input: &str) -> Output {
    let mut file = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut file, input.as_bytes()).expect("room");
    std::io::Seek::rewind(&mut file).expect("a file");
    Command::new(find(tool)).args(arguments).env("LC_ALL", "C.UTF-8").stdin(file).output().expect("the tool starts")
}

/// These tools are the administrator's, whose folders are not in everybody's PATH.
fn find(tool: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = folders.map(|folder| folder.join(tool)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("there is no {tool} here: run scripts/setup.sh test"))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

#[test]
fn tools_find_nothing_wrong_with_a_disk() {
    let image = Image::new("1.0.0", 1);
    let file = DiskFile::new(2 * GIB);
    file.write(&image, Change::Install);
    let disk = file.path();
    run("sgdisk", &["--verify", text(&disk)], "");
    let table = run("sfdisk", &["--json", text(&disk)], "");
    for name in ["esp", "slot-a", "slot-a-verity", "slot-b", "slot-b-verity", "data"] {
        assert!(table.contains(&format!("\"name\": \"{name}\"")), "{table}");
    }
    let root_hash = image.manifest().root_hash.to_string();
    let guid = format!("\"uuid\": \"{}\"", image.manifest().root_hash.root_guid().to_string().to_uppercase());
    assert!(table.contains(&guid), "{table}");

    let slot = ESP_START + (256 << 20);
    let root = file.cut("root", slot..slot + image.manifest().root_blocks() * 4096);
    let hashes = file.cut("hashes", slot + ROOT_BYTES..slot + ROOT_BYTES + (8 << 20));
    run("veritysetup", &["verify", text(&root), text(&hashes), &root_hash], "");

    let esp = file.cut("esp", ESP_START..slot);
    let said = run("fsck.vfat", &["-n", "-v", text(&esp)], "");
    assert!(said.contains("32 bit entries") && said.contains("512 bytes per logical sector"), "{said}");
}

/// What a builder and an installer make of the same files is the same.
#[test]
fn an_efi_system_partition_is_made_of_nothing_but_its_files() {
    let make = |prior: u8| {
        let mut content = std::io::Cursor::new(vec![prior; 64 << 20]);
        let format = esp::Format { label: "dolmen", volume_id: 0x1234_5678, block_size: BlockSize::Bytes512 };
        esp::format(&mut content, &format).unwrap();
        esp::write(&mut content, &[("EFI/BOOT/BOOTX64.EFI", &[1; 5000]), ("a long name of a file.toml", b"x")])
            .unwrap();
        esp::append(&mut content, "a long name of a file.toml", b"yz").unwrap();
        content
    };
    let (mut one, mut other) = (make(0), make(0xff));
    assert_eq!(esp::files(&mut one).unwrap(), esp::files(&mut other).unwrap());
    assert!(make(0).into_inner() == one.into_inner());
    assert_eq!(esp::label(&mut other).unwrap(), "DOLMEN");
    assert_eq!(esp::read(&mut other, "A LONG NAME OF A FILE.TOML", 3).unwrap().unwrap(), b"xyz");
    assert!(matches!(esp::read(&mut other, "a long name of a file.toml", 2), Err(esp::EspError::TooLong { .. })));
    assert!(esp::read(&mut other, "no/such/file", 3).unwrap().is_none());
    assert!(esp::exists(&mut other, "EFI/BOOT/BOOTX64.EFI").unwrap());
    // The firmware takes no day and no month 0 where it renames a file.
    let listed =
        fatfs::FileSystem::new(std::io::Cursor::new(other.get_ref().clone()), fatfs::FsOptions::new()).unwrap();
    for folder in ["EFI", "EFI/BOOT"] {
        for entry in listed.root_dir().open_dir(folder).unwrap().iter() {
            let (created, modified) = (entry.as_ref().unwrap().created(), entry.unwrap().modified());
            assert_eq!((created.date.year, created.date.month, created.date.day), (1980, 1, 1));
            assert_eq!((modified.date.year, modified.date.month, modified.date.day), (1980, 1, 1));
        }
    }
    drop(listed);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), other.into_inner()).unwrap();
    run("fsck.vfat", &["-n", "-v", text(file.path())], "");
    for label in ["", "twelve chars", "ümlaut", "a b"] {
        let format = esp::Format { label, volume_id: 0, block_size: BlockSize::Bytes512 };
        let error = esp::format(&mut std::io::Cursor::new(vec![0; 64 << 20]), &format).unwrap_err();
        assert!(matches!(error, esp::EspError::Label(_)), "{label}");
    }
}

#[test]
fn a_file_can_be_discarded_and_read_anew() {
    let file = DiskFile::new(8 << 20);
    let mut disk = Device::open_to_write(&file.path()).unwrap();
    std::io::Write::write_all(&mut disk, &[7; 1 << 20]).unwrap();
    disk.sync().unwrap();
    disk.discard(0..1 << 19).unwrap();
    disk.forget_cached().unwrap();
    std::io::Seek::rewind(&mut disk).unwrap();
    let mut bytes = vec![1; 1 << 20];
    disk.read_exact(&mut bytes).unwrap();
    assert!(bytes[..1 << 19].iter().all(|byte| *byte == 0) && bytes[1 << 19..].iter().all(|byte| *byte == 7));
    assert!(Device::open(Path::new("/proc")).is_err());
    assert!(Device::open(Path::new("/dev/null")).is_err());
}
