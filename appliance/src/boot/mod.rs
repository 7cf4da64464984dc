//! `dolmen boot`: what the image starts once the data partition is open. Boot goes one way: find what the box is, make
//! it a box of its own where it is none yet, run.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use dolmen_hsm_api::private;

use crate::{
    backends::{
        Backend,
        keys::{Devices, Keys},
    },
    claim,
    config::{Admin, BoxConfig, History, KeySettings, P2p, PeerConfig, Rpc, SyncSettings, UpdateSettings},
    logging::{self, Log, Traces},
    restart::Ended,
    run::{self, RunArgs},
    update,
};

mod found;
mod join;
mod waiting;

/// The file of a box's settings, in its directory.
pub(crate) const SETTINGS: &str = "box.toml";
/// The chain's, beside it.
const GENESIS: &str = "genesis.json";
/// The chain's data, beside both.
const DATA: &str = "data";
/// What a boot makes of a directory; the settings, which say where everything else is, are the last of it.
pub(crate) const FILES: [&str; 4] = [GENESIS, join::LDEVID, claim::FILE, SETTINGS];

/// Arguments of `dolmen boot`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen boot\n  dolmen boot --dir /tmp/box --keys soft --rpc 127.0.0.1:8545")]
pub(crate) struct BootArgs {
    /// Where the box keeps all that is its own.
    #[arg(long, value_name = "DIRECTORY", default_value = "/data/dolmen")]
    dir: PathBuf,
    #[command(flatten)]
    new: NewBox,
    /// Stop when standard input ends: a parent that dies takes the box with it.
    #[arg(long, hide = true)]
    stop_on_stdin_eof: bool,
}

/// What a box gets that has no settings yet; nothing of it touches one that has.
#[derive(Args)]
struct NewBox {
    /// Where its keys live.
    #[arg(long, value_enum, default_value_t = KeyHome::Tpm)]
    keys: KeyHome,
    /// The TPM, as in swtpm:host=127.0.0.1,port=2321; what the environment's TCTI says, or device:/dev/tpmrm0.
    #[arg(long, value_name = "TCTI")]
    tcti: Option<String>,
    /// Where JSON-RPC listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8545")]
    rpc: SocketAddr,
    /// Where the web page listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:443")]
    page: SocketAddr,
    /// Where other boxes reach it.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:30303")]
    p2p: SocketAddr,
}

/// Where the keys of a new box live.
#[derive(Clone, Copy, ValueEnum)]
enum KeyHome {
    /// The machine's TPM.
    Tpm,
    /// Encrypted files; for machines without a TPM that are no boxes of the image.
    Soft,
}

impl NewBox {
    /// The keys that it gets.
    fn keys(&self) -> KeySettings {
        let scheme = match self.keys {
            KeyHome::Tpm => "tpm",
            KeyHome::Soft => "soft",
        };
        key_settings(scheme, self.tcti.clone())
    }

    /// Where they are.
    fn open_keys(&self, directory: &Path) -> anyhow::Result<Keys> {
        let mut devices = self.keys().devices;
        devices.resolve(directory);
        Keys::new(devices)
    }

    /// Makes the directory a box's: its settings are the last that is written of it.
    fn write_settings(
        &self,
        directory: &Path,
        name: String,
        peers: Vec<PeerConfig>,
        sync: SyncSettings,
    ) -> anyhow::Result<()> {
        let settings = BoxConfig {
            name,
            genesis: GENESIS.into(),
            data_dir: DATA.into(),
            keys: self.keys(),
            p2p: P2p { listen: self.p2p, peers },
            rpc: Rpc { listen: self.rpc, ..Rpc::default() },
            admin: Admin { listen: self.page, http: http_beside(self.page), ..Admin::default() },
            sync,
            history: History::default(),
            update: Path::new(update::RELEASE_KEYS).exists().then(|| UpdateSettings {
                spool: update::SPOOL.into(),
                release_keys: update::RELEASE_KEYS.into(),
                report: update::REPORT.into(),
            }),
            log: Log::default(),
            traces: Traces::default(),
        };
        let path = directory.join(SETTINGS);
        private::write_new(&path, toml::to_string(&settings)?.as_bytes())
            .with_context(|| format!("cannot write the settings {}", path.display()))
    }
}

/// Browsers try HTTP first where somebody types an address, so that HTTPS at its own port has HTTP beside it.
fn http_beside(page: SocketAddr) -> Option<SocketAddr> {
    (page.port() == 443).then(|| SocketAddr::new(page.ip(), 80))
}

/// What is a box's own.
pub(crate) struct Belongings {
    pub(crate) keys: KeySettings,
    pub(crate) data: PathBuf,
    /// Where other boxes reach it.
    pub(crate) p2p: SocketAddr,
}

/// Those of a box, also of one that is at its first boot and has no settings yet.
pub(crate) fn belongings(directory: &Path) -> anyhow::Result<Belongings> {
    let path = directory.join(SETTINGS);
    if path.try_exists().with_context(|| format!("cannot read {}", path.display()))? {
        let config = BoxConfig::load(&path)?;
        return Ok(Belongings { keys: config.keys, data: config.data_dir, p2p: config.p2p.listen });
    }
    let mut keys = key_settings("tpm", None);
    keys.devices.resolve(directory);
    let p2p = SocketAddr::from(([0, 0, 0, 0], 30303));
    Ok(Belongings { keys, data: directory.join(DATA), p2p })
}

fn key_settings(scheme: &str, tcti: Option<String>) -> KeySettings {
    let key = |name: &str| format!("{scheme}:{name}").parse().expect("a name");
    let devices = Devices { tcti, ..Devices::default() };
    KeySettings { consensus: key("consensus"), tls: key("page"), devices, ..KeySettings::default() }
}

/// Runs the box of a directory; makes it first where it is none.
pub(crate) async fn boot(args: BootArgs) -> anyhow::Result<Ended> {
    let BootArgs { dir, new, stop_on_stdin_eof } = args;
    let config = dir.join(SETTINGS);
    if !config.try_exists().with_context(|| format!("cannot read {}", dir.display()))? {
        logging::init(logging::LogFormat::default());
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        if join::is_certified(&dir, &new)? {
            tokio::select! {
                joined = join::join(&dir, &new) => joined?,
                // What it has of its owner stays.
                () = run::stdin_eof(), if stop_on_stdin_eof => return Ok(Ended::Stopped),
            }
        } else {
            found::found(&dir, &new)?;
        }
    }
    run::run(RunArgs { config, accel: Backend::Cpu, stop_on_stdin_eof }).await
}
