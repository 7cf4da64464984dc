//! An open key.

use std::{fmt, path::PathBuf, sync::Arc};

use cryptoki::{object::ObjectHandle, session::Session};
use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeyUri, Message, Residence, Signature, Signer};
use futures::{channel::oneshot, future::BoxFuture};
use parking_lot::Mutex;

use crate::{
    check::check,
    errors::Fault,
    objects::{self, Name},
    scheme::{Input, STORE, Scheme},
    token::Token,
};

/// A key that a token signs with.
pub(crate) struct TokenKey(Arc<Inner>);

/// What a thread of the token needs of a key.
pub(crate) struct Inner {
    pub(crate) uri: KeyUri,
    pub(crate) name: Name,
    pub(crate) scheme: Scheme,
    pub(crate) public_key: Vec<u8>,
    pub(crate) domains: Domains,
    pub(crate) token: Arc<Token>,
    pub(crate) pin_source: Option<PathBuf>,
    /// The private key's handle, and the generation of sessions that it is good in.
    pub(crate) handle: Mutex<Option<(u64, ObjectHandle)>>,
}

impl TokenKey {
    /// Opens a key, if the device signs with it as its algorithm says.
    pub(crate) fn open(inner: Inner) -> Result<Self, KeyError> {
        let challenge: [u8; 32] = rand::random();
        let input = inner.scheme.input(&inner.public_key, Message::Bytes(&challenge));
        // A handle that has not signed yet is tried by its first signature.
        inner.sign(&input.expect("bytes can be signed by every algorithm"))?;
        Ok(Self(Arc::new(inner)))
    }
}

impl Inner {
    /// Signs, and waits for the device.
    fn sign(&self, input: &Input) -> Result<Signature, KeyError> {
        self.token.run(self.pin_source.as_deref(), "sign", |session, generation| {
            let known = *self.handle.lock();
            let known = known.filter(|(good_in, _)| *good_in == generation);
            let handle = known.map_or_else(|| self.find(session), |(_, handle)| Ok(handle))?;
            let signature = self.scheme.sign(session, handle, input)?;
            if known.is_none() {
                check(self.scheme, &self.public_key, input, &signature).map_err(|reason| self.failed(reason))?;
                *self.handle.lock() = Some((generation, handle));
            }
            Ok(signature)
        })
    }

    /// Finds the private key, which must still be the same one.
    fn find(&self, session: &Session) -> Result<ObjectHandle, Fault> {
        let found = objects::find(session, &self.uri, &self.name)?;
        if found.algorithm != self.scheme.algorithm() || found.public_key != self.public_key {
            let reason = "another key has its name now; open that one if it may take its place";
            return Err(self.failed(reason.to_owned()).into());
        }
        Ok(found.private)
    }

    fn failed(&self, reason: String) -> KeyError {
        KeyError::SelfTest { device: self.token.device(), uri: self.uri.clone(), reason }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("uri", &self.0.uri)
            .field("algorithm", &self.0.scheme.algorithm())
            .finish_non_exhaustive()
    }
}

impl Signer for TokenKey {
    fn uri(&self) -> &KeyUri {
        &self.0.uri
    }

    fn algorithm(&self) -> Algorithm {
        self.0.scheme.algorithm()
    }

    fn public_key(&self) -> &[u8] {
        &self.0.public_key
    }

    fn domains(&self) -> Domains {
        self.0.domains
    }

    fn residence(&self) -> Residence {
        Residence::Device
    }

    fn sign<'a>(&'a self, domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        Box::pin(async move {
            let key = &self.0;
            key.domains.check(&key.uri, domain)?;
            let input = key.scheme.input(&key.public_key, message).ok_or(KeyError::Unsupported {
                store: STORE,
                operation: "sign a digest by SM2 with a mechanism that hashes the message itself",
                next: "set a mechanism that takes digests, if the device has one",
            })?;
            let (reply, answer) = oneshot::channel();
            let worker = Arc::clone(key);
            let job = move || {
                // Whoever asked may have given up while it waited.
                if !reply.is_canceled() {
                    let signed = worker.sign(&input);
                    // Let go before anyone hears of it: this may be the last use of the token, which then logs out.
                    drop(worker);
                    let _ = reply.send(signed);
                }
            };
            key.token.submit(Box::new(job)).map_err(|reason| KeyError::Device {
                device: key.token.device(),
                operation: "sign",
                reason,
            })?;
            answer.await.unwrap_or_else(|_| Err(KeyError::Failed(key.uri.clone())))
        })
    }
}
