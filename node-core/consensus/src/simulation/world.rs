//! The boxes, the network between them, and what a seed has happen to them.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
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
use dolmen_accel_api::{Algorithm, BatchVerifier as _, Message, Verdict, VerifyJob};
use dolmen_accel_cpu::{CpuConfig, CpuEngine};
use dolmen_execution::Executor;
use dolmen_governance::{EpochRecord, requests_hash};
use dolmen_hsm_api::{Domain, KeySpec};
use dolmen_hsm_guard::Guard;
use dolmen_hsm_memory::MemoryKey;
use dolmen_store::{Options, Store};
use dolmen_types::{
    Block, Certificate, Genesis, GenesisFile, PublicKey, Validator,
    certificate::namespace,
    genesis::{GenesisAccount, Governance, Organisation},
};
use parking_lot::Mutex;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use secp256k1::SecretKey;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use super::{
    application::{Applied, BALANCE, Candidate, Chain, Disk, Node, Step},
    liar,
};
use crate::{
    Config, ConsensusError,
    finality::Finality,
    key::{from_commonware, to_commonware},
    member::{Channels, Identity, Member, Settings, Surroundings},
    status::Peers,
};

/// Four boxes vote at first, of which one may be faulty, and two more may take their places.
const BOXES: usize = 6;
pub(super) const SEATS: usize = 4;
/// The box that lies, where one does; it votes at first, and proposes nothing.
const LIAR: usize = 0;
/// The shortest epoch that takes the deliveries that marshal has out at a time.
pub(super) const EPOCH_BLOCKS: u64 = 6;
/// Simulated time after which a seed has failed.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at the boxes.
const LOOK: Duration = Duration::from_millis(50);

type Context = deterministic::Context;

/// How a box lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    /// It votes for a block and for others, and for none, in each view.
    Equivocate,
    /// It sends old messages, changed or not, on any channel.
    Anything,
    /// It votes as it should, but signs for another chain.
    Elsewhere,
}

/// Something that happens to a box from one height of the chain to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is killed, and started again.
    Crash,
    /// It is killed, and comes back with its blocks and its log of votes, but with nothing that consensus stored: it goes
    /// on from the last block that it has a certificate of.
    Loss,
    /// Nobody hears it, and it hears nobody.
    Cut,
}

/// What a seed means.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    seed: u64,
    latency_ms: (u64, u64),
    jitter_ms: u64,
    /// Messages delivered, percent.
    delivered: u64,
    lie: Option<Lie>,
    /// Trouble, whose, from which height, and to which. One at a time: more than f boxes are never away.
    troubles: Vec<(Trouble, usize, u64, u64)>,
    /// Heights at which all of them lose power.
    blackouts: Vec<u64>,
    /// What the organisation changes, and from which height on. The contract refuses some of it.
    changes: Vec<(u64, Step)>,
    /// Seconds after which a validator is silent; blocks are a second apart.
    silent_after_s: u64,
    /// All honest boxes come to this height.
    target: u64,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let lie = match seed % 6 {
            2 => Some(Lie::Equivocate),
            3 => Some(Lie::Anything),
            5 => Some(Lie::Elsewhere),
            _ => None,
        };
        let mut troubles = Vec::new();
        let mut height = near_a_boundary(&mut dice, 1);
        let mut blackouts = Vec::new();
        while seed % 6 == 4 && blackouts.len() < 3 {
            blackouts.push(height);
            height = near_a_boundary(&mut dice, height + 2);
        }
        while seed % 6 < 2 && troubles.len() < 4 {
            let kind = match (seed % 6, dice.random_range(0..2_u8)) {
                (1, _) => Trouble::Cut,
                (_, 0) => Trouble::Crash,
                _ => Trouble::Loss,
            };
            // A box that lost its votes is most dangerous while others still wait for them. Until it has caught up it is
            // the one that may be faulty.
            let (away, rest) = if kind == Trouble::Loss { (0, 5) } else { (dice.random_range(1..8_u64), 0) };
            let back = height + away;
            troubles.push((kind, dice.random_range(0..BOXES), height, back));
            height = near_a_boundary(&mut dice, back + rest + 1);
        }
        // The spare boxes follow, then seats change hands.
        let mut changes: Vec<_> =
            (SEATS..BOXES).map(|index| (1, Step::Admit(index, dice.random_range(0..2_u8) > 0))).collect();
        let mut from = 2;
        while changes.len() < 20 {
            from += dice.random_range(0..4);
            let index = dice.random_range(usize::from(lie.is_some())..BOXES);
            changes.push(match dice.random_range(0..8_u8) {
                0 if troubles.is_empty() && lie.is_none() => (from, Step::Retire(index)),
                1..=3 => (from, Step::Demote(index)),
                _ => (from, Step::Promote(index)),
            });
        }
        let silent_after_s = if dice.random_range(0..2_u8) == 0 { 0 } else { 9 };
        Self {
            seed,
            latency_ms: (dice.random_range(1..20), dice.random_range(20..60)),
            jitter_ms: dice.random_range(0..10),
            delivered: dice.random_range(92..=100),
            lie,
            target: troubles
                .last()
                .map_or(3 * EPOCH_BLOCKS, |(.., back)| back + EPOCH_BLOCKS)
                .max(height + EPOCH_BLOCKS),
            troubles,
            blackouts,
            changes,
            silent_after_s,
        }
    }
}

/// A height from `least` on: in most cases that of an epoch's last block, or beside it.
fn near_a_boundary(dice: &mut StdRng, least: u64) -> u64 {
    let boundary = (least + 1).next_multiple_of(EPOCH_BLOCKS);
    match dice.random_range(0..4_u8) {
        0 => least + dice.random_range(0..3),
        _ => (boundary + dice.random_range(0..3) - 2).max(least),
    }
}

/// The boxes of a seed.
pub(super) struct World {
    plan: Plan,
    chain: Arc<Chain>,
    genesis: Arc<Block>,
    keys: Vec<ed25519::PrivateKey>,
    disks: Vec<Disk>,
    guards: tempfile::TempDir,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let keys: Vec<_> = (0..BOXES as u64).map(ed25519::PrivateKey::from_seed).collect();
        let validators = keys.iter().take(SEATS).enumerate().map(|(index, key)| Validator {
            name: format!("box-{index}"),
            public_key: from_commonware(&key.public_key()),
            fee_recipient: Chain::fee_recipient(index),
            organisation: Some("all".to_owned()),
            endpoint: None,
        });
        // Of its own for each process and seed: a guard keeps others of the machine from its key and chain.
        let chain_id = u64::from(std::process::id()) << 24 | (plan.seed + 1) & 0xff_ffff;
        let boxes = keys.iter().map(|key| Candidate {
            key: from_commonware(&key.public_key()),
            secret: ed25519_dalek::SigningKey::from_bytes(&secret(key)),
        });
        let chain = Chain {
            chain_id,
            executor: Executor::new(chain_id, EPOCH_BLOCKS),
            boxes: boxes.collect(),
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
        let disks = (0..BOXES).map(|_| Arc::new(Mutex::new(vec![zero.clone()]))).collect();
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
        let longest = self.honest().map(|index| self.disks[index].lock().len()).max().unwrap_or(0);
        let chains: Vec<_> = self.honest().map(|index| self.disks[index].lock().clone()).collect();
        for height in 0..longest {
            let mut blocks = chains.iter().filter_map(|chain| chain.get(height)).map(|applied| applied.block.hash());
            let first = blocks.next();
            assert!(blocks.all(|block| Some(block) == first), "seed {}: a fork at height {height}", self.plan.seed);
        }
        chains[0]
            .iter()
            .map(|applied| applied.block.hash())
            .take(usize::try_from(self.plan.target).expect("few"))
            .collect()
    }

    /// The boxes that do not lie.
    fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..BOXES).filter(|index| self.plan.lie.is_none() || *index != LIAR)
    }

    fn top(&self) -> u64 {
        self.honest().map(|index| self.height(index)).max().unwrap_or(0)
    }

    fn height(&self, index: usize) -> u64 {
        self.disks[index].lock().len() as u64 - 1
    }

    /// Plays until all are at the target, or the power goes. Incarnations of boxes are counted from `first` on.
    async fn play(&self, context: Context, first: usize, blackout: Option<u64>) {
        let settings = simulated::Config {
            max_size: 8 << 20,
            max_peers_per_set: NZUsize!(BOXES),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(1),
        };
        let peers = self.keys.iter().map(ed25519::PrivateKey::public_key);
        let (network, oracle) = Network::new_with_peers(context.child("network"), settings, peers).await;
        network.start();
        let mut dice = StdRng::seed_from_u64(self.plan.seed);
        let mut links = Vec::new();
        for (from, to) in
            (0..BOXES).flat_map(|from| (0..BOXES).map(move |to| (from, to))).filter(|(from, to)| from != to)
        {
            let (low, high) = self.plan.latency_ms;
            let link = Link {
                latency: Duration::from_millis(dice.random_range(low..=high)),
                jitter: Duration::from_millis(self.plan.jitter_ms),
                success_rate: Probability::new(self.plan.delivered, 100).expect("a share"),
            };
            self.link(&oracle, from, to, Some(&link)).await;
            links.push((from, to, link));
        }
        let handles = Handles::default();
        let mut running: Vec<Option<Handle<()>>> = Vec::new();
        for index in 0..BOXES {
            running.push(Some(self.start(&context, &oracle, index, first, &handles).await));
        }
        let mut troubles = self.plan.troubles.iter().copied().enumerate().collect::<std::collections::VecDeque<_>>();
        let mut now: Option<(usize, (Trouble, usize, u64, u64))> = None;
        loop {
            context.sleep(LOOK).await;
            let top = self.top();
            if blackout.is_some_and(|height| top >= height) {
                return;
            }
            match now {
                None if troubles.front().is_some_and(|(_, (.., from, _))| top >= *from) => {
                    now = troubles.pop_front();
                    let (_, (kind, index, ..)) = now.expect("there is one");
                    match kind {
                        Trouble::Crash | Trouble::Loss => {
                            let handle = running[index].take().expect("it runs");
                            handle.abort();
                            let _ = handle.await;
                        }
                        Trouble::Cut => self.cut(&oracle, &links, index, true).await,
                    }
                }
                Some((number, (kind, index, _, back))) if top >= back => {
                    match kind {
                        Trouble::Crash | Trouble::Loss => {
                            running[index] =
                                Some(self.start(&context, &oracle, index, first + number + 1, &handles).await);
                        }
                        Trouble::Cut => self.cut(&oracle, &links, index, false).await,
                    }
                    now = None;
                }
                _ => {}
            }
            let done = now.is_none() && troubles.is_empty();
            if done && self.honest().all(|index| self.height(index) >= self.plan.target) {
                break;
            }
        }
        self.check_certificates(&handles).await;
        let (blocked, liar) = (oracle.blocked().await.expect("the network runs"), self.keys[LIAR].public_key());
        let found = blocked.iter().any(|(_, to)| *to == liar);
        assert!(found || self.plan.lie.is_none(), "seed {}: nobody noticed the liar", self.plan.seed);
        for (from, to) in blocked {
            assert!(
                self.plan.lie.is_some() && (to == liar || from == liar),
                "seed {}: an honest box is kept out",
                self.plan.seed
            );
        }
        for guard in handles.guards.lock().iter().filter_map(std::sync::Weak::upgrade) {
            let status = guard.status();
            // Without its journal simplex may ask for other votes; only the guard keeps it from a fault then.
            let lost = self.plan.troubles.iter().any(|(kind, ..)| *kind == Trouble::Loss);
            let asked = status.conflicts > 0 && self.plan.blackouts.is_empty() && !lost;
            assert!(!asked && status.fence.is_none(), "seed {}: {status:?}", self.plan.seed);
        }
    }

    /// Checks every certificate that the boxes have, as somebody would who has the genesis file and their answers alone.
    async fn check_certificates(&self, handles: &Handles) {
        let (genesis, seed) = (self.genesis.hash(), self.plan.seed);
        let finality = handles.finality.lock().clone();
        for (index, finality) in &finality {
            let disk = self.disks[*index].lock().clone();
            let mut sets: Vec<Vec<PublicKey>> = Vec::new();
            for Applied { block, record, certificate, .. } in &disk {
                let (height, epoch) = (block.number(), block.number() / EPOCH_BLOCKS);
                let last = (height + 1).is_multiple_of(EPOCH_BLOCKS);
                if height > 0 {
                    let set = &sets[usize::try_from(epoch).expect("few epochs")];
                    // A box that lost what consensus stored has those from before in its database.
                    match finality.certificate(height).await.or_else(|| certificate.clone()) {
                        Some(certificate) => {
                            assert_eq!(certificate.epoch, epoch, "seed {seed}: height {height} was finalized elsewhen");
                            assert!(proves(&certificate, block, &genesis, set), "seed {seed}: height {height}");
                            for other in sets.iter().filter(|other| *other != set) {
                                let mistaken = proves(&certificate, block, &genesis, other);
                                assert!(!mistaken, "seed {seed}: height {height} counts for another set");
                            }
                        }
                        None => assert!(!last, "seed {seed}: box {index} cannot prove the end of epoch {epoch}"),
                    }
                }
                if let Some((_, record)) = record {
                    // The genesis is known; what follows hangs on the certified header before it.
                    let committed = block.header().requests_hash == Some(requests_hash(record));
                    assert!(committed || height == 0, "seed {seed}: height {height}");
                    sets.push(EpochRecord::decode(record).expect("the contract's own").keys().collect());
                }
            }
        }
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
            let (disk, genesis, key) = (self.disks[LIAR + 1].clone(), self.genesis.hash(), self.keys[index].clone());
            // Another's disk tells it who votes.
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
            let others = (0..BOXES).filter(|other| *other != LIAR).map(|other| self.keys[other].public_key()).collect();
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
        let lost = before.filter(|(kind, whose, ..)| *kind == Trouble::Loss && *whose == index).count();
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

fn secret(key: &ed25519::PrivateKey) -> [u8; 32] {
    commonware_codec::Encode::encode(key).as_ref().try_into().expect("32 bytes")
}

/// What the world holds of running boxes.
#[derive(Default)]
struct Handles {
    guards: Mutex<Vec<std::sync::Weak<Guard>>>,
    finality: Mutex<BTreeMap<usize, Finality>>,
}

/// Whether a certificate is of a block, by a quorum of these validators.
fn proves(certificate: &Certificate, block: &Block, genesis: &B256, validators: &[PublicKey]) -> bool {
    let Ok(signed) = certificate.signed(&block.hash(), genesis, validators) else { return false };
    let jobs: Vec<_> = signed
        .signatures
        .iter()
        .map(|(key, signature)| VerifyJob { key: &key.0, message: Message::Bytes(&signed.message), signature })
        .collect();
    let mut verdicts = vec![Verdict::Invalid; jobs.len()];
    engine().verify(Algorithm::Ed25519, &jobs, &mut verdicts).expect("the engine works");
    verdicts.into_iter().all(Verdict::is_valid)
}

/// One for all boxes: it has no state that their votes could meet in.
fn engine() -> Arc<CpuEngine> {
    static ENGINE: OnceLock<Arc<CpuEngine>> = OnceLock::new();
    let start = || CpuEngine::start(CpuConfig { algorithms: &[Algorithm::Ed25519], ..CpuConfig::default() });
    ENGINE.get_or_init(|| start().expect("the engine starts")).clone()
}
