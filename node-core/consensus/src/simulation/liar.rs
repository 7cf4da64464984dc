//! A validator that lies: it votes for everything, and for the contrary, or sends whatever comes to its mind.

use commonware_codec::{DecodeExt as _, Encode as _, varint::UInt};
use commonware_consensus::simplex::{
    scheme::ed25519::Scheme as Theirs,
    types::{Finalize, Notarize, Nullify, Proposal, Vote},
};
use commonware_cryptography::{ed25519, sha256::Digest};
use commonware_p2p::{Receiver, Recipients, Sender, utils::mux};
use commonware_runtime::{Clock, Spawner, Supervisor};
use rand::{Rng, RngExt as _};

use super::plan::Lie;
use crate::member::Channels;

/// Lies until it is aborted. `others` are those that it lies to.
pub(super) async fn run<E, S, R>(
    mut context: E,
    lie: Lie,
    schemes: impl Fn(u64) -> Option<Theirs> + Send,
    mut channels: Channels<S, R>,
    others: Vec<ed25519::PublicKey>,
) where
    E: Clock + Spawner + Supervisor + Rng,
    S: Sender<PublicKey = ed25519::PublicKey>,
    R: Receiver<PublicKey = ed25519::PublicKey>,
{
    let mut heard: Vec<Vec<u8>> = Vec::new();
    while let Ok((_, message)) = channels.votes.1.recv().await {
        let message: Vec<u8> = message.as_ref().to_vec();
        match lie {
            Lie::Equivocate => {
                let Some((epoch, proposal)) = proposal(&message) else { continue };
                let Some(scheme) = schemes(epoch) else { continue };
                for (recipient, vote) in contradictions(&scheme, &proposal, &others) {
                    let _ = channels.votes.0.send(Recipients::One(recipient), in_epoch(epoch, &vote), true);
                }
            }
            Lie::Elsewhere => {
                let Some((epoch, proposal)) = proposal(&message) else { continue };
                let Some(scheme) = schemes(epoch) else { continue };
                for vote in votes(&scheme, &proposal) {
                    let _ = channels.votes.0.send(Recipients::All, in_epoch(epoch, &vote), true);
                }
            }
            Lie::Anything => {
                heard.push(message);
                if heard.len() > 64 {
                    heard.remove(0);
                }
                // Old messages, changed and not, on channels where they belong and where they do not.
                let mut bytes = heard[context.random_range(0..heard.len())].clone();
                if context.random_range(0..2_u8) == 0 && !bytes.is_empty() {
                    let at = context.random_range(0..bytes.len());
                    bytes[at] ^= 1 << context.random_range(0..8_u8);
                }
                let recipient = Recipients::One(others[context.random_range(0..others.len())].clone());
                let channel = match context.random_range(0..8_u8) {
                    0 => &mut channels.votes.0,
                    1 => &mut channels.certificates.0,
                    2 => &mut channels.resolver.0,
                    3 => &mut channels.blocks.0,
                    4 => &mut channels.backfill.0,
                    5 => &mut channels.gossip.0,
                    6 => &mut channels.status.0,
                    _ => &mut channels.sync.0,
                };
                let _ = channel.send(recipient, bytes, false);
            }
        }
    }
}

/// What somebody votes to notarize, and in which epoch.
fn proposal(message: &[u8]) -> Option<(u64, Proposal<Digest>)> {
    let (epoch, vote) = mux::parse(message.to_vec().into()).ok()?;
    match Vote::<Theirs, Digest>::decode(vote) {
        Ok(Vote::Notarize(Notarize { proposal, .. })) => Some((epoch, proposal)),
        _ => None,
    }
}

/// A message on an epoch's part of a channel.
fn in_epoch(epoch: u64, message: &[u8]) -> Vec<u8> {
    [&UInt(epoch).encode()[..], message].concat()
}

/// The votes for a proposal.
fn votes(scheme: &Theirs, proposal: &Proposal<Digest>) -> Vec<Vec<u8>> {
    let notarize = Notarize::sign(scheme, proposal.clone()).map(Vote::Notarize);
    let finalize = Finalize::sign(scheme, proposal.clone()).map(Vote::Finalize);
    [notarize, finalize].into_iter().flatten().map(|vote| vote.encode().to_vec()).collect()
}

/// Votes for the proposal, for one that nobody made, and for none; each box gets others of them.
fn contradictions(
    scheme: &Theirs,
    proposal: &Proposal<Digest>,
    others: &[ed25519::PublicKey],
) -> Vec<(ed25519::PublicKey, Vec<u8>)> {
    let mut forged = proposal.clone();
    forged.payload.0[0] ^= 1;
    let nullify = Nullify::sign::<Digest>(scheme, proposal.round).map(Vote::<Theirs, Digest>::Nullify);
    let nullify = nullify.map(|vote| vote.encode().to_vec());
    let mut sent = Vec::new();
    for (place, other) in others.iter().enumerate() {
        let votes = match place % 3 {
            0 => votes(scheme, proposal),
            1 => votes(scheme, &forged),
            _ => nullify.iter().cloned().chain(votes(scheme, proposal)).collect(),
        };
        sent.extend(votes.into_iter().map(|vote| (other.clone(), vote)));
    }
    sent
}
