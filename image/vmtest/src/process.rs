//! Children of this process.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::unistd::{SysconfVar, sysconf};

use crate::VmError;

/// Has the kernel kill a program with its parent (util-linux).
const SETPRIV: &str = "setpriv";
/// Between two looks at something that gives no notice.
pub(crate) const POLL: Duration = Duration::from_millis(10);

/// A running program. It is killed when this is dropped, and by the kernel when the thread that started it ends: start
/// it in one that lives as long.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program with these arguments and its messages in a file. Its standard input and output are pipes.
    pub(crate) fn start(program: &str, arguments: &[String], messages: &Path) -> Result<Self, VmError> {
        let messages = File::create(messages).map_err(VmError::file("create", messages))?;
        let child = Command::new(SETPRIV)
            .args(["--pdeathsig", "KILL", "--", program])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(messages)
            // Ctrl-C is for whoever owns the machine: it ends it in order.
            .process_group(0)
            .spawn()
            .map_err(|source| VmError::Program { program: SETPRIV.to_owned(), source })?;
        Ok(Self { child })
    }

    /// What is typed into it and what it prints; once.
    pub(crate) fn pipes(&mut self) -> (ChildStdin, ChildStdout) {
        let (stdin, stdout) = (self.child.stdin.take(), self.child.stdout.take());
        (stdin.expect("piped, and taken once"), stdout.expect("piped, and taken once"))
    }

    /// Its id. The kernel gives it to nobody else before this is dropped.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Whether it ended because there is no such program, as setpriv(1) and shells say it.
    pub(crate) fn is_missing(&mut self) -> bool {
        self.ended().is_some_and(|status| status.code() == Some(127))
    }

    /// How it ended; `None` where it still runs after `within`.
    pub(crate) fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if begin.elapsed() >= within {
                return None;
            }
            thread::sleep(POLL);
        }
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The processor time that a process has used, in user and kernel mode, of all its threads; zero once it is gone.
/// `/proc/<id>/stat`, proc(5).
pub(crate) fn processor_time(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything, the fields count from 3; 14 and 15 are the two times.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    Duration::from_millis(ticks.saturating_mul(1000) / per_second.unwrap_or(100).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_this_process_grows() {
        let id = std::process::id();
        let (begin, before) = (Instant::now(), processor_time(id));
        while processor_time(id) < before + Duration::from_millis(20) {
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
        assert_eq!(processor_time(u32::MAX), Duration::ZERO);
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let messages = directory.path().join("messages");
        let process = Process::start("sleep", &["1000".to_owned()], &messages).unwrap();
        let id = process.id();
        assert!(Path::new(&format!("/proc/{id}")).exists());
        drop(process);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_program_that_ends_says_how() {
        let directory = tempfile::tempdir().unwrap();
        let messages = directory.path().join("messages");
        for (program, code) in [("false", 1), ("no-such-program", 127)] {
            let mut process = Process::start(program, &[], &messages).unwrap();
            assert_eq!(process.wait(Duration::from_secs(20)).unwrap().code(), Some(code));
            assert_eq!(process.is_missing(), code == 127);
        }
    }
}
