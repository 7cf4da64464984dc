//! Which image this is: `os-release`(5).

use std::{collections::BTreeMap, io, path::Path};

use crate::file;

/// The fields of an `os-release` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OsRelease(BTreeMap<String, String>);

impl OsRelease {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// If there is no such file, or it is too large.
    pub fn read(path: &Path) -> io::Result<Self> {
        file::read_text(path).map(|text| Self::parse(&text))
    }

    /// Lines of `NAME=value`, the value between quotes or not. A backslash takes the meaning from what follows. Lines of
    /// other kinds are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let field = |line: &str| {
            let (name, value) = line.trim().split_once('=')?;
            (!name.starts_with('#')).then(|| (name.to_owned(), unquote(value)))
        };
        Self(text.lines().filter_map(field).collect())
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The image's version: `IMAGE_VERSION`, or `VERSION_ID`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.get("IMAGE_VERSION").or_else(|| self.get("VERSION_ID"))
    }
}

fn unquote(value: &str) -> String {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = quote.and_then(|quote| value[1..].strip_suffix(quote)).unwrap_or(value);
    let (mut text, mut escaped) = (String::new(), false);
    for character in inner.chars() {
        if character == '\\' && !escaped {
            escaped = true;
        } else {
            text.push(character);
            escaped = false;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_a_shell_would() {
        let text =
            "# IMAGE_VERSION=0\nID=dolmen\nPRETTY_NAME=\"Dolmen \\\"1\\\"\"\nIMAGE_VERSION='1.2.3'\nempty\nA=\"\n";
        let release = OsRelease::parse(text);
        assert_eq!((release.get("ID"), release.version()), (Some("dolmen"), Some("1.2.3")));
        assert_eq!((release.get("PRETTY_NAME"), release.get("A")), (Some("Dolmen \"1\""), Some("\"")));
        assert_eq!((release.get("empty"), release.get("# IMAGE_VERSION")), (None, None));
        assert_eq!(OsRelease::parse("VERSION_ID=7").version(), Some("7"));
    }
}
