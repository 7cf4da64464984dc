//! What an image is.

use std::collections::BTreeMap;

use dolmen_image_disk::verity::{BLOCK_BYTES, RootHash, hash_device_bytes};
use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    BundleError, Hash, PART_NAMES, Part, PartName, SecurityVersion,
    limits::{MANIFEST_BYTES_MAX, PHASE_PATH_BYTES_MAX, PHASE_PATHS_MAX, VERSION_BYTES_MAX},
};

/// Of what the image is.
pub const PRODUCT: &str = "dolmen";
/// For which machines, as Linux names them.
pub const ARCHITECTURE: &str = "x86_64";
const FORMAT: u32 = 1;

/// What an image is and what it consists of.
///
/// Its JSON has these fields in this order, and before them `format` 1, and after `security_version` the architecture.
/// Unknown fields are refused: a reader that knows less must not take what it does not understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// In lower case, without build metadata (`+...`), which would count for nothing when versions are compared.
    pub version: Version,
    /// See there.
    pub security_version: SecurityVersion,
    /// When, in seconds since 1970: `SOURCE_DATE_EPOCH` of the build.
    pub created: u64,
    /// The key that signs it.
    pub release_key: Hash,
    /// Whether it trusts keys that everybody has. No image for production does.
    pub test_keys: bool,
    /// What vouches for the root file system; also on the command line in the UKI.
    pub root_hash: RootHash,
    /// All four, in the order of [`PART_NAMES`].
    pub parts: [Part; 4],
    /// What it leaves in a TPM.
    pub measurements: Measurements,
}

/// What PCRs will hold, SHA-256, on a box with the certificates that the image was built with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    /// The boot loader and the UKI that it starts.
    pub pcr4: Hash,
    /// Secure Boot's state, certificates, and which of them vouched.
    pub pcr7: Hash,
    /// The UKI's sections, after each path of phases (`enter-initrd`, `enter-initrd:leave-initrd`).
    pub pcr11: BTreeMap<String, Hash>,
}

/// The JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    format: u32,
    product: String,
    version: String,
    security_version: SecurityVersion,
    architecture: String,
    created: u64,
    release_key: Hash,
    test_keys: bool,
    #[serde(serialize_with = "write_root_hash", deserialize_with = "read_root_hash")]
    root_hash: RootHash,
    parts: [Part; 4],
    measurements: Measurements,
}

impl Manifest {
    /// What it says of a part.
    #[must_use]
    pub const fn part(&self, name: PartName) -> &Part {
        &self.parts[name.index()]
    }

    /// Blocks of 4,096 bytes of the root file system: what [`verify`](dolmen_image_disk::verity::verify) wants to know.
    #[must_use]
    pub const fn root_blocks(&self) -> u64 {
        self.part(PartName::Root).bytes / BLOCK_BYTES as u64
    }

    /// Its JSON, the same bytes whenever it says the same.
    ///
    /// # Errors
    ///
    /// [`BundleError`] for one that [`from_json`](Self::from_json) would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        self.check()?;
        let fields = Fields {
            format: FORMAT,
            product: PRODUCT.to_owned(),
            version: self.version.to_string(),
            security_version: self.security_version,
            architecture: ARCHITECTURE.to_owned(),
            created: self.created,
            release_key: self.release_key,
            test_keys: self.test_keys,
            root_hash: self.root_hash,
            parts: self.parts,
            measurements: self.measurements.clone(),
        };
        let mut json = serde_json::to_vec_pretty(&fields).map_err(BundleError::Json)?;
        json.push(b'\n');
        check_manifest_bytes(json.len())?;
        Ok(json)
    }

    /// Reads JSON. It says nothing about who wrote it: see [`SignedManifest::verify`](crate::SignedManifest::verify).
    ///
    /// # Errors
    ///
    /// [`BundleError::Json`], [`BundleError::Foreign`], [`BundleError::Version`] and the others that name a field.
    pub fn from_json(json: &[u8]) -> Result<Self, BundleError> {
        check_manifest_bytes(json.len())?;
        // Another format has other fields; it should be named rather than these.
        if let Ok(Format { format }) = serde_json::from_slice(json) {
            expect("format", &format.to_string(), "1")?;
        }
        let fields: Fields = serde_json::from_slice(json).map_err(BundleError::Json)?;
        expect("product", &fields.product, PRODUCT)?;
        expect("architecture", &fields.architecture, ARCHITECTURE)?;
        let Fields { security_version, created, release_key, test_keys, root_hash, parts, measurements, .. } = fields;
        let version = Version::parse(&fields.version)
            .map_err(|_| BundleError::Version { found: fields.version, reason: "it is not three numbers with dots" })?;
        let manifest =
            Self { version, security_version, created, release_key, test_keys, root_hash, parts, measurements };
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), BundleError> {
        check_version(&self.version)?;
        for (index, (part, expected)) in self.parts.iter().zip(PART_NAMES).enumerate() {
            if part.name != expected {
                return Err(BundleError::Parts { index, found: part.name, expected });
            }
            part.check_bytes()?;
        }
        let (root, verity) = (self.part(PartName::Root).bytes, self.part(PartName::Verity).bytes);
        let whole = root.is_multiple_of(BLOCK_BYTES as u64);
        if !whole || hash_device_bytes(self.root_blocks()).ok() != Some(verity) {
            return Err(BundleError::Tree { root, verity });
        }
        self.measurements.check()
    }
}

/// Of any manifest, whatever else it says.
#[derive(Deserialize)]
struct Format {
    format: u64,
}

impl Measurements {
    fn check(&self) -> Result<(), BundleError> {
        let is_path = |path: &str| {
            let known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b':');
            path.len() <= PHASE_PATH_BYTES_MAX && path.bytes().all(known)
        };
        let mut paths = self.pcr11.keys();
        let wrong = paths.clone().find(|path| !is_path(path)).or_else(|| paths.nth(PHASE_PATHS_MAX));
        wrong.map_or(Ok(()), |path| Err(BundleError::PhasePath(path.clone())))
    }
}

pub(crate) fn check_manifest_bytes(found: usize) -> Result<(), BundleError> {
    if found == 0 || found > MANIFEST_BYTES_MAX {
        return Err(BundleError::ManifestBytes { found: found as u64, limit: MANIFEST_BYTES_MAX });
    }
    Ok(())
}

/// Whether file names on FAT can have it, and two versions are two names.
fn check_version(version: &Version) -> Result<(), BundleError> {
    let found = version.to_string();
    let reason = if !version.build.is_empty() {
        "it has build metadata"
    } else if found.bytes().any(|byte| byte.is_ascii_uppercase()) {
        "it has upper-case letters"
    } else if found.len() > VERSION_BYTES_MAX {
        "it is too long"
    } else {
        return Ok(());
    };
    Err(BundleError::Version { found, reason })
}

fn expect(field: &'static str, found: &str, expected: &'static str) -> Result<(), BundleError> {
    if found != expected {
        return Err(BundleError::Foreign { field, found: found.to_owned(), expected });
    }
    Ok(())
}

fn write_root_hash<S: Serializer>(root_hash: &RootHash, serializer: S) -> Result<S::Ok, S::Error> {
    Hash::from_bytes(*root_hash.as_bytes()).serialize(serializer)
}

fn read_root_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RootHash, D::Error> {
    let hash = Hash::deserialize(deserializer).map_err(D::Error::custom)?;
    Ok(RootHash::from_bytes(*hash.as_bytes()))
}
