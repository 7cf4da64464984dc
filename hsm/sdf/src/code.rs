//! What a device answers.

use std::{fmt, path::PathBuf};

/// What the standard's codes begin with (GM/T 0018-2012, appendix A).
const BASE: u32 = 0x0100_0000;
/// Their names from one on. Beyond them makers have their own.
const NAMES: [&str; 30] = [
    "SDR_UNKNOWERR",
    "SDR_NOTSUPPORT",
    "SDR_COMMFAIL",
    "SDR_HARDFAIL",
    "SDR_OPENDEVICE",
    "SDR_OPENSESSION",
    "SDR_PARDENY",
    "SDR_KEYNOTEXIST",
    "SDR_ALGNOTSUPPORT",
    "SDR_ALGMODNOTSUPPORT",
    "SDR_PKOPERR",
    "SDR_SKOPERR",
    "SDR_SIGNERR",
    "SDR_VERIFYERR",
    "SDR_SYMOPERR",
    "SDR_STEPERR",
    "SDR_FILESIZEERR",
    "SDR_FILENOEXIST",
    "SDR_FILEOFSERR",
    "SDR_KEYTYPEERR",
    "SDR_KEYERR",
    "SDR_ENCDATAERR",
    "SDR_RANDERR",
    "SDR_PRKRERR",
    "SDR_MACERR",
    "SDR_FILEEXISTS",
    "SDR_FILEWERR",
    "SDR_NOBUFFER",
    "SDR_INARGERR",
    "SDR_OUTARGERR",
];

/// The code that a function of a device returns, the standard's or its maker's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub u32);

impl Code {
    /// All went well.
    pub const OK: Self = Self(0);
    /// The device or its library has no such function.
    pub const NOT_SUPPORTED: Self = Self(BASE + 0x02);
    /// The device does not answer.
    pub const COMMUNICATION: Self = Self(BASE + 0x03);
    /// The device's own parts do not answer.
    pub const HARDWARE: Self = Self(BASE + 0x04);
    /// The device cannot be opened.
    pub const OPEN_DEVICE: Self = Self(BASE + 0x05);
    /// No session can be opened.
    pub const OPEN_SESSION: Self = Self(BASE + 0x06);
    /// The session has no right to use the private key.
    pub const NO_RIGHT: Self = Self(BASE + 0x07);
    /// There is no key at this index.
    pub const NO_KEY: Self = Self(BASE + 0x08);
    /// The device has no such algorithm.
    pub const NO_ALGORITHM: Self = Self(BASE + 0x09);
    /// The device does not have the algorithm in this mode.
    pub const NO_MODE: Self = Self(BASE + 0x0a);
    /// A signature does not hold.
    pub const VERIFY: Self = Self(BASE + 0x0e);
    /// A call came before the one that it needs.
    pub const STEP: Self = Self(BASE + 0x10);
    /// The key is one of another kind.
    pub const KEY_TYPE: Self = Self(BASE + 0x14);
    /// The key cannot be used.
    pub const KEY: Self = Self(BASE + 0x15);
    /// The right to use a private key is refused.
    pub const RIGHT_REFUSED: Self = Self(BASE + 0x18);
    /// An argument is wrong; with some makers also a session that is gone.
    pub const ARGUMENT: Self = Self(BASE + 0x1d);

    /// The standard's name for it.
    pub fn name(self) -> Option<&'static str> {
        let number = usize::try_from(self.0.checked_sub(BASE)?).ok()?;
        NAMES.get(number.checked_sub(1)?).copied()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x} ({})", self.0, self.name().unwrap_or("the maker's own code"))
    }
}

/// Why a call into a device gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SdfError {
    /// The library is not there, or is none.
    #[error("cannot load {path}: {reason}")]
    Load {
        /// The library.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The device says no.
    #[error("{function} answers {code}")]
    Call {
        /// The function, by its name in the standard.
        function: &'static str,
        /// What it returned.
        code: Code,
    },
    /// The device says yes and gives something that cannot be.
    #[error("{function} gives {what}")]
    Answer {
        /// The function, by its name in the standard.
        function: &'static str,
        /// What it gave.
        what: &'static str,
    },
}

impl SdfError {
    /// The device's code, where it gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Call { code, .. } => Some(*code),
            Self::Load { .. } | Self::Answer { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_standards_names() {
        let named = [
            (Code::NOT_SUPPORTED, "0x01000002 (SDR_NOTSUPPORT)"),
            (Code::NO_RIGHT, "0x01000007 (SDR_PARDENY)"),
            (Code::NO_KEY, "0x01000008 (SDR_KEYNOTEXIST)"),
            (Code::VERIFY, "0x0100000e (SDR_VERIFYERR)"),
            (Code::STEP, "0x01000010 (SDR_STEPERR)"),
            (Code::KEY, "0x01000015 (SDR_KEYERR)"),
            (Code::RIGHT_REFUSED, "0x01000018 (SDR_PRKRERR)"),
            (Code(BASE + 0x1e), "0x0100001e (SDR_OUTARGERR)"),
            (Code(BASE + 0x1f), "0x0100001f (the maker's own code)"),
            (Code(BASE), "0x01000000 (the maker's own code)"),
            (Code(u32::MAX), "0xffffffff (the maker's own code)"),
        ];
        for (code, text) in named {
            assert_eq!(code.to_string(), text);
        }
    }
}
