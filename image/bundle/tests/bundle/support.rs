//! A small image, its keys and its bundle.

use std::{collections::BTreeMap, io::Read};

use dolmen_image_bundle::{
    Bundle, BundleError, Hash, Manifest, Measurements, PART_NAMES, Part, ReleaseKey, SecurityVersion, Sign,
    SignedManifest, SigningKey, Version, write,
};
use dolmen_image_disk::verity::RootHash;

pub(crate) const PRIVATE: &str = include_str!("../../../keys/test/release.key");
pub(crate) const PUBLIC: &str = include_str!("../../../keys/test/release.pem");
/// Of another organisation: `openssl genpkey -algorithm ed25519`.
pub(crate) const OTHER: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";

pub(crate) fn key() -> SigningKey {
    SigningKey::from_pem(PRIVATE).expect("the test key")
}

pub(crate) fn keys() -> [ReleaseKey; 1] {
    [ReleaseKey::from_pem(PUBLIC).expect("the test key")]
}

/// What the parts hold. One is a whole block, one ends a byte behind one, and the tree is as large as it must be.
pub(crate) fn contents() -> [Vec<u8>; 4] {
    [(4096, 1_u8), (4097, 2), (2 * 4096, 3), (2 * 4096, 4)]
        .map(|(bytes, seed)| (0..bytes).map(|at: u32| at.wrapping_mul(0x9e37_79b9).to_be_bytes()[0] ^ seed).collect())
}

pub(crate) fn manifest() -> Manifest {
    let [boot, uki, verity, root] = contents();
    let parts = [boot, uki, verity, root];
    let hash = |byte| Hash::from_bytes([byte; 32]);
    Manifest {
        version: Version::new(1, 2, 3),
        security_version: SecurityVersion::new(7).expect("less than 65"),
        created: 1_790_000_000,
        release_key: key().public_key().fingerprint(),
        test_keys: true,
        root_hash: RootHash::from_bytes([0xab; 32]),
        parts: [0, 1, 2, 3].map(|at| Part::of(PART_NAMES[at], &parts[at][..]).expect("memory")),
        measurements: Measurements {
            pcr4: hash(4),
            pcr7: hash(7),
            pcr11: BTreeMap::from([("enter-initrd".into(), hash(11)), ("enter-initrd:leave-initrd".into(), hash(12))]),
        },
    }
}

pub(crate) fn signed() -> SignedManifest {
    SignedManifest::sign(manifest(), &key()).expect("a signature")
}

/// A bundle as it should be.
pub(crate) fn bundle() -> Vec<u8> {
    let [boot, uki, verity, root] = contents();
    let mut bytes = Vec::new();
    write(&mut bytes, &signed(), [&mut &boot[..], &mut &uki[..], &mut &verity[..], &mut &root[..]]).expect("memory");
    bytes
}

/// Bytes up to the first part.
pub(crate) const HEAD: usize = 4096;

/// One with any bytes for a manifest, signed by the right key, and these parts.
pub(crate) fn bundle_of(json: &[u8], contents: [&[u8]; 4]) -> Vec<u8> {
    let signature = key().sign(&[b"dolmen-image-manifest-v1\0", json].concat()).expect("a signature");
    let length = u32::try_from(json.len()).expect("small").to_le_bytes();
    let mut bytes = [b"DOLMENB1", &length[..], json, &signature].concat();
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    for content in contents {
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
    }
    bytes
}

/// Reads all of a file.
pub(crate) fn check(bytes: impl Read, keys: &[ReleaseKey]) -> Result<Manifest, BundleError> {
    let mut bundle = Bundle::open(bytes, keys)?;
    bundle.verify(&mut |_, _| {})?;
    let manifest = bundle.manifest().clone();
    bundle.end()?;
    Ok(manifest)
}
