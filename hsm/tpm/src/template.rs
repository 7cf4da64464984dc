//! What the TPM's objects are made as.

use dolmen_hsm_api::Algorithm;
use tss_esapi::{
    Result,
    attributes::{ObjectAttributes, ObjectAttributesBuilder},
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
    },
    structures::{
        Digest, EccParameter, EccPoint, EccScheme, HashScheme, KeyedHashScheme, Public, PublicBuilder,
        PublicEccParametersBuilder, PublicKeyedHashParameters, SymmetricDefinitionObject,
    },
};

/// Nobody outside this TPM has the secret, and wrong values lock nothing: there is nothing to guess.
fn own() -> ObjectAttributesBuilder {
    ObjectAttributesBuilder::new().with_fixed_tpm(true).with_fixed_parent(true).with_no_da(true)
}

fn ecc(attributes: ObjectAttributes) -> PublicBuilder {
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
}

/// The parent of what the box keeps; the same each time that the TPM makes it, until the TPM is cleared.
pub(crate) fn storage_root() -> Result<Public> {
    let attributes =
        own().with_sensitive_data_origin(true).with_user_with_auth(true).with_restricted(true).with_decrypt(true);
    let parameters = PublicEccParametersBuilder::new_restricted_decryption_key(
        SymmetricDefinitionObject::AES_128_CFB,
        EccCurve::NistP256,
    );
    ecc(attributes.build()?)
        .with_ecc_parameters(parameters.build()?)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

/// A key that signs any digest. A TPM without SM3 takes SM2 digests under another hash's name: the digest is ours.
pub(crate) fn signing(algorithm: Algorithm, hash: HashingAlgorithm) -> Result<Public> {
    let attributes = own().with_sensitive_data_origin(true).with_user_with_auth(true).with_sign_encrypt(true);
    let (scheme, curve) = scheme(algorithm, hash);
    ecc(attributes.build()?)
        .with_ecc_parameters(PublicEccParametersBuilder::new_unrestricted_signing_key(scheme, curve).build()?)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}

/// A P-256 key that signs any digest and is made of a hierarchy's seed and a value of its own.
pub(crate) fn primary_signing(unique: EccPoint) -> Result<Public> {
    let attributes = own().with_sensitive_data_origin(true).with_user_with_auth(true).with_sign_encrypt(true);
    let (scheme, curve) = scheme(Algorithm::EcdsaP256, HashingAlgorithm::Sha256);
    ecc(attributes.build()?)
        .with_ecc_parameters(PublicEccParametersBuilder::new_unrestricted_signing_key(scheme, curve).build()?)
        .with_ecc_unique_identifier(unique)
        .build()
}

fn scheme(algorithm: Algorithm, hash: HashingAlgorithm) -> (EccScheme, EccCurve) {
    match algorithm {
        Algorithm::Sm2 => (EccScheme::Sm2(HashScheme::new(hash)), EccCurve::Sm2P256),
        _ => (EccScheme::EcDsa(HashScheme::new(hash)), EccCurve::NistP256),
    }
}

/// A P-256 public key that the TPM checks signatures with.
pub(crate) fn verifying(point: &[u8; 64]) -> Result<Public> {
    let (x, y) = point.split_at(32);
    let attributes = ObjectAttributesBuilder::new().with_user_with_auth(true).with_sign_encrypt(true);
    let (scheme, curve) = scheme(Algorithm::EcdsaP256, HashingAlgorithm::Sha256);
    ecc(attributes.build()?)
        .with_ecc_parameters(PublicEccParametersBuilder::new_unrestricted_signing_key(scheme, curve).build()?)
        .with_ecc_unique_identifier(EccPoint::new(EccParameter::try_from(x)?, EccParameter::try_from(y)?))
        .build()
}

/// A secret. With a policy it opens by that alone, else by its authorisation value.
pub(crate) fn sealed(policy: Option<Digest>) -> Result<Public> {
    let by_policy = policy.is_some();
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(own().with_user_with_auth(!by_policy).with_admin_with_policy(by_policy).build()?)
        .with_auth_policy(policy.unwrap_or_default())
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
}
