//! A machine that is switched on.

use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    Disk, Machine, Pattern, Timing, Timings, Tpm, VmError,
    command::{self, QEMU},
    console::{Console, Waited},
    error::Scene,
    limits::{CONSOLE_BYTES_MAX, MARKER_WAIT_MAX, QMP_WAIT_MAX, START_WAIT_MAX},
    network,
    process::{Process, processor_time},
    qmp::Qmp,
    tpm,
};

/// Where one boot's sockets and files are.
pub(crate) struct Power {
    /// Short paths: a socket's has 108 bytes at most.
    sockets: TempDir,
    artefacts: PathBuf,
    boot: u32,
}

/// The processes of a machine that has just been switched on.
pub(crate) struct On {
    power: Power,
    swtpm: Option<Process>,
    qemu: Process,
    console: Console,
    qmp: Qmp,
}

impl Power {
    pub(crate) fn new(artefacts: &Path, boot: u32) -> Result<Self, VmError> {
        let error = VmError::file("create a directory in", std::env::temp_dir());
        let sockets = tempfile::Builder::new().prefix("dolmen-vm-").tempdir().map_err(error)?;
        Ok(Self { sockets, artefacts: artefacts.to_owned(), boot })
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.sockets.path().join("qmp")
    }

    pub(crate) fn tpm(&self) -> PathBuf {
        self.sockets.path().join("tpm")
    }

    fn artefact(&self, name: &str) -> PathBuf {
        self.artefacts.join(format!("boot-{}.{name}", self.boot))
    }

    /// Starts the TPM and then the machine.
    pub(crate) fn on(self, tpm: Option<&Tpm>, arguments: &[String]) -> Result<On, VmError> {
        let swtpm = tpm.map(|tpm| tpm.start(&self.tpm(), &self.artefact("swtpm.log"))).transpose()?;
        let line = self.artefact("qemu.arguments");
        std::fs::write(&line, arguments.join("\n")).map_err(VmError::file("write", &line))?;
        let started = Instant::now();
        let mut qemu = Process::start(QEMU, arguments, &self.artefact("qemu.log"))?;
        let mut console = Console::new(qemu.pipes(), qemu.id(), started, &self.artefact("console.log"))?;
        let Some(qmp) = Qmp::connect(&self.control(), &mut qemu) else {
            if qemu.is_missing() {
                return Err(VmError::missing(QEMU));
            }
            qemu.kill();
            console.drain();
            let scene = Box::new(self.scene(console.tail()));
            return Err(VmError::NotListening { program: QEMU, after: started.elapsed(), scene });
        };
        Ok(On { power: self, swtpm, qemu, console, qmp })
    }

    fn scene(&self, console: String) -> Scene {
        let messages = ["qemu.log", "swtpm.log"].map(|name| tpm::tail(&self.artefact(name))).concat();
        Scene { console, messages, artefacts: self.artefacts.clone() }
    }
}

/// A machine that is switched on. Dropping it cuts its power.
///
/// Waiting goes through the console line by line, in one direction: what one wait has passed, the next does not see.
/// That way the same marker can be waited for after each restart.
pub struct Running<'m> {
    machine: &'m mut Machine,
    on: On,
    power_on: Instant,
    forbidden: Vec<Pattern>,
    timings: Timings,
}

/// A line that was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// All of it.
    pub line: String,
    /// What the pattern's groups captured; the first is all that matched.
    pub groups: Vec<Option<String>>,
    /// When it came, since power on.
    pub wall: Duration,
    /// The processor time that QEMU had used by then.
    pub processor: Duration,
}

impl Found {
    /// What a group of the pattern captured; nothing where it has no such group.
    #[must_use]
    pub fn group(&self, number: usize) -> &str {
        self.groups.get(number).and_then(Option::as_deref).unwrap_or_default()
    }
}

impl<'m> Running<'m> {
    pub(crate) fn new(machine: &'m mut Machine, on: On, power_on: Instant) -> Self {
        let forbidden = machine.forbidden.clone();
        Self { machine, on, power_on, forbidden, timings: Timings::default() }
    }

    /// Waits for a line of the console, for [`MARKER_WAIT_MAX`] at most.
    ///
    /// # Errors
    ///
    /// [`VmError::TimedOut`], [`VmError::Forbidden`] where a line comes before that must not come, [`VmError::Ended`]
    /// where the machine goes off, [`VmError::Flood`].
    pub fn wait_for(&mut self, awaited: impl Into<Pattern>) -> Result<Found, VmError> {
        self.wait_for_within(awaited, MARKER_WAIT_MAX)
    }

    /// Waits for a line of the console, no longer than this.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_for_within(&mut self, awaited: impl Into<Pattern>, within: Duration) -> Result<Found, VmError> {
        let awaited = awaited.into();
        let waited = self.on.console.wait(&awaited, &self.forbidden, within);
        let awaited = awaited.to_string();
        Err(match waited {
            Waited::Seen(seen) => {
                let timing = Timing { marker: awaited, wall: seen.wall, processor: seen.processor };
                self.timings.0.push(timing);
                let (line, groups) = (seen.line, seen.groups);
                return Ok(Found { line, groups, wall: seen.wall, processor: seen.processor });
            }
            Waited::Forbidden(line) => VmError::Forbidden { awaited, line, scene: self.failure() },
            Waited::Flood => VmError::Flood { limit: CONSOLE_BYTES_MAX, scene: self.failure() },
            Waited::TimedOut => VmError::TimedOut { awaited, after: within, scene: self.failure() },
            Waited::Closed => {
                // It closes its console as the last thing that it does.
                let status = self.on.qemu.wait(START_WAIT_MAX).unwrap_or_default();
                VmError::Ended { awaited, status, scene: self.failure() }
            }
        })
    }

    /// The next whole line of the console, whatever it is; none where there is none within this time.
    ///
    /// # Errors
    ///
    /// [`VmError::Ended`] where the machine went off, [`VmError::Flood`].
    pub fn next_line(&mut self, within: Duration) -> Result<Option<String>, VmError> {
        match self.on.console.wait(&Pattern::any(), &[], within) {
            Waited::Seen(seen) => Ok(Some(seen.line)),
            Waited::Closed => {
                let status = self.on.qemu.wait(START_WAIT_MAX).unwrap_or_default();
                Err(VmError::Ended { awaited: "a line".to_owned(), status, scene: self.failure() })
            }
            Waited::Flood => Err(VmError::Flood { limit: CONSOLE_BYTES_MAX, scene: self.failure() }),
            Waited::TimedOut | Waited::Forbidden(_) => Ok(None),
        }
    }

    /// Has waits end at once when a line shows this, until it is switched off ([`Machine::forbid`]).
    pub fn forbid(&mut self, pattern: impl Into<Pattern>) {
        self.forbidden.push(pattern.into());
    }

    /// Allows a text that was forbidden, until it is switched off.
    pub fn allow(&mut self, text: &str) {
        let text = Pattern::from(text).to_string();
        self.forbidden.retain(|pattern| pattern.to_string() != text);
    }

    /// Types on the serial console. The return key is `\r`.
    ///
    /// # Errors
    ///
    /// [`VmError::Qmp`] where nobody listens any more.
    pub fn send(&mut self, keys: &str) -> Result<(), VmError> {
        let sent = self.on.console.send(keys.as_bytes());
        sent.map_err(|error| self.refused("send keys", error.to_string()))
    }

    /// Presses keys of the keyboard, all at once, by QEMU's names such as `down`, `ret` and `shift`.
    ///
    /// # Errors
    ///
    /// [`VmError::Qmp`] where there is no such key.
    pub fn press(&mut self, keys: &[&str]) -> Result<(), VmError> {
        let keys: Vec<_> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.execute("send-key", json!({ "keys": keys })).map(drop)
    }

    /// Takes a picture of the screen, a PNG beside the other artefacts.
    ///
    /// # Errors
    ///
    /// [`VmError::Qmp`] where there is no screen.
    pub fn screenshot(&mut self, name: &str) -> Result<PathBuf, VmError> {
        let path = self.on.power.artefact(&format!("{name}.png"));
        self.execute("screendump", json!({ "filename": path, "format": "png" }))?;
        Ok(path)
    }

    /// The port of 127.0.0.1 behind which a port of the guest is.
    ///
    /// # Errors
    ///
    /// [`VmError::NoPort`] where it is not forwarded, [`VmError::Qmp`].
    pub fn port(&mut self, guest: u16) -> Result<u16, VmError> {
        let usernet = self.execute("human-monitor-command", json!({ "command-line": "info usernet" }))?;
        network::port(usernet.as_str().unwrap_or_default(), guest)
    }

    /// Pulls a stick out, whatever the guest does with it.
    ///
    /// # Errors
    ///
    /// [`VmError::NoDrive`], [`VmError::Qmp`] where the drive is in no port.
    pub fn unplug(&mut self, drive: &str) -> Result<(), VmError> {
        self.machine.find(drive)?;
        let device = command::device_id(drive);
        self.execute("device_del", json!({ "id": device }))?;
        let gone = self.on.qmp.wait(QMP_WAIT_MAX, |event, data| {
            event == "DEVICE_DELETED" && data.get("device").is_some_and(|name| *name == *device)
        });
        gone.map_err(|reason| self.refused("device_del", reason))?;
        self.execute("blockdev-del", json!({ "node-name": drive })).map(drop)
    }

    /// Holds its processors still. Its clock runs on.
    ///
    /// # Errors
    ///
    /// [`VmError::Qmp`].
    pub fn pause(&mut self) -> Result<(), VmError> {
        self.execute("stop", json!({})).map(drop)
    }

    /// Lets its processors go on.
    ///
    /// # Errors
    ///
    /// [`VmError::Qmp`].
    pub fn resume(&mut self) -> Result<(), VmError> {
        self.execute("cont", json!({})).map(drop)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    ///
    /// [`VmError::Qmp`].
    pub fn reset(&mut self) -> Result<(), VmError> {
        self.execute("system_reset", json!({})).map(drop)
    }

    /// Presses the power button: the guest is asked to shut down.
    ///
    /// # Errors
    ///
    /// [`VmError::Qmp`].
    pub fn press_power_button(&mut self) -> Result<(), VmError> {
        self.execute("system_powerdown", json!({})).map(drop)
    }

    /// Waits until the guest has switched the machine off.
    ///
    /// # Errors
    ///
    /// [`VmError::TimedOut`] after [`MARKER_WAIT_MAX`], and [`VmError::Forbidden`].
    pub fn wait_until_off(&mut self) -> Result<ExitStatus, VmError> {
        // No line is waited for: whatever comes is passed.
        let never = Pattern::none();
        match self.on.console.wait(&never, &self.forbidden, MARKER_WAIT_MAX) {
            Waited::Closed => Ok(self.on.qemu.wait(START_WAIT_MAX).unwrap_or_default()),
            Waited::Forbidden(line) => {
                Err(VmError::Forbidden { awaited: "power off".to_owned(), line, scene: self.failure() })
            }
            _ => {
                let awaited = "power off".to_owned();
                Err(VmError::TimedOut { awaited, after: MARKER_WAIT_MAX, scene: self.failure() })
            }
        }
    }

    /// The disk of a drive, to look at while the guest writes to it.
    ///
    /// # Errors
    ///
    /// [`VmError::NoDrive`].
    pub fn disk(&self, drive: &str) -> Result<&Disk, VmError> {
        self.machine.find(drive).map(|at| &self.machine.drives[at].disk)
    }

    /// Whether it is still on.
    pub fn is_on(&mut self) -> bool {
        self.on.qemu.ended().is_none()
    }

    /// Pulls the plug. What the guest has not written to its disks is lost, as are a TPM's registers.
    pub fn cut_power(self) {}

    /// All that its console printed since power on, without colours.
    #[must_use]
    pub fn console(&self) -> String {
        self.on.console.text()
    }

    /// The markers that were found so far, with wall and processor time since power on.
    #[must_use]
    pub const fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Time since power on.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.power_on.elapsed()
    }

    /// The processor time that QEMU has used since power on.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        processor_time(self.on.qemu.id())
    }

    /// The ids of its processes: QEMU's, and swtpm's where it has a TPM.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        [Some(&self.on.qemu), self.on.swtpm.as_ref()].into_iter().flatten().map(Process::id).collect()
    }

    fn execute(&mut self, command: &str, arguments: serde_json::Value) -> Result<serde_json::Value, VmError> {
        let answer = self.on.qmp.execute(command, arguments);
        answer.map_err(|reason| self.refused(command, reason))
    }

    fn refused(&mut self, command: &str, reason: String) -> VmError {
        VmError::Qmp { command: command.to_owned(), reason, scene: self.failure() }
    }

    /// What there is to see, which is kept from now on.
    fn failure(&mut self) -> Box<Scene> {
        self.machine.artefacts.keep();
        if self.machine.screen {
            let path = self.on.power.artefact("failure.png");
            // The failure is worth telling without its picture too.
            let _ = self.on.qmp.execute("screendump", json!({ "filename": path, "format": "png" }));
        }
        Box::new(self.on.power.scene(self.on.console.tail()))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.on.qemu.kill();
        self.on.console.drain();
    }
}
