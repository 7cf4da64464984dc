//! The keys that everybody has, by their public parts.

use std::sync::LazyLock;

use openssl::{pkey::PKey, x509::X509};
use sha2::{Digest as _, Sha256};

const CERTIFICATES: [&[u8]; 4] = [
    include_bytes!("../../../keys/test/masa.pem"),
    include_bytes!("../../../keys/test/pk.crt"),
    include_bytes!("../../../keys/test/kek.crt"),
    include_bytes!("../../../keys/test/db.crt"),
];
const KEYS: [&[u8]; 2] =
    [include_bytes!("../../../keys/test/pcr.pub"), include_bytes!("../../../keys/test/release.pem")];

/// SHA-256 of each one's `SubjectPublicKeyInfo`.
static FINGERPRINTS: LazyLock<Vec<[u8; 32]>> = LazyLock::new(|| {
    let certificates = CERTIFICATES.iter().map(|pem| X509::from_pem(pem)?.public_key()?.public_key_to_der());
    let keys = KEYS.iter().map(|pem| PKey::public_key_from_pem(pem)?.public_key_to_der());
    let ders = certificates.chain(keys).map(|der| der.expect("the test keys are keys"));
    ders.map(|der| Sha256::digest(der).into()).collect()
});

/// Whether this is the SHA-256 of the public part of one of them.
pub(super) fn is_test_key(fingerprint: &[u8; 32]) -> bool {
    FINGERPRINTS.contains(fingerprint)
}
