//! Names of users, tokens and passkeys.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use utoipa::ToSchema;

use crate::limits::NAME_CHARS_MAX;

/// A name: 1 to 64 letters, digits and `. _ - @`, with single spaces inside, beginning with a letter or a digit.
///
/// Letters are those of Latin scripts, Chinese, Japanese and Korean. All of them are single characters in Unicode's
/// normal form C, so two names that look the same are the same; other alphabets have letters that look like Latin ones
/// (UTS 39 §4), and nothing here writes from right to left or is invisible. Names that differ in case alone are the same
/// user's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(value_type = String, example = "li.wei")]
pub struct Name(String);

impl Name {
    /// Reads a name; none where it is not one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let length = text.chars().take(NAME_CHARS_MAX + 1).count();
        let begins = text.chars().next().is_some_and(is_letter);
        let fits = text.chars().all(|one| is_letter(one) || matches!(one, '.' | '_' | '-' | '@' | ' '));
        let spaced = !text.ends_with(' ') && !text.contains("  ");
        (length <= NAME_CHARS_MAX && begins && fits && spaced).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// By what users are told apart.
    pub(crate) fn key(&self) -> String {
        self.0.to_lowercase()
    }

    /// Whether a text that somebody typed means this name.
    pub(crate) fn is(&self, typed: &str) -> bool {
        self.key() == typed.to_lowercase()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| D::Error::custom("not a name of 1 to 64 letters, digits and . _ - @"))
    }
}

/// A letter or a digit of the scripts that names have.
const fn is_letter(one: char) -> bool {
    match one {
        '0'..='9' | 'a'..='z' | 'A'..='Z' => true,
        // Latin letters of Europe and Vietnam that are one character each; two of them are signs.
        '\u{d7}' | '\u{f7}' => false,
        '\u{c0}'..='\u{24f}' | '\u{1ea0}'..='\u{1ef9}' => true,
        // Hiragana and katakana without their combining marks, Hangul syllables, and ideographs that are not there for
        // compatibility alone.
        '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}' => true,
        '\u{ac00}'..='\u{d7a3}' => true,
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{2ebef}' | '\u{30000}'..='\u{323af}' => {
            true
        }
        _ => false,
    }
}

/// Text of strangers that fits into a record and onto a screen: what is invisible, or turns the order of what follows, is
/// written as its number.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    let mut clean = String::new();
    let mut left = chars_max;
    for one in text.chars() {
        let safe = one == ' ' || one.is_alphanumeric() || one.is_ascii_punctuation();
        let piece = if safe { one.to_string() } else { one.escape_unicode().to_string() };
        // An escape is whole or not there.
        left = match left.checked_sub(piece.len().min(piece.chars().count())) {
            Some(left) => left,
            None => break,
        };
        clean.push_str(&piece);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_few_scripts() {
        let long = "名".repeat(64);
        for good in ["a", "li.wei@org-1", "Łukasz", "李伟", "やまだ", "김민준", "Li Wei", "Nguyễn", "0", long.as_str()]
        {
            assert!(Name::new(good).is_some(), "{good}");
        }
        let more = "名".repeat(65);
        let bad = [
            "",
            " a",
            "a ",
            "a  b",
            "-a",
            ".",
            "a\u{301}",
            "a\n",
            "a\u{202e}b",
            "a\u{200d}b",
            "a\u{0}",
            "аdmin",
            "ΑΒ",
            "a/b",
            "a:b",
            "\u{f900}",
            "\u{212b}",
            "a\u{d7}",
            "<b>",
            "a\"",
            "ａ",
            "\u{1f600}",
            more.as_str(),
        ];
        for bad in bad {
            assert!(Name::new(bad).is_none(), "{bad:?}");
        }
        assert!(Name::new("Li.Wei").unwrap().is("li.wEI"));
        assert!(!Name::new("Li.Wei").unwrap().is("li.we"));
    }

    #[test]
    fn what_strangers_type_is_cleaned() {
        assert_eq!(clean("a\u{202e}\n\"李", 64), "a\\u{202e}\\u{a}\"李");
        assert_eq!(clean(&"x".repeat(100), 64).len(), 64);
        assert_eq!(clean("ab\u{202e}", 9), "ab");
        assert_eq!(clean("李李李", 2), "李李");
    }
}
