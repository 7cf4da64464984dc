//! The table of signatures at an image's end ("PE Format", attribute certificate table): each a `WIN_CERTIFICATE`,
//! which is a length, a version, a kind, and the signature, at a multiple of 8 bytes.

use super::AuthenticodeError;
use crate::{
    bytes::{put, u16_at, usize_at},
    limits::{SIGNATURES_BYTES_MAX, SIGNATURES_MAX},
    pe::{DATA_DIRECTORY_LENGTH, Image, set_checksum},
};

const HEADER_LENGTH: usize = 8;
const ALIGNMENT: usize = 8;
/// `WIN_CERT_REVISION_2_0`.
const REVISION: u16 = 0x0200;
/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const PKCS_SIGNED_DATA: u16 = 0x0002;

/// The signatures of an image, in their order: CMS `ContentInfo` in DER, maybe with zeros behind it.
pub(super) fn read<'a>(image: &Image<'a>) -> Result<Vec<&'a [u8]>, AuthenticodeError> {
    let mut table = image.certificate_table();
    let too_many = |what, found, limit| AuthenticodeError::TooMany { what, found, limit };
    if table.len() > SIGNATURES_BYTES_MAX {
        return Err(too_many("bytes of signatures", table.len(), SIGNATURES_BYTES_MAX));
    }
    let mut signatures = Vec::new();
    while !table.is_empty() {
        if signatures.len() == SIGNATURES_MAX {
            return Err(too_many("signatures", SIGNATURES_MAX + 1, SIGNATURES_MAX));
        }
        let length = usize_at(table, 0).filter(|length| (HEADER_LENGTH..=table.len()).contains(length));
        let length = length.ok_or(AuthenticodeError::Table("an entry's length"))?;
        if (u16_at(table, 4), u16_at(table, 6)) != (Some(REVISION), Some(PKCS_SIGNED_DATA)) {
            return Err(AuthenticodeError::Table("an entry's kind"));
        }
        signatures.push(&table[HEADER_LENGTH..length]);
        // The last one may lack its padding.
        table = &table[length.next_multiple_of(ALIGNMENT).min(table.len())..];
    }
    Ok(signatures)
}

/// The image with zeros at its end so that a table can follow; the signature has to cover them.
pub(super) fn pad(image: &Image<'_>) -> Vec<u8> {
    let mut bytes = image.unsigned().to_vec();
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
    bytes
}

/// Adds a signature behind those that are there. The image is padded.
pub(super) fn append(image: &Image<'_>, signature: &[u8]) -> Result<Vec<u8>, AuthenticodeError> {
    let mut table = image.certificate_table().to_vec();
    table.resize(table.len().next_multiple_of(ALIGNMENT), 0);
    // The length is without padding, as sbsign has it, the directory's with it.
    let length = HEADER_LENGTH + signature.len();
    let end = table.len() + length.next_multiple_of(ALIGNMENT);
    let field = u32::try_from(length).ok().filter(|_| end <= SIGNATURES_BYTES_MAX);
    let limit = SIGNATURES_BYTES_MAX;
    let field = field.ok_or(AuthenticodeError::TooMany { what: "bytes of signatures", found: end, limit })?;
    table.extend_from_slice(&field.to_le_bytes());
    table.extend_from_slice(&REVISION.to_le_bytes());
    table.extend_from_slice(&PKCS_SIGNED_DATA.to_le_bytes());
    table.extend_from_slice(signature);
    table.resize(end, 0);
    Ok(with_table(image, &table))
}

/// Removes all signatures. What the image was padded with before it was signed stays.
pub(super) fn remove(image: &Image<'_>) -> Vec<u8> {
    with_table(image, &[])
}

fn with_table(image: &Image<'_>, table: &[u8]) -> Vec<u8> {
    let mut bytes = image.unsigned().to_vec();
    // Both are bounded far below 4 GiB.
    let number = |length| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let mut directory = [0; DATA_DIRECTORY_LENGTH];
    if !table.is_empty() {
        put(&mut directory, 0, &number(bytes.len()));
        put(&mut directory, 4, &number(table.len()));
    }
    put(&mut bytes, image.certificate_directory(), &directory);
    bytes.extend_from_slice(table);
    set_checksum(&mut bytes, image.header());
    bytes
}
