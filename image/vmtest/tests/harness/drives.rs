//! Disks and sticks.

use dolmen_image_vmtest::{Attachment, Disk, Drive, VmError};

use crate::{
    program::{GREETING, efi},
    support::{BOOT_MAX, disk, machine, signed},
};

/// The firmware starts from each kind of drive, in the order of the drives.
#[test]
fn every_attachment_boots() {
    for attachment in [Attachment::Nvme, Attachment::Ahci, Attachment::Usb] {
        // What comes later would be denied.
        let mut machine = machine("attachment", &efi());
        let drive = Drive::new("first", disk(&signed()), attachment);
        let drive = if attachment == Attachment::Usb { drive.read_only() } else { drive };
        machine.insert(drive, true);
        machine.start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
        drop(machine.remove("first").unwrap().into_disk());
    }
}

#[test]
fn a_stick_can_be_pulled() {
    let mut machine = machine("pulled", &signed()).drive(Drive::new("stick", disk(&signed()), Attachment::Usb));
    let mut running = machine.start().unwrap();
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    running.unplug("stick").unwrap();
    let error = running.unplug("stick").unwrap_err();
    assert!(matches!(error, VmError::Qmp { .. }), "{error}");
    let error = running.unplug("another").unwrap_err();
    assert!(matches!(error, VmError::NoDrive { .. }), "{error}");
    running.send("on").unwrap();
    running.wait_for_within("on", BOOT_MAX).unwrap();
    drop(running);
    machine.discard_artefacts();
}

/// A base image stays as it is, whatever its machines do.
#[test]
fn machines_do_not_touch_the_image() {
    let image = disk(&signed());
    let before = std::fs::read(image.path()).unwrap();
    let mut machine = machine("copy", &efi());
    machine.remove("disk").unwrap();
    machine.insert(Drive::new("disk", Disk::copy_of(image.path()).unwrap(), Attachment::Virtio), true);
    machine.start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
    machine.disk("disk").unwrap().flip("esp", 1000).unwrap();
    assert!(std::fs::read(image.path()).unwrap() == before);
}
