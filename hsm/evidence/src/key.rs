//! Public keys in a TPM's public areas.

use openssl::{
    bn::BigNum,
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    nid::Nid,
    pkey::{self, PKey},
    rsa::Rsa,
};

use crate::{
    EvidenceError,
    limits::{COORDINATE_BYTES_MAX, RSA_BYTES_MAX},
    wire::Reader,
};

/// The exponent that a TPM means by 0 (Part 2 §12.2.3.5), and the only one that is taken.
const RSA_EXPONENT: u32 = 65_537;

/// A curve of `TPM_ECC_CURVE`, Part 2 §6.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// The curve of GB/T 32918.5-2017.
    Sm2,
}

impl Curve {
    /// Bytes of a coordinate.
    pub const fn length(self) -> usize {
        match self {
            Self::P256 | Self::Sm2 => 32,
            Self::P384 => 48,
        }
    }

    pub(crate) fn from_id(id: u16) -> Result<Self, EvidenceError> {
        match id {
            0x0003 => Ok(Self::P256),
            0x0004 => Ok(Self::P384),
            0x0020 => Ok(Self::Sm2),
            id => Err(EvidenceError::Unsupported { what: "the curve", id: id.into() }),
        }
    }

    pub(crate) fn group(self) -> Result<EcGroup, ErrorStack> {
        EcGroup::from_curve_name(match self {
            Self::P256 => Nid::X9_62_PRIME256V1,
            Self::P384 => Nid::SECP384R1,
            Self::Sm2 => Nid::SM2,
        })
    }
}

/// A public key. Of those in a [`Public`](crate::Public) the point is on its curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// A point.
    Ecc {
        /// Its curve.
        curve: Curve,
        /// Its first coordinate, as long as the curve's are.
        x: Vec<u8>,
        /// Its second coordinate, likewise.
        y: Vec<u8>,
    },
    /// RSA-2048 or RSA-3072 with the exponent 65537.
    Rsa {
        /// The modulus, high byte first.
        modulus: Vec<u8>,
    },
}

impl PublicKey {
    /// The key as an X.509 certificate or request has it: a `SubjectPublicKeyInfo`, DER (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Key`] if it is no key at all.
    pub fn to_spki(&self) -> Result<Vec<u8>, EvidenceError> {
        self.to_openssl()?.public_key_to_der().map_err(EvidenceError::Key)
    }

    /// Reads `TPMS_ECC_POINT`, Part 2 §11.2.5.2. Some TPMs leave out the zeros at the front of a coordinate.
    pub(crate) fn read_ecc(reader: &mut Reader<'_>, curve: Curve) -> Result<Self, EvidenceError> {
        let mut coordinate = || -> Result<Vec<u8>, EvidenceError> {
            let bytes = reader.sized(COORDINATE_BYTES_MAX)?;
            padded(bytes, curve.length()).ok_or_else(|| EvidenceError::malformed("a point", "a coordinate is too long"))
        };
        let (x, y) = (coordinate()?, coordinate()?);
        Self::Ecc { curve, x, y }.checked()
    }

    /// Reads `TPM2B_PUBLIC_KEY_RSA`, Part 2 §11.2.4.5.
    pub(crate) fn read_rsa(reader: &mut Reader<'_>, bits: u16, exponent: u32) -> Result<Self, EvidenceError> {
        if !matches!(bits, 2048 | 3072) {
            return Err(EvidenceError::Unsupported { what: "the RSA key length", id: bits.into() });
        }
        if !matches!(exponent, 0 | RSA_EXPONENT) {
            return Err(EvidenceError::Unsupported { what: "the RSA exponent", id: exponent });
        }
        let modulus = reader.sized(RSA_BYTES_MAX)?.to_vec();
        if modulus.len() != usize::from(bits) / 8 || modulus.first().is_none_or(|byte| *byte < 0x80) {
            return Err(EvidenceError::malformed("an RSA modulus", format!("it has not {bits} bits")));
        }
        Self::Rsa { modulus }.checked()
    }

    pub(crate) fn to_openssl(&self) -> Result<PKey<pkey::Public>, EvidenceError> {
        self.try_to_openssl().map_err(EvidenceError::Key)
    }

    fn try_to_openssl(&self) -> Result<PKey<pkey::Public>, ErrorStack> {
        match self {
            Self::Ecc { curve, x, y } => {
                let (group, x, y) = (curve.group()?, BigNum::from_slice(x)?, BigNum::from_slice(y)?);
                PKey::from_ec_key(EcKey::from_public_key_affine_coordinates(&group, &x, &y)?)
            }
            Self::Rsa { modulus } => {
                let (modulus, exponent) = (BigNum::from_slice(modulus)?, BigNum::from_u32(RSA_EXPONENT)?);
                PKey::from_rsa(Rsa::from_public_components(modulus, exponent)?)
            }
        }
    }

    fn checked(self) -> Result<Self, EvidenceError> {
        self.to_openssl().map(|_| self)
    }
}

/// A number with zeros before it; none if it is longer than that without any.
fn padded(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..)?;
    let mut bytes = vec![0; length.checked_sub(number.len())?];
    bytes.extend_from_slice(number);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded() {
        assert_eq!(padded(&[1, 2], 4).unwrap(), [0, 0, 1, 2]);
        assert_eq!(padded(&[0, 0, 0, 1, 2], 3).unwrap(), [0, 1, 2]);
        assert_eq!(padded(&[], 2).unwrap(), [0, 0]);
        assert_eq!(padded(&[1, 2, 3], 2), None);
    }

    #[test]
    fn a_point_off_the_curve_is_no_key() {
        let point = [&[0_u8, 32][..], &[1; 32], &[0, 32], &[1; 32]].concat();
        for curve in [Curve::P256, Curve::P384, Curve::Sm2] {
            let mut reader = Reader::new("a test", &point, 68).unwrap();
            assert!(matches!(PublicKey::read_ecc(&mut reader, curve), Err(EvidenceError::Key(_))), "{curve:?}");
        }
    }
}
