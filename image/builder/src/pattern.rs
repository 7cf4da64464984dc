//! Which paths a line of the recipe means.

use std::fmt;

use serde::Deserialize;

/// A path of which parts may have `*` for any characters but `/`. It means whatever it names, and all that is in it:
/// `usr/share/doc` the folder and `usr/share/doc/dash/copyright` too.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no path of the root; write it without `/` at the ends, and without `.` and `..`")]
pub struct PatternError(String);

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(PatternError(text));
        }
        Ok(Self(text))
    }
}

impl Pattern {
    /// Whether it means this path.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        self.0.split('/').all(|pattern| parts.next().is_some_and(|part| part_matches(pattern, part)))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is before the first star must begin the part, what is after the last must end it, and the rest must follow in
/// order. The first place of each is as good as any.
fn part_matches(pattern: &str, part: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == part };
    let Some(mut left) = part.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::try_from(pattern.to_owned()).unwrap().matches(path)
    }

    #[test]
    fn a_folder_means_what_is_in_it() {
        assert!(matches("usr/share/doc", "usr/share/doc"));
        assert!(matches("usr/share/doc", "usr/share/doc/dash/copyright"));
        assert!(!matches("usr/share/doc", "usr/share"));
        assert!(!matches("usr/share/doc", "usr/share/docs"));
    }

    #[test]
    fn a_star_stands_for_characters_of_one_part() {
        assert!(matches("usr/lib/*/gconv", "usr/lib/x86_64-linux-gnu/gconv/BIG5.so"));
        assert!(!matches("usr/*/gconv", "usr/lib/x86_64-linux-gnu/gconv"));
        assert!(matches("lib/systemd-*.service", "lib/systemd-udevd.service"));
        assert!(!matches("lib/systemd-*.service", "lib/systemd-udevd.socket"));
        assert!(matches("a*b*c*d", "abcd") && matches("a*b*c*d", "axbbxcxxd") && !matches("a*b*c*d", "acbd"));
        assert!(matches("*", "anything/at/all") && matches("x**y", "xy") && !matches("ab*ba", "aba"));
    }

    #[test]
    fn only_paths_within_the_root_are_taken() {
        for text in ["", "/usr", "usr/", "usr//share", "../etc", "usr/./share"] {
            assert!(Pattern::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
