//! The counters and the records that stamp logs of votes.

use std::sync::Arc;

use dolmen_hsm_api::{KeyError, Lease, LeaseCounter, Scope};
use tss_esapi::{constants::NvIndexType, interface_types::resource_handles::NvAuth, structures::MaxNvBuffer};

use crate::{
    connection::Tpm,
    counter::{Floor, OwnershipEpoch},
    nv::{LEASE_COUNTERS, LEASE_RECORDS, counter, define, find, increment, read_counter},
};

/// Counter, epoch, view and the scope.
const RECORD_BYTES: u16 = 56;

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
        // With some TPMs a first value is above all that counters have: those two must be made before this one goes up.
        Floor::new(self.0.clone()).read()?;
        OwnershipEpoch::new(self.0.clone()).read()?;
        self.read(scope)?;
        let (counters, records) = indices(scope);
        self.0.run("write the lease of votes", |connection| {
            let index = counter(connection, counters)?;
            increment(connection, index)?;
            let lease = Lease { counter: read_counter(connection, index)?, epoch, view };
            let record = match find(connection, records)? {
                Some(record) => record,
                None => define(connection, records, NvIndexType::Ordinary, RECORD_BYTES)?,
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
