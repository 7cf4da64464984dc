//! A TPM of software for each test, with a maker of its own where it has certificates.

use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dolmen_hsm_tpm::Tpm;
use tempfile::TempDir;

/// A maker of TPMs: the authority of swtpm-tools, in a directory of its own.
pub(crate) struct Maker(TempDir);

impl Maker {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Makes a TPM's state with certificates of a manufacturer's number.
    fn make(&self, state: &Path, manufacturer: &str) {
        let at = |name: &str| self.0.path().join(name).display().to_string();
        let authority = format!(
            "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
            at(""),
            at("signkey.pem"),
            at("issuercert.pem"),
            at("serial")
        );
        let options = "--platform-manufacturer Tests\n--platform-version 1\n--platform-model Box\n".to_owned();
        // swtpm_setup tells whose TPM it makes after the options: it says swtpm, whatever those say.
        let tool = format!("#!/bin/bash\nexec swtpm_localca \"${{@/id:00001014/{manufacturer}}}\"\n");
        let setup = format!(
            "create_certs_tool = {}\ncreate_certs_tool_config = {}\ncreate_certs_tool_options = {}\n\
             active_pcr_banks = sha256\n",
            at("tool"),
            at("authority.conf"),
            at("options")
        );
        for (name, text) in [("authority.conf", authority), ("options", options), ("setup.conf", setup), ("tool", tool)]
        {
            fs::write(at(name), text).expect("it is written");
        }
        fs::set_permissions(at("tool"), Permissions::from_mode(0o700)).expect("it is ours");
        let state = state.display().to_string();
        let setup = Command::new("swtpm_setup")
            .args(["--tpm2", "--tpmstate", &state, "--create-ek-cert", "--config", &at("setup.conf")])
            .output()
            .expect("swtpm_setup starts; install the package swtpm-tools");
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stdout));
    }

    /// Its root and the authority below it, PEM.
    pub(crate) fn certificates(&self) -> [String; 2] {
        ["swtpm-localca-rootca-cert.pem", "issuercert.pem"]
            .map(|name| fs::read_to_string(self.0.path().join(name)).expect("it made one"))
    }
}

/// A running swtpm and its state, which outlives restarts.
pub(crate) struct Swtpm {
    state: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Swtpm {
    /// A new TPM that nobody vouches for.
    pub(crate) fn new() -> Self {
        let mut swtpm = Self { state: tempfile::tempdir().expect("a directory"), port: ports(), process: None };
        swtpm.start();
        swtpm
    }

    /// A new TPM with a maker's certificates, which name this manufacturer.
    pub(crate) fn made_by(maker: &Maker, manufacturer: &str) -> Self {
        let mut swtpm = Self { state: tempfile::tempdir().expect("a directory"), port: ports(), process: None };
        maker.make(swtpm.state.path(), manufacturer);
        swtpm.start();
        swtpm
    }

    fn tcti(&self) -> String {
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
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Power off.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it ended");
        }
    }

    /// Extends registers, one after the other. Nobody else may be connected.
    pub(crate) fn extend(&self, digests: &[(u8, [u8; 32])]) {
        let arguments =
            digests.iter().map(|(register, digest)| format!("{register}:sha256={}", const_hex::encode(digest)));
        let output = Command::new("tpm2_pcrextend")
            .args(arguments)
            .env("TPM2TOOLS_TCTI", self.tcti())
            .output()
            .expect("tpm2_pcrextend starts; install the package tpm2-tools");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
        let port = 20_000 + u16::try_from(pair * 2).expect("below 10,000");
        let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free(port) && free(port + 1) {
            return port;
        }
    }
}
