//! Devices of software for development boxes: a TPM and a PKCS#11 token each, as a box of hardware has them.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use dolmen_hsm_api::private;
use dolmen_image_boot::tpm::Tpm;

/// How long a TPM of software may take to listen.
const START_MAX: Duration = Duration::from_secs(20);
/// Where distributions put SoftHSM.
const SOFTHSM: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];
/// The label of each box's token.
pub(super) const TOKEN: &str = "dolmen";

/// A running swtpm. It ends when this is dropped, and with this process however that ends.
pub(super) struct Swtpm {
    process: Child,
    address: SocketAddr,
}

impl Swtpm {
    /// Starts one at an address and the next port.
    pub(super) fn start(state: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        fs::create_dir_all(state).with_context(|| format!("cannot create {}", state.display()))?;
        let directory = format!("dir={}", state.display());
        let control = SocketAddr::new(address.ip(), address.port() + 1);
        let at = |address: &SocketAddr| format!("type=tcp,port={},bindaddr={}", address.port(), address.ip());
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "swtpm", "socket", "--tpm2", "--tpmstate", &directory])
            .args(["--server", &at(&address), "--ctrl", &at(&control), "--flags", "not-need-init,startup-clear"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the devnet: the box needs its TPM until it has stopped.
            .process_group(0)
            .spawn()
            .context("cannot start a TPM of software: install the packages swtpm and util-linux")?;
        let mut swtpm = Self { process: child, address };
        let begin = Instant::now();
        // The control port: a connection to the other would count as a client.
        while TcpStream::connect(control).is_err() {
            if let Some(status) = swtpm.process.try_wait().context("cannot wait for swtpm")? {
                bail!(
                    "swtpm ended at once ({status}); is the package swtpm installed, and are {address} and {control} free?"
                );
            }
            ensure!(begin.elapsed() < START_MAX, "swtpm does not listen at {control}");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(swtpm)
    }

    /// How programs reach it.
    pub(super) fn tcti(&self) -> String {
        format!("swtpm:host={},port={}", self.address.ip(), self.address.port())
    }

    /// Extends registers of SHA-256, one after the other, as firmware does. Nobody else may be connected.
    pub(super) fn extend(&self, digests: &[(u8, [u8; 32])]) -> anyhow::Result<()> {
        let begin = Instant::now();
        let socket = loop {
            match TcpStream::connect(self.address) {
                // Its control port may be there first.
                Err(_) if begin.elapsed() < START_MAX => std::thread::sleep(Duration::from_millis(5)),
                connected => break connected.context("the TPM of software is gone")?,
            }
        };
        let mut tpm = Tpm::over(socket);
        Ok(digests.iter().try_for_each(|(register, digest)| tpm.extend((*register).into(), *digest))?)
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Who makes TPMs of software and vouches for them: the authority of swtpm-tools, in a directory.
pub(super) struct TpmMaker(PathBuf);

impl TpmMaker {
    /// In a directory, made where there is none.
    pub(super) fn open(directory: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let at = |name: &str| directory.join(name).display().to_string();
        let authority = format!(
            "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
            at(""),
            at("key.pem"),
            at("issuer.pem"),
            at("serial")
        );
        let options = "--platform-manufacturer Dolmen\n--platform-version 1\n--platform-model Devnet\n".to_owned();
        let setup = format!(
            "create_certs_tool = swtpm_localca\ncreate_certs_tool_config = {}\ncreate_certs_tool_options = {}\n\
             active_pcr_banks = sha256\n",
            at("authority.conf"),
            at("options")
        );
        for (name, text) in [("authority.conf", authority), ("options", options), ("setup.conf", setup)] {
            fs::write(at(name), text).with_context(|| format!("cannot write {}", at(name)))?;
        }
        Ok(Self(directory))
    }

    /// Makes a TPM with certificates, if there is none in the directory yet.
    pub(super) fn make(&self, state: &Path) -> anyhow::Result<()> {
        // The last that is written of one.
        if state.join("made").exists() {
            return Ok(());
        }
        fs::create_dir_all(state).with_context(|| format!("cannot create {}", state.display()))?;
        let setup = Command::new("swtpm_setup")
            .args(["--tpm2", "--overwrite", "--create-ek-cert", "--tpmstate"])
            .arg(state)
            .arg("--config")
            .arg(self.0.join("setup.conf"))
            .output()
            .context("cannot make a TPM of software: install the package swtpm-tools")?;
        ensure!(setup.status.success(), "swtpm_setup failed: {}", String::from_utf8_lossy(&setup.stdout));
        fs::write(state.join("made"), "").with_context(|| format!("cannot write into {}", state.display()))
    }

    /// Its root and the authority below it, PEM; they are made with the first TPM.
    pub(super) fn certificates(&self) -> anyhow::Result<[String; 2]> {
        let read = |name: &str| {
            let path = self.0.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok([read("swtpm-localca-rootca-cert.pem")?, read("issuer.pem")?])
    }
}

/// A token of SoftHSM, and what a process needs to find it.
pub(super) struct Token {
    pub(super) module: PathBuf,
    pub(super) pin_file: PathBuf,
    /// The value of the environment's `SOFTHSM2_CONF`.
    pub(super) configuration: PathBuf,
}

impl Token {
    /// The token in a directory, made where there is none.
    pub(super) fn open_or_create(directory: &Path) -> anyhow::Result<Self> {
        let module = SOFTHSM.map(PathBuf::from).into_iter().find(|path| path.exists());
        let module = module.context("SoftHSM is not installed: install the package softhsm2")?;
        let token = Self { module, pin_file: directory.join("pin"), configuration: directory.join("softhsm2.conf") };
        if token.pin_file.exists() {
            return Ok(token);
        }
        let tokens = directory.join("tokens");
        fs::create_dir_all(&tokens).with_context(|| format!("cannot create {}", tokens.display()))?;
        let settings =
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        fs::write(&token.configuration, settings)
            .with_context(|| format!("cannot write {}", token.configuration.display()))?;
        let pin = format!("{:08}", rand::random_range(0..100_000_000_u32));
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", TOKEN, "--pin", &pin, "--so-pin", &pin])
            .env("SOFTHSM2_CONF", &token.configuration)
            .output()
            .context("cannot start softhsm2-util: install the package softhsm2")?;
        ensure!(made.status.success(), "softhsm2-util failed: {}", String::from_utf8_lossy(&made.stderr));
        // Last: it says that the token is whole.
        private::write_new(&token.pin_file, pin.as_bytes())
            .with_context(|| format!("cannot write {}", token.pin_file.display()))?;
        Ok(token)
    }
}
