//! What the registrar knows of its chain, and boxes are told of it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use dolmen_governance::Role as ChainRole;
use dolmen_hsm_api::Signer;
use dolmen_provisioning_bundle::{Checkpoint, Hash, Peer};
use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_registrar::Chain;
use dolmen_types::Genesis;
use tokio::sync::watch;

use super::{
    act::Actor,
    service::Service,
    settings::{Settings, read_text},
};
use crate::gov::{ChainBox, Member};

/// Between two looks at the chain.
const LOOK: Duration = Duration::from_secs(2);
/// Boxes that a new one is told of; it finds more on the chain.
const PEERS_MAX: usize = 64;

/// The chain as it is now, for boxes that join.
pub(super) struct Watcher {
    actor: Actor,
    genesis: String,
    genesis_hash: Hash,
    chain_id: u64,
    tell: watch::Sender<Option<Arc<Chain>>>,
}

impl Watcher {
    pub(super) fn new(
        settings: &Settings,
        account: Option<Arc<dyn Signer>>,
    ) -> anyhow::Result<(Self, watch::Receiver<Option<Arc<Chain>>>)> {
        let text = read_text(&settings.chain.genesis)?;
        let genesis = Genesis::from_json(text.as_bytes())
            .with_context(|| format!("{} is not a valid genesis file", settings.chain.genesis.display()))?;
        let origin = dolmen_node::origin(&genesis)?;
        let (tell, told) = watch::channel(None);
        let this = Self {
            actor: Actor {
                member: Member::new(&settings.chain.rpc, account)?,
                organisation: settings.organisation,
                admit: settings.chain.admit,
            },
            chain_id: genesis.file().chain_id,
            genesis: text,
            genesis_hash: Hash::from_bytes(origin.block.hash().0),
            tell,
        };
        Ok((this, told))
    }

    /// The organisation's name on the chain, once a box answers.
    pub(super) async fn organisation(&self) -> anyhow::Result<String> {
        let organisations = self.actor.member.organisations().await?;
        let own = organisations.into_iter().find(|(id, ..)| *id == self.actor.organisation);
        let (_, name, _) = own.with_context(|| format!("the chain has no organisation {}", self.actor.organisation))?;
        Ok(name)
    }

    /// Keeps boxes informed, and the chain, for ever.
    pub(super) async fn run(self, service: Arc<Service>) -> anyhow::Result<()> {
        loop {
            match self.look().await {
                Ok((chain, boxes)) => {
                    self.tell.send_replace(Some(Arc::new(chain)));
                    self.actor.act(&service, &boxes).await?;
                }
                Err(error) => tracing::warn!(error = format!("{error:#}"), "the chain cannot be asked"),
            }
            tokio::select! {
                () = service.effects.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&self) -> anyhow::Result<(Chain, Vec<ChainBox>)> {
        let (chain_id, height, hash) = self.actor.member.head().await?;
        ensure!(
            chain_id == self.chain_id,
            "chain.rpc is a box of chain {chain_id}, the genesis file of {}",
            self.chain_id
        );
        let organisations = self.actor.member.organisations().await?;
        // An organisation need not have a root, and what it has is for its own boxes to judge.
        let roots = organisations.iter().filter_map(|(.., root)| Certificate::from_der(root).ok()).collect();
        let boxes = self.actor.member.boxes().await?;
        let reached = boxes.iter().filter(|known| known.role == ChainRole::Validator);
        let peers =
            reached.filter_map(|known| Some(Peer { public_key: known.key.0, address: known.endpoint.parse().ok()? }));
        let chain = Chain {
            chain_id,
            genesis: self.genesis.clone(),
            genesis_hash: self.genesis_hash,
            checkpoint: Some(Checkpoint { height, hash: Hash::from_bytes(hash.0) }),
            peers: peers.take(PEERS_MAX).collect(),
            organisation_roots: roots,
        };
        Ok((chain, boxes))
    }
}
