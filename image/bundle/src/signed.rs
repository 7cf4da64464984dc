//! A manifest and the signature that makes it one of a release.

use crate::{
    BundleError, Manifest, ReleaseKey, Sign,
    key::{SIGNATURE_BYTES, message, signer_of},
    manifest::check_manifest_bytes,
};

/// What a manifest's signature is for.
const DOMAIN: &[u8] = b"dolmen-image-manifest-v1\0";

/// A manifest that a release key signed.
///
/// Holding one that [`verify`](Self::verify) gave says that the holder of one of those keys released this image. It
/// says nothing about the parts: those have to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedManifest {
    manifest: Manifest,
    json: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

impl SignedManifest {
    /// Signs one.
    ///
    /// # Errors
    ///
    /// [`BundleError::ReleaseKey`] where the manifest names another key, [`BundleError::Sign`],
    /// [`BundleError::WrongSignature`], and what [`Manifest::to_json`] says.
    pub fn sign(manifest: Manifest, key: &dyn Sign) -> Result<Self, BundleError> {
        let json = manifest.to_json()?;
        check_named(&manifest, &key.public_key())?;
        let message = message(DOMAIN, &json);
        let signature = key.sign(&message).map_err(BundleError::Sign)?;
        if !key.public_key().verify(&message, &signature) {
            return Err(BundleError::WrongSignature);
        }
        Ok(Self { manifest, json, signature })
    }

    /// Takes one that one of these keys signed. The signature is checked before anything else is looked at.
    ///
    /// # Errors
    ///
    /// [`BundleError::Signature`], then what [`Manifest::from_json`] says, then [`BundleError::ReleaseKey`].
    pub fn verify(json: Vec<u8>, signature: [u8; SIGNATURE_BYTES], keys: &[ReleaseKey]) -> Result<Self, BundleError> {
        check_manifest_bytes(json.len())?;
        let signer = signer_of(keys, &message(DOMAIN, &json), &signature).ok_or(BundleError::Signature)?;
        let manifest = Manifest::from_json(&json)?;
        check_named(&manifest, &signer)?;
        Ok(Self { manifest, json, signature })
    }

    /// What it says.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes that are signed: `manifest.json`.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// `manifest.json.sig`.
    #[must_use]
    pub const fn signature(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.signature
    }
}

fn check_named(manifest: &Manifest, signer: &ReleaseKey) -> Result<(), BundleError> {
    let (named, signer) = (manifest.release_key, signer.fingerprint());
    if named != signer {
        return Err(BundleError::ReleaseKey { named, signer });
    }
    Ok(())
}
