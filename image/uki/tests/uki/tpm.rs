//! Registers and policies, against a TPM of software.

use std::fs;

use dolmen_image_uki::{
    key::PublicKey,
    measure::{PcrSignatures, Phase, phases, policy_digest, replay, uki as predict},
};
use openssl::base64;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{parse, signer, uki};

/// A TPM, and a directory of files that go into it and come out of it.
pub(crate) struct Swtpm {
    tpm: dolmen_hsm_swtpm::Swtpm,
    files: TempDir,
}

impl Swtpm {
    pub(crate) fn new() -> Self {
        Self { tpm: dolmen_hsm_swtpm::Swtpm::new(), files: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn tcti(&self) -> String {
        self.tpm.tcti()
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        self.tpm.tool(program, arguments, self.files.path())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.files.path().join(name)).expect("the tool wrote it")
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.files.path().join(name), content).expect("a file");
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
