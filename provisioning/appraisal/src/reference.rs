//! What images leave in a TPM, by the word of whoever released them.

use std::collections::BTreeMap;

use dolmen_image_bundle::{BundleError, Hash, Manifest, ReleaseKey, SecurityVersion, SignedManifest, Version};

use crate::limits::IMAGES_MAX;

/// The phases up to where an image's services run, as manifests name them: the initrd began, and it handed over.
pub(crate) const RUNNING: &str = "enter-initrd:leave-initrd";

/// Why manifests give no reference values.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// More than a registrar has reason to know.
    #[error("there are {0} manifests, {IMAGES_MAX} at most can be; take out versions that no box runs any more")]
    Images(usize),
    /// No release.
    #[error("manifest {index} is none of a release; take manifest.json and manifest.json.sig of one build")]
    Manifest {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        source: BundleError,
    },
    /// Two images by the same name.
    #[error("two manifests have the version {0} and differ; find out which of them was released")]
    Ambiguous(Version),
    /// An image of which nobody knows when its initrd was left.
    #[error("the manifest of {0} has no value of register 11 for {RUNNING:?}; build the image anew")]
    Phase(Version),
}

/// An image as its manifest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) version: Version,
    pub(crate) security_version: SecurityVersion,
    pub(crate) root_hash: Hash,
    pub(crate) test_keys: bool,
    pub(crate) pcr4: Hash,
    pub(crate) pcr7: Hash,
    /// Register 11 once the image runs.
    pub(crate) running: Hash,
    /// Register 11 by phases, the running one among them.
    pub(crate) phases: BTreeMap<String, Hash>,
}

/// The values of registers, SHA-256, that images leave, by version and phase of the boot.
///
/// Holding it says that one of the given release keys signed each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceValues {
    images: BTreeMap<Version, Image>,
}

impl ReferenceValues {
    /// Takes `manifest.json` and `manifest.json.sig` of each image, if one of `keys` signed them. The same one may be
    /// there twice.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`] names the image.
    pub fn verify(manifests: Vec<(Vec<u8>, [u8; 64])>, keys: &[ReleaseKey]) -> Result<Self, ReferenceError> {
        if manifests.len() > IMAGES_MAX {
            return Err(ReferenceError::Images(manifests.len()));
        }
        let mut images = BTreeMap::new();
        for (index, (json, signature)) in manifests.into_iter().enumerate() {
            let signed = SignedManifest::verify(json, signature, keys)
                .map_err(|source| ReferenceError::Manifest { index, source })?;
            let image = Image::of(signed.manifest())?;
            if let Some(other) = images.insert(image.version.clone(), image.clone())
                && other != image
            {
                return Err(ReferenceError::Ambiguous(image.version));
            }
        }
        Ok(Self { images })
    }

    /// Of which versions there are values.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.images.keys()
    }

    pub(crate) fn image(&self, version: &Version) -> Option<&Image> {
        self.images.get(version)
    }
}

impl Image {
    fn of(manifest: &Manifest) -> Result<Self, ReferenceError> {
        let (version, measurements) = (manifest.version.clone(), &manifest.measurements);
        let Some(running) = measurements.pcr11.get(RUNNING).copied() else {
            return Err(ReferenceError::Phase(version));
        };
        Ok(Self {
            version,
            security_version: manifest.security_version,
            root_hash: Hash::from_bytes(*manifest.root_hash.as_bytes()),
            test_keys: manifest.test_keys,
            pcr4: measurements.pcr4,
            pcr7: measurements.pcr7,
            running,
            phases: measurements.pcr11.clone(),
        })
    }

    /// The phases after which register 11 holds a value; none if this image never leaves it.
    pub(crate) fn phase(&self, value: Hash) -> Option<&str> {
        self.phases.iter().find(|(_, phase)| **phase == value).map(|(path, _)| path.as_str())
    }
}
