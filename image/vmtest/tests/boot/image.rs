//! The image that was built.

use std::{
    env,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use dolmen_image_bundle::{Bundle, Manifest, ReleaseKey, SigningKey};

/// What a build results in.
pub(crate) struct Image {
    directory: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Image {
    /// The one that `DOLMEN_IMAGE` names.
    pub(crate) fn find() -> Result<Self> {
        Self::of("DOLMEN_IMAGE")
    }

    /// A later version of it, which `DOLMEN_NEXT_IMAGE` names.
    pub(crate) fn next() -> Result<Self> {
        Self::of("DOLMEN_NEXT_IMAGE")
    }

    fn of(variable: &str) -> Result<Self> {
        let directory = env::var_os(variable).map(PathBuf::from).with_context(|| {
            format!("{variable} names no image: run `make test`, or `make image test-boot` for all of these tests")
        })?;
        let path = directory.join("manifest.json");
        let json = std::fs::read(&path).with_context(|| format!("no image in {}", directory.display()))?;
        let manifest = Manifest::from_json(&json).with_context(|| format!("{} is no manifest", path.display()))?;
        Ok(Self { directory, manifest })
    }

    /// The disk of a box.
    pub(crate) fn disk(&self) -> PathBuf {
        self.directory.join("dolmen.img")
    }

    /// The stick that installs it.
    pub(crate) fn stick(&self) -> PathBuf {
        self.directory.join("dolmen-usb.img")
    }

    /// The first eight digits of its root hash, as boxes print them.
    pub(crate) fn root(&self) -> String {
        self.manifest.root_hash.to_string()[..8].to_owned()
    }

    /// The update to it.
    pub(crate) fn bundle(&self) -> Result<Vec<u8>> {
        let path = self.directory.join(format!("dolmen-{}.bundle", self.manifest.version));
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Its parts: boot loader, boot file, hash tree and root.
    pub(crate) fn parts(&self) -> Result<[Vec<u8>; 4]> {
        let bundle = self.bundle()?;
        let mut bundle = Bundle::open(&bundle[..], &[release_key()?])?;
        let mut parts = [const { Vec::new() }; 4];
        for part in &mut parts {
            bundle.next_part()?.context("a bundle has four parts")?.read_to_end(part)?;
        }
        Ok(parts)
    }
}

/// The key of who releases test images, PEM.
pub(crate) fn release_key_pem() -> Result<String> {
    test_file("release.pem")
}

/// A file among the test keys.
pub(crate) fn test_file(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keys/test").join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Who releases test images.
pub(crate) fn release_key() -> Result<ReleaseKey> {
    Ok(ReleaseKey::from_pem(&test_file("release.pem")?)?)
}

/// The same, to sign.
pub(crate) fn signing_key() -> Result<SigningKey> {
    Ok(SigningKey::from_pem(&test_file("release.key")?)?)
}

/// The key whose signature of register 11 opens the data, and its public half, PEM.
pub(crate) fn pcr_keys() -> Result<(String, String)> {
    Ok((test_file("pcr.key")?, test_file("pcr.pub")?))
}

/// Between two looks at a disk that a machine writes to.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
