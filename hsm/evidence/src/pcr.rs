//! Platform configuration registers: what a box measured on its way up.

use crate::{EvidenceError, HashAlgorithm, PcrSelection};

/// Registers of a TPM, by the TCG's PC Client Platform TPM Profile.
pub const PCRS: usize = 24;

/// Bytes of a value.
const LENGTH: usize = 32;

/// Values of one bank's registers; not of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcrs {
    bank: HashAlgorithm,
    values: [Option<[u8; LENGTH]>; PCRS],
}

impl Pcrs {
    /// None yet.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Bank`] for banks other than SHA-256 and SM3.
    pub fn new(bank: HashAlgorithm) -> Result<Self, EvidenceError> {
        if bank.length() != LENGTH {
            return Err(EvidenceError::Bank(bank.name()));
        }
        Ok(Self { bank, values: [None; PCRS] })
    }

    /// The hash by which they are kept.
    pub const fn bank(&self) -> HashAlgorithm {
        self.bank
    }

    /// The values, by register.
    pub const fn values(&self) -> &[Option<[u8; LENGTH]>; PCRS] {
        &self.values
    }

    /// Says that a register holds a value.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::PcrIndex`] for a register that no TPM has.
    pub fn set(&mut self, index: u32, value: [u8; LENGTH]) -> Result<(), EvidenceError> {
        self.values[register(index)?] = Some(value);
        Ok(())
    }

    /// Does what `TPM2_PCR_Extend` does (Part 1 §17); a register without a value first has its value at power-on.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::PcrIndex`] for a register that no TPM has.
    pub fn extend(&mut self, index: u32, digest: &[u8; LENGTH]) -> Result<(), EvidenceError> {
        let index = register(index)?;
        let value = self.values[index].unwrap_or(initial(index));
        let extended = self.bank.digest(&[&value, digest]);
        self.values[index] = Some(extended.try_into().expect("banks of other lengths are refused"));
        Ok(())
    }

    /// Which registers there are values of.
    #[must_use]
    pub fn selection(&self) -> PcrSelection {
        let bits = self.values.iter().rev().fold(0_u32, |bits, value| (bits << 1) | u32::from(value.is_some()));
        PcrSelection { bank: self.bank.id(), registers: bits }
    }

    /// The digest of the values in the order of their registers, as a quote has it (Part 1 §17).
    pub(crate) fn digest(&self, hash: HashAlgorithm) -> Vec<u8> {
        let values: Vec<&[u8]> = self.values.iter().flatten().map(|value| &value[..]).collect();
        hash.digest(&values)
    }
}

fn register(index: u32) -> Result<usize, EvidenceError> {
    usize::try_from(index).ok().filter(|index| *index < PCRS).ok_or(EvidenceError::PcrIndex(index))
}

/// A register's value at power-on: zeros, but ones where a dynamic launch would begin.
fn initial(index: usize) -> [u8; LENGTH] {
    if (17..=22).contains(&index) { [0xff; LENGTH] } else { [0; LENGTH] }
}

/// Says that logs explain what registers hold. Registers that were not quoted are not compared; a quoted one that no
/// log touches has to hold its value at power-on.
///
/// # Errors
///
/// [`EvidenceError::PcrDiffers`] names the first register that holds something else, and
/// [`EvidenceError::PcrSelection`] tells of different banks.
pub fn compare(replayed: &Pcrs, quoted: &Pcrs) -> Result<(), EvidenceError> {
    if replayed.bank != quoted.bank {
        let [expected, found] = [replayed, quoted].map(|pcrs| pcrs.selection().to_string());
        return Err(EvidenceError::PcrSelection { expected, found });
    }
    for (pcr, (replayed, quoted)) in replayed.values.iter().zip(&quoted.values).enumerate() {
        let Some(quoted) = quoted else { continue };
        let replayed = replayed.unwrap_or(initial(pcr));
        if *quoted != replayed {
            let [replayed, quoted] = [&replayed, quoted].map(const_hex::encode);
            return Err(EvidenceError::PcrDiffers { pcr, replayed, quoted });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_begin_where_a_tpm_begins_them() {
        let mut quoted = Pcrs::new(HashAlgorithm::Sha256).unwrap();
        let empty = quoted.clone();
        quoted.set(0, [0; 32]).unwrap();
        quoted.set(17, [0xff; 32]).unwrap();
        quoted.set(23, [0; 32]).unwrap();
        compare(&empty, &quoted).unwrap();
        assert_eq!(quoted.selection().to_string(), "0x000b:0,17,23");
        quoted.set(18, [0; 32]).unwrap();
        assert!(matches!(compare(&empty, &quoted), Err(EvidenceError::PcrDiffers { pcr: 18, .. })));
        assert!(matches!(quoted.set(24, [0; 32]), Err(EvidenceError::PcrIndex(24))));
        assert!(matches!(quoted.extend(u32::MAX, &[0; 32]), Err(EvidenceError::PcrIndex(u32::MAX))));
    }

    #[test]
    fn only_banks_of_32_bytes() {
        assert!(matches!(Pcrs::new(HashAlgorithm::Sha384), Err(EvidenceError::Bank("sha384"))));
        let (sha256, sm3) = (Pcrs::new(HashAlgorithm::Sha256).unwrap(), Pcrs::new(HashAlgorithm::Sm3).unwrap());
        assert!(matches!(compare(&sha256, &sm3), Err(EvidenceError::PcrSelection { .. })));
    }
}
