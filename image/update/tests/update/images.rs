//! Small images: a root file system, its hash tree, a UKI that names it, and their bundle.

use std::{collections::BTreeMap, io::Cursor};

use dolmen_image_bundle::{
    Hash, Manifest, Measurements, Part, PartName, ReleaseKey, SecurityVersion, Sign, SignedManifest, SigningKey,
    Version, write,
};
use dolmen_image_disk::verity::{self, RootHash, Salt, Superblock};
use dolmen_image_uki::uki::Uki;
use dolmen_image_update::Running;
use uuid::Uuid;

/// Blocks of 4,096 bytes of a root file system.
const BLOCKS: u32 = 12;

/// An image.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) version: Version,
    pub(crate) security_version: SecurityVersion,
    pub(crate) root_hash: RootHash,
    pub(crate) boot: Vec<u8>,
    pub(crate) uki: Vec<u8>,
    pub(crate) verity: Vec<u8>,
    pub(crate) root: Vec<u8>,
}

impl Image {
    /// Of a version, whose first number is also what its files are made of.
    pub(crate) fn new(version: &str, security_version: u8) -> Self {
        Self::with_blocks(version, security_version, BLOCKS)
    }

    pub(crate) fn with_blocks(version: &str, security_version: u8, blocks: u32) -> Self {
        let seed = Hash::of(version.as_bytes()).as_bytes()[0];
        let words = (0..blocks * 1024).map(|word| word.wrapping_mul(0x9e37_79b9).wrapping_add(seed.into()));
        let root: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let salt = Salt::new(&[seed; 32]).expect("a salt");
        let superblock = Superblock { uuid: Uuid::from_bytes([seed; 16]), data_blocks: blocks.into(), salt };
        let mut verity = Cursor::new(Vec::new());
        let root_hash = verity::format(&mut &root[..], &mut verity, &superblock, &mut |_| {}).expect("a tree");
        let version: Version = version.parse().expect("a version");
        Self {
            uki: uki(&version, security_version, &root_hash),
            version,
            security_version: SecurityVersion::new(security_version).expect("1 to 64"),
            root_hash,
            boot: vec![seed; 700],
            verity: verity.into_inner(),
            root,
        }
    }

    pub(crate) fn running(&self) -> Running {
        let Self { root_hash, version, security_version, .. } = self.clone();
        Running { root_hash, version, security_version }
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let part = |name, content: &[u8]| Part::of(name, content).expect("memory");
        let pcr = Hash::of(b"a register");
        Manifest {
            version: self.version.clone(),
            security_version: self.security_version,
            created: 1_790_000_000,
            release_key: signer().public_key().fingerprint(),
            test_keys: true,
            root_hash: self.root_hash,
            parts: [
                part(PartName::Boot, &self.boot),
                part(PartName::Uki, &self.uki),
                part(PartName::Verity, &self.verity),
                part(PartName::Root, &self.root),
            ],
            measurements: Measurements { pcr4: pcr, pcr7: pcr, pcr11: BTreeMap::new() },
        }
    }

    pub(crate) fn bundle(&self) -> Vec<u8> {
        let signed = SignedManifest::sign(self.manifest(), &signer()).expect("a signature");
        let mut bytes = Vec::new();
        let parts: [&mut dyn std::io::Read; 4] =
            [&mut &self.boot[..], &mut &self.uki[..], &mut &self.verity[..], &mut &self.root[..]];
        write(&mut bytes, &signed, parts).expect("memory");
        bytes
    }
}

pub(crate) fn signer() -> SigningKey {
    SigningKey::from_pem(include_str!("../../../keys/test/release.key")).expect("the test key")
}

pub(crate) fn keys() -> [ReleaseKey; 1] {
    [ReleaseKey::from_pem(include_str!("../../../keys/test/release.pem")).expect("the test key")]
}

/// A UKI that says so.
pub(crate) fn uki(version: &Version, security_version: u8, root_hash: &RootHash) -> Vec<u8> {
    let os_release = format!(
        "ID=dolmen\nIMAGE_ID=dolmen\nIMAGE_VERSION={version}\nPRETTY_NAME=\"Dolmen {version}\"\n\
         DOLMEN_SECURITY_VERSION={security_version}\n"
    );
    let cmdline = format!("roothash={root_hash} ro console=tty0");
    let sbat = b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n\
                 systemd-stub,1,The systemd Developers,systemd,257,https://systemd.io/\n\0";
    let magic = b"#### LoaderInfo: systemd-stub 257 ####\0";
    let stub = pe(&[(".text", &[5; 300]), (".sbat", sbat), (".sdmagic", magic)]);
    let kernel = pe(&[(".text", &[6; 900])]);
    let uki = Uki {
        stub: &stub,
        linux: &kernel,
        initrds: &[b"an archive"],
        ucode: None,
        cmdline: &cmdline,
        os_release: &os_release,
        uname: "6.12.117",
        sbat: None,
        pcrpkey: None,
        pcrsig: None,
        splash: None,
    };
    uki.assemble().expect("a UKI")
}

/// An image that does nothing, with these sections ("PE Format").
fn pe(sections: &[(&str, &[u8])]) -> Vec<u8> {
    const HEADERS: u32 = 1536;
    let number = |length: usize| u32::try_from(length).expect("small");
    let mut bytes = vec![0; HEADERS as usize];
    let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(60, &[64]);
    put(64, b"PE\0\0\x64\x86");
    put(64 + 6, &[number(sections.len()).to_le_bytes()[0]]);
    // Size of the optional header, executable, PE32+; alignments in memory and in the file; an application.
    put(64 + 20, &[240, 0, 0x22, 0x02, 0x0b, 0x02]);
    put(64 + 56, &4096_u32.to_le_bytes());
    put(64 + 60, &512_u32.to_le_bytes());
    put(64 + 84, &HEADERS.to_le_bytes());
    put(64 + 92, &[10, 0, 0x60, 0x01]);
    put(64 + 132, &[16]);
    let (mut address, mut offset) = (4096, HEADERS);
    for (index, (name, data)) in sections.iter().enumerate() {
        let entry = 64 + 264 + index * 40;
        let raw = number(data.len().next_multiple_of(512));
        put(entry, name.as_bytes());
        for (field, value) in [number(data.len()), address, raw, offset].into_iter().enumerate() {
            put(entry + 8 + 4 * field, &value.to_le_bytes());
        }
        put(entry + 36, &0x6000_0020_u32.to_le_bytes());
        (address, offset) = (address + number(data.len().next_multiple_of(4096)), offset + raw);
    }
    put(64 + 80, &address.to_le_bytes());
    for (_, data) in sections {
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}
