//! Updates: which of two versions starts.

use std::io::Cursor;

use anyhow::Result;
use dolmen_image_bundle::SecurityVersion;
use dolmen_image_update::{Floor, FloorError, Paths, Running as RunningImage, Updater};
use dolmen_image_vmtest::{Disk, Machine};

use crate::{
    image::{Image, release_key},
    machines::{BOX, UKIS, bless, boots, luks_uuid, raise_floor, ukis, used_box},
    markers::{CANNOT_START, READY, REFUSED, verified_root},
    release::{Fault, Release},
};

/// How often a new version is tried.
const TRIES: usize = 3;

/// The TPM's floor as the updater sees it here: it is not raised from outside.
struct NoFloor;

impl Floor for NoFloor {
    fn read(&mut self) -> Result<Option<SecurityVersion>, FloorError> {
        Ok(None)
    }

    fn raise(&mut self, _: SecurityVersion) -> Result<(), FloorError> {
        Ok(())
    }
}

/// Does something with the library that updates running boxes, on the disk of one that is off and was running this.
fn update<T>(
    disk: &mut Disk,
    running: RunningImage,
    act: impl FnOnce(&mut Updater<std::fs::File, dolmen_image_update::EspFolder>) -> Result<T>,
) -> Result<T> {
    let (esp, efivars) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let folders = ["EFI/BOOT", UKIS, "loader"];
    for folder in folders {
        std::fs::create_dir_all(esp.path().join(folder))?;
        for name in disk.esp()?.list(folder)? {
            let path = format!("{folder}/{name}");
            // systemd-boot keeps a directory or two there.
            if let Ok(bytes) = disk.esp()?.read(&path) {
                std::fs::write(esp.path().join(path), bytes)?;
            }
        }
    }
    let paths = Paths { disk: disk.path().to_owned(), esp: esp.path().to_owned(), efivars: efivars.path().to_owned() };
    let result = act(&mut Updater::open(&paths, running)?)?;
    let mut files = disk.esp()?;
    for folder in folders {
        let kept = |name: &str| esp.path().join(folder).join(name).is_file();
        for gone in files.list(folder)?.into_iter().filter(|name| !kept(name)) {
            // Not a directory with something in it.
            let _ = files.remove(&format!("{folder}/{gone}"));
        }
        for entry in std::fs::read_dir(esp.path().join(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            files.write(&format!("{folder}/{name}"), &std::fs::read(esp.path().join(folder).join(&name))?)?;
        }
    }
    Ok(result)
}

/// What the updater has to know of the version that runs.
fn running(image: &Image) -> RunningImage {
    let manifest = &image.manifest;
    RunningImage {
        root_hash: manifest.root_hash,
        version: manifest.version.clone(),
        security_version: manifest.security_version,
    }
}

/// A box that has run the image, was blessed, and has this release in its other slot.
fn updated_box(name: &str, image: &Image, release: &Release) -> Result<Machine> {
    let (mut machine, _) = used_box(name, image)?;
    bless(machine.disk(BOX)?)?;
    update(machine.disk(BOX)?, running(image), |updater| {
        updater.apply(&mut Cursor::new(&release.bundle), &[release_key()?], &mut NoFloor, &mut |_, _| {})?;
        Ok(())
    })?;
    Ok(machine)
}

/// Starts a box whose new version fails, until the old one has started again.
fn falls_back(machine: &mut Machine, image: &Image, allowed: &[&str]) -> Result<()> {
    let before = luks_uuid(machine.disk(BOX)?)?;
    let mut running = machine.start()?;
    for text in allowed {
        running.allow(text);
    }
    while verified_root(&mut running)? != image.root() {}
    running.wait_for(READY)?;
    eprintln!("fell back\n{}", running.timings());
    running.cut_power();
    assert!(luks_uuid(machine.disk(BOX)?)? == before, "the data was made anew");
    // The new version is still there, and is not tried again.
    let names = ukis(machine.disk(BOX)?)?;
    assert!(names.iter().any(|name| name.contains(&format!("+0-{TRIES}"))), "{names:?}");
    boots(machine, &image.root())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn a_flipped_byte_in_the_new_slot_falls_back() -> Result<()> {
    let image = Image::find()?;
    let release = Release::after(&image, Fault::None)?;
    // In the superblock of the file system, and in that of the tree.
    for (slot, at) in [("slot-b", 1024), ("slot-b-verity", 4096)] {
        let mut machine = updated_box("flipped", &image, &release)?;
        machine.disk(BOX)?.flip(slot, at)?;
        falls_back(&mut machine, &image, &[CANNOT_START])?;
    }
    Ok(())
}

#[test]
#[ignore = "boots the image: make test-boot"]
fn an_update_that_panics_falls_back() -> Result<()> {
    let image = Image::find()?;
    let mut machine = updated_box("panic", &image, &Release::after(&image, Fault::Panic)?)?;
    falls_back(&mut machine, &image, &["Kernel panic"])
}

/// Nobody is there to repair it: it starts again, as often as it may.
#[test]
#[ignore = "boots the image: make test-boot"]
fn an_update_that_ends_in_an_emergency_falls_back() -> Result<()> {
    let image = Image::find()?;
    let mut machine = updated_box("emergency", &image, &Release::after(&image, Fault::Emergency)?)?;
    falls_back(&mut machine, &image, &[])
}

/// A version whose node does not come up starts as often as it may, is never blessed, and then the old one starts.
#[test]
#[ignore = "boots the image: make test-boot"]
fn an_update_without_a_healthy_node_is_not_blessed() -> Result<()> {
    let image = Image::find()?;
    let release = Release::after(&image, Fault::NoNode)?;
    let mut machine = updated_box("unhealthy", &image, &release)?;
    for done in 1..=TRIES {
        boots(&mut machine, &release.root)?;
        let names = ukis(machine.disk(BOX)?)?;
        let name = format!("dolmen_{}+{}-{done}.efi", release.version, TRIES - done);
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    boots(&mut machine, &image.root())
}

/// Forth and back: both versions open the same data.
#[test]
#[ignore = "boots the image: make test-boot"]
fn update_and_rollback_keep_the_data() -> Result<()> {
    let image = Image::find()?;
    let release = Release::after(&image, Fault::None)?;
    let mut machine = updated_box("update", &image, &release)?;
    let before = luks_uuid(machine.disk(BOX)?)?;
    boots(&mut machine, &release.root)?;
    bless(machine.disk(BOX)?)?;

    let new = RunningImage { root_hash: release.root_hash, version: release.version.clone(), ..running(&image) };
    let back = update(machine.disk(BOX)?, new.clone(), |updater| Ok(updater.rollback(&mut NoFloor)?))?;
    assert!(back == image.manifest.version);
    boots(&mut machine, &image.root())?;
    let forth = update(machine.disk(BOX)?, running(&image), |updater| Ok(updater.rollback(&mut NoFloor)?))?;
    assert!(forth == release.version);
    boots(&mut machine, &release.root)?;
    assert!(luks_uuid(machine.disk(BOX)?)? == before);
    Ok(())
}

/// A TPM that has seen a newer security version does not let an older image have the data.
#[test]
#[ignore = "boots the image: make test-boot"]
fn an_image_below_the_floor_is_refused() -> Result<()> {
    let image = Image::find()?;
    let (mut machine, _) = used_box("floor", &image)?;
    bless(machine.disk(BOX)?)?;
    let own = image.manifest.security_version.get();
    let tpm = |machine: &mut Machine, version| match machine.tpm_mut() {
        Some(tpm) => raise_floor(tpm, version),
        None => anyhow::bail!("the box has a TPM"),
    };
    tpm(&mut machine, own)?;
    boots(&mut machine, &image.root())?;
    tpm(&mut machine, own + 1)?;
    let mut running = machine.start()?;
    running.forbid("dolmen: data unlocked");
    running.wait_for(REFUSED)?;
    // It waits for somebody to read that, and goes off.
    crate::machines::sleep(5);
    running.send("\r")?;
    running.wait_until_off()?;
    Ok(())
}
