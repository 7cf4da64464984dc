//! Changing inputs: what a fuzzer does that knows of lengths, texts and structures.
//!
//! Blind changes rarely get past the first length of nested structures. So half of the changes are made to an element of
//! the structure that the input has (DER, JSON, base64), and all lengths around it are made to fit again.

mod der;
mod json;
mod random;

use base64ct::{Base64, Encoding as _};

pub(crate) use der::{content, sealed};
pub use random::Random;

/// Bytes of the longest input that is made: longer ones make a fuzzer slow and find nothing more.
const BYTES_MAX: usize = 256 << 10;
/// Structures within structures, such as a certificate in base64 in JSON in CMS.
const DEPTH_MAX: u8 = 4;
/// Bytes that are looked at as base64 at least: shorter words pass for it by chance.
const BASE64_BYTES_MIN: usize = 8;
/// Bytes of a line of base64 (RFC 2045 §6.8).
const LINE_BYTES: usize = 76;

/// Numbers at which decoders go wrong. Narrower fields take the low bytes.
const NUMBERS: [u64; 17] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x1000,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Words that mean something to one of the decoders.
const WORDS: [&[u8]; 20] = [
    b"null",
    b"true",
    b"-1",
    b"1e9",
    b"18446744073709551616",
    b"\"\"",
    b"\\u0000",
    b"{}",
    b"[",
    b",",
    b"\n",
    b"\r\n",
    b"\x1e",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x30\x80",
    b"\x30\x84\x7f\xff\xff\xff",
    b"\xa0\x00",
    b"-----BEGIN CERTIFICATE-----",
    b"= \"\"\"",
];

/// Changes an input in one to four places. `others` are inputs that parts are taken from.
pub fn mutate(random: &mut Random, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        bytes = change(random, &bytes, others, DEPTH_MAX);
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn change(random: &mut Random, input: &[u8], others: &[Vec<u8>], depth: u8) -> Vec<u8> {
    if depth == 0 || random.below(2) == 0 {
        return blind(random, input, others);
    }
    let structured = json::change(random, input, others, depth)
        .or_else(|| within_base64(random, input, others, depth))
        .or_else(|| der::change(random, input, others));
    structured.unwrap_or_else(|| blind(random, input, others))
}

/// Changes what a text in base64 stands for.
fn within_base64(random: &mut Random, text: &[u8], others: &[Vec<u8>], depth: u8) -> Option<Vec<u8>> {
    let joined: String = text.iter().filter(|byte| !byte.is_ascii_whitespace()).copied().map(char::from).collect();
    let bytes = Base64::decode_vec(&joined).ok().filter(|bytes| bytes.len() >= BASE64_BYTES_MIN)?;
    let changed = Base64::encode_string(&change(random, &bytes, others, depth - 1)).into_bytes();
    if joined.len() == text.len() {
        return Some(changed);
    }
    Some(changed.chunks(LINE_BYTES).collect::<Vec<_>>().join(&b"\r\n"[..]))
}

/// Changes bytes, whatever they are.
fn blind(random: &mut Random, input: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if bytes.is_empty() {
        return vec![random.byte()];
    }
    let at = random.below(bytes.len());
    match random.below(10) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.byte(),
        2 => put_number(random, &mut bytes[at..]),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(random.range(input.len()))),
        5 => bytes.extend_from_within(random.range(input.len())),
        6 => drop(bytes.splice(at..at, random.pick(&WORDS).iter().copied())),
        7 => {
            let filling = random.byte();
            bytes[random.range(input.len())].fill(filling);
        }
        8 => bytes[at] = bytes[at].wrapping_add(if random.below(2) == 0 { 1 } else { u8::MAX }),
        _ => {
            let part = others.get(random.below(others.len().max(1))).filter(|other| !other.is_empty());
            let part = part.map_or(&b"\0"[..], |other| &other[random.range(other.len())]);
            drop(bytes.splice(random.range(input.len()), part.iter().copied()));
        }
    }
    bytes
}

/// Puts a number in, of one to eight bytes, with its high byte first or last.
fn put_number(random: &mut Random, field: &mut [u8]) {
    let number = *random.pick(&NUMBERS);
    let width = (1 << random.below(4)).min(field.len());
    if random.below(2) == 0 {
        field[..width].copy_from_slice(&number.to_le_bytes()[..width]);
    } else {
        field[..width].copy_from_slice(&number.to_be_bytes()[8 - width..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_input() {
        let input = br#"{"a":[1,"MAMCAQEwAwIBAQ=="],"b":{"c":null}}"#;
        let made = |seed| mutate(&mut Random::new(seed), input, &[vec![7; 9]]);
        let inputs: Vec<_> = (0..500).map(made).collect();
        assert_eq!(inputs, (0..500).map(made).collect::<Vec<_>>());
        let different: std::collections::BTreeSet<_> = inputs.iter().collect();
        assert!(different.len() > 300, "{}", different.len());
    }

    /// Base64 in JSON is still base64 in JSON after some of the changes, with something else in it.
    #[test]
    fn changes_reach_what_is_nested() {
        let inside = |text: &[u8]| {
            let text = text.strip_prefix(br#"{"a":""#)?.strip_suffix(br#""}"#)?;
            Base64::decode_vec(std::str::from_utf8(text).ok()?).ok()
        };
        let input = br#"{"a":"MAoCAQEEBTADAgEB"}"#;
        let der = inside(input).unwrap();
        let made = (0..2000).filter_map(|seed| inside(&change(&mut Random::new(seed), input, &[], DEPTH_MAX)));
        let changed: Vec<_> = made.filter(|made| *made != der).collect();
        assert!(changed.len() > 200, "{}", changed.len());
        // And the lengths around the innermost element fit.
        let whole = |der: &&Vec<u8>| der.len() > 2 && der[0] == 0x30 && usize::from(der[1]) == der.len() - 2;
        assert!(changed.iter().filter(whole).count() > 100);
    }
}
