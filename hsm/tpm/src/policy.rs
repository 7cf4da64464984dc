//! Policies, computed without a TPM: what an authority approves is worked out where the software is built.

use std::collections::BTreeMap;

use dolmen_hsm_api::{Algorithm, Domain, KeyError, Message, Signer};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::counter;

/// What approvals begin with.
const FORMAT: &str = "dolmen-approval-1";

// Command codes and an operation of TPM 2.0 Library, Part 2 §6.5.2 and §6.18.
const POLICY_NV: u32 = 0x0000_0149;
const POLICY_AUTHORIZE: u32 = 0x0000_016a;
const POLICY_PCR: u32 = 0x0000_017f;
/// The index holds a number that is at most the operand.
pub(crate) const UNSIGNED_LE: u16 = 0x0009;
const SHA256: u16 = 0x000b;
/// Registers of a TPM for a PC.
const PCRS: u8 = 24;

/// An authority's word that software may have the secrets that were sealed for it: the registers that it leaves, and its
/// version, below which no box may go back once it has raised its floor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    format: String,
    /// What is approved, as in `dolmen:stable`.
    pub reference: String,
    /// The version; the floor of a TPM must not be above it.
    pub version: u64,
    /// Registers of the SHA-256 bank and their values, hexadecimal.
    pub pcrs: BTreeMap<u8, String>,
    /// `r || s`, hexadecimal.
    signature: String,
}

impl Approval {
    /// Approves software, with a P-256 key that may sign certificates.
    ///
    /// # Errors
    ///
    /// Where the key is of another kind or does not sign.
    pub async fn sign(
        key: &dyn Signer,
        reference: &str,
        version: u64,
        pcrs: BTreeMap<u8, [u8; 32]>,
    ) -> Result<Self, KeyError> {
        let (store, offered) = ("an authority", "p256");
        if key.algorithm() != Algorithm::EcdsaP256 {
            return Err(KeyError::Algorithm { store, algorithm: key.algorithm(), offered });
        }
        let checked = pcrs.keys().try_for_each(|pcr| usable(*pcr)).and_then(|()| match pcrs.len() {
            0 => Err("it names no register".to_owned()),
            _ => Ok(()),
        });
        checked.map_err(|reason| KeyError::Policy { what: "the approval".into(), reason })?;
        let digest = authorized(&approved(&pcrs, version), reference.as_bytes());
        let signature = key.sign(Domain::Certificate, Message::Digest(&digest)).await?;
        Ok(Self {
            format: FORMAT.into(),
            reference: reference.into(),
            version,
            pcrs: pcrs.iter().map(|(pcr, value)| (*pcr, const_hex::encode(value))).collect(),
            signature: const_hex::encode(signature.0),
        })
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// If it is not an approval.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let approval: Self = serde_json::from_slice(bytes).map_err(|error| format!("it is no approval: {error}"))?;
        if approval.format != FORMAT {
            return Err(format!("its format is {:?}, not {FORMAT:?}", approval.format));
        }
        approval.values().and(approval.signature()).map(|_| approval)
    }

    /// JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings and numbers")
    }

    pub(crate) fn values(&self) -> Result<BTreeMap<u8, [u8; 32]>, String> {
        let value = |(pcr, value): (&u8, &String)| {
            let value =
                const_hex::decode_to_array(value).map_err(|_| format!("register {pcr} has no value of 32 bytes"))?;
            usable(*pcr).map(|()| (*pcr, value))
        };
        self.pcrs.iter().map(value).collect()
    }

    pub(crate) fn signature(&self) -> Result<[u8; 64], String> {
        const_hex::decode_to_array(&self.signature).map_err(|_| "its signature is not 64 bytes".into())
    }
}

/// Whether a policy may name a register. Two can be reset by whoever uses the TPM (TCG PC Client Platform TPM Profile 1.06,
/// section 4.6), so that what is in them proves nothing.
pub(crate) fn usable(pcr: u8) -> Result<(), String> {
    match pcr {
        16 | 23 => Err(format!("register {pcr} can be reset by anybody at the box; take another")),
        PCRS.. => Err(format!("there is no register {pcr}; they are 0 to {}", PCRS - 1)),
        _ => Ok(()),
    }
}

/// The policy that an approval stands for: these registers, and a floor that is not above the version.
pub(crate) fn approved(pcrs: &BTreeMap<u8, [u8; 32]>, version: u64) -> [u8; 32] {
    let mut arguments = Sha256::new();
    arguments.update(version.to_be_bytes());
    arguments.update(0_u16.to_be_bytes());
    arguments.update(UNSIGNED_LE.to_be_bytes());
    let arguments = arguments.finalize();
    let registers = with_pcrs([0; 32], pcrs);
    extend(registers, POLICY_NV, &[&arguments, &counter::floor_name()])
}

/// A policy with registers added to it (TPM 2.0 Library, Part 3 §23.7); itself where there are none.
pub(crate) fn with_pcrs(policy: [u8; 32], pcrs: &BTreeMap<u8, [u8; 32]>) -> [u8; 32] {
    if pcrs.is_empty() {
        return policy;
    }
    let mut values = Sha256::new();
    pcrs.values().for_each(|value| values.update(value));
    let mut selection = [0_u8; 3];
    pcrs.keys().for_each(|pcr| selection[usize::from(pcr / 8)] |= 1 << (pcr % 8));
    let selection = [&1_u32.to_be_bytes()[..], &SHA256.to_be_bytes(), &[3], &selection].concat();
    extend(policy, POLICY_PCR, &[&selection, &values.finalize()])
}

/// The policy of whatever an authority approves (TPM 2.0 Library, Part 3 §23.16). `name` is that of its key.
pub(crate) fn by_authority(name: &[u8], reference: &[u8]) -> [u8; 32] {
    let policy = extend([0; 32], POLICY_AUTHORIZE, &[name]);
    let mut hash = Sha256::new_with_prefix(policy);
    hash.update(reference);
    hash.finalize().into()
}

/// What an authority signs.
pub(crate) fn authorized(approved: &[u8; 32], reference: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(approved);
    hash.update(reference);
    hash.finalize().into()
}

fn extend(policy: [u8; 32], command: u32, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(policy);
    hash.update(command.to_be_bytes());
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}
