//! One power-on of the stick, from the first screen to the last.
//!
//! ```text
//! stick     found by its payload and label; by the firmware's word which one was started, if there are several
//! log       on the stick, added to at each step
//! answer    read if a release key signed it; otherwise a person is asked
//! image     signature, and the hash of every part: before that nothing is opened for writing but the stick
//! act       install, reimage, verify or support, on one disk
//! end       marker on the stick, the firmware's way to the disk, power off or reboot
//! ```

mod act;
mod menu;
mod problem;

use std::{io::BufReader, time::Duration};

use dolmen_image_boot::{power::Power, report::chain};
use dolmen_image_bundle::{
    Bundle, ReleaseKey, SignedManifest,
    answer::{self, Action, Answer, Then},
};
use dolmen_image_console::{
    Closed, Front, Language, Role, Words, ask,
    widgets::{Message, Progress},
};
use dolmen_image_disk::gpt::Partition;

use self::problem::Problem;
use crate::{
    disk::Section,
    identity::Identity,
    journal::Journal,
    limits::{ANSWER_BYTES_MAX, CHUNK_BYTES},
    machine::Machine,
    plan::Change,
    stick::{Stick, StickFiles},
    target::DiskFacts,
    texts,
    write::Step,
};

/// How long it is waited for the stick and for disks, which some controllers find late.
const DISKS_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked for them.
const DISKS_INTERVAL: Duration = Duration::from_millis(250);
/// How often progress is shown: often enough for a person, seldom enough for a serial line.
const SHOW_INTERVAL: Duration = Duration::from_millis(500);
/// How long a last message is to be read where nobody need press a key.
const READ_TIME: Duration = Duration::from_secs(15);

const ANSWER: &str = "answer.toml";
const SIGNATURE: &str = "answer.toml.sig";
/// Bytes of a signature file that are read: more than a signature has, so that one that is too long is seen.
const SIGNATURE_BYTES_MAX: u64 = 1024;

/// Runs the installer on a machine, with a person at `front` or nobody, and says how the machine is to be left.
///
/// `keys` are those that may have signed the bundle and the answer file, and `version` is the installer's own.
pub fn run<M: Machine>(machine: &mut M, front: &mut dyn Front, keys: &[ReleaseKey], version: &str) -> Power {
    let identity = machine.identity();
    let mut session = Session { machine, front, keys, version, identity, journal: Journal::default(), installed: None };
    session.say(&format!("installer {version}"));
    // Closed: somebody stops the installer from outside. Nothing is half done then but what says so itself.
    let power = session.run().unwrap_or(Power::Off);
    session.say(if power == Power::Off { "power off" } else { "reboot" });
    power
}

/// What does not change while the installer runs, and the log.
struct Session<'a, M> {
    machine: &'a mut M,
    front: &'a mut dyn Front,
    keys: &'a [ReleaseKey],
    version: &'a str,
    identity: Identity,
    journal: Journal,
    /// The EFI system partition of the disk that was installed last.
    installed: Option<Partition>,
}

/// The stick in its socket.
struct InSocket<D> {
    facts: DiskFacts,
    stick: Stick,
    files: StickFiles<D>,
}

/// What an action can end with: a problem, which is shown, or nobody who looks.
enum Stop {
    Problem(Problem),
    Closed,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl<M: Machine> Session<'_, M> {
    fn run(&mut self) -> Result<Power, Closed> {
        self.show(&Message::new(texts::TITLE).text(Role::Text, texts::STARTING).without_keys())?;
        let mut stick = match self.find_stick() {
            Ok(stick) => stick,
            Err(problem) => {
                self.problem(&problem)?;
                return Ok(Power::Off);
            }
        };
        self.journal.name(&self.identity.label(), &mut stick.files);
        self.say(&format!("stick {}", stick.facts));
        self.save(&mut stick);
        let answer = self.answer(&mut stick)?;
        let checked = self.check(&stick);
        self.save(&mut stick);
        let checked = match checked {
            Ok(checked) => Some(checked),
            Err(Stop::Problem(problem)) => {
                self.problem(&problem)?;
                None
            }
            Err(Stop::Closed) => return Err(Closed),
        };
        let power = match (answer, &checked) {
            (Some(answer), Some(checked)) => self.unattended(&answer, &mut stick, checked),
            _ => self.attended(&mut stick, checked.as_ref()),
        };
        if power == Ok(Power::Reboot) {
            self.start_next();
        }
        self.save(&mut stick);
        power
    }

    /// Has the firmware start from the disk that was installed, as it may otherwise start from the stick again.
    fn start_next(&mut self) {
        let Some(esp) = self.installed.take() else { return };
        match self.machine.start_next_from(&esp) {
            Ok(()) => self.say("the firmware is to start from the disk next"),
            Err(why) => self.say(&format!("the firmware may start from the stick again: {why}")),
        }
    }

    /// Looks for the stick until it is there.
    fn find_stick(&mut self) -> Result<InSocket<M::Disk>, Problem> {
        let end = self.machine.uptime() + DISKS_WAIT;
        let booted_from = self.machine.booted_from();
        let mut failed = None;
        loop {
            let mut sticks = Vec::new();
            for disk in self.machine.disks().map_err(|error| problem::no_stick(&error))? {
                let Some(block_size) = disk.block_size else { continue };
                let found = self.machine.open(&disk).and_then(|mut open| Stick::find(&mut open, block_size));
                match found {
                    Ok(Some(stick)) => sticks.push((disk, stick)),
                    Ok(None) => {}
                    Err(error) => failed = Some(error),
                }
            }
            // Where it is known which one was started, another one does not count, and that one may come late.
            sticks.retain(|(_, stick)| booted_from.is_none_or(|guid| guid == stick.esp_guid));
            if sticks.len() > 1 {
                return Err(problem::several_sticks(sticks.iter().map(|(disk, _)| disk)));
            }
            if let Some((mut facts, stick)) = sticks.pop() {
                facts.stick = true;
                // One that is write-protected has no log, and all that needs one says so.
                let disk = self.machine.open_to_write(&facts).or_else(|_| self.machine.open(&facts));
                let disk = disk.map_err(|error| problem::no_stick(&error))?;
                return Ok(InSocket { files: StickFiles::new(disk, &stick), facts, stick });
            }
            if self.machine.uptime() >= end {
                let failed =
                    failed.unwrap_or_else(|| std::io::Error::other("no disk has a bundle and a FAT named DOLMEN"));
                return Err(problem::no_stick(&failed));
            }
            self.machine.wait(DISKS_INTERVAL);
        }
    }

    /// The machine's disks, of which one is the stick.
    fn disks(&mut self, stick: &InSocket<M::Disk>) -> Result<Vec<DiskFacts>, Problem> {
        let mut disks = self.machine.disks().map_err(|error| problem::disk_failed(&error))?;
        for disk in &mut disks {
            disk.stick = disk.name == stick.facts.name;
        }
        Ok(disks)
    }

    /// The answer file, if there is one that a release key signed.
    fn answer(&mut self, stick: &mut InSocket<M::Disk>) -> Result<Option<Answer>, Closed> {
        let file = stick.files.read(ANSWER, ANSWER_BYTES_MAX);
        let signature = stick.files.read(SIGNATURE, SIGNATURE_BYTES_MAX);
        let answer = match (file, signature) {
            (Ok(None), _) => return Ok(None),
            (Ok(Some(file)), Ok(signature)) => {
                let signature = signature.unwrap_or_default();
                Answer::verify(&file, &signature, self.keys).map_err(|error| chain(&error))
            }
            (Err(error), _) | (_, Err(error)) => Err(chain(&error)),
        };
        match answer {
            Ok(answer) => {
                self.say(&format!("answer {:?}", answer.action));
                match answer.language {
                    Some(answer::Language::En) => self.front.speak(Language::English),
                    Some(answer::Language::Zh) => self.front.speak(Language::Chinese),
                    None => {}
                }
                Ok(Some(answer))
            }
            Err(why) => {
                self.problem(&problem::bad_answer(why))?;
                Ok(None)
            }
        }
    }

    /// Reads the whole bundle and checks all of it.
    fn check(&mut self, stick: &InSocket<M::Disk>) -> Result<SignedManifest, Stop> {
        let disk = self.machine.open(&stick.facts).map_err(|error| problem::no_stick(&error))?;
        let payload = BufReader::with_capacity(CHUNK_BYTES, Section::new(disk, stick.stick.payload.clone()));
        let mut bundle = Bundle::open(payload, self.keys).map_err(problem::bad_bundle)?;
        let bytes = bundle.manifest().parts_bytes();
        let mut progress = Progress::new(texts::CHECKING, bytes).text(Role::Quiet, texts::NOTHING_CHANGED_YET);
        let mut shown = Shown::default();
        let mut closed = Ok(());
        let checked = bundle.verify(&mut |done, _| {
            if closed.is_ok() && shown.is_due(self.machine.uptime(), done == bytes) {
                progress.meter.at(self.machine.uptime(), done);
                closed = self.front.turn(&progress, Duration::ZERO).map(drop);
            }
        });
        closed?;
        checked.map_err(problem::bad_bundle)?;
        let manifest = bundle.manifest();
        self.say(&format!("bundle {} verified, {} bytes", manifest.version, bytes));
        if manifest.test_keys {
            self.say("bundle has test keys");
        }
        Ok(bundle.signed_manifest().clone())
    }

    /// Does what the answer file says.
    fn unattended(
        &mut self,
        answer: &Answer,
        stick: &mut InSocket<M::Disk>,
        checked: &SignedManifest,
    ) -> Result<Power, Closed> {
        let marker = if answer.once { self.identity.marker(&checked.manifest().version) } else { None };
        if answer.once {
            let Some(marker) = &marker else {
                self.problem(&problem::no_identity())?;
                return Ok(Power::Off);
            };
            match stick.files.has(marker) {
                // Whatever is to come then: a machine that starts from the stick for ever would be lost.
                Ok(true) => return Ok(self.already(checked, marker)),
                Ok(false) if self.save(stick) => {}
                Ok(false) => {
                    self.problem(&problem::no_marker("the stick takes no log"))?;
                    return Ok(Power::Off);
                }
                Err(error) => {
                    self.problem(&problem::no_marker(&chain(&error)))?;
                    return Ok(Power::Off);
                }
            }
        }
        let done = match (Change::of(answer.action), answer.action) {
            (Some(change), _) => self.change_unattended(change, answer, stick, checked),
            (None, Action::Support) => self.support(stick, Some(checked)),
            (None, _) => self.verify(stick, checked),
        };
        let done = match done {
            Ok(done) => done,
            Err(Stop::Problem(problem)) => {
                self.save(stick);
                self.problem(&problem)?;
                return Ok(Power::Off);
            }
            Err(Stop::Closed) => return Err(Closed),
        };
        // At once: should the power fail now, the machine is not to be done again.
        if let Some(marker) = &marker {
            let line = format!("{} {}\n", self.identity.label(), checked.manifest().version);
            if let Err(error) = stick.files.write(marker, line.as_bytes()) {
                self.problem(&problem::no_marker(&chain(&error)))?;
                return Ok(Power::Off);
            }
            self.say(&format!("marker {marker}"));
        }
        self.save(stick);
        self.show_for(&done.without_keys(), READ_TIME);
        Ok(if answer.then == Then::Reboot { Power::Reboot } else { Power::Off })
    }

    fn already(&mut self, checked: &SignedManifest, marker: &str) -> Power {
        self.say(&format!("nothing done: {marker} is on the stick"));
        let version = &checked.manifest().version;
        let message = Message::new(texts::ALREADY)
            .text(Role::Text, texts::ALREADY_TEXT.with(&[("version", version)]))
            .text(Role::Text, texts::ALREADY_NEXT.with(&[("file", &marker)]))
            .without_keys();
        self.show_for(&message, READ_TIME);
        Power::Off
    }

    /// Lets a person choose until the machine is to be left.
    fn attended(&mut self, stick: &mut InSocket<M::Disk>, checked: Option<&SignedManifest>) -> Result<Power, Closed> {
        loop {
            let done = match (menu::main(self.front, &self.identity, checked)?, checked) {
                (menu::Choice::Change(change), Some(checked)) => self.change_attended(change, stick, checked),
                (menu::Choice::Verify, Some(checked)) => self.verify(stick, checked).map(Some),
                // These are on no menu without a right image.
                (menu::Choice::Change(_) | menu::Choice::Verify, None) => Ok(None),
                (menu::Choice::Support, checked) => self.support(stick, checked).map(Some),
                (menu::Choice::PowerOff, _) => return Ok(Power::Off),
                (menu::Choice::Reboot, _) => return Ok(Power::Reboot),
            };
            self.save(stick);
            match done {
                Ok(Some(mut done)) => ask(self.front, &mut done)?,
                // Somebody went back.
                Ok(None) => {}
                Err(Stop::Problem(problem)) => self.problem(&problem)?,
                Err(Stop::Closed) => return Err(Closed),
            }
        }
    }

    /// A line for the log and for whoever logs the serial line.
    fn say(&mut self, line: &str) {
        self.journal.note(self.machine.uptime(), line);
        self.front.print(&format!("dolmen: {line}"));
    }

    /// Puts the log on the stick as far as it is. Says whether the stick takes it.
    fn save(&mut self, stick: &mut InSocket<M::Disk>) -> bool {
        self.journal.save(&mut stick.files)
    }

    /// Shows a problem until somebody has read it.
    fn problem(&mut self, problem: &Problem) -> Result<(), Closed> {
        self.say(&format!("refused: {}", problem.line()));
        ask(self.front, &mut problem.message())
    }

    fn show(&mut self, message: &Message) -> Result<(), Closed> {
        self.front.turn(message, Duration::ZERO).map(drop)
    }

    /// Shows something for a while, or until a key is pressed. Whether anybody can look or not, what follows is done.
    fn show_for(&mut self, message: &Message, time: Duration) {
        let end = self.machine.uptime() + time;
        while self.machine.uptime() < end {
            if !matches!(self.front.turn(message, Duration::from_secs(1)), Ok(None)) {
                break;
            }
        }
    }
}

/// When progress was shown last.
#[derive(Default)]
struct Shown(Option<Duration>);

impl Shown {
    fn is_due(&mut self, now: Duration, last: bool) -> bool {
        let due = last || self.0.is_none_or(|shown| now.saturating_sub(shown) >= SHOW_INTERVAL);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

/// The words for a step.
const fn title_of(step: Step) -> Words {
    match step {
        Step::Read => texts::STEP_READ,
        Step::Mark => texts::STEP_MARK,
        Step::Erase => texts::STEP_ERASE,
        Step::Slots => texts::STEP_SLOTS,
        Step::Check => texts::STEP_CHECK,
        Step::Data => texts::STEP_DATA,
        Step::Table => texts::STEP_TABLE,
        Step::Esp => texts::STEP_ESP,
        Step::Boot => texts::STEP_BOOT,
    }
}
