//! Numbers that must be unique but the same in every build: made from what they belong to.

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

/// The UUID of something that is called `name` and belongs to what these bytes say: version 8 of RFC 9562 §5.8.
#[must_use]
pub fn uuid(name: &str, of: &[u8]) -> Uuid {
    let digest = digest(name, of);
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
    Builder::from_custom_bytes(*first).into_uuid()
}

/// The same with 32 bits, as FAT has them.
#[must_use]
pub fn serial(name: &str, of: &[u8]) -> u32 {
    let digest = digest(name, of);
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 4], &[]));
    u32::from_be_bytes(*first)
}

fn digest(name: &str, of: &[u8]) -> [u8; 32] {
    let name_bytes = (name.len() as u64).to_be_bytes();
    Sha256::new_with_prefix(name_bytes).chain_update(name).chain_update(of).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_depend_on_name_and_bytes() {
        let id = uuid("disk", b"root");
        assert_eq!((id, id.get_version_num()), (uuid("disk", b"root"), 8));
        assert_ne!(id, uuid("disk", b"toor"));
        assert_ne!(id, uuid("diskr", b"oot"));
        assert_ne!(serial("esp", b"root"), serial("esp", b"toor"));
    }
}
