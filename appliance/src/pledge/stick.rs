//! A stick that somebody carries, in the place of a connection with a registrar.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use dolmen_hsm_api::private;
use dolmen_provisioning_pledge::{Outcome, Step};
use dolmen_provisioning_stick::{Carrier, DIRECTORY, Name, Post, REPLY_MESSAGE_BYTES_MAX, Task, directory};
use dolmen_provisioning_voucher::SerialNumber;
use tokio::time::Instant;

use super::driver::Driver;

/// What is on its way by stick, in the box's directory.
pub(super) const RECORD: &str = "provisioning.letters";
/// Between two looks at the stick.
const LOOK: Duration = Duration::from_millis(500);
/// How long the box waits for a reply before it looks for registrars on the network again.
const REPLY_MAX: Duration = Duration::from_secs(30);

/// Whether there is a stick, and the files in the box's folder, with their lengths and times.
type Files = (bool, Vec<(PathBuf, u64, Option<SystemTime>)>);

/// The stick of a box.
pub(super) struct Stick {
    /// Where sticks are mounted.
    root: PathBuf,
    /// The box's folder on any of them.
    folder: PathBuf,
    record: PathBuf,
    carrier: Carrier,
    offers: Vec<Vec<u8>>,
    /// The reply that was read last.
    read: Option<Vec<u8>>,
}

impl Stick {
    pub(super) fn new(root: PathBuf, home: &Path, serial_number: SerialNumber) -> anyhow::Result<Self> {
        let (record, folder) = (home.join(RECORD), Path::new(DIRECTORY).join(directory(&serial_number)));
        let carrier = match fs::read(&record) {
            Ok(bytes) => Carrier::resume(&bytes, serial_number.clone()).unwrap_or_else(|error| {
                // The registrar says which letter is the next.
                tracing::warn!(%error, "what was on its way by stick is forgotten");
                Carrier::new(serial_number)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Carrier::new(serial_number),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", record.display())),
        };
        Ok(Self { root, folder, record, carrier, offers: Vec::new(), read: None })
    }

    /// Does a step, by the stick where it is the stick's.
    pub(super) async fn perform(&mut self, driver: &mut Driver, step: Step<'_>) -> Outcome {
        loop {
            match self.carrier.take(&step) {
                Task::Done(outcome) => return outcome,
                Task::Yours => return self.own(driver, step).await,
                task => {
                    if let Err(error) = self.task(driver, task).await {
                        return Outcome::Failed(format!("{error:#}"));
                    }
                }
            }
        }
    }

    /// Vouchers that a stick brought since the last call.
    pub(super) fn offers(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.offers)
    }

    /// A step that is no stick's, but for finding one, and waiting.
    async fn own(&mut self, driver: &mut Driver, step: Step<'_>) -> Outcome {
        match step {
            Step::Discover => {
                let mut outcome = driver.perform(step).await;
                if let (Outcome::Discovered(found), true) = (&mut outcome, self.is_in()) {
                    self.read_ahead();
                    found.hints.extend(Carrier::hint());
                }
                outcome
            }
            Step::Wait { .. } => {
                let before = self.files();
                tokio::select! {
                    outcome = driver.perform(step) => outcome,
                    () = self.changed(&before) => {
                        self.read_ahead();
                        Outcome::Waited
                    }
                }
            }
            step => driver.perform(step).await,
        }
    }

    async fn task(&mut self, driver: &mut Driver, task: Task) -> anyhow::Result<()> {
        let outcome = match task {
            Task::Perform(step) => driver.perform(step).await,
            Task::Sign { key, unsigned } => driver.perform(Step::Sign { key, unsigned: &unsigned }).await,
            Task::Store(record) => {
                private::write(&self.record, &record)
                    .with_context(|| format!("cannot write {}", self.record.display()))?;
                Outcome::Stored
            }
            Task::Post(post) => return self.post(&post).await,
            Task::Done(_) | Task::Yours => return Ok(()),
        };
        if let Outcome::Failed(why) = outcome {
            anyhow::bail!(why);
        }
        Ok(self.carrier.performed(outcome)?)
    }

    /// Writes a letter, and waits for its reply.
    async fn post(&mut self, Post { letter, message, reply }: &Post) -> anyhow::Result<()> {
        let folder = self.root.join(&self.folder);
        let begin = Instant::now();
        loop {
            if self.is_in() {
                let path = folder.join(letter.to_string());
                if read(&path, message.0.len()).is_none_or(|found| found != message.0) {
                    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
                    private::write(&path, &message.0).with_context(|| format!("cannot write {}", path.display()))?;
                    tracing::info!(letter = %path.display(), "carry the stick to the registrar, and back");
                }
                let found = read(&folder.join(reply.to_string()), REPLY_MESSAGE_BYTES_MAX);
                if let Some(found) = found.filter(|found| self.read.as_ref() != Some(found)) {
                    let vouchers = self.carrier.receive(&found);
                    self.read = Some(found);
                    self.offers.extend(vouchers?);
                    return Ok(());
                }
            }
            anyhow::ensure!(
                begin.elapsed() < REPLY_MAX,
                "the letter on the stick has no reply yet; carry it to the registrar"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What a registrar has written for this box before it asked.
    fn read_ahead(&mut self) {
        let path = self.root.join(&self.folder).join(Name::AHEAD.to_string());
        let Some(message) = read(&path, REPLY_MESSAGE_BYTES_MAX) else { return };
        match self.carrier.receive(&message) {
            Ok(vouchers) => self.offers.extend(vouchers),
            Err(refusal) => tracing::debug!(code = refusal.code(), "what the stick has from a registrar is not taken"),
        }
    }

    /// Whether there is a stick that is for boxes.
    fn is_in(&self) -> bool {
        self.root.join(DIRECTORY).is_dir()
    }

    /// What is there now.
    fn files(&self) -> Files {
        let listed = fs::read_dir(self.root.join(&self.folder)).into_iter().flatten().flatten();
        let mut files: Vec<_> = listed
            .filter_map(|file| {
                let about = file.metadata().ok()?;
                Some((file.path(), about.len(), about.modified().ok()))
            })
            .collect();
        files.sort();
        (self.is_in(), files)
    }

    /// Returns when a stick is put in, or what is on it is another.
    async fn changed(&self, before: &Files) {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.files();
            if now.0 && now != *before {
                return;
            }
        }
    }
}

/// A file of the stick; none where it is not there, or longer than any.
fn read(path: &Path, bytes_max: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(bytes_max as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= bytes_max).then_some(bytes)
}
