//! A box that is switched on, for the first time and later, and loses power.

use anyhow::Result;
use dolmen_image_vmtest::{Disk, Pattern, VmError};

use crate::{
    image::Image,
    machines::{BOX, DISK_BYTES, boots, first_boot, luks_says, luks_uuid, new_box, used_box, wait_for_disk},
    markers::{CREATED, READY, opened, recovery_key, verified_root},
};

/// The first boot makes the data and tells the recovery key; later ones open the data by the TPM, tell nothing, and use
/// all of the disk.
#[test]
#[ignore = "boots the image: make test-boot"]
fn data_is_made_once() -> Result<()> {
    let image = Image::find()?;
    let mut machine = new_box("box", &image)?;
    let mut running = machine.start()?;
    let version = running.wait_for(Pattern::regex("dolmen: initrd (.+)$")?)?;
    assert_eq!(version.group(1), image.manifest.version.to_string());
    assert!(verified_root(&mut running)? == image.root());
    running.wait_for(CREATED)?;
    let key = recovery_key(&mut running)?;
    running.wait_for(READY)?;
    eprintln!("first boot\n{}", running.timings());
    running.cut_power();
    let made = luks_uuid(machine.disk(BOX)?)?;
    assert!(made.is_some() && luks_says(machine.disk(BOX)?, "systemd-tpm2")?);

    for _ in 0..2 {
        let mut running = machine.start()?;
        running.forbid("recovery key");
        running.forbid(CREATED);
        assert!(opened(&mut running)?.group(1) == "unlocked");
        running.wait_for(READY)?;
        assert!(!running.console().contains(&key), "the recovery key was told twice");
        running.cut_power();
        assert!(luks_uuid(machine.disk(BOX)?)? == made);
    }
    Ok(())
}

/// The data partition ends where the disk ends, also once the box was moved to a larger one.
#[test]
#[ignore = "boots the image: make test-boot"]
fn data_grows_to_the_end_of_the_disk() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = used_box("grow", &image)?;
    let behind = |disk: &Disk| -> Result<u64> {
        let data = disk.table()?;
        Ok(disk.bytes()? - data.bytes_of(data.by_name("data")?).end)
    };
    for bytes in [DISK_BYTES, DISK_BYTES + (2 << 30)] {
        machine.disk(BOX)?.resize(bytes)?;
        boots(&mut machine, &image.root())?;
        let left = behind(machine.disk(BOX)?)?;
        assert!(left <= 2 << 20, "{left} bytes behind the data partition are of no use");
    }
    Ok(())
}

/// Whenever the power fails while the data is made, the next boot ends with data, whose recovery key was told.
#[test]
#[ignore = "boots the image: make test-boot"]
fn power_fails_while_data_is_made() -> Result<()> {
    type Moment = (&'static str, fn(&Disk) -> Result<bool, VmError>);
    let moments: [Moment; 4] = [
        ("a LUKS2 header", |disk| Ok(luks_uuid(disk)?.is_some())),
        ("the TPM's token", |disk| luks_says(disk, "systemd-tpm2")),
        ("the recovery key's token", |disk| luks_says(disk, "systemd-recovery")),
        ("the label of data that is whole", |disk| Ok(disk.read("data", 24, 48)?.starts_with(b"dolmen-data"))),
    ];
    let image = Image::find()?;
    for (what, is) in moments {
        let mut machine = new_box("power", &image)?;
        let mut running = machine.start()?;
        wait_for_disk(&mut running, what, is)?;
        running.cut_power();
        let mut running = machine.start()?;
        let how = opened(&mut running)?.group(1).to_owned();
        if how == "created" {
            recovery_key(&mut running)?;
        }
        running.wait_for(READY)?;
        eprintln!("power failed at {what}, then the data was {how}");
    }
    Ok(())
}

/// A power cut while the box runs costs nothing that was there.
#[test]
#[ignore = "boots the image: make test-boot"]
fn power_fails_while_the_box_runs() -> Result<()> {
    let image = Image::find()?;
    let mut machine = new_box("cut", &image)?;
    first_boot(&mut machine, &image)?;
    let made = luks_uuid(machine.disk(BOX)?)?;
    for seconds in [0, 5, 20] {
        let mut running = machine.start()?;
        running.wait_for(READY)?;
        crate::machines::sleep(seconds);
        running.cut_power();
    }
    boots(&mut machine, &image.root())?;
    assert!(luks_uuid(machine.disk(BOX)?)? == made);
    Ok(())
}
