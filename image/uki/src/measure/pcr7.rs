//! Register 7: by whose authority a box booted.
//!
//! §3.3.4.8 of the profile: the variables of Secure Boot in a fixed order, the line between them and what they are used
//! for, and then the entry of `db` by which an image was loaded, each once. It does not depend on the images, so that
//! what is bound to it survives updates by the same signer, and is lost when somebody changes the keys.

use super::{EventKind, Guid, MeasureError, Measurement};
use crate::{
    authenticode::verify,
    bytes::{array, usize_at},
    limits::{CERTIFICATE_BYTES_MAX, SIGNATURE_DATABASE_BYTES_MAX},
    pe::Image,
};

const PCR: u32 = 7;
/// `EFI_GLOBAL_VARIABLE`.
const GLOBAL: Guid = Guid::new(0x8be4df61_93ca_11d2_aa0d_00e098032b8c);
/// `EFI_IMAGE_SECURITY_DATABASE_GUID`.
const SECURITY_DATABASE: Guid = Guid::new(0xd719b2cb_3d3a_4596_a3bc_dad00e67656f);
/// `EFI_CERT_X509_GUID`.
const X509: Guid = Guid::new(0xa5c059a1_94e4_4aa7_87b5_ab155c2bf072);
/// Bytes of `EFI_SIGNATURE_LIST`'s fields: a GUID and three sizes.
const LIST_HEADER_LENGTH: usize = 28;
/// Bytes of an owner's GUID.
const OWNER_LENGTH: usize = 16;

/// The variables of Secure Boot, each a sequence of `EFI_SIGNATURE_LIST` (UEFI 2.10 §32.4.1); empty if there is none.
#[derive(Clone, Copy, Debug)]
pub struct SecureBoot<'a> {
    /// Whether it is on: 1, or 0; empty where the firmware knows no Secure Boot.
    pub secure_boot: &'a [u8],
    /// The platform's key: who may change `KEK`.
    pub pk: &'a [u8],
    /// Who may change `db` and `dbx`.
    pub kek: &'a [u8],
    /// Whose images are loaded.
    pub db: &'a [u8],
    /// What is not loaded nevertheless.
    pub dbx: &'a [u8],
}

impl SecureBoot<'_> {
    /// What firmware measures when it loads these images, in that order: those of [`boot_path`](super::boot_path) but
    /// for the kernel, which the stub vouches for.
    ///
    /// Whether `dbx` forbids one of them is not looked at.
    ///
    /// # Errors
    ///
    /// [`MeasureError::Database`] if a variable is damaged, [`MeasureError::Denied`] if firmware would not load an
    /// image by a certificate in `db`.
    pub fn measurements(&self, images: &[&Image<'_>]) -> Result<Vec<Measurement>, MeasureError> {
        for (variable, lists) in [("PK", self.pk), ("KEK", self.kek), ("dbx", self.dbx)] {
            entries(variable, lists)?;
        }
        let certificates = certificates("db", self.db)?;
        let configuration = |name, vendor, data| variable(EventKind::VariableDriverConfig, name, vendor, data);
        let mut measurements = vec![
            configuration("SecureBoot", GLOBAL, self.secure_boot),
            configuration("PK", GLOBAL, self.pk),
            configuration("KEK", GLOBAL, self.kek),
            configuration("db", SECURITY_DATABASE, self.db),
            configuration("dbx", SECURITY_DATABASE, self.dbx),
            Measurement::separator(PCR),
        ];
        if self.secure_boot != [1] {
            return Ok(measurements);
        }
        let trusted: Vec<&[u8]> = certificates.iter().map(|entry| &entry[OWNER_LENGTH..]).collect();
        for (index, image) in images.iter().enumerate() {
            let verified = verify(image, &trusted).map_err(|source| MeasureError::Denied { index, source })?;
            let entry = certificates[verified.authority];
            let authority = variable(EventKind::VariableAuthority, "db", SECURITY_DATABASE, entry);
            if !measurements.contains(&authority) {
                measurements.push(authority);
            }
        }
        Ok(measurements)
    }
}

/// A list with one certificate (DER), for [`SecureBoot`] and for enrolling keys. `owner` is who put it there; register
/// 7 depends on it.
///
/// # Errors
///
/// [`MeasureError::Certificate`] for one that is too large.
pub fn certificate_list(owner: Guid, certificate: &[u8]) -> Result<Vec<u8>, MeasureError> {
    let (found, limit) = (certificate.len(), CERTIFICATE_BYTES_MAX);
    let too_large = || MeasureError::Certificate { found, limit };
    if found > limit {
        return Err(too_large());
    }
    let entry = u32::try_from(OWNER_LENGTH + found).map_err(|_| too_large())?;
    let list = u32::try_from(LIST_HEADER_LENGTH + OWNER_LENGTH + found).map_err(|_| too_large())?;
    let sizes = [list, 0, entry].map(u32::to_le_bytes).concat();
    Ok([&X509.0[..], &sizes, &owner.0, certificate].concat())
}

/// A variable as it is measured (`UEFI_VARIABLE_DATA`, §10.2.6): GUID, lengths of name and data, name in 16-bit
/// characters, data.
fn variable(kind: EventKind, name: &str, vendor: Guid, data: &[u8]) -> Measurement {
    let characters: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let lengths = [characters.len() / 2, data.len()].map(|length| (length as u64).to_le_bytes()).concat();
    let what = match kind {
        EventKind::VariableAuthority => format!("a certificate of {name}"),
        _ => format!("the variable {name}"),
    };
    Measurement::of(PCR, kind, &[&vendor.0[..], &lengths, &characters, data].concat(), what)
}

/// The certificates in a variable, each behind its owner's GUID.
fn certificates<'a>(variable: &'static str, lists: &'a [u8]) -> Result<Vec<&'a [u8]>, MeasureError> {
    let entries = entries(variable, lists)?;
    Ok(entries.into_iter().filter(|(kind, _)| *kind == X509).map(|(_, entry)| entry).collect())
}

/// The entries of a variable: their kind, and an owner's GUID with what follows it.
fn entries<'a>(variable: &'static str, mut lists: &'a [u8]) -> Result<Vec<(Guid, &'a [u8])>, MeasureError> {
    let damaged = |reason| MeasureError::Database { variable, reason };
    if lists.len() > SIGNATURE_DATABASE_BYTES_MAX {
        return Err(damaged("it is larger than firmware's memory"));
    }
    let mut found = Vec::new();
    while !lists.is_empty() {
        let kind = array(lists, 0).map(Guid).ok_or_else(|| damaged("a list ends within its header"))?;
        let size = |offset| usize_at(lists, offset).ok_or_else(|| damaged("a list ends within its header"));
        let (list, header, entry) = (size(16)?, size(20)?, size(24)?);
        let first = LIST_HEADER_LENGTH.saturating_add(header);
        if list > lists.len() || first > list {
            return Err(damaged("a list's size"));
        }
        let content = &lists[first..list];
        if entry < OWNER_LENGTH || !content.len().is_multiple_of(entry) {
            return Err(damaged("the size of a list's entries"));
        }
        found.extend(content.chunks_exact(entry).map(|entry| (kind, entry)));
        lists = &lists[list..];
    }
    Ok(found)
}
