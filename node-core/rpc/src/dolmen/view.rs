//! The shapes of answers.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U64};
use dolmen_governance::{Admission, Change, EpochValidator, Modes, Parameters, Policy};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{BlockCertificate, Epoch};

/// A validator of an epoch.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ValidatorJson {
    pub(super) public_key: B256,
    pub(super) name: String,
    pub(super) fee_recipient: Address,
}

impl From<&EpochValidator> for ValidatorJson {
    fn from(validator: &EpochValidator) -> Self {
        let EpochValidator { key, fee_recipient, name } = validator;
        Self { public_key: key.0.into(), name: name.clone(), fee_recipient: *fee_recipient }
    }
}

/// What blocks obey.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ParametersJson {
    gas_limit: U64,
    base_fee_per_gas: U64,
    block_interval_min_ms: U64,
    block_interval_max_ms: U64,
    silent_after_seconds: U64,
}

impl From<Parameters> for ParametersJson {
    fn from(parameters: Parameters) -> Self {
        Self {
            gas_limit: U64::from(parameters.gas_limit),
            base_fee_per_gas: U64::from(parameters.base_fee_per_gas),
            block_interval_min_ms: U64::from(parameters.block_interval_min_ms),
            block_interval_max_ms: U64::from(parameters.block_interval_max_ms),
            silent_after_seconds: U64::from(parameters.silent_after_s),
        }
    }
}

/// An epoch with what proves it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EpochJson {
    number: U64,
    first_block: U64,
    last_block: U64,
    validators: Vec<ValidatorJson>,
    parameters: ParametersJson,
    record: Bytes,
    certificate: Option<CertificateJson>,
}

impl From<Epoch> for EpochJson {
    fn from(epoch: Epoch) -> Self {
        Self {
            number: U64::from(epoch.record.epoch),
            first_block: U64::from(epoch.first_block),
            last_block: U64::from(epoch.last_block),
            validators: epoch.record.validators.iter().map(ValidatorJson::from).collect(),
            parameters: epoch.record.parameters.into(),
            record: epoch.encoded,
            certificate: epoch.certificate.map(CertificateJson::from),
        }
    }
}

/// A certificate, read and as its bytes.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateJson {
    block: U64,
    block_hash: B256,
    epoch: U64,
    view: U64,
    parent_view: U64,
    signatures: Vec<SignatureJson>,
    rlp: Bytes,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignatureJson {
    rank: U64,
    public_key: B256,
    signature: FixedBytes<64>,
}

impl From<BlockCertificate> for CertificateJson {
    fn from(found: BlockCertificate) -> Self {
        let BlockCertificate { number, certificate, signers } = found;
        let signatures = certificate.signatures.iter().zip(signers).map(|(signed, signer)| SignatureJson {
            rank: U64::from(signed.rank),
            public_key: signer.0.into(),
            signature: signed.signature,
        });
        Self {
            block: U64::from(number),
            block_hash: certificate.block,
            epoch: U64::from(certificate.epoch),
            view: U64::from(certificate.view),
            parent_view: U64::from(certificate.parent_view),
            signatures: signatures.collect(),
            rlp: alloy_rlp::encode(&certificate).into(),
        }
    }
}

/// A member of the consortium.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrganisationJson {
    pub(super) id: U64,
    pub(super) name: String,
    pub(super) account: Address,
    pub(super) root_certificate: Bytes,
}

/// A box; `role` is what it is to be from the next epoch on, `votes` is whether it votes in this one.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BoxJson {
    pub(super) public_key: B256,
    pub(super) name: String,
    pub(super) organisation: Option<U64>,
    pub(super) role: Option<&'static str>,
    pub(super) votes: bool,
    pub(super) standby: bool,
    pub(super) since: U64,
    pub(super) fee_recipient: Address,
    pub(super) endpoint: String,
    pub(super) evidence: B256,
    pub(super) last_proposed: Option<U64>,
}

/// How changes of a kind are decided; `needed` is what `approvals` comes to with the organisations that there are.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyJson {
    pub(super) kind: &'static str,
    pub(super) approvals: U64,
    pub(super) needed: U64,
    pub(super) own: bool,
    pub(super) lifetime_seconds: U64,
}

/// Which permissions the chain asks for.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionsJson {
    pub(super) restrict_deploy: bool,
    pub(super) restrict_send: bool,
    pub(super) account: Option<AccountJson>,
}

/// What an account was given, and what it may do with it.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountJson {
    pub(super) address: Address,
    pub(super) deploy: bool,
    pub(super) send: bool,
    pub(super) organisation: bool,
    pub(super) may_deploy: bool,
    pub(super) may_send: bool,
}

/// What a proposal changes, by the names of its kind's arguments.
pub(super) fn change(change: &Change) -> Value {
    match change {
        Change::AdmitOrganisation { name, account, root_certificate } => {
            json!({"name": name, "account": account, "rootCertificate": root_certificate})
        }
        Change::RemoveOrganisation { organisation } => json!({"organisation": U64::from(*organisation)}),
        Change::ChangeOrganisation { organisation, account, root_certificate } => json!({
            "organisation": U64::from(*organisation),
            "account": account,
            "rootCertificate": root_certificate,
        }),
        Change::AdmitFollower { admission: asks, standby } => {
            json!({"admission": admission(asks), "standby": standby})
        }
        Change::AdmitValidator { admission: asks } => json!({"admission": admission(asks)}),
        Change::Promote { key } | Change::Demote { key } | Change::Retire { key } => {
            json!({"publicKey": B256::from(key.0)})
        }
        Change::Replace { retired, admission: asks } => {
            json!({"retired": B256::from(retired.0), "admission": admission(asks)})
        }
        Change::ChangeBox { key, fee_recipient, endpoint, standby } => json!({
            "publicKey": B256::from(key.0),
            "feeRecipient": fee_recipient,
            "endpoint": endpoint,
            "standby": standby,
        }),
        Change::SetPolicy { kind, policy: Policy { approvals, own, lifetime_s } } => json!({
            "kind": kind.name(),
            "approvals": U64::from(*approvals),
            "own": own,
            "lifetimeSeconds": U64::from(*lifetime_s),
        }),
        Change::SetParameters(parameters) => json!(ParametersJson::from(*parameters)),
        Change::SetPermissionModes(Modes { restrict_deploy, restrict_send }) => {
            json!({"restrictDeploy": restrict_deploy, "restrictSend": restrict_send})
        }
        Change::SetPermission { account, bits } => {
            json!({"account": account, "deploy": bits & 1 != 0, "send": bits & 2 != 0})
        }
    }
}

fn admission(asks: &Admission) -> Value {
    json!({
        "publicKey": B256::from(asks.key.0),
        "organisation": U64::from(asks.organisation),
        "name": asks.name,
        "feeRecipient": asks.fee_recipient,
        "endpoint": asks.endpoint,
        "evidence": asks.evidence,
        "possession": asks.possession,
    })
}
