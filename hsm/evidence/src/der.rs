//! As much DER as the extensions of a certificate need, which OpenSSL does not give away.
//!
//! Sources: X.690 §8 and §10, RFC 5280 §4.1 and §4.2.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[3]`, where a certificate has its extensions.
const EXTENSIONS: u8 = 0xa3;
/// `[4]`, a directory's name among other names.
const DIRECTORY_NAME: u8 = 0xa4;

/// An element: its tag, its content, and what follows it. None where there is no whole element in DER.
pub(crate) fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        // 16 MiB are enough.
        if length.is_empty() || length.len() > 3 {
            return None;
        }
        (length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The elements that make up a content.
fn elements(mut content: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut elements = Vec::new();
    while !content.is_empty() {
        let (tag, inner, rest) = element(content)?;
        elements.push((tag, inner));
        content = rest;
    }
    Some(elements)
}

/// The only element of `bytes`, which has this tag.
fn only(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    element(bytes).filter(|(found, _, rest)| *found == tag && rest.is_empty()).map(|(_, content, _)| content)
}

/// The extensions of a certificate: the content of each identifier, and its value. None if it is no certificate in DER.
pub(crate) fn extensions(certificate: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let (tag, to_be_signed, _) = element(only(SEQUENCE, certificate)?)?;
    if tag != SEQUENCE {
        return None;
    }
    let fields = elements(to_be_signed)?;
    let Some((_, extensions)) = fields.into_iter().find(|(tag, _)| *tag == EXTENSIONS) else {
        return Some(Vec::new());
    };
    elements(only(SEQUENCE, extensions)?)?
        .into_iter()
        .map(|(tag, extension)| {
            let parts = if tag == SEQUENCE { elements(extension)? } else { return None };
            match parts[..] {
                [(OBJECT_IDENTIFIER, id), (OCTET_STRING, value)]
                | [(OBJECT_IDENTIFIER, id), (BOOLEAN, _), (OCTET_STRING, value)] => Some((id, value)),
                _ => None,
            }
        })
        .collect()
}

/// The identifiers in an extended key usage.
pub(crate) fn identifiers(usage: &[u8]) -> Option<Vec<&[u8]>> {
    let identifiers = elements(only(SEQUENCE, usage)?)?;
    identifiers.into_iter().map(|(tag, id)| (tag == OBJECT_IDENTIFIER).then_some(id)).collect()
}

/// The attributes of the directories' names in a subject alternative name: identifiers and the contents of strings.
pub(crate) fn directory_attributes(names: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut attributes = Vec::new();
    for (tag, name) in elements(only(SEQUENCE, names)?)? {
        if tag != DIRECTORY_NAME {
            continue;
        }
        for (tag, set) in elements(only(SEQUENCE, name)?)? {
            for (inner, attribute) in elements(set)? {
                let parts = elements(attribute)?;
                if let (SET, SEQUENCE, [(OBJECT_IDENTIFIER, id), (_, value)]) = (tag, inner, &parts[..]) {
                    attributes.push((*id, *value));
                }
            }
        }
    }
    Some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_definite_lengths() {
        assert_eq!(element(&[4, 2, 7, 8, 9]), Some((4, &[7, 8][..], &[9][..])));
        assert_eq!(element(&[4, 0x81, 1, 7]), Some((4, &[7][..], &b""[..])));
        for bytes in [&b""[..], &[4], &[4, 3, 1, 2], &[4, 0x80, 0, 0], &[4, 0x84, 0, 0, 0, 1, 7], &[0x1f, 1, 1, 7]] {
            assert_eq!(element(bytes), None, "{bytes:?}");
        }
    }
}
