//! What went wrong last, for screens, logs and metrics.

use std::error::Error;

use crate::{
    Hint,
    limits::{CODE_CHARACTERS_MAX, TEXT_CHARACTERS_MAX},
};

/// Whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The box refused what somebody gave it, or could not do its part.
    Pledge,
    /// A registrar refused the box. Before the box has an owner that may be anybody.
    Registrar,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    who: Who,
    code: String,
    text: String,
    at: Option<Hint>,
}

impl Report {
    /// The box's own word: a code that never changes, and the error with its causes.
    pub(crate) fn own(code: &str, error: &dyn Error, at: Option<&Hint>) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self { who: Who::Pledge, code: code.to_owned(), text: printable(&text), at: at.cloned() }
    }

    /// The box's own word.
    pub(crate) fn text(code: &str, text: &str, at: Option<&Hint>) -> Self {
        Self { who: Who::Pledge, code: code.to_owned(), text: printable(text), at: at.cloned() }
    }

    /// Somebody else's word, whatever he wrote.
    pub(crate) fn registrar(code: Option<&str>, text: &str, at: Option<&Hint>) -> Self {
        let is_code = |code: &&str| {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=CODE_CHARACTERS_MAX).contains(&code.len()) && code.bytes().all(allowed)
        };
        let code = code.filter(is_code).unwrap_or("registrar-refused").to_owned();
        Self { who: Who::Registrar, code, text: printable(text), at: at.cloned() }
    }

    /// Whose word it is.
    #[must_use]
    pub const fn who(&self) -> Who {
        self.who
    }

    /// What it is, for logs and metrics: up to 64 lower-case letters, digits and hyphens. The box's own never change.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The same for people, in up to 240 printable characters.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.text
    }

    /// Who had a part in it, if anybody had.
    #[must_use]
    pub const fn at(&self) -> Option<&Hint> {
        self.at.as_ref()
    }
}

/// What may be shown on a screen: neither control characters nor those that change the direction of a line.
fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { ' ' } else { c }).take(TEXT_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_words_are_made_harmless() {
        let report = Report::registrar(Some("ek-untrusted"), "no\x1b[31m\nroot\u{202e}", None);
        assert_eq!((report.code(), report.message()), ("ek-untrusted", "no [31m root "));
        for code in ["", "Upper", "a b", "a\n", "\u{e9}", &"a".repeat(65)] {
            let report = Report::registrar(Some(code), &"x".repeat(1000), None);
            assert_eq!((report.code(), report.message().len()), ("registrar-refused", TEXT_CHARACTERS_MAX), "{code:?}");
        }
        assert_eq!(Report::registrar(None, "", None).code(), "registrar-refused");
    }

    #[test]
    fn causes_are_told() {
        #[derive(Debug, thiserror::Error)]
        #[error("outside")]
        struct Outside(#[source] std::fmt::Error);
        let report = Report::own("code", &Outside(std::fmt::Error), None);
        assert!(report.message().starts_with("outside: "), "{}", report.message());
        assert_eq!(report.who(), Who::Pledge);
    }
}
