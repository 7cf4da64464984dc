//! The lowest version of the image that may open a box's data.
//!
//! An index of the TPM's memory holds 64 bits that can be set and never be cleared; the highest one that is set is the
//! floor. An image has a security version from 1 to 64, which is raised when an older image must not run any more. An
//! image below the floor is refused before the data are opened, and an image that has proved itself raises the floor to
//! its own version.
//!
//! Whoever may do as the owner could delete the index, and then there is no floor. That takes a program that runs as
//! root on the box, of an image that was signed and is not below the floor: the floor is to keep such programs out, not
//! to stop one that is in. Clearing the TPM deletes the index too, and with it all that opens the data.

use std::{
    fmt,
    io::{Read, Write},
    num::NonZeroU8,
    str::FromStr,
};

use tpm2_protocol::{
    basic::{TpmHandle, TpmUint16},
    data::{Tpm2bDigest, TpmAlgId, TpmRcBase, TpmaNv, TpmsNvPublic},
};

use super::{Tpm, TpmError};

/// Where the floor is: an index of the owner (TCG Registry of Reserved TPM 2.0 Handles and Localities §2.2.2). All that a
/// box uses are listed in `hsm/tpm/src/nv.rs`.
pub const FLOOR_INDEX: u32 = 0x0180_0d02;

const BITS: u8 = 64;
const BYTES: u16 = 8;

/// Bits that get set (`TPM_NT_BITS`); by the owner alone; read by everybody, so that nobody needs the owner's password
/// for that (`AUTHREAD`, with an empty password of the index), and by the owner (`OWNERREAD`); wrong passwords are not
/// counted against it, nor does it lock when others are (`NO_DA`).
const ATTRIBUTES: TpmaNv = TpmaNv::from_bits_truncate(
    TpmaNv::BITS.bits()
        | TpmaNv::OWNERWRITE.bits()
        | TpmaNv::OWNERREAD.bits()
        | TpmaNv::AUTHREAD.bits()
        | TpmaNv::NO_DA.bits(),
);

/// Why there is no security version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no security version; it is a number from 1 to 64")]
pub struct SecurityVersionError(String);

/// A security version, from 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecurityVersion(NonZeroU8);

impl SecurityVersion {
    /// As a number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Its bit.
    const fn bit(self) -> u64 {
        1 << (self.0.get() - 1)
    }

    /// Of the highest bit; nothing if none is set.
    fn highest(bits: u64) -> Option<Self> {
        u8::try_from(u64::BITS - bits.leading_zeros()).ok().and_then(NonZeroU8::new).map(Self)
    }
}

impl TryFrom<u8> for SecurityVersion {
    type Error = SecurityVersionError;

    fn try_from(number: u8) -> Result<Self, SecurityVersionError> {
        let version = NonZeroU8::new(number).filter(|number| number.get() <= BITS);
        version.map(Self).ok_or_else(|| SecurityVersionError(number.to_string()))
    }
}

impl FromStr for SecurityVersion {
    type Err = SecurityVersionError;

    fn from_str(text: &str) -> Result<Self, SecurityVersionError> {
        let number = text.parse::<u8>().map_err(|_| SecurityVersionError(text.to_owned()))?;
        Self::try_from(number)
    }
}

impl fmt::Display for SecurityVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why the floor cannot be read or raised.
#[derive(Debug, thiserror::Error)]
pub enum FloorError {
    /// The TPM failed.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// An index at this place that is not the floor's. A floor that somebody else can lower is none.
    #[error(
        "the TPM's index {FLOOR_INDEX:#010x} is not the version floor, but {attributes:#010x} with {bytes} bytes; clear \
         the TPM and install anew if nobody needs what is in it"
    )]
    Foreign {
        /// Its attributes, TPM 2.0 Library, Part 2 §13.4.
        attributes: u32,
        /// Its size.
        bytes: u16,
    },
}

/// The version floor in a TPM.
#[derive(Debug)]
pub struct BitsFloor<'a, T>(&'a mut Tpm<T>);

impl<'a, T: Read + Write> BitsFloor<'a, T> {
    /// That of a TPM.
    pub const fn new(tpm: &'a mut Tpm<T>) -> Self {
        Self(tpm)
    }

    /// The floor; nothing if none has been set yet, when every version may run.
    ///
    /// # Errors
    ///
    /// [`FloorError`]. Who checks the floor must take that for a refusal.
    pub fn read(&mut self) -> Result<Option<SecurityVersion>, FloorError> {
        Ok(self.bits()?.and_then(SecurityVersion::highest))
    }

    /// Raises it to a version, for good, and says what it is then: that version, or one above it that it already was.
    /// The index is made if there is none.
    ///
    /// # Errors
    ///
    /// [`FloorError`].
    pub fn raise(&mut self, version: SecurityVersion) -> Result<SecurityVersion, FloorError> {
        let bits = self.bits()?;
        if let Some(floor) = bits.and_then(SecurityVersion::highest).filter(|floor| *floor >= version) {
            return Ok(floor);
        }
        if bits.is_none() {
            self.0.nv_define(public())?;
        }
        self.0.nv_set_bits(FLOOR_INDEX, version.bit())?;
        Ok(version)
    }

    /// All bits, 0 if none was set yet; nothing if there is no index.
    fn bits(&mut self) -> Result<Option<u64>, FloorError> {
        let found = match self.0.nv_public(FLOOR_INDEX) {
            // How TPMs say that there is no such index: the handle is wrong.
            Err(error) if error.refusal() == Some(TpmRcBase::Handle) => return Ok(None),
            found => found?,
        };
        let written = found.attributes & TpmaNv::WRITTEN;
        if (TpmsNvPublic { attributes: found.attributes & !TpmaNv::WRITTEN, ..found }) != public() {
            return Err(FloorError::Foreign { attributes: found.attributes.bits(), bytes: found.data_size.value() });
        }
        Ok(Some(if written == TpmaNv::empty() { 0 } else { self.0.nv_read_bits(FLOOR_INDEX)? }))
    }
}

pub(super) fn public() -> TpmsNvPublic {
    TpmsNvPublic {
        nv_index: TpmHandle::new(FLOOR_INDEX),
        name_alg: TpmAlgId::Sha256,
        attributes: ATTRIBUTES,
        auth_policy: Tpm2bDigest::default(),
        data_size: TpmUint16::from(BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_from_1_to_64() {
        for (text, bit) in [("1", 1), ("2", 2), ("64", 1 << 63)] {
            let version: SecurityVersion = text.parse().unwrap();
            assert_eq!((version.bit(), version.to_string().as_str()), (bit, text));
            // Lower bits do not count.
            assert_eq!(SecurityVersion::highest(bit | bit >> 1), Some(version));
        }
        for text in ["0", "65", "256", "-1", "", "1.0"] {
            assert!(text.parse::<SecurityVersion>().is_err(), "{text}");
        }
        assert_eq!(SecurityVersion::highest(0), None);
    }
}
