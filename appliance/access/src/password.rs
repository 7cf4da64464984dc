//! Passwords: which may be set, and how they are kept.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Random, Refusal,
    limits::{HASH_LANES_MAX, HASH_MEMORY_KIB_MAX, HASH_PASSES_MAX, PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN},
    secret::Bytes,
};

/// Passwords of 12 characters and more that are on every list of common ones, in lower case. A short list: OWASP ASVS 5.0
/// §6.2.4 asks for the 3,000 most common ones that the rules let through.
const COMMON: [&str; 44] = [
    "000000000000",
    "012345678910",
    "0123456789012",
    "111111111111",
    "112233445566",
    "121212121212",
    "123123123123",
    "123456123456",
    "1234567890ab",
    "123456789012",
    "1234567890123",
    "123456789101112",
    "123456789abc",
    "123qweasdzxc",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "1qazxsw23edc",
    "654321654321",
    "666666666666",
    "888888888888",
    "987654321000",
    "999999999999",
    "abc123abc123",
    "abcd12345678",
    "abcdefghijkl",
    "administrator",
    "administrator1",
    "adminadminadmin",
    "aaaaaaaaaaaa",
    "changeme1234",
    "changemechangeme",
    "correcthorsebatterystaple",
    "letmeinletmein",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "p@ssw0rd1234",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyuiop12",
    "qwertyuiop[]",
    "qwertyuiopasdfghjkl",
    "welcome12345",
];

/// What hashing a password costs (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl HashCost {
    /// Argon2id with 19 MiB, 2 passes and 1 lane: OWASP's Password Storage Cheat Sheet. A box has this.
    pub const OWASP: Self = Self { memory_kib: 19 << 10, passes: 2, lanes: 1 };

    /// Whether it is within bounds and Argon2's own rules.
    pub(crate) fn params(self) -> Option<Params> {
        let fits =
            self.memory_kib <= HASH_MEMORY_KIB_MAX && self.passes <= HASH_PASSES_MAX && self.lanes <= HASH_LANES_MAX;
        fits.then(|| Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()).flatten()
    }
}

/// The hash of a password, by Argon2id (version 0x13), with what it cost.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordHash {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Bytes<16>,
    hash: Bytes<32>,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").finish_non_exhaustive()
    }
}

impl PasswordHash {
    /// Hashes a password: tens of milliseconds.
    pub(crate) fn of(password: &str, cost: HashCost, salt: Bytes<16>) -> Result<Self, Refusal> {
        let HashCost { memory_kib, passes, lanes } = cost;
        let hash = run(password, cost, &salt).ok_or(Refusal::Hash)?;
        Ok(Self { memory_kib, passes, lanes, salt, hash })
    }

    /// A hash that no password has, of the same cost: names that are no user's take as long as users' do.
    pub(crate) fn nobodys(cost: HashCost, random: &mut dyn Random) -> std::io::Result<Self> {
        let HashCost { memory_kib, passes, lanes } = cost;
        Ok(Self { memory_kib, passes, lanes, salt: Bytes::random(random)?, hash: Bytes::random(random)? })
    }

    /// Whether a password is the one. Takes as long for one that is not.
    pub(crate) fn verify(&self, password: &str) -> bool {
        run(password, self.cost(), &self.salt).is_some_and(|hash| hash == self.hash)
    }

    pub(crate) const fn cost(&self) -> HashCost {
        HashCost { memory_kib: self.memory_kib, passes: self.passes, lanes: self.lanes }
    }
}

fn run(password: &str, cost: HashCost, salt: &Bytes<16>) -> Option<Bytes<32>> {
    // Nothing longer was ever set, and nobody has us hash a book.
    let password = password.get(..password.floor_char_boundary(PASSWORD_BYTES_MAX + 1))?;
    let mut hash = Zeroizing::new([0; 32]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
    argon2.hash_password_into(password.as_bytes(), salt.get(), &mut *hash).ok()?;
    Some(Bytes::new(*hash))
}

/// Whether a password may be set for a user of a box.
pub(crate) fn check(password: &str, user: &str, box_name: &str) -> Result<(), Refusal> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Refusal::PasswordLong);
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Refusal::PasswordShort);
    }
    let lower = Zeroizing::new(password.to_lowercase());
    let mut kinds = lower.chars().collect::<Vec<_>>();
    kinds.sort_unstable();
    kinds.dedup();
    if COMMON.contains(&lower.as_str()) || kinds.len() < 4 {
        return Err(Refusal::PasswordCommon);
    }
    for name in [user, box_name] {
        let name = name.to_lowercase();
        // Two letters are in any password.
        if name.chars().count() >= 3 && lower.contains(&name) {
            return Err(Refusal::PasswordName);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SystemRandom, tests::CHEAP};

    #[test]
    fn rules() {
        let code = |password: &str| check(password, "li.wei", "Box-7").map_err(|refusal| refusal.code());
        assert_eq!(code("tangerine-42-sky"), Ok(()));
        assert_eq!(code("雨天也要去爬山看日出和云"), Ok(()));
        assert_eq!(code("elevenchars"), Err("password-too-short"));
        assert_eq!(code(&"ab1-".repeat(33)), Err("password-too-long"));
        assert_eq!(code("PassWord1234"), Err("password-common"));
        assert_eq!(code("ababababababab"), Err("password-common"));
        assert_eq!(code("my LI.WEI secret"), Err("password-contains-name"));
        assert_eq!(code("box-7-is-my-box"), Err("password-contains-name"));
        assert!(check("ab-tangerine-sky", "ab", "b").is_ok());
        for common in COMMON {
            assert_eq!(code(common), Err("password-common"), "{common}");
            assert!(common.chars().count() >= PASSWORD_CHARS_MIN && common.to_lowercase() == common, "{common}");
        }
    }

    #[test]
    fn a_hash_is_of_one_password() {
        let salt = || Bytes::random(&mut SystemRandom).unwrap();
        let hash = PasswordHash::of("tangerine-42-sky", CHEAP, salt()).unwrap();
        assert!(hash.verify("tangerine-42-sky"));
        assert!(!hash.verify("tangerine-42-skz") && !hash.verify(""));
        assert_ne!(hash, PasswordHash::of("tangerine-42-sky", CHEAP, salt()).unwrap());
        assert_eq!(format!("{hash:?}"), "PasswordHash { .. }");
        assert!(!PasswordHash::nobodys(CHEAP, &mut SystemRandom).unwrap().verify("tangerine-42-sky"));
        // Bytes that only differ after what is ever hashed are of passwords that cannot be set.
        assert!(!PasswordHash::of(&"a".repeat(128), CHEAP, salt()).unwrap().verify(&"a".repeat(129)));
    }

    #[test]
    fn what_a_file_says_of_costs_is_bounded() {
        assert!(HashCost::OWASP.params().is_some());
        for (memory_kib, passes, lanes) in [(u32::MAX, 1, 1), (8, 9, 1), (64, 1, 5), (1, 1, 1), (8, 0, 1), (8, 1, 0)] {
            assert!(HashCost { memory_kib, passes, lanes }.params().is_none());
        }
    }
}
