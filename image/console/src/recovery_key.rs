//! Recovery keys as systemd-cryptenroll makes them: 256 bits as 64 letters of modhex in eight groups with dashes.
//!
//! Modhex letters stand in the same place of most keyboards of the world (systemd-cryptenroll(1), `--recovery-key`).

use std::fmt;

use zeroize::Zeroizing;

/// The letters, by their value.
pub(crate) const LETTERS: &str = "cbdefghijklnrtuv";

/// Letters of a group.
pub(crate) const GROUP: usize = 8;

/// Letters of a key.
pub(crate) const ALL: usize = 64;

/// A recovery key. Whoever holds it opens the box's data: no debug output has it, and it is wiped from memory when it is
/// dropped (the screens that show it are not).
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryKey(Zeroizing<String>);

/// Why a text is no recovery key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// A letter that none has.
    #[error("'{0}' is in no recovery key, whose letters are {LETTERS}; look at that letter again")]
    Letter(char),
    /// Too few or too many letters.
    #[error("a recovery key has {ALL} letters and this one has {0}; compare it group by group")]
    Length(usize),
}

impl RecoveryKey {
    /// Reads a key: capitals and missing dashes do no harm, and neither do blanks.
    ///
    /// # Errors
    ///
    /// [`RecoveryKeyError`] names the first letter that cannot be in a key, or the number of letters. There is no
    /// checksum in a key: only the disk knows whether it is the right one.
    pub fn parse(text: &str) -> Result<Self, RecoveryKeyError> {
        let mut letters = Zeroizing::new(String::with_capacity(ALL));
        let mut count = 0;
        for c in text.chars().filter(|c| !is_separator(*c)) {
            let letter = letter(c).ok_or(RecoveryKeyError::Letter(c))?;
            count += 1;
            if count <= ALL {
                letters.push(letter);
            }
        }
        if count == ALL { Ok(Self(grouped(&letters))) } else { Err(RecoveryKeyError::Length(count)) }
    }

    /// The key in groups, as cryptsetup takes it for a passphrase.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryKey(..)")
    }
}

/// What stands between letters and means nothing.
pub(crate) fn is_separator(c: char) -> bool {
    c == '-' || c.is_whitespace()
}

/// The letter that was meant.
pub(crate) fn letter(c: char) -> Option<char> {
    let c = c.to_ascii_lowercase();
    LETTERS.contains(c).then_some(c)
}

/// Letters with a dash behind every group but the last.
pub(crate) fn grouped(letters: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(ALL + ALL / GROUP));
    for (index, letter) in letters.chars().enumerate() {
        if index > 0 && index % GROUP == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "cbdefghi-jklnrtuv-vutrnlkj-ihgfedbc-cccccccc-bbbbbbbb-dddddddd-eeeeeeee";

    #[test]
    fn a_key_is_read_as_people_write_it() {
        for text in
            [KEY.to_owned(), KEY.to_uppercase(), KEY.replace('-', ""), KEY.replace('-', " \n"), format!(" {KEY}\n")]
        {
            assert_eq!(RecoveryKey::parse(&text).unwrap().expose(), KEY);
        }
        assert_eq!(format!("{:?}", RecoveryKey::parse(KEY).unwrap()), "RecoveryKey(..)");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(RecoveryKey::parse(&KEY.replace('f', "a")), Err(RecoveryKeyError::Letter('a')));
        assert_eq!(RecoveryKey::parse(&KEY[..70]), Err(RecoveryKeyError::Length(63)));
        assert_eq!(RecoveryKey::parse(&format!("{KEY}{KEY}")), Err(RecoveryKeyError::Length(128)));
        assert_eq!(RecoveryKey::parse(""), Err(RecoveryKeyError::Length(0)));
        assert_eq!(RecoveryKey::parse("ｃ"), Err(RecoveryKeyError::Letter('ｃ')));
    }
}
