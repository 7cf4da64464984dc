//! `box.toml`: the settings of one box. Settings of the chain are in the genesis file.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use dolmen_hsm_api::KeyUri;
use dolmen_types::PublicKey;
use serde::{Deserialize, Serialize};

use crate::{
    backends::keys::Devices,
    logging::{Log, Traces},
};

pub(crate) use history::History;

mod history;

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
    #[serde(default)]
    pub keys: KeySettings,
    pub p2p: P2p,
    #[serde(default)]
    pub rpc: Rpc,
    #[serde(default)]
    pub admin: Admin,
    #[serde(default)]
    pub sync: SyncSettings,
    #[serde(default)]
    pub history: History,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateSettings>,
    #[serde(default)]
    pub log: Log,
    #[serde(default, skip_serializing_if = "is_default")]
    pub traces: Traces,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The box's keys, by name; each is made where there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySettings {
    /// Authenticates the box to others and signs its votes; Ed25519.
    #[serde(with = "uri", default = "consensus_key")]
    pub consensus: KeyUri,
    /// TLS of the web page; P-256 or Ed25519.
    #[serde(with = "uri", default = "page_key")]
    pub tls: KeyUri,
    /// Signs what the web page's interface answers to programs; P-256 or Ed25519.
    #[serde(with = "uri::optional", default, skip_serializing_if = "Option::is_none")]
    pub api: Option<KeyUri>,
    /// What stamps the log of votes; `tpm` where the consensus key is the TPM's, else `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote_counter: Option<VoteCounter>,
    /// Where devices are.
    #[serde(default)]
    pub devices: Devices,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self { consensus: consensus_key(), tls: page_key(), api: None, vote_counter: None, devices: Devices::default() }
    }
}

impl KeySettings {
    /// Takes keys from a PKCS#11 token where their names say no more.
    pub(crate) fn use_token(&mut self, module_path: PathBuf, pin_source: PathBuf) -> anyhow::Result<()> {
        self.devices.use_token(module_path, pin_source)
    }

    /// Whether the TPM stamps the log of votes.
    pub(crate) fn vote_counter(&self) -> VoteCounter {
        let in_tpm = matches!(self.consensus, KeyUri::Tpm(_));
        self.vote_counter.unwrap_or(if in_tpm { VoteCounter::Tpm } else { VoteCounter::None })
    }
}

/// What an old copy of the log of votes does not bring back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VoteCounter {
    /// A counter in the TPM.
    Tpm,
    /// Nothing.
    None,
}

fn consensus_key() -> KeyUri {
    "soft:consensus".parse().expect("a name")
}

fn page_key() -> KeyUri {
    "soft:page".parse().expect("a name")
}

/// Names of keys as strings.
pub(crate) mod uri {
    use dolmen_hsm_api::KeyUri;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(uri: &KeyUri, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(uri)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyUri, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    pub(crate) mod optional {
        use super::{Deserializer, KeyUri, Serializer};

        pub(crate) fn serialize<S: Serializer>(uri: &Option<KeyUri>, serializer: S) -> Result<S::Ok, S::Error> {
            match uri {
                Some(uri) => serializer.collect_str(uri),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyUri>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
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
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rpc {
    /// HTTP and WebSocket on one port.
    pub listen: SocketAddr,
    /// Names that requests may give the box, beside `localhost` and IP addresses; `*` is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl Default for Rpc {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8545)), hosts: Vec::new() }
    }
}

/// Web page, metrics and health.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// One port, HTTPS.
    pub listen: SocketAddr,
    /// Where plain HTTP leads to it, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<SocketAddr>,
    /// As [`Rpc::hosts`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The directory of a registrar on this machine, whose boxes the page shows and decides about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registrar: Option<PathBuf>,
    /// Where the page's backups are; `backups` beside the file if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<PathBuf>,
}

impl Default for Admin {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 9545));
        Self { listen, http: None, hosts: Vec::new(), registrar: None, backups: None }
    }
}

/// How a box without a chain gets one.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncSettings {
    /// Where it begins; by default from a snapshot, unless the genesis file names the box as a validator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SyncFrom>,
}

/// Where a box begins that has no chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SyncFrom {
    /// With the state of a late block, from other boxes.
    Snapshot,
    /// At block zero.
    Blocks,
}

/// Updates of the image over the web page's interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateSettings {
    /// Where a bundle is left for the system to apply it.
    pub spool: PathBuf,
    /// The public keys, PEM, that sign bundles.
    pub release_keys: PathBuf,
    /// What the system wrote last about its slots.
    pub report: PathBuf,
}

impl BoxConfig {
    /// Reads the file and resolves its relative paths.
    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}; give the path of a box.toml with --config", path.display()))?;
        Self::parse(&text, path)
    }

    /// The same of what is in the file, or is to be.
    pub(crate) fn parse(text: &str, path: &Path) -> anyhow::Result<Self> {
        let mut config: Self = toml::from_str(text)
            .map_err(|error| hide_pins(&error))
            .with_context(|| format!("{} is not a valid box.toml", path.display()))?;
        for (setting, names) in [("rpc.hosts", &config.rpc.hosts), ("admin.hosts", &config.admin.hosts)] {
            for name in names {
                ensure!(
                    is_host_name(name),
                    "{}: {name:?} in {setting} is no host name; write it like box-a.example.org, without a port",
                    path.display()
                );
            }
        }
        config.history.check().with_context(|| path.display().to_string())?;
        config.traces.check().with_context(|| path.display().to_string())?;
        let base = directory(path);
        for file in [&mut config.genesis, &mut config.data_dir] {
            *file = base.join(&*file);
        }
        if let Some(UpdateSettings { spool, release_keys, report }) = &mut config.update {
            for path in [spool, release_keys, report] {
                *path = base.join(&*path);
            }
        }
        for path in [&mut config.admin.registrar, &mut config.admin.backups].into_iter().flatten() {
            *path = base.join(&*path);
        }
        config.keys.devices.resolve(base);
        Ok(config)
    }
}

/// The error, without the line that it is about where that may hold a PIN.
fn hide_pins(error: &toml::de::Error) -> anyhow::Error {
    let shown = error.to_string();
    if shown.to_lowercase().contains("pin") { anyhow::anyhow!("{}", error.message()) } else { anyhow::anyhow!(shown) }
}

/// Whether a request can have this name as its host, or all names are meant: anything else would never match.
fn is_host_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name == "*" || (!name.is_empty() && name.bytes().all(allowed))
}

/// The box's directory: where its settings are.
pub(crate) fn directory(settings: &Path) -> &Path {
    settings.parent().unwrap_or(Path::new("."))
}

/// Reads and checks a genesis file.
pub(crate) fn load_genesis(path: &Path) -> anyhow::Result<dolmen_types::Genesis> {
    let json = std::fs::read(path).with_context(|| format!("cannot read the genesis file {}", path.display()))?;
    dolmen_types::Genesis::from_json(&json).with_context(|| format!("{} is not a valid genesis file", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "name = \"a\"\ngenesis = \"g\"\ndata_dir = \"d\"\n[p2p]\nlisten = \"127.0.0.1:1\"\n";

    fn load(more: &str) -> anyhow::Result<BoxConfig> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("box.toml");
        std::fs::write(&path, format!("{MINIMAL}{more}")).unwrap();
        BoxConfig::load(&path)
    }

    #[test]
    fn a_box_keeps_all_or_so_many_blocks() {
        let keeps = |more: &str| load(&format!("[history]\n{more}")).map(|config| config.history.options());
        let (kept, all) = (keeps("depth = 2000\nblocks = 2000\n").unwrap(), u64::MAX);
        assert_eq!((kept.history_depth.get(), kept.block_depth.get()), (2000, 2000));
        let kept = keeps("depth = \"all\"\n").unwrap();
        assert_eq!((kept.history_depth.get(), kept.block_depth.get()), (all, all));
        assert_eq!(keeps("").unwrap().block_depth.get(), all);
        for wrong in ["depth = 0", "depth = -1", "blocks = \"some\"", "blocks = 1.5", "blocks = 1023", "blocks = 99999"]
        {
            let error = format!("{:#}", keeps(wrong).unwrap_err());
            assert!(error.contains("all\""), "{wrong}: {error}");
        }
        // What `dolmen devnet` writes is read again.
        let written = toml::to_string(&load("[history]\nblocks = \"all\"\n").unwrap()).unwrap();
        assert!(written.contains("depth = 100000\nblocks = \"all\"\n"), "{written}");
    }

    #[test]
    fn a_part_may_give_some_of_its_settings() {
        let config = load("[rpc]\nhosts = [\"box-a.example.org\"]\n[admin]\nlisten = \"10.0.0.1:80\"\n").unwrap();
        assert_eq!(config.rpc.hosts, ["box-a.example.org"]);
        assert_eq!(config.rpc.listen, Rpc::default().listen);
        assert_eq!(config.admin.listen.port(), 80);
        assert!(config.admin.hosts.is_empty() && config.admin.registrar.is_none());
        let admin = load("[admin]\nregistrar = \"registrar\"\nbackups = \"/b\"\n").unwrap().admin;
        let (registrar, backups) = (admin.registrar.unwrap(), admin.backups.unwrap());
        assert!(registrar.is_absolute() && registrar.ends_with("registrar") && backups == Path::new("/b"));
    }

    #[test]
    fn keys_are_named_and_their_files_are_beside_the_settings() {
        let config = load("").unwrap().keys;
        assert_eq!(config.consensus.to_string(), "soft:consensus");
        assert_eq!(config.tls.to_string(), "soft:page");
        assert!(config.devices.dir.ends_with("keys") && config.devices.dir.is_absolute());
        assert_eq!(config.vote_counter(), VoteCounter::None);
        let config =
            load("[keys]\nconsensus = \"tpm:box\"\ntls = \"pkcs11:object=page\"\n[keys.devices]\ndir = \"/k\"\n");
        let config = config.unwrap().keys;
        assert_eq!((config.vote_counter(), config.devices.dir), (VoteCounter::Tpm, "/k".into()));
        let config = load("[keys.devices]\ntcti = \"tabrmd\"\n").unwrap().keys;
        assert!(config.devices.dir.ends_with("keys"), "a setting of devices moves no files: {:?}", config.devices.dir);
        let error = format!("{:#}", load("[keys]\ntls = \"soft:\"\n").unwrap_err());
        assert!(error.contains("is no name"), "{error}");
    }

    #[test]
    fn where_a_box_begins_is_one_of_two() {
        assert_eq!(load("").unwrap().sync.from, None);
        assert_eq!(load("[sync]\nfrom = \"blocks\"\n").unwrap().sync.from, Some(SyncFrom::Blocks));
        assert_eq!(load("[sync]\nfrom = \"snapshot\"\n").unwrap().sync.from, Some(SyncFrom::Snapshot));
        assert!(load("[sync]\nfrom = \"genesis\"\n").is_err());
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for name in ["http://box-a", "box-a:9545", "*.example.org", ""] {
            let error = load(&format!("[admin]\nhosts = [\"{name}\"]\n")).unwrap_err().to_string();
            assert!(error.contains("admin.hosts") && error.contains("is no host name"), "{error}");
        }
    }
}
