//! Counters in the TPM's memory: the version floor and the lease of the log of votes.

use std::sync::Arc;

use dolmen_hsm_api::{KeyError, Lease, LeaseCounter, Scope};
use sha2::{Digest as _, Sha256};
use tss_esapi::{
    attributes::{NvIndexAttributes, NvIndexAttributesBuilder},
    constants::NvIndexType,
    handles::{NvIndexHandle, NvIndexTpmHandle, TpmHandle},
    interface_types::{
        algorithm::HashingAlgorithm,
        resource_handles::{NvAuth, Provision},
    },
    structures::{MaxNvBuffer, NvPublic, NvPublicBuilder},
    tss2_esys::TPMA_NV,
};

use crate::{
    connection::{Connection, Tpm},
    reason::Failure,
};

// Indices of the owner (TCG Registry of Reserved TPM 2.0 Handles and Localities §2.2.2: 0x01800000 to 0x01bfffff).
pub(crate) const FLOOR: u32 = 0x0180_0d01;
/// Of leases: the counters' and the records' indices, each with 16 bits of the scope added.
const LEASE_COUNTERS: u32 = 0x0181_0000;
const LEASE_RECORDS: u32 = 0x0182_0000;

const COUNTER_BYTES: u16 = 8;
/// Counter, epoch, view and the scope.
const RECORD_BYTES: u16 = 56;

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
        self.0.run("read the version floor", |connection| {
            let index = counter(connection, FLOOR)?;
            read_counter(connection, index)
        })
    }

    /// Raises it to a version, for good.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    pub fn raise(&self, version: u64) -> Result<u64, KeyError> {
        self.0.run("raise the version floor", |connection| {
            let index = counter(connection, FLOOR)?;
            loop {
                let value = read_counter(connection, index)?;
                if value >= version {
                    return Ok(value);
                }
                increment(connection, index)?;
            }
        })
    }
}

/// The name of the floor's index as a policy has it: the same in every TPM.
pub(crate) fn floor_name() -> Vec<u8> {
    // TPMS_NV_PUBLIC (TPM 2.0 Library, Part 2 §13.5), with the attribute of an index that was written.
    let attributes = TPMA_NV::try_from(counter_attributes()).expect("valid attributes") | 1 << 29;
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

/// The counters and the records that stamp logs of votes.
#[derive(Clone, Debug)]
pub struct NvLease(Arc<Tpm>);

impl NvLease {
    /// Those of a TPM.
    pub const fn new(tpm: Arc<Tpm>) -> Self {
        Self(tpm)
    }
}

/// The indices of a scope.
fn indices(scope: &Scope) -> (u32, u32) {
    let place = u32::from(u16::from_be_bytes([scope[0], scope[1]]));
    (LEASE_COUNTERS + place, LEASE_RECORDS + place)
}

/// The lease in a record; an error if it is another scope's, which has the same 16 bits.
fn lease(record: &[u8], scope: &Scope) -> Result<Lease, KeyError> {
    let number = |at: usize| {
        record.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
    };
    if record.get(24..) != Some(&scope[..]) {
        return Err(KeyError::Policy {
            what: "the TPM's memory".into(),
            reason:
                "its place for the lease of this key's votes is another key's or chain's; make another consensus key"
                    .into(),
        });
    }
    Ok(Lease { counter: number(0), epoch: number(8), view: number(16) })
}

impl LeaseCounter for NvLease {
    fn read(&self, scope: &Scope) -> Result<Option<Lease>, KeyError> {
        let (counters, records) = indices(scope);
        self.0.run("read the lease of votes", |connection| {
            let (Some(counter), Some(record)) = (find(connection, counters)?, find(connection, records)?) else {
                return Ok(None);
            };
            if !connection.context.nv_read_public(record)?.0.attributes().written() {
                return Ok(None);
            }
            let bytes = connection
                .context
                .execute_with_nullauth_session(|context| context.nv_read(NvAuth::Owner, record, RECORD_BYTES, 0))?;
            let lease = lease(bytes.value(), scope)?;
            // A counter ahead of the record was stopped between the two.
            let now = read_counter(connection, counter)?;
            Ok(Some(Lease { counter: now.max(lease.counter), ..lease }))
        })
    }

    fn advance(&self, scope: &Scope, epoch: u64, view: u64) -> Result<Lease, KeyError> {
        // The floor's first value is the highest of all counters: it must be made before they go up.
        Floor(self.0.clone()).read()?;
        self.read(scope)?;
        let (counters, records) = indices(scope);
        self.0.run("write the lease of votes", |connection| {
            let index = counter(connection, counters)?;
            increment(connection, index)?;
            let lease = Lease { counter: read_counter(connection, index)?, epoch, view };
            let record = match find(connection, records)? {
                Some(record) => record,
                None => define(connection, records, record_attributes(), RECORD_BYTES)?,
            };
            let mut bytes: Vec<u8> = [lease.counter, epoch, view].into_iter().flat_map(u64::to_be_bytes).collect();
            bytes.extend(scope);
            let bytes = MaxNvBuffer::try_from(bytes)?;
            connection
                .context
                .execute_with_nullauth_session(|context| context.nv_write(NvAuth::Owner, record, bytes, 0))?;
            Ok(lease)
        })
    }
}

fn counter_attributes() -> NvIndexAttributes {
    attributes(NvIndexType::Counter)
}

fn record_attributes() -> NvIndexAttributes {
    attributes(NvIndexType::Ordinary)
}

fn attributes(kind: NvIndexType) -> NvIndexAttributes {
    NvIndexAttributesBuilder::new()
        .with_owner_write(true)
        .with_owner_read(true)
        .with_auth_read(true)
        .with_no_da(true)
        .with_nv_index_type(kind)
        .build()
        .expect("attributes that fit together")
}

fn handle(index: u32) -> NvIndexTpmHandle {
    NvIndexTpmHandle::new(index).expect("an index of the owner")
}

fn find(connection: &mut Connection, index: u32) -> Result<Option<NvIndexHandle>, Failure> {
    let found = connection
        .context
        .execute_without_session(|context| context.tr_from_tpm_public(TpmHandle::NvIndex(handle(index))));
    match found {
        Ok(found) => Ok(Some(found.into())),
        Err(error) => {
            let failure = Failure::from(error);
            let missing =
                matches!(failure.kind(), Some(tss_esapi::constants::response_code::Tss2ResponseCodeKind::Handle));
            if missing { Ok(None) } else { Err(failure) }
        }
    }
}

fn define(
    connection: &mut Connection,
    index: u32,
    attributes: NvIndexAttributes,
    bytes: u16,
) -> Result<NvIndexHandle, Failure> {
    let public: NvPublic = NvPublicBuilder::new()
        .with_nv_index(handle(index))
        .with_index_name_algorithm(HashingAlgorithm::Sha256)
        .with_index_attributes(attributes)
        .with_data_area_size(usize::from(bytes))
        .build()?;
    Ok(connection
        .context
        .execute_with_nullauth_session(|context| context.nv_define_space(Provision::Owner, None, public))?)
}

/// A counter that has a value.
fn counter(connection: &mut Connection, index: u32) -> Result<NvIndexHandle, Failure> {
    let found = match find(connection, index)? {
        Some(found) => found,
        None => define(connection, index, counter_attributes(), COUNTER_BYTES)?,
    };
    // A counter has no value before it was incremented (TPM 2.0 Library, Part 1 §37.2.3).
    if !connection.context.nv_read_public(found)?.0.attributes().written() {
        increment(connection, found)?;
    }
    Ok(found)
}

fn increment(connection: &mut Connection, index: NvIndexHandle) -> Result<(), Failure> {
    Ok(connection.context.execute_with_nullauth_session(|context| context.nv_increment(NvAuth::Owner, index))?)
}

fn read_counter(connection: &mut Connection, index: NvIndexHandle) -> Result<u64, Failure> {
    let bytes = connection
        .context
        .execute_with_nullauth_session(|context| context.nv_read(NvAuth::Owner, index, COUNTER_BYTES, 0))?;
    Ok(bytes.value().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)))
}
