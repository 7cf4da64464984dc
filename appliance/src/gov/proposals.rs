//! Proposals for people: what they change, in a sentence, and how they stand.

use alloy_primitives::{B256, Bytes, U64, U256, hex};
use anyhow::Context as _;
use dolmen_governance::{Admission, Change, Kind, Modes, Parameters, Permission, Policy, Status};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    chain::Chain,
    members::Members,
    show::Epoch,
    text::{duration, from_now, list, table},
};

/// A proposal as `dolmen_proposal` answers it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Proposal {
    pub(super) id: U256,
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    organisation: U64,
    pub(super) created: U64,
    pub(super) expires: U64,
    pub(super) decided: Option<U64>,
    approvals: U64,
    rejections: U64,
    pub(super) needed: Option<U64>,
    data: Bytes,
    #[serde(default)]
    pub(super) votes: Vec<Vote>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Vote {
    pub(super) organisation: U64,
    pub(super) approve: bool,
}

impl Proposal {
    fn change(&self) -> Option<Change> {
        let kind: Kind = self.kind.as_deref()?.parse().ok()?;
        Change::decode(kind.number(), &self.data).ok()
    }

    fn is(&self, status: Status) -> bool {
        self.status.as_deref() == Some(status.name())
    }

    /// What it changes, in a sentence.
    pub(super) fn sentence(&self, members: &Members) -> String {
        match self.change() {
            Some(change) => sentence(&change, members),
            None => {
                format!("{}, with data that this version does not read", self.kind.as_deref().unwrap_or("a change"))
            }
        }
    }

    /// How it stands, in a few words.
    pub(super) fn standing(&self) -> String {
        let status = self.status.as_deref().unwrap_or("unknown");
        match (self.needed, self.decided) {
            (Some(needed), _) => format!("{status}: {} of {needed} approvals", self.approvals),
            (None, Some(block)) => {
                format!("{status} in block {block}: {} for, {} against", self.approvals, self.rejections)
            }
            (None, None) => format!("{status}: {} for, {} against", self.approvals, self.rejections),
        }
    }

    pub(super) fn organisation(&self) -> u32 {
        self.organisation.saturating_to()
    }
}

/// Prints the newest proposals.
pub(super) async fn list_all(chain: &Chain, count: u64, json: bool) -> anyhow::Result<()> {
    let answer: Value = chain.call("dolmen_proposals", json!(["0x0", U64::from(count)])).await?;
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let proposals: Vec<Proposal> = serde_json::from_value(answer).context("the box answers in another form")?;
    if proposals.is_empty() {
        anstream::println!("nothing was proposed yet; `dolmen gov propose --help` says how");
        return Ok(());
    }
    let members = Members::load(chain).await?;
    let row = |proposal: &Proposal| {
        let expires = if proposal.is(Status::Open) { from_now(proposal.expires.to()) } else { String::new() };
        vec![
            proposal.id.to_string(),
            proposal.sentence(&members),
            members.organisation_name(proposal.organisation()),
            proposal.standing(),
            expires,
        ]
    };
    let rows: Vec<_> = proposals.iter().map(row).collect();
    anstream::print!("{}", table(&["id", "proposes to", "made by", "stands", "expires"], &rows));
    Ok(())
}

/// Prints one proposal.
pub(super) async fn show(chain: &Chain, id: u64, json: bool) -> anyhow::Result<()> {
    let answer: Value = chain.call("dolmen_proposal", json!([U64::from(id)])).await?;
    anyhow::ensure!(!answer.is_null(), "there is no proposal {id}; `dolmen gov proposals` lists them");
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let proposal: Proposal = serde_json::from_value(answer).context("the box answers in another form")?;
    print(chain, &proposal, &Members::load(chain).await?).await
}

/// Prints how a proposal stands, and what comes next.
pub(super) async fn print(chain: &Chain, proposal: &Proposal, members: &Members) -> anyhow::Result<()> {
    let voted = |approve: bool| {
        let votes = proposal.votes.iter().filter(|vote| vote.approve == approve);
        votes.map(|vote| members.organisation_name(vote.organisation.saturating_to())).collect::<Vec<_>>()
    };
    let silent = members
        .organisations
        .iter()
        .filter(|known| !proposal.votes.iter().any(|vote| vote.organisation == U64::from(known.id)));
    let silent: Vec<_> = silent.map(|known| known.name.clone()).collect();
    anstream::println!("proposal {}: {}", proposal.id, proposal.sentence(members));
    let line = |name: &str, text: String| anstream::println!("  {name:<9} {text}");
    line("stands", proposal.standing());
    let (by, created) = (members.organisation_name(proposal.organisation()), proposal.created.to());
    line("made by", format!("{by}, {}", from_now(created)));
    line("for", list(&voted(true)));
    line("against", list(&voted(false)));
    for (name, text) in proposal.change().as_ref().map(details).unwrap_or_default() {
        line(name, text);
    }
    if proposal.is(Status::Open) {
        line("silent", list(&silent));
        line("expires", from_now(proposal.expires.to()));
        line("next", format!("dolmen gov vote {} yes", proposal.id));
    } else if let Some(change) = proposal.change().filter(|_| proposal.is(Status::Executed)) {
        let epoch: Epoch = chain.call("dolmen_epoch", json!([])).await?;
        // What was decided in the last block of the epoch before is in effect.
        let is_new = proposal.decided.is_some_and(|block| block >= epoch.first_block);
        if is_new && waits(&change, &epoch) {
            line("effect", format!("after block {}, with the next epoch", epoch.last_block));
        }
    }
    Ok(())
}

/// Whether a change takes effect with the next epoch.
fn waits(change: &Change, epoch: &Epoch) -> bool {
    match change {
        Change::AdmitValidator { .. }
        | Change::Promote { .. }
        | Change::Demote { .. }
        | Change::Replace { .. }
        | Change::RemoveOrganisation { .. }
        | Change::SetParameters(_) => true,
        // A follower is changed at once; one that votes goes on as it is to the end of the epoch.
        Change::Retire { key } | Change::ChangeBox { key, .. } => epoch.has(&B256::from(key.0)),
        _ => false,
    }
}

/// What a change does, as it follows "to".
pub(super) fn sentence(change: &Change, members: &Members) -> String {
    let name = |key: &dolmen_types::PublicKey| members.box_name(&B256::from(key.0));
    let of = |asks: &Admission| format!("{} of {}", asks.name, members.organisation_name(asks.organisation));
    match change {
        Change::AdmitOrganisation { name, account, .. } => {
            format!("admit the organisation {name} with the account {account}")
        }
        Change::RemoveOrganisation { organisation } => {
            format!("remove {} with all of its boxes", members.organisation_name(*organisation))
        }
        Change::ChangeOrganisation { organisation, account, root_certificate } => format!(
            "give {} the account {account} and {}",
            members.organisation_name(*organisation),
            certificate(root_certificate)
        ),
        Change::AdmitFollower { admission, standby: false } => format!("admit {} as a follower", of(admission)),
        Change::AdmitFollower { admission, standby: true } => {
            format!("admit {} as a follower that stands by", of(admission))
        }
        Change::AdmitValidator { admission } => format!("admit {} as a validator", of(admission)),
        Change::Promote { key } => format!("promote {} to validator", name(key)),
        Change::Demote { key } => format!("demote {} to follower", name(key)),
        Change::Retire { key } => format!("retire {} for good", name(key)),
        Change::Replace { retired, admission } => format!("replace {} by {}", name(retired), of(admission)),
        Change::ChangeBox { key, fee_recipient, endpoint, standby } => format!(
            "have {} at {}, {}, with fees to {fee_recipient}",
            name(key),
            if endpoint.is_empty() { "no address" } else { endpoint.as_str() },
            if *standby { "standing by" } else { "not standing by" },
        ),
        Change::SetPolicy { kind, policy } => format!("decide about {kind} with {}", rule(policy)),
        Change::SetParameters(parameters) => format!("set {}", values(parameters)),
        Change::SetPermissionModes(Modes { restrict_deploy, restrict_send }) => {
            let asks = |asked: bool| if asked { "only with a permission" } else { "freely" };
            format!("let accounts send {} and deploy {}", asks(*restrict_send), asks(*restrict_deploy))
        }
        Change::SetPermission { account, bits } => format!("let {account} {}", permissions(*bits)),
    }
}

/// Lines about what is too long for the sentence.
fn details(change: &Change) -> Vec<(&'static str, String)> {
    match change {
        Change::AdmitFollower { admission, .. }
        | Change::AdmitValidator { admission }
        | Change::Replace { admission, .. } => {
            let endpoint = if admission.endpoint.is_empty() { "none" } else { admission.endpoint.as_str() };
            let mut lines = vec![
                ("key", admission.key.to_string()),
                ("fees", admission.fee_recipient.to_string()),
                ("endpoint", endpoint.to_owned()),
            ];
            if !admission.evidence.is_zero() {
                lines.push(("evidence", admission.evidence.to_string()));
            }
            lines
        }
        Change::Promote { key } | Change::Demote { key } | Change::Retire { key } | Change::ChangeBox { key, .. } => {
            vec![("key", key.to_string())]
        }
        Change::AdmitOrganisation { root_certificate, .. } if !root_certificate.is_empty() => {
            vec![("root", certificate(root_certificate))]
        }
        _ => Vec::new(),
    }
}

fn certificate(der: &Bytes) -> String {
    if der.is_empty() {
        return "no root certificate".to_owned();
    }
    format!("the root certificate with SHA-256 {}", hex::encode(openssl::sha::sha256(der)))
}

/// How a policy decides.
pub(super) fn rule(policy: &Policy) -> String {
    let approvals = match policy.approvals {
        0 => "a majority".to_owned(),
        1 => "1 approval".to_owned(),
        approvals => format!("{approvals} approvals"),
    };
    let own = if policy.own { ", alone about its own boxes" } else { "" };
    format!("{approvals}{own}, within {}", duration(policy.lifetime_s))
}

/// Parameters in a row.
pub(super) fn values(parameters: &Parameters) -> String {
    let silent = match parameters.silent_after_s {
        0 => "never".to_owned(),
        seconds => format!("after {seconds} s"),
    };
    format!(
        "gas limit {}, base fee {} wei, blocks every {} to {} ms, validators silent {silent}",
        parameters.gas_limit,
        parameters.base_fee_per_gas,
        parameters.block_interval_min_ms,
        parameters.block_interval_max_ms
    )
}

fn permissions(bits: u8) -> String {
    // An organisation's account is not among those that are given.
    let has = |permission: Permission| permission.is_in(U256::from(bits & 3));
    match (has(Permission::Deploy), has(Permission::Send)) {
        (true, true) => "deploy and send".to_owned(),
        (true, false) => "deploy".to_owned(),
        (false, true) => "send".to_owned(),
        (false, false) => "neither deploy nor send".to_owned(),
    }
}
