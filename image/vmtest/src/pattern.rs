//! What is waited for on a console.

use std::fmt;

use regex::bytes::{Captures, Regex};

use crate::VmError;

/// Something to be seen within one line of a console.
///
/// A text is seen as soon as it is there, even in a line that has not ended: prompts do not end theirs. A regular
/// expression sees whole lines alone, so that what it captures is whole.
#[derive(Clone, Debug)]
pub struct Pattern {
    expression: Regex,
    text: String,
    whole_lines: bool,
}

impl Pattern {
    /// A regular expression (<https://docs.rs/regex>) that matches in a line without its end.
    ///
    /// # Errors
    ///
    /// [`VmError::Pattern`] if it is none.
    pub fn regex(expression: &str) -> Result<Self, VmError> {
        let error = |source| VmError::Pattern { pattern: expression.to_owned(), source };
        let text = format!("/{expression}/");
        Ok(Self { expression: Regex::new(expression).map_err(error)?, text, whole_lines: true })
    }

    /// Every whole line.
    pub(crate) fn any() -> Self {
        Self { whole_lines: true, ..Self::from("") }
    }

    /// No line at all: a byte that is neither white space nor anything else.
    pub(crate) fn none() -> Self {
        let expression = Regex::new(r"[^\s\S]").expect("a regular expression");
        Self { expression, ..Self::any() }
    }

    /// Whether it is seen in lines that have ended alone.
    pub(crate) const fn is_of_whole_lines(&self) -> bool {
        self.whole_lines
    }

    /// Whether a line shows it, and what it captures there.
    pub(crate) fn captures<'a>(&self, line: &'a [u8], ended: bool) -> Option<Captures<'a>> {
        if self.whole_lines && !ended { None } else { self.expression.captures(line) }
    }
}

/// The text itself, wherever it is in a line.
impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        let expression = Regex::new(&regex::escape(text)).expect("an escaped text is a regular expression");
        Self { expression, text: format!("{text:?}"), whole_lines: false }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_literally_and_at_once() {
        let pattern = Pattern::from("key (y/n)? ");
        assert!(pattern.captures(b"your key (y/n)? ", false).is_some());
        assert!(pattern.captures(b"your key y", true).is_none());
        assert_eq!(pattern.to_string(), "\"key (y/n)? \"");
    }

    #[test]
    fn any_is_every_line_and_none_is_none() {
        for line in [&b""[..], b"a line", b"\xff"] {
            assert!(Pattern::any().captures(line, true).is_some());
            assert!(Pattern::none().captures(line, true).is_none());
        }
    }

    #[test]
    fn a_regular_expression_waits_for_the_end_of_the_line() {
        let pattern = Pattern::regex("key: ([a-z]+)").unwrap();
        assert!(pattern.captures(b"key: abc", false).is_none());
        assert_eq!(pattern.captures(b"key: abcd", true).unwrap()[1], b"abcd"[..]);
        assert!(matches!(Pattern::regex("("), Err(VmError::Pattern { .. })));
    }
}
