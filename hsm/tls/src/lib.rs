//! Keys of any store as TLS and certificates sign with them: rustls asks for a signature, and the key gives it, wherever
//! it lives. P-256 and Ed25519 are what TLS 1.3 has of the algorithms that keys have here.
//!
//! A device takes its time. Signatures are waited for on the thread that asks, which the runtime is told of: so this is
//! for tokio's runtimes of several threads.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, Domain, KeyError, KeyUri, Message, Signer};
use futures::executor::block_on;
use openssl::{bn::BigNum, ecdsa::EcdsaSig, error::ErrorStack};
use rustls::{
    SignatureAlgorithm, SignatureScheme,
    client::ResolvesClientCert,
    pki_types::CertificateDer,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};

/// Why a key is none of TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsKeyError {
    /// Another algorithm.
    #[error("the key {uri} is of {algorithm}; TLS has p256, and ed25519 for other clients than browsers")]
    Algorithm {
        /// The key.
        uri: KeyUri,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// A key for something else.
    #[error("the key is not for TLS; one is made with --for tls,certificate")]
    Domain(#[source] KeyError),
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key did not sign.
    #[error("the key does not sign; look at its device")]
    Key(#[source] KeyError),
    /// OpenSSL failed, for want of memory.
    #[error("the signature cannot be written")]
    OpenSsl(#[source] ErrorStack),
}

/// A key in the forms that certificates and TLS have.
#[derive(Clone, Debug)]
pub struct TlsKey {
    signer: Arc<dyn Signer>,
    scheme: SignatureScheme,
}

impl TlsKey {
    /// Of a key that may sign for TLS.
    ///
    /// # Errors
    ///
    /// [`TlsKeyError`].
    pub fn new(signer: Arc<dyn Signer>) -> Result<Self, TlsKeyError> {
        signer.domains().check(signer.uri(), Domain::Tls).map_err(TlsKeyError::Domain)?;
        let scheme = match signer.algorithm() {
            Algorithm::EcdsaP256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            Algorithm::Ed25519 => SignatureScheme::ED25519,
            algorithm => return Err(TlsKeyError::Algorithm { uri: signer.uri().clone(), algorithm }),
        };
        Ok(Self { signer, scheme })
    }

    /// The key's name.
    #[must_use]
    pub fn uri(&self) -> &KeyUri {
        self.signer.uri()
    }

    /// Whether it is an Ed25519 key, else it is of P-256.
    #[must_use]
    pub fn is_ed25519(&self) -> bool {
        self.scheme == SignatureScheme::ED25519
    }

    /// The public key as it stands in a certificate (RFC 5480 §2.2, uncompressed; RFC 8410 §4).
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        let public = self.signer.public_key();
        if self.is_ed25519() { public.to_vec() } else { [&[4], public].concat() }
    }

    /// A signature as certificates and TLS have it (RFC 5480 §2.1, RFC 8410 §6).
    ///
    /// # Errors
    ///
    /// [`SignError`].
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let sign = || block_on(self.signer.sign(domain, Message::Bytes(message)));
        let signature = tokio::task::block_in_place(sign).map_err(SignError::Key)?;
        if self.is_ed25519() {
            return Ok(signature.0.to_vec());
        }
        let (r, s) = signature.0.split_at(32);
        let pair = BigNum::from_slice(r).and_then(|r| EcdsaSig::from_private_components(r, BigNum::from_slice(s)?));
        pair.and_then(|pair| pair.to_der()).map_err(SignError::OpenSsl)
    }
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        offered.contains(&self.scheme).then(|| Box::new(self.clone()) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        if self.is_ed25519() { SignatureAlgorithm::ED25519 } else { SignatureAlgorithm::ECDSA }
    }
}

impl rustls::sign::Signer for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Self::sign(self, Domain::Tls, message).map_err(|error| {
            tracing::error!(key = %self.uri(), %error, "a TLS connection cannot be made");
            rustls::Error::General(error.to_string())
        })
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// A key with its certificate and those above it: what one end of a connection shows, whatever the other asks for.
#[derive(Clone, Debug)]
pub struct Identity(Arc<CertifiedKey>);

impl Identity {
    /// Of certificates in DER, the key's first. That it is the key's is for the caller to know: the other end finds out.
    #[must_use]
    pub fn new(key: TlsKey, chain: Vec<Vec<u8>>) -> Self {
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        Self(Arc::new(CertifiedKey::new(chain, Arc::new(key))))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
