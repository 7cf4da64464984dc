//! The claim code: who reads it on the box's own screen is in front of the box.

use std::path::Path;

use zeroize::Zeroizing;

use crate::secret_file;

/// The code's file in the box's directory.
pub(crate) const FILE: &str = "claim-code";
const WHAT: &str = "the claim code";
/// Crockford's Base32: no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Three groups of four: 60 bits, too many to try at a server that makes one wait.
const GROUPS: usize = 3;
const GROUP: usize = 4;

/// The code of a box, made where there is none.
pub(crate) fn open_or_make(directory: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    secret_file::open_or_make(&directory.join(FILE), WHAT, make)
}

/// Another code for a box that has users: at each start, so that who powers it and reads its screen can come back in.
pub(crate) fn renew(directory: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    secret_file::renew(&directory.join(FILE), WHAT, &make())
}

/// Takes a code away that was used: each counts once.
pub(crate) fn used(directory: &Path) {
    let path = directory.join(FILE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "the box's screen goes on to show a code that was used");
        }
        _ => {}
    }
}

fn make() -> Zeroizing<String> {
    let random = Zeroizing::new(rand::random::<[u8; GROUPS * GROUP]>());
    let mut code = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
    for (index, byte) in random.iter().enumerate() {
        if index > 0 && index % GROUP == 0 {
            code.push('-');
        }
        code.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_can_be_read_aloud() {
        let first = make();
        let groups: Vec<_> = first.split('-').collect();
        assert!(groups.len() == GROUPS && groups.iter().all(|group| group.len() == GROUP), "{groups:?}");
        assert!(first.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)));
        assert_ne!(*make(), *first);
    }
}
