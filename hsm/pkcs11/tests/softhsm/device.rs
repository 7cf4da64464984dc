//! A SoftHSM of a test's own.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use dolmen_hsm_api::{Algorithm, Domain, KeyError, KeySpec, KeyUri, Message, Signature, Signer};
use dolmen_hsm_pkcs11::{Pkcs11Config, Pkcs11Store};
use futures::executor::block_on;
use tempfile::TempDir;

/// Where distributions put SoftHSM.
const SOFTHSM: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// What every token here opens with; no message may have it.
pub(crate) const PIN: &str = "planted-pin";
/// The label of the first token.
pub(crate) const TOKEN: &str = "box";

/// Tokens in a directory, and the library that a store loads. `tests/shim/shim.c` says what its files do.
pub(crate) struct Device {
    directory: TempDir,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self::with_tokens(&[TOKEN])
    }

    pub(crate) fn with_tokens(labels: &[&str]) -> Self {
        let device = Self { directory: tempfile::tempdir().expect("a directory for the test") };
        let softhsm = SOFTHSM.into_iter().find(|path| Path::new(path).exists()).expect("install softhsm2");
        fs::copy(softhsm, device.path("softhsm.so")).expect("SoftHSM can be copied");
        fs::create_dir(device.path("tokens")).expect("a directory for the tokens");
        let tokens = device.path("tokens");
        let settings =
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        fs::write(device.path("softhsm2.conf"), settings).expect("settings can be written");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shim/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"]).arg(device.module()).arg(source);
        done(compiler.args(["-ldl", "-lpthread"]));
        for label in labels {
            let arguments = ["--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN];
            done(device.softhsm_util().args(arguments));
        }
        device.pin_file("pin", PIN);
        device
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn module(&self) -> PathBuf {
        self.path("shim.so")
    }

    /// A file with a PIN.
    pub(crate) fn pin_file(&self, name: &str, pin: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, pin).expect("a PIN can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it can be made private");
        path
    }

    pub(crate) fn config(&self) -> Pkcs11Config {
        Pkcs11Config { module_path: Some(self.module()), pin_source: Some(self.path("pin")), ..Pkcs11Config::default() }
    }

    pub(crate) fn store(&self) -> Pkcs11Store {
        Pkcs11Store::new(self.config())
    }

    pub(crate) fn store_with_pin(&self, pin_source: Option<PathBuf>) -> Pkcs11Store {
        Pkcs11Store::new(Pkcs11Config { pin_source, ..self.config() })
    }

    pub(crate) fn set(&self, fault: &str) {
        fs::write(self.path(fault), "").expect("a fault can be set");
    }

    pub(crate) fn clear(&self, fault: &str) {
        match fs::remove_file(self.path(fault)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{fault}: {error}"),
            _ => {}
        }
    }

    /// What the library counts.
    pub(crate) fn count(&self, what: &str) -> usize {
        let text = fs::read_to_string(self.path(what)).unwrap_or_default();
        text.trim().parse().unwrap_or_default()
    }

    /// The serial numbers of the tokens.
    pub(crate) fn serials(&self) -> Vec<String> {
        let shown = done(self.softhsm_util().arg("--show-slots"));
        let serials = shown.lines().filter_map(|line| line.trim().strip_prefix("Serial number:"));
        serials.map(str::trim).filter(|serial| !serial.is_empty()).map(str::to_owned).collect()
    }

    fn softhsm_util(&self) -> Command {
        let mut command = Command::new("softhsm2-util");
        command.env("SOFTHSM2_CONF", self.path("softhsm2.conf"));
        command
    }
}

/// What a command printed; it must succeed.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The key of a name on the first token.
pub(crate) fn key(name: &str) -> KeyUri {
    uri(&format!("pkcs11:token={TOKEN};object={name}"))
}

pub(crate) fn uri(text: &str) -> KeyUri {
    text.parse().expect("a key's name")
}

pub(crate) fn spec(algorithm: Algorithm) -> KeySpec {
    KeySpec { algorithm, domains: [Domain::Vote, Domain::Transport].into_iter().collect() }
}

pub(crate) fn sign(key: &dyn Signer) -> Result<Signature, KeyError> {
    block_on(key.sign(Domain::Vote, Message::Bytes(b"a message")))
}
