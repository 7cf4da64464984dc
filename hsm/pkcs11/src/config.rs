//! The box's settings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::limits;

/// How to reach tokens. A key's name may give a library and a PIN file of its own, which win.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pkcs11Config {
    /// The maker's library.
    pub module_path: Option<PathBuf>,
    /// A file of mode 0600 whose first line is the PIN. It is read when the token wants it, and then forgotten.
    pub pin_source: Option<PathBuf>,
    /// The mechanisms of SM2; without them there is no SM2, since PKCS#11 has not standardised any.
    pub sm2: Option<Sm2Mechanisms>,
    /// Sessions that sign at once on a token; one more stays open so that the token keeps us logged in. Where several
    /// stores share a token, the first one's counts.
    pub sessions_max: usize,
}

impl Default for Pkcs11Config {
    fn default() -> Self {
        Self { module_path: None, pin_source: None, sm2: None, sessions_max: limits::SESSIONS }
    }
}

/// The numbers by which a device's maker calls its mechanisms of SM2. Makers use the same numbers for different things,
/// so they are not guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sm2Mechanisms {
    /// Makes a key pair.
    pub key_pair_gen: u64,
    /// Signs.
    pub sign: u64,
    /// What the device is given to sign.
    pub input: Sm2Input,
}

/// What an SM2 mechanism takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sm2Input {
    /// `e = SM3(Z || M)`, 32 bytes, which is computed here.
    Digest,
    /// The message; the device hashes it, with the default identity in `Z`.
    Message,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        assert_eq!(toml::from_str::<Pkcs11Config>("").unwrap(), Pkcs11Config::default());
        let text = "module_path = '/lib/hsm.so'\n[sm2]\nkey_pair_gen = 0x80000001\nsign = 0x80000002\ninput = 'digest'";
        let sm2 = Sm2Mechanisms { key_pair_gen: 0x8000_0001, sign: 0x8000_0002, input: Sm2Input::Digest };
        let config = Pkcs11Config { module_path: Some("/lib/hsm.so".into()), sm2: Some(sm2), ..Default::default() };
        assert_eq!(toml::from_str::<Pkcs11Config>(text).unwrap(), config);
        assert!(toml::from_str::<Pkcs11Config>("pin = '1234'").is_err());
    }
}
