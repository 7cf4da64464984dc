//! The claim code: who reads it on the box's own screen is in front of the box.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use dolmen_hsm_api::private;
use zeroize::Zeroizing;

/// The code's file in the box's directory.
pub(super) const FILE: &str = "claim-code";
/// Crockford's Base32: no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Three groups of four: 60 bits, too many to try at a server that makes one wait.
const GROUPS: usize = 3;
const GROUP: usize = 4;

/// Makes the code where there is none.
pub(super) fn open_or_make(directory: &Path) -> anyhow::Result<()> {
    let path = directory.join(FILE);
    match fs::symlink_metadata(&path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let code = make();
            private::write_new(&path, code.as_bytes())
                .with_context(|| format!("cannot write the claim code {}", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read the claim code {}", path.display())),
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_code_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let code = || fs::read_to_string(dir.path().join(FILE)).unwrap();
        open_or_make(dir.path()).unwrap();
        let first = code();
        let groups: Vec<_> = first.split('-').collect();
        assert!(groups.len() == GROUPS && groups.iter().all(|group| group.len() == GROUP), "{first}");
        assert!(first.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{first}");
        open_or_make(dir.path()).unwrap();
        assert_eq!(code(), first);
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(dir.path().join(FILE)).unwrap();
        open_or_make(dir.path()).unwrap();
        assert_ne!(code(), first);
    }
}
