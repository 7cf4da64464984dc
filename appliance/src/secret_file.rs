//! A secret in a file of its own, which only the box and whoever stands at its machine read.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use dolmen_hsm_api::private;
use zeroize::Zeroizing;

/// A secret's bytes at most: others may have been written by hand.
const BYTES_MAX: usize = 64;

/// The secret of a file, made where there is none. `what` is it for error messages.
pub(crate) fn open_or_make(
    path: &Path,
    what: &'static str,
    make: impl FnOnce() -> Zeroizing<String>,
) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => private::write_new(path, make().as_bytes())
            .with_context(|| format!("cannot write {what} {}", path.display()))?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {what} {}", path.display())),
    }
    load(path, what)
}

/// A new secret in the place of what was there.
pub(crate) fn renew(path: &Path, what: &'static str, secret: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    private::write(path, secret.as_bytes()).with_context(|| format!("cannot write {what} {}", path.display()))?;
    load(path, what)
}

/// The secret in a file.
pub(crate) fn load(path: &Path, what: &'static str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    private::read_line(path, BYTES_MAX, "read the secret").with_context(|| format!("{what} {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let open = |text: &str| open_or_make(&path, "the secret", || Zeroizing::new(text.to_owned())).unwrap();
        assert_eq!(open("first").as_slice(), b"first");
        assert_eq!(open("second").as_slice(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(&path).unwrap();
        assert_eq!(open("third").as_slice(), b"third");
        assert_eq!(renew(&path, "the secret", "fourth").unwrap().as_slice(), b"fourth");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "x".repeat(100)).unwrap();
        let error = format!("{:#}", load(&path, "the secret").unwrap_err());
        assert!(error.contains("the secret") && error.contains(path.to_str().unwrap()), "{error}");
    }
}
