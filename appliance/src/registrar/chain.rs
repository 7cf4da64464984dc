//! What the registrar knows of its chain, and what it has done there.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use anyhow::{Context as _, ensure};
use dolmen_governance::{Change as Proposed, Role as ChainRole};
use dolmen_hsm_api::Signer;
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_bundle::{Checkpoint, Hash, Peer};
use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_registrar::{Chain, Effect, Membership, Role, Standing as BoxStanding, State};
use dolmen_types::{Genesis, PublicKey};
use tokio::sync::watch;

use super::{
    service::Service,
    settings::{Admit, Settings, read_text},
};
use crate::gov::{AdmissionRequest, Member, Standing};

/// Between two looks at the chain.
const LOOK: Duration = Duration::from_secs(2);
/// Boxes that a new one is told of; it finds more on the chain.
const PEERS_MAX: usize = 64;

/// The chain as it is now, for boxes that join.
pub(super) struct Watcher {
    member: Member,
    genesis: String,
    genesis_hash: Hash,
    chain_id: u64,
    admit: Admit,
    organisation: u32,
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
            member: Member::new(&settings.chain.rpc, account)?,
            chain_id: genesis.file().chain_id,
            genesis: text,
            genesis_hash: Hash::from_bytes(origin.block.hash().0),
            admit: settings.chain.admit,
            organisation: settings.organisation,
            tell,
        };
        Ok((this, told))
    }

    /// The organisation's name on the chain, once a box answers.
    pub(super) async fn organisation(&self) -> anyhow::Result<String> {
        let organisations = self.member.organisations().await?;
        let own = organisations.into_iter().find(|(id, ..)| *id == self.organisation);
        let (_, name, _) = own.with_context(|| format!("the chain has no organisation {}", self.organisation))?;
        Ok(name)
    }

    /// Keeps boxes informed, and the chain, for ever.
    pub(super) async fn run(self, service: Arc<Service>) -> anyhow::Result<()> {
        loop {
            match self.look().await {
                Ok(chain) => {
                    self.tell.send_replace(Some(Arc::new(chain)));
                    self.act(&service).await?;
                }
                Err(error) => tracing::warn!(error = format!("{error:#}"), "the chain cannot be asked"),
            }
            tokio::select! {
                () = service.effects.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&self) -> anyhow::Result<Chain> {
        let (chain_id, height, hash) = self.member.head().await?;
        ensure!(
            chain_id == self.chain_id,
            "chain.rpc is a box of chain {chain_id}, the genesis file of {}",
            self.chain_id
        );
        let organisations = self.member.organisations().await?;
        // An organisation need not have a root, and what it has is for its own boxes to judge.
        let roots = organisations.iter().filter_map(|(.., root)| Certificate::from_der(root).ok()).collect();
        let boxes = self.member.boxes().await?;
        let reached = boxes.iter().filter(|known| known.role == ChainRole::Validator);
        let peers =
            reached.filter_map(|known| Some(Peer { public_key: known.key.0, address: known.endpoint.parse().ok()? }));
        Ok(Chain {
            chain_id,
            genesis: self.genesis.clone(),
            genesis_hash: self.genesis_hash,
            checkpoint: Some(Checkpoint { height, hash: Hash::from_bytes(hash.0) }),
            peers: peers.take(PEERS_MAX).collect(),
            organisation_roots: roots,
        })
    }

    async fn act(&self, service: &Service) -> anyhow::Result<()> {
        for effect in service.pending().await {
            let serial = match &effect {
                Effect::Admit { serial, .. } | Effect::Demote { serial, .. } | Effect::Retire { serial, .. } => {
                    serial.clone()
                }
            };
            if let Err(error) = self.perform(service, effect).await {
                tracing::warn!(%serial, error = format!("{error:#}"), "the chain does not do what the registrar asks");
            }
        }
        self.promote(service).await
    }

    async fn perform(&self, service: &Service, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Admit { serial, request, appraisal, replaces } => {
                let read = AdmissionRequest::read(&request, self.organisation, B256::from(*appraisal.as_bytes()));
                let request = match read {
                    Ok(request) => request,
                    Err(error) => return self.turn_away(service, &serial, &format!("{error:#}")).await,
                };
                let replaced = match replaces {
                    Some(old) if self.role(service, &old).await? == Some(ChainRole::Validator) => {
                        self.key_of(service, &old).await
                    }
                    // A follower has no vote that another could take over.
                    _ => None,
                };
                self.admit(service, &serial, request, replaced).await
            }
            Effect::Demote { serial, code } => {
                self.remove(service, &serial, &code, |key| Proposed::Demote { key }).await
            }
            Effect::Retire { serial, code } => {
                // The admission of the box that comes in its place retires it: an organisation cannot take a validator
                // away alone.
                let waits = service.look(|state, _| awaits_successor(state, &serial)).await;
                if waits && self.role(service, &serial).await? == Some(ChainRole::Validator) {
                    return Ok(());
                }
                self.remove(service, &serial, &code, |key| Proposed::Retire { key }).await
            }
        }
    }

    async fn admit(
        &self,
        service: &Service,
        serial: &Serial,
        request: AdmissionRequest,
        replaced: Option<PublicKey>,
    ) -> anyhow::Result<()> {
        let key = request.public_key();
        let known = self.member.boxes().await?.into_iter().find(|known| known.key == key);
        let role = match known.map(|known| known.role) {
            None => match self.member.admit(request, replaced).await? {
                Standing::Done if replaced.is_some() => Role::Validator,
                Standing::Done => Role::Follower,
                Standing::Rejected(reason) => return self.turn_away(service, serial, &reason).await,
                Standing::Open(_) | Standing::NoAccount => return Ok(()),
            },
            Some(ChainRole::Follower) => Role::Follower,
            Some(ChainRole::Validator) => Role::Validator,
            Some(ChainRole::Retired) => return self.turn_away(service, serial, "its key was retired").await,
        };
        tracing::info!(%serial, %key, role = role.name(), "a box was admitted");
        service.change(|registrar, now| Ok(((), registrar.admitted(serial, role, now)?))).await
    }

    async fn turn_away(&self, service: &Service, serial: &Serial, reason: &str) -> anyhow::Result<()> {
        tracing::warn!(%serial, reason, "a box was turned away");
        service.change(|registrar, now| Ok(((), registrar.turned_away(serial, reason, now)?))).await
    }

    async fn remove(
        &self,
        service: &Service,
        serial: &Serial,
        code: &str,
        change: impl FnOnce(PublicKey) -> Proposed,
    ) -> anyhow::Result<()> {
        let Some(key) = self.key_of(service, serial).await else { return Ok(()) };
        let known = self.member.boxes().await?.into_iter().find(|known| known.key == key);
        let change = change(key);
        let done = match (&change, known.map(|known| known.role)) {
            (_, None | Some(ChainRole::Retired)) => true,
            (Proposed::Demote { .. }, Some(ChainRole::Follower)) => true,
            _ => self.member.decide(&change).await? == Standing::Done,
        };
        if done {
            tracing::warn!(%serial, code, "a box was taken from the chain");
            let retired = matches!(change, Proposed::Retire { .. });
            let told = service.change(|registrar, now| {
                let change = if retired {
                    registrar.retired(serial, now)?
                } else {
                    registrar.admitted(serial, Role::Follower, now)?
                };
                Ok(((), change))
            });
            told.await?;
        }
        Ok(())
    }

    /// Has followers made validators that have shown themselves since they were admitted: they have the chain.
    async fn promote(&self, service: &Service) -> anyhow::Result<()> {
        if self.admit != Admit::Validator {
            return Ok(());
        }
        for (serial, request) in service.look(|state, _| ready(state)).await {
            let Ok(request) = serde_json::from_str::<AdmissionRequest>(&request) else { continue };
            if let Err(error) = self.promote_one(service, &serial, request.public_key()).await {
                // As long as a newcomer more would put the quorum at risk, among other reasons.
                tracing::info!(%serial, error = format!("{error:#}"), "a box is not made a validator yet");
            }
        }
        Ok(())
    }

    async fn promote_one(&self, service: &Service, serial: &Serial, key: PublicKey) -> anyhow::Result<()> {
        let known = self.member.boxes().await?.into_iter().find(|known| known.key == key);
        let is_validator = match known.map(|known| known.role) {
            Some(ChainRole::Validator) => true,
            Some(ChainRole::Follower) => self.member.decide(&Proposed::Promote { key }).await? == Standing::Done,
            Some(ChainRole::Retired) | None => false,
        };
        if is_validator {
            tracing::info!(%serial, %key, "a box is a validator from the next epoch on");
            service.change(|registrar, now| Ok(((), registrar.admitted(serial, Role::Validator, now)?))).await?;
        }
        Ok(())
    }

    /// What a box is on the chain.
    async fn role(&self, service: &Service, serial: &Serial) -> anyhow::Result<Option<ChainRole>> {
        let Some(key) = self.key_of(service, serial).await else { return Ok(None) };
        Ok(self.member.boxes().await?.into_iter().find(|known| known.key == key).map(|known| known.role))
    }

    /// The consensus key of a box that asked for its admission.
    async fn key_of(&self, service: &Service, serial: &Serial) -> Option<PublicKey> {
        let request = service.look(|state, _| Some(state.boxes().get(serial)?.membership.as_ref()?.0.clone())).await?;
        Some(serde_json::from_str::<AdmissionRequest>(&request).ok()?.public_key())
    }
}

/// Whether another box comes in a box's place and is not admitted yet.
fn awaits_successor(state: &State, serial: &Serial) -> bool {
    let standing = state.boxes().get(serial).map(|one| &one.standing);
    let Some(BoxStanding::Replaced(new)) = standing else { return false };
    let membership = state.boxes().get(new).and_then(|one| one.membership.as_ref()).map(|(_, membership)| membership);
    matches!(membership, None | Some(Membership::Asked))
}

/// Followers that showed themselves after they were admitted, with what they asked of the chain.
fn ready(state: &State) -> Vec<(Serial, String)> {
    let boxes = state.boxes().iter().filter(|(_, one)| one.standing == BoxStanding::Approved && one.alarm.is_none());
    let ready = boxes.filter_map(|(serial, one)| {
        let (request, membership) = one.membership.as_ref()?;
        (one.shown && *membership == Membership::Admitted(Role::Follower)).then(|| (serial.clone(), request.clone()))
    });
    ready.collect()
}
