//! A result of parts that are made here in no time.

use std::{
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use dolmen_image_builder::{
    boot::{Ingredients, sign},
    compare::compare,
    keys::Keys,
    result::{DISK, MANIFEST, Parts, SIGNATURE, STICK},
    verify::{PublicKeys, VerifyError, verify},
};
use dolmen_image_bundle::{BundleError, SecurityVersion, SignedManifest, Version};
use dolmen_image_disk::verity::{RootHash, Salt, Superblock, VerityError, format};
use tempfile::TempDir;

const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../keys/test");
/// A small image with what a stub says about itself. It passes for a kernel, too, and for a boot loader.
const STUB: &[u8] = include_bytes!("../../../uki/tests/vectors/signed.efi");
const SECONDS: u64 = 1_790_000_000;
const ROOT_BLOCKS: usize = 300;
const BUNDLE: &str = "dolmen-1.2.3-rc.1.bundle";

struct Made {
    folder: TempDir,
    signed: SignedManifest,
}

impl Made {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    /// Changes a byte.
    fn flip(&self, name: &str, at: u64) {
        let mut file = File::options().read(true).write(true).open(self.path(name)).expect("it is there");
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).expect("it is there");
        std::io::Read::read_exact(&mut file, &mut byte).expect("it is there");
        file.seek(SeekFrom::Start(at)).expect("it is there");
        file.write_all(&[byte[0] ^ 1]).expect("it is there");
    }

    fn verify(&self, name: &str) -> Result<Vec<String>, VerifyError> {
        verify(&self.path(name), &PublicKeys::read(Path::new(KEYS)).expect("it is there"))
    }
}

fn make() -> Made {
    let folder = tempfile::tempdir().expect("it is there");
    let (root, verity, out) = (folder.path().join("root"), folder.path().join("verity"), folder.path().join("out"));
    fs::create_dir(&out).expect("it is there");
    let data: Vec<u8> =
        (0..ROOT_BLOCKS * 4096).map(|index| u8::try_from(index / 4096 % 251).expect("it is there")).collect();
    fs::write(&root, &data).expect("it is there");
    let superblock = Superblock {
        uuid: dolmen_image_disk::gpt::Uuid::from_u128(1),
        data_blocks: ROOT_BLOCKS as u64,
        salt: Salt::new(b"salt").expect("it is there"),
    };
    let hashes = &mut File::create(&verity).expect("it is there");
    let root_hash = format(&mut &data[..], hashes, &superblock, &mut |_| {}).expect("it is there");
    let signed = write(&root, &verity, &root_hash, &out);
    Made { folder, signed }
}

fn write(root: &Path, verity: &Path, root_hash: &RootHash, out: &Path) -> SignedManifest {
    let keys = Keys::read(Path::new(KEYS), false).expect("it is there");
    let stub = dolmen_image_uki::authenticode::remove(STUB).expect("it is there");
    let command_line = format!("roothash={root_hash} ro");
    let os_release = "ID=dolmen\nVERSION_ID=1.2.3-rc.1\n";
    let (linux, uname, initrd) = (&stub[..], "6.12.0", &b"initrd"[..]);
    let ingredients = Ingredients { stub: &stub, linux, uname, initrd, command_line: &command_line, os_release };
    let uki = ingredients.sign_uki(&keys, SECONDS, true).expect("it is there");
    let parts = Parts {
        version: &Version::parse("1.2.3-rc.1").expect("it is there"),
        security_version: SecurityVersion::new(2).expect("it is there"),
        seconds: SECONDS,
        loader: &sign("systemd-boot", &stub, &keys, SECONDS).expect("it is there"),
        uki: &uki,
        root,
        verity,
        root_hash,
        disk_mib: 1280,
        owner: "646f6c6d-656e-4000-8000-000000000001".parse().expect("it is there"),
    };
    parts.write(&keys, out).expect("it is there")
}

#[test]
fn two_results_are_the_same() {
    let (first, second) = (make(), make());
    assert_eq!(compare(&first.path(""), &second.path("")).unwrap(), [""; 0]);
    second.flip(DISK, (257 << 20) + 5);
    let differences = compare(&first.path(""), &second.path("")).unwrap();
    assert_eq!(
        differences,
        [format!("{DISK}: first at byte {} in the partition slot-a, in 1 blocks of 4096 bytes", (257 << 20) + 5)]
    );
}

#[test]
fn a_result_is_what_it_says() {
    let made = make();
    let said = made.verify(DISK).unwrap();
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said.iter().any(|line| line.contains("EFI/Linux/dolmen_1.2.3-rc.1+3.efi: root ")), "{said:?}");
    let said = made.verify(BUNDLE).unwrap();
    assert!(said[0].contains("version 1.2.3-rc.1, security version 2, TEST KEYS"), "{said:?}");
    let signature = fs::read(made.path(SIGNATURE)).unwrap().try_into().unwrap();
    let keys = Keys::read(Path::new(KEYS), false).unwrap();
    let manifest = SignedManifest::verify(fs::read(made.path(MANIFEST)).unwrap(), signature, &[keys.release]).unwrap();
    assert_eq!(manifest, made.signed);
    assert!(manifest.manifest().test_keys);
}

#[test]
fn what_was_changed_is_named() {
    // A block of the root, of its hash tree, of the disk's table, and of the bundle's last part.
    let made = make();
    made.flip(DISK, (257 << 20) + 299 * 4096);
    let error = made.verify(DISK).unwrap_err();
    assert!(matches!(error, VerifyError::Verity { source: VerityError::DataBlock { block: 299 }, .. }), "{error:?}");
    let made = make();
    made.flip(DISK, (449 << 20) + 4096);
    let error = made.verify(DISK).unwrap_err();
    assert!(matches!(error, VerifyError::Verity { .. }), "{error:?}");
    let made = make();
    made.flip(DISK, 512 + 40);
    assert!(matches!(made.verify(DISK).unwrap_err(), VerifyError::Damaged));
    made.flip(BUNDLE, fs::metadata(made.path(BUNDLE)).unwrap().len() - 1);
    let error = made.verify(BUNDLE).unwrap_err();
    assert!(matches!(error, VerifyError::Bundle(BundleError::Part { .. } | BundleError::Padding(_))), "{error:?}");
}

#[test]
fn another_organisations_image_is_refused() {
    let made = make();
    let keys = tempfile::tempdir().unwrap();
    for name in ["db.crt", "pcr.pub", "release.pem"] {
        fs::copy(Path::new(KEYS).join(name), keys.path().join(name)).unwrap();
    }
    // The platform's key is not one that images are signed by.
    fs::copy(Path::new(KEYS).join("pk.crt"), keys.path().join("db.crt")).unwrap();
    let error = verify(&made.path(DISK), &PublicKeys::read(keys.path()).unwrap()).unwrap_err();
    assert!(matches!(error, VerifyError::Signature { .. }), "{error:?}");
}

#[test]
fn other_files_are_none() {
    let made = make();
    fs::write(made.path(STICK), vec![7; 1 << 20]).unwrap();
    assert!(matches!(made.verify(STICK).unwrap_err(), VerifyError::Gpt(_)));
    fs::write(made.path(STICK), b"DOLMENB1").unwrap();
    assert!(matches!(made.verify(STICK).unwrap_err(), VerifyError::Bundle(_)));
    fs::write(made.path(STICK), b"").unwrap();
    assert!(matches!(made.verify(STICK).unwrap_err(), VerifyError::File(_)));
}
