//! How a new box looks for its owner: `provisioning.toml` in its directory. Without the file all is as it is here.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use dolmen_provisioning_pledge::{Hint, Source};
use serde::{Deserialize, Serialize};

/// The file as written; unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Provisioning {
    /// Registrars that are tried first, `host:port`.
    pub registrars: Vec<String>,
    /// Whether registrars are looked for on the network.
    pub discover: bool,
    /// Where a stick is mounted that carries letters to a registrar, and its replies; one with a folder `dolmen`.
    pub stick: PathBuf,
    /// Whose vouchers count: certificates in PEM.
    pub masa_roots: PathBuf,
    /// Where other boxes are to reach this one; the address that reaches the registrar if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<SocketAddr>,
    /// The firmware's log of what it measured.
    pub firmware_log: PathBuf,
    /// systemd's.
    pub userspace_log: PathBuf,
    /// What says which version of the image runs (os-release(5), `IMAGE_VERSION`).
    pub os_release: PathBuf,
    /// What says which root file system it has: the kernel's command line.
    pub command_line: PathBuf,
}

impl Default for Provisioning {
    fn default() -> Self {
        Self {
            registrars: Vec::new(),
            discover: true,
            stick: "/run/dolmen/stick".into(),
            masa_roots: "/usr/lib/dolmen/masa.pem".into(),
            endpoint: None,
            firmware_log: "/sys/kernel/security/tpm0/binary_bios_measurements".into(),
            userspace_log: "/run/log/systemd/tpm2-measure.log".into(),
            os_release: "/etc/os-release".into(),
            command_line: "/proc/cmdline".into(),
        }
    }
}

impl Provisioning {
    /// The file's name in the box's directory.
    pub(crate) const FILE: &str = "provisioning.toml";

    /// Those of a box's directory.
    pub(crate) fn load(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(Self::FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("{} is not accepted", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The registrars that the file names.
    pub(super) fn hints(&self) -> anyhow::Result<Vec<Hint>> {
        let hint = |place: &String| {
            let (host, port) = place.rsplit_once(':').with_context(|| format!("{place:?} is no host:port"))?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let port = port.parse().with_context(|| format!("{place:?} has no port"))?;
            Hint::new(Source::Stick, host, port).with_context(|| format!("{place:?} cannot be called"))
        };
        self.registrars.iter().map(hint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Provisioning::load(dir.path()).unwrap(), Provisioning::default());
        let settings = Provisioning {
            registrars: vec!["registrar.alpha.example:8443".into(), "[fe80::1%2]:8443".into()],
            discover: false,
            endpoint: Some("10.0.0.7:30303".parse().unwrap()),
            ..Provisioning::default()
        };
        std::fs::write(dir.path().join(Provisioning::FILE), toml::to_string(&settings).unwrap()).unwrap();
        assert_eq!(Provisioning::load(dir.path()).unwrap(), settings);
        let hints: Vec<_> = settings.hints().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(hints, settings.registrars);
        std::fs::write(dir.path().join(Provisioning::FILE), "registrar = \"a:1\"").unwrap();
        assert!(Provisioning::load(dir.path()).is_err());
        for place in ["a", "a:", "a:0", "a b:1", ":1"] {
            assert!(
                Provisioning { registrars: vec![place.into()], ..Provisioning::default() }.hints().is_err(),
                "{place}"
            );
        }
    }
}
