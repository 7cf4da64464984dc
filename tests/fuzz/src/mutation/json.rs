//! Changing a value of JSON (RFC 8259). The rest of the text stays as it is, byte by byte: many of the decoders take one
//! form of a text and no other.

use std::ops::Range;

use super::{Random, blind, change as change_any};

/// Values within values.
const DEPTH_MAX: u8 = 24;
/// What takes a value's place.
const VALUES: [&[u8]; 15] = [
    b"null",
    b"true",
    b"0",
    b"1",
    b"-1",
    b"255",
    b"65536",
    b"4294967296",
    b"18446744073709551615",
    b"1.5e300",
    b"\"\"",
    b"\"\\u0000\\ud800\"",
    b"[]",
    b"{}",
    b"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
];

/// A value, or a member with its name.
#[derive(Clone, Debug)]
struct Part {
    bytes: Range<usize>,
    is_string: bool,
}

/// Changes a value; none for bytes that are no JSON.
pub(super) fn change(random: &mut Random, text: &[u8], others: &[Vec<u8>], depth: u8) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    let end = value(text, space(text, 0), 0, &mut parts)?;
    if space(text, end) != text.len() || !matches!(text.get(space(text, 0)), Some(b'{' | b'[' | b'"')) {
        return None;
    }
    let part = random.pick(&parts).clone();
    let own = &text[part.bytes.clone()];
    let replaced = match random.below(6) {
        0 => random.pick(&VALUES).to_vec(),
        1 => text[random.pick(&parts).bytes.clone()].to_vec(),
        2 => return Some(without(text, &part.bytes)),
        3 => [own, b",", own].concat(),
        _ if part.is_string => {
            [b"\"", &change_any(random, &own[1..own.len() - 1], others, depth - 1)[..], b"\""].concat()
        }
        _ => blind(random, own, others),
    };
    Some([&text[..part.bytes.start], &replaced, &text[part.bytes.end..]].concat())
}

/// The text without a part, and without the comma that it then has too many.
fn without(text: &[u8], part: &Range<usize>) -> Vec<u8> {
    let (mut start, mut end) = (part.start, part.end);
    if text.get(end) == Some(&b',') {
        end += 1;
    } else if start > 0 && text[start - 1] == b',' {
        start -= 1;
    }
    [&text[..start], &text[end..]].concat()
}

fn space(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where the value ends that begins here.
fn value(text: &[u8], at: usize, depth: u8, parts: &mut Vec<Part>) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    let place = parts.len();
    parts.push(Part { bytes: at..at, is_string: false });
    let end = match text.get(at)? {
        b'"' => {
            parts[place].is_string = true;
            string(text, at)?
        }
        b'{' => list(text, at, b'}', |text, at, parts| member(text, at, depth, parts), parts)?,
        b'[' => list(text, at, b']', |text, at, parts| value(text, at, depth + 1, parts), parts)?,
        _ => {
            let word = text[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
            let end = at + word.count();
            (end > at).then_some(end)?
        }
    };
    parts[place].bytes.end = end;
    Some(end)
}

fn member(text: &[u8], at: usize, depth: u8, parts: &mut Vec<Part>) -> Option<usize> {
    let colon = space(text, string(text, at)?);
    if text.get(colon) != Some(&b':') {
        return None;
    }
    let place = parts.len();
    parts.push(Part { bytes: at..at, is_string: false });
    let end = value(text, space(text, colon + 1), depth + 1, parts)?;
    parts[place].bytes.end = end;
    Some(end)
}

fn list(
    text: &[u8],
    at: usize,
    close: u8,
    mut item: impl FnMut(&[u8], usize, &mut Vec<Part>) -> Option<usize>,
    parts: &mut Vec<Part>,
) -> Option<usize> {
    let mut at = space(text, at + 1);
    if text.get(at) == Some(&close) {
        return Some(at + 1);
    }
    loop {
        at = space(text, item(text, at, parts)?);
        match text.get(at)? {
            b',' => at = space(text, at + 1),
            byte if *byte == close => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Where the string ends that begins here.
fn string(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_are_parts() {
        let text = br#" {"a": [1, "x\"y", null], "b":{}} "#;
        let mut parts = Vec::new();
        assert_eq!(value(text, 1, 0, &mut parts), Some(text.len() - 1));
        let found: Vec<_> = parts.iter().map(|part| std::str::from_utf8(&text[part.bytes.clone()]).unwrap()).collect();
        let list = r#"[1, "x\"y", null]"#;
        let member = format!("\"a\": {list}");
        assert_eq!(found[1..], [&member, list, "1", r#""x\"y""#, "null", r#""b":{}"#, "{}"]);
        for text in ["", "{", "{\"a\"}", "[1 2]", "\"a", "[\"\\", "{\"a\":1,}"] {
            assert!(change(&mut Random::new(1), text.as_bytes(), &[], 1).is_none(), "{text}");
        }
    }

    #[test]
    fn a_part_is_left_out_with_its_comma() {
        for (text, part, left) in [("[1,2]", 1..2, "[2]"), ("[1,2]", 3..4, "[1]"), ("[1]", 1..2, "[]")] {
            assert_eq!(without(text.as_bytes(), &part), left.as_bytes());
        }
    }
}
