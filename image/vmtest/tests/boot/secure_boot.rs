//! What was changed does not start.

use anyhow::Result;
use dolmen_image_uki::authenticode;
use dolmen_image_vmtest::{Keys, Machine, Pattern};

use crate::{
    image::Image,
    machines::{BOX, UKIS, new_box, ukis},
};

const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";

/// A boot that the firmware or the boot loader denies: none of our programs runs.
fn is_denied(mut machine: Machine) -> Result<()> {
    let mut running = machine.start()?;
    running.forbid("dolmen: ");
    running.wait_for(Pattern::regex("[Aa]ccess [Dd]enied|[Ss]ecurity [Vv]iolation")?)?;
    crate::machines::sleep(5);
    assert!(!running.console().contains("dolmen: "), "it started nevertheless");
    Ok(())
}

/// Changes the boot file.
fn change_uki(machine: &mut Machine, change: impl FnOnce(Vec<u8>) -> Result<Vec<u8>>) -> Result<()> {
    let disk = machine.disk(BOX)?;
    let path = format!("{UKIS}/{}", ukis(disk)?[0]);
    let changed = change(disk.esp()?.read(&path)?)?;
    Ok(disk.esp()?.write(&path, &changed)?)
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn a_boot_loader_with_a_flipped_byte_is_denied() -> Result<()> {
    let image = Image::find()?;
    let mut machine = new_box("loader", &image)?;
    let mut loader = machine.disk(BOX)?.esp()?.read(LOADER)?;
    let middle = loader.len() / 2;
    loader[middle] = !loader[middle];
    machine.disk(BOX)?.esp()?.write(LOADER, &loader)?;
    is_denied(machine)
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn a_boot_file_with_a_flipped_byte_is_denied() -> Result<()> {
    let image = Image::find()?;
    let mut machine = new_box("flipped", &image)?;
    change_uki(&mut machine, |mut uki| {
        let middle = uki.len() / 2;
        uki[middle] = !uki[middle];
        Ok(uki)
    })?;
    is_denied(machine)
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn an_unsigned_boot_file_is_denied() -> Result<()> {
    let image = Image::find()?;
    let mut machine = new_box("unsigned", &image)?;
    change_uki(&mut machine, |uki| Ok(authenticode::remove(&uki)?))?;
    is_denied(machine)
}

/// The key exchange key may change `db`; it signs no boot files.
#[test]
#[ignore = "boots the image: make test-boot"]
fn a_boot_file_of_another_signer_is_denied() -> Result<()> {
    let image = Image::find()?;
    let mut machine = new_box("other-signer", &image)?;
    change_uki(&mut machine, |uki| Ok(Keys::test()?.kek.sign(&authenticode::remove(&uki)?)?))?;
    is_denied(machine)
}
