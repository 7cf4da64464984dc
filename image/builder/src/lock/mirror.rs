//! Where this machine has its Debian packages from.

use crate::process::{self, ProcessError};

/// What apt tells of each of its lists: the archive's address, and whose archive it says it is.
const FORMAT: &str = "$(REPO_URI)|$(ORIGIN)|$(LABEL)";
/// Debian's own archive; the one with security updates alone has another label.
const DEBIAN: [&str; 2] = ["Debian", "Debian"];

/// Why no mirror is known.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// apt does not answer.
    #[error("cannot ask apt for this machine's mirror; name one with --mirror URL")]
    Apt(#[source] ProcessError),
    /// None of its lists is from a mirror of Debian.
    #[error("apt has no list of a mirror of Debian; run `apt-get update` as root, or name one with --mirror URL")]
    None,
}

/// The address of the mirror of Debian that this machine's apt uses, without a slash at its end.
///
/// # Errors
///
/// [`MirrorError`] where apt knows none.
pub fn mirror() -> Result<String, MirrorError> {
    let arguments = ["indextargets", "--format", FORMAT, "Created-By: Packages"];
    let targets = process::text(&mut process::command("apt-get", arguments)).map_err(MirrorError::Apt)?;
    first_of_debian(&targets).ok_or(MirrorError::None)
}

fn first_of_debian(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let mut fields = line.split('|');
        let address = fields.next()?;
        fields.eq(DEBIAN).then(|| address.trim_end_matches('/').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_archives_are_passed_over() {
        let targets = "https://packages.example/|Example|Example\n\
                       http://mirror.example/debian-security/|Debian|Debian-Security\n\
                       http://mirror.example/debian/|Debian|Debian\n\
                       http://other.example/debian/|Debian|Debian\n";
        assert_eq!(first_of_debian(targets).as_deref(), Some("http://mirror.example/debian"));
        // As it is before the first update.
        assert_eq!(first_of_debian("http://mirror.example/debian/|$(ORIGIN)|$(LABEL)\n"), None);
        assert_eq!(first_of_debian(""), None);
    }
}
