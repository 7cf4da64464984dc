//! Small images, their bundles, and disks that have been installed with one.

use std::io::Cursor;

use dolmen_image_bundle::{
    Bundle, Hash, Manifest, Measurements, Part, PartName, ReleaseKey, SecurityVersion, Sign as _, SignedManifest,
    SigningKey, Version,
};
use dolmen_image_disk::{
    gpt::Uuid,
    verity::{self, Salt, Superblock},
};
use dolmen_image_installer::{
    layout::{self, DATA},
    plan::{Change, Plan, Refusal, plan},
    prior::Prior,
    write::{NotWritten, Progress, Written, write},
};

use crate::medium::Medium;

pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const MIB: u64 = 1 << 20;

const RELEASE_KEY: &str = include_str!("../../../keys/test/release.key");
const RELEASE_PEM: &str = include_str!("../../../keys/test/release.pem");

pub(crate) fn signer() -> SigningKey {
    SigningKey::from_pem(RELEASE_KEY).expect("the test key")
}

pub(crate) fn keys() -> [ReleaseKey; 1] {
    [ReleaseKey::from_pem(RELEASE_PEM).expect("the test key")]
}

/// An image and the bundle that carries it.
pub(crate) struct Image {
    pub(crate) signed: SignedManifest,
    pub(crate) bundle: Vec<u8>,
}

impl Image {
    /// One of 65 blocks, whose bytes are another version's nowhere.
    pub(crate) fn new(version: &str, security_version: u8) -> Self {
        Self::with_blocks(version, security_version, 65)
    }

    pub(crate) fn with_blocks(version: &str, security_version: u8, blocks: u64) -> Self {
        let noise = |label: &str, bytes: usize| -> Vec<u8> {
            let seeds = (0_u64..).flat_map(|n| *Hash::of(format!("{version} {label} {n}").as_bytes()).as_bytes());
            seeds.take(bytes).collect()
        };
        let root = noise("root", usize::try_from(blocks).expect("few") * verity::BLOCK_BYTES);
        let superblock = Superblock {
            uuid: Uuid::from_u128(2),
            data_blocks: blocks,
            salt: Salt::new(&[7; 32]).expect("a short salt"),
        };
        let mut hashes = Cursor::new(Vec::new());
        let root_hash = verity::format(&mut &root[..], &mut hashes, &superblock, &mut |_| {}).expect("memory");
        let hashes = hashes.into_inner();
        let (boot, uki) = (noise("boot", 9_000), noise("uki", 70_001));
        let part = |name, bytes: &[u8]| Part::of(name, bytes).expect("memory");
        let manifest = Manifest {
            version: Version::parse(version).expect("a version"),
            security_version: SecurityVersion::new(security_version).expect("1 to 64"),
            created: 1_790_000_000,
            release_key: signer().public_key().fingerprint(),
            test_keys: true,
            root_hash,
            parts: [
                part(PartName::Boot, &boot),
                part(PartName::Uki, &uki),
                part(PartName::Verity, &hashes),
                part(PartName::Root, &root),
            ],
            measurements: Measurements {
                pcr4: Hash::of(b"4"),
                pcr7: Hash::of(b"7"),
                pcr11: [("enter-initrd".to_owned(), Hash::of(b"11"))].into(),
            },
        };
        let signed = SignedManifest::sign(manifest, &signer()).expect("the key signs");
        let mut bundle = Vec::new();
        dolmen_image_bundle::write(
            &mut bundle,
            &signed,
            [&mut &boot[..], &mut &uki[..], &mut &hashes[..], &mut &root[..]],
        )
        .expect("memory");
        Self { signed, bundle }
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.signed.manifest()
    }

    /// The manifest of what a payload holds, read to its end.
    pub(crate) fn check(payload: &[u8]) -> Result<SignedManifest, dolmen_image_bundle::BundleError> {
        let mut bundle = Bundle::open(payload, &keys())?;
        bundle.verify(&mut |_, _| {})?;
        Ok(bundle.signed_manifest().clone())
    }

    pub(crate) fn plan(&self, change: Change, disk: &mut Medium) -> Result<Plan, Refusal> {
        self.plan_above(change, disk, None)
    }

    pub(crate) fn plan_above(&self, change: Change, disk: &mut Medium, floor: Option<u8>) -> Result<Plan, Refusal> {
        let block_size = disk.block_size;
        let prior = Prior::read(disk, block_size).expect("a disk that can be read");
        let mut number = u128::from(Hash::of(self.manifest().version.to_string().as_bytes()).as_bytes()[0]) << 64;
        plan(change, prior, self.manifest(), floor, &mut || {
            number += 1;
            Uuid::from_u128(number)
        })
    }

    pub(crate) fn write(&self, plan: &Plan, disk: &mut Medium) -> Result<Written, NotWritten> {
        self.write_from(&self.bundle, plan, disk, &mut |_| {})
    }

    pub(crate) fn write_from(
        &self,
        payload: &[u8],
        plan: &Plan,
        disk: &mut Medium,
        report: &mut dyn FnMut(Progress),
    ) -> Result<Written, NotWritten> {
        write(plan, disk, payload, &keys(), &self.signed, &mut std::io::repeat(0xa5), report)
    }

    /// A disk with this image, as an installation leaves it.
    pub(crate) fn installed(&self, bytes: u64) -> Medium {
        self.installed_on(Medium::new(bytes))
    }

    pub(crate) fn installed_on(&self, mut disk: Medium) -> Medium {
        let plan = self.plan(Change::Install, &mut disk).expect("an empty disk");
        self.write(&plan, &mut disk).expect("a disk that fails at nothing");
        disk
    }

    /// The same after the box has made its data.
    pub(crate) fn with_data(&self, bytes: u64) -> Medium {
        make_data(self.installed(bytes))
    }
}

/// Something that looks like LUKS2, with bytes all over the partition.
pub(crate) fn make_data(mut disk: Medium) -> Medium {
    let data = data_of(&mut disk);
    disk.put(data.start, b"LUKS\xba\xbe\0\x02");
    disk.put(data.start + 16384, b"SKUL\xba\xbe\0\x02");
    for at in (data.start + MIB..data.end).step_by(32 << 20) {
        disk.put(at, &[0x5a; 700]);
    }
    disk.put(data.end - 4, b"last");
    disk
}

pub(crate) fn data_of(disk: &mut Medium) -> std::ops::Range<u64> {
    let block_size = disk.block_size;
    let found = dolmen_image_disk::gpt::Gpt::read(disk, block_size).expect("a table");
    layout::find(&found.table, DATA).expect("a data partition").1
}
