//! Saying that somebody trusted signed an image.

use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509, X509StoreContext,
        store::X509StoreBuilder,
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};

use super::{AuthenticodeError, Signature, signatures};
use crate::{
    limits::{CERTIFICATE_BYTES_MAX, CHAIN_DEPTH_MAX},
    pe::Image,
};

/// OpenSSL's level of security for signatures and keys of a chain: 112 bits, without SHA-1 and RSA-1024.
const SECURITY_LEVEL: i32 = 2;

/// An image that a trusted certificate vouches for.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Which of the trusted certificates: the first that does.
    pub authority: usize,
    /// The signature.
    pub signature: Signature,
}

/// Says that one of `trusted` (certificates in DER) vouches for an image, in the way of firmware: the first of the
/// image's signatures that one of them made, or whose signer's certificate it issued, counts.
///
/// What firmware does not look at is not looked at here: validity periods, the signing time, and what certificates are
/// for. Unlike firmware this knows no `dbx`; where that is in use, ask whether it has the image or the certificate.
///
/// # Errors
///
/// [`AuthenticodeError::Unsigned`], [`AuthenticodeError::Digest`] if all signatures are about other images,
/// [`AuthenticodeError::Untrusted`], and what [`signatures`] finds wrong.
pub fn verify(image: &Image<'_>, trusted: &[&[u8]]) -> Result<Verified, AuthenticodeError> {
    let signatures = signatures(image)?;
    if signatures.is_empty() {
        return Err(AuthenticodeError::Unsigned);
    }
    let trusted = trusted.iter().map(|der| read(der)).collect::<Result<Vec<_>, _>>()?;
    let digest = image.digest();
    let mut matching = signatures.into_iter().filter(|signature| *signature.digest() == digest).peekable();
    if matching.peek().is_none() {
        return Err(AuthenticodeError::Digest);
    }
    for signature in matching {
        let signer = read(signature.certificate())?;
        let others = signature.other_certificates().map(read).collect::<Result<Vec<_>, _>>()?;
        for (authority, root) in trusted.iter().enumerate() {
            let operation = "check a certificate's chain";
            let verdict = vouches(root, &signer, &others);
            if verdict.map_err(|source| AuthenticodeError::OpenSsl { operation, source })? {
                return Ok(Verified { authority, signature });
            }
        }
    }
    Err(AuthenticodeError::Untrusted)
}

fn read(der: &[u8]) -> Result<X509, AuthenticodeError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(AuthenticodeError::Certificate);
    }
    X509::from_der(der).map_err(|_| AuthenticodeError::Certificate)
}

/// Whether there is a chain from `root`, whoever signed it, to `certificate`.
fn vouches(root: &X509, certificate: &X509, others: &[X509]) -> Result<bool, ErrorStack> {
    let mut param = X509VerifyParam::new()?;
    param.set_flags(X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::NO_CHECK_TIME)?;
    param.set_depth(CHAIN_DEPTH_MAX);
    param.set_auth_level(SECURITY_LEVEL);
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&param)?;
    store.add_cert(root.clone())?;
    let store = store.build();
    let mut chain = Stack::new()?;
    for other in others {
        chain.push(other.clone())?;
    }
    let verdict = X509StoreContext::new()?.init(&store, certificate, &chain, |context| context.verify_cert());
    // OpenSSL leaves errors behind that the next caller would take for its own.
    let _ = ErrorStack::get();
    verdict
}
