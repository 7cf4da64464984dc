//! `dolmen update`: the two slots of the image, and what is in them.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use dolmen_image_bundle::ReleaseKey;

/// The keys that sign bundles, in the image.
pub(crate) const RELEASE_KEYS: &str = "/usr/lib/dolmen/release.pem";
/// A bundle that waits to be applied, in the spool directory.
pub(crate) const INCOMING: &str = "incoming.bundle";
/// Asks to go back to the other slot, in the spool directory.
pub(crate) const ROLL_BACK: &str = "rollback";

/// How long a server of bundles may take to answer, and be silent while it sends.
const SERVER_SILENCE_MAX: Duration = Duration::from_secs(30);
/// Public keys in one file, at most.
const KEYS_BYTES_MAX: usize = 64 << 10;

/// The public keys in a file, PEM one after the other.
pub(crate) fn release_keys(path: &Path) -> anyhow::Result<Vec<ReleaseKey>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the keys that sign bundles, {}", path.display()))?;
    ensure!(text.len() <= KEYS_BYTES_MAX, "{} is too long to be a file of public keys", path.display());
    const END: &str = "-----END PUBLIC KEY-----";
    let keys = text.split_inclusive(END).filter(|pem| pem.contains("BEGIN")).map(ReleaseKey::from_pem);
    let keys = keys.collect::<Result<Vec<_>, _>>().with_context(|| format!("a key in {} is none", path.display()))?;
    ensure!(!keys.is_empty(), "{} has no public key of Ed25519 in it", path.display());
    Ok(keys)
}

/// Asks a server for a bundle. What comes is believed for its signature, whoever sends it.
pub(crate) async fn fetch(url: &str) -> Result<reqwest::Response, reqwest::Error> {
    let client =
        reqwest::Client::builder().connect_timeout(SERVER_SILENCE_MAX).read_timeout(SERVER_SILENCE_MAX).build()?;
    client.get(url).send().await?.error_for_status()
}
