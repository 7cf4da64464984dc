//! Keys whose secret is in this process's memory while they are open: those of the stores that encrypt it at rest, under
//! a passphrase or in a TPM that has no such algorithm. It is wiped when the last user lets go.

mod secret;

use std::fmt;

use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeySpec, KeyUri, Message, Residence, Signature, Signer};
use futures::future::BoxFuture;
pub use secret::{Bytes, LENGTH, OFFERED};

use secret::Secret;

/// An open key.
pub struct MemoryKey {
    uri: KeyUri,
    spec: KeySpec,
    public_key: Vec<u8>,
    secret: Secret,
}

impl MemoryKey {
    /// The key that `secret` is; none for bytes that are no secret of this algorithm, and for other algorithms.
    pub fn new(uri: KeyUri, spec: KeySpec, secret: &Bytes) -> Option<Self> {
        let secret = Secret::new(spec.algorithm, secret)?;
        Some(Self { uri, spec, public_key: secret.public_key(), secret })
    }

    /// A new key, and what is to be kept of it; none for algorithms that are not [`OFFERED`].
    pub fn generate(uri: KeyUri, spec: KeySpec) -> Option<(Self, Bytes)> {
        let (secret, bytes) = Secret::generate(spec.algorithm)?;
        Some((Self { uri, spec, public_key: secret.public_key(), secret }, bytes))
    }
}

impl fmt::Debug for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKey").field("uri", &self.uri).field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Signer for MemoryKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    fn algorithm(&self) -> Algorithm {
        self.spec.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn domains(&self) -> Domains {
        self.spec.domains
    }

    fn residence(&self) -> Residence {
        Residence::Memory
    }

    fn sign<'a>(&'a self, domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        Box::pin(async move {
            self.spec.domains.check(&self.uri, domain)?;
            self.secret.sign(message).ok_or_else(|| KeyError::Failed(self.uri.clone()))
        })
    }
}
