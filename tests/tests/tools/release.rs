//! A release of the image as an update takes it in: small, and signed with the test key that everybody has. The box checks
//! it whole before it leaves it to the system, whose part is the machine's ([`dolmen_image_update`]'s tests, and those in
//! virtual machines).

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read},
    path::Path,
};

use dolmen_image_bundle::{
    Hash, Manifest, Measurements, Part, PartName, SecurityVersion, Sign as _, SignedManifest, SigningKey, write,
};
use dolmen_image_disk::verity::{self, Salt, Superblock};

const KEY: &str = include_str!("../../../image/keys/test/release.key");
const PUBLIC_KEY: &str = include_str!("../../../image/keys/test/release.pem");
/// The release's version.
const VERSION: &str = "9.1.0";
/// Blocks of 4,096 bytes of its root file system.
const BLOCKS: u8 = 64;

/// Writes `release.pem`, `good.bundle`, and `damaged.bundle`, in which a byte of the root file system is another.
pub(crate) fn write_into(dir: &Path) {
    let root: Vec<u8> = (0..usize::from(BLOCKS) * 4096).map(|at| u8::try_from(at % 251).expect("below 256")).collect();
    let salt = Salt::new(&[7; 32]).expect("a salt");
    let superblock = Superblock { uuid: Default::default(), data_blocks: BLOCKS.into(), salt };
    let mut tree = Cursor::new(Vec::new());
    let root_hash = verity::format(&mut &root[..], &mut tree, &superblock, &mut |_| {}).expect("a tree");
    let (boot, uki, tree) = (vec![1; 700], vec![2; 900], tree.into_inner());
    let key = SigningKey::from_pem(KEY).expect("the test key");
    let parts = [
        (PartName::Boot, &boot[..]),
        (PartName::Uki, &uki[..]),
        (PartName::Verity, &tree[..]),
        (PartName::Root, &root[..]),
    ];
    let manifest = Manifest {
        version: VERSION.parse().expect("a version"),
        security_version: SecurityVersion::new(1).expect("1 to 64"),
        created: 1_790_000_000,
        release_key: key.public_key().fingerprint(),
        test_keys: true,
        root_hash,
        parts: parts.map(|(name, content)| Part::of(name, content).expect("memory")),
        measurements: Measurements { pcr4: Hash::of(b"4"), pcr7: Hash::of(b"7"), pcr11: BTreeMap::new() },
    };
    let signed = SignedManifest::sign(manifest, &key).expect("a signature");
    let mut bundle = Vec::new();
    let [mut boot, mut uki, mut tree, mut content] = parts.map(|(_, content)| content);
    let readers: [&mut dyn Read; 4] = [&mut boot, &mut uki, &mut tree, &mut content];
    write(&mut bundle, &signed, readers).expect("memory");
    let mut damaged = bundle.clone();
    let last = damaged.len() - 1000;
    damaged[last] ^= 1;
    for (name, bytes) in
        [("release.pem", PUBLIC_KEY.as_bytes()), ("good.bundle", &bundle[..]), ("damaged.bundle", &damaged[..])]
    {
        fs::write(dir.join(name), bytes).expect("a file");
    }
}
