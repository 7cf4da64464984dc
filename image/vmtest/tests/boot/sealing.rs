//! Who opens the data: the box's own TPM, for images of ours and the firmware's keys as they were; else who has the
//! recovery key.

use anyhow::Result;
use dolmen_image_vmtest::{Firmware, Keys, Machine, Tpm};

use crate::{
    image::Image,
    machines::{BOX, bless, boots, luks_uuid, used_box},
    markers::{ASKED, READY, REFUSED, UNLOCKED},
};

/// A key of the right form that opens nothing.
const WRONG_KEY: &str = "cccccccc-cccccccc-cccccccc-cccccccc-cccccccc-cccccccc-cccccccc-cccccccc";

/// A box whose image is not on trial: one that is restarts when the TPM refuses.
fn blessed_box(name: &str, image: &Image) -> Result<(Machine, String)> {
    let (mut machine, key) = used_box(name, image)?;
    bless(machine.disk(BOX)?)?;
    Ok((machine, key))
}

/// The TPM refuses, the recovery key opens the data, and the TPM does so from then on.
fn recovers(machine: &mut Machine, image: &Image, key: &str) -> Result<()> {
    let before = luks_uuid(machine.disk(BOX)?)?;
    let mut running = machine.start()?;
    running.forbid("dolmen: data created");
    running.wait_for(REFUSED)?;
    running.wait_for(ASKED)?;
    running.send(&format!("{WRONG_KEY}\r"))?;
    running.wait_for(ASKED)?;
    running.send(&format!("{key}\r"))?;
    running.wait_for(UNLOCKED)?;
    running.wait_for(READY)?;
    running.cut_power();
    assert!(luks_uuid(machine.disk(BOX)?)? == before, "the data was made anew");
    boots(machine, &image.root())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn another_tpm_does_not_open_the_data() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, key) = blessed_box("other-tpm", &image)?;
    let own = machine.replace_tpm(Some(Tpm::new()?));
    recovers(&mut machine, &image, &key)?;
    // The data has gone with the disk: the TPM that it was made with does not open it any more.
    machine.replace_tpm(own);
    machine.start()?.wait_for(REFUSED)?;
    Ok(())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn without_a_tpm_the_recovery_key_opens_the_data() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, key) = blessed_box("no-tpm", &image)?;
    let own = machine.replace_tpm(None);
    let mut running = machine.start()?;
    running.wait_for(REFUSED)?;
    running.wait_for(ASKED)?;
    running.send(&format!("{key}\r"))?;
    running.wait_for(READY)?;
    running.cut_power();
    machine.replace_tpm(own);
    boots(&mut machine, &image.root())
}

/// Register 7 holds the firmware's keys: with one more in `db`, whoever has it could have booted.
#[test]
#[ignore = "boots the image: make test-boot"]
fn other_keys_in_the_firmware_do_not_open_the_data() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, key) = blessed_box("other-db", &image)?;
    let mut keys = Keys::test()?;
    keys.db.push(keys.kek.clone());
    machine.firmware_mut().enrol(&keys)?;
    recovers(&mut machine, &image, &key)
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn without_secure_boot_the_data_stays_closed() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = blessed_box("no-secure-boot", &image)?;
    *machine.firmware_mut() = Firmware::without_keys()?;
    let mut running = machine.start()?;
    running.forbid(UNLOCKED);
    running.wait_for(REFUSED)?;
    running.wait_for(ASKED)?;
    Ok(())
}

/// After as many wrong keys as are allowed the box goes off, and its data is as it was.
#[test]
#[ignore = "boots the image: make test-boot"]
fn wrong_keys_open_nothing() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = blessed_box("wrong-keys", &image)?;
    let own = machine.replace_tpm(Some(Tpm::new()?));
    let mut running = machine.start()?;
    running.forbid(UNLOCKED);
    for _ in 0..5 {
        running.wait_for(ASKED)?;
        running.send(&format!("{WRONG_KEY}\r"))?;
    }
    running.wait_for(REFUSED)?;
    // It waits for somebody to read that.
    crate::machines::sleep(5);
    running.send("\r")?;
    running.wait_until_off()?;
    drop(running);
    machine.replace_tpm(own);
    boots(&mut machine, &image.root())
}
