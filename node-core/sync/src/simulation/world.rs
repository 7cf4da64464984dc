//! A box that fetches a state, its peers, and the network between them. Time is simulated; a seed says what happens,
//! and says it again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::B256;
use bytes::Bytes;
use dolmen_store::{
    StoreError,
    snapshot::{Filling, Pivot, RangeLimits},
};
use dolmen_types::PublicKey;

use super::{
    liar::Lie,
    source::{BLOCK_BYTES_MAX, Random, Source},
};
use crate::{
    Action, Client, Event, Fault, Gate, Phase, Server, Settings,
    message::{Request, Response},
};

/// Simulated time after which a seed has failed, milliseconds.
const PATIENCE_MS: u64 = 3_600_000;
const TICK_MS: u64 = 500;
/// Parts of a few accounts, so that a small state has many.
pub(crate) const TINY: RangeLimits = RangeLimits { bytes: 900, inline_slots: 4 };

/// What kind a peer is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Does as it should.
    Honest,
    /// Does as it should, but takes longer than the client waits.
    Slow,
    /// Says what it has, and answers nothing else.
    Silent,
    /// Does as it should, and sends a lot that nobody asked for.
    Flooding,
    /// Says that it is busy, every other time.
    Busy,
    /// Lies.
    Liar(Lie),
}

/// What a seed means.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) peers: Vec<Kind>,
    pub(crate) limits: RangeLimits,
    /// Of a hundred messages so many are lost.
    pub(crate) loss: u64,
    /// The longest that a message takes, milliseconds; each takes its own time.
    pub(crate) delay_ms: u64,
    /// Whether the box is killed at every write, before or after it.
    pub(crate) crashes: bool,
    /// Whether peers cannot be reached at times.
    pub(crate) vanishing: bool,
    /// Whether only the first peer can be reached before one is banned.
    pub(crate) is_first_alone: bool,
    /// Blocks that the chain has at first.
    pub(crate) blocks: u64,
    /// Blocks that it grows by meanwhile, one every so many milliseconds.
    pub(crate) growth: (u64, u64),
}

impl Plan {
    pub(crate) fn new(seed: u64, peers: Vec<Kind>) -> Self {
        Self {
            seed,
            peers,
            limits: TINY,
            loss: 0,
            delay_ms: 100,
            crashes: false,
            vanishing: false,
            is_first_alone: false,
            blocks: 9,
            growth: (0, 1),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) bans: BTreeMap<usize, String>,
    /// Lies that reached the box.
    pub(crate) lies: usize,
    pub(crate) requests: usize,
    pub(crate) writes: usize,
    pub(crate) height: u64,
    pub(crate) took_ms: u64,
}

#[derive(Debug)]
enum Happening {
    Tick,
    Grow,
    /// A message reaches a peer, or the client, if the connection is still the same.
    ToPeer(usize, u64, Bytes),
    ToClient(usize, u64, Bytes, bool),
    Vanish(usize),
    Return(usize),
}

pub(crate) struct World {
    plan: Plan,
    random: Random,
    pub(crate) source: Source,
    server: Server,
    gate: Gate,
    dir: tempfile::TempDir,
    /// The epoch whose validators the box knows; on its disk.
    linked: u64,
    /// `None` in the middle of a restart.
    running: Option<(Client, Filling)>,
    starts: u64,
    now_ms: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    queued: u64,
    /// The connection of each peer; `None` where it cannot be reached.
    connections: Vec<Option<u64>>,
    banned: BTreeSet<usize>,
    outcome: Outcome,
    is_done: bool,
}

fn key(peer: usize) -> PublicKey {
    PublicKey([u8::try_from(peer).expect("few peers"); 32])
}

fn number(key: &PublicKey) -> usize {
    usize::from(key.0[0])
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        Self::with(plan, Source::new(10, 30))
    }

    pub(crate) fn with(plan: Plan, source: Source) -> Self {
        let mut random = Random(plan.seed);
        (0..plan.blocks).for_each(|_| source.grow(&mut random));
        let server = Server::with_limits(source.store.clone(), source.pivots.clone(), plan.limits);
        Self {
            random,
            source,
            server,
            gate: Gate::default(),
            dir: tempfile::tempdir().expect("a directory"),
            linked: 0,
            running: None,
            starts: 0,
            now_ms: 0,
            queue: BTreeMap::new(),
            queued: 0,
            connections: (0..plan.peers.len()).map(|peer| (peer == 0 || !plan.is_first_alone).then_some(0)).collect(),
            banned: BTreeSet::new(),
            outcome: Outcome::default(),
            is_done: false,
            plan,
        }
    }

    /// Runs until the box has all, and compares what it has with the chain.
    pub(crate) fn run(mut self) -> Outcome {
        self.start();
        self.later(TICK_MS, Happening::Tick);
        if self.plan.growth.0 > 0 {
            self.later(self.plan.growth.1, Happening::Grow);
        }
        if self.plan.vanishing {
            for peer in 0..self.plan.peers.len() {
                let after_ms = 1 + self.random.below(3_000);
                self.later(after_ms, Happening::Vanish(peer));
            }
        }
        while !self.is_done {
            let ((at_ms, _), happening) = self.queue.pop_first().expect("time goes on");
            self.now_ms = at_ms;
            assert!(at_ms < PATIENCE_MS, "{:?} is not done: {:?}", self.plan, self.report());
            self.happen(happening);
        }
        self.running = None;
        self.outcome.took_ms = self.now_ms;
        self.outcome.height = self.source.compare(self.dir.path());
        for (peer, fault) in &self.outcome.bans {
            assert!(matches!(self.plan.peers[*peer], Kind::Liar(_)), "{:?} bans {peer}: {fault}", self.plan);
        }
        self.outcome
    }

    fn report(&self) -> Option<crate::Report> {
        self.running.as_ref().map(|(client, _)| client.report())
    }

    fn later(&mut self, after_ms: u64, happening: Happening) {
        self.queued += 1;
        self.queue.insert((self.now_ms + after_ms, self.queued), happening);
    }

    fn start(&mut self) {
        self.running = None;
        let filling = match Filling::open(self.dir.path(), &self.source.origin) {
            Ok(filling) => filling,
            Err(StoreError::HasChain(_)) => {
                // It was killed right after its last write.
                self.is_done = true;
                return;
            }
            Err(error) => panic!("{:?}: {}", self.plan, explain(&error)),
        };
        let progress = filling.progress().expect("what was written is readable");
        self.starts += 1;
        let settings = Settings {
            first_id: self.starts << 32,
            block_bytes_max: usize::try_from(BLOCK_BYTES_MAX).expect("small"),
            limits: self.plan.limits,
        };
        self.running = Some((Client::new(progress, settings), filling));
        for peer in (0..self.connections.len()).filter(|peer| !self.banned.contains(peer)).collect::<Vec<_>>() {
            if let Some(connection) = &mut self.connections[peer] {
                // What was on its way to the box that was killed does not reach the new one.
                *connection = self.starts << 32;
                self.tell(Event::Connected(key(peer)));
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick => {
                self.later(TICK_MS, Happening::Tick);
                self.flood();
                self.tell(Event::Tick);
            }
            Happening::Grow => {
                self.source.grow(&mut self.random);
                self.plan.growth.0 -= 1;
                if self.plan.growth.0 > 0 {
                    self.later(self.plan.growth.1, Happening::Grow);
                }
            }
            Happening::ToPeer(peer, connection, message) => {
                if self.connections[peer] == Some(connection) {
                    self.answer(peer, connection, &message);
                }
            }
            Happening::ToClient(peer, connection, message, is_lie) => {
                if self.connections[peer] == Some(connection) && !self.banned.contains(&peer) {
                    self.outcome.lies += usize::from(is_lie);
                    self.tell(Event::Message { from: key(peer), message });
                }
            }
            Happening::Vanish(peer) => {
                if self.connections[peer].take().is_some() {
                    self.tell(Event::Gone(key(peer)));
                }
                let after_ms = 1 + self.random.below(8_000);
                self.later(after_ms, Happening::Return(peer));
            }
            Happening::Return(peer) => {
                self.connections[peer] = Some((self.starts << 32) + self.queued);
                self.tell(Event::Connected(key(peer)));
                let after_ms = 1 + self.random.below(20_000);
                self.later(after_ms, Happening::Vanish(peer));
            }
        }
    }

    /// A peer answers as it does.
    fn answer(&mut self, peer: usize, connection: u64, message: &[u8]) {
        self.outcome.requests += 1;
        let (id, request) = Request::decode(message).expect("the client sends requests");
        let right = if matches!(self.plan.peers[peer], Kind::Busy) && self.random.below(2) == 0 {
            Response::Busy.encode(id)
        } else {
            self.server.answer_within(&mut self.gate, &key(peer), message, self.now_ms).expect("a request")
        };
        let mut told = right.clone();
        match self.plan.peers[peer] {
            Kind::Silent if request != Request::Pivots => return,
            Kind::Liar(lie) if request != Request::Pivots => {
                let answer = self.server.answer(id, &lie.ask(&request, &self.source));
                let (_, response) = Response::decode(&answer.message).expect("the server's own");
                let lied = lie.tell(&request, response, &self.source, &mut self.random);
                told = lie.garble(lied.encode(id), &mut self.random);
            }
            _ => {}
        }
        let extra_ms = if self.plan.peers[peer] == Kind::Slow { 14_000 } else { 0 };
        // Who says that it has nothing may be wrong, but tells no lie that could be shown.
        let is_lie = told != right && told.get(8) != Response::Unavailable.encode(id).get(8);
        self.transmit(extra_ms, Happening::ToClient(peer, connection, told, is_lie));
    }

    /// Sends a message on its way, unless it is lost.
    fn transmit(&mut self, extra_ms: u64, happening: Happening) {
        let (lost, delay_ms) = (self.random.below(100) < self.plan.loss, 1 + self.random.below(self.plan.delay_ms));
        if !lost {
            self.later(extra_ms + delay_ms, happening);
        }
    }

    fn flood(&mut self) {
        for peer in 0..self.plan.peers.len() {
            if self.plan.peers[peer] != Kind::Flooding {
                continue;
            }
            let Some(connection) = self.connections[peer] else { continue };
            for _ in 0..20 {
                let len = self.random.index(60);
                let junk: Vec<u8> = (0..len).map(|_| self.random.draw().to_be_bytes()[0] | 0x80).collect();
                self.transmit(0, Happening::ToClient(peer, connection, junk.into(), false));
            }
        }
    }

    /// Takes in the links that hold, as if the certificates said so.
    fn link(&mut self, peer: PublicKey, links: &[Pivot]) -> Vec<Event> {
        let (mut lie, known) = (None, self.linked);
        for link in links.iter().skip_while(|link| link.certificate().epoch < known) {
            if link.certificate().epoch != self.linked || !self.source.is_true(link) {
                let (height, found) = (link.number(), link.hash());
                lie = Some(Fault::OtherLink { height, expected: B256::ZERO, found });
                break;
            }
            self.linked += 1;
        }
        let caught = lie.map(|fault| Event::Caught { peer, fault });
        std::iter::once(Event::Linked { epoch: self.linked }).chain(caught).collect()
    }

    /// Tells the client what happened, and does what it says.
    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some((client, _)) = &mut self.running else { return };
            let actions = client.handle(event, self.now_ms);
            for action in actions {
                match action {
                    Action::Write(write) => {
                        self.outcome.writes += 1;
                        let is_killed = self.plan.crashes;
                        let is_written = !is_killed || self.random.below(3) > 0;
                        if let (Some((_, filling)), true) = (&self.running, is_written) {
                            filling.apply(&write).expect("a disk with room");
                        }
                        if is_killed {
                            self.start();
                            return;
                        }
                    }
                    Action::Send { to, message } => {
                        let peer = number(&to);
                        if let Some(connection) = self.connections[peer] {
                            self.transmit(0, Happening::ToPeer(peer, connection, message));
                        }
                    }
                    Action::Ban { peer, fault } => {
                        self.banned.insert(number(&peer));
                        self.outcome.bans.insert(number(&peer), explain(&fault));
                        for (at, connection) in (0..).zip(&mut self.connections).filter(|_| self.plan.is_first_alone) {
                            connection.get_or_insert(self.queued);
                            events.push_back(Event::Connected(key(at)));
                        }
                    }
                    Action::Offered { peer, pivot } => {
                        assert!(self.source.is_true(&pivot), "none of these peers lies about it");
                        let (known, epoch) = (self.linked, pivot.certificate().epoch);
                        if epoch > known {
                            events.push_back(Event::Unlinked { peer, known, epoch });
                        } else {
                            self.linked = known.max(epoch + 1);
                            events.push_back(Event::Trusted(pivot));
                        }
                    }
                    Action::Links { peer, links } => events.extend(self.link(peer, &links)),
                    Action::Done => {
                        let report = self.report().expect("it runs");
                        assert_eq!((report.phase, report.codes_missing, report.blocks_missing), (Phase::Done, 0, 0));
                        self.is_done = true;
                    }
                    Action::Failed(error) => panic!("{:?}: {error}", self.plan),
                }
            }
        }
    }
}

/// An error with its causes.
pub(crate) fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
