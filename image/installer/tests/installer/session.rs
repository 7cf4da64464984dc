//! Whole power-ons: with an answer file, and with somebody at the keyboard.

use dolmen_image_disk::gpt::Uuid;
use dolmen_image_installer::{
    disk::Section,
    esp,
    identity::Identity,
    layout::{DISK_BYTES_MIN, ESP_START},
};

use crate::{
    image::{GIB, Image, MIB, data_of},
    machine::{Memory, Power, UUID, answering, files, stick},
    medium::Medium,
    write::look,
};

/// The main menu's items.
const INSTALL: &str = "1\r";
const KEEP: &str = "2\r";
const WIPE: &str = "3\r";
const VERIFY: &str = "4\r";
const SUPPORT: &str = "5\r";
const POWER_OFF: &str = "6\r";
/// With a bundle that is not right only these are left.
const SUPPORT_ONLY: &str = "1\r";
const POWER_OFF_ONLY: &str = "2\r";
/// The only disk, or the first one.
const DISK: &str = "1\r";
const YES: &str = "2\r";
const ENTER: &str = "\r";

fn is_whole(machine: &Memory, name: &str, image: &Image) -> bool {
    let mut disk = machine.disk(name);
    look(&mut disk, image).is_bundle()
}

fn boots_nothing(machine: &Memory, name: &str) -> bool {
    esp::files(&mut Section::new(&mut machine.disk(name), ESP_START..257 * MIB)).is_err()
}

fn log(machine: &Memory, name: &str) -> String {
    String::from_utf8(machine.file(name).unwrap_or_else(|| panic!("no {name}"))).expect("text")
}

#[test]
fn an_answer_file_installs_once_on_each_machine() {
    let image = Image::new("1.0.0", 1);
    let mut machine = Memory::with(answering(&image, "action = \"install\"\nthen = \"reboot\"\n"));
    machine.put("nvme0n1", Medium::new(2 * GIB));
    let (power, script) = machine.start("");
    assert_eq!(power, Power::Reboot, "{:?}", script.printed());
    assert!(is_whole(&machine, "nvme0n1", &image));
    assert_eq!(machine.started_next.as_ref().unwrap().identity.name, *"esp");
    assert!(script.printed().iter().any(|line| line.starts_with("dolmen: installed 1.0.0 on nvme0n1")));
    let log_text = log(&machine, "install-7DMSM53-1.log");
    for line in ["bundle 1.0.0 verified", "step Boot", "installed 1.0.0", "marker done-", "reboot"] {
        assert!(log_text.contains(line) || line == "reboot", "{line} is not in {log_text}");
    }

    // The machine starts from the stick again, as long as nobody takes it out: nothing happens, for ever.
    machine.change("nvme0n1", |disk| *disk = disk.recording());
    for start in 2..4 {
        let (power, script) = machine.start("");
        assert_eq!(power, Power::Off);
        assert!(script.text().contains("done already"), "{}", script.text());
        assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
        assert!(log(&machine, &format!("install-7DMSM53-{start}.log")).contains("nothing done"));
    }

    // The next machine is another one, and a newer image is another work.
    let mut next = Memory::with(machine.disk("sda"));
    next.identity = Identity::of(Some("5c4c4544-0044-4d10-8056-b4c04f4d3533"), None);
    next.put("nvme0n1", Medium::new(2 * GIB));
    assert_eq!(next.start("").0, Power::Reboot);
    assert!(is_whole(&next, "nvme0n1", &image));
}

#[test]
fn without_once_it_is_done_each_time() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut machine = Memory::with(answering(&new, "action = \"reimage-keep\"\nonce = false\n"));
    machine.put("nvme0n1", old.with_data(2 * GIB));
    machine.identity = Identity::default();
    let data = data_of(&mut machine.disk("nvme0n1"));
    let before = machine.disk("nvme0n1").content(&data);
    for _ in 0..2 {
        assert_eq!(machine.start("").0, Power::Off);
        assert!(is_whole(&machine, "nvme0n1", &new));
        assert!(machine.disk("nvme0n1").content(&data) == before);
    }
    assert!(log(&machine, "install-unknown-2.log").contains("reimage-keep 2.0.0"));
}

#[test]
fn a_machine_that_cannot_be_told_from_others_is_not_done_once() {
    let image = Image::new("1.0.0", 1);
    for spoil in [0, 1] {
        let mut machine = Memory::with(answering(&image, "action = \"install\"\n"));
        machine.put("nvme0n1", Medium::new(2 * GIB).recording());
        if spoil == 0 {
            machine.identity = Identity::default();
        } else {
            machine.change("sda", |stick| stick.read_only = true);
        }
        let (power, _) = machine.start(ENTER);
        assert_eq!(power, Power::Off);
        assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
    }
}

#[test]
fn an_answer_file_that_nobody_signed_is_not_followed() {
    let image = Image::new("1.0.0", 1);
    let answer = "action = \"reimage-wipe\"\n";
    let signed = dolmen_image_bundle::answer::sign(answer.as_bytes(), &crate::image::signer()).unwrap();
    let mut other = signed;
    other[5] ^= 1;
    for (answer, signature) in [(answer, &other[..]), (answer, b""), ("action = \"install\"\n", &signed)] {
        let files = [("answer.toml", answer.as_bytes()), ("answer.toml.sig", signature)];
        let mut machine = Memory::with(stick(&image.bundle, &files));
        machine.put("nvme0n1", Medium::new(2 * GIB).recording());
        let (power, script) = machine.start(&format!("{ENTER}{POWER_OFF}"));
        assert_eq!(power, Power::Off);
        assert!(script.printed().iter().any(|line| line.contains("answer file on the stick is not followed")));
        assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
    }
}

#[test]
fn a_bundle_that_is_not_right_changes_no_disk() {
    let image = Image::new("1.0.0", 1);
    let mut flipped = image.bundle.clone();
    let last = flipped.len() - 100;
    flipped[last] ^= 1;
    let mut forged = image.bundle.clone();
    forged[40] ^= 1;
    let short = &image.bundle[..image.bundle.len() - 65 * 4096];
    for payload in [&flipped[..], &forged, short] {
        let mut machine = Memory::with(stick(payload, &[]));
        machine.put("nvme0n1", Medium::new(2 * GIB).recording());
        let (power, script) = machine.start(&format!("{ENTER}{SUPPORT_ONLY}{ENTER}{POWER_OFF_ONLY}"));
        assert_eq!(power, Power::Off);
        assert!(!script.text().contains("empty disk"), "{}", script.text());
        assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
        assert!(machine.file("support-7DMSM53-1.tar").is_some());
        // Nor does an answer file help.
        let answer = answering(&image, "action = \"install\"\n");
        let mut machine = Memory::with(answer);
        machine.change("sda", |stick| stick.put(65 * MIB, payload));
        if payload.len() < image.bundle.len() {
            machine.change("sda", |stick| stick.put(65 * MIB + payload.len() as u64, &[0; 65 * 4096]));
        }
        machine.put("nvme0n1", Medium::new(2 * GIB).recording());
        assert_eq!(machine.start(&format!("{ENTER}{POWER_OFF_ONLY}")).0, Power::Off);
        assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
    }
}

#[test]
fn an_answer_file_writes_to_no_other_disk_than_the_one_that_it_means() {
    let image = Image::new("1.0.0", 1);
    for (answer, said) in [
        ("", "not clear which disk"),
        ("disk = \"SN-nvme9n1\"\n", "no disk of this machine is"),
        ("disk = \"SN-sda\"\n", "this is the stick"),
        ("disk = \"SN-vda\"\n", "smaller than"),
        ("min_bytes = 2_200_000_000\n", "smaller than"),
    ] {
        let mut machine = Memory::with(answering(&image, &format!("action = \"install\"\n{answer}")));
        for name in ["nvme0n1", "nvme1n1"] {
            machine.put(name, Medium::new(2 * GIB).recording());
        }
        machine.put("vda", Medium::new(DISK_BYTES_MIN - 512).recording());
        let (power, script) = machine.start(ENTER);
        assert_eq!(power, Power::Off);
        let printed = script.printed().join("\n");
        assert!(printed.contains(said), "{printed}");
        for name in ["nvme0n1", "nvme1n1", "vda"] {
            assert_eq!(machine.disk(name).events, Some(vec![]));
        }
    }
    let mut machine = Memory::with(answering(&image, "action = \"install\"\ndisk = \"SN-nvme1n1\"\n"));
    machine.put("nvme0n1", Medium::new(2 * GIB).recording());
    machine.put("nvme1n1", Medium::new(2 * GIB));
    assert_eq!(machine.start("").0, Power::Off);
    assert!(is_whole(&machine, "nvme1n1", &image));
    assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
}

#[test]
fn a_stick_that_is_pulled_ends_in_a_message() {
    let image = Image::new("1.0.0", 1);
    let mut machine = Memory::with(answering(&image, "action = \"install\"\n"));
    machine.put("nvme0n1", Medium::new(2 * GIB));
    let whole = machine.disk("sda");
    let mut outcomes = [0; 3];
    // From the moment at which it is found, through both passes, to the marker.
    let mut after = 1;
    while after < 8 * MIB {
        machine.put("nvme0n1", Medium::new(2 * GIB).recording());
        machine.change("sda", |stick| {
            *stick = whole.clone();
            stick.pulled_after = after;
        });
        let (power, script, _) = machine.start_with_some_of(&format!("{ENTER}{POWER_OFF_ONLY}"));
        let printed = script.printed().join("\n");
        let touched = machine.disk("nvme0n1").events.is_some_and(|events| !events.is_empty());
        let outcome = if !touched {
            0
        } else if boots_nothing(&machine, "nvme0n1") {
            1
        } else {
            assert!(is_whole(&machine, "nvme0n1", &image));
            2
        };
        outcomes[outcome] += 1;
        if machine.disk("sda").pulled_after == 0 {
            assert_eq!(power, Power::Off);
            // Behind the marker there is nothing left to fail but the log.
            assert!(printed.contains("refused:") || printed.contains("marker done-"), "{after}: {printed}");
        }
        after += 37_000;
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

#[test]
fn a_person_installs_and_reads_what_was_done() {
    let image = Image::new("1.0.0", 1);
    let mut machine = Memory::with(stick(&image.bundle, &[]));
    machine.put("nvme0n1", Medium::new(2 * GIB));
    let (power, script) = machine.start(&format!("{INSTALL}{DISK}{YES}{ENTER}{POWER_OFF}"));
    assert_eq!(power, Power::Off);
    assert!(is_whole(&machine, "nvme0n1", &image));
    assert_eq!(machine.started_next, None);
    let screens: Vec<_> = script.screens().iter().map(|screen| screen.text()).collect();
    for text in
        ["signature and contents checked", "public test keys", "Which disk?", "2.1 GB", "Do not pull", "Take the stick"]
    {
        assert!(screens.iter().any(|screen| screen.contains(text)), "{text} was never seen: {screens:#?}");
    }
    // Nothing is chosen by itself: Enter alone leads back.
    let (_, _) = machine.start(&format!("{INSTALL}{DISK}{ENTER}{POWER_OFF}"));
}

#[test]
fn a_wipe_must_be_confirmed_by_the_serial_number() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut machine = Memory::with(stick(&new.bundle, &[]));
    machine.put("nvme0n1", old.with_data(2 * GIB).recording());
    machine.start(&format!("{WIPE}{DISK}yes\r\u{1b}{POWER_OFF}"));
    assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
    let (_, script) = machine.start(&format!("{INSTALL}{DISK}{ENTER}{POWER_OFF}"));
    assert!(script.printed().iter().any(|line| line.contains("holds a box's data")));
    assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
    let (_, script) = machine.start(&format!("{WIPE}{DISK}e0n1\r{ENTER}{POWER_OFF}"));
    assert!(is_whole(&machine, "nvme0n1", &new), "{:?} {}", script.printed(), script.text());
    assert!(script.printed().iter().any(|line| line.contains("erased the first")));
}

#[test]
fn a_person_keeps_the_data_and_the_tpm_has_a_say() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut machine = Memory::with(stick(&new.bundle, &[]));
    machine.put("nvme0n1", old.with_data(2 * GIB).recording());
    for (floor, said) in [(Ok(Some(2)), "takes none below 2"), (Err("it is broken".to_owned()), "it is broken")] {
        machine.floor = floor;
        let (_, script) = machine.start(&format!("{KEEP}{DISK}{ENTER}{POWER_OFF}"));
        assert!(script.printed().iter().any(|line| line.contains(said)), "{:?}", script.printed());
        assert_eq!(machine.disk("nvme0n1").events, Some(vec![]));
    }
    machine.floor = Ok(Some(1));
    machine.start(&format!("{KEEP}{DISK}{YES}{ENTER}{POWER_OFF}"));
    assert!(is_whole(&machine, "nvme0n1", &new));
}

#[test]
fn usb_disks_are_offered_only_when_asked_for() {
    let image = Image::new("1.0.0", 1);
    let mut machine = Memory::with(stick(&image.bundle, &[]));
    machine.put("sdb", Medium::new(2 * GIB));
    machine.facts("sdb").usb = true;
    // Item 1 shows the others too; the stick is never among them.
    let (_, script) = machine.start(&format!("{INSTALL}1\r1\r{YES}{ENTER}{POWER_OFF}"));
    assert!(is_whole(&machine, "sdb", &image), "{}", script.text());
    assert!(script.screens().iter().any(|screen| screen.text().contains("this is the stick")));
    let mut alone = Memory::with(stick(&image.bundle, &[]));
    let (_, script) = alone.start(&format!("{INSTALL}{ENTER}{POWER_OFF}"));
    assert!(script.screens().iter().any(|screen| screen.text().contains("No disk of this machine")));
}

#[test]
fn what_is_installed_is_checked_without_a_change() {
    let image = Image::new("1.0.0", 1);
    let mut machine = Memory::with(stick(&image.bundle, &[]));
    machine.put("nvme0n1", image.with_data(2 * GIB).recording());
    machine.put("nvme1n1", Medium::new(2 * GIB).recording());
    let (_, script) = machine.start(&format!("{VERIFY}{ENTER}{POWER_OFF}"));
    let printed = script.printed().join("\n");
    assert!(printed.contains("verified nvme0n1: right") && printed.contains("found nothing on nvme1n1"), "{printed}");
    machine.change("nvme0n1", |disk| disk.put(257 * MIB + 4096, &[1; 512]));
    let (_, script) = machine.start(&format!("{VERIFY}{ENTER}{POWER_OFF}"));
    let printed = script.printed().join("\n");
    assert!(printed.contains("data block 1 was changed") && printed.contains("or changed"), "{printed}");
    for name in ["nvme0n1", "nvme1n1"] {
        assert_eq!(machine.disk(name).events, Some(vec![]));
    }
}

#[test]
fn a_support_bundle_has_facts_and_no_secrets() {
    let image = Image::new("1.0.0", 1);
    let root = tempfile::tempdir().unwrap();
    let efi = root.path().join("sys/firmware/efi/efivars");
    std::fs::create_dir_all(&efi).unwrap();
    std::fs::write(efi.join("LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"), "systemd-boot 257").unwrap();
    std::fs::write(efi.join("LoaderSystemToken-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"), "a secret token").unwrap();
    std::fs::create_dir_all(root.path().join("dev")).unwrap();
    std::fs::write(root.path().join("dev/kmsg"), "6,1,0,-;Linux version 6.12\n").unwrap();
    let mut machine = Memory::with(stick(&image.bundle, &[]));
    machine.root = root.path().into();
    machine.put("nvme0n1", image.with_data(2 * GIB));
    machine.start(&format!("{SUPPORT}{ENTER}{SUPPORT}{ENTER}{POWER_OFF}"));
    assert!(machine.file("support-7DMSM53-2.tar").is_some());
    let archive = machine.file("support-7DMSM53-1.tar").unwrap();
    let text = String::from_utf8_lossy(&archive);
    for part in [
        "Linux version 6.12",
        "systemd-boot 257",
        "slot-a-verity",
        "SN-nvme0n1",
        "bundle 1.0.0 verified",
        "dmi/product_uuid",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    assert!(!text.contains("secret") && !text.contains("ZZZZ"), "0x5a is what the data are made of");
    let tar = root.path().join("support.tar");
    std::fs::write(&tar, &archive).unwrap();
    assert!(std::process::Command::new("tar").arg("-tf").arg(&tar).output().unwrap().status.success());
}

#[test]
fn the_stick_is_the_one_that_was_started() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut machine = Memory::with(stick(&one.bundle, &[]));
    machine.put("sdb", stick(&two.bundle, &[]));
    let (power, script) = machine.start(ENTER);
    assert_eq!(power, Power::Off);
    assert!(script.printed().iter().any(|line| line.contains("more than one stick")));
    // Nobody else's stick, though it is there first.
    machine.booted_from = Some(Uuid::from_u128(9));
    let (_, script) = machine.start(ENTER);
    assert!(script.printed().iter().any(|line| line.contains("cannot be found")));
    machine.booted_from = Some(Uuid::from_u128(2));
    machine.disks.remove("sda");
    let (_, script) = machine.start(POWER_OFF);
    assert!(script.printed().iter().any(|line| line.contains("bundle 2.0.0")), "{:?}", script.printed());
    assert!(files(&mut machine.disk("sdb")).has("install-7DMSM53-1.log").unwrap());
    assert!(UUID.len() == 36);
}

#[test]
fn everything_can_be_read_in_chinese() {
    let image = Image::new("1.0.0", 1);
    let mut machine = Memory::with(stick(&image.bundle, &[]));
    machine.put("nvme0n1", Medium::new(2 * GIB));
    let (_, script) = machine.start(&format!("\t{INSTALL}{DISK}{YES}{ENTER}{POWER_OFF}"));
    assert!(is_whole(&machine, "nvme0n1", &image));
    let text: String = script.screens().iter().map(|screen| screen.text()).collect();
    for words in ["安装到空磁盘", "选择哪个磁盘", "正在写入镜像", "安装完成"] {
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn an_answer_file_chooses_the_language() {
    let image = Image::new("1.0.0", 1);
    let mut machine = Memory::with(answering(&image, "action = \"install\"\nlanguage = \"zh\"\n"));
    machine.put("nvme0n1", Medium::new(2 * GIB));
    let (_, script) = machine.start("");
    assert!(script.text().contains("安装完成"), "{}", script.text());
}
