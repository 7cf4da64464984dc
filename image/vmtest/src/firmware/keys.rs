//! Whom a firmware trusts.

use dolmen_image_uki::{
    authenticode::{Signing, sign},
    measure::{Guid, certificate_list},
};
use openssl::{
    pkey::{PKey, Private},
    x509::X509,
};
use uuid::Uuid;

use super::{Variable, VariableStore};
use crate::VmError;

/// `EFI_GLOBAL_VARIABLE`.
const GLOBAL: Uuid = Uuid::from_u128(0x8be4_df61_93ca_11d2_aa0d_00e0_9803_2b8c);
/// `EFI_IMAGE_SECURITY_DATABASE_GUID`.
const SECURITY_DATABASE: Uuid = Uuid::from_u128(0xd719_b2cb_3d3a_4596_a3bc_dad0_0e67_656f);
/// `EFI_SECURE_BOOT_ENABLE_DISABLE`: EDK II's own.
const SECURE_BOOT_ENABLE: Uuid = Uuid::from_u128(0xf0a3_0bc7_af08_4556_99c4_0010_09c9_3a44);
/// Kept, and read before and after the system has taken over (UEFI 2.10 §8.2).
const KEPT: u32 = 1 | 2;
const RUNTIME: u32 = 4;
/// Changed only by whom a key vouches for.
const AUTHENTICATED: u32 = 0x20;
/// 2026-01-01: a signed change of a key has to be newer.
const TIME: [u8; 16] = [0xea, 0x07, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A certificate with or without its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    key: Option<PKey<Private>>,
}

impl Certificate {
    /// A certificate and its key, both PEM.
    ///
    /// # Errors
    ///
    /// [`VmError::Key`].
    pub fn with_key(name: &str, certificate: &[u8], key: &[u8]) -> Result<Self, VmError> {
        let error = |source| VmError::Key(name.to_owned(), source);
        let der = X509::from_pem(certificate).and_then(|certificate| certificate.to_der()).map_err(error)?;
        Ok(Self { der, key: Some(PKey::private_key_from_pem(key).map_err(error)?) })
    }

    /// A boot file that this signed as well.
    ///
    /// # Errors
    ///
    /// [`VmError::Sign`] for what is no image of UEFI.
    pub fn sign(&self, image: &[u8]) -> Result<Vec<u8>, VmError> {
        let key = self.key.as_ref().ok_or_else(|| VmError::Sign("there is no key with the certificate".to_owned()))?;
        let signing = Signing { key, certificate: &self.der, time: None };
        sign(image, &signing).map_err(|error| VmError::Sign(error.to_string()))
    }

    /// DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// The keys of Secure Boot.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The platform's.
    pub pk: Certificate,
    /// Who may change `db`.
    pub kek: Certificate,
    /// Whose boot files are started.
    pub db: Vec<Certificate>,
    /// Who put them there, as each entry says. The value of register 7 depends on it.
    pub owner: Uuid,
}

impl Keys {
    /// Who enrolled the test keys.
    pub const OWNER: Uuid = Uuid::from_u128(0x646f_6c6d_656e_4000_8000_0000_0000_0001);

    /// Those in `image/keys/test`, which sign the images that tests boot.
    ///
    /// # Errors
    ///
    /// [`VmError::Key`] where one of the files is damaged.
    pub fn test() -> Result<Self, VmError> {
        macro_rules! key {
            ($name:literal) => {
                Certificate::with_key(
                    concat!("image/keys/test/", $name),
                    include_bytes!(concat!("../../../keys/test/", $name, ".crt")),
                    include_bytes!(concat!("../../../keys/test/", $name, ".key")),
                )
            };
        }
        Ok(Self { pk: key!("pk")?, kek: key!("kek")?, db: vec![key!("db")?], owner: Self::OWNER })
    }

    /// Switches Secure Boot on with these.
    pub(super) fn put_into(&self, store: &mut VariableStore) -> Result<(), VmError> {
        let owner = Guid(self.owner.to_bytes_le());
        let list = |certificates: &[Certificate]| {
            let lists = certificates.iter().map(|certificate| certificate_list(owner, &certificate.der));
            lists
                .collect::<Result<Vec<_>, _>>()
                .map(|lists| lists.concat())
                .map_err(|error| VmError::Sign(error.to_string()))
        };
        let signed = KEPT | RUNTIME | AUTHENTICATED;
        for (name, vendor, attributes, time, data) in [
            ("PK", GLOBAL, signed, TIME, list(std::slice::from_ref(&self.pk))?),
            ("KEK", GLOBAL, signed, TIME, list(std::slice::from_ref(&self.kek))?),
            ("db", SECURITY_DATABASE, signed, TIME, list(&self.db)?),
            ("SecureBootEnable", SECURE_BOOT_ENABLE, KEPT, [0; 16], vec![1]),
        ] {
            store.set(Variable { name: name.to_owned(), vendor, attributes, time, data });
        }
        Ok(())
    }
}
