//! Disks as files: a box's with two slots, and a stick's. Where everything lies on them is the installer's to say, which
//! makes the same of an empty disk.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use dolmen_image_disk::{
    gpt::{ALIGNMENT, Attributes, BlockSize, Geometry, Gpt, GptError, Identity, PartitionName, PartitionType},
    verity::RootHash,
};
use dolmen_image_installer::{
    disk::Section,
    esp::{self, EspError, Format},
    layout::{self, Guids},
    stick,
    write::ESP_LABEL,
};

use crate::{
    file::{self, FileError},
    identity,
};

const MIB: u64 = 1 << 20;
/// Bytes that are copied together, or left out together if they are zeros.
const PAGE_BYTES: usize = 4096;

/// Why there is no disk.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// Its file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its partitions.
    #[error("cannot divide the disk; change the sizes under [disk] and [stick] in the recipe")]
    Gpt(#[from] GptError),
    /// Its EFI System partition.
    #[error("cannot make the EFI System partition")]
    Esp(#[from] EspError),
    /// A part that does not fit its partition.
    #[error("{what} has {bytes} bytes, and its partition {room}; drop more from the root in the recipe")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        room: u64,
    },
}

/// What is on a box's disk.
#[derive(Clone, Copy, Debug)]
pub struct BoxDisk<'a> {
    /// MiB of the whole disk.
    pub mib: u64,
    /// The EFI System partition's files: paths and bytes.
    pub files: &'a [(&'a str, &'a [u8])],
    /// The root's file system.
    pub root: &'a Path,
    /// Its hash tree.
    pub verity: &'a Path,
    /// What vouches for it.
    pub root_hash: &'a RootHash,
}

impl BoxDisk<'_> {
    /// Writes it: the first slot with the root, the second empty, the data partition for the box to make.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn write(&self, path: &Path) -> Result<(), DiskError> {
        let of = self.root_hash.as_bytes();
        let guid = |name| identity::uuid(name, of);
        let guids = Guids {
            disk: guid("disk"),
            esp: guid("esp"),
            empty: (guid("slot-b"), guid("slot-b-verity")),
            data: guid("data"),
        };
        let table = layout::table(Geometry::new(BlockSize::Bytes512, self.mib * MIB)?, self.root_hash, &guids)?;
        let mut disk = create(path, &table)?;
        let [(root, verity), _] = layout::SLOTS;
        copy(&mut disk, &table, "the root", self.root, root)?;
        copy(&mut disk, &table, "the root's hash tree", self.verity, verity)?;
        write_esp(&mut disk, &table, ESP_LABEL, of, self.files)?;
        finish(disk, path)
    }
}

/// What is on a stick.
#[derive(Clone, Copy, Debug)]
pub struct StickDisk<'a> {
    /// MiB of the EFI System partition.
    pub esp_mib: u64,
    /// Its files: paths and bytes.
    pub files: &'a [(&'a str, &'a [u8])],
    /// The image that it installs.
    pub bundle: &'a Path,
    /// What vouches for the image's root.
    pub root_hash: &'a RootHash,
}

impl StickDisk<'_> {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn write(&self, path: &Path) -> Result<(), DiskError> {
        let of = self.root_hash.as_bytes();
        let (esp, payload) = (self.esp_mib * MIB, file::length(self.bundle)?);
        // What is at each end for the table.
        let bytes = esp + payload.next_multiple_of(ALIGNMENT) + 2 * ALIGNMENT;
        let mut table = Gpt::new(Geometry::new(BlockSize::Bytes512, bytes)?, identity::uuid("stick", of));
        for (name, kind, bytes) in
            [(layout::ESP, PartitionType::ESP, esp), (stick::PAYLOAD, PartitionType::LINUX_DATA, payload)]
        {
            let guid = identity::uuid(&format!("stick {name}"), of);
            let identity = Identity { kind, guid, attributes: Attributes::NONE, name: PartitionName::new(name)? };
            table.append(identity, bytes)?;
        }
        let mut disk = create(path, &table)?;
        copy(&mut disk, &table, "the bundle", self.bundle, stick::PAYLOAD)?;
        write_esp(&mut disk, &table, stick::LABEL, of, self.files)?;
        finish(disk, path)
    }
}

/// An empty disk with this table, under the name that it has until it is whole.
fn create(path: &Path, table: &Gpt) -> Result<File, DiskError> {
    let part = file::partial(path);
    let disk = File::options().read(true).write(true).create(true).truncate(true).open(&part);
    let mut disk = disk.map_err(file::failed("create", &part))?;
    disk.set_len(table.geometry().bytes()).map_err(file::failed("make room for", &part))?;
    table.write(&mut disk, |_| Ok(()))?;
    Ok(disk)
}

fn copy(disk: &mut File, table: &Gpt, what: &'static str, from: &Path, name: &str) -> Result<(), DiskError> {
    let (_, range) = layout::find(table, name)?;
    let (bytes, room) = (file::length(from)?, range.end - range.start);
    if bytes > room {
        return Err(DiskError::TooLarge { what, bytes, room });
    }
    let mut source = file::open(from)?;
    let copied = disk.seek(SeekFrom::Start(range.start)).and_then(|_| copy_sparse(&mut source, disk));
    copied.map_err(file::failed("copy into the disk", from))?;
    Ok(())
}

/// Copies to where `out` stands, but leaves zeros out: they are there already, and a file needs no space for them.
fn copy_sparse(from: &mut impl Read, out: &mut (impl Write + Seek)) -> io::Result<()> {
    let mut page = Vec::with_capacity(PAGE_BYTES);
    loop {
        page.clear();
        let count = from.take(PAGE_BYTES as u64).read_to_end(&mut page)?;
        if count == 0 {
            return Ok(());
        }
        if page.iter().all(|byte| *byte == 0) {
            out.seek_relative(count as i64)?;
        } else {
            out.write_all(&page)?;
        }
    }
}

fn write_esp(disk: &mut File, table: &Gpt, label: &str, of: &[u8], files: &[(&str, &[u8])]) -> Result<(), DiskError> {
    let (_, range) = layout::find(table, layout::ESP)?;
    let (volume_id, block_size) = (identity::serial(label, of), BlockSize::Bytes512);
    let mut partition = Section::new(disk, range);
    esp::format(&mut partition, &Format { label, volume_id, block_size })?;
    Ok(esp::write(&mut partition, files)?)
}

fn finish(disk: File, path: &Path) -> Result<(), DiskError> {
    let part = file::partial(path);
    disk.sync_all().map_err(file::failed("write", &part))?;
    Ok(file::rename(&part, path)?)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use super::*;
    use crate::process;

    const FILES: [(&str, &[u8]); 3] = [
        ("EFI/BOOT/BOOTX64.EFI", &[7; 100_000]),
        ("EFI/Linux/dolmen_0.1.0+3.efi", &[9; 5000]),
        ("loader/loader.conf", b"timeout 0\n"),
    ];

    fn write(folder: &Path, name: &str, root_mib: u64) -> Result<(), DiskError> {
        let (root, verity) = (folder.join("root"), folder.join("verity"));
        fs::write(&root, [1; 4096]).unwrap();
        File::options().write(true).open(&root).unwrap().set_len(root_mib << 20).unwrap();
        fs::write(&verity, vec![2; 8192]).unwrap();
        let root_hash = RootHash::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap()));
        BoxDisk { mib: 2048, files: &FILES, root: &root, verity: &verity, root_hash: &root_hash }
            .write(&folder.join(name))
    }

    /// Bytes of a disk, which is sparse.
    fn bytes(disk: &Path, at: u64, count: usize) -> Vec<u8> {
        let (mut file, mut bytes) = (File::open(disk).unwrap(), vec![0; count]);
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn sfdisk_sees_the_partitions() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "disk", 1).unwrap();
        let disk = folder.path().join("disk");
        let mut command = process::command("/usr/sbin/sfdisk", ["--json"]);
        let json = process::run(command.arg(&disk)).unwrap();
        let table: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let partitions = table["partitiontable"]["partitions"].as_array().unwrap();
        let field = |name: &str| partitions.iter().map(|p| p[name].to_string().replace('"', "")).collect::<Vec<_>>();
        assert_eq!(field("name"), ["esp", "slot-a", "slot-a-verity", "slot-b", "slot-b-verity", "data"]);
        let starts = [1, 257, 449, 457, 649, 657].map(|mib: u64| (mib * 2048).to_string());
        assert_eq!(field("start"), starts);
        assert_eq!(field("uuid")[1], "00010203-0405-0607-0809-0A0B0C0D0E0F");
        assert_eq!(field("uuid")[2], "10111213-1415-1617-1819-1A1B1C1D1E1F");
        assert_eq!(field("attrs")[1..5], ["GUID:60"; 4]);
        assert_eq!(bytes(&disk, 257 << 20, 4097), [&[1; 4096][..], &[0]].concat());
        assert_eq!(bytes(&disk, 449 << 20, 8193), [&[2; 8192][..], &[0]].concat());
        // The data partition is for the box to make.
        assert!(bytes(&disk, 657 << 20, 4 << 20).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn mtools_and_fsck_read_the_boot_files() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "disk", 1).unwrap();
        let (disk, esp) = (folder.path().join("disk"), folder.path().join("esp"));
        fs::write(&esp, bytes(&disk, 1 << 20, 256 << 20)).unwrap();
        let on = |program, arguments: &[&str]| {
            process::text(process::command(program, ["-i"]).arg(&esp).args(arguments)).unwrap()
        };
        assert_eq!(on("mtype", &["::/loader/loader.conf"]), "timeout 0\n");
        let listed = on("mdir", &["-/", "-b", "::"]);
        for (path, _) in FILES {
            assert!(listed.contains(&format!("::/{path}\n")), "{listed}");
        }
        assert!(on("mdir", &["::"]).contains("Volume in drive : is ESP"));
        let mut fsck = process::command("/usr/sbin/fsck.fat", ["-n", "-v"]);
        let said = process::text(fsck.arg(&esp)).unwrap();
        assert!(said.contains("FATs, 32 bit entries"), "{said}");
    }

    #[test]
    fn two_are_the_same_and_take_little_space() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "first", 1).unwrap();
        write(folder.path(), "second", 1).unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        assert_eq!(crate::compare::compare(&first, &second).unwrap(), [""; 0]);
        let metadata = fs::metadata(first).unwrap();
        assert!(metadata.blocks() * 512 < 8 << 20, "{}", metadata.blocks());
    }

    #[test]
    fn a_root_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), "disk", 193).unwrap_err();
        assert!(matches!(error, DiskError::TooLarge { what: "the root", .. }), "{error}");
        assert!(!folder.path().join("disk").exists());
    }

    #[test]
    fn a_stick_carries_the_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let (bundle, path) = (folder.path().join("bundle"), folder.path().join("stick"));
        fs::write(&bundle, vec![3; 5000]).unwrap();
        let root_hash = RootHash::from_bytes([7; 32]);
        StickDisk { esp_mib: 64, files: &FILES, bundle: &bundle, root_hash: &root_hash }.write(&path).unwrap();
        assert_eq!(file::length(&path).unwrap(), 67 << 20);
        assert_eq!(bytes(&path, 65 << 20, 5001), [&[3; 5000][..], &[0]].concat());
    }
}
