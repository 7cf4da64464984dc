//! The log of votes, stamped with a TPM's counter.

use std::{fs, path::Path, sync::Arc};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyStore as _, LeaseCounter as _, Signer};
use dolmen_hsm_guard::{Guard, GuardConfig, GuardError, Kind, Round, Span, Vote};
use dolmen_hsm_tpm::{NvLease, Tpm, TpmStore};

use crate::support::{Open as _, Swtpm};

fn open(tpm: &Arc<Tpm>, key: Arc<dyn Signer>, log: &Path) -> Result<Guard, GuardError> {
    let counter = Some(Arc::new(NvLease::new(tpm.clone())) as _);
    let (path, namespace) = (log.to_owned(), b"chain".to_vec());
    Guard::open(key, GuardConfig { path, namespace, has_blocks: false, counter, lease: Span::views(100) })
}

fn vote(view: u64, message: &[u8]) -> Vote<'_> {
    Vote { round: Round { epoch: 0, view }, kind: Kind::Notarize, message }
}

#[test]
fn a_restored_or_cloned_disk_signs_nothing_until_the_chain_has_passed_its_lease() {
    let (mut swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let tpm = swtpm.open();
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Vote].into_iter().collect() };
    let key = TpmStore::new(tpm.clone(), directory.path().into()).create(&"tpm:vote".parse().unwrap(), spec).unwrap();
    let (log, copy) = (directory.path().join("votes"), directory.path().join("copy"));

    let guard = open(&tpm, key.clone(), &log).unwrap();
    let first = guard.sign(vote(1, b"a")).unwrap();
    assert_eq!(guard.sign(vote(1, b"a")).unwrap(), first, "ECDSA in a TPM is random, a vote is not");
    fs::copy(&log, &copy).unwrap();
    guard.sign(vote(2, b"a")).unwrap();
    drop(guard);

    // The power goes; the TPM remembers.
    swtpm.stop();
    swtpm.start();
    let guard = open(&tpm, key.clone(), &log).unwrap();
    assert_eq!(guard.status().fence, None);
    assert_eq!(guard.sign(vote(1, b"a")).unwrap(), first);
    guard.sign(vote(3, b"a")).unwrap();
    drop(guard);

    // The snapshot takes the log's place.
    fs::rename(&copy, &log).unwrap();
    let guard = open(&tpm, key, &log).unwrap();
    let until = guard.status().fence.expect("it is older than the counter");
    for view in [2, 3, until.view] {
        assert!(matches!(guard.sign(vote(view, b"b")), Err(GuardError::Fenced { .. })));
    }
    guard.sign(vote(until.view + 1, b"b")).unwrap();
}

/// Chains and keys on one TPM do not meet, and a cut-off step leaves the counter ahead.
#[test]
fn leases_are_kept_for_each_scope() {
    let mut swtpm = Swtpm::new();
    let lease = NvLease::new(swtpm.open());
    let (one, two) = ([1; 32], [2; 32]);
    assert_eq!(lease.read(&one).unwrap(), None);
    let first = lease.advance(&one, 3, 400).unwrap();
    assert_eq!((first.epoch, first.view), (3, 400));
    assert_eq!(lease.read(&two).unwrap(), None);
    let other = lease.advance(&two, 0, 5).unwrap();
    swtpm.stop();
    swtpm.start();
    assert_eq!((lease.read(&one).unwrap(), lease.read(&two).unwrap()), (Some(first), Some(other)));
    assert_eq!(lease.advance(&one, 3, 500).unwrap().counter, first.counter + 1);
    // The same 16 bits of another scope.
    let mut neighbour = one;
    neighbour[31] = 9;
    assert!(lease.read(&neighbour).unwrap_err().to_string().contains("another key's or chain's"));
    lease.advance(&neighbour, 0, 1).expect_err("it would overwrite the other's");
}
