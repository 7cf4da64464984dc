//! The boxes, the network between them, and how a plan is played.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock, Weak},
    time::{Duration, SystemTime},
};

use alloy_primitives::B256;
use commonware_consensus::simplex::scheme::ed25519::Scheme as Theirs;
use commonware_cryptography::{Signer as _, ed25519};
use commonware_p2p::simulated::{self, Link, Network, Oracle};
use commonware_runtime::{
    Clock as _, Handle, Quota, Runner as _, Spawner as _, Supervisor as _,
    deterministic::{self, FaultConfig, PartialWriteMode, WriteConfig},
};
use commonware_utils::{NZU32, NZU64, NZUsize, Probability, TryCollect as _, ordered::Set};
use dolmen_accel_api::Algorithm;
use dolmen_accel_cpu::{CpuConfig, CpuEngine};
use dolmen_execution::Executor;
use dolmen_governance::EpochRecord;
use dolmen_hsm_api::{Domain, KeySpec};
use dolmen_hsm_guard::Guard;
use dolmen_hsm_memory::MemoryKey;
use dolmen_store::{Options, Store};
use dolmen_types::{
    Block, Epochs, Genesis, GenesisFile, Validator,
    certificate::namespace,
    genesis::{GenesisAccount, Governance, Organisation},
};
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use secp256k1::SecretKey;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::{
    application::{Applied, BALANCE, Candidate, Chain, Disk, Node},
    liar,
    plan::{EPOCH_BLOCKS, Harm, LIAR, Lie, Links, Plan, Trouble},
};
use crate::{
    Config, ConsensusError,
    finality::Finality,
    key::{from_commonware, to_commonware},
    member::{Channels, Identity, Member, Settings, Surroundings},
    status::Peers,
};

/// Simulated time after which a seed has failed.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at the boxes.
const LOOK: Duration = Duration::from_millis(50);

type Context = deterministic::Context;

/// The boxes of a seed.
pub(super) struct World {
    pub(super) plan: Plan,
    chain: Arc<Chain>,
    pub(super) genesis: Arc<Block>,
    pub(super) keys: Vec<ed25519::PrivateKey>,
    pub(super) disks: Vec<Disk>,
    guards: tempfile::TempDir,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let keys: Vec<_> = (0..plan.boxes as u64).map(ed25519::PrivateKey::from_seed).collect();
        let validators = keys.iter().take(plan.seats).enumerate().map(|(index, key)| Validator {
            name: format!("box-{index}"),
            public_key: from_commonware(&key.public_key()),
            fee_recipient: Chain::fee_recipient(index),
            organisation: Some("all".to_owned()),
            endpoint: None,
        });
        // Of its own for each process and plan: a guard keeps others of the machine from its key and chain.
        let chain_id = u64::from(std::process::id()) << 28 | (plan.seats as u64) << 24 | (plan.seed + 1) & 0xff_ffff;
        let boxes = keys.iter().map(|key| Candidate {
            key: from_commonware(&key.public_key()),
            secret: ed25519_dalek::SigningKey::from_bytes(&secret(key)),
        });
        let chain = Chain {
            chain_id,
            executor: Executor::new(chain_id, Epochs::new(NZU64!(EPOCH_BLOCKS))),
            boxes: boxes.collect(),
            seats: plan.seats,
            changes: plan.changes.clone(),
            organisation: SecretKey::from_byte_array([1; 32]).expect("a key"),
        };
        let account = GenesisAccount { balance: BALANCE, ..Default::default() };
        let genesis: Genesis = GenesisFile {
            chain_id,
            timestamp_ms: 1_790_000_000_000,
            gas_limit: 30_000_000,
            base_fee_per_gas: 1,
            block_interval_min_ms: 1,
            block_interval_max_ms: 10,
            block_bytes_max: 1 << 18,
            validators: validators.collect(),
            governance: Governance {
                // The epochs here are shorter than a chain's may be; see `Chain::executor`.
                epoch_blocks: *dolmen_types::genesis::EPOCH_BLOCKS.start(),
                silent_after_s: plan.silent_after_s,
                organisations: vec![Organisation {
                    name: "all".to_owned(),
                    account: chain.account(),
                    root_certificate: Default::default(),
                }],
            },
            accounts: [(chain.account(), account)].into(),
        }
        .try_into()
        .expect("a genesis");
        let guards = tempfile::tempdir().expect("a directory");
        let origin = dolmen_execution::origin(&genesis).expect("a chain");
        let options = Options::history(std::num::NonZeroU64::MIN);
        let store = Store::open(&guards.path().join("db"), &origin, options).expect("a database");
        let head = store.head();
        let record = store.epoch_record(0).expect("it can be read").expect("the first");
        let (block, state) = (head.block.clone(), head.state.clone());
        let zero = Applied { block, state, record: Some((0, record)), certificate: None };
        let disks = (0..plan.boxes).map(|_| Arc::new(Mutex::new(vec![zero.clone()]))).collect();
        Self { plan, chain: Arc::new(chain), genesis: zero.block, keys, disks, guards }
    }

    /// Runs the plan, checks what came of it, and returns the state of the runtime, which tells histories apart.
    pub(super) fn run(&self) -> Vec<B256> {
        // What a disk has of writes that were not synced when the power goes.
        let faults = FaultConfig::default().write(WriteConfig {
            failure_rate: Probability::new(0, 100).expect("none"),
            retention_rate: Probability::new(50, 100).expect("half"),
            mode: if (self.plan.seed / 6).is_multiple_of(2) {
                PartialWriteMode::Prefix
            } else {
                PartialWriteMode::Subset
            },
        });
        let config = deterministic::Config::new().with_seed(self.plan.seed).with_timeout(Some(PATIENCE));
        let mut runner = deterministic::Runner::new(config.with_storage_fault_config(faults));
        for (number, height) in self.plan.blackouts.iter().enumerate() {
            let play = |context| async move { self.play(context, 100 * number, Some(*height)).await };
            let ((), checkpoint) = runner.start_and_recover(play);
            runner = deterministic::Runner::from(checkpoint);
        }
        let last = 100 * self.plan.blackouts.len();
        runner.start(|context| async move { self.play(context, last, None).await });
        self.check_chains();
        self.check_seats();
        let first = self.plan.lasting().next().expect("one lasts");
        let blocks = usize::try_from(self.plan.target).expect("few");
        self.disks[first].lock().iter().map(|applied| applied.block.hash()).take(blocks).collect()
    }

    fn top(&self) -> u64 {
        self.plan.honest().map(|index| self.height(index)).max().unwrap_or(0)
    }

    fn height(&self, index: usize) -> u64 {
        self.disks[index].lock().len() as u64 - 1
    }

    /// Plays until all are at the target, or the power goes. Incarnations of boxes are counted from `first` on.
    async fn play(&self, context: Context, first: usize, blackout: Option<u64>) {
        let settings = simulated::Config {
            max_size: 8 << 20,
            max_peers_per_set: NZUsize!(self.plan.boxes),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(1),
        };
        let peers = self.keys.iter().map(ed25519::PrivateKey::public_key);
        let (network, oracle) = Network::new_with_peers(context.child("network"), settings, peers).await;
        network.start();
        let Plan { seed, boxes, links: Links { latency_ms: (low, high), jitter_ms, delivered }, .. } = self.plan;
        let mut dice = StdRng::seed_from_u64(seed);
        let mut links = Vec::new();
        let pairs = (0..boxes).flat_map(|from| (0..boxes).map(move |to| (from, to)));
        for (from, to) in pairs.filter(|(from, to)| from != to) {
            let link = Link {
                latency: Duration::from_millis(dice.random_range(low..=high)),
                jitter: Duration::from_millis(jitter_ms),
                success_rate: Probability::new(delivered, 100).expect("a share"),
            };
            self.link(&oracle, from, to, Some(&link)).await;
            links.push((from, to, link));
        }
        let handles = Handles::default();
        let mut running: Vec<Option<Handle<()>>> = Vec::new();
        for index in 0..boxes {
            running.push(Some(self.start(&context, &oracle, index, first, &handles).await));
        }
        let mut troubles = self.plan.troubles.iter().copied().enumerate().collect::<std::collections::VecDeque<_>>();
        let mut now: Option<(usize, Trouble, SystemTime)> = None;
        loop {
            context.sleep(LOOK).await;
            let top = self.top();
            if blackout.is_some_and(|height| top >= height) {
                return;
            }
            if let Some((index, _)) = self.plan.dead.filter(|(_, from)| top >= *from)
                && let Some(handle) = running[index].take()
            {
                kill(handle).await;
                // What it has on its disk is all that it can still show.
                handles.finality.lock().insert(index, Finality::default());
            }
            match now {
                None if troubles.front().is_some_and(|(_, trouble)| top >= trouble.from) => {
                    let (number, trouble) = troubles.pop_front().expect("there is one");
                    now = Some((number, trouble, context.current()));
                    let index = trouble.whose;
                    match trouble.harm {
                        Harm::Crash | Harm::Loss => kill(running[index].take().expect("it runs")).await,
                        Harm::Cut => self.cut(&oracle, &links, index, true).await,
                    }
                }
                Some((number, trouble, since))
                    if trouble.is_over(top, context.current().duration_since(since).unwrap_or_default()) =>
                {
                    let index = trouble.whose;
                    match trouble.harm {
                        Harm::Crash | Harm::Loss => {
                            running[index] =
                                Some(self.start(&context, &oracle, index, first + number + 1, &handles).await);
                        }
                        Harm::Cut => self.cut(&oracle, &links, index, false).await,
                    }
                    now = None;
                }
                _ => {}
            }
            let done = now.is_none() && troubles.is_empty();
            if done && self.plan.lasting().all(|index| self.height(index) >= self.plan.target) {
                break;
            }
        }
        self.check_certificates(&handles).await;
        self.check_kept_out(&oracle.blocked().await.expect("the network runs"));
        self.check_guards(&handles);
    }

    /// Takes a box's links away, or gives them back.
    async fn cut(
        &self,
        oracle: &Oracle<ed25519::PublicKey, Context>,
        links: &[(usize, usize, Link)],
        index: usize,
        off: bool,
    ) {
        for (from, to, link) in links.iter().filter(|(from, to, _)| [*from, *to].contains(&index)) {
            self.link(oracle, *from, *to, (!off).then_some(link)).await;
        }
    }

    async fn link(&self, oracle: &Oracle<ed25519::PublicKey, Context>, from: usize, to: usize, link: Option<&Link>) {
        let (from, to) = (self.keys[from].public_key(), self.keys[to].public_key());
        match link {
            Some(link) => oracle.add_link(from, to, link.clone()).await,
            None => oracle.remove_link(from, to).await,
        }
        .expect("the boxes are known");
    }

    /// Starts a box, for the first time or again.
    async fn start(
        &self,
        context: &Context,
        oracle: &Oracle<ed25519::PublicKey, Context>,
        index: usize,
        incarnation: usize,
        handles: &Handles,
    ) -> Handle<()> {
        let control = oracle.control(self.keys[index].public_key());
        let mut channels = Vec::new();
        for id in 0..8 {
            channels.push(control.register(id, Quota::per_second(NZU32!(4096))).await.expect("the network runs"));
        }
        let mut channel = channels.into_iter();
        let mut next = || channel.next().expect("eight");
        let channels = Channels {
            votes: next(),
            certificates: next(),
            resolver: next(),
            blocks: next(),
            backfill: next(),
            gossip: next(),
            status: next(),
            sync: next(),
        };
        let context = context.child("box").with_attribute("index", index).with_attribute("incarnation", incarnation);
        let config = self.config(index);
        if let Some(lie) = self.plan.lie.filter(|_| index == LIAR) {
            // Another's disk tells it who votes.
            let other = self.plan.lasting().next().expect("one lasts");
            let (disk, genesis, key) = (self.disks[other].clone(), self.genesis.hash(), self.keys[index].clone());
            let schemes = move |epoch| {
                let records = disk.lock().iter().filter_map(|applied| applied.record.clone()).collect::<Vec<_>>();
                let (_, record) = records.into_iter().find(|(of, _)| *of == epoch)?;
                let keys: Vec<_> = EpochRecord::decode(&record).expect("the contract's own").keys().collect();
                let set = keys.iter().map(|key| to_commonware(key).expect("a key")).try_collect();
                let set: Set<_> = set.expect("each once");
                let namespace = namespace(&genesis, epoch, &keys);
                let namespace = if lie == Lie::Elsewhere { b"another chain" } else { &namespace[..] };
                Theirs::signer(namespace, set, key.clone())
            };
            let others = self.plan.honest().map(|other| self.keys[other].public_key()).collect();
            return context.spawn(move |context| liar::run(context, lie, schemes, channels, others));
        }
        // A box that was killed lets go of its log when the runtime has dropped all of its tasks.
        let identity = loop {
            match Identity::new(&config) {
                Err(ConsensusError::Guard(crate::GuardError::InUse { .. })) => {
                    context.sleep(Duration::from_millis(1)).await
                }
                identity => break identity.expect("an identity"),
            }
        };
        handles.guards.lock().push(Arc::downgrade(&identity.guard));
        let finality = Finality::default();
        handles.finality.lock().insert(index, finality.clone());
        let before = self.plan.troubles.iter().take(incarnation);
        let lost = before.filter(|trouble| trouble.harm == Harm::Loss && trouble.whose == index).count();
        let settings = Settings::new(&config, format!("box-{index}-{lost}"));
        let (gossip, gossip_queue) = mpsc::channel(1);
        let (sync, sync_queue) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let application = Node::new(self.chain.clone(), self.disks[index].clone(), index);
        let heard = Peers::default();
        let member = Member { settings, identity, application, heard, finality, gossip_queue, sync_queue };
        let (connect, start) = (Box::new(|_| {}), Box::new(|| {}));
        let surroundings = Surroundings { peers: oracle.manager(), blocker: control, connect, start };
        context.spawn(move |context| async move {
            // Held until the box is killed.
            let _ends = (gossip, sync, stop);
            member.run(context, channels, surroundings, stopped).await;
        })
    }

    fn config(&self, index: usize) -> Config {
        let spec =
            KeySpec { algorithm: Algorithm::Ed25519, domains: [Domain::Vote, Domain::Transport].into_iter().collect() };
        let secret = Zeroizing::new(secret(&self.keys[index]));
        let key = MemoryKey::new(format!("soft:box-{index}").parse().expect("a name"), spec, &secret).expect("a key");
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Config {
            key: Arc::new(key),
            vote_log: self.guards.path().join(format!("votes-{index}")),
            has_blocks: self.height(index) > 0,
            vote_counter: None,
            engine: engine(),
            genesis: self.genesis.clone(),
            epoch_blocks: NZU64!(EPOCH_BLOCKS),
            listen: nowhere,
            directory: self.guards.path().to_owned(),
            block_bytes_max: 1 << 18,
            gossip_bytes_max: 1 << 16,
            sync_bytes_max: 1 << 16,
            threads: 1,
        }
    }
}

/// Ends a box as a power button does.
async fn kill(running: Handle<()>) {
    running.abort();
    let _ = running.await;
}

fn secret(key: &ed25519::PrivateKey) -> [u8; 32] {
    commonware_codec::Encode::encode(key).as_ref().try_into().expect("32 bytes")
}

/// What the world holds of running boxes.
#[derive(Default)]
pub(super) struct Handles {
    pub(super) guards: Mutex<Vec<Weak<Guard>>>,
    pub(super) finality: Mutex<BTreeMap<usize, Finality>>,
}

/// One for all boxes: it has no state that their votes could meet in.
pub(super) fn engine() -> Arc<CpuEngine> {
    static ENGINE: OnceLock<Arc<CpuEngine>> = OnceLock::new();
    let start = || CpuEngine::start(CpuConfig { algorithms: &[Algorithm::Ed25519], ..CpuConfig::default() });
    ENGINE.get_or_init(|| start().expect("the engine starts")).clone()
}
