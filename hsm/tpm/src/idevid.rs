//! The identity that a box is made with (IEEE 802.1AR): a key of the TPM's endorsement seed, and its certificate.
//!
//! The TPM makes the key anew from the seed and a fixed template whenever it is needed, and it is always the same. So it
//! takes no place on the disk, and neither a wipe of the disk nor a clearing of the TPM loses it; only `TPM2_ChangeEPS`,
//! a command of the maker's, makes it another one. Its attributes are those of the TCG's "TPM 2.0 Keys for Device
//! Identity and Attestation" 1.0 (§7.3.4), but that it has `noDA` and no policy: else wrong passwords for other objects
//! would lock the box out of its identity, and `TPM2_Certify` of it would take more than the key itself does.
//!
//! The certificates are in the TPM's memory, at one of the indices for them (`nv.rs`): the key's own, and after it those
//! above it as far as they fit, DER. Whoever is the TPM's owner can delete them, and clearing the TPM deletes those that
//! were written by [`Idevid::write_certificates`]. They are no secret and nobody trusts them for where they are: their
//! maker writes them again. A maker that has the platform's authorisation writes them with it, at any of those indices,
//! and they survive a clearing: by `tpm2_nvdefine -C p`, with the attributes
//! `ownerread|authread|no_da|ppread|ppwrite|writedefine|platformcreate`.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeyInfo, KeySpec, KeyUri, Residence, Signer};
use tss_esapi::{
    handles::KeyHandle,
    interface_types::resource_handles::Hierarchy,
    structures::{EccParameter, EccPoint, Public},
};

use crate::{
    certificates,
    connection::{Connection, Tpm},
    key::{Source, TpmKey, point},
    reason::Failure,
    template,
};

/// The name of the key, as in `tpm:idevid`.
pub(crate) const NAME: &str = "idevid";
/// What makes it another key than other software's: it is made from the TPM's endorsement seed and this.
const UNIQUE: &[u8; 32] = b"dolmen device identity, version1";
/// Among the keys that are loaded.
const LOADED: &[u8] = b"idevid";

/// The identity of a TPM's box.
#[derive(Clone, Debug)]
pub struct Idevid(Arc<Tpm>);

impl Idevid {
    /// That of a TPM.
    pub const fn new(tpm: Arc<Tpm>) -> Self {
        Self(tpm)
    }

    /// Its name, `tpm:idevid`. No key in a file has it.
    pub fn uri() -> KeyUri {
        format!("tpm:{NAME}").parse().expect("a name of a key")
    }

    /// The key: P-256, for TLS and for requests of certificates. It has signed once, and the signature holds.
    ///
    /// # Errors
    ///
    /// [`KeyError::SelfTest`], and whatever goes wrong with the TPM.
    pub fn signer(&self) -> Result<Arc<dyn Signer>, KeyError> {
        let public = self.public()?;
        let spec = KeySpec {
            algorithm: Algorithm::EcdsaP256,
            domains: [Domain::Tls, Domain::Certificate].into_iter().collect::<Domains>(),
        };
        let info = KeyInfo {
            uri: Self::uri(),
            algorithm: spec.algorithm,
            domains: spec.domains,
            public_key: point_of(&public)?,
            residence: Residence::Device,
        };
        Ok(Arc::new(TpmKey::open(self.0.clone(), Source::Seed { info, public })?))
    }

    /// Its certificate, DER; none where none was written, or those that were are of other keys.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    pub fn certificate(&self) -> Result<Option<Vec<u8>>, KeyError> {
        Ok(self.certificates()?.into_iter().next())
    }

    /// Its certificate and those above it, nearest first, as they are shown in TLS. Five at most.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    pub fn certificates(&self) -> Result<Vec<Vec<u8>>, KeyError> {
        let point = point_of(&self.public()?)?;
        self.0.run("read the certificate of the IDevID", |connection| certificates::read(connection, &point))
    }

    /// Writes its certificate alone, as [`write_certificates`](Self::write_certificates).
    ///
    /// # Errors
    ///
    /// As those.
    pub fn write_certificate(&self, certificate: &[u8]) -> Result<(), KeyError> {
        self.write_certificates(&[certificate])
    }

    /// Writes its certificate and those above it, nearest first, each in DER: once, at the factory. The same again
    /// changes nothing, nor does the beginning of what is there; what a power cut left half written is completed.
    ///
    /// Nothing is looked at but whose key the first one is: who trusts the certificates verifies them.
    ///
    /// # Errors
    ///
    /// [`KeyError::Policy`] where the first one is of another key, or another one is there, which is never replaced, or
    /// they are too long for the TPM; [`KeyError::Full`] where its memory is; and whatever else goes wrong with it.
    pub fn write_certificates(&self, path: &[&[u8]]) -> Result<(), KeyError> {
        let (uri, point) = (Self::uri(), point_of(&self.public()?)?);
        certificates::check(&uri, &point, path)?;
        self.0.run("write the certificate of the IDevID", |connection| {
            certificates::write(connection, &uri, &point, path)
        })
    }

    fn public(&self) -> Result<Public, KeyError> {
        self.0.run("make the IDevID", |connection| {
            let handle = make(connection, |_| Ok(()))?;
            Ok(connection.context.execute_without_session(|context| context.read_public(handle))?.0)
        })
    }
}

/// The handle of the key, which has to be the one that was opened.
pub(crate) fn load(connection: &mut Connection, opened: &Public) -> Result<KeyHandle, Failure> {
    make(connection, |public| if public == opened { Ok(()) } else { Err(changed()) })
}

fn make(
    connection: &mut Connection,
    check: impl FnOnce(&Public) -> Result<(), KeyError>,
) -> Result<KeyHandle, Failure> {
    connection.loaded(LOADED, |connection| {
        let template = template::primary_signing(unique()?)?;
        let made = connection.context.execute_with_nullauth_session(|context| {
            context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
        })?;
        if let Err(error) = check(&made.out_public) {
            connection.flush(made.key_handle.into())?;
            return Err(error.into());
        }
        Ok(made.key_handle)
    })
}

fn changed() -> KeyError {
    KeyError::Policy {
        what: format!("the key tpm:{NAME}"),
        reason:
            "this is another TPM than the one it was opened in, or its endorsement seed was changed since; start the \
                 box again, and have its maker certify the new key"
                .into(),
    }
}

fn unique() -> tss_esapi::Result<EccPoint> {
    Ok(EccPoint::new(EccParameter::try_from(&UNIQUE[..])?, EccParameter::try_from(&[0_u8; 32][..])?))
}

fn point_of(public: &Public) -> Result<Vec<u8>, KeyError> {
    let none = || KeyError::SelfTest {
        device: "the TPM".into(),
        uri: Idevid::uri(),
        reason: "it made no P-256 key of the template for one; use another TPM".into(),
    };
    point(public).map(|point| point.to_vec()).ok_or_else(none)
}
