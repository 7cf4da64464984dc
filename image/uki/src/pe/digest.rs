//! Digests and checksums of images.

use sha2::{Digest as _, Sha256};

use super::{
    Image,
    image::{CHECKSUM, DATA_DIRECTORY_LENGTH},
};
use crate::bytes::put;

/// SHA-256 of an image: what a signature covers, and what firmware measures.
pub type Digest = [u8; 32];

impl Image<'_> {
    /// The image's digest by Authenticode ("Calculating the PE Image Hash"): of everything but the checksum, the place
    /// of the signatures, and the signatures.
    ///
    /// Firmware measures this into register 4 of the TPM. A signature covers it too: signing an image whose length is
    /// no multiple of 8 pads it with zeros first, by which the digest changes, so ask the signed image for what
    /// firmware will measure.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (checksum, directory) = (self.pe + CHECKSUM, self.certificate_directory());
        let bytes = self.unsigned();
        let mut hasher = Sha256::new();
        hasher.update(&bytes[..checksum]);
        hasher.update(&bytes[checksum + 4..directory]);
        // Headers, sections in the order of the file, and what follows them: the rest as it is, since there are no
        // gaps.
        hasher.update(&bytes[directory + DATA_DIRECTORY_LENGTH..]);
        hasher.finalize().into()
    }
}

/// Writes the checksum ("PE Format", `CheckSum`) of an image whose header is at `pe`. UEFI does not look at it, but
/// other tools complain about a wrong one.
pub(crate) fn set_checksum(bytes: &mut [u8], pe: usize) {
    put(bytes, pe + CHECKSUM, &[0; 4]);
    let checksum = checksum(bytes);
    put(bytes, pe + CHECKSUM, &checksum.to_le_bytes());
}

/// The sum of all 16-bit words, carries added in again, and the length. The checksum itself is zero in it.
fn checksum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) | word.get(1).map_or(0, |high| u32::from(*high) << 8));
    let sum = words.fold(0_u32, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    let length = u32::try_from(bytes.len()).expect("images are smaller than 4 GiB");
    sum.wrapping_add(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_carry_around() {
        assert_eq!(checksum(&[]), 0);
        assert_eq!(checksum(&[0x34, 0x12]), 0x1234 + 2);
        assert_eq!(checksum(&[0xff, 0xff, 0x02, 0x00]), 2 + 4);
        assert_eq!(checksum(&[0xff, 0xff, 0x01, 0x00, 0x07]), 1 + 7 + 5);
    }
}
