//! Programs of the machine that builds, run to their end.

use std::{
    ffi::OsStr,
    io::{self, Read, Write as _},
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use crate::limits::OUTPUT_LINES_MAX;

/// Why a program did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not there.
    #[error("{} is not on this machine; run `scripts/setup.sh image`", program.display())]
    Missing {
        /// Its name or path.
        program: PathBuf,
    },
    /// The operating system did not run it, or broke off its input or output.
    #[error("cannot run {}", program.display())]
    Io {
        /// Its name or path.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It said that it failed.
    #[error("{} failed ({status}); the end of what it said:\n{said}", program.display())]
    Failed {
        /// Its name or path.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error.
        said: String,
    },
}

/// Runs it and gives its standard output.
///
/// # Errors
///
/// [`ProcessError`].
pub fn run(command: &mut Command) -> Result<Vec<u8>, ProcessError> {
    feed(command, &mut |_| Ok(()))
}

/// The same, as text. Bytes that are no UTF-8 become replacement characters.
///
/// # Errors
///
/// [`ProcessError`].
pub fn text(command: &mut Command) -> Result<String, ProcessError> {
    Ok(String::from_utf8_lossy(&run(command)?).into_owned())
}

/// Runs it with what `write` writes on its standard input.
///
/// # Errors
///
/// [`ProcessError`]; that of the program rather than that of the pipe which it left.
pub fn feed(
    command: &mut Command,
    write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
) -> Result<Vec<u8>, ProcessError> {
    let program = PathBuf::from(command.get_program());
    let io = |source| ProcessError::Io { program: program.clone(), source };
    // Messages and sorting must not depend on who builds.
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ProcessError::Missing { program: program.clone() },
        _ => io(source),
    })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // All three pipes at once: a program that waits for one would otherwise never end.
    let (written, stdout, stderr) = thread::scope(|scope| {
        let stdout = scope.spawn(move || read(stdout));
        let stderr = scope.spawn(move || read(stderr));
        let written = stdin.map_or(Ok(()), |mut stdin| write(&mut stdin).and_then(|()| stdin.flush()));
        (written, stdout.join(), stderr.join())
    });
    let status = child.wait().map_err(io)?;
    let whole = |read: thread::Result<io::Result<Vec<u8>>>| read.unwrap_or_else(|_| Ok(Vec::new())).map_err(io);
    let (stdout, stderr) = (whole(stdout)?, whole(stderr)?);
    if !status.success() {
        return Err(ProcessError::Failed { program, status, said: last_lines(&stderr) });
    }
    written.map_err(io)?;
    Ok(stdout)
}

/// Runs it with its output on the person's terminal, as for cargo.
///
/// # Errors
///
/// [`ProcessError`].
pub fn show(command: &mut Command) -> Result<(), ProcessError> {
    let program = PathBuf::from(command.get_program());
    let status = command.stdin(Stdio::null()).status().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ProcessError::Missing { program: program.clone() },
        _ => ProcessError::Io { program: program.clone(), source },
    })?;
    if !status.success() {
        return Err(ProcessError::Failed { program, status, said: "  (see above)".to_owned() });
    }
    Ok(())
}

/// A command with its arguments.
pub fn command<I: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn read(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes))?;
    Ok(bytes)
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(OUTPUT_LINES_MAX)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_writes_and_fails() {
        let mut large = |pipe: &mut dyn io::Write| pipe.write_all(&vec![b'a'; 1 << 20]);
        assert_eq!(feed(&mut command("cat", [""; 0]), &mut large).unwrap().len(), 1 << 20);
        // It leaves its input unread.
        let error = feed(&mut command("sh", ["-c", "echo no >&2; exit 3"]), &mut large).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("  no"), "{error}");
        let error = run(&mut command("dolmen-no-such-program", [""; 0])).unwrap_err().to_string();
        assert!(error.contains("scripts/setup.sh image"), "{error}");
    }
}
