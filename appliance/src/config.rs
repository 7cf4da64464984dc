//! `box.toml`: the settings of one box. Settings of the chain are in the genesis file.

use std::{
    net::SocketAddr,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use dolmen_types::PublicKey;
use serde::{Deserialize, Serialize};

use crate::logging::LogFormat;

/// The file as written; unknown keys are refused. Relative paths are relative to the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoxConfig {
    /// What people call this box.
    pub name: String,
    /// The chain's genesis file.
    pub genesis: PathBuf,
    /// Database and consensus journals.
    pub data_dir: PathBuf,
    /// File with the box's Ed25519 key, created where there is none.
    pub key: PathBuf,
    pub p2p: P2p,
    #[serde(default)]
    pub rpc: Rpc,
    #[serde(default)]
    pub admin: Admin,
    #[serde(default)]
    pub history: History,
    #[serde(default)]
    pub log: Log,
}

/// Boxes among themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct P2p {
    /// Where to listen for peers.
    pub listen: SocketAddr,
    /// The other boxes.
    #[serde(default)]
    pub peers: Vec<PeerConfig>,
}

/// Another box.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerConfig {
    /// Its key.
    pub public_key: PublicKey,
    /// Where it listens.
    pub address: SocketAddr,
}

/// JSON-RPC.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rpc {
    /// HTTP and WebSocket on one port.
    pub listen: SocketAddr,
}

impl Default for Rpc {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8545)) }
    }
}

/// Web page, metrics and health.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    /// One HTTP port.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9545)) }
    }
}

/// Old states.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    /// Blocks behind the head whose state can be read.
    pub depth: NonZeroU64,
}

impl Default for History {
    /// Half an hour at 50 blocks a second, half a day at the pace of an idle chain.
    fn default() -> Self {
        Self { depth: const { NonZeroU64::new(100_000).expect("not zero") } }
    }
}

/// Logs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// `text` or `json`.
    #[serde(default)]
    pub format: LogFormat,
}

impl BoxConfig {
    /// Reads the file and resolves its relative paths.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}; give the path of a box.toml with --config", path.display()))?;
        let mut config: Self =
            toml::from_str(&text).with_context(|| format!("{} is not a valid box.toml", path.display()))?;
        let base = path.parent().unwrap_or(Path::new("."));
        for file in [&mut config.genesis, &mut config.data_dir, &mut config.key] {
            *file = base.join(&*file);
        }
        Ok(config)
    }
}

/// Reads and checks a genesis file.
pub(crate) fn load_genesis(path: &Path) -> anyhow::Result<dolmen_types::Genesis> {
    let json = std::fs::read(path).with_context(|| format!("cannot read the genesis file {}", path.display()))?;
    dolmen_types::Genesis::from_json(&json).with_context(|| format!("{} is not a valid genesis file", path.display()))
}
