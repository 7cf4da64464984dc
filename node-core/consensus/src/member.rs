//! A box's part in consensus: wires simplex, marshal and the application over whatever network and runtime it is given.
//! No logic of its own beyond the order of the start. Tests run it in a simulated network.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use alloy_primitives::keccak256;
use bytes::Bytes;
use commonware_broadcast::buffered;
use commonware_codec::Encode as _;
use commonware_consensus::{
    marshal::{
        self, Start,
        resolver::p2p as resolver,
        standard::{Inline, Standard},
    },
    simplex::{self, Floor, ForwardPolicy, SkipBudget, SkipPolicy, elector::RoundRobin, types::Finalization},
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Sha256, Signer as _,
    certificate::{ConstantProvider, Verifier as _},
    ed25519,
    sha256::Digest,
};
use commonware_p2p::{Blocker, Provider, Receiver, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::{Clock, Metrics, Spawner, Storage, buffer::paged::CacheRef};
use commonware_storage::archive::immutable;
use commonware_utils::{
    NZDuration, NZU16, NZU64, NZUsize, TryCollect as _,
    ordered::{Map, Set},
};
use dolmen_accel_api::BatchVerifier;
use dolmen_hsm_guard::Guard;
use dolmen_types::{Block, PublicKey};
use rand::CryptoRng;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Application, Config, ConsensusError,
    adapter::{Adapter, Tip},
    block::{Payload, to_digest},
    engine, fair,
    hushed::Hushed,
    key::{TransportKey, public_key, to_commonware},
    network,
    scheme::Scheme,
    status::Peers,
    tasks::{Deliveries, deliver, receive_gossip, receive_status, send_gossip, send_status},
};

/// Mailbox of each actor: above what one view produces for the most validators a genesis allows.
const MAILBOX: std::num::NonZeroUsize = NZUsize!(1024);
/// Views whose votes and blocks are kept behind the last finalized one, for boxes that lag a moment.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(10);
/// Finalized blocks handed to the application and not yet durable there.
const PENDING_ACKS: std::num::NonZeroUsize = NZUsize!(16);
/// Missing blocks asked for at once while catching up.
const REPAIR_PARALLEL: std::num::NonZeroUsize = NZUsize!(32);
/// Buffers of the journals.
const WRITE_BUFFER: std::num::NonZeroUsize = NZUsize!(256 * 1024);
/// From the leader's turn running out to a view being given up: votes and blocks are on their way meanwhile.
const CERTIFICATION_GRACE: Duration = Duration::from_millis(1500);
/// Between two attempts to leave a view, for votes that were lost; independent of how long an idle chain waits.
const TIMEOUT_RETRY: Duration = Duration::from_secs(2);
/// What to do about a store that cannot be read. The votes are never to be removed: without them a box may vote twice.
const UNREADABLE: &str =
    "the consensus directory is damaged: remove what is in it except `consensus-votes*`, and the box fetches it again";
/// Places in an archive's table at first; it grows.
const TABLE_PLACES: u32 = if cfg!(test) { 64 } else { 65_536 };

/// The members and namespaces of one chain, in commonware's types.
pub(crate) struct Members {
    pub(crate) key: TransportKey,
    pub(crate) guard: Arc<Guard>,
    pub(crate) validators: Set<ed25519::PublicKey>,
    pub(crate) peers: Map<ed25519::PublicKey, commonware_p2p::Address>,
    namespace: Vec<u8>,
    engine: Arc<dyn BatchVerifier>,
}

impl Members {
    pub(crate) fn new(config: &Config) -> Result<Self, ConsensusError> {
        let (own, key) = (public_key(&*config.key)?, TransportKey::new(config.key.clone())?);
        let keys: Vec<_> = config.validators.iter().map(to_commonware).collect::<Result<_, _>>()?;
        let validators: Set<_> = keys.into_iter().try_collect().map_err(|_| ConsensusError::DuplicateKey)?;
        let mut peers = Vec::with_capacity(config.peers.len() + 1);
        peers.push((key.public_key(), network::address(config.listen)));
        for peer in &config.peers {
            peers.push((to_commonware(&peer.public_key)?, network::address(peer.address)));
        }
        let known = |key: &PublicKey| own == *key || config.peers.iter().any(|peer| peer.public_key == *key);
        for validator in config.validators.iter().filter(|key| !known(key)) {
            // Nothing is relayed: this box gets none of its votes and blocks, and it none of ours.
            tracing::warn!(%validator, "a validator of the genesis file is not among p2p.peers; add it to box.toml");
        }
        let peers: Map<_, _> = peers.into_iter().try_collect().map_err(|_| ConsensusError::DuplicateKey)?;
        // Chain, epoch and validator set: a certificate carries signer ranks, so without the set in the namespace
        // another set's certificate could verify by accident.
        let genesis = config.genesis.hash();
        let set = keccak256(validators.encode());
        let namespace = [b"dolmen".as_slice(), genesis.as_slice(), &0_u64.to_be_bytes(), set.as_slice()].concat();
        let counter = config.vote_counter.clone();
        let guard = engine::guard_config(&config.vote_log, counter, &genesis, config.has_blocks);
        let guard = Guard::open(config.key.clone(), guard)?;
        Ok(Self { key, guard: Arc::new(guard), validators, peers, namespace, engine: config.engine.clone() })
    }

    /// What signatures of votes begin with.
    #[cfg(test)]
    pub(crate) fn namespace(&self) -> &[u8] {
        &self.namespace
    }

    pub(crate) fn scheme(&self) -> Scheme {
        let (own, guard) = (self.key.public_key(), self.guard.clone());
        Scheme::new(&self.namespace, &self.validators, &own, guard, self.engine.clone())
    }
}

/// What the chain and this box have settled.
pub(crate) struct Settings {
    /// Block zero.
    pub(crate) genesis: Arc<Block>,
    pub(crate) block_bytes_max: usize,
    pub(crate) gossip_bytes_max: usize,
    pub(crate) leader_timeout: Duration,
    /// What the names of its stores begin with.
    pub(crate) partition: String,
}

impl Settings {
    /// The largest message of any channel.
    pub(crate) fn message_size(&self, validators: usize) -> u32 {
        let participants = u32::try_from(validators).expect("genesis bounds the validators");
        max_message_size(&[
            simplex::max_payload_size::<Scheme, Digest>(participants),
            marshal::max_payload_size::<Standard<Payload>, Scheme>(participants, &self.block_bytes_max),
            self.gossip_bytes_max,
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
}

/// A box that takes part.
pub(crate) struct Member<A> {
    pub(crate) settings: Settings,
    pub(crate) members: Members,
    pub(crate) application: A,
    pub(crate) heard: Peers,
    pub(crate) gossip_queue: mpsc::Receiver<Bytes>,
}

impl<A: Application> Member<A> {
    /// Takes part until it is told to stop, or cannot go on. `peers` knows who is there, `blocker` keeps liars out, and
    /// `start_network` is called once the channels are read.
    pub(crate) async fn run<E, S, R, P, B>(
        self,
        context: E,
        channels: Channels<S, R>,
        peers: P,
        blocker: B,
        start_network: impl FnOnce(),
        stopped: oneshot::Receiver<()>,
    ) where
        E: Clock + CryptoRng + Spawner + Storage + Metrics,
        S: Sender<PublicKey = ed25519::PublicKey>,
        R: Receiver<PublicKey = ed25519::PublicKey>,
        P: Provider<PublicKey = ed25519::PublicKey>,
        B: Blocker<PublicKey = ed25519::PublicKey>,
    {
        let Self { settings, members, application, heard, gossip_queue } = self;
        let Settings { genesis, block_bytes_max, gossip_bytes_max, leader_timeout, partition } = settings;
        let me = members.key.public_key();
        let scheme = members.scheme();
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
        let finalizations = immutable::Archive::<_, Digest, Finalization<Scheme, Digest>>::init(
            context.child("finalizations"),
            archive(&partition, "finalizations", &page_cache, Scheme::certificate_codec_config_unbounded()),
        )
        .await
        .expect(UNREADABLE);
        let finalized_blocks = immutable::Archive::<_, Digest, Arc<Payload>>::init(
            context.child("blocks"),
            archive(&partition, "blocks", &page_cache, block_bytes_max),
        )
        .await
        .expect(UNREADABLE);

        let epocher = FixedEpocher::new(NonZeroU64::MAX);
        let genesis_hash = genesis.hash();
        let genesis = Digested::compute(Payload(genesis), &Sequential).await;
        let (actor, mailbox, _) = marshal::core::Actor::<_, Standard<Payload>, _, _, _, _, _>::init(
            context.child("marshal"),
            finalizations,
            finalized_blocks,
            marshal::Config {
                provider: ConstantProvider::new(scheme.clone()),
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
        let delivery = context.child("deliver").spawn({
            let (application, marshal) = (application.clone(), mailbox.clone());
            move |_| deliver(delivered, marshal, application)
        });
        let tip = Tip::default();
        let mut marshal_actor = actor.start(Deliveries { blocks: deliveries, tip: tip.clone() }, buffer, resolver);

        let adapter = Adapter { application: application.clone(), tip };
        let inline = Inline::new(context.child("inline"), adapter, mailbox, epocher);
        let engine = simplex::Engine::new(
            context.child("engine"),
            simplex::Config {
                scheme,
                elector: RoundRobin::<Sha256>::default(),
                blocker: blocker.clone(),
                automaton: inline.clone(),
                relay: inline.clone(),
                reporter: inline,
                partition: format!("{partition}-votes"),
                mailbox_size: MAILBOX,
                epoch: Epoch::zero(),
                floor: Floor::Genesis(to_digest(genesis_hash)),
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
                page_cache,
                strategy: Sequential,
                forward: ForwardPolicy::SilentVoters,
                track_historical_votes: false,
            },
        );
        start_network();
        let (certificates_out, certificates_in) = channels.certificates;
        let certificates = (Hushed::new(certificates_out, members.guard.clone()), certificates_in);
        let mut engine = engine.start(channels.votes, certificates, channels.resolver);
        let (gossip_out, gossip_in) = channels.gossip;
        let (status_out, status_in) = channels.status;
        context.child("gossip_out").spawn(move |_| send_gossip(gossip_out, gossip_queue));
        context.child("gossip_in").spawn({
            let application = application.clone();
            move |_| receive_gossip(gossip_in, application, gossip_bytes_max)
        });
        context.child("status_in").spawn(move |_| receive_status(status_in, heard));
        context.child("status_out").spawn(move |context| send_status(context, status_out, application));

        tokio::select! {
            _ = stopped => {}
            result = &mut engine => tracing::error!(?result, "consensus engine ended; restart the box"),
            result = &mut marshal_actor => tracing::error!(?result, "marshal ended; restart the box"),
            result = delivery => tracing::error!(?result, "finalized blocks can no longer be applied; restart the box"),
        }
    }
}

fn archive<C>(prefix: &str, name: &str, page_cache: &CacheRef, codec_config: C) -> immutable::Config<C> {
    let partition = |part: &str| format!("{prefix}-{name}-{part}");
    immutable::Config {
        metadata_partition: partition("metadata"),
        freezer_table_partition: partition("table"),
        freezer_table_initial_size: TABLE_PLACES,
        freezer_table_resize_frequency: 4,
        freezer_table_resize_chunk_size: 16_384,
        freezer_key_partition: partition("keys"),
        freezer_key_page_cache: page_cache.clone(),
        freezer_value_partition: partition("values"),
        freezer_value_target_size: 256 << 20,
        freezer_value_compression: None,
        ordinal_partition: partition("ordinal"),
        items_per_section: NZU64!(65_536),
        codec_config,
        replay_buffer: WRITE_BUFFER,
        freezer_key_write_buffer: WRITE_BUFFER,
        freezer_value_write_buffer: WRITE_BUFFER,
        ordinal_write_buffer: WRITE_BUFFER,
    }
}
