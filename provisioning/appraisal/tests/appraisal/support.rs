//! Images, policies and serial numbers of these tests.

use std::collections::BTreeMap;

use dolmen_hsm_evidence::Moment;
use dolmen_image_bundle::{
    Hash, Manifest, ReleaseKey, SecurityVersion, Sign as _, SignedManifest, SigningKey, Version,
};
use dolmen_image_disk::verity::RootHash;
use dolmen_provisioning_appraisal::{Claim, Fresh, Policy, PolicyError, ReferenceValues, Serial};
use dolmen_provisioning_rehearsal as rehearsal;

use crate::measured::{Measured, boot};

const PRIVATE: &str = include_str!("../../../../image/keys/test/release.key");

/// 2033, when the certificates are valid.
pub(crate) const NOW: Moment = Moment::At(2_000_000_000);
pub(crate) const SECRET: [u8; 32] = *b"what only this TPM can read, 32b";
pub(crate) const NONCE: [u8; 32] = *b"a nonce that was never used yet.";

pub(crate) fn fresh() -> Fresh {
    Fresh::new(SECRET.into(), NONCE)
}

pub(crate) fn serial() -> Serial {
    "S4EVNX0M123456".parse().expect("a serial number")
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_pem(PRIVATE).expect("the test key")
}

pub(crate) fn keys() -> [ReleaseKey; 1] {
    [key().public_key()]
}

/// An image that leaves what a boot measured, and whose keys are nobody's.
pub(crate) fn manifest(version: &str, boot: &Measured) -> Manifest {
    let version = version.parse().expect("a version");
    let root_hash = RootHash::from_bytes([0xab; 32]);
    let manifest = rehearsal::manifest(version, root_hash, &key().public_key(), boot).expect("a manifest");
    let security_version = SecurityVersion::new(3).expect("less than 65");
    Manifest { security_version, created: 1_790_000_000, test_keys: false, ..manifest }
}

/// `manifest.json` and `manifest.json.sig`.
pub(crate) fn signed(manifest: Manifest) -> (Vec<u8>, [u8; 64]) {
    let signed = SignedManifest::sign(manifest, &key()).expect("a signature");
    (signed.json().to_vec(), *signed.signature())
}

pub(crate) fn references(manifests: Vec<Manifest>) -> ReferenceValues {
    ReferenceValues::verify(manifests.into_iter().map(signed).collect(), &keys()).expect("releases")
}

/// Values of the image that the tests' boxes run.
pub(crate) fn released() -> ReferenceValues {
    references(vec![manifest("1.2.0", &boot())])
}

pub(crate) fn claim() -> Claim {
    Claim { version: Version::new(1, 2, 0), root_hash: Hash::from_bytes([0xab; 32]) }
}

/// A policy by its lines; a name that is there already is replaced, an empty value leaves it out.
pub(crate) fn try_policy(lines: &[(&str, &str)]) -> Result<Policy, PolicyError> {
    let mut all = BTreeMap::from([("versions", "[\"1.2.0\"]"), ("without-certificate", "true")]);
    all.insert("registered-eks", "{ other = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\" }");
    all.extend(lines.iter().copied());
    let text = all.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} = {value}\n"));
    Policy::parse(&text.collect::<String>())
}

pub(crate) fn policy(lines: &[(&str, &str)]) -> Policy {
    try_policy(lines).unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

/// A value of `ek-roots`.
pub(crate) fn roots(pems: &[String]) -> String {
    let pems: Vec<_> = pems.iter().map(|pem| format!("\"\"\"\n{pem}\"\"\"")).collect();
    format!("[{}]", pems.join(", "))
}
