//! Certificates by which makers vouch for the endorsement keys of their TPMs.

use openssl::{
    error::ErrorStack,
    pkey::PKey,
    stack::Stack,
    x509::{
        X509, X509StoreContext, X509VerifyResult,
        store::X509StoreBuilder,
        verify::{X509VerifyFlags, X509VerifyParam},
    },
};

use crate::{
    EvidenceError, HashAlgorithm, Public, der,
    limits::{CERTIFICATE_BYTES_MAX, CHAIN_DEPTH_MAX, INTERMEDIATES_MAX},
};

const WHAT: &str = "a certificate";
/// Contents of object identifiers: `id-ce-extKeyUsage` and `id-ce-subjectAltName` of RFC 5280, then those of the EK
/// Credential Profile: `tcg-kp-EKCertificate` (2.23.133.8.1), and the maker (2.23.133.2.1), model (.2) and version
/// (.3).
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const EK_CERTIFICATE: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];
const TPM_MANUFACTURER: &[u8] = &[0x67, 0x81, 0x05, 0x02, 0x01];
const TPM_MODEL: &[u8] = &[0x67, 0x81, 0x05, 0x02, 0x02];
const TPM_VERSION: &[u8] = &[0x67, 0x81, 0x05, 0x02, 0x03];
/// OpenSSL's security level for signatures and keys of a chain: 112 bits, without SHA-1 and RSA-1024.
const SECURITY_LEVEL: i32 = 2;

/// The time by which certificates have to be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// None: the clock is not to be trusted, or the box is older than its TPM's certificate.
    Any,
    /// Seconds since 1970.
    At(i64),
}

/// A certificate that a trusted maker gave to an endorsement key.
///
/// It says nothing about who sent it: that takes [`make_credential`](crate::make_credential) for the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EkCertificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// SHA-256 of it.
    pub fingerprint: Vec<u8>,
    /// The key: a `SubjectPublicKeyInfo`, DER.
    pub public_key: Vec<u8>,
    /// The TPM's maker as the certificate has it: `id:` and four characters' hexadecimal digits.
    pub manufacturer: Option<String>,
    /// The TPM's model.
    pub model: Option<String>,
    /// The TPM's version.
    pub version: Option<String>,
}

impl EkCertificate {
    /// Says that it is this key's.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::CertificateKey`] if it is another's.
    pub fn matches(&self, ek: &Public) -> Result<(), EvidenceError> {
        let certified = PKey::public_key_from_der(&self.public_key).map_err(EvidenceError::Key)?;
        let key = ek.key().to_openssl()?;
        if certified.public_eq(&key) { Ok(()) } else { Err(EvidenceError::CertificateKey) }
    }
}

/// Says that one of `roots` vouches for an endorsement key, by a chain of certificates that may have `intermediates` in
/// it. All are DER.
///
/// A root is what is trusted, whoever signed it: it may be a maker's intermediate, or the certificate of one TPM.
/// Padding after the certificate is left out, since TPMs keep it so in their memory: zero or `0xff` bytes.
///
/// # Errors
///
/// [`EvidenceError::Chain`] if no root vouches for it, [`EvidenceError::CertificateUsage`] if it says that it is for
/// something else, and whatever is wrong with the bytes.
pub fn check_ek_certificate(
    der: &[u8],
    roots: &[&[u8]],
    intermediates: &[&[u8]],
    moment: Moment,
) -> Result<EkCertificate, EvidenceError> {
    let der = unpadded(der)?;
    let certificate = parse(der)?;
    if intermediates.len() > INTERMEDIATES_MAX {
        let (what, found) = ("a chain of certificates", intermediates.len());
        return Err(EvidenceError::TooLong { what, found, limit: INTERMEDIATES_MAX });
    }
    let roots = roots.iter().map(|root| parse(root)).collect::<Result<Vec<_>, _>>()?;
    let intermediates = intermediates.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
    let verdict = chain(&certificate, roots, intermediates, moment);
    // OpenSSL leaves errors behind that the next caller would take for its own.
    let _ = ErrorStack::get();
    if let Some((result, depth)) = verdict.map_err(EvidenceError::openssl("check a certificate's chain"))? {
        return Err(EvidenceError::Chain { reason: result.error_string(), depth });
    }
    let extensions = der::extensions(der).ok_or_else(|| EvidenceError::malformed(WHAT, "it is not in DER"))?;
    for (_, usage) in extensions.iter().filter(|(id, _)| *id == EXTENDED_KEY_USAGE) {
        let usages = der::identifiers(usage).ok_or_else(|| EvidenceError::malformed(WHAT, "its extended key usage"))?;
        if !usages.contains(&EK_CERTIFICATE) {
            return Err(EvidenceError::CertificateUsage);
        }
    }
    let public_key = certificate.public_key().and_then(|key| key.public_key_to_der()).map_err(EvidenceError::Key)?;
    let names = extensions.iter().find(|(id, _)| *id == SUBJECT_ALT_NAME).map(|(_, names)| *names);
    let attributes = names.and_then(der::directory_attributes).unwrap_or_default();
    let attribute = |id: &[u8]| {
        let value = attributes.iter().find(|(found, _)| *found == id)?.1;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    Ok(EkCertificate {
        der: der.to_vec(),
        fingerprint: HashAlgorithm::Sha256.digest(&[der]),
        public_key,
        manufacturer: attribute(TPM_MANUFACTURER),
        model: attribute(TPM_MODEL),
        version: attribute(TPM_VERSION),
    })
}

/// The certificate without what pads it.
fn unpadded(der: &[u8]) -> Result<&[u8], EvidenceError> {
    bound(der)?;
    let (_, _, rest) = der::element(der).ok_or(EvidenceError::Truncated { what: WHAT })?;
    if !(rest.iter().all(|byte| *byte == 0) || rest.iter().all(|byte| *byte == 0xff)) {
        return Err(EvidenceError::Trailing { what: WHAT, bytes: rest.len() });
    }
    Ok(&der[..der.len() - rest.len()])
}

fn parse(der: &[u8]) -> Result<X509, EvidenceError> {
    bound(der)?;
    X509::from_der(der).map_err(|error| EvidenceError::malformed(WHAT, error.to_string()))
}

fn bound(der: &[u8]) -> Result<(), EvidenceError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(EvidenceError::TooLong { what: WHAT, found: der.len(), limit: CERTIFICATE_BYTES_MAX });
    }
    Ok(())
}

/// None if there is a chain, else what is wrong and with which of its certificates.
fn chain(
    certificate: &X509,
    roots: Vec<X509>,
    intermediates: Vec<X509>,
    moment: Moment,
) -> Result<Option<(X509VerifyResult, u32)>, ErrorStack> {
    let mut param = X509VerifyParam::new()?;
    param.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    param.set_depth(CHAIN_DEPTH_MAX);
    param.set_auth_level(SECURITY_LEVEL);
    match moment {
        Moment::Any => param.set_flags(X509VerifyFlags::NO_CHECK_TIME)?,
        Moment::At(seconds) => param.set_time(seconds),
    }
    let mut store = X509StoreBuilder::new()?;
    store.set_param(&param)?;
    for root in roots {
        store.add_cert(root)?;
    }
    let store = store.build();
    let mut chain = Stack::new()?;
    for intermediate in intermediates {
        chain.push(intermediate)?;
    }
    X509StoreContext::new()?.init(&store, certificate, &chain, |context| {
        let holds = context.verify_cert()?;
        Ok((!holds).then(|| (context.error(), context.error_depth())))
    })
}
