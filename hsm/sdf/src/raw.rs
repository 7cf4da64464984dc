//! The structures of GM/T 0018-2012 §5, and our form of what is in them.
//!
//! Numbers are as long as the standard's longest curve needs, 64 bytes; one of SM2 stands at the right of them.

/// `ECCrefPublicKey`.
#[repr(C)]
pub(crate) struct RawPublicKey {
    bits: u32,
    x: [u8; 64],
    y: [u8; 64],
}

/// `ECCSignature`.
#[repr(C)]
pub(crate) struct RawSignature {
    r: [u8; 64],
    s: [u8; 64],
}

/// `DEVICEINFO`.
#[repr(C)]
pub(crate) struct RawDeviceInfo {
    pub(crate) issuer: [u8; 40],
    pub(crate) device: [u8; 16],
    pub(crate) serial: [u8; 16],
    pub(crate) version: u32,
    pub(crate) standard: u32,
    pub(crate) asymmetric: [u32; 2],
    pub(crate) symmetric: u32,
    pub(crate) hashes: u32,
    pub(crate) buffer: u32,
}

impl RawPublicKey {
    pub(crate) const EMPTY: Self = Self { bits: 0, x: [0; 64], y: [0; 64] };

    pub(crate) fn new(key: &[u8; 64]) -> Self {
        let (x, y) = key.split_at(32);
        Self { bits: 256, x: aligned(x), y: aligned(y) }
    }

    /// `x || y`; none where it is no key of SM2.
    pub(crate) fn bytes(&self) -> Option<[u8; 64]> {
        if self.bits == 256 { joined(&self.x, &self.y) } else { None }
    }
}

impl RawSignature {
    pub(crate) const EMPTY: Self = Self { r: [0; 64], s: [0; 64] };

    pub(crate) fn new(signature: &[u8; 64]) -> Self {
        let (r, s) = signature.split_at(32);
        Self { r: aligned(r), s: aligned(s) }
    }

    /// `r || s`; none where it is no signature of SM2.
    pub(crate) fn bytes(&self) -> Option<[u8; 64]> {
        joined(&self.r, &self.s)
    }
}

impl RawDeviceInfo {
    pub(crate) const EMPTY: Self = Self {
        issuer: [0; 40],
        device: [0; 16],
        serial: [0; 16],
        version: 0,
        standard: 0,
        asymmetric: [0; 2],
        symmetric: 0,
        hashes: 0,
        buffer: 0,
    };
}

fn aligned(number: &[u8]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[64 - number.len()..].copy_from_slice(number);
    bytes
}

/// Two numbers of 32 bytes; none if one is longer.
fn joined(left: &[u8; 64], right: &[u8; 64]) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    for (to, number) in bytes.chunks_exact_mut(32).zip([left, right]) {
        let (zero, number) = number.split_at(32);
        if zero.iter().any(|byte| *byte != 0) {
            return None;
        }
        to.copy_from_slice(number);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    #[test]
    fn structures_have_the_standards_sizes() {
        assert_eq!((size_of::<RawPublicKey>(), size_of::<RawSignature>(), size_of::<RawDeviceInfo>()), (132, 128, 100));
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let bytes: [u8; 64] = std::array::from_fn(|i| u8::try_from(i + 1).unwrap());
        let key = RawPublicKey::new(&bytes);
        assert_eq!((key.bits, key.x[31], key.x[32], key.x[63], key.y[32]), (256, 0, 1, 32, 33));
        assert_eq!(key.bytes(), Some(bytes));
        assert_eq!(RawSignature::new(&bytes).bytes(), Some(bytes));
        // As older headers have them, without room for longer curves: all at the left.
        let left = RawPublicKey { bits: 256, x: bytes, y: [0; 64] };
        assert_eq!(left.bytes(), None);
        assert_eq!(RawPublicKey { bits: 512, ..key }.bytes(), None);
    }
}
