//! An organisation that acts on its chain by itself, as a registrar does.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_sol_types::SolCall as _;
use anyhow::{Context as _, ensure};
use dolmen_governance::{Change, Role, contract};
use dolmen_hsm_api::Signer;
use dolmen_types::PublicKey;
use serde::Deserialize;
use serde_json::json;

use super::{
    chain::Chain,
    members::Members,
    request::AdmissionRequest,
    transaction,
    wallet::{self, Wallet},
};

/// Proposals that are looked through for one that was made before: those of a lively consortium's week.
const PROPOSALS_MAX: u64 = 100;

/// An organisation with its account.
pub(crate) struct Member {
    chain: Chain,
    wallet: Option<Wallet>,
}

/// The account of a key.
pub(crate) fn account_of(key: Arc<dyn Signer>) -> anyhow::Result<Address> {
    wallet::of_key(key)?.address().context("the key has no account")
}

/// A box, as the chain knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainBox {
    /// Its consensus key.
    pub(crate) key: PublicKey,
    /// Whose it is.
    pub(crate) organisation: u32,
    /// What it is from the next epoch on.
    pub(crate) role: Role,
    /// Where it is reached.
    pub(crate) endpoint: String,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was carried out.
    Done,
    /// Others have to vote.
    Open(U256),
    /// They do not want it, or did not in time.
    Rejected(String),
    /// Nobody here can propose it.
    NoAccount,
}

/// The part of a proposal that is read here.
#[derive(Deserialize)]
struct Proposal {
    id: U256,
    status: Option<String>,
    created: U64,
    data: Bytes,
    kind: Option<String>,
    #[serde(default)]
    votes: Vec<Vote>,
}

/// The part of a vote that is read here.
#[derive(Deserialize)]
struct Vote {
    organisation: U64,
}

impl Member {
    /// Over the JSON-RPC of a box, with the organisation's account if this machine has its key.
    pub(crate) fn new(rpc: &str, account: Option<Arc<dyn Signer>>) -> anyhow::Result<Self> {
        Ok(Self { chain: Chain::new(rpc)?, wallet: account.map(wallet::of_key).transpose()? })
    }

    /// The chain's number, and the height and hash of its latest block.
    pub(crate) async fn head(&self) -> anyhow::Result<(u64, u64, B256)> {
        #[derive(Deserialize)]
        struct Head {
            number: U64,
            hash: B256,
        }
        let chain_id: U64 = self.chain.call("eth_chainId", json!([])).await?;
        let head: Head = self.chain.call("eth_getBlockByNumber", json!(["latest", false])).await?;
        Ok((chain_id.to(), head.number.to(), head.hash))
    }

    /// The organisations: number, name and root certificate.
    pub(crate) async fn organisations(&self) -> anyhow::Result<Vec<(u32, String, Bytes)>> {
        let organisations = self.chain.ask(&contract::organisationsCall {}).await?;
        Ok(organisations.into_iter().map(|known| (known.id, known.name, known.rootCertificate)).collect())
    }

    /// All boxes that ever were.
    pub(crate) async fn boxes(&self) -> anyhow::Result<Vec<ChainBox>> {
        let members = Members::load(&self.chain).await?;
        let read = |known: &contract::Box| {
            let (key, role) = (PublicKey(known.key.0), Role::from_number(known.role)?);
            Some(ChainBox { key, organisation: known.organisation, role, endpoint: known.endpoint.clone() })
        };
        Ok(members.boxes().iter().filter_map(read).collect())
    }

    /// Has a box admitted as a follower, or in the place of another; asked for since a time.
    pub(crate) async fn admit(
        &self,
        request: AdmissionRequest,
        replaces: Option<PublicKey>,
        since: u64,
    ) -> anyhow::Result<Standing> {
        let admission = request.checked(&self.chain).await?;
        match replaces {
            Some(retired) => self.decide(&Change::Replace { retired, admission }, since).await,
            None => self.decide(&Change::AdmitFollower { admission, standby: false }, since).await,
        }
    }

    /// Proposes a change or, where it is proposed already, votes for it, unless that was done before. What was rejected
    /// before a time (seconds since 1970) was another question.
    pub(crate) async fn decide(&self, change: &Change, since: u64) -> anyhow::Result<Standing> {
        let input = match self.find(change).await? {
            Some(Proposal { id, status: Some(status), .. }) if status == "open" => {
                if self.has_voted(id).await? {
                    return Ok(Standing::Open(id));
                }
                contract::voteCall { id, approve: true }.abi_encode().into()
            }
            // The same may be wanted again later.
            Some(Proposal { status: Some(status), .. }) if status == "executed" => change.propose(),
            Some(Proposal { created, .. }) if created.to::<u64>() < since => change.propose(),
            Some(Proposal { id, status, .. }) => {
                let status = status.as_deref().unwrap_or("decided");
                return Ok(Standing::Rejected(format!("proposal {id} was {status}")));
            }
            None => change.propose(),
        };
        let Some(wallet) = &self.wallet else { return Ok(Standing::NoAccount) };
        let from = wallet.address().context("the account has no address")?;
        let receipt = transaction::send(&self.chain, wallet, from, input).await?;
        let id = receipt.proposal().context("the transaction was about no proposal")?;
        let status = self.proposal(id).await?.and_then(|proposal| proposal.status);
        Ok(if status.as_deref() == Some("executed") { Standing::Done } else { Standing::Open(id) })
    }

    /// Whether the account's organisation has said what it thinks of a proposal, be it yes or no.
    async fn has_voted(&self, id: U256) -> anyhow::Result<bool> {
        let Some(account) = self.wallet.as_ref().and_then(Wallet::address) else { return Ok(true) };
        let organisations = self.chain.ask(&contract::organisationsCall {}).await?;
        let own = organisations.iter().find(|known| known.account == account).map(|known| known.id);
        let own =
            own.with_context(|| format!("{account} is no organisation's account; see `dolmen gov organisations`"))?;
        let votes = self.proposal(id).await?.map(|proposal| proposal.votes).unwrap_or_default();
        Ok(votes.iter().any(|vote| vote.organisation.to::<u32>() == own))
    }

    async fn proposal(&self, id: U256) -> anyhow::Result<Option<Proposal>> {
        self.chain.call("dolmen_proposal", json!([id])).await
    }

    /// Whether a box may yet be admitted by a vote.
    pub(crate) async fn is_proposed(&self, key: &PublicKey) -> anyhow::Result<bool> {
        let open = |proposal: &Proposal| proposal.status.as_deref() == Some("open");
        let names = |proposal: &Proposal| proposal.data.windows(key.0.len()).any(|part| part == key.0);
        Ok(self.latest().await?.iter().any(|proposal| open(proposal) && names(proposal)))
    }

    async fn latest(&self) -> anyhow::Result<Vec<Proposal>> {
        self.chain.call("dolmen_proposals", json!([U64::ZERO, U64::from(PROPOSALS_MAX)])).await
    }

    /// The latest proposal of the same.
    async fn find(&self, change: &Change) -> anyhow::Result<Option<Proposal>> {
        let latest = self.latest().await?;
        let (data, kind) = (change.data(), change.kind().name());
        Ok(latest.into_iter().find(|proposal| proposal.data == data && proposal.kind.as_deref() == Some(kind)))
    }
}

impl AdmissionRequest {
    /// Reads a box's request that its registrar was given: it is for this chain and organisation, on this appraisal.
    pub(crate) fn read(text: &str, organisation: u32, evidence: B256) -> anyhow::Result<Self> {
        let request: Self = serde_json::from_str(text).context("this is no request for admission")?;
        ensure!(
            request.organisation() == organisation,
            "the request is for organisation {}, this is {organisation}",
            request.organisation()
        );
        ensure!(request.evidence() == evidence, "the request is on another appraisal than the registrar's");
        Ok(request)
    }
}
