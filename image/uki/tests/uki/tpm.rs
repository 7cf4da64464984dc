//! Registers and policies, against a TPM of software.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dolmen_image_uki::{
    key::PublicKey,
    measure::{PcrSignatures, Phase, phases, policy_digest, replay, uki as predict},
};
use openssl::base64;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{parse, signer, uki};

/// A running swtpm.
pub(crate) struct Swtpm {
    state: TempDir,
    port: u16,
    process: Child,
}

impl Swtpm {
    pub(crate) fn new() -> Self {
        let (state, port) = (tempfile::tempdir().expect("a directory"), ports());
        let directory = format!("dir={}", state.path().display());
        let (server, control) = (format!("type=tcp,port={port}"), format!("type=tcp,port={}", port + 1));
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--tpmstate", &directory, "--server", &server, "--ctrl", &control])
            .args(["--flags", "not-need-init,startup-clear"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm starts; run scripts/setup.sh, which installs it");
        let begin = Instant::now();
        // The control port: a connection to the other would count as a client.
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port + 1)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "swtpm does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { state, port, process }
    }

    pub(crate) fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    /// Runs a program of tpm2-tools on it, in a directory of its own.
    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .env("TPM2TOOLS_TCTI", self.tcti())
            .current_dir(self.state.path())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}; run scripts/setup.sh, which installs tpm2-tools"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.state.path().join(name)).expect("the tool wrote it")
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.state.path().join(name), content).expect("a file");
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two free ports, one after the other.
fn ports() -> u16 {
    loop {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("it has one").port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return port;
        }
    }
}

/// A TPM that measures a UKI's boot holds the predicted value, computes the same policy, and lets the signature of it
/// take that policy's place, as it does where a disk's key is sealed for the signer.
#[test]
fn a_tpm_accepts_the_signed_policy() {
    let bytes = uki();
    let predicted = predict(&parse(&bytes)).unwrap();
    let public = PublicKey::from_pem(&signer().public_pem()).unwrap();
    let path = Phase::BOOT[1];
    let signatures = PcrSignatures::sign(&predicted, &[path], &signer().key, &public).unwrap();
    let entries: Value = serde_json::from_str(&signatures.json()).unwrap();
    let entry = &entries["sha256"][0];

    let swtpm = Swtpm::new();
    let measured = [&predicted[..], &phases(path)].concat();
    for one in &measured {
        swtpm.tool("tpm2_pcrextend", &[&format!("{}:sha256={}", one.pcr, const_hex::encode(one.digest))]);
    }
    swtpm.tool("tpm2_pcrread", &["sha256:11", "-o", "value"]);
    let value = replay(&measured).values()[11].unwrap();
    assert_eq!(swtpm.read("value"), value);

    swtpm.write("signer.pem", signer().public_pem().as_bytes());
    swtpm.write("signature", &base64::decode_block(entry["sig"].as_str().unwrap()).unwrap());
    swtpm.tool("tpm2_startauthsession", &["-S", "session", "--policy-session"]);
    swtpm.tool("tpm2_policypcr", &["-S", "session", "-l", "sha256:11", "-L", "policy"]);
    assert_eq!(swtpm.read("policy"), policy_digest(&value));
    assert_eq!(entry["pol"], const_hex::encode(policy_digest(&value)));
    swtpm.tool(
        "tpm2_loadexternal",
        &["-C", "o", "-G", "rsa", "-u", "signer.pem", "-c", "signer.ctx", "-n", "signer.name"],
    );
    let verify =
        ["-c", "signer.ctx", "-g", "sha256", "-f", "rsassa", "-m", "policy", "-s", "signature", "-t", "ticket"];
    swtpm.tool("tpm2_verifysignature", &verify);
    let authorize = ["-S", "session", "-i", "policy", "-n", "signer.name", "-t", "ticket", "-L", "authorized"];
    swtpm.tool("tpm2_policyauthorize", &authorize);
    assert_ne!(swtpm.read("authorized"), swtpm.read("policy"));
}
