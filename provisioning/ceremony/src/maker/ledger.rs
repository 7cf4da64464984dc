//! Which boxes a maker made, to whom each was sold, and which epoch its next voucher has.

use std::collections::BTreeMap;

use dolmen_provisioning_ca::{Certificate, PublicKey};
use dolmen_provisioning_voucher::{OwnershipEpoch, SerialNumber};
use serde::{Deserialize, Serialize};

use crate::encoding::{bytes, digits};

/// A line of a maker's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum MakerRecord {
    /// The first one: the maker's authorities were made.
    Founded {
        /// What the maker is called.
        maker: String,
        /// The kind of its boxes, an identifier of its own (RFC 4108 §5).
        hardware: String,
        /// Its root.
        root: Certificate,
        /// The authority that certifies boxes.
        issuing: Certificate,
        /// Who signs vouchers.
        masa: Certificate,
    },
    /// A box was made.
    Made {
        /// Its serial number.
        serial_number: SerialNumber,
        /// Its first certificate (IDevID).
        idevid: Certificate,
        /// SHA-256 of its TPM's endorsement key.
        #[serde(with = "digits")]
        endorsement_key: [u8; 32],
        /// The TPM's counter of owners then.
        ownership_epoch: OwnershipEpoch,
    },
    /// A voucher was signed for a box.
    Vouched {
        /// The box.
        serial_number: SerialNumber,
        /// SHA-256 of the root certificate of the organisation that it was sold to.
        #[serde(with = "digits")]
        organisation: [u8; 32],
        /// The voucher's epoch.
        ownership_epoch: OwnershipEpoch,
        /// Whether it answers a box's own request.
        nonce: bool,
        /// The voucher, CMS in DER, as base64.
        #[serde(with = "bytes")]
        voucher: Vec<u8>,
    },
}

/// Why a record does not follow, or is not made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A second founding.
    #[error("the maker's authorities were made before")]
    Founded,
    /// Two boxes with one number.
    #[error("a box {0} was made already; give this one a serial number of its own, or say that its board was replaced")]
    Made(SerialNumber),
    /// Two boxes with one TPM.
    #[error("the TPM of this box is that of {0} already; look which of the labels is right")]
    SameTpm(SerialNumber),
    /// No such box.
    #[error("no box {0} was made here; look at its label, and at `dolmen masa list`")]
    Unknown(SerialNumber),
    /// Somebody else's.
    #[error("the box {0} was sold to another organisation; say --resell if it gave the box up")]
    Sold(SerialNumber),
    /// Nobody's.
    #[error("the box {0} was not sold to the organisation that asks; sell it first")]
    NotSold(SerialNumber),
    /// An epoch that is not greater than the last.
    #[error("the epoch {found} of the box {serial_number} does not follow {last}")]
    Epoch {
        /// The box.
        serial_number: SerialNumber,
        /// The record's.
        found: OwnershipEpoch,
        /// The last one.
        last: OwnershipEpoch,
    },
    /// No epoch is left.
    #[error("the epochs of the box {0} are used up")]
    Exhausted(SerialNumber),
}

/// A box that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its first certificate.
    pub idevid: Certificate,
    /// SHA-256 of its TPM's endorsement key.
    pub endorsement_key: [u8; 32],
    /// The greatest epoch that it may have: that of its last voucher, or of its birth.
    pub epoch: OwnershipEpoch,
    /// To whom it was sold last: SHA-256 of the organisation's root.
    pub owner: Option<[u8; 32]>,
    /// The last voucher that can be given away again: one that no request was needed for.
    pub voucher: Option<Vec<u8>>,
}

/// A sale, before its voucher is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sale {
    /// The box has this voucher for the organisation already.
    Had(Vec<u8>),
    /// It needs one with this epoch.
    Needs(OwnershipEpoch),
}

/// What a maker's records come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    machines: BTreeMap<SerialNumber, Machine>,
    tpms: BTreeMap<[u8; 32], SerialNumber>,
}

impl Ledger {
    /// Adds a record. One that does not follow changes nothing.
    ///
    /// # Errors
    ///
    /// [`LedgerError`].
    pub fn apply(&mut self, record: &MakerRecord) -> Result<(), LedgerError> {
        match record {
            MakerRecord::Founded { .. } => return Err(LedgerError::Founded),
            MakerRecord::Made { serial_number, idevid, endorsement_key, ownership_epoch } => {
                self.check_new(serial_number, endorsement_key)?;
                let (idevid, endorsement_key, epoch) = (idevid.clone(), *endorsement_key, *ownership_epoch);
                self.tpms.insert(endorsement_key, serial_number.clone());
                let machine = Machine { idevid, endorsement_key, epoch, owner: None, voucher: None };
                self.machines.insert(serial_number.clone(), machine);
            }
            MakerRecord::Vouched { serial_number, organisation, ownership_epoch: found, nonce, voucher } => {
                let unknown = || LedgerError::Unknown(serial_number.clone());
                let machine = self.machines.get_mut(serial_number).ok_or_else(unknown)?;
                if *found <= machine.epoch {
                    let (serial_number, found, last) = (serial_number.clone(), *found, machine.epoch);
                    return Err(LedgerError::Epoch { serial_number, found, last });
                }
                machine.epoch = *found;
                machine.owner = Some(*organisation);
                machine.voucher = (!nonce).then(|| voucher.clone());
            }
        }
        Ok(())
    }

    /// The certificate of the box with this number, TPM and key.
    #[must_use]
    pub fn made(
        &self,
        serial_number: &SerialNumber,
        endorsement_key: &[u8; 32],
        key: PublicKey,
    ) -> Option<&Certificate> {
        let machine = self.machines.get(serial_number)?;
        let same = machine.endorsement_key == *endorsement_key && machine.idevid.public_key() == Ok(key);
        same.then_some(&machine.idevid)
    }

    /// Says that a box may be made: neither its number nor its TPM is another's.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Made`] and [`LedgerError::SameTpm`].
    pub fn check_new(&self, serial_number: &SerialNumber, endorsement_key: &[u8; 32]) -> Result<(), LedgerError> {
        if self.machines.contains_key(serial_number) {
            return Err(LedgerError::Made(serial_number.clone()));
        }
        self.tpms.get(endorsement_key).map_or(Ok(()), |other| Err(LedgerError::SameTpm(other.clone())))
    }

    /// What a sale to an organisation takes. With `resell` a box that another has may be sold, and the organisation's own
    /// gets another voucher, which counts more than the ones before.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unknown`], [`LedgerError::Sold`] and [`LedgerError::Exhausted`].
    pub fn sell(
        &self,
        serial_number: &SerialNumber,
        organisation: &[u8; 32],
        resell: bool,
    ) -> Result<Sale, LedgerError> {
        let machine = self.machine(serial_number)?;
        match (&machine.owner, &machine.voucher) {
            (Some(owner), Some(voucher)) if owner == organisation && !resell => return Ok(Sale::Had(voucher.clone())),
            (Some(owner), _) if owner != organisation && !resell => {
                return Err(LedgerError::Sold(serial_number.clone()));
            }
            _ => {}
        }
        self.next_epoch(serial_number).map(Sale::Needs)
    }

    /// The epoch of the answer to a box's own request, through a registrar of an organisation.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unknown`], [`LedgerError::NotSold`] and [`LedgerError::Exhausted`].
    pub fn answer(&self, serial_number: &SerialNumber, organisation: &[u8; 32]) -> Result<OwnershipEpoch, LedgerError> {
        if self.machine(serial_number)?.owner.as_ref() != Some(organisation) {
            return Err(LedgerError::NotSold(serial_number.clone()));
        }
        self.next_epoch(serial_number)
    }

    fn machine(&self, serial_number: &SerialNumber) -> Result<&Machine, LedgerError> {
        self.machines.get(serial_number).ok_or_else(|| LedgerError::Unknown(serial_number.clone()))
    }

    fn next_epoch(&self, serial_number: &SerialNumber) -> Result<OwnershipEpoch, LedgerError> {
        self.machine(serial_number)?.epoch.next().ok_or_else(|| LedgerError::Exhausted(serial_number.clone()))
    }

    /// All boxes, by serial number.
    pub fn machines(&self) -> impl Iterator<Item = (&SerialNumber, &Machine)> {
        self.machines.iter()
    }
}
