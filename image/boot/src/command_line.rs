//! What the kernel was told when it was started.

use std::{io, path::Path};

use crate::file;

/// Why a parameter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CommandLineError {
    /// No command line at all.
    #[error("cannot read the kernel's command line; mount /proc first")]
    Read(#[source] io::Error),
    /// It has to be there.
    #[error("the kernel's command line has no {0}=; build the boot file with it")]
    Missing(String),
    /// Nobody knows which one counts.
    #[error("the kernel's command line has {0}= more than once; build the boot file with one")]
    Repeated(String),
}

/// A kernel command line: words, some of them `name=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine(Vec<(String, Option<String>)>);

impl CommandLine {
    /// The running kernel's.
    ///
    /// # Errors
    ///
    /// [`CommandLineError::Read`].
    pub fn of_kernel() -> Result<Self, CommandLineError> {
        file::read_text(Path::new("/proc/cmdline")).map(|text| Self::parse(&text)).map_err(CommandLineError::Read)
    }

    /// As the kernel takes it apart (`next_arg` in `lib/cmdline.c`): spaces separate, but not between double quotes,
    /// which do not belong to the word.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut words = Vec::new();
        let (mut word, mut quoted) = (String::new(), false);
        for character in text.chars().chain([' ']) {
            match character {
                '"' => quoted = !quoted,
                _ if character.is_whitespace() && !quoted => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                _ => word.push(character),
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
        let split = |word: String| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        Self(words.into_iter().map(split).collect())
    }

    /// Whether the word is there, with a value or without.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(word, _)| word == name)
    }

    /// The values of a parameter, as often as it is there.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(word, _)| word == name).filter_map(|(_, value)| value.as_deref())
    }

    /// The value of a parameter that must be there once.
    ///
    /// # Errors
    ///
    /// [`CommandLineError::Missing`] and [`CommandLineError::Repeated`].
    pub fn only(&self, name: &str) -> Result<&str, CommandLineError> {
        let mut values = self.0.iter().filter(|(word, _)| word == name).filter_map(|(_, value)| value.as_deref());
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(CommandLineError::Missing(name.to_owned())),
            (Some(_), Some(_)) => Err(CommandLineError::Repeated(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_kernels() {
        let line = CommandLine::parse("roothash=00ff ro console=tty0 console=ttyS0,115200  a=\"b c\" \"d e\"=f g=\n");
        assert_eq!(line.only("roothash").unwrap(), "00ff");
        assert!(line.has("ro") && line.has("console") && !line.has("tty0"));
        assert_eq!(line.values("console").collect::<Vec<_>>(), ["tty0", "ttyS0,115200"]);
        assert_eq!((line.only("a").unwrap(), line.only("d e").unwrap(), line.only("g").unwrap()), ("b c", "f", ""));
        assert_eq!(line.values("ro").count(), 0);
        assert_eq!(CommandLine::parse(" \n"), CommandLine::default());
        // A quote that nobody closed reaches to the end.
        assert_eq!(CommandLine::parse("a=\"b c").only("a").unwrap(), "b c ");
    }

    #[test]
    fn what_must_be_there_once_is_there_once() {
        let line = CommandLine::parse("roothash=1 roothash=2 ro");
        assert!(matches!(line.only("roothash"), Err(CommandLineError::Repeated(name)) if name == "roothash"));
        assert!(matches!(line.only("ro"), Err(CommandLineError::Missing(_))));
    }
}
