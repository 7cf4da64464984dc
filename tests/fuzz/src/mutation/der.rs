//! Changing an element of DER (ITU-T X.690), so that all lengths around it still fit.

use super::{Random, blind};

const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;
const CONSTRUCTED: u8 = 0x20;
/// Elements within elements; certificates in CMS have some fifteen.
const DEPTH_MAX: u8 = 24;
/// Tags that a decoder may take for another.
const TAGS: [u8; 12] = [0x02, 0x03, 0x04, 0x05, 0x06, 0x0c, 0x13, 0x17, 0x18, 0x30, 0x31, 0xa0];

/// An element.
#[derive(Clone)]
struct Element {
    tag: u8,
    /// What stands before the content: the number of unused bits in a BIT STRING.
    prefix: Vec<u8>,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Bytes(Vec<u8>),
    Elements(Vec<Element>),
}

/// Changes an element; none for bytes that are no DER.
pub(super) fn change(random: &mut Random, der: &[u8], others: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut elements = read_all(der, 0).filter(|elements| !elements.is_empty())?;
    let count = count(&elements);
    let (mut donor, mut place) = (random.below(count), random.below(count));
    let donor = find(&elements, &mut donor).cloned()?;
    change_at(random, &mut elements, &mut place, &donor, others);
    Some(write_all(&elements))
}

fn change_at(
    random: &mut Random,
    elements: &mut Vec<Element>,
    place: &mut usize,
    donor: &Element,
    others: &[Vec<u8>],
) -> bool {
    for at in 0..elements.len() {
        if *place == 0 {
            match random.below(8) {
                0 => drop(elements.remove(at)),
                1 => elements.insert(at, elements[at].clone()),
                2 => elements[at] = donor.clone(),
                3 => elements.insert(at, donor.clone()),
                4 => elements[at].tag = *random.pick(&TAGS),
                5 => {
                    let other = random.below(elements.len());
                    elements.swap(at, other);
                }
                _ => {
                    let bytes = blind(random, &elements[at].content(), others);
                    elements[at].content = Content::Bytes(bytes);
                }
            }
            return true;
        }
        *place -= 1;
        if let Content::Elements(inner) = &mut elements[at].content
            && change_at(random, inner, place, donor, others)
        {
            return true;
        }
    }
    false
}

fn count(elements: &[Element]) -> usize {
    let inner = |element: &Element| match &element.content {
        Content::Bytes(_) => 0,
        Content::Elements(inner) => count(inner),
    };
    elements.iter().map(|element| 1 + inner(element)).sum()
}

fn find<'a>(elements: &'a [Element], place: &mut usize) -> Option<&'a Element> {
    for element in elements {
        if *place == 0 {
            return Some(element);
        }
        *place -= 1;
        if let Content::Elements(inner) = &element.content
            && let Some(found) = find(inner, place)
        {
            return Some(found);
        }
    }
    None
}

/// All of these bytes, element by element.
fn read_all(mut der: &[u8], depth: u8) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    while !der.is_empty() {
        let (element, rest) = read(der, depth)?;
        elements.push(element);
        der = rest;
    }
    Some(elements)
}

fn read(der: &[u8], depth: u8) -> Option<(Element, &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let skipped = usize::from(*tag == BIT_STRING && content.first() == Some(&0));
    // Strings hold DER now and then: keys, extensions, contents of messages.
    let may_hold = tag & CONSTRUCTED != 0 || matches!(*tag, OCTET_STRING | BIT_STRING);
    let inner = if may_hold && depth < DEPTH_MAX { read_all(&content[skipped..], depth + 1) } else { None };
    let inner = inner.filter(|inner| tag & CONSTRUCTED != 0 || !inner.is_empty());
    let content_of = Content::Bytes(content[skipped..].to_vec());
    let content_of = inner.map_or(content_of, Content::Elements);
    Some((Element { tag: *tag, prefix: content[..skipped].to_vec(), content: content_of }, rest))
}

impl Element {
    fn content(&self) -> Vec<u8> {
        match &self.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Elements(elements) => write_all(elements),
        }
    }

    fn write(&self) -> Vec<u8> {
        wrap(self.tag, &[&self.prefix[..], &self.content()].concat())
    }
}

fn write_all(elements: &[Element]) -> Vec<u8> {
    elements.iter().flat_map(Element::write).collect()
}

/// An element of these bytes.
fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut bytes = vec![tag];
    if !matches!(length, [0..0x80]) {
        bytes.push(0x80 | u8::try_from(length.len()).expect("eight bytes at most"));
    }
    bytes.extend_from_slice(length);
    bytes.extend_from_slice(content);
    bytes
}

/// A content, signed: `SEQUENCE { content, ecdsa-with-SHA256, signature }`, as certificates, requests and lists are.
pub(crate) fn sealed(content: &[u8], sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Vec<u8> {
    const ECDSA_WITH_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let signature = sign(content);
    let numbers = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let signature = [&[0][..], &wrap(0x30, &numbers)].concat();
    wrap(0x30, &[content, ECDSA_WITH_SHA256, &wrap(BIT_STRING, &signature)].concat())
}

fn integer(number: &[u8]) -> Vec<u8> {
    let number = &number[number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1)..];
    let sign = if number[0] >= 0x80 { &[0][..] } else { &[] };
    wrap(0x02, &[sign, number].concat())
}

/// The first element within the outermost: what is signed.
pub(crate) fn content(der: &[u8]) -> Option<Vec<u8>> {
    let (outermost, _) = read(der, 0)?;
    match &outermost.content {
        Content::Elements(elements) => elements.first().map(Element::write),
        Content::Bytes(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DER: [u8; 14] = [0x30, 12, 0x02, 1, 5, 0x03, 7, 0, 0x30, 4, 0x04, 2, 8, 9];

    #[test]
    fn what_is_read_is_written() {
        let elements = read_all(&DER, 0).unwrap();
        assert_eq!((count(&elements), write_all(&elements)), (5, DER.to_vec()));
        assert_eq!(content(&DER).unwrap(), [0x02, 1, 5]);
        for length in [0, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let der = wrap(0x04, &vec![0xff; length]);
            assert_eq!(write_all(&read_all(&der, 0).unwrap()), der);
        }
        assert!(read_all(&DER[..13], 0).is_none());
        assert!(read_all(b"text", 0).is_none());
    }

    #[test]
    fn lengths_fit_after_a_change() {
        for seed in 0..500 {
            let changed = change(&mut Random::new(seed), &DER, &[]).unwrap();
            assert!(read_all(&changed, DEPTH_MAX).is_some(), "{seed}: {changed:02x?}");
        }
    }
}
