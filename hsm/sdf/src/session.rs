//! What a session of a device can do.

use zeroize::Zeroizing;

use crate::{
    Code, SdfError, Session, Sm4Key,
    library::Direction,
    raw::{RawDeviceInfo, RawPublicKey, RawSignature},
    sm2,
};

/// `SGD_SM4_ECB` and `SGD_SM4_CBC` (GM/T 0006-2012): how keys are wrapped. The standard has the first, some devices
/// only the second.
const WRAPPINGS: [u32; 2] = [0x0000_0401, 0x0000_0402];

/// What a device says of itself (GM/T 0018-2012 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Who made it.
    pub issuer: String,
    /// Its model.
    pub device: String,
    /// Its serial number.
    pub serial: String,
    /// The version of its own software.
    pub version: u32,
    /// The version of the interface.
    pub standard: u32,
    /// Asymmetric algorithms, and the lengths of their keys; bits of GM/T 0006.
    pub asymmetric: [u32; 2],
    /// Symmetric algorithms.
    pub symmetric: u32,
    /// Hashes.
    pub hashes: u32,
    /// Bytes that its files may hold.
    pub buffer: u32,
}

impl From<RawDeviceInfo> for DeviceInfo {
    fn from(info: RawDeviceInfo) -> Self {
        let RawDeviceInfo { issuer, device, serial, version, standard, asymmetric, symmetric, hashes, buffer } = info;
        let (issuer, device, serial) = (text(&issuer), text(&device), text(&serial));
        Self { issuer, device, serial, version, standard, asymmetric, symmetric, hashes, buffer }
    }
}

/// An SM4 key under a key-encryption key; it can lie on any disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// How it was wrapped, `SGD_SM4_ECB` or `SGD_SM4_CBC`.
    pub algorithm: u32,
    /// What the device gave; its maker knows the form.
    pub bytes: Vec<u8>,
}

impl Session {
    /// What the device says of itself.
    ///
    /// # Errors
    ///
    /// If the session or the device is gone.
    pub fn info(&self) -> Result<DeviceInfo, SdfError> {
        self.raw_info().map(DeviceInfo::from)
    }

    /// Random bytes of the device.
    ///
    /// # Errors
    ///
    /// If the device has none.
    pub fn random<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, SdfError> {
        let mut bytes = Zeroizing::new([0_u8; N]);
        self.raw_random(bytes.as_mut_slice())?;
        Ok(bytes)
    }

    /// Gets the right to use a private key, for this session alone. A wrong password brings the device nearer to
    /// locking the key.
    ///
    /// # Errors
    ///
    /// If the password is refused.
    pub fn access_right(&self, index: u32, password: &[u8]) -> Result<(), SdfError> {
        self.raw_get_right(index, password)
    }

    /// Gives the right back.
    ///
    /// # Errors
    ///
    /// If the session has none.
    pub fn release_right(&self, index: u32) -> Result<(), SdfError> {
        self.raw_release_right(index)
    }

    /// The public half of a signing key, `x || y`.
    ///
    /// # Errors
    ///
    /// [`Code::NO_KEY`] if there is none, and [`SdfError::Answer`] if it is none of SM2.
    pub fn public_key(&self, index: u32) -> Result<[u8; 64], SdfError> {
        let what = "a key that is none of SM2, or numbers that do not stand at the right of 64 bytes";
        let answer = SdfError::Answer { function: "SDF_ExportSignPublicKey_ECC", what };
        self.raw_public_key(index)?.bytes().ok_or(answer)
    }

    /// Signs `e` with SM2 (GB/T 32918.2-2016 §6.1), `r || s`.
    ///
    /// # Errors
    ///
    /// If the session has no right to use the key.
    pub fn sign(&self, index: u32, e: &[u8; 32]) -> Result<[u8; 64], SdfError> {
        let what = "numbers that do not stand at the right of 64 bytes";
        let answer = SdfError::Answer { function: "SDF_InternalSign_ECC", what };
        self.raw_sign(index, e)?.bytes().ok_or(answer)
    }

    /// Whether a signature holds under a key of the device.
    ///
    /// # Errors
    ///
    /// If the device cannot say.
    pub fn verify(&self, index: u32, e: &[u8; 32], signature: &[u8; 64]) -> Result<bool, SdfError> {
        holds(self.raw_verify(index, e, &RawSignature::new(signature)))
    }

    /// Whether a signature holds under another's key, `x || y`.
    ///
    /// # Errors
    ///
    /// If the device cannot say.
    pub fn verify_with(&self, key: &[u8; 64], e: &[u8; 32], signature: &[u8; 64]) -> Result<bool, SdfError> {
        holds(self.raw_verify_with(&RawPublicKey::new(key), e, &RawSignature::new(signature)))
    }

    /// SM3 of a message.
    ///
    /// # Errors
    ///
    /// If the device does not hash.
    pub fn sm3(&self, message: &[u8]) -> Result<[u8; 32], SdfError> {
        self.raw_sm3(None, message)
    }

    /// `e` of a message, as a signature with this key needs it, under the default identity.
    ///
    /// # Errors
    ///
    /// If the device does not hash.
    pub fn sm3_with_identity(&self, key: &[u8; 64], message: &[u8]) -> Result<[u8; 32], SdfError> {
        self.raw_sm3(Some((&RawPublicKey::new(key), sm2::IDENTITY.as_slice())), message)
    }

    /// Makes an SM4 key, and wraps it with the key-encryption key of this index. The key itself stays in the device.
    ///
    /// # Errors
    ///
    /// If there is no such key-encryption key.
    pub fn generate_key(&self, kek: u32) -> Result<(Sm4Key<'_>, WrappedKey), SdfError> {
        let [standard, other] = WRAPPINGS;
        let generate = |algorithm| {
            self.raw_generate_key(algorithm, kek).map(|(key, bytes)| (key, WrappedKey { algorithm, bytes }))
        };
        match generate(standard) {
            Err(error) if error.code().is_some_and(refuses_wrapping) => generate(other),
            generated => generated,
        }
    }

    /// Takes back a key that the device wrapped.
    ///
    /// # Errors
    ///
    /// If it was wrapped with another key, and the device notices.
    pub fn import_key(&self, kek: u32, wrapped: &WrappedKey) -> Result<Sm4Key<'_>, SdfError> {
        self.raw_import_key(wrapped.algorithm, kek, &wrapped.bytes)
    }
}

impl Sm4Key<'_> {
    /// SM4-CBC over whole blocks of 16 bytes, without padding.
    ///
    /// # Errors
    ///
    /// If the device refuses, as it does other lengths.
    pub fn encrypt(&self, iv: &[u8; 16], blocks: &[u8]) -> Result<Vec<u8>, SdfError> {
        self.raw_cbc(Direction::Encrypt, iv, blocks).map(|output| output.to_vec())
    }

    /// The opposite of [`encrypt`](Self::encrypt).
    ///
    /// # Errors
    ///
    /// If the device refuses, as it does other lengths.
    pub fn decrypt(&self, iv: &[u8; 16], blocks: &[u8]) -> Result<Zeroizing<Vec<u8>>, SdfError> {
        self.raw_cbc(Direction::Decrypt, iv, blocks)
    }
}

/// Text that is filled up with zeros or spaces.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

fn holds(verified: Result<(), SdfError>) -> Result<bool, SdfError> {
    match verified {
        Ok(()) => Ok(true),
        Err(SdfError::Call { code: Code::VERIFY, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a device may know the other wrapping: makers refuse a mode with any of these.
fn refuses_wrapping(code: Code) -> bool {
    matches!(code, Code::NO_ALGORITHM | Code::NO_MODE | Code::ARGUMENT)
}
