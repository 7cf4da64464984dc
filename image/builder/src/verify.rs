//! Whether a file is what it says: a bundle, or a disk or stick that was made from one.

use std::{
    fs::File,
    io::{BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use dolmen_image_bundle::{Bundle, BundleError, KeyError as ReleaseKeyError, ReleaseKey};
use dolmen_image_disk::{
    gpt::{BlockSize, Gpt, GptError},
    verity::{self, BLOCK_BYTES, RootHash, Superblock, VerityError},
};
use dolmen_image_installer::{
    boot_files::UKIS,
    disk::Section,
    esp::{self, EspError},
    layout, stick,
};
use dolmen_image_uki::{
    authenticode::{self, AuthenticodeError},
    key::{KeyError, PublicKey},
    measure::{self, MeasureError, PcrSignatures, Phase},
    pe::{Image, PeError},
};
use openssl::{error::ErrorStack, x509::X509};

use crate::{
    file::{self, FileError},
    limits::FILE_BYTES_MAX,
};

const BUNDLE: &[u8; 8] = b"DOLMENB1";

/// Why a file is not what it says.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read, or a key's file cannot.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key that is none.
    #[error("{} is no certificate or public key in PEM", path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// As a bundle.
    #[error("the bundle is not whole or not by this release key")]
    Bundle(#[from] BundleError),
    /// As a disk.
    #[error("it is neither a bundle nor a disk with partitions")]
    Gpt(#[from] GptError),
    /// A table that is damaged.
    #[error("the disk's partition table is damaged; write the image again")]
    Damaged,
    /// The EFI System partition.
    #[error("cannot read the EFI System partition")]
    Esp(#[from] EspError),
    /// A boot file.
    #[error("{path} is no image that firmware starts")]
    Image {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: PeError,
    },
    /// A boot file's signature.
    #[error("{path} is not signed by db.crt of the keys' folder")]
    Signature {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: AuthenticodeError,
    },
    /// What a boot file measures.
    #[error("cannot tell what {path} leaves in a TPM")]
    Measure {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: MeasureError,
    },
    /// A boot file that opens no data.
    #[error("{0} has no signature of pcr.pub for register 11: a TPM would not open the data partition for it")]
    PcrSignature(String),
    /// A boot file without a root.
    #[error("{0} has no roothash= of 64 digits on its command line")]
    RootHash(String),
    /// No boot file.
    #[error("the disk has neither boot files in EFI/Linux nor a partition `payload`; it is none of Dolmen's")]
    Nothing,
    /// The root is not what the boot file wants.
    #[error("the root of {path} is not what its root hash says")]
    Verity {
        /// Which boot file.
        path: String,
        /// Where it differs.
        #[source]
        source: VerityError,
    },
    /// The root is not there.
    #[error("the disk has no partitions for the root hash of {0}")]
    NoRoot(String),
}

/// The public keys, as in a folder of keys: `db.crt`, `pcr.pub` and `release.pem`. Nothing else is needed there.
#[derive(Debug)]
pub struct PublicKeys {
    db: Vec<u8>,
    pcr: PublicKey,
    release: ReleaseKey,
}

impl PublicKeys {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// [`VerifyError::File`] and [`VerifyError::Key`].
    pub fn read(folder: &Path) -> Result<Self, VerifyError> {
        let [db, pcr, release] = ["db.crt", "pcr.pub", "release.pem"].map(|name| folder.join(name));
        let certificate = X509::from_pem(&file::read(&db)?).and_then(|certificate| certificate.to_der());
        let pcr_key: Result<_, KeyError> = PublicKey::from_pem(&file::read_text(&pcr)?);
        let release_key: Result<_, ReleaseKeyError> = ReleaseKey::from_pem(&file::read_text(&release)?);
        let key = |path: PathBuf, source| VerifyError::Key { path, source };
        Ok(Self {
            db: certificate.map_err(|source: ErrorStack| key(db, source.into()))?,
            pcr: pcr_key.map_err(|source| key(pcr, source.into()))?,
            release: release_key.map_err(|source| key(release, source.into()))?,
        })
    }
}

/// Checks all that can be checked without a box, and says what holds, one line for each.
///
/// # Errors
///
/// [`VerifyError`] says what does not.
pub fn verify(path: &Path, keys: &PublicKeys) -> Result<Vec<String>, VerifyError> {
    let mut disk = File::options().read(true).open(path).map_err(file::failed("open", path))?;
    let mut magic = [0; 8];
    let read = disk.read_exact(&mut magic).and_then(|()| disk.seek(SeekFrom::Start(0)));
    read.map_err(file::failed("read", path))?;
    if &magic == BUNDLE {
        let (bundle, said) = bundle(BufReader::new(disk), keys)?;
        bundle.end()?;
        return Ok(said);
    }
    let found = Gpt::read(&mut disk, BlockSize::Bytes512)?;
    if !found.damage.is_empty() {
        return Err(VerifyError::Damaged);
    }
    let (table, mut said) = (found.table, Vec::new());
    let (_, range) = layout::find(&table, layout::ESP)?;
    let mut partition = Section::new(disk.try_clone().map_err(file::failed("open", path))?, range);
    let files = esp::files(&mut partition)?.into_iter().map(|file| file.path);
    let boots: Vec<String> = files.filter(|path| path.to_ascii_lowercase().ends_with(".efi")).collect();
    for path in &boots {
        let bytes = esp::read(&mut partition, path, FILE_BYTES_MAX)?.unwrap_or_default();
        let image = Image::parse(&bytes).map_err(|source| VerifyError::Image { path: path.clone(), source })?;
        authenticode::verify(&image, &[&keys.db])
            .map_err(|source| VerifyError::Signature { path: path.clone(), source })?;
        said.push(format!("{path}: signed by db.crt"));
        if path.starts_with(UKIS) {
            said.push(check_uki(path, &image, keys)?);
            said.push(check_root(path, &image, &table, &disk)?);
        }
    }
    if let Ok((_, range)) = layout::find(&table, stick::PAYLOAD) {
        let (_, lines) = bundle(BufReader::new(Section::new(disk, range)), keys)?;
        said.extend(lines);
    } else if !boots.iter().any(|path| path.starts_with(UKIS)) {
        return Err(VerifyError::Nothing);
    }
    Ok(said)
}

fn bundle<R: std::io::Read>(reader: R, keys: &PublicKeys) -> Result<(Bundle<R>, Vec<String>), VerifyError> {
    let mut bundle = Bundle::open(reader, &[keys.release])?;
    bundle.verify(&mut |_, _| {})?;
    let manifest = bundle.manifest();
    let keys = if manifest.test_keys { "TEST KEYS" } else { "keys of its organisation" };
    let (version, security) = (&manifest.version, manifest.security_version);
    let said = vec![
        format!("bundle of version {version}, security version {security}, {keys}: signed by release.pem, parts whole"),
        format!("root hash {}", manifest.root_hash),
    ];
    Ok((bundle, said))
}

fn check_uki(path: &str, image: &Image<'_>, keys: &PublicKeys) -> Result<String, VerifyError> {
    let failed = |source| VerifyError::Measure { path: path.to_owned(), source };
    let measured = measure::uki(image).map_err(failed)?;
    let json = section(image, ".pcrsig").ok_or_else(|| VerifyError::PcrSignature(path.to_owned()))?;
    let signatures = PcrSignatures::parse(json).map_err(failed)?;
    if !signatures.covers(&measured, &[Phase::EnterInitrd], &keys.pcr) {
        return Err(VerifyError::PcrSignature(path.to_owned()));
    }
    Ok(format!("{path}: register 11 at enter-initrd signed by pcr.pub"))
}

fn check_root(path: &str, image: &Image<'_>, table: &Gpt, disk: &File) -> Result<String, VerifyError> {
    let root = root_hash(image).ok_or_else(|| VerifyError::RootHash(path.to_owned()))?;
    let partition = |guid| table.by_guid(guid).ok_or_else(|| VerifyError::NoRoot(path.to_owned()));
    let (data, hashes) = (partition(root.root_guid())?, partition(root.verity_guid())?);
    let failed = |source| VerifyError::Verity { path: path.to_owned(), source };
    // Both move the one place of the file: each seeks before it reads.
    let mut hashes = Section::new(disk, table.bytes_of(hashes));
    // The root hash vouches for the number only together with the tree that it leads to: the disk is the builder's own.
    let blocks = Superblock::read(&mut hashes).map_err(failed)?.data_blocks;
    let mut data = BufReader::with_capacity(128 * BLOCK_BYTES, Section::new(disk, table.bytes_of(data)));
    verity::verify(&mut data, &mut hashes, blocks, &root, &mut |_| {}).map_err(failed)?;
    Ok(format!("{path}: root {root} whole, {blocks} blocks"))
}

fn root_hash(image: &Image<'_>) -> Option<RootHash> {
    let text = std::str::from_utf8(section(image, ".cmdline")?).ok()?;
    text.split_whitespace().find_map(|word| word.strip_prefix("roothash="))?.parse().ok()
}

fn section<'a>(image: &Image<'a>, name: &str) -> Option<&'a [u8]> {
    image.section(name).map(|section| image.data(section))
}
