//! The stick that installs: what it does with an empty disk and with a box's, and what it refuses.
//!
//! What the installer prints is in its `session` module; a refusal waits until somebody has read it.

use anyhow::{Context as _, Result};
use dolmen_image_bundle::{
    SigningKey,
    answer::{self, Action, Answer, Then},
};
use dolmen_image_vmtest::{Attachment, Disk, Drive, Machine, Pattern, Running};

use crate::{
    image::{Image, signing_key},
    machines::{BOX, DISK_BYTES, STICK, boots, empty_box, fingerprint, first_boot, luks_uuid, used_box},
};

/// What the installer says when it has written and read back an image.
const INSTALLED: &str = "dolmen: installed ";
/// When it does not do what it is told to.
const REFUSED: &str = "dolmen: refused: ";
/// Before it switches the machine off.
const POWER_OFF: &str = "dolmen: power off";

/// What is to be done with the only disk, and then off.
fn answer(action: Action) -> Answer {
    Answer { action, disk: None, min_bytes: None, language: None, then: Then::Poweroff, once: false }
}

/// A stick that does this without asking.
fn stick(image: &Image, answer: &Answer) -> Result<Drive> {
    stick_signed_by(image, answer, &signing_key()?)
}

/// The same, with an answer that another key signed.
fn stick_signed_by(image: &Image, answer: &Answer, key: &SigningKey) -> Result<Drive> {
    let text = answer.to_toml()?;
    let signature = answer::sign(text.as_bytes(), key)?;
    let mut disk = Disk::copy_of(image.stick())?;
    let mut files = disk.esp()?;
    files.write("dolmen/answer.toml", text.as_bytes())?;
    files.write("dolmen/answer.toml.sig", &signature)?;
    drop(files);
    Ok(Drive::new(STICK, disk, Attachment::Usb))
}

/// A machine with an empty disk.
fn empty_machine(name: &str) -> Result<Machine> {
    empty_box(name, Disk::empty(DISK_BYTES)?)
}

/// Lets a stick do its work on a machine, and takes it out again.
fn work(machine: &mut Machine, stick: Drive, awaited: &str) -> Result<Disk> {
    machine.insert(stick, true);
    let mut running = machine.start()?;
    running.forbid(REFUSED);
    running.wait_for(awaited)?;
    eprintln!("stick\n{}", running.timings());
    running.wait_for(POWER_OFF)?;
    running.wait_until_off()?;
    drop(running);
    Ok(machine.remove(STICK)?.into_disk())
}

/// A machine whose stick refuses, with a reason that has this word; its disk is as it was.
fn refuses(machine: &mut Machine, stick: Drive, word: &str) -> Result<()> {
    let before = fingerprint(machine.disk(BOX)?.path())?;
    machine.insert(stick, true);
    let mut running = machine.start()?;
    running.forbid(INSTALLED);
    let refusal = running.wait_for(REFUSED)?;
    let line = if refusal.line.contains(word) { refusal.line } else { running.console() };
    assert!(line.contains(word), "it was refused for another reason:\n{line}");
    running.cut_power();
    machine.remove(STICK)?;
    assert!(fingerprint(machine.disk(BOX)?.path())? == before, "the disk was changed nevertheless");
    Ok(())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn installs_on_an_empty_disk() -> Result<()> {
    let image = Image::find()?;
    for attachment in [Attachment::Virtio, Attachment::Nvme, Attachment::Ahci] {
        let mut machine = empty_machine("install")?;
        let disk = machine.remove(BOX)?.into_disk();
        machine.insert(Drive::new(BOX, disk, attachment), true);
        let stick = work(&mut machine, stick(&image, &answer(Action::Install))?, INSTALLED)?;
        first_boot(&mut machine, &image)?;
        boots(&mut machine, &image.root())?;
        // It keeps a log on the stick.
        let mut stick = stick;
        let logs = stick.esp()?.list("dolmen")?;
        assert!(logs.iter().any(|name| name.ends_with(".log")), "{logs:?}");
    }
    Ok(())
}

/// A machine that starts from the stick again is left alone: it would be installed for ever.
#[test]
#[ignore = "boots the image: make test-boot"]
fn installs_a_machine_once() -> Result<()> {
    let image = Image::find()?;
    let wipe = Answer { once: true, ..answer(Action::ReimageWipe) };
    let mut machine = empty_machine("once")?;
    let stick = work(&mut machine, stick(&image, &wipe)?, INSTALLED)?;
    first_boot(&mut machine, &image)?;
    let made = luks_uuid(machine.disk(BOX)?)?;
    work(&mut machine, Drive::new(STICK, stick, Attachment::Usb), "dolmen: nothing done: ")?;
    assert!(luks_uuid(machine.disk(BOX)?)? == made);
    boots(&mut machine, &image.root())
}

/// With the stick first in the boot order, a box that was told to start again starts from its disk.
#[test]
#[ignore = "boots the image: make test-boot"]
fn starts_from_the_disk_after_the_installation() -> Result<()> {
    let image = Image::find()?;
    let mut machine = empty_machine("reboot")?;
    let reboot = Answer { then: Then::Reboot, once: true, ..answer(Action::Install) };
    machine.insert(stick(&image, &reboot)?, true);
    let mut running = machine.start()?;
    running.wait_for(INSTALLED)?;
    running.wait_for("dolmen: data created")?;
    running.wait_for("dolmen: data ready")?;
    Ok(())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn reimaging_keeps_the_data() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = used_box("keep", &image)?;
    let before = luks_uuid(machine.disk(BOX)?)?;
    // Something that only a new image mends.
    machine.disk(BOX)?.flip("slot-a", 1024)?;
    work(&mut machine, stick(&image, &answer(Action::ReimageKeep))?, INSTALLED)?;
    boots(&mut machine, &image.root())?;
    assert!(before.is_some() && luks_uuid(machine.disk(BOX)?)? == before);
    Ok(())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn reimaging_can_wipe_the_data() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, old_key) = used_box("wipe", &image)?;
    let before = luks_uuid(machine.disk(BOX)?)?;
    work(&mut machine, stick(&image, &answer(Action::ReimageWipe))?, INSTALLED)?;
    assert!(luks_uuid(machine.disk(BOX)?)?.is_none(), "the old volume's header is still there");
    let new_key = first_boot(&mut machine, &image)?;
    assert!(luks_uuid(machine.disk(BOX)?)? != before && new_key != old_key);
    Ok(())
}

/// Whoever only wants to install never loses a box's data.
#[test]
#[ignore = "boots the image: make test-boot"]
fn does_not_install_over_data() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = used_box("over", &image)?;
    refuses(&mut machine, stick(&image, &answer(Action::Install))?, "data")?;
    boots(&mut machine, &image.root())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn verifies_without_writing() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = used_box("verify", &image)?;
    let before = fingerprint(machine.disk(BOX)?.path())?;
    work(&mut machine, stick(&image, &answer(Action::Verify))?, " verified, ")?;
    assert!(fingerprint(machine.disk(BOX)?.path())? == before);
    Ok(())
}

/// Facts and logs for support come onto the stick, also where there is no answer file and somebody chooses.
#[test]
#[ignore = "boots the image: make test-boot"]
fn support_is_told_what_is_there() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = used_box("support", &image)?;
    let before = fingerprint(machine.disk(BOX)?.path())?;
    let mut stick = work(&mut machine, stick(&image, &answer(Action::Support))?, "dolmen: support bundle ")?;
    let names = stick.esp()?.list("dolmen")?;
    assert!(names.iter().any(|name| name.starts_with("support-") && name.ends_with(".tar")), "{names:?}");
    assert!(fingerprint(machine.disk(BOX)?.path())? == before);
    Ok(())
}

/// Without an answer file a person chooses, on the screen and on the serial line alike, in two languages.
#[test]
#[ignore = "boots the image: make test-boot"]
fn a_person_installs_by_the_menu() -> Result<()> {
    let image = Image::find()?;
    let mut machine = empty_machine("menu")?.screen();
    machine.insert(Drive::new(STICK, Disk::copy_of(image.stick())?, Attachment::Usb), true);
    let mut running = machine.start()?;
    running.wait_for("Install on an empty disk")?;
    running.send("\t")?;
    running.wait_for("安装到空磁盘")?;
    let menu = running.screenshot("menu")?;
    assert!(std::fs::metadata(menu)?.len() > 1000);
    running.send("1\r")?;
    running.wait_for("选择哪个磁盘")?;
    running.send("1\r")?;
    running.wait_for("安装到此磁盘？")?;
    running.send("2\r")?;
    running.wait_for(INSTALLED)?;
    running.wait_for("安装完成")?;
    running.send("\r")?;
    running.wait_for("安装到空磁盘")?;
    running.send("6\r")?;
    running.wait_for(POWER_OFF)?;
    running.wait_until_off()?;
    drop(running);
    machine.remove(STICK)?;
    first_boot(&mut machine, &image).map(drop)
}

/// A bit of the image, of its manifest or of its signature that changed on the stick.
#[test]
#[ignore = "boots the image: make test-boot"]
fn a_damaged_bundle_is_refused() -> Result<()> {
    let image = Image::find()?;
    let whole = image.manifest.parts.iter().map(|part| part.bytes).sum::<u64>();
    // The beginning of the manifest; and the middle of all parts.
    for at in [20, whole / 2] {
        let mut machine = empty_machine("damaged")?;
        let mut drive = stick(&image, &answer(Action::Install))?.into_disk();
        drive.flip("payload", at)?;
        refuses(&mut machine, Drive::new(STICK, drive, Attachment::Usb), "")?;
    }
    Ok(())
}

/// An answer by somebody who releases no images is not followed: a person is asked.
#[test]
#[ignore = "boots the image: make test-boot"]
fn an_answer_of_another_signer_is_refused() -> Result<()> {
    let image = Image::find()?;
    let pem = openssl::pkey::PKey::generate_ed25519()?.private_key_to_pem_pkcs8()?;
    let other = SigningKey::from_pem(&String::from_utf8(pem)?)?;
    let mut machine = empty_machine("other-signer")?;
    refuses(&mut machine, stick_signed_by(&image, &answer(Action::Install), &other)?, "signed")
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn a_disk_that_is_too_small_is_refused() -> Result<()> {
    let image = Image::find()?;
    let mut machine = empty_box("small", Disk::empty(1 << 30)?)?;
    refuses(&mut machine, stick(&image, &answer(Action::Install))?, "disk")
}

/// Whenever the stick is pulled, the disk starts whole or not at all, and the stick can do it again.
#[test]
#[ignore = "boots the image: make test-boot"]
fn pulled_and_put_in_again() -> Result<()> {
    let image = Image::find()?;
    for moment in ["dolmen: answer ", "dolmen: step Slots", "dolmen: step Esp"] {
        let mut machine = empty_machine("pulled")?;
        machine.insert(stick(&image, &answer(Action::Install))?, true);
        let mut running = machine.start()?;
        running.wait_for(moment)?;
        running.unplug(STICK)?;
        let end = running.wait_for(Pattern::regex("dolmen: (refused|installed)")?)?;
        eprintln!("pulled at {moment:?}: {}", end.line);
        running.cut_power();
        let mut stick = machine.remove(STICK)?.into_disk();

        let whole = end.group(1) == "installed";
        if !whole {
            does_not_start(&mut machine).with_context(|| format!("pulled at {moment:?}"))?;
            // What the log of the first attempt was lost in.
            stick.esp()?.list("dolmen")?;
            work(&mut machine, Drive::new(STICK, stick, Attachment::Usb), INSTALLED)?;
        }
        first_boot(&mut machine, &image)?;
    }
    Ok(())
}

/// Power that fails while a box is reimaged costs no data that was to be kept.
#[test]
#[ignore = "boots the image: make test-boot"]
fn power_fails_while_reimaging() -> Result<()> {
    let image = Image::find()?;
    for moment in ["dolmen: step Slots", "dolmen: step Table", "dolmen: step Boot"] {
        let (mut machine, _) = used_box("power", &image)?;
        let before = luks_uuid(machine.disk(BOX)?)?;
        machine.insert(stick(&image, &answer(Action::ReimageKeep))?, true);
        let mut running = machine.start()?;
        running.wait_for(moment)?;
        running.cut_power();
        let stick = machine.remove(STICK)?;
        work(&mut machine, stick, INSTALLED)?;
        boots(&mut machine, &image.root())?;
        assert!(luks_uuid(machine.disk(BOX)?)? == before, "power failed at {moment:?}");
    }
    Ok(())
}

/// Nothing of ours starts from the machine's disk: the firmware has found nothing.
fn does_not_start(machine: &mut Machine) -> Result<()> {
    let mut running: Running<'_> = machine.start()?;
    running.forbid("dolmen: ");
    running
        .wait_for(Pattern::regex("BdsDxe: (failed to load|No bootable option)|Start PXE|UEFI Interactive Shell")?)?;
    crate::machines::sleep(5);
    assert!(!running.console().contains("dolmen: "), "a disk that is not whole has started");
    Ok(())
}
