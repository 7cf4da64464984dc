//! Where the operations are (RFC 7030 §3.2.2).

use super::EstError;
use crate::{limits::LABEL_CHARS_MAX, name::shorten};

/// What all paths begin with.
pub const PREFIX: &str = "/.well-known/est";

/// What a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// The authority's certificates. `GET`.
    CaCerts,
    /// A first certificate. `POST`.
    SimpleEnroll,
    /// A certificate in the place of another. `POST`.
    SimpleReenroll,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::CaCerts, Self::SimpleEnroll, Self::SimpleReenroll];

    /// Its name in a path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaCerts => "cacerts",
            Self::SimpleEnroll => "simpleenroll",
            Self::SimpleReenroll => "simplereenroll",
        }
    }

    /// The method by which it is asked for.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::CaCerts => "GET",
            Self::SimpleEnroll | Self::SimpleReenroll => "POST",
        }
    }

    /// Its path, at an authority that has more than one by a label.
    ///
    /// # Errors
    ///
    /// [`EstError::Label`].
    pub fn path(self, label: Option<&str>) -> Result<String, EstError> {
        match label {
            None => Ok(format!("{PREFIX}/{}", self.name())),
            Some(label) if is_label(label) => Ok(format!("{PREFIX}/{label}/{}", self.name())),
            Some(label) => Err(EstError::Label(shorten(label))),
        }
    }

    /// Reads a path: the operation, and the label.
    ///
    /// # Errors
    ///
    /// [`EstError::Path`] and [`EstError::Label`].
    pub fn parse(path: &str) -> Result<(Self, Option<&str>), EstError> {
        let rest = path.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/')).ok_or(EstError::Path)?;
        let (label, name) = match rest.split_once('/') {
            Some((label, name)) => (Some(label), name),
            None => (None, rest),
        };
        let operation = Self::named(name).ok_or(EstError::Path)?;
        match label.filter(|label| !is_label(label)) {
            Some(label) => Err(EstError::Label(shorten(label))),
            None => Ok((operation, label)),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=LABEL_CHARS_MAX).contains(&label.len()) && label.bytes().all(allowed) && Operation::named(label).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        assert_eq!(Operation::CaCerts.path(None).unwrap(), "/.well-known/est/cacerts");
        assert_eq!(Operation::SimpleEnroll.path(Some("org-1")).unwrap(), "/.well-known/est/org-1/simpleenroll");
        for operation in Operation::ALL {
            for label in [None, Some("a"), Some("Org_2")] {
                let path = operation.path(label).unwrap();
                assert_eq!(Operation::parse(&path).unwrap(), (operation, label));
            }
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "",
            "/.well-known/est",
            "/.well-known/est/",
            "/.well-known/estcacerts",
            "/.well-known/est/csrattrs",
            "/.well-known/est/cacerts/",
            "/.well-known/est/CACerts",
            "/.well-known/est/a/b/cacerts",
            ".well-known/est/cacerts",
        ] {
            assert!(matches!(Operation::parse(path), Err(EstError::Path)), "{path}");
        }
        for label in ["", "cacerts", "a.b", "%41", "é", &"a".repeat(65)] {
            let path = format!("{PREFIX}/{label}/cacerts");
            assert!(matches!(Operation::parse(&path), Err(EstError::Label(_))), "{path}");
            assert!(matches!(Operation::CaCerts.path(Some(label)), Err(EstError::Label(_))), "{label}");
        }
    }
}
