//! Nibbles of 32-byte keys, and the hex-prefix path encoding (Yellow Paper, appendix C).
//!
//! A position is the index of a nibble in a key: 0 is the high half of byte 0, 63 the low half of byte 31, and
//! [`KEY_NIBBLES`] is the end. No nibble is ever unpacked into a byte of its own: paths are ranges of a full key.

use alloy_primitives::B256;

/// Nibbles in a key.
pub(super) const KEY_NIBBLES: u8 = 64;

/// The nibble of `key` at position `at`; zero at or past the end.
pub(super) fn nibble(key: &B256, at: u8) -> u8 {
    let byte = key.get(usize::from(at / 2)).copied().unwrap_or_default();
    if at.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

/// The first position at which two keys differ; [`KEY_NIBBLES`] if they are equal.
pub(super) fn first_difference(left: &B256, right: &B256) -> u8 {
    let mut at = 0;
    for (a, b) in left.iter().zip(right.iter()) {
        if a != b {
            return if a >> 4 == b >> 4 { at + 1 } else { at };
        }
        at += 2;
    }
    at
}

/// Length in bytes of what [`write_path`] appends for a path of `nibbles` nibbles.
pub(super) fn path_length(nibbles: u8) -> usize {
    let packed = usize::from(nibbles / 2) + 1;
    if packed == 1 { 1 } else { packed + 1 }
}

/// Appends the RLP string of the hex-prefix encoding of the nibbles `from..to` of `key`.
pub(super) fn write_path(key: &B256, from: u8, to: u8, ends_in_leaf: bool, out: &mut Vec<u8>) {
    let nibbles = to - from;
    let packed = nibbles / 2 + 1;
    // One byte is its own RLP: the flag byte is below 0x80.
    if packed > 1 {
        out.push(alloy_rlp::EMPTY_STRING_CODE + packed);
    }
    let flag = if ends_in_leaf { 0x20 } else { 0x00 };
    let mut at = from;
    if nibbles.is_multiple_of(2) {
        out.push(flag);
    } else {
        out.push(flag | 0x10 | nibble(key, at));
        at += 1;
    }
    if at.is_multiple_of(2) {
        out.extend_from_slice(&key[usize::from(at / 2)..usize::from(to / 2)]);
    } else {
        out.extend((at..to).step_by(2).map(|at| nibble(key, at) << 4 | nibble(key, at + 1)));
    }
}
