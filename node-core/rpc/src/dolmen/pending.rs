//! What the end of the epoch would bring if it came now: decisions that wait for it, and stand-by boxes that take the
//! places of silent validators.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Log, U64};
use alloy_sol_types::{SolEvent as _, SolInterface as _};
use dolmen_governance::{EpochRecord, EpochValidator, contract};
use dolmen_types::Epochs;
use serde::Serialize;
use serde_json::{Value, json};

use super::view::{ParametersJson, ValidatorJson};
use crate::{Backend, GovernanceState, RpcError, methods::Methods};

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingJson {
    /// The epoch that is next, and its first block.
    epoch: U64,
    first_block: U64,
    /// Whether anything changes with it.
    changes: bool,
    joining: Vec<ValidatorJson>,
    leaving: Vec<ValidatorJson>,
    fee_recipients: Vec<FeeRecipientJson>,
    /// All of them where one changes.
    parameters: Option<ParametersJson>,
    /// Why the validators stay though others are wanted.
    held: Option<Value>,
    /// Validators that have not proposed for too long.
    silent: Vec<SilentJson>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FeeRecipientJson {
    public_key: B256,
    name: String,
    from: Address,
    to: Address,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SilentJson {
    public_key: B256,
    name: String,
    last_proposed: U64,
}

pub(super) fn register(methods: &mut Methods) {
    methods.add("dolmen_pending", 0, async |backend: Arc<Backend>, _| {
        backend.compute(|backend| pending(&backend.governance(BlockId::latest())?, backend.epochs())).await
    });
}

fn pending(governance: &GovernanceState<'_>, epochs: Epochs) -> Result<PendingJson, RpcError> {
    let now = governance.record()?;
    let preview = governance.preview_epoch()?;
    let next = EpochRecord::decode(&preview.record)
        .map_err(|_| RpcError::Internal("the governance contract answers with a record that does not decode"))?;
    let missing = |from: &EpochRecord, to: &EpochRecord| -> Vec<ValidatorJson> {
        from.validators.iter().filter(|own| to.validator(&own.key).is_none()).map(ValidatorJson::from).collect()
    };
    let (joining, leaving) = (missing(&next, &now), missing(&now, &next));
    let fee_recipients: Vec<_> = next.validators.iter().filter_map(|own| moved(&now, own)).collect();
    let parameters = (now.parameters != next.parameters).then(|| ParametersJson::from(next.parameters));
    Ok(PendingJson {
        epoch: U64::from(next.epoch),
        first_block: U64::from(epochs.first(next.epoch).unwrap_or(u64::MAX)),
        changes: !joining.is_empty() || !leaving.is_empty() || !fee_recipients.is_empty() || parameters.is_some(),
        joining,
        leaving,
        fee_recipients,
        parameters,
        held: preview.logs.iter().find_map(held),
        silent: silent(governance, &now)?,
    })
}

/// The validator's new fee recipient, where it votes already and gets another.
fn moved(now: &EpochRecord, next: &EpochValidator) -> Option<FeeRecipientJson> {
    let from = now.validator(&next.key)?.fee_recipient;
    (from != next.fee_recipient).then(|| FeeRecipientJson {
        public_key: next.key.0.into(),
        name: next.name.clone(),
        from,
        to: next.fee_recipient,
    })
}

/// The contract's error, where the log says that the validators stay: with the validators that are heard and those that
/// a quorum needs, or with those that would leave and the most that may.
fn held(log: &Log) -> Option<Value> {
    let contract::EpochHeld { reason, .. } = contract::EpochHeld::decode_log_data(&log.data).ok()?;
    match contract::GovernanceErrors::abi_decode(&reason).ok()? {
        contract::GovernanceErrors::QuorumAtRisk(contract::QuorumAtRisk { live, needed }) => {
            Some(json!({"reason": "QuorumAtRisk", "live": live, "needed": needed}))
        }
        contract::GovernanceErrors::TooManyLeaving(contract::TooManyLeaving { leaving, most }) => {
            Some(json!({"reason": "TooManyLeaving", "leaving": leaving, "most": most}))
        }
        _ => None,
    }
}

fn silent(governance: &GovernanceState<'_>, now: &EpochRecord) -> Result<Vec<SilentJson>, RpcError> {
    let limit = now.parameters.silent_after_s;
    let mut silent = Vec::new();
    for validator in now.validators.iter().filter(|_| limit != 0) {
        let last = governance.ask(&contract::lastProposedCall { key: validator.key.0.into() })?;
        if governance.header().timestamp > last.saturating_add(limit) {
            let (public_key, name) = (validator.key.0.into(), validator.name.clone());
            silent.push(SilentJson { public_key, name, last_proposed: U64::from(last) });
        }
    }
    Ok(silent)
}
