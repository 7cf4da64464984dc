//! A key that is in the TPM.

use std::{fmt, sync::Arc};

use dolmen_accel_api::{BatchVerifier as _, Verdict, VerifyJob};
use dolmen_hsm_api::{
    Algorithm, Attestation, Domain, Domains, KeyError, KeyInfo, KeyUri, Message, Residence, Signature, Signer,
};
use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tss_esapi::{
    constants::tss::{TPM2_RH_NULL, TPM2_ST_HASHCHECK},
    handles::KeyHandle,
    interface_types::session_handles::AuthSession,
    structures::{Digest, HashcheckTicket, Public, Signature as TpmSignature, SignatureScheme},
    traits::Marshall as _,
    tss2_esys::TPMT_TK_HASHCHECK,
};

use crate::{
    connection::{Connection, Tpm},
    evidence,
    file::Wrapped,
    idevid,
    reason::Failure,
};

/// SM2's default identity (GB/T 35276-2017 §10).
const SM2_IDENTITY: &[u8; 16] = b"1234567812345678";
/// Its length in bits, as `Z` begins.
const SM2_IDENTITY_BITS: u16 = 128;

/// A key that is loaded.
pub(crate) struct Loaded {
    pub(crate) id: Vec<u8>,
    pub(crate) handle: KeyHandle,
}

/// What the TPM makes a key of whenever it is not loaded.
#[derive(Clone)]
pub(crate) enum Source {
    /// A file of the key directory.
    File(Wrapped),
    /// Its endorsement seed: the IDevID.
    Seed {
        /// What the key is.
        info: KeyInfo,
        /// What the TPM has to make of it.
        public: Public,
    },
}

impl Source {
    fn info(&self) -> &KeyInfo {
        match self {
            Self::File(Wrapped { info, .. }) | Self::Seed { info, .. } => info,
        }
    }

    pub(crate) fn public(&self) -> &Public {
        match self {
            Self::File(Wrapped { public, .. }) | Self::Seed { public, .. } => public,
        }
    }

    /// The handle of the key in the TPM.
    pub(crate) fn load(&self, connection: &mut Connection) -> Result<KeyHandle, Failure> {
        match self {
            Self::File(wrapped) => load(connection, wrapped),
            Self::Seed { public, .. } => idevid::load(connection, public),
        }
    }
}

/// An open key.
pub(crate) struct TpmKey {
    tpm: Arc<Tpm>,
    source: Source,
}

impl TpmKey {
    /// Opens a key and has it sign once: a TPM may have an algorithm's name and not its rule.
    pub(crate) fn open(tpm: Arc<Tpm>, source: Source) -> Result<Self, KeyError> {
        let key = Self { tpm, source };
        let message: [u8; 32] = rand::random();
        let message = Message::Digest(&message);
        let signature = sign(&key.tpm, &key.source, key.digest(message))?;
        let job = [VerifyJob { key: key.public_key(), message, signature: &signature.0 }];
        let mut verdict = [Verdict::Invalid];
        let checked = dolmen_accel_library::baseline().verify(key.algorithm(), &job, &mut verdict);
        if checked.is_err() || !verdict[0].is_valid() {
            return Err(KeyError::SelfTest {
                device: format!("the TPM {}", key.tpm.tcti()),
                uri: key.uri().clone(),
                reason: format!(
                    "its signature does not hold as {}; the file names another public key, or this TPM does not sign so: \
                     make a key of another algorithm",
                    key.algorithm()
                ),
            });
        }
        Ok(key)
    }

    /// What the TPM signs for a message.
    fn digest(&self, message: Message<'_>) -> [u8; 32] {
        match (message, self.algorithm()) {
            (Message::Digest(digest), _) => *digest,
            (Message::Bytes(bytes), Algorithm::Sm2) => sm2_digest(self.public_key(), bytes),
            (Message::Bytes(bytes), _) => Sha256::digest(bytes).into(),
        }
    }
}

/// `e = SM3(Z || M)` (GB/T 32918.2-2016 §5.5, §6.1).
fn sm2_digest(public_key: &[u8], message: &[u8]) -> [u8; 32] {
    use sm3::{Digest as _, Sm3};
    let identity = Sm3::new_with_prefix(SM2_IDENTITY_BITS.to_be_bytes()).chain_update(SM2_IDENTITY);
    let z = identity.chain_update(SM2_CURVE).chain_update(public_key).finalize();
    Sm3::new_with_prefix(z).chain_update(message).finalize().into()
}

/// `a`, `b` and the coordinates of the base point of SM2's curve (GB/T 32918.5-2017 §A.2).
const SM2_CURVE: [u8; 128] = match const_hex::const_decode_to_array(
    b"FFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC\
      28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93\
      32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7\
      BC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0",
) {
    Ok(bytes) => bytes,
    Err(_) => panic!("these are hexadecimal digits"),
};

fn sign(tpm: &Tpm, source: &Source, digest: [u8; 32]) -> Result<Signature, KeyError> {
    tpm.run("sign", |connection| {
        let key = source.load(connection)?;
        let digest = Digest::try_from(digest.to_vec())?;
        let signature = connection.context.execute_with_session(Some(AuthSession::Password), |context| {
            context.sign(key, digest, SignatureScheme::Null, no_ticket())
        })?;
        Ok(Signature(concatenated(&signature)?))
    })
}

/// The handle of a key in the TPM, which is told what the key may sign for.
fn load(connection: &mut Connection, wrapped: &Wrapped) -> Result<KeyHandle, Failure> {
    // All that makes the key: another file with the same public area is another key until the TPM says otherwise.
    let auth = Wrapped::auth(wrapped.spec());
    let id = [&wrapped.public.marshall()?[..], wrapped.private.value(), auth.value()].concat();
    connection.loaded(&id, |connection| {
        let handle = connection.with_storage_root(|connection, root| {
            let (private, public) = (wrapped.private.clone(), wrapped.public.clone());
            Ok(connection.context.execute_with_nullauth_session(|context| context.load(root, private, public))?)
        })?;
        connection.context.tr_set_auth(handle.into(), auth)?;
        Ok(handle)
    })
}

/// `x || y` of a public area; none if it is no such key.
pub(crate) fn point(public: &Public) -> Option<[u8; 64]> {
    let Public::Ecc { unique, .. } = public else { return None };
    joined(unique.x().value(), unique.y().value())
}

/// `r || s`.
fn concatenated(signature: &TpmSignature) -> Result<[u8; 64], Failure> {
    let (TpmSignature::EcDsa(pair) | TpmSignature::Sm2(pair)) = signature else {
        return Err(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm).into());
    };
    joined(pair.signature_r().value(), pair.signature_s().value())
        .ok_or_else(|| tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm).into())
}

/// Two numbers of 32 bytes, whose leading zeros the TPM may leave away.
fn joined(first: &[u8], second: &[u8]) -> Option<[u8; 64]> {
    let mut both = [0; 64];
    both[32_usize.checked_sub(first.len())?..32].copy_from_slice(first);
    both[64_usize.checked_sub(second.len()).filter(|at| *at >= 32)?..].copy_from_slice(second);
    Some(both)
}

/// The digest was not made by the TPM, which matters to restricted keys alone.
fn no_ticket() -> HashcheckTicket {
    TPMT_TK_HASHCHECK { tag: TPM2_ST_HASHCHECK, hierarchy: TPM2_RH_NULL, digest: Default::default() }
        .try_into()
        .expect("the null ticket of TPM 2.0 Library, Part 2 §10.7.2")
}

impl fmt::Debug for TpmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TpmKey").field("info", self.source.info()).finish_non_exhaustive()
    }
}

impl Signer for TpmKey {
    fn uri(&self) -> &KeyUri {
        &self.source.info().uri
    }

    fn algorithm(&self) -> Algorithm {
        self.source.info().algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.source.info().public_key
    }

    fn domains(&self) -> Domains {
        self.source.info().domains
    }

    fn residence(&self) -> Residence {
        Residence::Device
    }

    fn sign<'a>(&'a self, domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        Box::pin(async move {
            self.domains().check(self.uri(), domain)?;
            let (tpm, source, digest) = (self.tpm.clone(), self.source.clone(), self.digest(message));
            let device = self.tpm.tcti().to_string();
            self.tpm.worker().run(&device, move || sign(&tpm, &source, digest)).await
        })
    }

    fn attest<'a>(&'a self, nonce: &'a [u8]) -> BoxFuture<'a, Result<Option<Attestation>, KeyError>> {
        Box::pin(async move {
            let (tpm, source, nonce) = (self.tpm.clone(), self.source.clone(), nonce.to_vec());
            let device = self.tpm.tcti().to_string();
            self.tpm.worker().run(&device, move || evidence::certify(&tpm, &source, &nonce).map(Some)).await
        })
    }
}
