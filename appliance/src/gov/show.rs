//! What a chain's governance is, for people.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, Bytes, U64, hex};
use anyhow::Context as _;
use dolmen_governance::{Parameters, Policy, Role};
use dolmen_types::certificate::quorum;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    chain::Chain,
    members::{Members, short},
    proposals::{Proposal, rule, values},
    text::{from_now, list, table},
};

/// An epoch as `dolmen_epoch` answers it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Epoch {
    pub(super) number: U64,
    pub(super) first_block: U64,
    pub(super) last_block: U64,
    pub(super) validators: Vec<Validator>,
    parameters: ParametersView,
    certificate: Option<CertificateView>,
}

impl Epoch {
    /// Whether a box votes in it.
    pub(super) fn has(&self, key: &B256) -> bool {
        self.validators.iter().any(|validator| validator.public_key == *key)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Validator {
    pub(super) public_key: B256,
    pub(super) name: String,
    fee_recipient: Address,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ParametersView {
    gas_limit: U64,
    base_fee_per_gas: U64,
    block_interval_min_ms: U64,
    block_interval_max_ms: U64,
    silent_after_seconds: U64,
}

impl From<&ParametersView> for Parameters {
    fn from(view: &ParametersView) -> Self {
        Self {
            gas_limit: view.gas_limit.to(),
            base_fee_per_gas: view.base_fee_per_gas.to(),
            block_interval_min_ms: view.block_interval_min_ms.to(),
            block_interval_max_ms: view.block_interval_max_ms.to(),
            silent_after_s: view.silent_after_seconds.to(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateView {
    block: U64,
    block_hash: B256,
    signatures: Vec<Value>,
}

/// What `dolmen_pending` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pending {
    joining: Vec<Validator>,
    leaving: Vec<Validator>,
    fee_recipients: Vec<NewFeeRecipient>,
    parameters: Option<ParametersView>,
    held: Option<Held>,
    silent: Vec<Silent>,
}

#[derive(Debug, Deserialize)]
struct NewFeeRecipient {
    name: String,
    to: Address,
}

/// Why the validators stay though others are wanted.
#[derive(Debug, Deserialize)]
#[serde(tag = "reason")]
enum Held {
    QuorumAtRisk { live: U64, needed: U64 },
    TooManyLeaving { leaving: U64, most: U64 },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Silent {
    name: String,
    last_proposed: U64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrganisationView {
    pub(super) id: U64,
    pub(super) name: String,
    pub(super) account: Address,
    root_certificate: Bytes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BoxView {
    pub(super) public_key: B256,
    pub(super) name: String,
    pub(super) organisation: Option<U64>,
    pub(super) role: Option<String>,
    pub(super) votes: bool,
    pub(super) standby: bool,
    fee_recipient: Address,
    pub(super) endpoint: String,
    /// Hash of the appraisal with which it was admitted; zero where there was none.
    pub(super) evidence: B256,
    pub(super) last_proposed: Option<U64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyView {
    pub(super) kind: String,
    pub(super) approvals: U64,
    pub(super) needed: U64,
    pub(super) own: bool,
    pub(super) lifetime_seconds: U64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PermissionsView {
    restrict_deploy: bool,
    restrict_send: bool,
    account: Option<AccountView>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountView {
    deploy: bool,
    send: bool,
    organisation: bool,
    may_deploy: bool,
    may_send: bool,
}

/// Prints the epoch that runs, what waits for its end and what may be voted on.
pub(super) async fn status(chain: &Chain, json: bool) -> anyhow::Result<()> {
    let chain_id: U64 = chain.call("eth_chainId", json!([])).await?;
    let block: U64 = chain.call("eth_blockNumber", json!([])).await?;
    let epoch: Value = chain.call("dolmen_epoch", json!([])).await?;
    let pending: Value = chain.call("dolmen_pending", json!([])).await?;
    let newest: Vec<Value> = chain.call("dolmen_proposals", json!(["0x0", "0x64"])).await?;
    let open: Vec<Value> = newest.into_iter().filter(|proposal| proposal["status"] == "open").collect();
    if json {
        let all = json!({"chainId": chain_id, "block": block, "epoch": epoch, "pending": pending, "open": open});
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    let (epoch, pending): (Epoch, Pending) = (read(epoch)?, read(pending)?);
    let members = Members::load(chain).await?;
    let line = |name: &str, text: String| anstream::println!("  {name:<11} {text}");
    anstream::println!("chain {chain_id}, block {block}");
    line("epoch", format!("{}, blocks {} to {}", epoch.number, epoch.first_block, epoch.last_block));
    line("validators", format!("{}; {} decide", names(&epoch.validators), quorum(epoch.validators.len())));
    line("parameters", values(&Parameters::from(&epoch.parameters)));
    let organisations: Vec<_> = members.organisations.iter().map(|known| known.name.clone()).collect();
    line("members", list(&organisations));
    for text in changes(&pending) {
        line("next epoch", text);
    }
    for silent in &pending.silent {
        line("silent", format!("{}, whose last block came {}", silent.name, from_now(silent.last_proposed.to())));
    }
    for proposal in open {
        let proposal: Proposal = read(proposal)?;
        line("open", format!("{}: {} ({})", proposal.id, proposal.sentence(&members), proposal.standing()));
    }
    Ok(())
}

/// What changes with the next epoch, a line each.
pub(super) fn changes(pending: &Pending) -> Vec<String> {
    let mut lines = Vec::new();
    if !pending.joining.is_empty() {
        lines.push(format!("{} will vote", names(&pending.joining)));
    }
    if !pending.leaving.is_empty() {
        lines.push(format!("{} will vote no more", names(&pending.leaving)));
    }
    lines.extend(pending.fee_recipients.iter().map(|moved| format!("{} will be paid at {}", moved.name, moved.to)));
    lines.extend(pending.parameters.iter().map(|parameters| values(&Parameters::from(parameters))));
    lines.extend(pending.held.iter().map(|held| match held {
        Held::QuorumAtRisk { live, needed } => format!(
            "the validators stay: of those wanted {live} are known to work, and a quorum is {needed}; bring silent \
             boxes back, or demote them"
        ),
        Held::TooManyLeaving { leaving, most } => {
            format!("the validators stay: {leaving} would leave, and {most} may at a time")
        }
    }));
    lines
}

fn names(validators: &[Validator]) -> String {
    list(&validators.iter().map(|validator| validator.name.clone()).collect::<Vec<_>>())
}

/// Prints an epoch.
pub(super) async fn epoch(chain: &Chain, number: Option<u64>, json: bool) -> anyhow::Result<()> {
    let answer: Value = chain.call("dolmen_epoch", json!([number.map(U64::from)])).await?;
    anyhow::ensure!(!answer.is_null(), "that epoch has not begun; `dolmen gov epoch` shows the latest");
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let epoch: Epoch = read(answer)?;
    anstream::println!("epoch {}, blocks {} to {}", epoch.number, epoch.first_block, epoch.last_block);
    anstream::println!("  {}", values(&Parameters::from(&epoch.parameters)));
    match &epoch.certificate {
        Some(proof) => anstream::println!(
            "  committed to by block {} ({}), which {} validators of the epoch before signed",
            proof.block,
            proof.block_hash,
            proof.signatures.len()
        ),
        None => anstream::println!("  as the genesis file says"),
    }
    let row = |own: &Validator| vec![own.name.clone(), hex::encode(own.public_key), own.fee_recipient.to_string()];
    let rows: Vec<_> = epoch.validators.iter().map(row).collect();
    anstream::print!("\n{}", table(&["validator", "public key", "fee recipient"], &rows));
    Ok(())
}

/// Prints the members of the consortium.
pub(super) async fn organisations(chain: &Chain, json: bool) -> anyhow::Result<()> {
    let Some(organisations) = list_of::<OrganisationView>(chain, "dolmen_organisations", json).await? else {
        return Ok(());
    };
    let row = |own: &OrganisationView| {
        let root = if own.root_certificate.is_empty() {
            "none".to_owned()
        } else {
            format!("SHA-256 {}", hex::encode(openssl::sha::sha256(&own.root_certificate)))
        };
        vec![own.id.to_string(), own.name.clone(), own.account.to_string(), root]
    };
    let rows: Vec<_> = organisations.iter().map(row).collect();
    anstream::print!("{}", table(&["id", "name", "account", "root certificate"], &rows));
    Ok(())
}

/// Prints the boxes of the chain.
pub(super) async fn boxes(chain: &Chain, all: bool, json: bool) -> anyhow::Result<()> {
    let Some(boxes) = list_of::<BoxView>(chain, "dolmen_boxes", json).await? else { return Ok(()) };
    let organisations: Vec<OrganisationView> = chain.call("dolmen_organisations", json!([])).await?;
    let organisations: HashMap<U64, String> = organisations.into_iter().map(|own| (own.id, own.name)).collect();
    let shown = boxes.iter().filter(|own| all || own.votes || own.role.as_deref() != Some(Role::Retired.name()));
    let row = |own: &BoxView| {
        let organisation = own.organisation.map(|id| organisations.get(&id).cloned().unwrap_or_else(|| id.to_string()));
        let role = own.role.clone().unwrap_or_else(|| "?".to_owned());
        vec![
            own.name.clone(),
            organisation.unwrap_or_else(|| "none".to_owned()),
            if own.standby { format!("{role}, stands by") } else { role },
            if own.votes { "votes".to_owned() } else { String::new() },
            own.last_proposed.map(|time| from_now(time.to())).unwrap_or_default(),
            short(&own.public_key),
            own.endpoint.clone(),
            own.fee_recipient.to_string(),
        ]
    };
    let rows: Vec<_> = shown.map(row).collect();
    let head = ["box", "organisation", "role", "now", "last block", "key", "endpoint", "fee recipient"];
    anstream::print!("{}", table(&head, &rows));
    Ok(())
}

/// Prints how changes of each kind are decided.
pub(super) async fn policies(chain: &Chain, json: bool) -> anyhow::Result<()> {
    let Some(policies) = list_of::<PolicyView>(chain, "dolmen_policies", json).await? else { return Ok(()) };
    let row = |own: &PolicyView| {
        let policy =
            Policy { approvals: own.approvals.saturating_to(), own: own.own, lifetime_s: own.lifetime_seconds.to() };
        vec![own.kind.clone(), own.needed.to_string(), rule(&policy)]
    };
    let rows: Vec<_> = policies.iter().map(row).collect();
    anstream::print!("{}", table(&["kind", "needed now", "policy"], &rows));
    Ok(())
}

/// Prints whether accounts need permissions, and those of one.
pub(super) async fn permissions(chain: &Chain, address: Option<Address>, json: bool) -> anyhow::Result<()> {
    let answer: Value = chain.call("dolmen_permissions", json!([address])).await?;
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let permissions: PermissionsView = read(answer)?;
    let asked = |asked: bool| if asked { "only with a permission" } else { "freely" };
    anstream::println!("accounts send {}", asked(permissions.restrict_send));
    anstream::println!("accounts deploy {}", asked(permissions.restrict_deploy));
    let (Some(account), Some(address)) = (permissions.account, address) else { return Ok(()) };
    let granted =
        [(account.deploy, "to deploy"), (account.send, "to send"), (account.organisation, "all, as a member's")];
    let granted: Vec<_> = granted.iter().filter(|(has, _)| *has).map(|(_, name)| (*name).to_owned()).collect();
    let may = |may: bool| if may { "may" } else { "may not" };
    anstream::println!("\n{address}");
    anstream::println!("  has       {}", list(&granted));
    anstream::println!("  {:<8}  send", may(account.may_send));
    anstream::println!("  {:<8}  deploy", may(account.may_deploy));
    Ok(())
}

/// A list that a method answers; where it is to be printed as JSON it is, and there is none.
async fn list_of<T: DeserializeOwned>(chain: &Chain, method: &str, json: bool) -> anyhow::Result<Option<Vec<T>>> {
    let answer: Value = chain.call(method, json!([])).await?;
    if json {
        anstream::println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(None);
    }
    read(answer).map(Some)
}

fn read<T: DeserializeOwned>(answer: Value) -> anyhow::Result<T> {
    serde_json::from_value(answer).context("the box answers in a form that this version does not know")
}
