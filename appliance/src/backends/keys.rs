//! The devices that keep this box's keys.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use dolmen_hsm_api::{AttestingTpm, KeyError, KeyInfo, KeySpec, KeyStore, KeyUri, LeaseCounter, Sealer, Signer};
use dolmen_hsm_soft::SoftStore;
use serde::{Deserialize, Serialize};

/// How the devices are reached: the part `[keys]` of box.toml, and arguments of `dolmen keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Devices {
    /// Where the files of keys are, and the log of votes.
    pub dir: PathBuf,
    /// What opens `soft:` keys; `passphrase` in the directory if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// The TPM, as libtss2 writes it; the environment's `TCTI` or `device:/dev/tpmrm0` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcti: Option<String>,
    #[cfg(feature = "pkcs11")]
    #[serde(skip_serializing_if = "is_default")]
    pub pkcs11: dolmen_hsm_pkcs11::Pkcs11Config,
    #[cfg(feature = "sdf")]
    #[serde(skip_serializing_if = "is_default")]
    pub sdf: SdfSettings,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            dir: "keys".into(),
            passphrase_file: None,
            tcti: None,
            #[cfg(feature = "pkcs11")]
            pkcs11: dolmen_hsm_pkcs11::Pkcs11Config::default(),
            #[cfg(feature = "sdf")]
            sdf: SdfSettings::default(),
        }
    }
}

#[cfg(any(feature = "pkcs11", feature = "sdf"))]
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A GM/T 0018 device.
#[cfg(feature = "sdf")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SdfSettings {
    /// Its library.
    pub module_path: Option<PathBuf>,
    /// A file of mode 0600 that holds the password of its keys.
    pub pin_source: Option<PathBuf>,
    /// What its maker answers where a key is locked.
    pub locked_codes: Vec<u32>,
}

impl Devices {
    /// Takes keys from a PKCS#11 token where their names say no more.
    #[cfg(feature = "pkcs11")]
    pub(crate) fn use_token(&mut self, module_path: PathBuf, pin_source: PathBuf) -> anyhow::Result<()> {
        self.pkcs11.module_path = Some(module_path);
        self.pkcs11.pin_source = Some(pin_source);
        Ok(())
    }

    /// Takes keys from a PKCS#11 token where their names say no more.
    #[cfg(not(feature = "pkcs11"))]
    pub(crate) fn use_token(&mut self, _: PathBuf, _: PathBuf) -> anyhow::Result<()> {
        bail!("this program was built without the backend of PKCS#11; build it with all features")
    }

    /// Makes relative paths relative to a directory.
    pub(crate) fn resolve(&mut self, base: &Path) {
        self.dir = base.join(&self.dir);
        let mut paths = vec![&mut self.passphrase_file];
        #[cfg(feature = "pkcs11")]
        paths.extend([&mut self.pkcs11.module_path, &mut self.pkcs11.pin_source]);
        #[cfg(feature = "sdf")]
        paths.extend([&mut self.sdf.module_path, &mut self.sdf.pin_source]);
        paths.into_iter().flatten().for_each(|path| *path = base.join(&*path));
    }
}

/// All stores of keys; devices are reached when a key of theirs is.
pub(crate) struct Keys {
    devices: Devices,
    soft: SoftStore,
    #[cfg(feature = "tpm")]
    tpm: Arc<dolmen_hsm_tpm::Tpm>,
    #[cfg(feature = "tpm")]
    tpm_store: dolmen_hsm_tpm::TpmStore,
    #[cfg(feature = "pkcs11")]
    pkcs11: dolmen_hsm_pkcs11::Pkcs11Store,
    #[cfg(feature = "sdf")]
    sdf: dolmen_hsm_sdf::SdfStore,
}

impl Keys {
    /// The stores behind these settings.
    pub(crate) fn new(devices: Devices) -> anyhow::Result<Self> {
        let dir = devices.dir.clone();
        let passphrase_file = devices.passphrase_file.clone().unwrap_or_else(|| dir.join("passphrase"));
        #[cfg(feature = "tpm")]
        let tpm = {
            let tcti = devices.tcti.as_ref().map_or_else(dolmen_hsm_tpm::Tcti::from_environment, |tcti| tcti.parse());
            dolmen_hsm_tpm::Tpm::new(tcti.map_err(|error| anyhow::anyhow!(error))?)
        };
        Ok(Self {
            soft: SoftStore::new(dir.clone(), passphrase_file),
            #[cfg(feature = "tpm")]
            tpm_store: dolmen_hsm_tpm::TpmStore::new(tpm.clone(), dir),
            #[cfg(feature = "tpm")]
            tpm,
            #[cfg(feature = "pkcs11")]
            pkcs11: dolmen_hsm_pkcs11::Pkcs11Store::new(devices.pkcs11.clone()),
            #[cfg(feature = "sdf")]
            sdf: dolmen_hsm_sdf::SdfStore::new(dolmen_hsm_sdf::SdfConfig {
                module_path: devices.sdf.module_path.clone(),
                pin_source: devices.sdf.pin_source.clone(),
                locked_codes: devices.sdf.locked_codes.clone(),
                ..dolmen_hsm_sdf::SdfConfig::default()
            }),
            devices,
        })
    }

    /// The store that a key's name belongs to.
    pub(crate) fn store(&self, uri: &KeyUri) -> anyhow::Result<&dyn KeyStore> {
        match uri {
            KeyUri::Soft(_) => Ok(&self.soft),
            #[cfg(feature = "tpm")]
            KeyUri::Tpm(_) => Ok(&self.tpm_store),
            #[cfg(feature = "pkcs11")]
            KeyUri::Pkcs11(_) => Ok(&self.pkcs11),
            #[cfg(feature = "sdf")]
            KeyUri::Sdf(_) => Ok(&self.sdf),
            #[allow(unreachable_patterns, reason = "with all features none is left")]
            _ => bail!("this program was built without the backend of {uri}; build it with all features"),
        }
    }

    /// Opens a key, or makes it where there is none.
    pub(crate) fn open_or_create(&self, uri: &KeyUri, spec: KeySpec) -> anyhow::Result<Arc<dyn Signer>> {
        let store = self.store(uri)?;
        match store.open(uri) {
            Err(KeyError::NotFound(_)) => {
                let key = store.create(uri, spec)?;
                tracing::info!(%uri, algorithm = %spec.algorithm, uses = %spec.domains, "made a key");
                Ok(key)
            }
            opened => Ok(opened?),
        }
    }

    /// All keys that can be listed, and what kept others from it. A device that nobody configured is not asked.
    pub(crate) fn list(&self) -> (Vec<KeyInfo>, Vec<KeyError>) {
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        for store in self.configured() {
            match store.list() {
                Ok(more) => keys.extend(more),
                Err(error) => errors.push(error),
            }
        }
        (keys, errors)
    }

    fn configured(&self) -> Vec<&dyn KeyStore> {
        let mut stores: Vec<&dyn KeyStore> = vec![&self.soft];
        #[cfg(feature = "tpm")]
        stores.push(&self.tpm_store);
        #[cfg(feature = "pkcs11")]
        if self.devices.pkcs11.module_path.is_some() {
            stores.push(&self.pkcs11);
        }
        #[cfg(feature = "sdf")]
        if self.devices.sdf.module_path.is_some() {
            stores.push(&self.sdf);
        }
        stores
    }

    /// The TPM's counter, for the log of votes.
    pub(crate) fn vote_counter(&self) -> anyhow::Result<Arc<dyn LeaseCounter>> {
        #[cfg(feature = "tpm")]
        return Ok(Arc::new(dolmen_hsm_tpm::NvLease::new(self.tpm.clone())));
        #[cfg(not(feature = "tpm"))]
        bail!("this program was built without the backend of TPMs; build it with all features")
    }

    /// What seals secrets to the state of the box.
    pub(crate) fn sealer(&self) -> anyhow::Result<Box<dyn Sealer>> {
        #[cfg(feature = "tpm")]
        return Ok(Box::new(dolmen_hsm_tpm::TpmSealer::new(self.tpm.clone())));
        #[cfg(not(feature = "tpm"))]
        bail!("this program was built without the backend of TPMs; build it with all features")
    }

    /// The TPM's version floor, raised to `version` if one is given.
    pub(crate) fn floor(&self, version: Option<u64>) -> anyhow::Result<u64> {
        #[cfg(feature = "tpm")]
        {
            let floor = dolmen_hsm_tpm::Floor::new(self.tpm.clone());
            Ok(version.map_or_else(|| floor.read(), |version| floor.raise(version))?)
        }
        #[cfg(not(feature = "tpm"))]
        {
            let _ = version;
            bail!("this program was built without the backend of TPMs; build it with all features")
        }
    }

    /// The key of the box's identity by its maker.
    pub(crate) fn idevid(&self) -> anyhow::Result<Arc<dyn Signer>> {
        #[cfg(feature = "tpm")]
        return Ok(dolmen_hsm_tpm::Idevid::new(self.tpm.clone()).signer()?);
        #[cfg(not(feature = "tpm"))]
        bail!("this program was built without the backend of TPMs; build it with all features")
    }

    /// The certificates of that key as the TPM keeps them, DER, its own first; none where no maker certified it.
    pub(crate) fn idevid_certificates(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        #[cfg(feature = "tpm")]
        return Ok(dolmen_hsm_tpm::Idevid::new(self.tpm.clone()).certificates()?);
        #[cfg(not(feature = "tpm"))]
        bail!("this program was built without the backend of TPMs; build it with all features")
    }

    /// Has the TPM keep the certificates of the box's identity, its own first.
    pub(crate) fn write_idevid(&self, path: &[&[u8]]) -> anyhow::Result<()> {
        #[cfg(feature = "tpm")]
        return Ok(dolmen_hsm_tpm::Idevid::new(self.tpm.clone()).write_certificates(path)?);
        #[cfg(not(feature = "tpm"))]
        {
            let _ = path;
            bail!("this program was built without the backend of TPMs; build it with all features")
        }
    }

    /// The TPM's counter of owners, raised to `epoch` if one is given.
    pub(crate) fn ownership_epoch(&self, epoch: Option<u64>) -> anyhow::Result<u64> {
        #[cfg(feature = "tpm")]
        {
            let counter = dolmen_hsm_tpm::OwnershipEpoch::new(self.tpm.clone());
            Ok(epoch.map_or_else(|| counter.read(), |epoch| counter.raise(epoch))?)
        }
        #[cfg(not(feature = "tpm"))]
        {
            let _ = epoch;
            bail!("this program was built without the backend of TPMs; build it with all features")
        }
    }

    /// The TPM as it speaks of itself.
    pub(crate) fn attesting_tpm(&self) -> anyhow::Result<Arc<dyn AttestingTpm>> {
        #[cfg(feature = "tpm")]
        return Ok(Arc::new(dolmen_hsm_tpm::Evidence::new(self.tpm.clone())));
        #[cfg(not(feature = "tpm"))]
        bail!("this program was built without the backend of TPMs; build it with all features")
    }

    /// The directory of key files.
    pub(crate) fn dir(&self) -> &Path {
        &self.devices.dir
    }
}

/// Keeps the devices' libraries from writing to standard error. To be called before there are threads.
pub(crate) fn silence_libraries() {
    #[cfg(feature = "tpm")]
    dolmen_hsm_tpm::silence_library();
}

/// Makes the directory of key files, which nobody else may look into.
pub(crate) fn create_dir(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let built = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    built.with_context(|| format!("cannot create the directory of keys {}", dir.display()))
}

/// Approves software with an authority's key.
#[cfg_attr(not(feature = "tpm"), expect(unused_variables, reason = "approvals are for TPMs"))]
pub(crate) fn approve(
    key: &dyn Signer,
    reference: &str,
    version: u64,
    pcrs: std::collections::BTreeMap<u8, [u8; 32]>,
) -> anyhow::Result<Vec<u8>> {
    #[cfg(feature = "tpm")]
    return Ok(futures::executor::block_on(dolmen_hsm_tpm::Approval::sign(key, reference, version, pcrs))?.to_bytes());
    #[cfg(not(feature = "tpm"))]
    bail!("this program was built without the backend of TPMs; build it with all features")
}
