//! How large the parts of a message are, before any is read.

use der::{AnyRef, Decode, Reader, SliceReader, Tag, TagNumber, Tagged as _, asn1::ObjectIdentifier};

use super::CmsError;
use crate::{
    limits::{CERTIFICATE_BYTES_MAX, SIGNED_CERTIFICATES_MAX, SIGNERS_BYTES_MAX},
    oid::SIGNED_DATA,
};

const fn context_specific(number: u32) -> Tag {
    Tag::ContextSpecific { constructed: true, number: TagNumber(number) }
}

/// Refuses messages that would be work to read: each field of `SignedData` has its bound. What the fields are is left
/// to those who read them.
pub(super) fn check(der: &[u8], bytes_max: usize) -> Result<(), CmsError> {
    if der.is_empty() {
        return Err(CmsError::Bytes { what: "the message", found: 0, limit: bytes_max });
    }
    check_bytes("the message", der.len(), bytes_max)?;
    for (index, field) in fields(der).map_err(CmsError::der("the message"))?.into_iter().enumerate() {
        let bytes = field.value().len();
        if field.tag() == context_specific(0) {
            check_certificates(field.value())?;
        } else if field.tag() == context_specific(1) {
            return Err(CmsError::Unsupported("it has lists of revoked certificates"));
        } else if index != CONTENT {
            check_bytes("what says who signed", bytes, SIGNERS_BYTES_MAX)?;
        }
    }
    Ok(())
}

/// Which field of `SignedData` has the content, which may fill a message.
const CONTENT: usize = 2;
/// Version, digest algorithms, content, certificates, revocations, signers.
const FIELDS_MAX: usize = 6;

fn fields(der: &[u8]) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(der)?;
    let content = reader.sequence(|reader| {
        if ObjectIdentifier::decode(reader)? != SIGNED_DATA {
            return Err(Tag::ObjectIdentifier.value_error().into());
        }
        let content = AnyRef::decode(reader)?;
        content.tag().assert_eq(context_specific(0))?;
        Ok::<_, der::Error>(content)
    })?;
    reader.finish()?;
    let signed_data = AnyRef::from_der(content.value())?;
    signed_data.tag().assert_eq(Tag::Sequence)?;
    elements(signed_data.value(), FIELDS_MAX)
}

fn check_certificates(set: &[u8]) -> Result<(), CmsError> {
    let certificates =
        elements(set, SIGNED_CERTIFICATES_MAX + 1).map_err(CmsError::der("the message's certificates"))?;
    if certificates.len() > SIGNED_CERTIFICATES_MAX {
        return Err(CmsError::Certificates { found: certificates.len(), limit: SIGNED_CERTIFICATES_MAX });
    }
    let longest = certificates.iter().map(|certificate| certificate.value().len()).max();
    check_bytes("a certificate in the message", longest.unwrap_or(0), CERTIFICATE_BYTES_MAX)
}

/// The first elements of those that follow each other, up to `max`.
fn elements(bytes: &[u8], max: usize) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut elements = Vec::new();
    while !reader.is_finished() && elements.len() < max {
        elements.push(AnyRef::decode(&mut reader)?);
    }
    Ok(elements)
}

fn check_bytes(what: &'static str, found: usize, limit: usize) -> Result<(), CmsError> {
    if found > limit { Err(CmsError::Bytes { what, found, limit }) } else { Ok(()) }
}
