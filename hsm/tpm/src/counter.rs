//! Counters in the TPM's memory that are raised and never go down: the version floor and the ownership epoch.

use std::sync::Arc;

use dolmen_hsm_api::KeyError;
use sha2::{Digest as _, Sha256};
use tss_esapi::{constants::NvIndexType, tss2_esys::TPMA_NV};

use crate::{
    connection::{Connection, Tpm},
    nv::{COUNTER_BYTES, FLOOR, OWNERSHIP_EPOCH, attributes, counter, increment, read_counter},
    reason::Failure,
};

/// By how much an epoch is raised at once at most. A TPM steps some 60 to 100 times a second at best and wears out by it;
/// a box has some ten owners in its life, and its counter may begin some hundred above what its maker wrote down.
const EPOCH_STEPS_MAX: u64 = 1024;

/// The lowest version that may run. An authority's approval names a version; the TPM unseals nothing for one below this.
#[derive(Clone, Debug)]
pub struct Floor(Arc<Tpm>);

impl Floor {
    /// The floor of a TPM.
    pub const fn new(tpm: Arc<Tpm>) -> Self {
        Self(tpm)
    }

    /// Its value; it is made where there is none. A TPM whose counters were used before begins above one.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    pub fn read(&self) -> Result<u64, KeyError> {
        self.0.run("read the version floor", |connection| read(connection, FLOOR))
    }

    /// Raises it to a version, for good.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    pub fn raise(&self, version: u64) -> Result<u64, KeyError> {
        self.0.run("raise the version floor", |connection| raise(connection, FLOOR, version))
    }
}

/// The number of the last voucher that a box followed. One that is not above it hands the box to nobody.
///
/// The first value is the TPM's: one on a new TPM, and on another above all that its counters had which were deleted, or
/// with some TPMs above all that there are. So whoever makes boxes reads it at the factory, which makes the counter, and
/// writes it down with the serial number: the first voucher has a higher number. After the TPM was cleared the counter is
/// a new one, whose first value is higher still, and no old voucher is taken again; the maker has to learn that value
/// before it signs another.
#[derive(Clone, Debug)]
pub struct OwnershipEpoch(Arc<Tpm>);

impl OwnershipEpoch {
    /// The epoch of a TPM.
    pub const fn new(tpm: Arc<Tpm>) -> Self {
        Self(tpm)
    }

    /// Its value; the counter is made where there is none.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    pub fn read(&self) -> Result<u64, KeyError> {
        self.0.run("read the ownership epoch", |connection| read(connection, OWNERSHIP_EPOCH))
    }

    /// Raises it, for good and one by one, and gives its value: that of before where it is not below `to`. Whatever
    /// stops it in between leaves it between the two, and the same call again goes on.
    ///
    /// # Errors
    ///
    /// [`KeyError::Policy`] for more than 1,024 steps, before the first; and whatever goes wrong with the TPM.
    pub fn raise(&self, to: u64) -> Result<u64, KeyError> {
        self.0.run("raise the ownership epoch", |connection| {
            check_step(read(connection, OWNERSHIP_EPOCH)?, to)?;
            raise(connection, OWNERSHIP_EPOCH, to)
        })
    }
}

fn check_step(value: u64, to: u64) -> Result<(), KeyError> {
    if to.saturating_sub(value) <= EPOCH_STEPS_MAX {
        return Ok(());
    }
    Err(KeyError::Policy {
        what: "the TPM's ownership epoch".into(),
        reason: format!(
            "it is {value}, and {to} is more than {EPOCH_STEPS_MAX} steps above that; have the maker sign a voucher with \
             the epoch {}",
            value.saturating_add(1)
        ),
    })
}

fn read(connection: &mut Connection, index: u32) -> Result<u64, Failure> {
    let index = counter(connection, index)?;
    read_counter(connection, index)
}

fn raise(connection: &mut Connection, index: u32, to: u64) -> Result<u64, Failure> {
    let index = counter(connection, index)?;
    loop {
        let value = read_counter(connection, index)?;
        if value >= to {
            return Ok(value);
        }
        increment(connection, index)?;
    }
}

/// The name of the floor's index as a policy has it: the same in every TPM.
pub(crate) fn floor_name() -> Vec<u8> {
    // TPMS_NV_PUBLIC (TPM 2.0 Library, Part 2 §13.5), with the attribute of an index that was written.
    let attributes = TPMA_NV::try_from(attributes(NvIndexType::Counter)).expect("valid attributes") | 1 << 29;
    let mut public = Vec::new();
    public.extend(FLOOR.to_be_bytes());
    public.extend(SHA256.to_be_bytes());
    public.extend(attributes.to_be_bytes());
    public.extend(0_u16.to_be_bytes());
    public.extend(COUNTER_BYTES.to_be_bytes());
    [&SHA256.to_be_bytes()[..], &Sha256::digest(public)].concat()
}

/// `TPM_ALG_SHA256`.
const SHA256: u16 = 0x000b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_takes_as_many_steps_as_may_be_and_no_more() {
        for (value, to) in [(1, 0), (1, 1), (1, 1025), (u64::MAX, 0), (u64::MAX - 1024, u64::MAX)] {
            check_step(value, to).unwrap();
        }
        for (value, to) in [(1, 1026), (0, u64::MAX), (u64::MAX - 1025, u64::MAX)] {
            check_step(value, to).unwrap_err();
        }
    }
}
