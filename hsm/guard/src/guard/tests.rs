use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use dolmen_hsm_api::{Algorithm, Domains, KeyError, KeyUri};
use futures::future::BoxFuture;
use proptest::prelude::*;

use super::*;

const RECORDS: u64 = 8;
const LEASE_VIEWS: u64 = 20;
const SCOPE: [u8; 32] = [9; 32];

/// A key whose signatures are never the same twice, as ECDSA's with a random nonce, and which can fail.
#[derive(Debug)]
struct Key {
    uri: KeyUri,
    count: AtomicU64,
    gone: AtomicU64,
}

impl Key {
    fn new() -> Arc<Self> {
        Arc::new(Self { uri: "tpm:vote".parse().unwrap(), count: AtomicU64::new(0), gone: AtomicU64::new(0) })
    }
}

impl Signer for Key {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaP256
    }

    fn public_key(&self) -> &[u8] {
        &[7; 64]
    }

    fn domains(&self) -> Domains {
        [Domain::Vote].into_iter().collect()
    }

    fn residence(&self) -> Residence {
        Residence::Device
    }

    fn sign<'a>(&'a self, domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        assert_eq!(domain, Domain::Vote);
        let Message::Bytes(bytes) = message else { unreachable!("votes are signed as bytes") };
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut signature = [0; 64];
        signature[..8].copy_from_slice(&count.to_be_bytes());
        signature[8..16].copy_from_slice(&Sha256::digest(bytes)[..8]);
        let gone = self.gone.load(Ordering::Relaxed) > 0;
        Box::pin(async move {
            if gone {
                return Err(KeyError::Absent { device: "the TPM".into(), reason: "a test took it".into() });
            }
            Ok(Signature(signature))
        })
    }
}

/// A counter that may stop between its two steps.
#[derive(Debug, Default)]
struct Counter(Mutex<(u64, Option<Lease>, Option<u32>)>);

impl LeaseCounter for Counter {
    fn read(&self, _: &Scope) -> Result<Option<Lease>, KeyError> {
        let state = self.0.lock().unwrap();
        Ok(state.1.map(|lease| Lease { counter: state.0, ..lease }))
    }

    fn advance(&self, _: &Scope, epoch: u64, view: u64) -> Result<Lease, KeyError> {
        let mut state = self.0.lock().unwrap();
        let failed = || KeyError::SessionLost { device: "the TPM".into(), reason: "a test took it".into() };
        let step = |left: &mut Option<u32>| match left {
            Some(0) => Err(failed()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        };
        step(&mut state.2)?;
        state.0 += 1;
        step(&mut state.2)?;
        let lease = Lease { counter: state.0, epoch, view };
        state.1 = Some(lease);
        step(&mut state.2)?;
        Ok(lease)
    }
}

/// A disk in memory that loses what was not synced, and fails from some operation on. Clones are the same disk.
#[derive(Clone, Debug)]
struct Memory(Arc<Mutex<Sectors>>);

#[derive(Clone, Debug)]
struct Sectors {
    durable: Vec<u8>,
    pending: Vec<(u64, Vec<u8>)>,
    /// Operations until it fails.
    left: Option<u32>,
    /// Which sectors of a write that was not synced get through when the power goes.
    torn: u64,
}

impl Memory {
    fn new() -> Self {
        Self::of(log::blank(SCOPE, RECORDS, false))
    }

    fn of(durable: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Sectors { durable, pending: Vec::new(), left: None, torn: 0 })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Sectors> {
        self.0.lock().unwrap()
    }

    /// Another disk with the same content.
    fn copy(&self) -> Self {
        Self::of(self.state().durable.clone())
    }

    fn flip(&self, at: usize) {
        self.state().durable[at] ^= 1;
    }

    /// The power goes and comes back.
    fn crash(&self) -> Self {
        let mut state = self.state();
        let Sectors { durable, pending, left, torn } = &mut *state;
        for (offset, bytes) in pending.drain(..) {
            for (sector, bytes) in bytes.chunks(512).enumerate() {
                let at = usize::try_from(offset).unwrap() + sector * 512;
                if *torn & 1 == 1 {
                    durable[at..at + bytes.len()].copy_from_slice(bytes);
                }
                *torn = torn.rotate_right(1);
            }
        }
        *left = None;
        self.clone()
    }
}

impl Sectors {
    fn step(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("the power went")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for Memory {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let state = self.state();
        bytes.copy_from_slice(state.durable.get(at..at + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        assert!(usize::try_from(offset).unwrap() + bytes.len() <= state.durable.len(), "the file never grows");
        state.pending.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let pending = std::mem::take(&mut state.pending);
        for (offset, bytes) in pending {
            let at = usize::try_from(offset).unwrap();
            state.durable[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }
}

type Counted = Option<Arc<Counter>>;

fn open(disk: &Memory, key: &Arc<Key>, counter: &Counted) -> Result<Core<Memory>, GuardError> {
    let counter = counter.clone().map(|counter| counter as Arc<dyn LeaseCounter>);
    Core::open(disk.clone(), RECORDS, key.clone(), SCOPE, counter, Span::views(LEASE_VIEWS), PathBuf::from("log"))
}

fn fence(core: &Core<Memory>) -> Option<Round> {
    lock_status(&core.status).fence
}

fn round(view: u64) -> Round {
    Round { epoch: 0, view }
}

fn vote(view: u64, kind: Kind, message: &[u8]) -> Vote<'_> {
    Vote { round: round(view), kind, message }
}

#[test]
fn a_vote_is_signed_once() {
    let (key, disk) = (Key::new(), Memory::new());
    let mut guard = open(&disk, &key, &None).unwrap();
    let first = guard.sign(vote(1, Kind::Notarize, b"a")).unwrap();
    assert_eq!(guard.sign(vote(1, Kind::Notarize, b"a")).unwrap(), first);
    let error = guard.sign(vote(1, Kind::Notarize, b"b")).unwrap_err();
    assert!(error.to_string().contains("a vote to notarize in view 1 of epoch 0 conflicts"), "{error}");
    guard.sign(vote(1, Kind::Nullify, b"n")).unwrap();
    assert!(matches!(
        guard.sign(vote(1, Kind::Finalize, b"a")),
        Err(GuardError::Conflict { kind: Kind::Finalize, earlier: Kind::Nullify, .. })
    ));
    let mut guard = open(&disk.crash(), &key, &None).unwrap();
    assert_eq!(guard.sign(vote(1, Kind::Notarize, b"a")).unwrap(), first, "after a restart too");
    assert!(guard.sign(vote(1, Kind::Notarize, b"b")).is_err());
    let status = lock_status(&guard.status).clone();
    assert_eq!((status.signed, status.conflicts), (0, 1));
    guard.sign(vote(2, Kind::Notarize, b"b")).unwrap();
    assert_eq!(lock_status(&guard.status).failing, None);
}

#[test]
fn old_rounds_are_forgotten_and_refused() {
    let (key, disk) = (Key::new(), Memory::new());
    let mut guard = open(&disk, &key, &None).unwrap();
    let last = 3 * RECORDS;
    for view in 1..=last {
        guard.sign(vote(view, Kind::Notarize, b"a")).unwrap();
    }
    assert!(matches!(guard.sign(vote(1, Kind::Notarize, b"a")), Err(GuardError::Forgotten { .. })));
    guard.sign(vote(last, Kind::Notarize, b"a")).unwrap();
    assert!(matches!(guard.sign(vote(last, Kind::Notarize, b"b")), Err(GuardError::Conflict { .. })));
    let mut again = open(&disk.crash(), &key, &None).unwrap();
    assert!(matches!(again.sign(vote(last - RECORDS, Kind::Notarize, b"b")), Err(GuardError::Forgotten { .. })));
    assert!(matches!(again.sign(vote(last - 2, Kind::Notarize, b"b")), Err(GuardError::Conflict { .. })));
}

/// What the disk forgot, the counter did not.
#[test]
fn a_restored_snapshot_is_fenced_until_the_chain_has_passed_its_lease() {
    let (key, counter, disk) = (Key::new(), Some(Arc::new(Counter::default())), Memory::new());
    let mut guard = open(&disk, &key, &counter).unwrap();
    guard.sign(vote(1, Kind::Notarize, b"a")).unwrap();
    let snapshot = disk.copy();
    let mut guard = open(&disk, &key, &counter).unwrap();
    guard.sign(vote(2, Kind::Notarize, b"a")).unwrap();
    let end = end(counter.as_ref().unwrap().read(&SCOPE).unwrap().unwrap());

    let mut restored = open(&snapshot, &key, &counter).unwrap();
    assert_eq!(fence(&restored), Some(end));
    for view in [2, end.view] {
        assert!(matches!(restored.sign(vote(view, Kind::Notarize, b"b")), Err(GuardError::Fenced { .. })));
    }
    restored.sign(vote(end.view + 1, Kind::Notarize, b"b")).unwrap();
    // And the fence outlives restarts, after which the stamp is in order again.
    let mut again = open(&snapshot.crash(), &key, &counter).unwrap();
    assert!(matches!(again.sign(vote(2, Kind::Notarize, b"b")), Err(GuardError::Fenced { .. })));
    // The one that was copied is the old one now.
    let mut original = open(&disk.crash(), &key, &counter).unwrap();
    assert!(matches!(original.sign(vote(end.view + 1, Kind::Notarize, b"c")), Err(GuardError::Fenced { .. })));
}

#[test]
fn an_orderly_stop_leaves_copies_behind() {
    let (key, counter, disk) = (Key::new(), Some(Arc::new(Counter::default())), Memory::new());
    let mut guard = open(&disk, &key, &counter).unwrap();
    guard.sign(vote(1, Kind::Notarize, b"a")).unwrap();
    let copy = disk.copy();
    guard.sign(vote(2, Kind::Notarize, b"a")).unwrap();
    guard.close().unwrap();
    assert_eq!(fence(&open(&disk, &key, &counter).unwrap()), None);
    assert!(fence(&open(&copy, &key, &counter).unwrap()).is_some());
}

/// A copy from the middle of a lease looks like a crash. Others' certificates tell.
#[test]
fn a_vote_that_the_log_does_not_have_fences_it() {
    for counter in [None, Some(Arc::new(Counter::default()))] {
        let (key, disk) = (Key::new(), Memory::new());
        let mut guard = open(&disk, &key, &counter).unwrap();
        guard.sign(vote(5, Kind::Notarize, b"a")).unwrap();
        guard.observe(vote(5, Kind::Notarize, b"a")).unwrap();
        assert_eq!(fence(&guard), None, "its own vote");
        guard.observe(vote(6, Kind::Notarize, b"a")).unwrap();
        let until = fence(&guard).expect("it never signed that");
        assert!(until.view >= 6 + LEASE_VIEWS);
        assert!(matches!(guard.sign(vote(7, Kind::Notarize, b"b")), Err(GuardError::Fenced { .. })));
        let mut guard = open(&disk.crash(), &key, &counter).unwrap();
        assert!(matches!(guard.sign(vote(until.view, Kind::Notarize, b"b")), Err(GuardError::Fenced { .. })));
        guard.sign(vote(until.view + 1, Kind::Notarize, b"b")).unwrap();
    }
}

/// Restored twice, and only the first time do others show what it had signed.
#[test]
fn a_copy_that_was_found_out_is_old_for_good() {
    for killed in [false, true] {
        let (key, counter, disk) = (Key::new(), Some(Arc::new(Counter::default())), Memory::new());
        let mut guard = open(&disk, &key, &counter).unwrap();
        guard.sign(vote(9, Kind::Notarize, b"a")).unwrap();
        guard.close().unwrap();
        let copy = disk.copy();
        guard.sign(vote(10, Kind::Notarize, b"a")).unwrap();
        let restored = copy.copy();
        let mut guard = open(&restored, &key, &counter).unwrap();
        assert_eq!(fence(&guard), None, "it looks like a crash");
        guard.observe(vote(10, Kind::Notarize, b"a")).unwrap();
        if killed {
            guard = open(&restored.crash(), &key, &counter).unwrap();
        }
        assert!(fence(&guard).is_some());
        guard.close().unwrap();
        let mut guard = open(&copy, &key, &counter).unwrap();
        assert!(matches!(guard.sign(vote(10, Kind::Notarize, b"b")), Err(GuardError::Fenced { .. })), "{killed}");
    }
}

/// Two copies that run at the same time sign in different leases.
#[test]
fn a_copy_beside_the_original_is_noticed_with_the_next_lease() {
    let (key, counter, disk) = (Key::new(), Some(Arc::new(Counter::default())), Memory::new());
    let mut original = open(&disk, &key, &counter).unwrap();
    original.sign(vote(1, Kind::Notarize, b"a")).unwrap();
    let mut copy = open(&disk.copy(), &key, &counter).unwrap();
    // A copy from the middle of a lease is as good as the original, until one of them takes another.
    copy.sign(vote(2, Kind::Notarize, b"b")).unwrap();
    let after = end(counter.as_ref().unwrap().read(&SCOPE).unwrap().unwrap()).view + 1;
    assert!(matches!(original.sign(vote(after, Kind::Notarize, b"a")), Err(GuardError::Fenced { .. })));
    copy.sign(vote(after, Kind::Notarize, b"b")).unwrap();
    assert!(original.close().is_err(), "it must not pass for the newest");
    let until = fence(&open(&disk.crash(), &key, &counter).unwrap()).unwrap();
    assert!(until >= end(counter.unwrap().read(&SCOPE).unwrap().unwrap()));
}

/// The counter may stop anywhere in its step without fencing the box.
#[test]
fn a_step_that_was_cut_short_fences_nothing() {
    for left in 0..3 {
        let (key, counter, disk) = (Key::new(), Some(Arc::new(Counter::default())), Memory::new());
        let mut guard = open(&disk, &key, &counter).unwrap();
        guard.sign(vote(1, Kind::Notarize, b"a")).unwrap();
        counter.as_ref().unwrap().0.lock().unwrap().2 = Some(left);
        guard.sign(vote(1000, Kind::Notarize, b"a")).unwrap_err();
        counter.as_ref().unwrap().0.lock().unwrap().2 = None;
        let mut guard = open(&disk.crash(), &key, &counter).unwrap();
        assert_eq!(fence(&guard), None, "{left}");
        guard.sign(vote(1000, Kind::Notarize, b"a")).unwrap();
    }
}

/// A device that is gone for a while costs nothing as long as the lease lasts.
#[test]
fn leases_are_renewed_before_they_end() {
    let (key, counter, disk) = (Key::new(), Some(Arc::new(Counter::default())), Memory::new());
    let mut guard = open(&disk, &key, &counter).unwrap();
    guard.sign(vote(1, Kind::Notarize, b"a")).unwrap();
    let first = counter.as_ref().unwrap().read(&SCOPE).unwrap().unwrap();
    counter.as_ref().unwrap().0.lock().unwrap().2 = Some(0);
    guard.sign(vote(1 + LEASE_VIEWS / 2, Kind::Notarize, b"a")).unwrap();
    guard.sign(vote(first.view, Kind::Notarize, b"a")).unwrap();
    assert!(matches!(guard.sign(vote(first.view + 1, Kind::Notarize, b"a")), Err(GuardError::Counter(_))));
    counter.as_ref().unwrap().0.lock().unwrap().2 = None;
    guard.sign(vote(first.view + 1, Kind::Notarize, b"a")).unwrap();
    assert_eq!(counter.unwrap().read(&SCOPE).unwrap().unwrap().counter, first.counter + 1);
}

/// Blocks without a log: it was lost, and what it had signed is not far behind the first vote asked for.
#[test]
fn a_log_that_was_lost_is_fenced_from_the_first_vote_on() {
    let (key, disk) = (Key::new(), Memory::of(log::blank(SCOPE, RECORDS, true)));
    let mut guard = open(&disk, &key, &None).unwrap();
    assert!(matches!(guard.sign(vote(500, Kind::Notarize, b"a")), Err(GuardError::Fenced { .. })));
    let mut guard = open(&disk.crash(), &key, &None).unwrap();
    assert!(matches!(guard.sign(vote(500 + LEASE_VIEWS, Kind::Notarize, b"a")), Err(GuardError::Fenced { .. })));
    guard.sign(vote(501 + LEASE_VIEWS, Kind::Notarize, b"a")).unwrap();
}

/// The counter fails, a copy of the log is made, and later the same lease is taken as was tried for in vain.
#[test]
fn a_copy_from_a_failed_renewal_is_fenced() {
    let (key, counter, disk) = (Key::new(), Some(Arc::new(Counter::default())), Memory::new());
    let stops = |left| counter.as_ref().unwrap().0.lock().unwrap().2 = left;
    let mut guard = open(&disk, &key, &counter).unwrap();
    guard.sign(vote(1, Kind::Notarize, b"a")).unwrap();
    stops(Some(0));
    let early = 1 + LEASE_VIEWS / 2;
    guard.sign(vote(early, Kind::Notarize, b"a")).expect("there is still a lease");
    let copy = disk.copy();
    guard.sign(vote(early - 1, Kind::Notarize, b"a")).unwrap();
    stops(None);
    guard.close().unwrap();
    let mut guard = open(&copy, &key, &counter).unwrap();
    assert!(matches!(guard.sign(vote(early - 1, Kind::Notarize, b"b")), Err(GuardError::Fenced { .. })));
}

/// Another block than the one that the log has is as strange as no record at all.
#[test]
fn a_vote_for_another_block_fences_too() {
    let (key, disk) = (Key::new(), Memory::new());
    let mut guard = open(&disk, &key, &None).unwrap();
    guard.sign(vote(5, Kind::Notarize, b"a")).unwrap();
    guard.observe(vote(5, Kind::Notarize, b"b")).unwrap();
    assert!(fence(&guard).is_some());
}

#[test]
fn damage_is_not_taken_for_an_empty_place() {
    let (key, whole) = (Key::new(), Memory::new());
    let mut guard = open(&whole, &key, &None).unwrap();
    for view in 1..=3 {
        guard.sign(vote(view, Kind::Notarize, b"a")).unwrap();
    }
    for place in 0..3 {
        let damaged = whole.copy();
        damaged.flip(usize::try_from(crate::record::RECORDS_AT).unwrap() + place * 512 + 100);
        let mut guard = open(&damaged, &key, &None).unwrap();
        for view in 1..=3 {
            assert!(guard.sign(vote(view, Kind::Notarize, b"b")).is_err(), "{place} {view}");
        }
        let until = fence(&guard).unwrap();
        guard.sign(vote(until.view + 1, Kind::Notarize, b"b")).unwrap();
        assert_eq!(fence(&open(&damaged.crash(), &key, &None).unwrap()), Some(until), "not anew at each start");
    }
    // One header is enough; with none only a counter says how far the log had got.
    for (headers, good) in [(&[0][..], true), (&[1], true), (&[0, 1], false)] {
        let damaged = whole.copy();
        headers.iter().for_each(|header| damaged.flip(header * 4096 + 20));
        assert_eq!(open(&damaged, &key, &None).is_ok(), good, "{headers:?}");
        let counter = Some(Arc::new(Counter::default()));
        counter.as_ref().unwrap().advance(&SCOPE, 0, 50).unwrap();
        let mut guard = open(&damaged.copy(), &key, &counter).unwrap();
        assert!(matches!(guard.sign(vote(50, Kind::Notarize, b"b")), Err(GuardError::Fenced { .. })));
        guard.sign(vote(51, Kind::Notarize, b"b")).unwrap();
    }
}

#[test]
fn a_log_that_was_cut_short_is_damaged() {
    let (key, whole) = (Key::new(), Memory::new());
    open(&whole, &key, &None).unwrap().sign(vote(1, Kind::Notarize, b"a")).unwrap();
    let length = whole.state().durable.len();
    for left in [0, 4096, 9000, length - 1] {
        let cut = whole.copy();
        cut.state().durable.truncate(left);
        assert!(matches!(open(&cut, &key, &None), Err(GuardError::Damaged { .. })), "{left} of {length} bytes");
    }
}

#[test]
fn what_belongs_to_others_is_refused() {
    let (key, counter) = (Key::new(), Some(Arc::new(Counter::default())));
    let other = Memory::of(log::blank([1; 32], RECORDS, false));
    assert!(matches!(open(&other, &key, &None), Err(GuardError::Foreign { .. })));
    let disk = Memory::new();
    let mut guard = open(&disk, &key, &counter).unwrap();
    guard.sign(vote(1, Kind::Notarize, b"a")).unwrap();
    assert!(matches!(open(&disk, &key, &None), Err(GuardError::Uncounted { .. })));
    let cleared = Some(Arc::new(Counter::default()));
    assert!(matches!(open(&disk, &key, &cleared), Err(GuardError::CounterGone { .. })));
}

#[test]
fn without_key_or_counter_nothing_is_signed() {
    let (key, counter) = (Key::new(), Some(Arc::new(Counter::default())));
    let mut guard = open(&Memory::new(), &key, &counter).unwrap();
    key.gone.store(1, Ordering::Relaxed);
    assert!(matches!(guard.sign(vote(1, Kind::Notarize, b"a")), Err(GuardError::Key(_))));
    assert!(lock_status(&guard.status).failing.as_ref().unwrap().contains("the key gives no signature"));
    key.gone.store(0, Ordering::Relaxed);
    guard.sign(vote(1, Kind::Notarize, b"b")).expect("nothing else was signed");
    counter.as_ref().unwrap().0.lock().unwrap().2 = Some(0);
    assert!(matches!(guard.sign(vote(1000, Kind::Notarize, b"a")), Err(GuardError::Counter(_))));
    counter.unwrap().0.lock().unwrap().2 = None;
    guard.sign(vote(1000, Kind::Notarize, b"a")).expect("it is back");
}

/// What happens to a box.
#[derive(Clone, Debug)]
enum Event {
    /// A vote of a view not far from the last.
    Vote { back: u64, ahead: u64, kind: usize, block: u8 },
    /// The disk fails after so many operations, and then some sectors of what it had not synced get through.
    Power { left: u32, torn: u64 },
    /// The counter fails after so many steps.
    CounterStops { left: u32 },
    /// Killed and started again, and killed again after so many operations of that start.
    Kill { left: Option<u32> },
    /// Stopped in order and started again.
    Stop,
    /// A copy of the disk is made.
    Copy,
    /// One of the copies takes the disk's place, after an orderly stop or a crash.
    Restore { copy: usize, orderly: bool },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        14 => (0..8_u64, 0..3_u64, 0..3_usize, 0..2_u8)
            .prop_map(|(back, ahead, kind, block)| Event::Vote { back, ahead, kind, block }),
        2 => (0..6_u32, any::<u64>()).prop_map(|(left, torn)| Event::Power { left, torn }),
        1 => (0..3_u32).prop_map(|left| Event::CounterStops { left }),
        2 => prop::option::of(0..6_u32).prop_map(|left| Event::Kill { left }),
        1 => Just(Event::Stop),
        1 => Just(Event::Copy),
        1 => (0..3_usize, any::<bool>()).prop_map(|(copy, orderly)| Event::Restore { copy, orderly }),
    ]
}

/// All signatures that were let go: what the outside world has.
#[derive(Default)]
struct World(BTreeMap<(u64, Kind), (u8, Signature)>);

impl World {
    fn released(&mut self, view: u64, kind: Kind, block: u8, signature: Signature) {
        let known = self.0.entry((view, kind)).or_insert((block, signature));
        assert_eq!(*known, (block, signature), "two blocks or two signatures for one vote to {kind} in view {view}");
        let both = |other| self.0.contains_key(&(view, other));
        assert!(!(both(Kind::Nullify) && both(Kind::Finalize)), "nullified and finalized view {view}");
    }
}

/// A box, started again until it runs.
struct Running {
    key: Arc<Key>,
    counter: Arc<Counter>,
    disk: Memory,
    guard: Option<Core<Memory>>,
}

impl Running {
    /// Starts on a disk, and is shown what it has signed, if anybody shows it.
    fn start(&mut self, disk: Memory, left: Option<u32>, shown: Option<&World>) {
        self.guard = None;
        self.disk = disk.crash();
        self.disk.state().left = left;
        self.counter.0.lock().unwrap().2 = None;
        let opened = open(&self.disk, &self.key, &Some(self.counter.clone()));
        self.guard =
            Some(opened.unwrap_or_else(|_| open(&self.disk.crash(), &self.key, &Some(self.counter.clone())).unwrap()));
        self.disk.state().left = None;
        for ((view, kind), (block, _)) in shown.iter().flat_map(|world| &world.0) {
            self.guard.as_mut().unwrap().observe(vote(*view, *kind, &[*block])).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Whatever happens, no two signatures that are let go conflict, and a vote is always signed alike.
    #[test]
    fn no_two_votes_conflict(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::default();
        let mut running =
            Running { key: Key::new(), counter: Arc::default(), disk: Memory::new(), guard: None };
        running.start(running.disk.clone(), None, None);
        let (mut copies, mut last): (VecDeque<Memory>, u64) = (VecDeque::new(), 9);
        for event in events {
            let disk = running.disk.clone();
            match event {
                Event::Vote { back, ahead, kind, block } => {
                    last += ahead;
                    let (view, kind) = (last - back, Kind::ALL[kind]);
                    // A nullification names no block.
                    let block = if kind == Kind::Nullify { 0 } else { block };
                    match running.guard.as_mut().unwrap().sign(vote(view, kind, &[block])) {
                        Ok(signature) => world.released(view, kind, block, signature),
                        Err(GuardError::Io { .. }) => running.start(disk, None, None),
                        Err(_) => running.counter.0.lock().unwrap().2 = None,
                    }
                }
                Event::Power { left, torn } => {
                    let mut state = disk.state();
                    (state.left, state.torn) = (Some(left), torn);
                }
                Event::CounterStops { left } => running.counter.0.lock().unwrap().2 = Some(left),
                Event::Kill { left } => running.start(disk, left, None),
                Event::Stop => {
                    let _ = running.guard.as_mut().unwrap().close();
                    running.start(disk, None, None);
                }
                Event::Copy => {
                    copies.push_front(disk.copy());
                    copies.truncate(3);
                }
                Event::Restore { copy, orderly } => {
                    let stopped = orderly && running.guard.as_mut().unwrap().close().is_ok();
                    if let Some(copy) = copies.get(copy) {
                        // Nothing on the box tells a copy from a crash then: others must.
                        running.start(copy.copy(), None, (!stopped).then_some(&world));
                    }
                }
            }
        }
        // And it is not silent for ever.
        running.start(running.disk.clone(), None, None);
        running.guard.unwrap().sign(vote(last + 1_000_000, Kind::Notarize, b"x")).unwrap();
    }
}

/// Views begin anew in each epoch: a lease and a fence of views would end with it, long before their time.
#[test]
fn leases_and_fences_reach_beyond_their_epoch() {
    let span = Span::of_epochs(600);
    let from = Round { epoch: 7, view: 590 };
    let end = span.after(from);
    assert_eq!((end, span.early(end)), (Round { epoch: 116, view: 590 }, Round { epoch: 62, view: 0 }));
    assert_eq!(Span::of_epochs(100_000).after(from), Round { epoch: 8, view: 590 });

    let (key, disk) = (Key::new(), Memory::of(log::blank(SCOPE, RECORDS, true)));
    let mut guard = Core::open(disk, RECORDS, key, SCOPE, None, span, PathBuf::from("log")).unwrap();
    let mut sign = |epoch, view| guard.sign(Vote { round: Round { epoch, view }, kind: Kind::Notarize, message: b"a" });
    for (epoch, view) in [(7, 590), (8, 1), (115, 10_000), (116, 590)] {
        assert!(matches!(sign(epoch, view), Err(GuardError::Fenced { .. })), "({epoch}, {view})");
    }
    sign(116, 591).unwrap();
}
