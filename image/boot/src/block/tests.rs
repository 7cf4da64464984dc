use std::{
    fs::{self, File},
    path::Path,
    time::Duration,
};

use dolmen_image_disk::{
    gpt::{Attributes, BlockSize, Geometry, Gpt, GptError, Identity, PartitionName, PartitionType, Uuid},
    verity::RootHash,
};
use tempfile::TempDir;

use super::*;

const MIB: u64 = 1 << 20;

/// A made-up machine.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(machine.0.path().join("sys/block")).unwrap();
        fs::create_dir_all(machine.0.path().join("dev")).unwrap();
        machine
    }

    fn devices(&self) -> BlockDevices {
        BlockDevices::at(self.0.path().join("sys"), self.dev())
    }

    fn dev(&self) -> std::path::PathBuf {
        self.0.path().join("dev")
    }

    /// A device that is connected at `place`, with attributes.
    fn add(&self, name: &str, place: &str, attributes: &[(&str, &[u8])]) {
        let device = self.0.path().join("sys/devices").join(place);
        let block = device.join("block").join(name);
        fs::create_dir_all(block.join("queue")).unwrap();
        std::os::unix::fs::symlink(&device, block.join("device")).unwrap();
        for (attribute, value) in attributes {
            fs::write(block.join(attribute), value).unwrap();
        }
        std::os::unix::fs::symlink(&block, self.0.path().join("sys/block").join(name)).unwrap();
    }

    /// A disk of 16 MiB with a table, and devices for its partitions.
    fn add_disk(&self, name: &str, place: &str, table: &Gpt) {
        self.add(name, place, &[("size", b"32768\n")]);
        let file = File::create_new(self.dev().join(name)).unwrap();
        file.set_len(16 * MIB).unwrap();
        table.write(&mut &file, |_| Ok(())).unwrap();
        let disk = self.devices().disks().unwrap().into_iter().find(|disk| disk.name == name).unwrap();
        for partition in table.partitions() {
            File::create_new(disk.partition(partition.number)).unwrap();
        }
    }
}

fn names(disks: &[Disk]) -> Vec<&str> {
    disks.iter().map(|disk| disk.name.as_str()).collect()
}

#[test]
fn a_disk_tells_what_it_is() {
    let machine = Machine::new();
    machine.add(
        "nvme0n1",
        "pci0000:00/0000:00:01.0/nvme/nvme0",
        &[
            ("size", b"2000409264\n"),
            ("queue/logical_block_size", b"4096\n"),
            ("ro", b"0\n"),
            ("removable", b"0\n"),
            ("device/model", b"Example 980 PRO     \n"),
            ("device/serial", b"S5GX \n"),
        ],
    );
    machine.add(
        "sda",
        "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host0/target0:0:0/0:0:0:0",
        &[
            ("size", b"31129600\n"),
            ("queue/logical_block_size", b"512\n"),
            ("removable", b"1\n"),
            ("ro", b"1\n"),
            ("device/vendor", b"Example \n"),
            ("device/model", b"Stick\n"),
            ("device/vpd_pg80", b"\0\x80\0\x08  1234\0\0"),
        ],
    );
    machine.add(
        "vda",
        "pci0000:00/virtio1",
        &[("size", b"8\n"), ("serial", b"disk-1\n"), ("device/vendor", b"0x1af4\n")],
    );
    let disks = machine.devices().disks().unwrap();
    let disk = |name: &str| Disk {
        name: name.into(),
        path: machine.dev().join(name),
        bytes: 4096,
        logical_block_bytes: 512,
        removable: false,
        usb: false,
        read_only: false,
        model: None,
        serial: Some("disk-1".into()),
    };
    let nvme = Disk {
        bytes: 2_000_409_264 * 512,
        logical_block_bytes: 4096,
        model: Some("Example 980 PRO".into()),
        serial: Some("S5GX".into()),
        ..disk("nvme0n1")
    };
    let stick = Disk {
        bytes: 31_129_600 * 512,
        removable: true,
        usb: true,
        read_only: true,
        model: Some("Example Stick".into()),
        serial: Some("1234".into()),
        ..disk("sda")
    };
    assert_eq!(disks, [nvme, stick, disk("vda")]);
    assert_eq!(disks[0].block_size().unwrap(), BlockSize::Bytes4096);
    assert_eq!(disks[0].partition(3), machine.dev().join("nvme0n1p3"));
    assert_eq!(disks[1].partition(12), machine.dev().join("sda12"));
    let odd = Disk { logical_block_bytes: 520, ..disks[2].clone() };
    assert!(matches!(odd.block_size(), Err(GptError::BlockSize(520))));
}

#[test]
fn what_is_no_disk_is_left_out() {
    let machine = Machine::new();
    let size: &[(&str, &[u8])] = &[("size", b"2048\n")];
    machine.add("loop0", "virtual/block/loop0", size);
    machine.add("dm-0", "virtual/block/dm-0", size);
    machine.add("zram0", "virtual/block/zram0", size);
    machine.add("sr0", "pci0000:00/ata1/host1", size);
    machine.add("fd0", "platform/floppy.0", size);
    machine.add("mmcblk0", "pci0000:00/mmc_host/mmc0/mmc0:0001", size);
    machine.add("mmcblk0boot0", "pci0000:00/mmc_host/mmc0/mmc0:0001/a", size);
    // A card reader without a card, a path of a drive that has several, and that drive.
    machine.add("sdb", "pci0000:00/usb1/1-1/host2", &[("size", b"0\n")]);
    machine.add("nvme0c0n1", "pci0000:00/nvme/nvme0", &[("size", b"2048\n"), ("hidden", b"1\n")]);
    machine.add("nvme0n1", "virtual/nvme-subsystem/nvme-subsys0", size);
    machine.add("sdc", "pci0000:00/ata2/host3", &[("size", b"18446744073709551615\n")]);
    machine.add("sdd", "pci0000:00/ata3/host4", &[("size", b"many\n")]);
    assert_eq!(names(&machine.devices().disks().unwrap()), ["mmcblk0", "nvme0n1"]);
    BlockDevices::at("/nowhere", "/dev").disks().unwrap_err();
}

#[test]
fn waiting_ends_when_it_is_there_or_the_time_is_over() {
    let machine = Machine::new();
    let devices = machine.devices();
    let first = |devices: &BlockDevices| devices.disks().unwrap().pop();
    assert_eq!(devices.wait(Duration::ZERO, first), None);
    let mut looked = 0;
    let disk = devices.wait(Duration::from_secs(60), |devices| {
        looked += 1;
        if looked == 3 {
            machine.add("vda", "pci0000:00/virtio1", &[("size", b"8\n")]);
        }
        first(devices)
    });
    assert_eq!((disk.unwrap().name.as_str(), looked), ("vda", 3));
}

fn root_hash() -> RootHash {
    RootHash::from_bytes([[1; 16], [2; 16]].concat().try_into().unwrap())
}

/// An ESP and a slot with these GUIDs.
fn table(esp: u128, root: Uuid, hashes: Uuid) -> Gpt {
    let mut table = Gpt::new(Geometry::new(BlockSize::Bytes512, 16 * MIB).unwrap(), Uuid::from_u128(99));
    for (kind, guid, name) in [
        (PartitionType::ESP, Uuid::from_u128(esp), "esp"),
        (PartitionType::ROOT_X86_64, root, "slot-a"),
        (PartitionType::ROOT_X86_64_VERITY, hashes, "slot-a-verity"),
    ] {
        let name = PartitionName::new(name).unwrap();
        table.append(Identity { kind, guid, attributes: Attributes::NONE, name }, MIB).unwrap();
    }
    table
}

#[test]
fn a_slot_is_found_by_its_root_hash() {
    let machine = Machine::new();
    let (hash, other) = (root_hash(), Uuid::from_u128(7));
    let find = |booted_from| Slot::find(&machine.devices(), &hash, booted_from);
    // One that is no table, one with half of a slot.
    machine.add("sda", "pci0000:00/ata1", &[("size", b"2048\n")]);
    fs::write(machine.dev().join("sda"), vec![0; 1 << 20]).unwrap();
    machine.add_disk("sdb", "pci0000:00/ata2", &table(1, hash.root_guid(), other));
    assert!(find(None).is_none());

    machine.add_disk("nvme0n1", "pci0000:00/nvme/nvme0", &table(2, hash.root_guid(), hash.verity_guid()));
    let slot = find(None).unwrap();
    assert_eq!((slot.root, slot.hashes), (machine.dev().join("nvme0n1p2"), machine.dev().join("nvme0n1p3")));
    assert_eq!(slot.on.named("esp").unwrap().0, machine.dev().join("nvme0n1p1"));
    let error = slot.on.named("data").unwrap_err();
    assert!(matches!(error, PartitionsError::Table { source, .. } if matches!(*source, GptError::NotFound(_))));

    // Not before the devices of its partitions are there.
    fs::remove_file(machine.dev().join("nvme0n1p3")).unwrap();
    assert!(find(None).is_none());
}

#[test]
fn of_two_slots_the_one_counts_that_was_started() {
    let machine = Machine::new();
    let hash = root_hash();
    let name = |booted_from: Option<u128>| {
        let booted_from = booted_from.map(Uuid::from_u128);
        Slot::find(&machine.devices(), &hash, booted_from).unwrap().on.disk.name
    };
    machine.add_disk("sda", "pci0000:00/usb1/1-1", &table(1, hash.root_guid(), hash.verity_guid()));
    machine.add_disk("sdb", "pci0000:00/ata1", &table(2, hash.root_guid(), hash.verity_guid()));
    machine.add_disk("sdc", "pci0000:00/ata2", &table(3, hash.root_guid(), hash.verity_guid()));
    assert_eq!([name(Some(1)), name(Some(3)), name(None), name(Some(8))], ["sda", "sdc", "sdb", "sdb"]);
}

#[test]
fn a_disk_that_is_gone_is_an_error() {
    let machine = Machine::new();
    machine.add("sda", "pci0000:00/ata1", &[("size", b"2048\n")]);
    let disk = machine.devices().disks().unwrap().remove(0);
    assert_eq!(disk.path, Path::new(&machine.dev().join("sda")));
    let error = Partitions::read(disk).unwrap_err();
    assert!(matches!(error, PartitionsError::Open { .. }), "{error}");
}
