//! One engine for each epoch, and the change from one to the next.
//!
//! An epoch is a fixed number of blocks with one validator set. What the chain's state says at its last block is the set
//! of the next. The change, on each box for itself:
//!
//! 1. The last block is finalized and applied; marshal has not been told so yet.
//! 2. The engine of the old epoch ends. Nobody needs its votes any more: whoever has not seen the last block finalized is
//!    told by the others' votes of the next epoch, and fetches the certificate.
//! 3. The engine of the new epoch starts on the last block. Where this box is not in the set, it verifies certificates
//!    instead and votes on nothing.
//! 4. Marshal is told. A crash before that repeats the steps from the first.
//!
//! Votes are never lost to the change: each box takes the next epoch's messages in before it enters that epoch
//! (`split.rs`). A journal goes when its epoch is two past: until then its box may have to say again what it said.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use commonware_codec::Decode as _;
use commonware_consensus::{
    CertifiableAutomaton, Epochable as _, Relay, Reporter,
    marshal::{core::Mailbox as Marshal, standard::Standard},
    simplex::{
        self, Floor, ForwardPolicy, Plan, SkipBudget, SkipPolicy,
        elector::RoundRobin,
        types::{Activity, Certificate, Context},
    },
    types::{Epoch, Epocher as _, FixedEpocher, Height},
};
use commonware_cryptography::{
    Sha256,
    certificate::{Scheme as _, Verifier as _},
    ed25519::PublicKey,
    sha256::Digest,
};
use commonware_p2p::{Blocker, Receiver, Sender};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Handle, Metrics, Spawner, Storage, buffer::paged::CacheRef};
use commonware_utils::{NZDuration, vec::NonEmptyVec};
use dolmen_hsm_guard::Guard;
use rand::CryptoRng;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Application,
    adapter::Tip,
    audience::{Certificates, ToVoters, Turns},
    block::{Payload, to_digest},
    hushed::Hushed,
    member::{MAILBOX, VIEW_RETENTION, WRITE_BUFFER},
    scheme::Scheme,
    sets::Sets,
    split::{InEpoch, OfEpoch, Split},
};

/// From the leader's turn running out to a view being given up: votes and blocks are on their way meanwhile.
const CERTIFICATION_GRACE: Duration = Duration::from_millis(1500);
/// Between two attempts to leave a view, for votes that were lost; independent of how long an idle chain waits.
const TIMEOUT_RETRY: Duration = Duration::from_secs(2);

/// Boxes heard from a later epoch that wait to be asked; more will be heard again.
const AHEAD: usize = 16;

/// The last block of an epoch was applied; the answer is that the next one is entered.
pub(crate) struct Ended {
    pub(crate) epoch: Epoch,
    pub(crate) entered: oneshot::Sender<()>,
}

/// What engines are made of.
pub(crate) struct Config<A, I, B> {
    pub(crate) sets: Sets<A>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) marshal: Marshal<Scheme, Standard<Payload>>,
    pub(crate) inline: I,
    pub(crate) blocker: B,
    pub(crate) epocher: FixedEpocher,
    pub(crate) tip: Tip,
    pub(crate) application: A,
    pub(crate) partition: String,
    pub(crate) page_cache: CacheRef,
}

/// The channels that each epoch has a part of.
struct Channels<S> {
    votes: Split<S>,
    certificates: Split<S>,
    resolver: Split<S>,
}

/// An epoch's parts of the channels.
struct Parts<S: Sender> {
    votes: (InEpoch<S>, OfEpoch),
    certificates: (InEpoch<S>, OfEpoch),
    resolver: (InEpoch<S>, OfEpoch),
}

impl<S: Sender<PublicKey = PublicKey>> Channels<S> {
    /// The parts of an epoch; those before `oldest` are closed.
    fn open(&self, epoch: Epoch, oldest: Epoch) -> Parts<S> {
        let open = |channel: &Split<S>| channel.open(epoch, oldest);
        Parts { votes: open(&self.votes), certificates: open(&self.certificates), resolver: open(&self.resolver) }
    }
}

/// The engine of an epoch, or what stands in its place; ends when it is dropped.
struct Active(Handle<()>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs the engines, one after the other.
pub(crate) struct Epochs<E, A, I, B> {
    context: E,
    config: Config<A, I, B>,
}

impl<E, A, I, B> Epochs<E, A, I, B>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    A: Application,
    B: Blocker<PublicKey = PublicKey> + Sync,
    I: CertifiableAutomaton<Context = Context<Digest, PublicKey>, Digest = Digest>
        + Relay<Digest = Digest, PublicKey = PublicKey, Plan = Plan<PublicKey>>
        + Reporter<Activity = Activity<Scheme, Digest>>,
{
    pub(crate) const fn new(context: E, config: Config<A, I, B>) -> Self {
        Self { context, config }
    }

    /// Enters the epoch of the block after `applied`, and each that follows as its predecessor ends. Returns where it
    /// cannot go on.
    pub(crate) async fn run<S, R>(
        self,
        applied: Height,
        votes: (S, R),
        certificates: (S, R),
        resolver: (S, R),
        mut ended: mpsc::Receiver<Ended>,
    ) where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let (ahead, mut heard_ahead) = mpsc::channel(AHEAD);
        let split = |name, ends, ahead| Split::start(self.context.child(name), ends, ahead);
        let channels = Channels {
            votes: split("votes", votes, ahead.clone()),
            certificates: split("certificates", certificates, ahead.clone()),
            resolver: split("resolver", resolver, ahead),
        };
        let Some(mut epoch) = self.config.epocher.containing(applied.next()).map(|info| info.epoch()) else { return };
        let first = channels.open(epoch, epoch);
        let Some(mut active) = self.enter(epoch, first).await else { return };
        let mut next = channels.open(epoch.next(), epoch);
        for before in 2..4 {
            self.forget(epoch, before).await;
        }
        loop {
            tokio::select! {
                biased;
                event = ended.recv() => {
                    let Some(Ended { epoch: over, entered }) = event else { return };
                    debug_assert_eq!(over, epoch, "epochs end one after the other");
                    epoch = over.next();
                    drop(active);
                    let Some(entering) = self.enter(epoch, next).await else { return };
                    active = entering;
                    next = channels.open(epoch.next(), epoch);
                    self.forget(epoch, 2).await;
                    let _ = entered.send(());
                }
                result = &mut active.0 => {
                    tracing::error!(?result, epoch = epoch.get(), "the consensus engine ended; restart the box");
                    return;
                }
                Some(from) = heard_ahead.recv() => self.catch_up(epoch, from),
            }
        }
    }

    /// Asks a box that is in a later epoch for the certificate of this one's last block.
    fn catch_up(&self, epoch: Epoch, from: PublicKey) {
        let Some(last) = self.config.epocher.last(epoch) else { return };
        if self.config.tip.height() < last.get() {
            self.config.marshal.hint_finalized(last, NonEmptyVec::new(from));
        }
    }

    /// Starts the engine of an epoch on the last block before it.
    async fn enter<S: Sender<PublicKey = PublicKey>>(&self, epoch: Epoch, channels: Parts<S>) -> Option<Active> {
        let config = &self.config;
        for part in [&channels.votes, &channels.certificates, &channels.resolver] {
            part.1.enter();
        }
        let Some(scheme) = config.sets.scheme(epoch) else {
            tracing::error!(epoch = epoch.get(), "nobody knows who votes in this epoch; restart the box");
            return None;
        };
        let context = self.context.child("epoch").with_attribute("epoch", epoch);
        if config.tip.height().max(config.application.height()) >= config.epocher.last(epoch)?.get() {
            // It is over: this box has yet to apply its blocks, or to store them again, and nobody waits for its votes. A
            // box that lost its log of votes would be fenced from here on, not from where it has voted.
            return Some(Active(context.spawn(|_| std::future::pending())));
        }
        tracing::info!(
            epoch = epoch.get(),
            validators = scheme.participants().len(),
            votes = scheme.me().is_some(),
            "an epoch begins"
        );
        if scheme.me().is_none() {
            let (certificates, marshal) = (channels.certificates.1, config.marshal.clone());
            let follow = move |context| follow(context, scheme, epoch, certificates, marshal);
            return Some(Active(context.spawn(follow)));
        }
        let root = epoch.previous().map_or(Some(Height::zero()), |before| config.epocher.last(before))?;
        let Some(root_hash) = self.hash(root).await else {
            tracing::error!(epoch = epoch.get(), height = root.get(), "the block that an epoch starts from is missing");
            return None;
        };
        let leader_timeout = config.application.leader_timeout(epoch.get());
        let engine = simplex::Engine::new(
            context,
            simplex::Config {
                scheme: Scheme::clone(&scheme),
                elector: RoundRobin::<Sha256>::default(),
                blocker: config.blocker.clone(),
                automaton: config.inline.clone(),
                relay: config.inline.clone(),
                reporter: config.inline.clone(),
                partition: self.journal(epoch),
                mailbox_size: MAILBOX,
                epoch,
                floor: Floor::Genesis(to_digest(root_hash)),
                replay_buffer: WRITE_BUFFER,
                write_buffer: WRITE_BUFFER,
                leader_timeout,
                certification_timeout: leader_timeout + CERTIFICATION_GRACE,
                timeout_retry: TIMEOUT_RETRY,
                fetch_timeout: NZDuration!(Duration::from_secs(1)),
                fetch_retry_delay: Duration::from_millis(100),
                view_retention: VIEW_RETENTION,
                // A dead leader costs `leader_timeout` once, then its turns are skipped while it stays silent.
                skip: SkipPolicy::Enabled {
                    timeout: (leader_timeout + CERTIFICATION_GRACE).max(TIMEOUT_RETRY) + TIMEOUT_RETRY,
                    budget: SkipBudget::Participants,
                },
                page_cache: config.page_cache.clone(),
                strategy: Sequential,
                forward: ForwardPolicy::SilentVoters,
                track_historical_votes: false,
            },
        );
        let voters: Arc<[PublicKey]> =
            scheme.participants().iter().filter(|key| *key != config.sets.own()).cloned().collect();
        let ((votes_out, votes_in), (certificates_out, certificates_in)) = (channels.votes, channels.certificates);
        let votes = (ToVoters::new(votes_out, voters.clone()), votes_in);
        let application = config.application.clone();
        let turns = Turns::of(&scheme)?;
        let certificates_out = Certificates::new(certificates_out, voters, turns, move || application.peers());
        let certificates = (Hushed::new(certificates_out, config.guard.clone()), certificates_in);
        Some(Active(engine.start(votes, certificates, channels.resolver)))
    }

    /// The hash of an applied block: marshal has those since it began, the application may have earlier ones.
    async fn hash(&self, height: Height) -> Option<B256> {
        match self.config.marshal.get_block(height).await {
            Some(block) => Some(block.inner().0.hash()),
            None => self.config.application.block(height.get()).map(|block| block.hash()),
        }
    }

    fn journal(&self, epoch: Epoch) -> String {
        format!("{}-votes-{epoch}", self.config.partition)
    }

    /// Removes the journal of an epoch so many before this one, where there is one.
    async fn forget(&self, epoch: Epoch, before: u64) {
        if let Some(old) = epoch.get().checked_sub(before) {
            let _ = self.context.remove(&self.journal(Epoch::new(old)), None).await;
        }
    }
}

/// What a box does in an epoch that it does not vote in: hands verified finalizations to marshal, which gets the blocks.
async fn follow(
    mut random: impl CryptoRng,
    scheme: Arc<Scheme>,
    epoch: Epoch,
    mut certificates: OfEpoch,
    mut marshal: Marshal<Scheme, Standard<Payload>>,
) {
    loop {
        let Ok((_, message)) = certificates.recv().await;
        let decoded = Certificate::<Scheme, Digest>::decode_cfg(message, &scheme.certificate_codec_config());
        let Ok(Certificate::Finalization(finalization)) = decoded else { continue };
        if finalization.epoch() == epoch && finalization.verify(&mut random, &*scheme, &Sequential) {
            marshal.report(Activity::Finalization(finalization));
        }
    }
}
