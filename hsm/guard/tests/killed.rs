//! Guards in processes that are killed, and two of them on one log.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeyUri, Message, Residence, Signature, Signer};
use dolmen_hsm_guard::{Guard, GuardConfig, GuardError, Kind, Round, Span, Vote};
use futures::future::BoxFuture;

/// Where the child's log is.
const LOG: &str = "DOLMEN_TEST_GUARD_LOG";
/// The test that is the child's main function.
const CHILD: &str = "a_box_that_votes_until_it_is_killed";
const KINDS: [Kind; 3] = [Kind::Notarize, Kind::Nullify, Kind::Finalize];

/// A key whose signatures are never the same twice.
#[derive(Debug)]
struct Key(KeyUri);

impl Signer for Key {
    fn uri(&self) -> &KeyUri {
        &self.0
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

    fn sign<'a>(&'a self, _: Domain, _: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        Box::pin(async {
            let mut signature = [0; 64];
            rand::fill(&mut signature[..]);
            Ok(Signature(signature))
        })
    }
}

fn open(log: PathBuf) -> Result<Guard, GuardError> {
    let key = Arc::new(Key("tpm:vote".parse().expect("a name")));
    // No other test's processes have this chain.
    let namespace = log.as_os_str().as_encoded_bytes().to_vec();
    Guard::open(key, GuardConfig { path: log, namespace, has_blocks: false, counter: None, lease: Span::views(1000) })
}

/// Votes at random, often against what it or its predecessor has voted, and prints what the guard lets go.
#[test]
#[ignore = "the child of the test below"]
fn a_box_that_votes_until_it_is_killed() {
    let guard = open(std::env::var_os(LOG).expect("the parent says where").into()).unwrap();
    let mut last = 10;
    loop {
        last += u64::from(rand::random_ratio(1, 3));
        let (view, kind, block) =
            (last - rand::random_range(0..8_u64), rand::random_range(0..3_usize), rand::random::<bool>());
        let block = u8::from(block && KINDS[kind] != Kind::Nullify);
        let vote = Vote { round: Round { epoch: 0, view }, kind: KINDS[kind], message: &[block] };
        match guard.sign(vote) {
            Ok(signature) => {
                println!("vote {view} {kind} {block} {} end", u64::from_be_bytes(*signature.0.first_chunk().unwrap()))
            }
            Err(GuardError::Conflict { .. } | GuardError::Forgotten { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        // Whoever starts next tries again from the first view on.
        if last > 4000 {
            return;
        }
    }
}

fn child(log: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", CHILD, "--ignored", "--nocapture"]).env(LOG, log);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts")
}

#[test]
fn a_killed_guard_contradicts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("votes");
    let mut world: BTreeMap<(u64, usize), (String, String)> = BTreeMap::new();
    let (mut lines, mut again) = (0, 0);
    for round in 0..25_u64 {
        let mut child = child(&log);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || stdout.lines().map_while(Result::ok).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(20 + round * 7 % 60));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            // The line that the kill cut short was not let go whole.
            let Some(rest) = line.split_once("vote ").and_then(|(_, rest)| rest.strip_suffix(" end")) else { continue };
            let mut fields = rest.splitn(4, ' ');
            let mut field = || fields.next().unwrap();
            let (view, kind) = (field().parse().unwrap(), field().parse().unwrap());
            let vote = (field().to_owned(), field().to_owned());
            lines += 1;
            again += u32::from(world.contains_key(&(view, kind)));
            let known = world.entry((view, kind)).or_insert_with(|| vote.clone());
            assert_eq!(*known, vote, "view {view}, kind {kind}, after {round} kills");
            let both = world.contains_key(&(view, 1)) && world.contains_key(&(view, 2));
            assert!(!both, "nullified and finalized view {view}");
        }
    }
    assert!(lines > 100 && again > 10, "{lines} votes, {again} of them again: too few to show anything");
}

#[test]
fn two_processes_do_not_share_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("votes");
    let guard = open(log.clone()).unwrap();
    let error = open(log.clone()).unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    let mut other = child(&log);
    assert!(!other.wait().unwrap().success(), "another process opened it too");
    drop(guard);
    open(log).unwrap();
}

#[test]
fn the_log_is_private_and_never_grows() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("votes");
    let guard = open(log.clone()).unwrap();
    let before = std::fs::metadata(&log).unwrap();
    assert_eq!(before.permissions().mode() & 0o777, 0o600);
    for view in 1..100 {
        guard.sign(Vote { round: Round { epoch: 0, view }, kind: Kind::Notarize, message: b"a" }).unwrap();
    }
    assert_eq!(std::fs::metadata(&log).unwrap().len(), before.len());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
}

/// An administrator knows that there is no other copy.
#[test]
fn a_fence_is_released_offline_alone() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("votes");
    let vote = |view| Vote { round: Round { epoch: 0, view }, kind: Kind::Notarize, message: b"a" };
    let guard = open(log.clone()).unwrap();
    guard.sign(vote(1)).unwrap();
    guard.observe(vote(5)).unwrap();
    assert!(matches!(guard.sign(vote(6)), Err(GuardError::Fenced { .. })));
    let key = Key("tpm:vote".parse().unwrap());
    let namespace = log.as_os_str().as_encoded_bytes().to_vec();
    let config =
        GuardConfig { path: log.clone(), namespace, has_blocks: true, counter: None, lease: Span::views(1000) };
    assert!(matches!(Guard::release(&key, &config), Err(GuardError::InUse { .. })));
    drop(guard);
    Guard::release(&key, &config).unwrap();
    let guard = open(log).unwrap();
    guard.sign(vote(6)).unwrap();
    let conflict = Vote { message: b"b", ..vote(1) };
    assert!(matches!(guard.sign(conflict), Err(GuardError::Conflict { .. })), "what it knows it still knows");
}
