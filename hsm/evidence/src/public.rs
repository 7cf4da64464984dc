//! What a TPM says about a key: its public area.

use std::fmt;

use crate::{
    Curve, EvidenceError, HashAlgorithm, PublicKey,
    limits::{DIGEST_BYTES_MAX, PUBLIC_BYTES_MAX},
    wire::{Reader, put_sized},
};

const WHAT: &str = "a public area";
/// `TPM_ALG_ID`, Part 2 §6.3.
const ALG_RSA: u16 = 0x0001;
const ALG_AES: u16 = 0x0006;
const ALG_NULL: u16 = 0x0010;
const ALG_SM4: u16 = 0x0013;
const ALG_ECC: u16 = 0x0023;
const ALG_CAMELLIA: u16 = 0x0026;
const MODE_CFB: u16 = 0x0043;

/// Attributes of an object, `TPMA_OBJECT` of Part 2 §8.3.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attributes(pub u32);

impl Attributes {
    /// It cannot leave its TPM by itself.
    pub const FIXED_TPM: Self = Self(1 << 1);
    /// It cannot be put under another parent.
    pub const FIXED_PARENT: Self = Self(1 << 4);
    /// The TPM made the secret, nobody brought it.
    pub const SENSITIVE_DATA_ORIGIN: Self = Self(1 << 5);
    /// It signs nothing, or decrypts nothing, but what the TPM itself has made.
    pub const RESTRICTED: Self = Self(1 << 16);
    /// It decrypts.
    pub const DECRYPT: Self = Self(1 << 17);
    /// It signs.
    pub const SIGN: Self = Self(1 << 18);

    /// Those that say what a key proves, with the specification's names for them.
    const NAMED: [(Self, &'static str); 6] = [
        (Self::FIXED_TPM, "fixedTPM"),
        (Self::FIXED_PARENT, "fixedParent"),
        (Self::SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin"),
        (Self::RESTRICTED, "restricted"),
        (Self::DECRYPT, "decrypt"),
        (Self::SIGN, "sign"),
    ];

    /// Whether all of `others` are among them.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)?;
        f.debug_list()
            .entries(Self::NAMED.into_iter().filter(|(attribute, _)| self.contains(*attribute)).map(|(_, name)| name))
            .finish()
    }
}

/// How a key signs, by `TPM_ALG_ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemeAlgorithm {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 §8.2).
    Rsassa,
    /// ECDSA (FIPS 186-5 §6).
    Ecdsa,
    /// SM2 (GB/T 32918.2-2016), of a digest that the caller made: a TPM knows no identity and no `ZA`.
    Sm2,
}

impl SchemeAlgorithm {
    pub(crate) fn from_id(id: u16) -> Result<Self, EvidenceError> {
        match id {
            0x0014 => Ok(Self::Rsassa),
            0x0018 => Ok(Self::Ecdsa),
            0x001b => Ok(Self::Sm2),
            id => Err(EvidenceError::Unsupported { what: "the signature scheme", id: id.into() }),
        }
    }
}

/// A signature scheme with its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scheme {
    /// How it signs.
    pub algorithm: SchemeAlgorithm,
    /// What it hashes by.
    pub hash: HashAlgorithm,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.algorithm {
            SchemeAlgorithm::Rsassa => "rsassa",
            SchemeAlgorithm::Ecdsa => "ecdsa",
            SchemeAlgorithm::Sm2 => "sm2",
        };
        write!(f, "{name}-{}", self.hash.name())
    }
}

/// The cipher by which a storage or endorsement key protects what is under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symmetric {
    /// AES-128 in the mode CFB.
    Aes128Cfb,
    /// AES-256 in the mode CFB.
    Aes256Cfb,
    /// Another, which this crate does not use.
    Other {
        /// `TPM_ALG_ID`.
        algorithm: u16,
        /// Bits of its key.
        bits: u16,
        /// `TPM_ALG_ID` of its mode.
        mode: u16,
    },
}

/// A public area (`TPMT_PUBLIC`, Part 2 §12.2.4) of a key that this crate knows to use.
///
/// It says what somebody claims a key to be. That a TPM holds such a key follows from its [`name`](Self::name), where
/// a credential was made for it or a [`Certified`](crate::Certified) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// As it came, since the name is a hash of it.
    bytes: Vec<u8>,
    name_algorithm: HashAlgorithm,
    attributes: Attributes,
    policy: Vec<u8>,
    symmetric: Option<Symmetric>,
    scheme: Option<Scheme>,
    key: PublicKey,
}

impl Public {
    /// Reads `TPM2B_PUBLIC`, as a TPM and its tools give it.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the bytes; [`EvidenceError::Unsupported`] for kinds of keys that are not known here.
    pub fn from_tpm2b(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new(WHAT, bytes, 2 + PUBLIC_BYTES_MAX)?;
        let area = reader.sized(PUBLIC_BYTES_MAX)?;
        reader.end()?;
        Self::from_tpmt(area)
    }

    /// Reads `TPMT_PUBLIC`: the same without the length before it.
    ///
    /// # Errors
    ///
    /// As [`from_tpm2b`](Self::from_tpm2b).
    pub fn from_tpmt(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new(WHAT, bytes, PUBLIC_BYTES_MAX)?;
        let kind = reader.u16()?;
        let name_algorithm = HashAlgorithm::from_id(reader.u16()?)?;
        let attributes = Attributes(reader.u32()?);
        let policy = reader.sized(DIGEST_BYTES_MAX)?.to_vec();
        if !matches!(kind, ALG_RSA | ALG_ECC) {
            return Err(EvidenceError::Unsupported { what: "the kind of key", id: kind.into() });
        }
        let symmetric = read_symmetric(&mut reader)?;
        let scheme = read_scheme(&mut reader)?;
        let key = if kind == ALG_RSA {
            let (bits, exponent) = (reader.u16()?, reader.u32()?);
            PublicKey::read_rsa(&mut reader, bits, exponent)?
        } else {
            let curve = Curve::from_id(reader.u16()?)?;
            match reader.u16()? {
                ALG_NULL => PublicKey::read_ecc(&mut reader, curve)?,
                id => return Err(EvidenceError::Unsupported { what: "the key derivation", id: id.into() }),
            }
        };
        reader.end()?;
        Ok(Self { bytes: bytes.to_vec(), name_algorithm, attributes, policy, symmetric, scheme, key })
    }

    /// `TPMT_PUBLIC`.
    pub fn as_tpmt(&self) -> &[u8] {
        &self.bytes
    }

    /// `TPM2B_PUBLIC`.
    #[must_use]
    pub fn to_tpm2b(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + self.bytes.len());
        put_sized(&mut bytes, WHAT, &self.bytes).expect("what was read is within the bounds");
        bytes
    }

    /// What a TPM calls the object: the number of a hash and the public area's digest by it (Part 1 §16).
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        let mut name = self.name_algorithm.id().to_be_bytes().to_vec();
        name.extend(self.name_algorithm.digest(&[&self.bytes]));
        name
    }

    /// The hash of its name; a storage or endorsement key derives by it too.
    pub const fn name_algorithm(&self) -> HashAlgorithm {
        self.name_algorithm
    }

    /// What it may do.
    pub const fn attributes(&self) -> Attributes {
        self.attributes
    }

    /// The digest of the policy under which it may be used; empty if there is none.
    pub fn policy(&self) -> &[u8] {
        &self.policy
    }

    /// How it signs; none if each call says so, and for keys that do not sign.
    pub const fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// What it protects others with; none for keys that have nothing under them.
    pub const fn symmetric(&self) -> Option<Symmetric> {
        self.symmetric
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether it is an attestation key's: one that the TPM made, that never leaves it, and that signs nothing but the
    /// TPM's own statements.
    #[must_use]
    pub fn is_attestation_key(&self) -> bool {
        self.require_attestation_key().is_ok()
    }

    /// Whether it is a device key's: one that the TPM made, that never leaves it, and that signs what it is given.
    #[must_use]
    pub fn is_device_key(&self) -> bool {
        self.require_device_key().is_ok()
    }

    /// Whether it is an endorsement key's: one that the TPM made, that never leaves it, and that decrypts nothing but
    /// what was made for the TPM.
    #[must_use]
    pub fn is_endorsement_key(&self) -> bool {
        self.require_endorsement_key().is_ok()
    }

    pub(crate) fn require_attestation_key(&self) -> Result<(), EvidenceError> {
        self.require("attestation", &[Attributes::RESTRICTED, Attributes::SIGN], Attributes::DECRYPT)
    }

    pub(crate) fn require_device_key(&self) -> Result<(), EvidenceError> {
        self.require("device", &[Attributes::SIGN], Attributes(0))
    }

    pub(crate) fn require_endorsement_key(&self) -> Result<(), EvidenceError> {
        self.require("endorsement", &[Attributes::RESTRICTED, Attributes::DECRYPT], Attributes::SIGN)
    }

    /// Beyond what binds a key to its TPM.
    fn require(&self, role: &'static str, more: &[Attributes], never: Attributes) -> Result<(), EvidenceError> {
        let bound = [Attributes::FIXED_TPM, Attributes::FIXED_PARENT, Attributes::SENSITIVE_DATA_ORIGIN];
        for (attribute, name) in Attributes::NAMED {
            let has = self.attributes.contains(attribute);
            if !has && (bound.contains(&attribute) || more.contains(&attribute)) {
                return Err(EvidenceError::MissingAttribute { role, attribute: name });
            }
            if has && never.contains(attribute) {
                return Err(EvidenceError::UnwantedAttribute { role, attribute: name });
            }
        }
        Ok(())
    }
}

/// Reads `TPMT_SYM_DEF_OBJECT`, Part 2 §11.1.7.
fn read_symmetric(reader: &mut Reader<'_>) -> Result<Option<Symmetric>, EvidenceError> {
    let algorithm = reader.u16()?;
    match algorithm {
        ALG_NULL => return Ok(None),
        ALG_AES | ALG_SM4 | ALG_CAMELLIA => {}
        id => return Err(EvidenceError::Unsupported { what: "the cipher", id: id.into() }),
    }
    Ok(Some(match (algorithm, reader.u16()?, reader.u16()?) {
        (ALG_AES, 128, MODE_CFB) => Symmetric::Aes128Cfb,
        (ALG_AES, 256, MODE_CFB) => Symmetric::Aes256Cfb,
        (algorithm, bits, mode) => Symmetric::Other { algorithm, bits, mode },
    }))
}

/// Reads `TPMT_RSA_SCHEME` or `TPMT_ECC_SCHEME`, Part 2 §11.2.4.2 and §11.2.5.6.
fn read_scheme(reader: &mut Reader<'_>) -> Result<Option<Scheme>, EvidenceError> {
    match reader.u16()? {
        ALG_NULL => Ok(None),
        id => {
            let algorithm = SchemeAlgorithm::from_id(id)?;
            Ok(Some(Scheme { algorithm, hash: HashAlgorithm::from_id(reader.u16()?)? }))
        }
    }
}
