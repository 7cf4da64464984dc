//! Secrets under a key of the device.
//!
//! Many devices have no authenticated encryption, so it is put together from what all have: SM4-CBC, then HMAC-SM3 over
//! all that is written. Each secret has two SM4 keys of its own, which the device makes and gives out only under its
//! key-encryption key. The first encrypts. The second encrypts one text, always the same, and nothing else: the result
//! is the key of the HMAC, which nobody has without the device.
//!
//! ```text
//! format (17) | index of the key-encryption key (4) | wrapped key | wrapped key | iv (16) | ciphertext | tag (32)
//! wrapped key: algorithm (4) | length (2) | what the device gave
//! ```
//!
//! The device asks for no password here, and knows nothing of the box's state: whoever has the device has the secrets
//! that it sealed.

use dolmen_hsm_api::{KeyError, Module, SealPolicy, Sealer};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sm3::Sm3;
use zeroize::Zeroizing;

use crate::{SdfConfig, SdfError, Session, Sm4Key, WrappedKey, driver::Pooled, failure::classify, limits::SECRET_MAX};

const FORMAT: &[u8; 17] = b"dolmen-sdf-seal-1";
const BLOCK: usize = 16;
const TAG: usize = 32;
/// What the key of the HMAC is the encryption of.
const AUTHENTICATION: &[u8; 2 * BLOCK] = b"dolmen-sdf-seal: key of its HMAC";
const WHAT: &str = "a secret that an SDF device seals";

/// Seals with the key-encryption key of one index.
#[derive(Debug)]
pub struct SdfSealer {
    config: SdfConfig,
    kek: u32,
}

impl SdfSealer {
    /// Nothing is loaded before it is needed. The key-encryption key is made with the tool of the device's maker.
    pub fn new(config: SdfConfig, kek: u32) -> Self {
        Self { config, kek }
    }

    fn run<T>(&self, operation: &'static str, work: impl Fn(&Session) -> Result<T, SdfError>) -> Result<T, KeyError> {
        let connection = self.config.connect(&Module::default())?;
        let driver = connection.driver();
        driver.run(|pooled: &mut Pooled| {
            work(&pooled.session).map_err(|error| classify(driver.name(), None, operation, &error))
        })
    }
}

impl Sealer for SdfSealer {
    fn seal(&self, secret: &[u8], policy: &SealPolicy) -> Result<Vec<u8>, KeyError> {
        if *policy != SealPolicy::default() {
            return Err(refused(
                "the device knows nothing of the box's state; seal it with a TPM, or without a policy",
            ));
        }
        if secret.len() > SECRET_MAX {
            return Err(refused("it is too long; seal a key of 32 bytes, and encrypt the rest with that"));
        }
        self.run("seal", |session| seal(session, self.kek, secret))
    }

    fn unseal(&self, sealed: &[u8], _approval: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let changed = || refused("this device did not seal it, or it was changed; take the copy that was made first");
        let parts = Sealed::parse(sealed).ok_or_else(changed)?;
        self.run("unseal", |session| parts.open(session))?.ok_or_else(changed)
    }
}

fn refused(reason: &str) -> KeyError {
    KeyError::Policy { what: WHAT.into(), reason: reason.into() }
}

fn seal(session: &Session, kek: u32, secret: &[u8]) -> Result<Vec<u8>, SdfError> {
    let (key, key_wrapped) = session.generate_key(kek)?;
    let (authentication, authentication_wrapped) = session.generate_key(kek)?;
    let iv: [u8; BLOCK] = rand::random();
    let mut sealed = FORMAT.to_vec();
    sealed.extend(kek.to_be_bytes());
    for WrappedKey { algorithm, bytes } in [key_wrapped, authentication_wrapped] {
        let length = u16::try_from(bytes.len()).expect("a wrapped key has at most limits::WRAPPED_MAX bytes");
        sealed.extend(algorithm.to_be_bytes());
        sealed.extend(length.to_be_bytes());
        sealed.extend(bytes);
    }
    sealed.extend(iv);
    sealed.extend(key.encrypt(&iv, &padded(secret))?);
    let tag = mac(&authentication, &sealed)?.finalize().into_bytes();
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// What a sealed secret is made of.
struct Sealed<'a> {
    kek: u32,
    key: WrappedKey,
    authentication: WrappedKey,
    iv: [u8; BLOCK],
    ciphertext: &'a [u8],
    /// All before the tag.
    authenticated: &'a [u8],
    tag: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn parse(sealed: &'a [u8]) -> Option<Self> {
        let (authenticated, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let mut rest = authenticated.strip_prefix(FORMAT)?;
        let kek = u32::from_be_bytes(take(&mut rest)?);
        let (key, authentication) = (wrapped(&mut rest)?, wrapped(&mut rest)?);
        let iv = take(&mut rest)?;
        Some(Self { kek, key, authentication, iv, ciphertext: rest, authenticated, tag })
    }

    /// The secret; none if the tag is not what this device made of it.
    fn open(&self, session: &Session) -> Result<Option<Zeroizing<Vec<u8>>>, SdfError> {
        let authentication = session.import_key(self.kek, &self.authentication)?;
        if mac(&authentication, self.authenticated)?.verify_slice(self.tag).is_err() {
            return Ok(None);
        }
        let mut secret = session.import_key(self.kek, &self.key)?.decrypt(&self.iv, self.ciphertext)?;
        let padding = secret.last().map_or(0, |byte| usize::from(*byte));
        let length = secret.len().saturating_sub(padding);
        secret.truncate(length);
        Ok(Some(secret))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*bytes)
}

fn wrapped(rest: &mut &[u8]) -> Option<WrappedKey> {
    let algorithm = u32::from_be_bytes(take(rest)?);
    let length = u16::from_be_bytes(take(rest)?);
    let (bytes, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(WrappedKey { algorithm, bytes: bytes.to_vec() })
}

/// The HMAC of what is written, with a key that only the device can make.
fn mac(authentication: &Sm4Key<'_>, written: &[u8]) -> Result<Hmac<Sm3>, SdfError> {
    let key = Zeroizing::new(authentication.encrypt(&[0; BLOCK], AUTHENTICATION)?);
    Ok(Hmac::<Sm3>::new_from_slice(&key).expect("an HMAC takes keys of all lengths").chain_update(written))
}

/// Whole blocks: at least one byte is added, and each says how many.
fn padded(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let padding = BLOCK - secret.len() % BLOCK;
    let mut bytes = Zeroizing::new(Vec::with_capacity(secret.len() + padding));
    bytes.extend_from_slice(secret);
    bytes.resize(secret.len() + padding, u8::try_from(padding).expect("at most a block"));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_padded_to_whole_blocks() {
        for length in 0..=SECRET_MAX {
            let padded = padded(&vec![9; length]);
            let last = usize::from(*padded.last().unwrap());
            assert_eq!((padded.len() % BLOCK, padded.len() - last), (0, length));
        }
    }

    #[test]
    fn what_was_not_sealed_is_not_parsed() {
        let mut good = FORMAT.to_vec();
        good.extend([0, 0, 0, 7]);
        good.extend([0, 0, 4, 1, 0, 2, 0xaa, 0xbb]);
        good.extend([0, 0, 4, 2, 0, 1, 0xcc]);
        good.extend([3; BLOCK]);
        good.extend([4; BLOCK]);
        good.extend([5; TAG]);
        let parts = Sealed::parse(&good).unwrap();
        assert_eq!(
            (parts.kek, parts.key.bytes.as_slice(), parts.authentication.algorithm),
            (7, &[0xaa, 0xbb][..], 0x402)
        );
        assert_eq!((parts.iv, parts.ciphertext, parts.tag), ([3; BLOCK], &[4; BLOCK][..], &[5; TAG][..]));
        assert_eq!(parts.authenticated.len(), good.len() - TAG);
        for length in 0..good.len() - BLOCK {
            assert!(Sealed::parse(&good[..length]).is_none(), "{length}");
        }
        good[0] ^= 1;
        assert!(Sealed::parse(&good).is_none());
    }
}
