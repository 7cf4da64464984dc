//! Files of `tests/vectors`, and what a TPM could do, done in software.

use std::fs;

use dolmen_hsm_evidence::{HashAlgorithm, Pcrs, Public};
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey},
    ecdsa::EcdsaSig,
    nid::Nid,
    pkey::Private,
    sha::sha256,
};

/// The nonce of the quotes.
pub(crate) const NONCE: &[u8] = b"dolmen evidence test vector one!";
/// The nonce of the certifies, which `tpm2_certify` 5.4 lets nobody choose.
pub(crate) const CERTIFY_NONCE: &[u8] = &[0x00, 0xff, 0x55, 0xaa];

/// Attributes of keys, Part 2 §8.3: bound to their TPM, and what makes an attestation or endorsement key of them.
pub(crate) const BOUND: u32 = 1 << 1 | 1 << 4 | 1 << 5;
pub(crate) const RESTRICTED: u32 = 1 << 16;
pub(crate) const DECRYPT: u32 = 1 << 17;
pub(crate) const SIGN: u32 = 1 << 18;

/// A file.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A public area in a file.
pub(crate) fn public(name: &str) -> Public {
    Public::from_tpm2b(&vector(&format!("{name}.pub"))).expect("a public area of tpm2-tools")
}

/// What the registers of the quotes' TPM held, as `tpm2_pcrread` told.
pub(crate) fn pcrs() -> Pcrs {
    let text = String::from_utf8(vector("pcrs.txt")).expect("text");
    let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).expect("a bank of 32 bytes");
    for line in text.lines() {
        let (index, value) = line.split_once(' ').expect("a register and its value");
        let value = const_hex::decode_to_array(value).expect("32 bytes");
        pcrs.set(index.parse().expect("a number"), value).expect("a register");
    }
    pcrs
}

/// A `TPM2B`.
pub(crate) fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// Numbers of 16 bits, high bytes first.
pub(crate) fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A P-256 key that no TPM holds, whatever its public area says.
pub(crate) struct SoftKey(EcKey<Private>);

impl SoftKey {
    pub(crate) fn generate() -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
        Self(EcKey::generate(&group).expect("a key"))
    }

    /// `TPMT_PUBLIC` with a scheme (its number and its hash's), by which restricted keys sign.
    pub(crate) fn area(&self, attributes: u32, scheme: &[u16]) -> Vec<u8> {
        let (mut x, mut y) = (BigNum::new().expect("memory"), BigNum::new().expect("memory"));
        let mut context = BigNumContext::new().expect("memory");
        let point = self.0.public_key();
        point.affine_coordinates(self.0.group(), &mut x, &mut y, &mut context).expect("a point");
        let [x, y] = [x, y].map(|number| sized(&number.to_vec_padded(32).expect("32 bytes")));
        let (head, curve) = (words(&[0x0023, 0x000b]), words(&[0x0003, 0x0010]));
        // No policy, and no cipher.
        let tail = [words(&[0x0000, 0x0010]), words(scheme), curve, x, y].concat();
        [head, attributes.to_be_bytes().to_vec(), tail].concat()
    }

    /// The public area of a key that signs by ECDSA with SHA-256.
    pub(crate) fn public(&self, attributes: u32) -> Public {
        Public::from_tpmt(&self.area(attributes, &[0x0018, 0x000b])).expect("a public area")
    }

    /// `TPMT_SIGNATURE`.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = EcdsaSig::sign(&sha256(message), &self.0).expect("a signature");
        let [r, s] = [signature.r(), signature.s()].map(|number| sized(&number.to_vec()));
        [words(&[0x0018, 0x000b]), r, s].concat()
    }
}
