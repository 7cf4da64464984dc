//! Building and checking a path with OpenSSL.

use openssl::{
    error::ErrorStack,
    stack::Stack,
    x509::{
        X509, X509StoreContext, X509StoreContextRef, X509VerifyResult,
        store::{X509Store, X509StoreBuilder},
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};

use super::{ChainError, When, Which};
use crate::{Certificate, limits::INTERMEDIATES_MAX};

/// OpenSSL's level of security for signatures and keys of a path: 112 bits, without SHA-1 and RSA-1024.
const SECURITY_LEVEL: i32 = 2;

/// Reasons of OpenSSL's (`x509_vfy.h`), whose numbers never change.
const UNABLE_TO_GET_ISSUER_CERT: i32 = 2;
const CERT_SIGNATURE_FAILURE: i32 = 7;
const CERT_NOT_YET_VALID: i32 = 9;
const CERT_HAS_EXPIRED: i32 = 10;
const DEPTH_ZERO_SELF_SIGNED_CERT: i32 = 18;
const SELF_SIGNED_CERT_IN_CHAIN: i32 = 19;
const UNABLE_TO_GET_ISSUER_CERT_LOCALLY: i32 = 20;
const UNABLE_TO_VERIFY_LEAF_SIGNATURE: i32 = 21;
const CERT_CHAIN_TOO_LONG: i32 = 22;
const PATH_LENGTH_EXCEEDED: i32 = 25;
const KEYUSAGE_NO_CERTSIGN: i32 = 32;
const UNHANDLED_CRITICAL_EXTENSION: i32 = 34;
const INVALID_CA: i32 = 79;

/// What OpenSSL says: the path, or the reason and where.
enum Verdict {
    Path(Vec<X509>),
    Reason { reason: X509VerifyResult, depth: usize, certificate: Option<X509> },
}

/// The path from a certificate to the first that is a root.
pub(super) fn build(
    certificate: &Certificate,
    others: &[Certificate],
    roots: &[Certificate],
    when: When,
) -> Result<Vec<Certificate>, ChainError> {
    // What is trusted itself needs nobody, whoever else vouches for it. OpenSSL would go on to others.
    let itself = roots.contains(certificate).then(|| std::slice::from_ref(certificate));
    let (others, roots) = itself.map_or((others, roots), |itself| (&[][..], itself));
    let verdict = verdict(certificate, others, roots, when);
    // OpenSSL leaves errors behind that the next caller would take for its own.
    let _ = ErrorStack::get();
    let failed = |source| ChainError::OpenSsl { which: Which::of(0, certificate), source };
    match verdict.map_err(failed)? {
        Verdict::Path(path) => {
            let path: Result<Vec<_>, _> = path.iter().map(|x509| known(x509, certificate)).collect();
            let mut path = path?;
            let end = path.iter().position(|one| roots.contains(one));
            path.truncate(end.ok_or_else(|| ChainError::Untrusted(Which::of(0, certificate)))? + 1);
            Ok(path)
        }
        Verdict::Reason { reason, depth, certificate: x509 } => {
            let about = x509.map(|x509| known(&x509, certificate)).transpose()?;
            Err(refusal(reason, depth, about.as_ref().unwrap_or(certificate)))
        }
    }
}

/// One of those that OpenSSL was given.
fn known(x509: &X509, first: &Certificate) -> Result<Certificate, ChainError> {
    let which = || Which::of(0, first);
    let der = x509.to_der().map_err(|source| ChainError::OpenSsl { which: which(), source })?;
    Certificate::from_der(&der).map_err(|error| ChainError::Refused { which: which(), reason: error.to_string() })
}

fn verdict(
    certificate: &Certificate,
    others: &[Certificate],
    roots: &[Certificate],
    when: When,
) -> Result<Verdict, ErrorStack> {
    let store = store(roots, when)?;
    let mut chain = Stack::new()?;
    for other in others {
        chain.push(other.x509().clone())?;
    }
    X509StoreContext::new()?.init(&store, certificate.x509(), &chain, judge)
}

fn store(roots: &[Certificate], when: When) -> Result<X509Store, ErrorStack> {
    let mut param = X509VerifyParam::new()?;
    // A root that another issued ends a path too.
    let flags = X509VerifyFlags::PARTIAL_CHAIN | X509VerifyFlags::X509_STRICT;
    match when {
        When::At(now) => {
            param.set_flags(flags)?;
            param.set_time(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        }
        When::Never => param.set_flags(flags | X509VerifyFlags::NO_CHECK_TIME)?,
    }
    param.set_depth(i32::try_from(INTERMEDIATES_MAX).unwrap_or(0));
    param.set_auth_level(SECURITY_LEVEL);
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&param)?;
    for root in roots {
        store.add_cert(root.x509().clone())?;
    }
    Ok(store.build())
}

fn judge(context: &mut X509StoreContextRef) -> Result<Verdict, ErrorStack> {
    let good = context.verify_cert()?;
    let reason = context.error();
    if good && reason == X509VerifyResult::OK {
        let path = context.chain().into_iter().flatten().map(ToOwned::to_owned);
        return Ok(Verdict::Path(path.collect()));
    }
    let certificate = context.current_cert().map(ToOwned::to_owned);
    let depth = usize::try_from(context.error_depth()).unwrap_or(0);
    Ok(Verdict::Reason { reason, depth, certificate })
}

fn refusal(reason: X509VerifyResult, depth: usize, certificate: &Certificate) -> ChainError {
    let which = Which::of(depth, certificate);
    let validity = certificate.validity();
    match reason.as_raw() {
        CERT_HAS_EXPIRED => ChainError::Expired { which, end: validity.not_after() },
        CERT_NOT_YET_VALID => ChainError::NotYetValid { which, begin: validity.not_before() },
        CERT_SIGNATURE_FAILURE => ChainError::Signature(which),
        UNABLE_TO_GET_ISSUER_CERT
        | DEPTH_ZERO_SELF_SIGNED_CERT
        | SELF_SIGNED_CERT_IN_CHAIN
        | UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        | UNABLE_TO_VERIFY_LEAF_SIGNATURE => ChainError::Untrusted(which),
        INVALID_CA | KEYUSAGE_NO_CERTSIGN => ChainError::NotAuthority(which),
        PATH_LENGTH_EXCEEDED => ChainError::PathLength(which),
        CERT_CHAIN_TOO_LONG => ChainError::TooLong(which),
        UNHANDLED_CRITICAL_EXTENSION => ChainError::CriticalExtension(which),
        _ => ChainError::Refused { which, reason: reason.error_string().to_owned() },
    }
}
