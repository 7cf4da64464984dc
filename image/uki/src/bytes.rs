//! Numbers in bytes, low byte first, as PE files and firmware have them.

/// The `N` bytes from `offset` on; none where there are fewer.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// A 16-bit number.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}

/// A 32-bit number.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// A 32-bit number that is an offset or a size.
pub(crate) fn usize_at(bytes: &[u8], offset: usize) -> Option<usize> {
    u32_at(bytes, offset).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// Replaces the bytes from `offset` on, which are there.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}
