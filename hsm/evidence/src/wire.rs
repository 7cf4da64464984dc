//! Structures as a TPM writes them: numbers with their high byte first, byte strings after their length.
//!
//! Source: Part 2 §10.2 and §10.4 (`TPM2B`).

use crate::EvidenceError;

/// Reads a structure from untrusted bytes, and nothing beyond them.
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Of `what`, as errors name it, which has `limit` bytes at most.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8], limit: usize) -> Result<Self, EvidenceError> {
        let reader = Self { what, rest: bytes };
        reader.bound(bytes.len(), limit)?;
        Ok(reader)
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], EvidenceError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(EvidenceError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(taken)
    }

    /// As [`take`](Self::take), with their number known beforehand.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], EvidenceError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(EvidenceError::Truncated { what: self.what })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, EvidenceError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, EvidenceError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, EvidenceError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, EvidenceError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A `TPM2B` of `limit` bytes at most.
    pub(crate) fn sized(&mut self, limit: usize) -> Result<&'a [u8], EvidenceError> {
        let count = usize::from(self.u16()?);
        self.bound(count, limit)?;
        self.take(count)
    }

    /// Says that `found` is too many.
    pub(crate) fn bound(&self, found: usize, limit: usize) -> Result<(), EvidenceError> {
        if found > limit {
            return Err(EvidenceError::TooLong { what: self.what, found, limit });
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Says that the structure is over.
    pub(crate) fn end(self) -> Result<(), EvidenceError> {
        if !self.rest.is_empty() {
            return Err(EvidenceError::Trailing { what: self.what, bytes: self.rest.len() });
        }
        Ok(())
    }
}

/// Writes a `TPM2B`.
pub(crate) fn put_sized(out: &mut Vec<u8>, what: &'static str, bytes: &[u8]) -> Result<(), EvidenceError> {
    let limit = usize::from(u16::MAX);
    let count = u16::try_from(bytes.len()).map_err(|_| EvidenceError::TooLong { what, found: bytes.len(), limit })?;
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_no_more() {
        let mut out = vec![7];
        put_sized(&mut out, "a test", b"abc").unwrap();
        assert_eq!(out, [7, 0, 3, b'a', b'b', b'c']);
        let mut reader = Reader::new("a test", &out, 6).unwrap();
        assert_eq!((reader.u8().unwrap(), reader.sized(3).unwrap()), (7, &b"abc"[..]));
        assert!(reader.is_empty());
        assert!(matches!(reader.u32(), Err(EvidenceError::Truncated { what: "a test" })));
        reader.end().unwrap();
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(matches!(Reader::new("a test", &[0; 7], 6), Err(EvidenceError::TooLong { found: 7, limit: 6, .. })));
        let mut reader = Reader::new("a test", &[0, 4, 1, 2, 3], 9).unwrap();
        assert!(matches!(reader.sized(3), Err(EvidenceError::TooLong { found: 4, limit: 3, .. })));
        let mut reader = Reader::new("a test", &[0, 4, 1, 2, 3], 9).unwrap();
        assert!(matches!(reader.sized(4), Err(EvidenceError::Truncated { .. })));
        let mut reader = Reader::new("a test", &[0, 1, 1, 2, 3], 9).unwrap();
        reader.sized(1).unwrap();
        assert!(matches!(reader.end(), Err(EvidenceError::Trailing { bytes: 2, .. })));
        assert!(put_sized(&mut Vec::new(), "a test", &[0; 65_536]).is_err());
    }
}
