//! Running the root's programs and keeping what they say.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::{self, Read, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use crate::limits::OUTPUT_BYTES_MAX;

/// How long a program may take if nothing else is said: a TPM that answers slowly and a large file system included.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How often it is looked whether a program has ended.
const INTERVAL: Duration = Duration::from_millis(5);

/// Why a program did not do what it was started for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is not there, or cannot be executed.
    #[error("cannot run {program}; the root file system must have it")]
    Start {
        /// Its name.
        program: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// Its input or output broke.
    #[error("cannot talk to {program}")]
    Talk {
        /// Its name.
        program: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// It did not end, and was killed.
    #[error("{program} did not end within {seconds} s and was killed")]
    TimedOut {
        /// Its name.
        program: String,
        /// What it was given.
        seconds: u64,
    },
    /// It said no.
    #[error("{program} failed ({}): {}", describe(*.status), last_line(&.output.stderr))]
    Failed {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote before.
        output: Output,
    },
}

impl CommandError {
    /// What a program wrote before it failed. The text of the error has the last line of its standard error.
    #[must_use]
    pub const fn output(&self) -> Option<&Output> {
        match self {
            Self::Failed { output, .. } => Some(output),
            _ => None,
        }
    }

    /// The code that a program ended with, if it ran and ended by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Failed { status, .. } => status.code(),
            _ => None,
        }
    }
}

/// A program with its arguments. Nobody's standard input reaches it, and it has no controlling terminal, so that it
/// cannot ask anybody anything.
#[derive(Debug)]
pub struct Command {
    program: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    input: Zeroizing<Vec<u8>>,
    timeout: Duration,
}

/// What a program wrote. It is overwritten when it is dropped: it may be a key.
pub struct Output {
    /// To its standard output, the last part of it if it is long.
    pub stdout: Zeroizing<Vec<u8>>,
    /// To its standard error, likewise.
    pub stderr: String,
}

impl Output {
    /// The standard output as text. What is no UTF-8 becomes `U+FFFD`.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(String::from_utf8_lossy(&self.stdout).into_owned())
    }
}

/// Nobody's log gets the standard output by accident.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("stderr", &self.stderr).finish_non_exhaustive()
    }
}

impl Command {
    /// A program, looked for in `PATH` if it has no directory.
    #[must_use]
    pub fn new(program: &str) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            input: Zeroizing::default(),
            timeout: TIMEOUT,
        }
    }

    /// Adds an argument. Everybody on the machine can read it while the program runs: no place for a key.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment, which is this process's otherwise.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// What it reads from its standard input.
    #[must_use]
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = Zeroizing::new(bytes.to_vec());
        self
    }

    /// How long it may take; 5 minutes if nothing is said.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// [`CommandError`]; [`CommandError::Failed`] for each end but with the code 0.
    pub fn run(&self) -> Result<Output, CommandError> {
        let program = || self.program.clone();
        let mut child = self.spawn().map_err(|source| CommandError::Start { program: program(), source })?;
        let talk = |source| CommandError::Talk { program: program(), source };
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (keep(stdout), keep(stderr));
        let input = self.input.clone();
        // A thread of its own: the program may write before it has read all.
        thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let end = Instant::now() + self.timeout;
        let status = self.wait(&mut child, end).map_err(talk)?;
        let Some(status) = status else {
            return Err(CommandError::TimedOut { program: program(), seconds: self.timeout.as_secs() });
        };
        // What it started and left running may still hold its output open.
        let kept = |output: mpsc::Receiver<_>| {
            output.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap_or_default()
        };
        let (stdout, stderr) = (kept(stdout), kept(stderr));
        let output = Output { stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() };
        if status.success() { Ok(output) } else { Err(CommandError::Failed { program: program(), status, output }) }
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Nothing if it had to be killed.
    fn wait(&self, child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(INTERVAL);
        }
    }
}

/// Reads a program's output to its end and keeps the last part of it.
fn keep(output: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // With all of its room at once, so that no part of a key stays behind where it was before it grew.
        let mut kept = Zeroizing::new(Vec::with_capacity(2 * OUTPUT_BYTES_MAX));
        let mut part = Zeroizing::new([0; OUTPUT_BYTES_MAX]);
        let mut output = output;
        while let Some(read) =
            output.as_mut().and_then(|output| output.read(&mut part[..]).ok()).filter(|read| *read > 0)
        {
            kept.extend_from_slice(&part[..read]);
            let surplus = kept.len().saturating_sub(OUTPUT_BYTES_MAX);
            kept.drain(..surplus);
        }
        // Nobody listens any more if the program had to be killed.
        let _ = sender.send(kept);
    });
    receiver
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no code".to_owned(),
    }
}

fn last_line(message: &str) -> &str {
    message.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it says nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        Command::new("sh").args(["-c", script])
    }

    #[test]
    fn output_and_input_are_kept_apart() {
        let output = shell("cat; echo bad >&2; echo $A").input(b"in\n").env("A", "b c").run().unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.as_str()), (&b"in\nb c\n"[..], "bad\n"));
        // Without input there is none to wait for.
        assert_eq!(shell("cat").run().unwrap().stdout.len(), 0);
        // One that does not read it is no error.
        shell("exit 0").input(&vec![0; 1 << 20]).run().unwrap();
    }

    #[test]
    fn failures_say_why() {
        let error = shell("echo first >&2; echo 'the reason' >&2; echo >&2; exit 3").run().unwrap_err();
        assert_eq!((error.to_string().as_str(), error.code()), ("sh failed (code 3): the reason", Some(3)));
        let error = shell("echo secret; exit 1").run().unwrap_err();
        assert_eq!(error.output().unwrap().text().as_str(), "secret\n");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        let error = shell("kill -9 $$").run().unwrap_err();
        assert_eq!(error.to_string(), "sh failed (signal 9): it says nothing");
        let error = Command::new("/nowhere/program").run().unwrap_err();
        assert!(
            matches!(error, CommandError::Start { .. }) && error.code().is_none() && error.output().is_none(),
            "{error}"
        );
    }

    #[test]
    fn neither_time_nor_memory_is_unbounded() {
        let begin = Instant::now();
        let error = shell("exec sleep 1000").timeout(Duration::from_millis(50)).run().unwrap_err();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{error}");
        // One that left something running behind it.
        shell("sleep 1000 & echo done").timeout(Duration::from_millis(300)).run().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(60));
        let output = shell("head -c 1000000 /dev/zero; echo end").run().unwrap();
        assert_eq!(output.stdout.len(), OUTPUT_BYTES_MAX);
        assert!(output.stdout.ends_with(b"end\n"));
    }
}
