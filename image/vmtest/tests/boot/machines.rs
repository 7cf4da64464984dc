//! Boxes, and what can be seen of them from outside.

use std::{
    fs::File,
    io::Read as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use dolmen_image_vmtest::{
    Attachment, Disk, Drive, Firmware, Keys, MARKER_WAIT_MAX, Machine, Network, Running, Tpm, VmError,
};
use sha2::{Digest as _, Sha256};

use crate::{
    image::{Image, LOOK},
    markers::{CANNOT_START, CREATED, READY, UNLOCKED, recovery_key, verified_root},
};

/// The drive of a box, by name.
pub(crate) const BOX: &str = "box";
/// And of a stick.
pub(crate) const STICK: &str = "stick";
/// Bytes of a box's disk: twice the image's.
pub(crate) const DISK_BYTES: u64 = 4 << 30;
/// Where UKIs are on the EFI system partition.
pub(crate) const UKIS: &str = "EFI/Linux";
/// The TPM's index for the lowest security version that may open the data, as tpm2-tools write it.
const FLOOR: &str = "0x01800d02";

/// A box with the image on a disk of its own, our keys in its firmware, and a new TPM.
pub(crate) fn new_box(name: &str, image: &Image) -> Result<Machine> {
    let mut machine = empty_box(name, Disk::copy_of(image.disk())?)?;
    machine.disk(BOX)?.resize(DISK_BYTES)?;
    Ok(machine)
}

/// A box with this disk.
pub(crate) fn empty_box(name: &str, disk: Disk) -> Result<Machine> {
    let machine = Machine::new(name, Firmware::trusting(&Keys::test()?)?)?;
    let drive = Drive::new(BOX, disk, Attachment::Virtio);
    Ok(machine.tpm(Tpm::new()?).network(Network::new()).drive(drive).forbid(CANNOT_START))
}

/// A box that has started once and made its data, and its recovery key.
pub(crate) fn used_box(name: &str, image: &Image) -> Result<(Machine, String)> {
    let mut machine = new_box(name, image)?;
    let key = first_boot(&mut machine, image)?;
    Ok((machine, key))
}

/// The boot that makes the data; the recovery key. Then its power is cut.
pub(crate) fn first_boot(machine: &mut Machine, image: &Image) -> Result<String> {
    let mut running = machine.start()?;
    assert!(verified_root(&mut running)? == image.root(), "another root than the image's");
    running.wait_for(CREATED)?;
    let key = recovery_key(&mut running)?;
    running.wait_for(READY)?;
    eprintln!("first boot\n{}", running.timings());
    Ok(key)
}

/// A boot that opens the data without help, and starts this root.
pub(crate) fn boots(machine: &mut Machine, root: &str) -> Result<()> {
    let mut running = machine.start()?;
    assert!(verified_root(&mut running)? == root, "another root than {root}:\n{}", running.console());
    running.wait_for(UNLOCKED)?;
    running.wait_for(READY)?;
    eprintln!("boot of {root}\n{}", running.timings());
    Ok(())
}

/// Names of the boot files, with their counters.
pub(crate) fn ukis(disk: &mut Disk) -> Result<Vec<String>, VmError> {
    disk.esp()?.list(UKIS)
}

/// Blesses the only boot file that is on trial, as the box does once its node is well.
pub(crate) fn bless(disk: &mut Disk) -> Result<()> {
    let names = ukis(disk)?;
    let counted: Vec<_> = names.iter().filter_map(|name| Some((name, name.split_once('+')?.0))).collect();
    let [(name, version)] = counted[..] else { anyhow::bail!("not one boot file on trial in {names:?}") };
    disk.esp()?.rename(&format!("{UKIS}/{name}"), &format!("{UKIS}/{version}.efi"))?;
    Ok(())
}

/// The UUID in the LUKS2 header of the data partition: who makes the data anew makes another. None where there is no
/// such header ("LUKS2 On-Disk Format Specification" 1.1.1 §2.1).
pub(crate) fn luks_uuid(disk: &Disk) -> Result<Option<String>, VmError> {
    let header = disk.read("data", 0, 4096)?;
    let text = || String::from_utf8_lossy(&header[168..208]).trim_end_matches('\0').to_owned();
    Ok((header.starts_with(b"LUKS\xba\xbe\x00\x02")).then(text))
}

/// Text in the metadata of the data partition's LUKS2 header.
pub(crate) fn luks_says(disk: &Disk, text: &str) -> Result<bool, VmError> {
    let metadata = disk.read("data", 4096, 16 << 10)?;
    Ok(metadata.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Waits until the machine's disk is as it is asked for.
pub(crate) fn wait_for_disk(
    running: &mut Running<'_>,
    what: &str,
    is: impl Fn(&Disk) -> Result<bool, VmError>,
) -> Result<()> {
    let begin = Instant::now();
    while !is(running.disk(BOX)?).unwrap_or(false) {
        assert!(begin.elapsed() < MARKER_WAIT_MAX, "{what} did not come:\n{}", running.console());
        assert!(running.is_on(), "the machine went off before {what}:\n{}", running.console());
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Raises a TPM's floor, as a box does that has run an image of this security version.
pub(crate) fn raise_floor(tpm: &mut Tpm, version: u8) -> Result<()> {
    let attributes = "ownerread|ownerwrite|authread|no_da|nt=bits";
    // It may be there.
    let _ = tpm.tool("tpm2_nvdefine", &[FLOOR, "-C", "o", "-s", "8", "-a", attributes])?;
    let bits = format!("{:#x}", 1_u64 << (version - 1));
    let set = tpm.tool("tpm2_nvsetbits", &[FLOOR, "-C", "o", "-i", &bits])?;
    set.map(drop).map_err(anyhow::Error::msg).context("cannot raise the floor")
}

/// SHA-256 of all bytes of a disk.
pub(crate) fn fingerprint(path: &Path) -> Result<[u8; 32]> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// Some time for a machine to go wrong in.
pub(crate) fn sleep(seconds: u64) {
    thread::sleep(Duration::from_secs(seconds));
}
