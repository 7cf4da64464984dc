//! `registrar.toml`: what a registrar is made of. Relative paths are relative to the file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use dolmen_hsm_api::KeyUri;
use serde::{Deserialize, Serialize};

use crate::{backends::keys::Devices, config::uri};

/// The file's name in the registrar's directory.
pub(crate) const FILE: &str = "registrar.toml";
/// A file of settings or a policy.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// The file as written; unknown keys are refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// What people call it; announced on the network.
    pub name: String,
    /// Where boxes reach it.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// Whether it is announced on the network.
    #[serde(default = "yes")]
    pub announce: bool,
    /// Where it shows its numbers over HTTP, `/metrics`; nowhere if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// Its organisation on the chain: the number.
    pub organisation: u32,
    /// Its certificate and the root behind it, PEM.
    #[serde(default = "certificate")]
    pub certificate: PathBuf,
    /// The certificate of the authority that it issues with and the root behind it, PEM.
    #[serde(default = "issuing")]
    pub issuing: PathBuf,
    /// The roots of the makers whose boxes may come, PEM.
    pub makers: PathBuf,
    /// The roots of those who sign vouchers, PEM; those of the makers if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masas: Option<PathBuf>,
    /// Which boxes may join.
    #[serde(default = "policy")]
    pub policy: PathBuf,
    /// Which TPMs and images they may have.
    #[serde(default = "appraisal")]
    pub appraisal: PathBuf,
    /// What images leave in a TPM: a directory of their signed manifests, and the keys that sign releases.
    pub references: References,
    /// The chain that boxes join.
    pub chain: ChainSettings,
    /// Its keys.
    #[serde(default)]
    pub keys: RegistrarKeys,
}

/// Reference values of images.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct References {
    /// `NAME.json` with `NAME.json.sig` beside it, one pair for each image.
    pub manifests: PathBuf,
    /// The public keys that sign releases, PEM.
    pub release_keys: PathBuf,
}

/// How the registrar reaches its chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainSettings {
    /// The genesis file.
    pub genesis: PathBuf,
    /// JSON-RPC of a box of the chain.
    #[serde(default = "rpc")]
    pub rpc: String,
    /// The organisation's account, secp256k1 for `api`: proposes boxes and votes for them. Without it the registrar asks
    /// an operator to propose.
    #[serde(with = "uri::optional", default, skip_serializing_if = "Option::is_none")]
    pub account: Option<KeyUri>,
    /// As what boxes are proposed.
    #[serde(default)]
    pub admit: Admit,
}

/// As what a box is proposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Admit {
    /// It follows the chain, and is made a validator once it does.
    #[default]
    Validator,
    /// It follows the chain, and others decide whether it votes.
    Follower,
}

/// The registrar's keys, P-256.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrarKeys {
    /// TLS, and what boxes are told.
    #[serde(with = "uri", default = "registrar_key")]
    pub registrar: KeyUri,
    /// Certificates of boxes.
    #[serde(with = "uri", default = "issuing_key")]
    pub issuing: KeyUri,
    /// Where devices are.
    #[serde(default)]
    pub devices: Devices,
}

impl Default for RegistrarKeys {
    fn default() -> Self {
        Self { registrar: registrar_key(), issuing: issuing_key(), devices: Devices::default() }
    }
}

fn listen() -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], 8443))
}

const fn yes() -> bool {
    true
}

fn certificate() -> PathBuf {
    "registrar.pem".into()
}

fn issuing() -> PathBuf {
    "issuing.pem".into()
}

fn policy() -> PathBuf {
    "policy.toml".into()
}

fn appraisal() -> PathBuf {
    "appraisal.toml".into()
}

fn rpc() -> String {
    "http://127.0.0.1:8545".to_owned()
}

fn registrar_key() -> KeyUri {
    "soft:registrar".parse().expect("a name")
}

fn issuing_key() -> KeyUri {
    "soft:issuing".parse().expect("a name")
}

impl Settings {
    /// Those of a registrar's directory.
    pub(crate) fn load(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(FILE);
        let mut settings: Self =
            toml::from_str(&read_text(&path)?).with_context(|| format!("{} is not accepted", path.display()))?;
        let Self { certificate, issuing, makers, masas, policy, appraisal, references, chain, keys, .. } =
            &mut settings;
        let References { manifests, release_keys } = references;
        let paths = [certificate, issuing, makers, policy, appraisal, manifests, release_keys, &mut chain.genesis];
        paths.into_iter().chain(masas).for_each(|path| *path = directory.join(&*path));
        keys.devices.resolve(directory);
        Ok(settings)
    }
}

/// A text of settings.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    let length = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    ensure!(length <= TEXT_BYTES_MAX, "{} has {length} bytes, {TEXT_BYTES_MAX} at most can be", path.display());
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registrar_begins_with_can_be_read() {
        let settings: Settings = toml::from_str(include_str!("registrar.toml")).unwrap();
        let written: Settings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!((written.listen, written.chain.admit), (listen(), Admit::Validator));
        assert_eq!(written.keys.registrar, registrar_key());
        assert!(toml::from_str::<Settings>("name = \"x\"\nnmae = \"y\"").is_err());
    }
}
