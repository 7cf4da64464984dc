//! The whole consortium in one answer, for the box's page.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{U64, hex};
use anyhow::Context as _;
use dolmen_access::Timestamp;
use dolmen_governance::{Policy, Role};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    chain::Chain,
    members::Members,
    proposals::{Proposal, rule},
    show::{BoxView, Epoch, OrganisationView, Pending, PolicyView, changes},
};

/// Boxes in an answer: the page shows no more.
const BOXES_MAX: usize = 1024;
/// Organisations in an answer, more than any consortium has.
const ORGANISATIONS_MAX: usize = 256;
/// Proposals in an answer, the newest: each takes a question of its own for its votes.
const PROPOSALS_MAX: u64 = 20;

/// The consortium, as the governance contract has it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consortium {
    /// Its members.
    organisations: Vec<Organisation>,
    /// The boxes of all of them, with those that are retired.
    boxes: Vec<MemberBox>,
    /// Whether there are more boxes than these.
    more_boxes: bool,
    /// The epoch that runs.
    epoch: u64,
    /// Who votes in it, by name.
    validators: Vec<String>,
    /// What changes with the next one, a sentence each.
    next_epoch: Vec<String>,
    /// The newest proposals, the last one first.
    proposals: Vec<ProposalView>,
    /// How changes are decided, by their kinds.
    policy: BTreeMap<String, Decides>,
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
struct Organisation {
    /// Its number.
    id: u64,
    /// What people call it.
    name: String,
    /// Its account.
    address: String,
    /// How many boxes it has that are not retired.
    boxes: usize,
}

/// A box of the chain.
#[derive(Debug, Serialize, ToSchema)]
struct MemberBox {
    /// What people call it.
    name: String,
    /// Whose it is; none where nobody's, as in a chain without organisations.
    organisation: Option<String>,
    /// Its consensus key.
    public_key: String,
    /// Where others reach it; none where it told nobody.
    address: Option<String>,
    /// From the next epoch on: `validator`, `follower` or `retired`.
    role: String,
    /// Now.
    standing: Standing,
    /// Hash of the appraisal with which its organisation had it admitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    appraisal: Option<String>,
    /// When it last proposed a block.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_proposed_at: Option<Timestamp>,
}

/// How a box stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Standing {
    /// It votes.
    Votes,
    /// It votes until the epoch ends.
    Leaves,
    /// It votes from the next epoch on.
    Joins,
    /// It follows the chain and is to take the vote of another of its organisation.
    StandsBy,
    /// It follows the chain.
    Follows,
    /// It belongs to the chain no more.
    Retired,
}

/// A proposal.
#[derive(Debug, Serialize, ToSchema)]
struct ProposalView {
    /// Its number, which a vote names.
    id: u64,
    /// What kind of change it is.
    kind: Option<String>,
    /// What it changes, as it follows "to".
    text: String,
    /// Which organisation made it.
    proposer: String,
    opened_at: Timestamp,
    expires_at: Timestamp,
    /// So far.
    votes: Vec<Ballot>,
    /// Approvals that it takes, while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<u64>,
    /// `open`, `executed`, `rejected`, `expired` or `withdrawn`.
    state: Option<String>,
    /// The block in which it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at_height: Option<u64>,
}

/// A vote.
#[derive(Debug, Serialize, ToSchema)]
struct Ballot {
    /// Who voted.
    organisation: String,
    /// Whether for it.
    approve: bool,
}

/// How changes of a kind are decided.
#[derive(Debug, Serialize, ToSchema)]
struct Decides {
    /// Approvals that it takes with the members that there are.
    needed: u64,
    /// Whether an organisation decides alone about its own boxes.
    own: bool,
    /// How long a proposal is open.
    lifetime_s: u64,
    /// All of it in words.
    text: String,
}

impl Consortium {
    /// Asks a box of the chain by its JSON-RPC.
    ///
    /// # Errors
    ///
    /// Where it does not answer, or in another form.
    pub(crate) async fn load(rpc: &str) -> anyhow::Result<Self> {
        let chain = &Chain::new(rpc)?;
        let members = Members::load(chain).await?;
        let organisations: Vec<OrganisationView> = chain.call("dolmen_organisations", json!([])).await?;
        let boxes: Vec<BoxView> = chain.call("dolmen_boxes", json!([])).await?;
        let policies: Vec<PolicyView> = chain.call("dolmen_policies", json!([])).await?;
        let epoch: Epoch = chain.call("dolmen_epoch", json!([])).await?;
        let pending: Pending = chain.call("dolmen_pending", json!([])).await?;
        let newest: Vec<Proposal> = chain.call("dolmen_proposals", json!(["0x0", U64::from(PROPOSALS_MAX)])).await?;
        // The list has no votes.
        let proposals = futures::future::try_join_all(newest.iter().map(|proposal| async move {
            let id = U64::from(proposal.id.saturating_to::<u64>());
            let with_votes: Option<Proposal> = chain.call("dolmen_proposal", json!([id])).await?;
            with_votes.with_context(|| format!("the chain has no proposal {id} any more"))
        }));
        Ok(Self {
            organisations: organisations.iter().take(ORGANISATIONS_MAX).map(|own| organisation(own, &boxes)).collect(),
            boxes: member_boxes(&boxes, &organisations),
            more_boxes: boxes.len() > BOXES_MAX,
            epoch: epoch.number.to(),
            validators: epoch.validators.iter().map(|validator| validator.name.clone()).collect(),
            next_epoch: changes(&pending),
            proposals: proposals.await?.iter().map(|proposal| view(proposal, &members)).collect(),
            policy: policies.iter().map(|own| (own.kind.clone(), decides(own))).collect(),
        })
    }
}

fn organisation(own: &OrganisationView, boxes: &[BoxView]) -> Organisation {
    let has = |one: &&BoxView| one.organisation == Some(own.id) && standing(one) != Standing::Retired;
    Organisation {
        id: own.id.to(),
        name: own.name.clone(),
        address: own.account.to_string(),
        boxes: boxes.iter().filter(has).count(),
    }
}

fn member_boxes(boxes: &[BoxView], organisations: &[OrganisationView]) -> Vec<MemberBox> {
    let names: HashMap<U64, &str> = organisations.iter().map(|own| (own.id, own.name.as_str())).collect();
    let view = |own: &BoxView| MemberBox {
        name: own.name.clone(),
        organisation: own
            .organisation
            .map(|id| names.get(&id).map_or_else(|| id.to_string(), |name| (*name).to_owned())),
        public_key: hex::encode(own.public_key),
        address: (!own.endpoint.is_empty()).then(|| own.endpoint.clone()),
        role: own.role.clone().unwrap_or_else(|| "unknown".to_owned()),
        standing: standing(own),
        appraisal: (!own.evidence.is_zero()).then(|| hex::encode(own.evidence)),
        last_proposed_at: own.last_proposed.map(|time| Timestamp(time.to())),
    };
    boxes.iter().take(BOXES_MAX).map(view).collect()
}

fn standing(own: &BoxView) -> Standing {
    let is = |role: Role| own.role.as_deref() == Some(role.name());
    match own.votes {
        true if is(Role::Validator) => Standing::Votes,
        true => Standing::Leaves,
        false if is(Role::Validator) => Standing::Joins,
        false if is(Role::Retired) => Standing::Retired,
        false if own.standby => Standing::StandsBy,
        false => Standing::Follows,
    }
}

fn view(proposal: &Proposal, members: &Members) -> ProposalView {
    let ballots = proposal.votes.iter().map(|vote| Ballot {
        organisation: members.organisation_name(vote.organisation.saturating_to()),
        approve: vote.approve,
    });
    ProposalView {
        id: proposal.id.saturating_to(),
        kind: proposal.kind.clone(),
        text: proposal.sentence(members),
        proposer: members.organisation_name(proposal.organisation()),
        opened_at: Timestamp(proposal.created.to()),
        expires_at: Timestamp(proposal.expires.to()),
        votes: ballots.collect(),
        needed: proposal.needed.map(|needed| needed.to()),
        state: proposal.status.clone(),
        decided_at_height: proposal.decided.map(|block| block.to()),
    }
}

fn decides(own: &PolicyView) -> Decides {
    let policy =
        Policy { approvals: own.approvals.saturating_to(), own: own.own, lifetime_s: own.lifetime_seconds.to() };
    Decides { needed: own.needed.to(), own: own.own, lifetime_s: policy.lifetime_s, text: rule(&policy) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: &str, votes: bool, standby: bool) -> BoxView {
        let text = json!({
            "publicKey": format!("0x{}", "ab".repeat(32)), "name": "box-0", "organisation": "0x1", "role": role,
            "votes": votes, "standby": standby, "feeRecipient": format!("0x{}", "00".repeat(20)), "endpoint": "",
            "evidence": format!("0x{}", "00".repeat(32)), "lastProposed": null,
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn boxes_stand_as_they_vote_now_and_from_the_next_epoch_on() {
        let stands = |role, votes, standby| standing(&member(role, votes, standby));
        assert_eq!(stands("validator", true, false), Standing::Votes);
        assert_eq!(stands("follower", true, false), Standing::Leaves);
        assert_eq!(stands("retired", true, false), Standing::Leaves);
        assert_eq!(stands("validator", false, false), Standing::Joins);
        assert_eq!(stands("follower", false, true), Standing::StandsBy);
        assert_eq!(stands("follower", false, false), Standing::Follows);
        assert_eq!(stands("retired", false, false), Standing::Retired);
    }

    #[test]
    fn lists_are_bounded_and_boxes_are_counted() {
        let text =
            json!({"id": "0x1", "name": "alpha", "account": format!("0x{}", "01".repeat(20)), "rootCertificate": "0x"});
        let alpha: OrganisationView = serde_json::from_value(text).unwrap();
        let mut boxes: Vec<_> = (0..BOXES_MAX).map(|_| member("follower", false, false)).collect();
        boxes.push(member("retired", false, false));
        assert_eq!(organisation(&alpha, &boxes).boxes, BOXES_MAX);
        let shown = member_boxes(&boxes, &[alpha]);
        assert_eq!(shown.len(), BOXES_MAX);
        assert_eq!(shown[0].organisation.as_deref(), Some("alpha"));
        assert_eq!((&shown[0].address, &shown[0].appraisal), (&None, &None));
    }
}
