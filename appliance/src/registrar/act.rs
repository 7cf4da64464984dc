//! What the registrar has the chain do: boxes are admitted, made validators, and taken away.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use dolmen_governance::{Change as Proposed, Role as ChainRole};
use dolmen_provisioning_appraisal::Serial;
use dolmen_provisioning_registrar::{
    BoxState, Change, Effect, Membership, Refusal, Registrar, Role, Standing as BoxStanding, State,
};
use dolmen_types::PublicKey;

use super::{service::Service, settings::Admit};
use crate::gov::{AdmissionRequest, ChainBox, Member, Standing};

/// An organisation that acts for its boxes.
pub(super) struct Actor {
    pub(super) member: Member,
    pub(super) organisation: u32,
    pub(super) admit: Admit,
}

/// The organisation's boxes on the chain by key, with their roles; none for those of others.
type Roles = BTreeMap<PublicKey, Option<ChainRole>>;

impl Actor {
    /// Does what is to be done now, given the chain's boxes. What fails is tried again at the next call.
    pub(super) async fn act(&self, service: &Service, boxes: &[ChainBox]) -> anyhow::Result<()> {
        let own = |known: &ChainBox| (known.organisation == self.organisation).then_some(known.role);
        let roles: Roles = boxes.iter().map(|known| (known.key, own(known))).collect();
        self.notice(service, &roles).await?;
        for effect in service.pending().await? {
            let serial = match &effect {
                Effect::Admit { serial, .. } | Effect::Demote { serial, .. } | Effect::Retire { serial, .. } => {
                    serial.clone()
                }
            };
            if let Err(error) = self.perform(service, &roles, effect).await {
                tracing::warn!(%serial, error = format!("{error:#}"), "the chain does not do what the registrar asks");
            }
        }
        self.promote(service, &roles).await
    }

    /// What others decided about its boxes: one that votes no more, or is retired.
    async fn notice(&self, service: &Service, roles: &Roles) -> anyhow::Result<()> {
        for (serial, request, role) in service.look(|registrar| admitted(registrar.state())).await? {
            let Some(key) = key_of(&request) else { continue };
            match (roles.get(&key), role) {
                (Some(Some(ChainRole::Retired)), _) => {
                    tracing::warn!(%serial, %key, "a box was retired on the chain");
                    report(service, |registrar, now| registrar.retired(&serial, &request, now)).await?;
                }
                (Some(Some(ChainRole::Follower)), Role::Validator) => {
                    tracing::warn!(%serial, %key, "a box votes no more");
                    report(service, |registrar, now| registrar.admitted(&serial, &request, Role::Follower, now))
                        .await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn perform(&self, service: &Service, roles: &Roles, effect: Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Admit { serial, request, appraisal, since, replaces } => {
                let evidence = B256::from(*appraisal.as_bytes());
                let read = match AdmissionRequest::read(&request, self.organisation, evidence) {
                    Ok(read) => read,
                    Err(error) => return turn_away(service, &serial, &request, &format!("{error:#}")).await,
                };
                let replaced = match replaces {
                    Some(old) => service
                        .look(|registrar| request_of(registrar.state(), &old))
                        .await?
                        .and_then(|old| key_of(&old)),
                    None => None,
                };
                // A follower has no vote that another could take over.
                let replaced = replaced.filter(|key| roles.get(key) == Some(&Some(ChainRole::Validator)));
                self.admit(service, roles, &serial, &request, read, replaced, since).await
            }
            Effect::Demote { serial, request, code } => {
                let Some(key) = key_of(&request) else { return Ok(()) };
                let done = match roles.get(&key) {
                    Some(Some(ChainRole::Validator)) => {
                        self.member.decide(&Proposed::Demote { key }, 0).await? == Standing::Done
                    }
                    _ => true,
                };
                if done {
                    tracing::warn!(%serial, code, "a box votes no more");
                    report(service, |registrar, now| registrar.admitted(&serial, &request, Role::Follower, now))
                        .await?;
                }
                Ok(())
            }
            Effect::Retire { serial, request, code } => self.retire(service, roles, &serial, &request, &code).await,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are what an effect says, and what is known about it")]
    async fn admit(
        &self,
        service: &Service,
        roles: &Roles,
        serial: &Serial,
        request: &str,
        read: AdmissionRequest,
        replaced: Option<PublicKey>,
        since: u64,
    ) -> anyhow::Result<()> {
        let key = read.public_key();
        let role = match roles.get(&key) {
            None => match self.member.admit(read, replaced, since).await? {
                Standing::Done if replaced.is_some() => Role::Validator,
                Standing::Done => Role::Follower,
                Standing::Rejected(reason) => return turn_away(service, serial, request, &reason).await,
                Standing::Open(_) | Standing::NoAccount => return Ok(()),
            },
            Some(Some(ChainRole::Follower)) => Role::Follower,
            Some(Some(ChainRole::Validator)) => Role::Validator,
            Some(Some(ChainRole::Retired)) => return turn_away(service, serial, request, "its key was retired").await,
            Some(None) => return turn_away(service, serial, request, "its key is another organisation's").await,
        };
        tracing::info!(%serial, %key, role = role.name(), "a box was admitted");
        report(service, |registrar, now| registrar.admitted(serial, request, role, now)).await
    }

    async fn retire(
        &self,
        service: &Service,
        roles: &Roles,
        serial: &Serial,
        request: &str,
        code: &str,
    ) -> anyhow::Result<()> {
        let done = match key_of(request).map(|key| (key, roles.get(&key))) {
            // Nobody ever proposed what cannot be read.
            None => true,
            // One that is not there may yet be voted in.
            Some((key, None)) => !self.member.is_proposed(&key).await?,
            Some((_, Some(None | Some(ChainRole::Retired)))) => true,
            Some((key, Some(Some(ChainRole::Follower)))) => {
                self.member.decide(&Proposed::Retire { key }, 0).await? == Standing::Done
            }
            Some((key, Some(Some(ChainRole::Validator)))) => {
                // An organisation takes no validator away alone, but another may come in its place.
                match service.look(|registrar| successor(registrar.state(), serial)).await? {
                    Successor::Comes => return Ok(()),
                    Successor::Itself(new) => return self.rejoin(service, serial, request, key, new).await,
                    Successor::None => self.member.decide(&Proposed::Retire { key }, 0).await? == Standing::Done,
                }
            }
        };
        if done {
            tracing::warn!(%serial, code, "a box was taken from the chain");
            report(service, |registrar, now| registrar.retired(serial, request, now)).await?;
        }
        Ok(())
    }

    /// A validator came back with another key, which takes the place of the one before.
    async fn rejoin(
        &self,
        service: &Service,
        serial: &Serial,
        request: &str,
        key: PublicKey,
        Rejoining { request: new, evidence, since }: Rejoining,
    ) -> anyhow::Result<()> {
        let standing = match AdmissionRequest::read(&new, self.organisation, evidence) {
            Ok(read) => self.member.admit(read, Some(key), since).await?,
            Err(error) => Standing::Rejected(format!("{error:#}")),
        };
        match standing {
            Standing::Done => {
                tracing::info!(%serial, "a box came back, and votes with its new key");
                report(service, |registrar, now| registrar.retired(serial, request, now)).await?;
                report(service, |registrar, now| registrar.admitted(serial, &new, Role::Validator, now)).await
            }
            Standing::Rejected(reason) => turn_away(service, serial, &new, &reason).await,
            Standing::Open(_) | Standing::NoAccount => Ok(()),
        }
    }

    /// Has followers made validators that have shown themselves since they were admitted: they have the chain.
    async fn promote(&self, service: &Service, roles: &Roles) -> anyhow::Result<()> {
        if self.admit != Admit::Validator {
            return Ok(());
        }
        for (serial, request) in service.look(|registrar| ready(registrar.state())).await? {
            let Some(key) = key_of(&request) else { continue };
            let decided = match roles.get(&key) {
                Some(Some(ChainRole::Validator)) => Ok(true),
                Some(Some(ChainRole::Follower)) => {
                    let decided = self.member.decide(&Proposed::Promote { key }, 0).await;
                    decided.map(|standing| standing == Standing::Done)
                }
                Some(Some(ChainRole::Retired) | None) | None => Ok(false),
            };
            match decided {
                Ok(true) => {
                    tracing::info!(%serial, %key, "a box is a validator from the next epoch on");
                    report(service, |registrar, now| registrar.admitted(&serial, &request, Role::Validator, now))
                        .await?;
                }
                Ok(false) => {}
                // As long as a newcomer more would put the quorum at risk, among other reasons.
                Err(error) => {
                    tracing::info!(%serial, error = format!("{error:#}"), "a box is not made a validator yet");
                }
            }
        }
        Ok(())
    }
}

/// Tells the registrar what the chain did.
async fn report(
    service: &Service,
    tell: impl FnOnce(&mut Registrar, u64) -> Result<Change, Refusal>,
) -> anyhow::Result<()> {
    service.change(|registrar, now| Ok(((), tell(registrar, now)?))).await
}

async fn turn_away(service: &Service, serial: &Serial, request: &str, reason: &str) -> anyhow::Result<()> {
    tracing::warn!(%serial, reason, "a box was turned away");
    report(service, |registrar, now| registrar.turned_away(serial, request, reason, now)).await
}

/// The key that a box asked the chain to know.
fn key_of(request: &str) -> Option<PublicKey> {
    Some(serde_json::from_str::<AdmissionRequest>(request).ok()?.public_key())
}

fn request_of(state: &State, serial: &Serial) -> Option<String> {
    Some(state.boxes().get(serial)?.membership.as_ref()?.0.clone())
}

/// Who takes over the vote of a box that goes.
enum Successor {
    /// Another box, whose admission retires this one's key.
    Comes,
    /// The box itself, which came back with another key.
    Itself(Rejoining),
    /// Nobody.
    None,
}

/// A box that asks to be admitted by another key than before.
struct Rejoining {
    request: String,
    evidence: B256,
    since: u64,
}

fn successor(state: &State, serial: &Serial) -> Successor {
    let Some(one) = state.boxes().get(serial) else { return Successor::None };
    let asks = |one: &BoxState| one.membership.as_ref().is_none_or(|(_, membership)| *membership == Membership::Asked);
    match (&one.standing, &one.membership, one.asked_since) {
        (BoxStanding::Replaced(new), ..) if state.boxes().get(new).is_some_and(asks) => Successor::Comes,
        (BoxStanding::Approved, Some((request, Membership::Asked)), Some(since)) => match &one.appraised {
            // As long as somebody has to look at it, nothing is asked for it.
            Some(appraised) if one.alarm.is_none() => {
                let evidence = B256::from(*appraised.appraisal.hash().as_bytes());
                Successor::Itself(Rejoining { request: request.clone(), evidence, since })
            }
            _ => Successor::Comes,
        },
        _ => Successor::None,
    }
}

/// Boxes that are the chain's, with what they asked of it and as what they are known here.
fn admitted(state: &State) -> Vec<(Serial, String, Role)> {
    let boxes = state.boxes().iter();
    let admitted = boxes.filter_map(|(serial, one)| match one.membership.as_ref()? {
        (request, Membership::Admitted(role)) => Some((serial.clone(), request.clone(), *role)),
        _ => None,
    });
    admitted.collect()
}

/// Followers that showed themselves after they were admitted, with what they asked of the chain.
fn ready(state: &State) -> Vec<(Serial, String)> {
    let is_ready = |serial: &Serial| {
        let one = &state.boxes()[serial];
        one.shown && one.standing == BoxStanding::Approved && one.alarm.is_none()
    };
    let followers = admitted(state).into_iter().filter(|(_, _, role)| *role == Role::Follower);
    followers.filter(|(serial, ..)| is_ready(serial)).map(|(serial, request, _)| (serial, request)).collect()
}
