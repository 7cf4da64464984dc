//! A TPM of software for each test.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use dolmen_hsm_tpm::Tpm;
use tempfile::TempDir;

/// A running swtpm and its state, which outlives restarts.
pub(crate) struct Swtpm {
    state: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Swtpm {
    /// A new TPM.
    pub(crate) fn new() -> Self {
        let mut swtpm = Self { state: tempfile::tempdir().expect("a directory"), port: ports(), process: None };
        swtpm.start();
        swtpm
    }

    /// A new TPM with a maker's certificates.
    pub(crate) fn manufactured() -> Self {
        let mut swtpm = Self { state: tempfile::tempdir().expect("a directory"), port: ports(), process: None };
        let directory = swtpm.state.path().display().to_string();
        let setup = Command::new("swtpm_setup")
            .args(["--tpm2", "--tpmstate", &directory, "--create-ek-cert", "--create-platform-cert", "--overwrite"])
            .output()
            .expect("swtpm_setup starts");
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stdout));
        swtpm.start();
        swtpm
    }

    /// Certificates of the authorities that swtpm_setup makes for itself, PEM.
    pub(crate) fn makers(&self) -> Vec<std::path::PathBuf> {
        let settings = std::fs::read_to_string("/etc/swtpm-localca.conf").expect("swtpm-tools has its settings");
        let value = |name: &str| {
            settings
                .lines()
                .find_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == name))
                .map(|(_, value)| value.trim().to_owned())
        };
        let issuer = std::path::PathBuf::from(value("issuercert").expect("the issuer's certificate"));
        let root = issuer.with_file_name("swtpm-localca-rootca-cert.pem");
        vec![issuer, root]
    }

    /// What `--tcti` and `TCTI` say.
    pub(crate) fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    pub(crate) fn open(&self) -> Arc<Tpm> {
        Tpm::new(self.tcti().parse().expect("a TCTI"))
    }

    /// Power on.
    pub(crate) fn start(&mut self) {
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
        // The control port: a connection to the other would count as a client.
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port + 1)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "swtpm does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Power off.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ended");
        }
    }

    /// Runs a program of tpm2-tools on it. Nobody else may be connected.
    pub(crate) fn tool(&self, program: &str, arguments: &[&str], directory: &Path) -> String {
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
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Two free ports, one after the other: below those that the system gives out, and other ones than those of the tests
/// that run beside this one.
fn ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const PAIRS: u32 = 5_000;
    loop {
        let pair = (std::process::id() * 16 + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % PAIRS;
        let port = 10_000 + u16::try_from(pair * 2).expect("below 10,000");
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free(port) && free(port + 1) {
            return port;
        }
    }
}
