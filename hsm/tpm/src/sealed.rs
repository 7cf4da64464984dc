//! Secrets that a TPM gives back only in the state they were sealed to.

use std::{collections::BTreeMap, sync::Arc};

use dolmen_hsm_api::{Authority, KeyError, SealPolicy, Sealer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tss_esapi::{
    constants::SessionType,
    interface_types::algorithm::HashingAlgorithm,
    structures::{Digest, PcrSelectionList, PcrSelectionListBuilder, PcrSlot, Private, Public, SensitiveData},
    traits::{Marshall as _, UnMarshall as _},
};
use zeroize::Zeroizing;

use crate::{
    connection::{Connection, Tpm},
    counter::Floor,
    ffi,
    policy::{self, Approval},
    reason::Failure,
    template,
};

/// What sealed secrets begin with.
const FORMAT: &str = "dolmen-sealed-1";
/// What a TPM seals at most (`MAX_SYM_DATA` is 128 in all that are sold; half of it is enough for a key).
const SECRET_MAX: usize = 64;

/// Seals to the registers of a TPM.
#[derive(Clone, Debug)]
pub struct TpmSealer(Arc<Tpm>);

/// A sealed secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    format: String,
    /// Registers whose values are part of the policy.
    pcrs: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authority: Option<SealedAuthority>,
    tpm_public: String,
    tpm_private: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedAuthority {
    public_key: String,
    reference: String,
}

/// The approval as the TPM is to check it.
pub(crate) struct Checked {
    pub(crate) key: Public,
    pub(crate) reference: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) pcrs: PcrSelectionList,
    pub(crate) policy: [u8; 32],
    pub(crate) digest: [u8; 32],
    pub(crate) signature: [u8; 64],
}

impl TpmSealer {
    /// Seals with a TPM.
    pub const fn new(tpm: Arc<Tpm>) -> Self {
        Self(tpm)
    }

    /// The values of registers, SHA-256 bank.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the TPM.
    pub fn read(&self, pcrs: &[u8]) -> Result<BTreeMap<u8, [u8; 32]>, KeyError> {
        self.0.run("read registers", |connection| read(connection, pcrs))
    }
}

/// The values of registers.
pub(crate) fn read(connection: &mut Connection, pcrs: &[u8]) -> Result<BTreeMap<u8, [u8; 32]>, Failure> {
    let mut values = BTreeMap::new();
    // A TPM answers with eight at most.
    for pcr in pcrs {
        let none = || KeyError::Policy {
            what: "the TPM".into(),
            reason: format!("it has no register {pcr} with SHA-256; switch the SHA-256 bank on in the firmware"),
        };
        let one = selection(&[*pcr]).map_err(|_| none())?;
        let (_, _, digests) = connection.context.execute_without_session(|context| context.pcr_read(one))?;
        let value = digests.value().first().and_then(|digest| digest.value().try_into().ok());
        values.insert(*pcr, value.ok_or_else(none)?);
    }
    Ok(values)
}

pub(crate) fn selection(pcrs: &[u8]) -> tss_esapi::Result<PcrSelectionList> {
    let slots: Vec<_> =
        pcrs.iter().filter_map(|pcr| PcrSlot::try_from(1_u32.checked_shl(u32::from(*pcr))?).ok()).collect();
    PcrSelectionListBuilder::new().with_selection(HashingAlgorithm::Sha256, &slots).build()
}

fn failed(reason: impl Into<String>) -> KeyError {
    KeyError::Policy { what: "the sealed secret".into(), reason: reason.into() }
}

/// The name of a P-256 key as a policy has it.
fn name(key: &Public) -> tss_esapi::Result<Vec<u8>> {
    Ok([&[0x00, 0x0b][..], &Sha256::digest(key.marshall()?)].concat())
}

impl Sealer for TpmSealer {
    fn seal(&self, secret: &[u8], policy: &SealPolicy) -> Result<Vec<u8>, KeyError> {
        let SealPolicy { pcrs, authority } = policy;
        if secret.is_empty() || secret.len() > SECRET_MAX {
            return Err(failed(format!(
                "a TPM seals 1 to {SECRET_MAX} bytes; seal a key, and encrypt the rest with it"
            )));
        }
        if pcrs.is_empty() && authority.is_none() {
            return Err(failed("it names neither a register nor an authority, so anybody at this TPM could open it"));
        }
        pcrs.iter().try_for_each(|pcr| policy::usable(*pcr)).map_err(failed)?;
        let mut pcrs = pcrs.clone();
        pcrs.sort_unstable();
        pcrs.dedup();
        if authority.is_some() {
            // The policy names it, so there must be one when the secret is to come back.
            Floor::new(self.0.clone()).read()?;
        }
        let (private, public) = self.0.run("seal", |connection| {
            let start = match authority {
                Some(Authority { public_key, reference }) => {
                    policy::by_authority(&name(&template::verifying(public_key)?)?, reference)
                }
                None => [0; 32],
            };
            let policy = policy::with_pcrs(start, &read(connection, &pcrs)?);
            let template = template::sealed(Some(Digest::try_from(policy.to_vec())?))?;
            create(connection, secret, template, None)
        })?;
        let authority = authority.as_ref().map(|authority| SealedAuthority {
            public_key: const_hex::encode(authority.public_key),
            reference: String::from_utf8_lossy(&authority.reference).into_owned(),
        });
        let sealed = Sealed {
            format: FORMAT.into(),
            pcrs,
            authority,
            tpm_public: const_hex::encode(public.marshall().expect("the TPM's own structure")),
            tpm_private: const_hex::encode(private.value()),
        };
        Ok(serde_json::to_vec_pretty(&sealed).expect("strings and numbers"))
    }

    fn unseal(&self, sealed: &[u8], approval: Option<&[u8]>) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let sealed: Sealed =
            serde_json::from_slice(sealed).map_err(|error| failed(format!("it is damaged: {error}")))?;
        if sealed.format != FORMAT {
            return Err(failed(format!("its format is {:?}, not {FORMAT:?}", sealed.format)));
        }
        let damaged = |what: &str| failed(format!("its {what} is damaged"));
        let bytes = |text: &str, what: &str| const_hex::decode(text).map_err(|_| damaged(what));
        let public = Public::unmarshall(&bytes(&sealed.tpm_public, "public area")?);
        let private = Private::try_from(bytes(&sealed.tpm_private, "wrapped secret")?);
        let (public, private) =
            (public.map_err(|_| damaged("public area"))?, private.map_err(|_| damaged("wrapped secret"))?);
        let checked = match (&sealed.authority, approval) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(failed("it takes an approval of the software that runs; name the file that came with it"));
            }
            (Some(authority), Some(approval)) => {
                let key = const_hex::decode_to_array(&authority.public_key).map_err(|_| damaged("authority"))?;
                Some(check(&key, &authority.reference, approval).map_err(failed)?)
            }
        };
        let pcrs = selection(&sealed.pcrs).map_err(|_| damaged("list of registers"))?;
        let pcrs = (!sealed.pcrs.is_empty()).then_some(pcrs);
        self.0.run_apart(|tcti| ffi::unseal(tcti, private, public, checked.as_ref(), pcrs.as_ref())).map_err(|error| {
            match error.reason(&sealed.pcrs, checked.as_ref()) {
                Some(reason) => failed(reason),
                None => error.into_error(&self.0.tcti().to_string()),
            }
        })
    }
}

fn check(key: &[u8; 64], reference: &str, approval: &[u8]) -> Result<Checked, String> {
    let approval = Approval::from_bytes(approval)?;
    if approval.reference != reference {
        return Err(format!("the approval is of {:?}, the secret was sealed for {reference:?}", approval.reference));
    }
    let values = approval.values()?;
    if values.is_empty() {
        return Err("the approval names no register".into());
    }
    let policy = policy::approved(&values, approval.version);
    let pcrs: Vec<_> = values.into_keys().collect();
    Ok(Checked {
        key: template::verifying(key).map_err(|_| "its authority's key is no key")?,
        reference: reference.as_bytes().to_vec(),
        version: approval.version,
        pcrs: selection(&pcrs).map_err(|_| "the approval names no register")?,
        digest: policy::authorized(&policy, reference.as_bytes()),
        policy,
        signature: approval.signature()?,
    })
}

/// Has the TPM wrap a secret; on its way there it is encrypted.
pub(crate) fn create(
    connection: &mut Connection,
    secret: &[u8],
    template: Public,
    auth: Option<tss_esapi::structures::Auth>,
) -> Result<(Private, Public), Failure> {
    connection.make_room()?;
    connection.with_storage_root(|connection, root| {
        connection.with_session(SessionType::Hmac, Some(root), |connection, session| {
            let secret = SensitiveData::try_from(secret.to_vec())?;
            let made = connection.context.execute_with_session(Some(session), |context| {
                context.create(root, template.clone(), auth.clone(), Some(secret), None, None)
            })?;
            Ok((made.out_private, made.out_public))
        })
    })
}
