//! Who makes TPMs, and vouches for them.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use tempfile::TempDir;

/// A maker of TPMs: the authority of swtpm-tools, in a directory of its own.
#[derive(Debug)]
pub struct Maker(TempDir);

impl Default for Maker {
    fn default() -> Self {
        Self::new()
    }
}

impl Maker {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// Makes a TPM's state with certificates of a manufacturer's number.
    pub(crate) fn make(&self, state: &Path, manufacturer: &str) {
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

    /// Its root and the authority below it, PEM; they are made with the first TPM.
    #[must_use]
    pub fn certificates(&self) -> [String; 2] {
        ["swtpm-localca-rootca-cert.pem", "issuercert.pem"]
            .map(|name| fs::read_to_string(self.0.path().join(name)).expect("it made one"))
    }
}
