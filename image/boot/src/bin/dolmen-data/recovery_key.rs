//! The key for the day on which the TPM refuses.

use std::fmt;

use zeroize::Zeroizing;

/// The letters of a key: those that are at the same place on every keyboard. systemd's `modhex`.
const LETTERS: &str = "cbdefghijklnrtuv";
const GROUPS: usize = 8;
const GROUP_LETTERS: usize = 8;

/// A recovery key, as systemd-cryptenroll(1) makes them: 256 bits as 8 groups of 8 letters.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RecoveryKey(Zeroizing<String>);

impl RecoveryKey {
    /// As a person types it: with hyphens, spaces, capitals or without. Nothing if it is none.
    pub(crate) fn parse(typed: &str) -> Option<Self> {
        let mut key = Zeroizing::new(String::with_capacity(GROUPS * (GROUP_LETTERS + 1)));
        let letters = typed.chars().filter(|letter| !letter.is_whitespace() && *letter != '-');
        let mut count = 0;
        for letter in letters.map(|letter| letter.to_ascii_lowercase()) {
            if count == GROUPS * GROUP_LETTERS || !LETTERS.contains(letter) {
                return None;
            }
            if count > 0 && count % GROUP_LETTERS == 0 {
                key.push('-');
            }
            key.push(letter);
            count += 1;
        }
        (count == GROUPS * GROUP_LETTERS).then_some(Self(key))
    }

    /// As LUKS takes it and people write it down.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Nobody's log gets it.
impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "cbdefghi-jklnrtuv-cccccccc-bbbbbbbb-dddddddd-eeeeeeee-ffffffff-vvvvvvvv";

    #[test]
    fn keys_are_read_as_people_type_them() {
        let key = RecoveryKey::parse(KEY).unwrap();
        assert_eq!(key.as_str(), KEY);
        for typed in [KEY.to_uppercase(), KEY.replace('-', ""), KEY.replace('-', " "), format!("  {KEY}- \t")] {
            assert_eq!(RecoveryKey::parse(&typed).unwrap(), key, "{typed}");
        }
        assert!(!format!("{key:?}").contains("cbde"));
    }

    #[test]
    fn other_texts_are_none() {
        for typed in ["", "-", &KEY[1..], &format!("{KEY}c"), &KEY.replace('e', "a"), &KEY.replace("cb", "cé")] {
            assert!(RecoveryKey::parse(typed).is_none(), "{typed}");
        }
    }
}
