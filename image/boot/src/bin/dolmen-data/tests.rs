//! The flow on a made-up machine, whose power can fail at every step.

use anyhow::{Result, anyhow, ensure};
use dolmen_image_boot::{luks::Contents, power::Power, tpm::SecurityVersion};

use crate::{
    flow::{Outcome, TRIES, run},
    machine::{Image, LABEL_MADE, LABEL_NEW, Machine, News, State, VolumeKey},
    recovery_key::RecoveryKey,
};

const LETTERS: [&str; 16] = ["c", "b", "d", "e", "f", "g", "h", "i", "j", "k", "l", "n", "r", "t", "u", "v"];

/// What is on the disk and in the TPM, and outlives a boot.
#[derive(Clone, Debug, Default)]
struct Disk {
    marked: bool,
    contents: Disc,
    /// How many recovery keys were ever made here.
    keys: usize,
    /// Which TPM this is.
    tpm: usize,
    floor: Option<SecurityVersion>,
    /// Whether a half-written header is what the power left.
    torn: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Disc {
    #[default]
    Empty,
    Garbage,
    Luks(Volume),
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Volume {
    label: String,
    random_key: bool,
    tpm: Option<usize>,
    recovery_key: Option<usize>,
    file_system: bool,
    furnished: bool,
    /// What somebody put there, once it had been ready.
    precious: bool,
}

/// A boot of the machine with that disk.
struct Boot<'a> {
    disk: &'a mut Disk,
    /// Steps until the power fails.
    power: usize,
    steps: usize,
    tpm_works: bool,
    opened: bool,
    mounted: bool,
    typed: Vec<Option<usize>>,
    asked: u32,
    told: Vec<String>,
}

impl<'a> Boot<'a> {
    fn new(disk: &'a mut Disk) -> Self {
        Boot {
            disk,
            power: usize::MAX,
            steps: 0,
            tpm_works: true,
            opened: false,
            mounted: false,
            typed: Vec::new(),
            asked: 0,
            told: Vec::new(),
        }
    }

    fn run(&mut self, on_trial: bool) -> Outcome {
        run(self, &Image { security_version: version(5), on_trial })
    }

    /// A step. If the power fails in it, `torn` says what it leaves.
    fn step(&mut self, torn: impl FnOnce(&mut Disk)) -> Result<()> {
        self.steps += 1;
        if self.steps == self.power {
            torn(self.disk);
        }
        ensure!(self.steps < self.power, "no power");
        Ok(())
    }

    fn has_power(&self) -> bool {
        self.steps < self.power
    }

    fn volume(&mut self) -> Result<&mut Volume> {
        match &mut self.disk.contents {
            Disc::Luks(volume) => Ok(volume),
            other => Err(anyhow!("no volume: {other:?}")),
        }
    }
}

fn version(number: u8) -> SecurityVersion {
    number.try_into().unwrap()
}

/// The recovery key with this number.
fn recovery_key(number: usize) -> RecoveryKey {
    RecoveryKey::parse(&LETTERS[number % LETTERS.len()].repeat(64)).unwrap()
}

impl Machine for Boot<'_> {
    fn floor(&mut self) -> Result<Option<SecurityVersion>> {
        self.step(|_| ())?;
        ensure!(self.tpm_works, "no TPM");
        Ok(self.disk.floor)
    }

    fn grow_partition(&mut self) -> Result<()> {
        self.step(|_| ())
    }

    fn state(&mut self) -> Result<State> {
        self.step(|_| ())?;
        let contents = match &self.disk.contents {
            Disc::Empty => Contents::Empty,
            Disc::Garbage => Contents::Other,
            Disc::Luks(volume) => Contents::Luks2 { label: volume.label.clone() },
        };
        Ok(State::of(&contents, self.disk.marked))
    }

    fn format(&mut self, _: &VolumeKey) -> Result<()> {
        self.step(|_| ())?;
        self.disk.marked = true;
        self.step(|disk| {
            disk.contents = if disk.torn { Disc::Garbage } else { Disc::Empty };
        })?;
        self.disk.contents = Disc::Luks(Volume { label: LABEL_NEW.into(), random_key: true, ..Volume::default() });
        self.step(|_| ())?;
        self.disk.marked = false;
        Ok(())
    }

    fn enrol_tpm(&mut self, key: &[u8]) -> Result<()> {
        self.step(|_| ())?;
        ensure!(self.tpm_works, "no TPM");
        let tpm = self.disk.tpm;
        let volume = self.volume()?;
        let known = volume.recovery_key.is_some_and(|number| recovery_key(number).as_str().as_bytes() == key);
        ensure!(volume.random_key && key.len() == 32 || known, "wrong key");
        // As systemd-cryptenroll: the same policy is not enrolled twice.
        volume.tpm.get_or_insert(tpm);
        Ok(())
    }

    fn forget_tpm(&mut self) -> Result<()> {
        self.step(|_| ())?;
        self.volume()?.tpm = None;
        Ok(())
    }

    fn enrol_recovery_key(&mut self, _: &VolumeKey) -> Result<RecoveryKey> {
        self.step(|_| ())?;
        self.disk.keys += 1;
        let number = self.disk.keys;
        let volume = self.volume()?;
        ensure!(volume.random_key, "wrong key");
        volume.recovery_key = Some(number);
        self.step(|_| ())?;
        self.volume()?.random_key = false;
        Ok(recovery_key(number))
    }

    fn unlock_by_tpm(&mut self) -> Result<()> {
        self.step(|_| ())?;
        let tpm = self.disk.tpm;
        ensure!(self.tpm_works && self.volume()?.tpm == Some(tpm), "the TPM refuses");
        self.opened = true;
        Ok(())
    }

    fn unlock_by_key(&mut self, key: &RecoveryKey) -> Result<bool> {
        self.step(|_| ())?;
        self.opened = self.volume()?.recovery_key.is_some_and(|number| recovery_key(number) == *key);
        Ok(self.opened)
    }

    fn label_made(&mut self) -> Result<()> {
        self.step(|_| ())?;
        self.volume()?.label = LABEL_MADE.into();
        Ok(())
    }

    fn make_file_system(&mut self) -> Result<()> {
        self.step(|_| ())?;
        ensure!(self.opened, "not open");
        let volume = self.volume()?;
        assert!(!volume.precious, "somebody's data are gone");
        volume.file_system = true;
        Ok(())
    }

    fn check_file_system(&mut self) -> Result<()> {
        self.step(|_| ())?;
        ensure!(self.opened && self.volume()?.file_system, "no file system");
        Ok(())
    }

    fn mount(&mut self) -> Result<()> {
        self.step(|_| ())?;
        ensure!(self.opened && self.volume()?.file_system, "no file system");
        self.mounted = true;
        Ok(())
    }

    fn grow_file_system(&mut self) -> Result<()> {
        self.step(|_| ())
    }

    fn furnish(&mut self) -> Result<()> {
        self.step(|_| ())?;
        ensure!(self.mounted, "not mounted");
        self.volume()?.furnished = true;
        Ok(())
    }

    fn tell(&mut self, news: &News<'_>) {
        if self.has_power() {
            self.told.push(match news {
                News::RecoveryKey(key) => format!("recovery key: {}", key.as_str()),
                News::Warning(what) => format!("warning: {what}"),
                News::Refused(why) => format!("refused: {why}"),
                other => format!("{other:?}").to_lowercase(),
            });
        }
    }

    fn ask(&mut self, try_number: u32, tries: u32) -> Option<Option<RecoveryKey>> {
        self.step(|_| ()).ok()?;
        self.asked += 1;
        assert_eq!((try_number, tries), (self.asked, TRIES));
        // Number 0 is no recovery key.
        self.typed.pop()?.map(|number| (number > 0).then(|| recovery_key(number)))
    }
}

/// A disk after its first boot, with something on it.
fn made() -> Disk {
    let mut disk = Disk::default();
    assert_eq!(Boot::new(&mut disk).run(false), Outcome::Ready);
    let Disc::Luks(volume) = &mut disk.contents else { panic!("{disk:?}") };
    volume.precious = true;
    disk
}

/// Boots with this typed, the first one last.
fn typing(disk: &mut Disk, typed: &[usize]) -> (Outcome, u32, Vec<String>) {
    let mut boot = Boot::new(disk);
    boot.typed = typed.iter().rev().map(|number| Some(*number)).collect();
    let outcome = boot.run(false);
    (outcome, boot.asked, boot.told)
}

#[test]
fn the_first_boot_makes_the_data() {
    let mut disk = Disk::default();
    let mut boot = Boot::new(&mut disk);
    assert_eq!(boot.run(false), Outcome::Ready);
    assert_eq!(boot.told, ["created", &format!("recovery key: {}", recovery_key(1).as_str()), "ready"]);
    assert!(boot.mounted);
    let volume = Volume {
        label: LABEL_MADE.into(),
        tpm: Some(0),
        recovery_key: Some(1),
        file_system: true,
        furnished: true,
        ..Volume::default()
    };
    assert_eq!((disk.contents, disk.marked), (Disc::Luks(volume), false));
}

#[test]
fn later_boots_keep_them() {
    let mut disk = made();
    let before = disk.contents.clone();
    for on_trial in [false, true] {
        let mut boot = Boot::new(&mut disk);
        assert_eq!(boot.run(on_trial), Outcome::Ready);
        assert_eq!(boot.told, ["unlocked", "ready"]);
    }
    assert_eq!(disk.contents, before);
}

/// However the first boot ends, the next one makes a volume of which people have seen the recovery key.
#[test]
fn the_power_may_fail_anywhere_in_the_first_boot() {
    for torn in [false, true] {
        let mut step = 0;
        loop {
            step += 1;
            let mut disk = Disk { torn, ..Disk::default() };
            let mut boot = Boot::new(&mut disk);
            boot.power = step;
            if boot.run(false) == Outcome::Ready {
                break;
            }
            let mut told = boot.told;
            let mut boot = Boot::new(&mut disk);
            // Twice at the same place, too.
            boot.power = step;
            boot.run(false);
            told.extend(boot.told);
            let mut boot = Boot::new(&mut disk);
            assert_eq!(boot.run(false), Outcome::Ready, "step {step}");
            told.extend(boot.told);
            let Disc::Luks(volume) = &disk.contents else { panic!("step {step}: {disk:?}") };
            assert!(volume.label == LABEL_MADE && !volume.random_key && volume.tpm == Some(0) && !disk.marked);
            let key = format!("recovery key: {}", recovery_key(volume.recovery_key.unwrap()).as_str());
            assert_eq!(told.iter().rfind(|line| line.starts_with("recovery key")), Some(&key), "step {step}");
        }
        assert!(step > 14, "{step}");
    }
}

#[test]
fn the_power_may_fail_anywhere_in_later_boots() {
    for (tpm, typed) in [(0, vec![]), (1, vec![Some(1)])] {
        let mut step = 0;
        loop {
            step += 1;
            let mut disk = Disk { tpm, ..made() };
            let mut boot = Boot::new(&mut disk);
            (boot.power, boot.typed) = (step, typed.clone());
            if boot.run(false) == Outcome::Ready && boot.has_power() {
                break;
            }
            // Where the TPM had been forgotten and not yet enrolled, people are asked once more.
            let (outcome, ..) = typing(&mut disk, &[1]);
            assert_eq!(outcome, Outcome::Ready, "step {step}");
            let Disc::Luks(volume) = &disk.contents else { panic!("step {step}: {disk:?}") };
            assert!(volume.precious && volume.recovery_key == Some(1) && volume.tpm == Some(tpm), "step {step}");
        }
        assert!(step > 6, "{step}");
    }
}

#[test]
fn people_open_what_the_tpm_refuses() {
    let mut disk = Disk { tpm: 1, ..made() };
    let (outcome, asked, told) = typing(&mut disk, &[0, 7, 1]);
    assert_eq!((outcome, asked), (Outcome::Ready, 3));
    assert!(told[0].starts_with("refused: the TPM refuses"), "{told:?}");
    assert!(
        told[1].contains("this is no recovery key") && told[2].contains("not the recovery key of these"),
        "{told:?}"
    );
    assert_eq!(told[3..], ["unlocked", "ready"]);
    // The new TPM does from now on, and the old one no more.
    assert_eq!(typing(&mut disk, &[]).2, ["unlocked", "ready"]);
    disk.tpm = 0;
    assert_eq!(typing(&mut disk, &[]).0, Outcome::Leave(Power::Off));
}

#[test]
fn wrong_keys_and_nobody_end_in_the_box_being_switched_off() {
    let mut disk = Disk { tpm: 1, ..made() };
    let before = disk.contents.clone();
    let (outcome, asked, told) = typing(&mut disk, &[0, 2, 0, 2, 2, 1]);
    assert_eq!((outcome, asked), (Outcome::Leave(Power::Off), TRIES));
    assert!(told.last().unwrap().contains("no recovery key in 5 tries"), "{told:?}");
    let (outcome, asked, _) = typing(&mut disk, &[]);
    assert_eq!((outcome, asked), (Outcome::Leave(Power::Off), 1));
    assert_eq!(disk.contents, before);
}

#[test]
fn an_image_on_trial_gives_way() {
    let mut disk = Disk { tpm: 1, ..made() };
    let before = disk.contents.clone();
    let mut boot = Boot::new(&mut disk);
    boot.typed = vec![Some(1)];
    assert_eq!((boot.run(true), boot.asked), (Outcome::Leave(Power::Reboot), 0));
    assert!(boot.told[0].contains("on trial") && boot.told.len() == 1, "{:?}", boot.told);
    // Also where there is nothing to ask for.
    let mut foreign = Disk { contents: Disc::Garbage, ..Disk::default() };
    assert_eq!(Boot::new(&mut foreign).run(true), Outcome::Leave(Power::Reboot));
    assert_eq!((disk.contents, foreign.contents), (before, Disc::Garbage));
}

#[test]
fn an_image_below_the_floor_opens_nothing() {
    for (floor, opens) in [(None, true), (Some(4), true), (Some(5), true), (Some(6), false), (Some(64), false)] {
        for disk in [made(), Disk::default()] {
            let mut disk = Disk { floor: floor.map(version), ..disk };
            let before = disk.contents.clone();
            let (outcome, asked, told) = typing(&mut disk, &[1]);
            assert_eq!((outcome == Outcome::Ready, asked), (opens, 0), "{floor:?}");
            if !opens {
                assert_eq!((outcome, &disk.contents), (Outcome::Leave(Power::Off), &before));
                assert!(told[0].contains("security version 5 is below"), "{told:?}");
            }
        }
    }
}

#[test]
fn without_a_tpm_only_people_open_the_data() {
    let mut disk = made();
    let mut boot = Boot::new(&mut disk);
    (boot.tpm_works, boot.typed) = (false, vec![Some(1)]);
    assert_eq!((boot.run(false), boot.asked), (Outcome::Ready, 1));
    // Which does not make it forgotten.
    assert_eq!(typing(&mut disk, &[]).2, ["unlocked", "ready"]);
    // And none are made.
    let mut disk = Disk::default();
    let mut boot = Boot::new(&mut disk);
    boot.tpm_works = false;
    assert_eq!(boot.run(false), Outcome::Leave(Power::Off));
    assert_eq!(disk.contents, Disc::Empty);
}

#[test]
fn what_is_foreign_stays() {
    let mut disk = Disk { contents: Disc::Garbage, ..Disk::default() };
    let (outcome, asked, told) = typing(&mut disk, &[1]);
    assert_eq!((outcome, asked), (Outcome::Leave(Power::Off), 0));
    assert!(told[0].contains("neither empty nor LUKS2"), "{told:?}");
    assert_eq!(disk.contents, Disc::Garbage);
}

#[test]
fn only_what_nobody_has_used_is_made_anew() {
    let luks = |label: &str| Contents::Luks2 { label: label.into() };
    for (contents, marked, state) in [
        (Contents::Empty, false, State::Empty),
        (Contents::Empty, true, State::Unfinished),
        (Contents::Other, false, State::Foreign),
        (Contents::Other, true, State::Unfinished),
        (luks(LABEL_NEW), false, State::Unfinished),
        (luks(LABEL_NEW), true, State::Unfinished),
        (luks(LABEL_MADE), false, State::Made),
        (luks(LABEL_MADE), true, State::Made),
        (luks(""), true, State::Made),
        (luks("somebody's"), true, State::Made),
    ] {
        assert_eq!(State::of(&contents, marked), state, "{contents:?} {marked}");
    }
}
