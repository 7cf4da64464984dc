//! A machine's TPM.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use tempfile::TempDir;

use crate::{
    VmError, artefacts,
    error::Scene,
    limits::{START_WAIT_MAX, STDERR_BYTES_MAX},
    process::{POLL, Process},
};

/// The program.
const SWTPM: &str = "swtpm";

/// A TPM 2.0 of software, swtpm. Its seeds, keys and counters outlive the boots of its machine; a new one is another
/// TPM, which unlocks nothing that this one did.
#[derive(Debug)]
pub struct Tpm {
    state: PathBuf,
    _home: Option<TempDir>,
}

impl Tpm {
    /// A new one, which goes when it is dropped.
    ///
    /// # Errors
    ///
    /// [`VmError::File`].
    pub fn new() -> Result<Self, VmError> {
        let home = artefacts::directory("tpm-")?;
        Ok(Self { state: home.path().to_owned(), _home: Some(home) })
    }

    /// The one whose state is in this directory, which stays; a new one if there is none.
    ///
    /// # Errors
    ///
    /// [`VmError::File`].
    pub fn kept(directory: impl Into<PathBuf>) -> Result<Self, VmError> {
        let state = directory.into();
        fs::create_dir_all(&state).map_err(VmError::file("create", &state))?;
        Ok(Self { state, _home: None })
    }

    /// Runs a program of tpm2-tools, or of ours, on it while its machine is off; what the program printed, or its complaint where
    /// it failed. The registers are those of a machine that has booted nothing.
    ///
    /// # Errors
    ///
    /// [`VmError::Program`] where swtpm or the tool is not installed, [`VmError::NotListening`].
    pub fn tool(&mut self, program: &str, arguments: &[&str]) -> Result<Result<String, String>, VmError> {
        let messages = artefacts::directory("swtpm-")?;
        let (log, port) = (messages.path().join("swtpm.log"), free_ports()?);
        let [server, control] = [port, port + 1].map(|port| format!("type=tcp,port={port}"));
        let flags = ["--flags", "not-need-init,startup-clear", "--server", &server, "--ctrl", &control];
        let mut swtpm = Process::start(SWTPM, &self.arguments(&flags), &log)?;
        // The control port: a connection to the other would count as a client.
        listening(&mut swtpm, &log, || TcpStream::connect((Ipv4Addr::LOCALHOST, port + 1)).is_ok())?;
        let output = Command::new(program)
            .args(arguments)
            .env("TPM2TOOLS_TCTI", format!("swtpm:host=127.0.0.1,port={port}"))
            .env("TCTI", format!("swtpm:host=127.0.0.1,port={port}"))
            .output()
            .map_err(|source| VmError::Program { program: program.to_owned(), source })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
    }

    /// Power on: it listens for its machine on this socket.
    pub(crate) fn start(&self, socket: &Path, messages: &Path) -> Result<Process, VmError> {
        let control = format!("type=unixio,path={}", socket.display());
        let mut swtpm = Process::start(SWTPM, &self.arguments(&["--ctrl", &control]), messages)?;
        listening(&mut swtpm, messages, || socket.exists())?;
        Ok(swtpm)
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let state = format!("dir={}", self.state.display());
        let common = ["socket", "--tpm2", "--tpmstate", &state, "--log", "level=1"];
        common.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }
}

fn listening(swtpm: &mut Process, messages: &Path, mut is: impl FnMut() -> bool) -> Result<(), VmError> {
    let begin = Instant::now();
    while !is() {
        if swtpm.ended().is_some() || begin.elapsed() > START_WAIT_MAX {
            if swtpm.is_missing() {
                return Err(VmError::missing(SWTPM));
            }
            let artefacts = messages.parent().unwrap_or(messages).to_owned();
            let scene = Box::new(Scene { messages: tail(messages), artefacts, ..Scene::default() });
            return Err(VmError::NotListening { program: SWTPM, after: begin.elapsed(), scene });
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// The end of a file with messages.
pub(crate) fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(STDERR_BYTES_MAX)..]).into_owned()
}

/// Two free ports, one after the other, as the tools want them.
fn free_ports() -> Result<u16, VmError> {
    let error = || VmError::file("find two free ports at", "127.0.0.1");
    loop {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(error())?;
        let port = free.local_addr().map_err(error())?.port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return Ok(port);
        }
    }
}
