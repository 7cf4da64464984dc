//! Proposals, and how they stand.

use std::sync::Arc;

use alloy_eips::BlockId;
use alloy_primitives::{Bytes, U64, U256};
use dolmen_governance::{Change, Kind, Status, contract};
use serde::Serialize;
use serde_json::Value;

use super::{policy, view};
use crate::{Backend, GovernanceState, RpcError, methods::Methods};

/// Proposals in one answer at most: each may have 8 KiB of data.
const PROPOSALS_MAX: u64 = 100;
/// As many where nobody says how many.
const PROPOSALS_DEFAULT: u64 = 20;

/// A proposal.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProposalJson {
    id: U256,
    kind: Option<&'static str>,
    status: Option<&'static str>,
    organisation: U64,
    created: U64,
    expires: U64,
    /// The block in which it was decided.
    decided: Option<U64>,
    approvals: U64,
    rejections: U64,
    /// Approvals that it takes, while it is open.
    needed: Option<U64>,
    /// By the names of the kind's arguments; none where the data is not that of its kind.
    change: Option<Value>,
    data: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    votes: Option<Vec<VoteJson>>,
}

#[derive(Clone, Serialize)]
struct VoteJson {
    organisation: U64,
    approve: bool,
}

pub(super) fn register(methods: &mut Methods) {
    methods.add("dolmen_proposals", 3, async |backend: Arc<Backend>, args| {
        let from: U64 = args.optional(0)?.unwrap_or_default();
        let count = args.optional::<U64>(1)?.map_or(PROPOSALS_DEFAULT, |count| count.to::<u64>());
        if count > PROPOSALS_MAX {
            return Err(RpcError::argument(1, format!("at most {PROPOSALS_MAX} proposals are answered at once")));
        }
        let id: BlockId = args.optional(2)?.unwrap_or_default();
        backend.compute(move |backend| page(&backend.governance(id)?, from, count)).await
    });
    methods.add("dolmen_proposal", 2, async |backend: Arc<Backend>, args| {
        let number: U64 = args.required(0)?;
        let id: BlockId = args.optional(1)?.unwrap_or_default();
        backend.compute(move |backend| one(&backend.governance(id)?, number)).await
    });
}

/// Proposals from one downwards, 0 for the newest.
fn page(governance: &GovernanceState<'_>, from: U64, count: u64) -> Result<Vec<ProposalJson>, RpcError> {
    let (from, count) = (U256::from(from.to::<u64>()), U256::from(count));
    let found = governance.ask(&contract::proposalsCall { from, count })?;
    let organisations = governance.ask(&contract::organisationsCall {})?.len();
    found.into_iter().map(|proposal| view_of(governance, proposal, organisations)).collect()
}

/// A proposal with its votes.
fn one(governance: &GovernanceState<'_>, number: U64) -> Result<Option<ProposalJson>, RpcError> {
    let id = U256::from(number.to::<u64>());
    let found = governance.ask(&contract::proposalCall { id })?;
    if Status::from_number(found.status).is_none() {
        return Ok(None);
    }
    let organisations = governance.ask(&contract::organisationsCall {})?.len();
    let votes = governance.ask(&contract::votesCall { id })?;
    let vote = |vote: contract::Ballot| VoteJson { organisation: U64::from(vote.organisation), approve: vote.approve };
    let proposal = view_of(governance, found, organisations)?;
    Ok(Some(ProposalJson { votes: Some(votes.into_iter().map(vote).collect()), ..proposal }))
}

fn view_of(
    governance: &GovernanceState<'_>,
    proposal: contract::Proposal,
    organisations: usize,
) -> Result<ProposalJson, RpcError> {
    let (kind, status) = (Kind::from_number(proposal.kind), Status::from_number(proposal.status));
    // An organisation may propose bytes that are no change; they are refused when they are to be carried out.
    let change = Change::decode(proposal.kind, &proposal.data).ok();
    let needed = match kind {
        Some(kind) if status == Some(Status::Open) => {
            let rule = deciding_kind(governance, kind, change.as_ref())?;
            Some(U64::from(policy(governance, rule)?.needed(organisations)))
        }
        _ => None,
    };
    Ok(ProposalJson {
        id: proposal.id,
        kind: kind.map(Kind::name),
        status: status.map(Status::name),
        organisation: U64::from(proposal.organisation),
        created: U64::from(proposal.created),
        expires: U64::from(proposal.expires),
        decided: (proposal.decided != 0).then(|| U64::from(proposal.decided)),
        approvals: U64::from(proposal.approvals),
        rejections: U64::from(proposal.rejections),
        needed,
        change: change.as_ref().map(view::change),
        data: proposal.data,
        votes: None,
    })
}

/// The kind whose policy decides about a change.
fn deciding_kind(governance: &GovernanceState<'_>, kind: Kind, change: Option<&Change>) -> Result<Kind, RpcError> {
    Ok(match change {
        Some(change @ Change::ChangeBox { key, .. }) => {
            let stands_by = governance.ask(&contract::boxCall { key: key.0.into() })?.standby;
            change.decided_as(stands_by)
        }
        Some(change) => change.decided_as(false),
        None => kind,
    })
}
