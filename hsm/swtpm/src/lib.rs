//! TPMs of software for tests: each test has one of its own, with a maker of its own where it has certificates.
//!
//! They are swtpm's and are used as TPMs of hardware are, over a connection that one program at a time has. Whatever
//! does not start panics, and says which package is missing.

mod maker;
mod ports;

use std::{
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub use maker::Maker;

/// What swtpm takes to listen at most, on a machine that is busy with other tests.
const START_MAX: Duration = Duration::from_secs(20);

/// A running swtpm and its state, which outlives restarts.
#[derive(Debug)]
pub struct Swtpm {
    state: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Default for Swtpm {
    fn default() -> Self {
        Self::new()
    }
}

impl Swtpm {
    /// A new TPM that nobody vouches for.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    /// A new TPM with certificates by a maker. They name a manufacturer by its number, as in `id:49465800`.
    #[must_use]
    pub fn made_by(maker: &Maker, manufacturer: &str) -> Self {
        Self::with(|state| maker.make(state, manufacturer))
    }

    fn with(prepare: impl FnOnce(&Path)) -> Self {
        let mut swtpm = Self { state: tempfile::tempdir().expect("a directory"), port: ports::pair(), process: None };
        prepare(swtpm.state.path());
        swtpm.start();
        swtpm
    }

    /// The port that it takes commands at, at the local address.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// How libtss2 reaches it: what `--tcti` and `TCTI` say.
    #[must_use]
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Power on.
    pub fn start(&mut self) {
        let state = format!("dir={}", self.state.path().display());
        let (server, control) = (format!("type=tcp,port={}", self.port), format!("type=tcp,port={}", self.port + 1));
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate", &state, "--server", &server, "--ctrl", &control])
            .args(["--flags", "not-need-init,startup-clear"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm starts; install the package swtpm");
        self.process = Some(process);
        let begin = Instant::now();
        // Either port may be there first.
        let listens = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        while !(listens(self.port) && listens(self.port + 1)) {
            assert!(begin.elapsed() < START_MAX, "swtpm does not listen");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Power off, without warning.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ended");
        }
    }

    /// Runs a program of tpm2-tools on it, in a directory, and gives what it printed. Nobody else may be connected.
    pub fn tool(&self, program: &str, arguments: &[&str], directory: &Path) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env("TPM2TOOLS_TCTI", self.tcti())
            .current_dir(directory)
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; install the package tpm2-tools"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Extends registers (SHA-256 bank), one after the other. Nobody else may be connected.
    pub fn extend(&self, digests: &[(u8, [u8; 32])]) {
        let arguments: Vec<_> =
            digests.iter().map(|(pcr, digest)| format!("{pcr}:sha256={}", const_hex::encode(digest))).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.tool("tpm2_pcrextend", &arguments, self.state.path());
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself, and a test that fails says why better than this.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
