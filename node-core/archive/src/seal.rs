//! Files of backups: records, compressed with zstd, encrypted with age (age-encryption.org/v1) for the holders of some
//! keys. Compressed first, since what is encrypted does not compress.
//!
//! Encryption keeps a backup from being read, and changed bytes from being taken for others. It does not say who made a
//! backup: anybody can encrypt for a public key. That a backup is the chain's is proven by what is in it.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use age::{
    Decryptor, Encryptor, IdentityFile,
    stream::{StreamReader, StreamWriter},
};
use alloy_primitives::B256;
use sha2::{Digest as _, Sha256};

use crate::{files::Partial, manifest::DataFile};

/// zstd's default: higher levels take several times as long, and most of a state are hashes, which do not compress.
const LEVEL: i32 = 3;

/// Why a file of a backup was not opened, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A public key is none.
    #[error("`{key}` is no recipient: {reason}; give the line that begins with age1 of `age-keygen`")]
    Recipient {
        /// What was given.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nobody could open the backup.
    #[error("no recipient was given; a backup is encrypted for at least one, --recipient age1...")]
    NoRecipient,
    /// The file with the recipients or the identity.
    #[error("cannot read {path}; check its name and permissions")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds no identity, or not one that this program can use.
    #[error("{path} holds no identity; give a file of `age-keygen`, with a line that begins with AGE-SECRET-KEY-1")]
    NoIdentity {
        /// The file.
        path: PathBuf,
    },
    /// The text holds none.
    #[error("this is no identity; give the line of `age-keygen` that begins with AGE-SECRET-KEY-1")]
    NoIdentityText,
    /// A file of the backup.
    #[error("cannot read {path}; check the disk that the backup is on")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its size or hash is not the manifest's.
    #[error("{path} is not the file that the manifest names: its {what} is another; take it from another copy")]
    Digest {
        /// The file.
        path: PathBuf,
        /// `size` or `SHA-256`.
        what: &'static str,
    },
    /// The identity does not open it, or it is damaged.
    #[error("{path} cannot be decrypted with this identity; it was encrypted for {}", .recipients.join(", "))]
    Decrypt {
        /// The file.
        path: PathBuf,
        /// For whom it was made, by the manifest.
        recipients: Vec<String>,
        /// Why.
        #[source]
        source: age::DecryptError,
    },
}

/// The public keys that a backup is encrypted for.
pub struct Recipients(Vec<age::x25519::Recipient>);

impl Recipients {
    /// Reads public keys, `age1...`; those given twice count once.
    pub fn parse<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, SealError> {
        let mut recipients = Vec::new();
        for key in keys {
            let recipient = key.parse::<age::x25519::Recipient>();
            let recipient = recipient.map_err(|reason| SealError::Recipient { key: key.to_owned(), reason })?;
            if !recipients.contains(&recipient) {
                recipients.push(recipient);
            }
        }
        if recipients.is_empty() { Err(SealError::NoRecipient) } else { Ok(Self(recipients)) }
    }

    /// Reads a file with a public key a line, as `age -R` takes it: empty lines and those that begin with `#` count for
    /// nothing.
    pub fn lines_of(path: &Path) -> Result<Vec<String>, SealError> {
        let text = fs::read_to_string(path).map_err(|source| SealError::KeyFile { path: path.to_owned(), source })?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(lines.map(str::to_owned).collect())
    }

    /// The public keys as text.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

/// The secret keys that may open a backup.
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl Identities {
    /// Reads a file of `age-keygen`.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let open = |source| SealError::KeyFile { path: path.to_owned(), source };
        let none = || SealError::NoIdentity { path: path.to_owned() };
        let file = BufReader::new(File::open(path).map_err(open)?);
        match Self::of(file) {
            Ok(Some(identities)) => Ok(identities),
            Ok(None) => Err(none()),
            Err(error) => Err(open(error)),
        }
    }

    /// Reads the text of such a file.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        // What is in memory is read.
        Self::of(text.as_bytes()).ok().flatten().ok_or(SealError::NoIdentityText)
    }

    /// `None` where there is no identity; what is there instead must not get into an error.
    fn of(text: impl BufRead) -> io::Result<Option<Self>> {
        let file = match IdentityFile::from_buffer(text) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
            read => read?,
        };
        Ok(file.into_identities().ok().filter(|identities| !identities.is_empty()).map(Self))
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").field("count", &self.0.len()).finish_non_exhaustive()
    }
}

/// Writes a file of a backup.
pub(crate) struct Sealer {
    inner: zstd::stream::write::Encoder<'static, StreamWriter<Hashed<Partial>>>,
}

impl Sealer {
    pub(crate) fn create(path: &Path, recipients: &Recipients) -> io::Result<Self> {
        let keys = recipients.0.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(keys).map_err(io::Error::other)?;
        let out = Hashed { inner: Partial::create(path)?, digest: Sha256::new(), bytes: 0 };
        let inner = zstd::stream::write::Encoder::new(encryptor.wrap_output(out)?, LEVEL)?;
        Ok(Self { inner })
    }

    /// Ends the file; it is in its place only when the first of what is given back is kept. Then its size and SHA-256.
    pub(crate) fn finish(self) -> io::Result<(Partial, u64, B256)> {
        let Hashed { inner, digest, bytes } = self.inner.finish()?.finish()?;
        Ok((inner, bytes, B256::from_slice(&digest.finalize())))
    }
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Counts and hashes what is written.
struct Hashed<W> {
    inner: W,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        if let Some(bytes) = bytes.get(..written) {
            self.digest.update(bytes);
        }
        self.bytes += u64::try_from(written).unwrap_or(u64::MAX);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What reads a file of a backup.
pub(crate) type Opened = BufReader<zstd::stream::read::Decoder<'static, BufReader<StreamReader<BufReader<File>>>>>;

/// Opens a file of a backup that [`check`] has found to be the manifest's.
pub(crate) fn open(path: &Path, identities: &Identities, recipients: &[String]) -> Result<Opened, SealError> {
    let read = |source| SealError::Read { path: path.to_owned(), source };
    let decrypt = |source| SealError::Decrypt { path: path.to_owned(), recipients: recipients.to_vec(), source };
    let input = BufReader::with_capacity(1 << 20, File::open(path).map_err(read)?);
    let decryptor = Decryptor::new_buffered(input).map_err(decrypt)?;
    let keys = identities.0.iter().map(|identity| &**identity as &dyn age::Identity);
    let plain = decryptor.decrypt(keys).map_err(decrypt)?;
    Ok(BufReader::with_capacity(1 << 16, zstd::stream::read::Decoder::new(plain).map_err(read)?))
}

/// Compares the size and the SHA-256 of a file with the manifest's.
pub(crate) fn check(path: &Path, file: &DataFile, mut read_bytes: impl FnMut(u64)) -> Result<(), SealError> {
    let read = |source| SealError::Read { path: path.to_owned(), source };
    let wrong = |what| SealError::Digest { path: path.to_owned(), what };
    let mut input = File::open(path).map_err(read)?;
    if input.metadata().map_err(read)?.len() != file.bytes {
        return Err(wrong("size"));
    }
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let bytes = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(read(error)),
        };
        if let Some(bytes) = buffer.get(..bytes) {
            digest.update(bytes);
        }
        read_bytes(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
    if digest.finalize()[..] == file.sha256[..] { Ok(()) } else { Err(wrong("SHA-256")) }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret as _;

    use super::*;
    use crate::manifest::DataContent;

    fn sealed(path: &Path, recipients: &Recipients, plain: &[u8]) -> DataFile {
        let mut sealer = Sealer::create(path, recipients).unwrap();
        sealer.write_all(plain).unwrap();
        let (partial, bytes, sha256) = sealer.finish().unwrap();
        partial.keep().unwrap();
        DataFile { content: DataContent::Blocks, name: "blocks".into(), bytes, sha256 }
    }

    fn identity_file(dir: &Path, identity: &age::x25519::Identity) -> PathBuf {
        let path = dir.join("identity");
        fs::write(&path, format!("# a comment\n{}\n", identity.to_string().expose_secret())).unwrap();
        path
    }

    #[test]
    fn a_sealed_file_opens_with_its_identity_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blocks");
        let (ours, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let key = ours.to_public().to_string();
        let recipients = Recipients::parse([key.as_str(), key.as_str()]).unwrap();
        assert_eq!(recipients.names(), std::slice::from_ref(&key));
        // Longer than the pieces of zstd and age.
        let plain: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
        let file = sealed(&path, &recipients, &plain);
        let mut bytes = 0;
        check(&path, &file, |read| bytes += read).unwrap();
        assert_eq!(bytes, file.bytes);
        assert!(bytes < 1_200_000, "compressed");
        let names = recipients.names();
        let identities = Identities::read(&identity_file(dir.path(), &ours)).unwrap();
        let mut found = Vec::new();
        open(&path, &identities, &names).unwrap().read_to_end(&mut found).unwrap();
        assert_eq!(found, plain);
        let identities = Identities::read(&identity_file(dir.path(), &other)).unwrap();
        let error = open(&path, &identities, &names).err().unwrap();
        assert!(matches!(error, SealError::Decrypt { .. }) && error.to_string().contains(&key), "{error}");
    }

    #[test]
    fn changed_and_cut_files_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blocks");
        let ours = age::x25519::Identity::generate();
        let recipients = Recipients::parse([ours.to_public().to_string().as_str()]).unwrap();
        let file = sealed(&path, &recipients, &[7; 200_000]);
        let identities = Identities::read(&identity_file(dir.path(), &ours)).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in [0, 40, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(matches!(check(&path, &file, |_| ()), Err(SealError::Digest { what: "SHA-256", .. })));
            // And without the manifest.
            let opened = open(&path, &identities, &[]).map(|mut opened| opened.read_to_end(&mut Vec::new()));
            assert!(!matches!(opened, Ok(Ok(_))), "byte {at}");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(matches!(check(&path, &file, |_| ()), Err(SealError::Digest { what: "size", .. })));
    }

    #[test]
    fn what_is_no_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        assert!(matches!(Recipients::parse([]), Err(SealError::NoRecipient)));
        let error = Recipients::parse(["age1nothing"]).unwrap_err();
        assert!(error.to_string().contains("`age1nothing` is no recipient"), "{error}");
        fs::write(&path, "# of the bank\n\nage1a\n  age1b \n").unwrap();
        assert_eq!(Recipients::lines_of(&path).unwrap(), ["age1a", "age1b"]);
        fs::write(&path, "a secret that is none\n").unwrap();
        let error = Identities::read(&path).unwrap_err();
        assert!(matches!(error, SealError::NoIdentity { .. }) && !error.to_string().contains("secret that"), "{error}");
        assert!(matches!(Identities::read(&dir.path().join("absent")), Err(SealError::KeyFile { .. })));
    }
}
