//! Machines that boot the program.

use std::time::Duration;

use dolmen_image_disk::gpt::{Attributes, BlockSize, Geometry, Gpt, Identity, PartitionName, PartitionType, Uuid};
use dolmen_image_vmtest::{Attachment, Disk, Drive, Esp, Firmware, Keys, Machine};

use crate::program;

/// A boot of the firmware takes ten seconds of processor time under TCG.
pub(crate) const BOOT_MAX: Duration = Duration::from_secs(100);

const DISK_BYTES: u64 = 48 << 20;
const ESP_BYTES: u64 = 40 << 20;

/// A disk from which firmware starts this.
pub(crate) fn disk(boot: &[u8]) -> Disk {
    let mut disk = Disk::empty(DISK_BYTES).expect("a file");
    let mut table = Gpt::new(Geometry::new(BlockSize::Bytes512, DISK_BYTES).expect("room"), Uuid::from_u128(1));
    let name = PartitionName::new("esp").expect("a short name");
    let identity = Identity { kind: PartitionType::ESP, guid: Uuid::from_u128(2), attributes: Attributes::NONE, name };
    table.append(identity, ESP_BYTES).expect("room");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(disk.path()).expect("the same file");
    table.write(&mut file, |file| file.sync_data()).expect("a file that can be written");
    Esp::format(&mut disk.partition("esp").expect("it is there")).expect("a partition that can be written");
    disk.esp().expect("a FAT").write("EFI/BOOT/BOOTX64.EFI", boot).expect("room");
    disk
}

/// The program with a signature that our keys vouch for.
pub(crate) fn signed() -> Vec<u8> {
    Keys::test().expect("the keys in the source").db[0].sign(&program::efi()).expect("an image")
}

/// A machine that trusts our keys and boots this.
pub(crate) fn machine(name: &str, boot: &[u8]) -> Machine {
    let firmware = Firmware::trusting(&Keys::test().expect("the keys in the source")).expect("OVMF is installed");
    with(name, firmware, boot)
}

/// A machine with this firmware that boots this.
pub(crate) fn with(name: &str, firmware: Firmware, boot: &[u8]) -> Machine {
    let machine = Machine::new(name, firmware).expect("a directory");
    machine.memory_mib(256).processors(1).drive(Drive::new("disk", disk(boot), Attachment::Virtio))
}
