//! A TPM of software with its maker's certificates, in a directory of its own.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{PATIENCE, process, wait_for};

/// A running TPM. It ends with this.
pub struct SoftTpm {
    port: u16,
    process: Child,
    /// Removed with it, if nobody else has it.
    state: Option<TempDir>,
}

impl SoftTpm {
    /// Makes a new one in a directory, by the maker of these settings of swtpm_setup.
    pub fn make(state: &Path, setup: &Path) {
        fs::create_dir_all(state).expect("a directory");
        let mut command = Command::new("swtpm_setup");
        command.args(["--tpm2", "--overwrite", "--create-ek-cert", "--tpmstate"]).arg(state);
        let made = process::run(command.arg("--config").arg(setup), PATIENCE);
        assert!(made.status.success(), "{}", made.output);
    }

    /// A new one that leaves nothing behind, whose registers were extended by these digests.
    pub fn made_by(setup: &Path, digests: &[(u8, [u8; 32])]) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        Self::make(state.path(), setup);
        let mut tpm = Self::start(state.path(), Self::free_port(), digests);
        tpm.state = Some(state);
        tpm
    }

    /// The one whose state is in this directory, at a port and the next.
    pub fn start(state: &Path, port: u16, digests: &[(u8, [u8; 32])]) -> Self {
        let at = |port: u16| format!("type=tcp,port={port},bindaddr=127.0.0.1");
        let mut command = process::command("swtpm");
        command.args(["socket", "--tpm2", "--tpmstate", &format!("dir={}", state.display())]);
        command.args(["--server", &at(port), "--ctrl", &at(port + 1), "--flags", "not-need-init,startup-clear"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("swtpm starts");
        let tpm = Self { port, process, state: None };
        // Either may be there first.
        let listens = || {
            [port, port + 1]
                .into_iter()
                .try_for_each(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(drop))
                .ok()
        };
        wait_for("the TPM", PATIENCE, listens);
        let digests = digests.iter().map(|(register, digest)| {
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{register}:sha256={digest}")
        });
        let mut extend = Command::new("tpm2_pcrextend");
        let extended = process::run(extend.args(digests).env("TPM2TOOLS_TCTI", tpm.tcti()), PATIENCE);
        assert!(extended.status.success(), "{}", extended.output);
        tpm
    }

    /// A port that is free, as is the next.
    pub fn free_port() -> u16 {
        let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
        let pair = (0..1000).find_map(|_| {
            let first = bind(0)?;
            let port = first.local_addr().ok()?.port();
            bind(port.checked_add(1)?).map(|_| port)
        });
        pair.expect("two free ports side by side")
    }

    /// How programs reach it.
    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }
}

impl Drop for SoftTpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
