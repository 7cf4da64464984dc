//! A secret for one key of one TPM: `TPM2_MakeCredential` without a TPM.
//!
//! The secret is encrypted and authenticated under a seed, with the attestation key's name in the authentication. The
//! seed is encrypted to the endorsement key. `TPM2_ActivateCredential` gives the secret to whoever may use both keys,
//! and only if the key that is loaded as the attestation key has that name. So who answers with the secret has a TPM
//! whose endorsement key this is, and that TPM holds the attestation key with these very attributes.
//!
//! Sources: Part 1 §24 (credentials), §11.4.10 (KDFa, KDFe), annexes B.10 (by RSA) and C.6.4 (by ECDH).

use openssl::{
    bn::{BigNum, BigNumContext},
    derive::Deriver,
    ec::EcKey,
    error::ErrorStack,
    md_ctx::MdCtx,
    pkey::PKey,
    pkey_ctx::PkeyCtx,
    rand::rand_priv_bytes,
    rsa::Padding,
    symm::{self, Cipher},
};
use zeroize::Zeroizing;

use crate::{
    Curve, EvidenceError, HashAlgorithm, Public, PublicKey, Symmetric,
    limits::{ID_OBJECT_BYTES_MAX, NAME_BYTES_MAX, RSA_BYTES_MAX},
    wire::{Reader, put_sized},
};

/// What the seed is for. Labels end in a zero byte.
const IDENTITY: &[u8] = b"IDENTITY\0";
const STORAGE: &[u8] = b"STORAGE\0";
const INTEGRITY: &[u8] = b"INTEGRITY\0";

/// What the files of tpm2-tools begin with, and the version of their form.
const FILE_MAGIC: u32 = 0xbadc_c0de;
const FILE_VERSION: u32 = 1;
const FILE: &str = "a credential file";

/// A wrapped secret, as `TPM2_ActivateCredential` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What is in `TPM2B_ID_OBJECT`: the authentication and the encrypted secret.
    pub id_object: Vec<u8>,
    /// What is in `TPM2B_ENCRYPTED_SECRET`: the seed, encrypted to the endorsement key.
    pub encrypted_secret: Vec<u8>,
}

impl Credential {
    /// The file that `tpm2_activatecredential` reads.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::TooLong`] if a part has more than 65,535 bytes; none that [`make_credential`] makes does.
    pub fn to_file(&self) -> Result<Vec<u8>, EvidenceError> {
        let mut file = [FILE_MAGIC.to_be_bytes(), FILE_VERSION.to_be_bytes()].concat();
        put_sized(&mut file, FILE, &self.id_object)?;
        put_sized(&mut file, FILE, &self.encrypted_secret)?;
        Ok(file)
    }

    /// Reads a file of `tpm2_makecredential`.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the bytes.
    pub fn from_file(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new(FILE, bytes, 12 + ID_OBJECT_BYTES_MAX + RSA_BYTES_MAX)?;
        let (magic, version) = (reader.u32()?, reader.u32()?);
        if (magic, version) != (FILE_MAGIC, FILE_VERSION) {
            return Err(EvidenceError::malformed(FILE, format!("it begins with {magic:#010x} and version {version}")));
        }
        let id_object = reader.sized(ID_OBJECT_BYTES_MAX)?.to_vec();
        let encrypted_secret = reader.sized(RSA_BYTES_MAX)?.to_vec();
        reader.end()?;
        Ok(Self { id_object, encrypted_secret })
    }
}

/// Wraps `secret`, of as many bytes as a digest of the endorsement key's hash at most, for the TPM with the endorsement
/// key `ek` and its key with the name `ak_name` ([`Public::name`]).
///
/// Endorsement keys are P-256 with SHA-256 and AES-128, P-384 with SHA-384 and AES-256, or RSA likewise: the templates
/// of the EK Credential Profile §B.3 and §B.4.
///
/// # Errors
///
/// [`EvidenceError::MissingAttribute`] and [`EvidenceError::UnwantedAttribute`] if `ek` is no endorsement key,
/// [`EvidenceError::Unsupported`] if it is of another kind, [`EvidenceError::Malformed`] for a name that no key has,
/// [`EvidenceError::SecretLength`], and [`EvidenceError::OpenSsl`] if OpenSSL fails.
pub fn make_credential(ek: &Public, ak_name: &[u8], secret: &[u8]) -> Result<Credential, EvidenceError> {
    ek.require_endorsement_key()?;
    let hash = ek.name_algorithm();
    let cipher = cipher(ek)?;
    check_name(ak_name)?;
    if secret.is_empty() || secret.len() > hash.length() {
        return Err(EvidenceError::SecretLength { found: secret.len(), limit: hash.length() });
    }
    let (seed, encrypted_secret) = match ek.key() {
        PublicKey::Ecc { curve: Curve::Sm2, .. } => {
            return Err(EvidenceError::Unsupported { what: "the endorsement key's curve", id: 0x0020 });
        }
        PublicKey::Ecc { curve, x, .. } => share_by_ecdh(ek.key(), *curve, x, hash)?,
        PublicKey::Rsa { .. } => share_by_rsa(ek.key(), hash)?,
    };
    let mut plain = Zeroizing::new(Vec::<u8>::with_capacity(2 + secret.len()));
    put_sized(&mut plain, "a secret", secret)?;
    let (authentication, encrypted) =
        protect(hash, cipher, &seed, ak_name, &plain).map_err(EvidenceError::openssl("encrypt a credential"))?;
    let mut id_object = Vec::with_capacity(ID_OBJECT_BYTES_MAX);
    put_sized(&mut id_object, "an authentication", &authentication)?;
    id_object.extend(encrypted);
    Ok(Credential { id_object, encrypted_secret })
}

fn cipher(ek: &Public) -> Result<Cipher, EvidenceError> {
    let unsupported = |id| EvidenceError::Unsupported { what: "the endorsement key's cipher", id };
    match ek.symmetric() {
        Some(Symmetric::Aes128Cfb) => Ok(Cipher::aes_128_cfb128()),
        Some(Symmetric::Aes256Cfb) => Ok(Cipher::aes_256_cfb128()),
        Some(Symmetric::Other { algorithm, .. }) => Err(unsupported(algorithm.into())),
        None => Err(unsupported(0x0010)),
    }
}

/// Names are a hash's number and its digest (Part 1 §16).
fn check_name(name: &[u8]) -> Result<(), EvidenceError> {
    let mut reader = Reader::new("a key's name", name, NAME_BYTES_MAX)?;
    let hash = HashAlgorithm::from_id(reader.u16()?)?;
    reader.take(hash.length())?;
    reader.end()
}

/// A new seed and what a TPM makes it of: the point of an ephemeral key. `x` is the endorsement key's.
fn share_by_ecdh(
    ek: &PublicKey,
    curve: Curve,
    x: &[u8],
    hash: HashAlgorithm,
) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), EvidenceError> {
    let peer = ek.to_openssl()?;
    let length = i32::try_from(curve.length()).expect("coordinates are short");
    let share = || -> Result<_, ErrorStack> {
        let group = curve.group()?;
        let ephemeral = EcKey::generate(&group)?;
        let (mut point_x, mut point_y) = (BigNum::new()?, BigNum::new()?);
        let mut context = BigNumContext::new()?;
        ephemeral.public_key().affine_coordinates(&group, &mut point_x, &mut point_y, &mut context)?;
        let ephemeral = PKey::from_ec_key(ephemeral)?;
        let mut deriver = Deriver::new(&ephemeral)?;
        deriver.set_peer(&peer)?;
        let z = Zeroizing::new(deriver.derive_to_vec()?);
        Ok((z, point_x.to_vec_padded(length)?, point_y.to_vec_padded(length)?))
    };
    let (z, point_x, point_y) = share().map_err(EvidenceError::openssl("agree on a seed"))?;
    // KDFe has one round: a seed is as long as the hash.
    let seed = hash.digest(&[&1_u32.to_be_bytes(), &z, IDENTITY, &point_x, x]);
    let mut encrypted = Vec::with_capacity(2 * (2 + curve.length()));
    put_sized(&mut encrypted, "a coordinate", &point_x)?;
    put_sized(&mut encrypted, "a coordinate", &point_y)?;
    Ok((Zeroizing::new(seed), encrypted))
}

/// A new seed and the seed under OAEP, whose hash is the key's.
fn share_by_rsa(ek: &PublicKey, hash: HashAlgorithm) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), EvidenceError> {
    let key = ek.to_openssl()?;
    let share = || -> Result<_, ErrorStack> {
        let mut seed = Zeroizing::new(vec![0_u8; hash.length()]);
        rand_priv_bytes(&mut seed)?;
        let mut context = PkeyCtx::new(&key)?;
        context.encrypt_init()?;
        context.set_rsa_padding(Padding::PKCS1_OAEP)?;
        context.set_rsa_oaep_md(hash.md())?;
        context.set_rsa_mgf1_md(hash.md())?;
        context.set_rsa_oaep_label(IDENTITY)?;
        let mut encrypted = Vec::new();
        context.encrypt_to_vec(&seed, &mut encrypted)?;
        Ok((seed, encrypted))
    };
    share().map_err(EvidenceError::openssl("encrypt a seed"))
}

/// Encrypts, then authenticates the result and the name.
fn protect(
    hash: HashAlgorithm,
    cipher: Cipher,
    seed: &[u8],
    name: &[u8],
    plain: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), ErrorStack> {
    let key = kdfa(hash, seed, STORAGE, name, cipher.key_len())?;
    // Each seed is used once, so that the initialisation vector may be the same.
    let encrypted = symm::encrypt(cipher, &key, Some(&[0_u8; 16]), plain)?;
    let key = kdfa(hash, seed, INTEGRITY, &[], hash.length())?;
    let authentication = hmac(hash, &key, &[&encrypted, name])?;
    Ok((authentication, encrypted))
}

/// KDFa: SP 800-108 in counter mode (Part 1 §11.4.10.2). `length` counts bytes.
fn kdfa(
    hash: HashAlgorithm,
    key: &[u8],
    label: &[u8],
    context: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, ErrorStack> {
    let bits = u32::try_from(8 * length).expect("keys are short");
    let mut out = Zeroizing::new(Vec::<u8>::with_capacity(length + hash.length()));
    for counter in 1_u32.. {
        if out.len() >= length {
            break;
        }
        let block = hmac(hash, key, &[&counter.to_be_bytes(), label, context, &bits.to_be_bytes()])?;
        out.extend(Zeroizing::new(block).iter());
    }
    out.truncate(length);
    Ok(out)
}

fn hmac(hash: HashAlgorithm, key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut context = MdCtx::new()?;
    context.digest_sign_init(Some(hash.md()), &key)?;
    for part in parts {
        context.digest_sign_update(part)?;
    }
    let mut authentication = Vec::with_capacity(hash.length());
    context.digest_sign_final_to_vec(&mut authentication)?;
    Ok(authentication)
}
