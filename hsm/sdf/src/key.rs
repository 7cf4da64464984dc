//! A key that signs.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use dolmen_accel_api::{BatchVerifier as _, Verdict, VerifyJob};
use dolmen_accel_library::Peer;
use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeyUri, Message, Residence, Signature, Signer};
use futures::future::BoxFuture;

use crate::{access::Access, driver::Connection, sm2};

/// Checks what a device signs, with no code of the device's maker.
static VERIFIER: LazyLock<Peer> = LazyLock::new(dolmen_accel_library::baseline);

/// What keys of such devices may sign for: they carry no uses, the configuration that names one says what it is for.
pub(crate) fn domains() -> Domains {
    Domain::ALL.into_iter().collect()
}

/// An open key.
pub(crate) struct SdfSigner(Arc<Key>);

/// What the threads that sign need of it.
struct Key {
    connection: Connection,
    access: Access,
    public_key: [u8; 64],
    z: [u8; 32],
}

impl SdfSigner {
    /// Opens a key, with the password, and has it sign something.
    pub(crate) fn open(connection: Connection, access: Access) -> Result<Self, KeyError> {
        let driver = connection.driver();
        let public_key = driver.run(|pooled| access.grant(driver, pooled, None))?;
        let key = Key { connection, access, public_key, z: sm2::z(&public_key) };
        key.test()?;
        Ok(Self(Arc::new(key)))
    }
}

impl Key {
    /// Signs; blocks.
    fn sign(&self, e: &[u8; 32]) -> Result<Signature, KeyError> {
        let driver = self.connection.driver();
        driver.run(|pooled| {
            // A session that was opened since has to show that the key is still the same.
            if !pooled.has_right(self.access.index, &self.public_key) {
                self.access.grant(driver, pooled, Some(&self.public_key))?;
            }
            let signed = pooled.session.sign(self.access.index, e);
            signed.map(Signature).map_err(|error| self.access.failure(driver, "sign", &error))
        })
    }

    /// Whether the device signs as SM2 has it, and with the key whose public half it gave.
    fn test(&self) -> Result<(), KeyError> {
        let message: [u8; 32] = rand::random();
        let signature = self.sign(&sm2::e(&self.z, &message))?;
        let failed = |reason: String| KeyError::SelfTest {
            device: self.connection.driver().name().to_owned(),
            uri: self.access.uri.clone(),
            reason,
        };
        let job = VerifyJob { key: &self.public_key, message: Message::Bytes(&message), signature: &signature.0 };
        let mut verdict = [Verdict::Invalid];
        VERIFIER.verify(Algorithm::Sm2, &[job], &mut verdict).map_err(|error| failed(error.to_string()))?;
        if verdict[0].is_valid() {
            return Ok(());
        }
        let reason = "its signature does not hold under GB/T 32918; it is no SM2 key, or the device is broken: ask its \
                      maker, and use another key";
        Err(failed(reason.into()))
    }
}

impl fmt::Debug for SdfSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { connection, access, .. } = &*self.0;
        f.debug_struct("SdfSigner").field("uri", &access.uri).field("connection", connection).finish_non_exhaustive()
    }
}

impl Signer for SdfSigner {
    fn uri(&self) -> &KeyUri {
        &self.0.access.uri
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Sm2
    }

    fn public_key(&self) -> &[u8] {
        &self.0.public_key
    }

    fn domains(&self) -> Domains {
        domains()
    }

    fn sign<'a>(&'a self, _domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        Box::pin(async move {
            let e = match message {
                Message::Digest(e) => *e,
                Message::Bytes(bytes) => sm2::e(&self.0.z, bytes),
            };
            let key = Arc::clone(&self.0);
            let answer = self.0.connection.submit(move || key.sign(&e))?;
            let ended = |_| self.0.connection.busy("the thread that signs ended; start the box again".into());
            answer.await.map_err(ended)?
        })
    }

    fn residence(&self) -> Residence {
        Residence::Device
    }
}
