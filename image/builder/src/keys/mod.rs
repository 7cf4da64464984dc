//! The keys that sign an image, as files of one folder.
//!
//! | file | what it is |
//! |---|---|
//! | `pk.crt`, `kek.crt` | certificates of Secure Boot that a box's firmware has; nothing here is signed by them |
//! | `db.crt`, `db.key` | signs boot loader and boot files |
//! | `pcr.pub`, `pcr.key` | signs the values of register 11 |
//! | `release.pem`, `release.key` | signs the manifest |
//! | `masa.pem` | roots of the maker whose vouchers boxes follow; nothing here is signed by them |

mod test;

use std::path::{Path, PathBuf};

use dolmen_image_bundle::{ReleaseKey, Sign as _, SigningKey};
use dolmen_image_uki::key::PublicKey;
use openssl::{
    error::ErrorStack,
    pkey::{PKey, Private},
    x509::X509,
};
use sha2::{Digest as _, Sha256};

use crate::file::{self, FileError};

/// Why the keys are not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file is missing.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what its name says.
    #[error("{} is no {what} in PEM; replace it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A private key that is another's.
    #[error("{} is not the private key of {}; replace one of them", key.display(), public.display())]
    Mismatch {
        /// The private key.
        key: PathBuf,
        /// The public one.
        public: PathBuf,
    },
    /// Keys that everybody has are to sign an image for production.
    #[error(
        "{} is one of the test keys, which everybody has; an image for production needs keys of your own: \
         name their folder with --keys DIR",
        path.display()
    )]
    Test {
        /// Which.
        path: PathBuf,
    },
}

/// The keys.
#[derive(Debug)]
pub struct Keys {
    /// Certificate of the platform's key, DER.
    pub pk: Vec<u8>,
    /// Certificate of the key exchange key, DER.
    pub kek: Vec<u8>,
    /// Certificate that boot files are signed by, DER.
    pub db: Vec<u8>,
    /// Its private key.
    pub db_key: PKey<Private>,
    /// The key of register 11's values, PEM, as the UKI carries it.
    pub pcr_pem: String,
    /// The same.
    pub pcr: PublicKey,
    /// Its private key.
    pub pcr_key: PKey<Private>,
    /// The key of manifests, PEM.
    pub release_pem: String,
    /// The same.
    pub release: ReleaseKey,
    /// Its private key.
    pub release_key: SigningKey,
    /// Certificates of the maker's roots, PEM.
    pub masa_pem: String,
    /// Whether one of them is a test key.
    pub test: bool,
}

impl Keys {
    /// Reads them. For production no public part may be one of the test keys'.
    ///
    /// # Errors
    ///
    /// [`KeysError`].
    pub fn read(folder: &Path, production: bool) -> Result<Self, KeysError> {
        let reader = Reader { folder };
        let (pk, kek, db) =
            (reader.certificate("pk.crt")?, reader.certificate("kek.crt")?, reader.certificate("db.crt")?);
        let (pcr_pem, pcr_der) = reader.public("pcr.pub")?;
        let (release_pem, release_der) = reader.public("release.pem")?;
        let (masa_pem, masa) = reader.certificates("masa.pem")?;
        let publics = [&pk, &kek, &db].map(|certificate| public_of(certificate));
        let publics = [("pk.crt", &publics[0]), ("kek.crt", &publics[1]), ("db.crt", &publics[2])];
        let masa: Vec<_> = masa.iter().map(|certificate| public_of(certificate)).collect();
        let masa = masa.iter().map(|public| ("masa.pem", public));
        let publics =
            publics.into_iter().chain(masa).map(|(name, der)| Ok((name, der.as_ref().map_err(Clone::clone)?.clone())));
        let publics: Result<Vec<_>, ErrorStack> = publics.collect();
        let publics = publics.map_err(|source| reader.damaged("db.crt", "certificate")(source.into()))?;
        let all = publics.into_iter().chain([("pcr.pub", pcr_der.clone()), ("release.pem", release_der)]);
        let mut test = false;
        for (name, der) in all {
            if test::is_test_key(&Sha256::digest(&der).into()) {
                if production {
                    return Err(KeysError::Test { path: folder.join(name) });
                }
                test = true;
            }
        }
        let (db_key, pcr_key) = (reader.private("db.key")?, reader.private("pcr.key")?);
        let pcr =
            PublicKey::from_der(&pcr_der).map_err(|error| reader.damaged("pcr.pub", "RSA public key")(error.into()))?;
        let release = ReleaseKey::from_pem(&release_pem);
        let release = release.map_err(|error| reader.damaged("release.pem", "Ed25519 public key")(error.into()))?;
        let release_key = SigningKey::from_pem(&file::read_text(&folder.join("release.key"))?);
        let release_key =
            release_key.map_err(|error| reader.damaged("release.key", "Ed25519 private key")(error.into()))?;
        let matches = |key: &PKey<Private>, der: &[u8]| key.public_key_to_der().is_ok_and(|public| public == der);
        let mismatch = |key, public| Err(KeysError::Mismatch { key: folder.join(key), public: folder.join(public) });
        if !public_of(&db).is_ok_and(|der| matches(&db_key, &der)) {
            return mismatch("db.key", "db.crt");
        }
        if !matches(&pcr_key, &pcr_der) {
            return mismatch("pcr.key", "pcr.pub");
        }
        if release_key.public_key() != release {
            return mismatch("release.key", "release.pem");
        }
        Ok(Self { pk, kek, db, db_key, pcr_pem, pcr, pcr_key, release_pem, release, release_key, masa_pem, test })
    }
}

/// A certificate's public key (`SubjectPublicKeyInfo`).
fn public_of(certificate: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    X509::from_der(certificate)?.public_key()?.public_key_to_der()
}

/// Files of the folder.
struct Reader<'a> {
    folder: &'a Path,
}

impl Reader<'_> {
    fn damaged(
        &self,
        name: &str,
        what: &'static str,
    ) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> KeysError {
        let path = self.folder.join(name);
        move |source| KeysError::Damaged { path, what, source }
    }

    fn certificate(&self, name: &str) -> Result<Vec<u8>, KeysError> {
        let pem = file::read(&self.folder.join(name))?;
        let der = X509::from_pem(&pem).and_then(|certificate| certificate.to_der());
        der.map_err(|error| self.damaged(name, "certificate")(error.into()))
    }

    /// One or more of them, and the file's text.
    fn certificates(&self, name: &str) -> Result<(String, Vec<Vec<u8>>), KeysError> {
        let pem = file::read_text(&self.folder.join(name))?;
        let ders = X509::stack_from_pem(pem.as_bytes())
            .and_then(|all| all.iter().map(|certificate| certificate.to_der()).collect::<Result<Vec<_>, _>>());
        let ders = ders.map_err(|error| self.damaged(name, "certificate")(error.into()))?;
        if ders.is_empty() {
            return Err(self.damaged(name, "certificate")("it has none".into()));
        }
        Ok((pem, ders))
    }

    fn public(&self, name: &str) -> Result<(String, Vec<u8>), KeysError> {
        let pem = file::read_text(&self.folder.join(name))?;
        let der = PKey::public_key_from_pem(pem.as_bytes()).and_then(|key| key.public_key_to_der());
        let der = der.map_err(|error| self.damaged(name, "public key")(error.into()))?;
        Ok((pem, der))
    }

    fn private(&self, name: &str) -> Result<PKey<Private>, KeysError> {
        let pem = file::read(&self.folder.join(name))?;
        PKey::private_key_from_pem(&pem).map_err(|error| self.damaged(name, "private key")(error.into()))
    }
}

#[cfg(test)]
mod tests;
