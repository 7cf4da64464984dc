//! What this crate keeps in the TPM's memory, and where.
//!
//! | index | what | kind | module |
//! |---|---|---|---|
//! | `0x01800d01` | lowest version that an approval may name | counter | `counter.rs` |
//! | `0x01800d02` | lowest security version of an image; of `image/boot`, not of this crate | bits | |
//! | `0x01800d03` | ownership epoch | counter | `counter.rs` |
//! | `0x01810000` + 16 bits of key and chain | counter of the log of votes | counter | `lease.rs` |
//! | `0x01820000` + the same | its last lease | ordinary | `lease.rs` |
//! | `0x01c90000` to `0x01c9000f` | certificates of the IDevID, in one of them | ordinary | `certificates.rs` |
//!
//! Read, never written: `0x01c00002`, `0x01c0000a` and `0x01c00016`, the maker's certificates of endorsement keys, and
//! `0x01c00100` to `0x01c001ff`, what is above those (EK Credential Profile 2.5, §2.2.1.4 and §2.2.1.5; `evidence.rs`).
//!
//! Indices of `0x018` are the owner's (TCG Registry of Reserved TPM 2.0 Handles and Localities §2.2.2: 0x01800000 to
//! 0x01bfffff). `TPM2_Clear`, as of the firmware's menu, deletes what the owner made, and so all of these but what a
//! maker wrote as the platform. Counters do not begin anew then: a new one's first value is above all that those had
//! that were deleted, and with some TPMs above all that there are.

use std::ops::RangeInclusive;

use dolmen_hsm_api::KeyError;
use tss_esapi::{
    abstraction::nv::max_nv_buffer_size,
    attributes::{NvIndexAttributes, NvIndexAttributesBuilder},
    constants::{CapabilityType, NvIndexType, PropertyTag, response_code::Tss2ResponseCodeKind},
    handles::{NvIndexHandle, NvIndexTpmHandle, TpmHandle},
    interface_types::{
        algorithm::HashingAlgorithm,
        resource_handles::{NvAuth, Provision},
    },
    structures::{CapabilityData, MaxNvBuffer, NvPublic, NvPublicBuilder},
};

use crate::{connection::Connection, reason::Failure};

pub(crate) const FLOOR: u32 = 0x0180_0d01;
pub(crate) const OWNERSHIP_EPOCH: u32 = 0x0180_0d03;
/// Of leases: the counters' and the records' indices, each with 16 bits of the scope added.
pub(crate) const LEASE_COUNTERS: u32 = 0x0181_0000;
pub(crate) const LEASE_RECORDS: u32 = 0x0182_0000;
/// Of certificates of the IDevID. "TCG TPM v2.0 Provisioning Guidance" §7.8, table 2, names the first; those from
/// 0x01c90010 on are for policies and unique values ("TPM 2.0 Keys for Device Identity and Attestation" §7.3.2, §7.3.3).
pub(crate) const IDEVID_CERTIFICATES: RangeInclusive<u32> = 0x01c9_0000..=0x01c9_000f;
/// Of what is above the maker's certificates of endorsement keys (EK Credential Profile 2.5, §2.2.1.5).
pub(crate) const EK_CHAIN: RangeInclusive<u32> = 0x01c0_0100..=0x01c0_01ff;

pub(crate) const COUNTER_BYTES: u16 = 8;
/// Indices of a range that are looked at: a range of ours has 16, and no maker's chain has as many pieces.
const INDICES_MAX: u32 = 16;

/// An index, and what the TPM says of it.
pub(crate) struct Index {
    pub(crate) handle: NvIndexHandle,
    pub(crate) number: u32,
    pub(crate) attributes: NvIndexAttributes,
    pub(crate) bytes: usize,
}

/// By the owner written, by everybody read: nobody needs the owner's password for that. Wrong passwords are not counted
/// against it, nor does it lock when others are.
pub(crate) fn attributes(kind: NvIndexType) -> NvIndexAttributes {
    NvIndexAttributesBuilder::new()
        .with_owner_write(true)
        .with_owner_read(true)
        .with_auth_read(true)
        .with_no_da(true)
        .with_nv_index_type(kind)
        .build()
        .expect("attributes that fit together")
}

fn tpm_handle(index: u32) -> NvIndexTpmHandle {
    NvIndexTpmHandle::new(index).expect("an index of the TPM's memory")
}

pub(crate) fn find(connection: &mut Connection, index: u32) -> Result<Option<NvIndexHandle>, Failure> {
    let found = connection
        .context
        .execute_without_session(|context| context.tr_from_tpm_public(TpmHandle::NvIndex(tpm_handle(index))));
    match found {
        Ok(found) => Ok(Some(found.into())),
        Err(error) => {
            let failure = Failure::from(error);
            if matches!(failure.kind(), Some(Tss2ResponseCodeKind::Handle)) { Ok(None) } else { Err(failure) }
        }
    }
}

/// The first indices of a range that there are, in order.
pub(crate) fn list(connection: &mut Connection, range: &RangeInclusive<u32>) -> Result<Vec<Index>, Failure> {
    let (handles, _) = connection.context.execute_without_session(|context| {
        context.get_capability(CapabilityType::Handles, *range.start(), INDICES_MAX)
    })?;
    let CapabilityData::Handles(handles) = handles else {
        return Err(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm).into());
    };
    let mut indices = Vec::new();
    for number in handles.into_inner().into_iter().map(u32::from).filter(|number| range.contains(number)) {
        if let Some(handle) = find(connection, number)? {
            let (public, _) = connection.context.nv_read_public(handle)?;
            indices.push(Index { handle, number, attributes: public.attributes(), bytes: public.data_size() });
        }
    }
    Ok(indices)
}

pub(crate) fn define(
    connection: &mut Connection,
    index: u32,
    kind: NvIndexType,
    bytes: u16,
) -> Result<NvIndexHandle, Failure> {
    let public: NvPublic = NvPublicBuilder::new()
        .with_nv_index(tpm_handle(index))
        .with_index_name_algorithm(HashingAlgorithm::Sha256)
        .with_index_attributes(attributes(kind))
        .with_data_area_size(usize::from(bytes))
        .build()?;
    Ok(connection
        .context
        .execute_with_nullauth_session(|context| context.nv_define_space(Provision::Owner, None, public))?)
}

/// A counter that has a value.
pub(crate) fn counter(connection: &mut Connection, index: u32) -> Result<NvIndexHandle, Failure> {
    let found = match find(connection, index)? {
        Some(found) => found,
        None => define(connection, index, NvIndexType::Counter, COUNTER_BYTES)?,
    };
    // A counter has no value before it was incremented (TPM 2.0 Library, Part 1 §37.2.3).
    if !connection.context.nv_read_public(found)?.0.attributes().written() {
        increment(connection, found)?;
    }
    Ok(found)
}

pub(crate) fn increment(connection: &mut Connection, index: NvIndexHandle) -> Result<(), Failure> {
    Ok(connection.context.execute_with_nullauth_session(|context| context.nv_increment(NvAuth::Owner, index))?)
}

pub(crate) fn read_counter(connection: &mut Connection, index: NvIndexHandle) -> Result<u64, Failure> {
    let bytes = connection
        .context
        .execute_with_nullauth_session(|context| context.nv_read(NvAuth::Owner, index, COUNTER_BYTES, 0))?;
    Ok(bytes.value().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)))
}

/// All that is in an ordinary index, by commands of as many bytes as the TPM takes; nothing where it was never written,
/// or is not for everybody.
pub(crate) fn read(connection: &mut Connection, index: &Index) -> Result<Vec<u8>, Failure> {
    let (handle, attributes) = (index.handle, index.attributes);
    let ordinary = attributes.index_type().is_ok_and(|kind| kind == NvIndexType::Ordinary);
    if !ordinary || !attributes.written() || attributes.read_locked() {
        return Ok(Vec::new());
    }
    let auth = match (attributes.auth_read(), attributes.owner_read()) {
        (true, _) => NvAuth::NvIndex(handle),
        (_, true) => NvAuth::Owner,
        _ => return Ok(Vec::new()),
    };
    let step = command_bytes(connection)?;
    let mut content = Vec::with_capacity(index.bytes);
    while content.len() < index.bytes {
        let (size, offset) = (u16_of(step.min(index.bytes - content.len()))?, u16_of(content.len())?);
        let bytes =
            connection.context.execute_with_nullauth_session(|context| context.nv_read(auth, handle, size, offset))?;
        if bytes.value().is_empty() {
            return Err(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm).into());
        }
        content.extend_from_slice(bytes.value());
    }
    Ok(content)
}

/// Fills an ordinary index, likewise.
pub(crate) fn write(connection: &mut Connection, index: NvIndexHandle, content: &[u8]) -> Result<(), Failure> {
    let step = command_bytes(connection)?;
    for (at, part) in content.chunks(step).enumerate() {
        let (offset, part) = (u16_of(at * step)?, MaxNvBuffer::try_from(part.to_vec())?);
        connection
            .context
            .execute_with_nullauth_session(|context| context.nv_write(NvAuth::Owner, index, part, offset))?;
    }
    Ok(())
}

/// How many bytes an index may have.
pub(crate) fn index_bytes_max(connection: &mut Connection) -> Result<usize, Failure> {
    let max = connection.context.get_tpm_property(PropertyTag::NvIndexMax)?;
    Ok(max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::from(u16::MAX)))
}

fn command_bytes(connection: &mut Connection) -> Result<usize, Failure> {
    Ok(max_nv_buffer_size(&mut connection.context)?.clamp(1, MaxNvBuffer::MAX_SIZE))
}

/// Sizes of indices have 16 bits.
fn u16_of(number: usize) -> Result<u16, Failure> {
    let too_many = || KeyError::Policy {
        what: "the TPM's memory".into(),
        reason: format!("no index has {number} bytes; write less"),
    };
    u16::try_from(number).map_err(|_| too_many().into())
}
