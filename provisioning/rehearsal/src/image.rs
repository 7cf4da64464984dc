//! The image that would have been booted.

use std::collections::BTreeMap;

use dolmen_image_bundle::{
    BundleError, Hash, Manifest, Measurements, PART_NAMES, Part, ReleaseKey, SecurityVersion, Version,
};
use dolmen_image_disk::verity::RootHash;

use crate::Boot;

/// Bytes of the parts: the least that a root file system and its hash tree can have.
const PARTS: [usize; 4] = [4096, 4096, 8192, 8192];

/// The manifest of an image that leaves what this boot measured. It says that its keys are for tests.
///
/// # Errors
///
/// [`BundleError`] for a version that no image can have.
pub fn manifest(
    version: Version,
    root_hash: RootHash,
    release_key: &ReleaseKey,
    boot: &Boot,
) -> Result<Manifest, BundleError> {
    let phase = |count: usize| {
        let phases = boot.phases[..count].to_vec();
        let path = phases.join(":");
        (path, Boot { phases, ..boot.clone() }.value(11))
    };
    let part = |at: usize| {
        let part = vec![7; PARTS[at]];
        Part { name: PART_NAMES[at], bytes: part.len() as u64, sha256: Hash::of(&part) }
    };
    let manifest = Manifest {
        version,
        security_version: SecurityVersion::FIRST,
        created: 0,
        release_key: release_key.fingerprint(),
        test_keys: true,
        root_hash,
        parts: [0, 1, 2, 3].map(part),
        measurements: Measurements {
            pcr4: boot.value(4),
            pcr7: boot.value(7),
            pcr11: (1..=boot.phases.len()).map(phase).collect::<BTreeMap<_, _>>(),
        },
    };
    Manifest::from_json(&manifest.to_json()?)
}
