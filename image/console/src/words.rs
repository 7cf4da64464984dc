//! Texts in two languages, and the table they stand in.

use std::fmt::Display;

/// A language that a person can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Language {
    /// English. Every terminal shows it.
    #[default]
    English,
    /// Chinese, simplified. A framebuffer shows it by our glyphs, and so does a UTF-8 terminal.
    Chinese,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// The language of a BCP 47 tag or of a locale's name, by its first letters: `zh`, `zh-CN`, `en_US.UTF-8`.
    pub fn from_tag(tag: &str) -> Option<Self> {
        match tag.split(['-', '_', '.']).next()? {
            "en" | "C" | "POSIX" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// `en` or `zh`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }

    /// How the language calls itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// The one that a key press leads to.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::English => Self::Chinese,
            Self::Chinese => Self::English,
        }
    }
}

/// One text in every language. `{name}` in it is a hole for [`Words::with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// In English.
    pub en: &'static str,
    /// In simplified Chinese.
    pub zh: &'static str,
}

impl Words {
    /// The text in a language, its holes still open.
    pub const fn get(self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Chinese => self.zh,
        }
    }

    /// The text with its holes filled, in a language that is chosen later.
    pub fn with(self, values: &[(&'static str, &dyn Display)]) -> Phrase {
        let values = values.iter().map(|(name, value)| (*name, value.to_string())).collect();
        Phrase::Filled { words: self, values }
    }
}

/// A text whose language is chosen when it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phrase {
    /// The same in every language: a name, a number, an error of elsewhere.
    Plain(String),
    /// From a table.
    Filled {
        /// The text with its holes.
        words: Words,
        /// What goes in them, by their names.
        values: Vec<(&'static str, String)>,
    },
}

impl Phrase {
    /// The text in a language. A hole without a value stays as it is, so that it is seen.
    pub fn get(&self, language: Language) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Filled { words, values } => fill(words.get(language), values),
        }
    }
}

/// Fills the holes in one pass, so that a value with braces is not taken for a hole.
fn fill(mut text: &str, values: &[(&'static str, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    while let Some((before, after)) = text.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, rest)| {
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (value.as_str(), rest))
        });
        let (value, rest) = value.unwrap_or(("{", after));
        filled.push_str(value);
        text = rest;
    }
    filled.push_str(text);
    filled
}

impl From<Words> for Phrase {
    fn from(words: Words) -> Self {
        Self::Filled { words, values: Vec::new() }
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for Phrase {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

/// Makes a table of texts: one constant [`Words`] for each, and `ALL`, which [`check`] reads.
///
/// ```
/// dolmen_image_console::words! {
///     /// Above the menu.
///     CHOOSE_DISK { en: "Choose a disk", zh: "选择磁盘" }
///     /// Below a disk.
///     DISK_OF { en: "{bytes} bytes", zh: "{bytes} 字节" }
/// }
/// # fn main() { assert_eq!(ALL.len(), 2); }
/// ```
#[macro_export]
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { en: $en:expr, zh: $zh:expr $(,)? })+) => {
        $($(#[$doc])* pub(crate) const $name: $crate::Words = $crate::Words { en: $en, zh: $zh };)+

        /// Every text of this table, by its name.
        #[allow(dead_code, reason = "read by the test of the table")]
        pub(crate) const ALL: &[(&str, $crate::Words)] = &[$((stringify!($name), $name)),+];
    };
}

/// What is wrong with a table of texts, one line for each fault: a language without a text, other holes than in the
/// other language, a character without a glyph. Empty where all is well; for tests.
pub fn check(table: &[(&str, Words)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, words) in table {
        for language in Language::ALL {
            let text = words.get(language);
            let tag = language.tag();
            if text.trim().is_empty() {
                faults.push(format!("{name} has no text in {tag}"));
            }
            if language == Language::Chinese && words.zh == words.en && words.en.chars().any(char::is_lowercase) {
                faults.push(format!("{name} is not translated"));
            }
            let missing: String = text.chars().filter(|&c| !crate::font::has(c)).collect();
            if !missing.is_empty() {
                faults.push(format!("{name} in {tag} has characters without a glyph: {missing}"));
            }
        }
        if holes(words.en) != holes(words.zh) {
            faults.push(format!("{name} has {:?} to fill in en and {:?} in zh", holes(words.en), holes(words.zh)));
        }
    }
    faults
}

/// The names in braces, sorted: languages have their own order.
fn holes(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> =
        text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOVED: Words = Words { en: "{done} of {all}", zh: "共 {all}，已完成 {done}" };

    #[test]
    fn holes_are_filled_once_and_in_the_order_of_the_language() {
        let phrase = MOVED.with(&[("done", &"{all}"), ("all", &7)]);
        assert_eq!(phrase.get(Language::English), "{all} of 7");
        assert_eq!(phrase.get(Language::Chinese), "共 7，已完成 {all}");
        assert_eq!(MOVED.with(&[("done", &1)]).get(Language::English), "1 of {all}");
        assert_eq!(fill("a { b } {", &[]), "a { b } {");
    }

    #[test]
    fn faults_of_a_table_are_named() {
        let table = [
            ("EMPTY", Words { en: "Yes", zh: " " }),
            ("HOLES", Words { en: "{a} {b}", zh: "{b}" }),
            ("SAME", Words { en: "Choose", zh: "Choose" }),
            ("GLYPH", Words { en: "Fine", zh: "龘" }),
        ];
        assert_eq!(
            check(&table),
            [
                "EMPTY has no text in zh",
                "HOLES has [\"a\", \"b\"] to fill in en and [\"b\"] in zh",
                "SAME is not translated",
                "GLYPH in zh has characters without a glyph: 龘",
            ]
        );
    }

    #[test]
    fn tags_name_languages() {
        assert_eq!(Language::from_tag("zh-Hans-CN"), Some(Language::Chinese));
        assert_eq!(Language::from_tag("en_US.UTF-8"), Some(Language::English));
        assert_eq!(Language::from_tag("de"), None);
        assert!(Language::ALL.iter().all(|&one| Language::from_tag(one.tag()) == Some(one)));
    }
}
