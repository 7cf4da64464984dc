//! A box's part in consensus: wires simplex, marshal and the application over whatever network and runtime it is given.
//! No logic of its own beyond the order of the start. Tests run it in a simulated network.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use bytes::Bytes;
use commonware_broadcast::buffered;
use commonware_consensus::{
    marshal::{
        self, Start,
        resolver::p2p as resolver,
        standard::{Inline, Standard},
    },
    simplex,
    types::{FixedEpocher, Height, ViewDelta},
};
use commonware_cryptography::{Digested, Signer as _, ed25519, sha256::Digest};
use commonware_p2p::{Blocker, Provider, Receiver, Sender, max_message_size, utils::mux};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Metrics, Spawner, Storage, buffer::paged::CacheRef};
use commonware_utils::{NZDuration, NZU16, NZU64, NZUsize};
use dolmen_accel_api::BatchVerifier;
use dolmen_hsm_guard::Guard;
use dolmen_types::{Block, PublicKey, genesis::VALIDATORS_MAX};
use rand::CryptoRng;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Application, Config, ConsensusError, Peer,
    adapter::{Adapter, Tip},
    block::Payload,
    engine,
    epochs::{self, Epochs},
    fair,
    finality::Finality,
    finalized, floor,
    key::TransportKey,
    network,
    scheme::Scheme,
    sets::Sets,
    status::Peers,
    tasks::{
        Deliveries, deliver, receive_gossip, receive_status, receive_sync, replay, send_gossip, send_status, send_sync,
    },
};

/// Mailbox of each actor: above what one view produces for the most validators a genesis allows.
pub(crate) const MAILBOX: std::num::NonZeroUsize = NZUsize!(1024);
/// Views whose votes and blocks are kept behind the last finalized one, for boxes that lag a moment.
pub(crate) const VIEW_RETENTION: ViewDelta = ViewDelta::new(10);
/// Finalized blocks handed to the application and not yet durable there; fewer than the shortest epoch has.
const PENDING_ACKS: std::num::NonZeroUsize = if cfg!(test) { NZUsize!(4) } else { NZUsize!(16) };
/// Missing blocks asked for at once while catching up.
const REPAIR_PARALLEL: std::num::NonZeroUsize = NZUsize!(32);
/// Buffers of the journals.
pub(crate) const WRITE_BUFFER: std::num::NonZeroUsize = NZUsize!(256 * 1024);
/// What to do about a store that cannot be read. The log of votes, which keeps a box from voting twice, lies elsewhere.
const UNREADABLE: &str = "the consensus directory cannot be used; unless the disk is full or fails it is damaged: move it \
                          away, and the box fetches it again";

/// This box's key, and what signs its votes.
pub(crate) struct Identity {
    pub(crate) key: TransportKey,
    pub(crate) guard: Arc<Guard>,
    engine: Arc<dyn BatchVerifier>,
}

impl Identity {
    pub(crate) fn new(config: &Config) -> Result<Self, ConsensusError> {
        let key = TransportKey::new(config.key.clone())?;
        let counter = config.vote_counter.clone();
        let (genesis, epoch_blocks) = (config.genesis.hash(), config.epoch_blocks.get());
        let guard = engine::guard_config(&config.vote_log, counter, &genesis, epoch_blocks, config.has_blocks);
        let guard = Guard::open(config.key.clone(), guard)?;
        Ok(Self { key, guard: Arc::new(guard), engine: config.engine.clone() })
    }
}

/// What the chain and this box have settled.
pub(crate) struct Settings {
    /// Block zero.
    pub(crate) genesis: Arc<Block>,
    pub(crate) block_bytes_max: usize,
    pub(crate) gossip_bytes_max: usize,
    pub(crate) sync_bytes_max: usize,
    pub(crate) epoch_blocks: NonZeroU64,
    /// What the names of its stores begin with.
    pub(crate) partition: String,
}

impl Settings {
    pub(crate) fn new(config: &Config, partition: String) -> Self {
        Self {
            genesis: config.genesis.clone(),
            block_bytes_max: config.block_bytes_max,
            gossip_bytes_max: config.gossip_bytes_max,
            sync_bytes_max: config.sync_bytes_max,
            epoch_blocks: config.epoch_blocks,
            partition,
        }
    }

    /// The largest message of any channel: every box must have the same bound, whatever the validators are just now.
    pub(crate) fn message_size(&self) -> u32 {
        let participants = u32::try_from(VALIDATORS_MAX).expect("few");
        max_message_size(&[
            mux::prefixed(simplex::max_payload_size::<Scheme, Digest>(participants)),
            marshal::max_payload_size::<Standard<Payload>, Scheme>(participants, &self.block_bytes_max),
            self.gossip_bytes_max,
            self.sync_bytes_max,
        ])
    }
}

/// The two ends of each channel of `network.rs`.
pub(crate) struct Channels<S, R> {
    pub(crate) votes: (S, R),
    pub(crate) certificates: (S, R),
    pub(crate) resolver: (S, R),
    pub(crate) blocks: (S, R),
    pub(crate) backfill: (S, R),
    pub(crate) gossip: (S, R),
    pub(crate) status: (S, R),
    pub(crate) sync: (S, R),
}

/// What a box is told of the network, and tells it.
pub(crate) struct Surroundings<P, B> {
    /// Knows who is there.
    pub(crate) peers: P,
    /// Keeps liars out.
    pub(crate) blocker: B,
    /// Is told whom to be connected with.
    pub(crate) connect: Box<dyn FnMut(Arc<[Peer]>) + Send>,
    /// Is called once the channels are read.
    pub(crate) start: Box<dyn FnOnce() + Send>,
}

/// A box that takes part.
pub(crate) struct Member<A> {
    pub(crate) settings: Settings,
    pub(crate) identity: Identity,
    pub(crate) application: A,
    pub(crate) heard: Peers,
    pub(crate) finality: Finality,
    pub(crate) gossip_queue: mpsc::Receiver<Bytes>,
    pub(crate) sync_queue: mpsc::Receiver<(PublicKey, Bytes)>,
}

impl<A: Application> Member<A> {
    /// Takes part until it is told to stop, or cannot go on.
    pub(crate) async fn run<E, S, R, P, B>(
        self,
        context: E,
        channels: Channels<S, R>,
        surroundings: Surroundings<P, B>,
        stopped: oneshot::Receiver<()>,
    ) where
        E: Clock + CryptoRng + Spawner + Storage + Metrics,
        S: Sender<PublicKey = ed25519::PublicKey>,
        R: Receiver<PublicKey = ed25519::PublicKey>,
        P: Provider<PublicKey = ed25519::PublicKey>,
        B: Blocker<PublicKey = ed25519::PublicKey> + Sync,
    {
        let Self { settings, identity, application, heard, finality, gossip_queue, sync_queue } = self;
        let Settings { genesis, block_bytes_max, gossip_bytes_max, sync_bytes_max, epoch_blocks, partition } = settings;
        let Surroundings { peers, blocker, mut connect, start } = surroundings;
        let me = identity.key.public_key();
        let (guard, engine) = (identity.guard.clone(), identity.engine);
        let sets = Sets::new(application.clone(), genesis.hash(), me.clone(), guard, engine);
        let page_cache = CacheRef::new(NZU16!(4096), NZUsize!(1024));
        let (broadcast, buffer) = buffered::Engine::new(
            context.child("broadcast"),
            buffered::Config {
                public_key: me.clone(),
                mailbox_size: MAILBOX,
                deque_size: 16,
                priority: false,
                codec_config: block_bytes_max,
                peer_provider: peers.clone(),
                strategy: Sequential,
            },
        );
        let (blocks_out, blocks_in) = channels.blocks;
        let blocks_in = fair::share(&context, blocks_in, network::BLOCK_SHARE.of(block_bytes_max));
        broadcast.start((blocks_out, blocks_in));
        let resolver = resolver::init(
            context.child("resolver"),
            resolver::Config {
                public_key: me.clone(),
                peer_provider: peers.clone(),
                blocker: blocker.clone(),
                mailbox_size: MAILBOX,
                fetch_timeout: NZDuration!(Duration::from_secs(1)),
                fetch_retry_delay: Duration::from_millis(100),
                priority_requests: false,
                priority_responses: false,
            },
            channels.backfill,
        );
        let stored = finalized::open(&context, &partition, &page_cache, block_bytes_max, &application).await;
        let (certificates, blocks) = stored.expect(UNREADABLE);
        let held = blocks.held();
        let epocher = FixedEpocher::new(epoch_blocks);
        let genesis = Digested::compute(Payload(genesis), &Sequential).await;
        let (actor, mailbox, _) = marshal::core::Actor::<_, Standard<Payload>, _, _, _, _, _>::init(
            context.child("marshal"),
            certificates,
            blocks,
            marshal::Config {
                provider: sets.clone(),
                epocher: epocher.clone(),
                start: Start::Genesis(genesis),
                partition_prefix: partition.clone(),
                mailbox_size: MAILBOX,
                view_retention: VIEW_RETENTION,
                prunable_items_per_section: NZU64!(64),
                page_cache: page_cache.clone(),
                replay_buffer: WRITE_BUFFER,
                key_write_buffer: WRITE_BUFFER,
                value_write_buffer: WRITE_BUFFER,
                block_codec_config: block_bytes_max,
                max_repair: REPAIR_PARALLEL,
                max_pending_acks: PENDING_ACKS,
                strategy: Sequential,
            },
        )
        .await;
        let (deliveries, delivered) = mpsc::unbounded_channel();
        let tip = Tip::default();
        let mut marshal_actor = actor.start(Deliveries { blocks: deliveries, tip: tip.clone() }, buffer, resolver);
        connect(application.peers());
        start();
        finality.provide(mailbox.clone());
        if !floor::settle(context.child("floor"), &mailbox, &application, &sets, &held).await {
            return;
        }
        let applied = mailbox.get_processed().await.map_or(Height::zero(), |processed| processed.height());
        if !replay(&mailbox, &finality, &application, applied.get()).await {
            return;
        }
        let (end, ended) = mpsc::channel(1);
        let delivery = context.child("deliver").spawn({
            let (application, epocher) = (application.clone(), epocher.clone());
            move |_| deliver(delivered, applied, epocher, end, application, finality, connect)
        });
        let adapter = Adapter { application: application.clone(), tip: tip.clone() };
        let inline = Inline::new(context.child("inline"), adapter, mailbox.clone(), epocher.clone());
        let epochs = Epochs::new(
            context.child("epochs"),
            epochs::Config {
                sets,
                guard: identity.guard,
                marshal: mailbox,
                inline,
                blocker,
                epocher,
                tip,
                application: application.clone(),
                partition,
                page_cache,
            },
        );
        let (votes, certificates, resolver) = (channels.votes, channels.certificates, channels.resolver);
        let epochs = context.child("epochs").spawn(move |_| epochs.run(applied, votes, certificates, resolver, ended));
        let (gossip_out, gossip_in) = channels.gossip;
        let (status_out, status_in) = channels.status;
        context.child("gossip_out").spawn(move |_| send_gossip(gossip_out, gossip_queue));
        context.child("gossip_in").spawn({
            let application = application.clone();
            move |_| receive_gossip(gossip_in, application, gossip_bytes_max)
        });
        let (sync_out, sync_in) = channels.sync;
        context.child("sync_out").spawn(move |context| send_sync(context, sync_out, sync_queue));
        context.child("sync_in").spawn({
            let application = application.clone();
            move |_| receive_sync(sync_in, application, sync_bytes_max)
        });
        context.child("status_in").spawn(move |_| receive_status(status_in, heard));
        context.child("status_out").spawn(move |context| send_status(context, status_out, application));

        tokio::select! {
            biased;
            _ = stopped => {}
            result = epochs => tracing::error!(?result, "consensus ended; restart the box"),
            result = &mut marshal_actor => tracing::error!(?result, "marshal ended; restart the box"),
            result = delivery => tracing::error!(?result, "finalized blocks can no longer be applied; restart the box"),
        }
    }
}
