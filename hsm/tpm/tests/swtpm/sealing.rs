//! What a TPM gives back, and when.

use std::{collections::BTreeMap, sync::Arc};

use dolmen_hsm_api::{Algorithm, Authority, Domain, KeyError, KeySpec, SealPolicy, Sealer as _, Signer};
use dolmen_hsm_memory::MemoryKey;
use dolmen_hsm_tpm::{Approval, Floor, TpmSealer};
use futures::executor::block_on;

use crate::support::{Open as _, Swtpm};

const SECRET: &[u8] = b"the key of the data partition";
const REFERENCE: &str = "dolmen:stable";
const DIGEST: &str = "sha256=0101010101010101010101010101010101010101010101010101010101010101";

fn refused(swtpm: &Swtpm, sealed: &[u8], approval: Option<&[u8]>) -> String {
    let error = TpmSealer::new(swtpm.open()).unseal(sealed, approval).expect_err("the policy does not hold");
    assert!(matches!(error, KeyError::Policy { .. }), "{error}");
    error.to_string()
}

fn extend(swtpm: &Swtpm, pcr: u8) {
    swtpm.tool("tpm2_pcrextend", &[&format!("{pcr}:{DIGEST}")], &std::env::temp_dir());
}

/// A key of an authority.
fn authority(name: &str) -> (MemoryKey, Authority) {
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Certificate].into_iter().collect() };
    let uri = format!("soft:{name}").parse().expect("a name");
    let (key, _) = MemoryKey::generate(uri, spec).expect("P-256 is offered");
    let public_key = key.public_key().try_into().expect("64 bytes");
    (key, Authority { public_key, reference: REFERENCE.into() })
}

/// The registers of the software that runs, and of some that would run after an update.
fn measured(swtpm: &Swtpm) -> BTreeMap<u8, [u8; 32]> {
    TpmSealer::new(swtpm.open()).read(&[11]).expect("it reads")
}

fn approve(key: &dyn Signer, version: u64, pcrs: BTreeMap<u8, [u8; 32]>) -> Vec<u8> {
    block_on(Approval::sign(key, REFERENCE, version, pcrs)).expect("it signs").to_bytes()
}

#[test]
fn a_secret_is_sealed_to_registers() {
    let swtpm = Swtpm::new();
    let sealer = TpmSealer::new(swtpm.open());
    let sealed = sealer.seal(SECRET, &SealPolicy { pcrs: vec![11, 7], authority: None }).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("data partition"));
    assert_eq!(sealer.unseal(&sealed, None).unwrap()[..], *SECRET);
    assert_eq!(sealer.unseal(&sealed, None).unwrap()[..], *SECRET, "and again");
    drop(sealer);

    extend(&swtpm, 11);
    assert!(refused(&swtpm, &sealed, None).contains("registers [7, 11] are not what they were"));

    let other = Swtpm::new();
    assert!(refused(&other, &sealed, None).contains("another TPM sealed it"));
    let mut damaged = String::from_utf8(sealed).unwrap();
    damaged = damaged.replace("dolmen-sealed-1", "dolmen-sealed-2");
    assert!(refused(&swtpm, damaged.as_bytes(), None).contains("its format"));
}

#[test]
fn policies_that_anybody_meets_are_refused() {
    let swtpm = Swtpm::new();
    let sealer = TpmSealer::new(swtpm.open());
    let pcrs = |pcr| SealPolicy { pcrs: vec![7, pcr], authority: None };
    for policy in [SealPolicy::default(), pcrs(24), pcrs(255), pcrs(16), pcrs(23)] {
        assert!(matches!(sealer.seal(SECRET, &policy), Err(KeyError::Policy { .. })), "{policy:?}");
    }
    let (key, _) = authority("vendor");
    for pcrs in [BTreeMap::new(), BTreeMap::from([(24, [0; 32])]), BTreeMap::from([(16, [0; 32])])] {
        let refused = block_on(Approval::sign(&key, REFERENCE, 1, pcrs)).unwrap_err();
        assert!(matches!(refused, KeyError::Policy { .. }), "{refused}");
    }
    let some = SealPolicy { pcrs: vec![7], authority: None };
    for secret in [&[][..], &[1; 65]] {
        assert!(matches!(sealer.seal(secret, &some), Err(KeyError::Policy { .. })));
    }
}

/// An update: the registers change, and the authority has approved the new ones.
#[test]
fn an_authority_approves_software_and_its_version() {
    let swtpm = Swtpm::new();
    let (key, by) = authority("vendor");
    let sealer = TpmSealer::new(swtpm.open());
    let sealed = sealer.seal(SECRET, &SealPolicy { pcrs: vec![7], authority: Some(by) }).unwrap();
    drop(sealer);
    let now = Floor::new(swtpm.open()).read().unwrap();
    let first = approve(&key, now + 1, measured(&swtpm));
    let unseal = |approval: &[u8]| TpmSealer::new(swtpm.open()).unseal(&sealed, Some(approval)).unwrap();
    assert_eq!(unseal(&first)[..], *SECRET);
    assert!(refused(&swtpm, &sealed, None).contains("takes an approval"));

    extend(&swtpm, 11);
    assert!(refused(&swtpm, &sealed, Some(&first)).contains("what runs is not what was approved"));
    let second = approve(&key, now + 2, measured(&swtpm));
    assert_eq!(unseal(&second)[..], *SECRET);

    // Not the authority's word, in one way or the other.
    let (other, _) = authority("somebody");
    let forged = approve(&other, now + 2, measured(&swtpm));
    assert!(refused(&swtpm, &sealed, Some(&forged)).contains("not signed by the authority"));
    let text = String::from_utf8(second.clone()).unwrap();
    let version = format!("\"version\": {}", now + 2);
    assert!(text.contains(&version));
    let newer = text.replace(&version, &format!("\"version\": {}", now + 9));
    assert!(refused(&swtpm, &sealed, Some(newer.as_bytes())).contains("not signed by the authority"));
    let elsewhere = text.replace(REFERENCE, "dolmen:other");
    assert!(refused(&swtpm, &sealed, Some(elsewhere.as_bytes())).contains("the secret was sealed for"));
    assert!(refused(&swtpm, &sealed, Some(b"{}")).contains("no approval"));

    // Once the floor is raised, what was approved for an older version is of no use, with the right registers too.
    let third = approve(&key, now + 3, measured(&swtpm));
    assert_eq!(Floor::new(swtpm.open()).raise(now + 3).unwrap(), now + 3);
    let text = refused(&swtpm, &sealed, Some(&second));
    assert!(text.contains(&format!("the approved version {} is below the floor", now + 2)), "{text}");
    assert_eq!(unseal(&third)[..], *SECRET);

    // And the registers that are part of the policy still count.
    extend(&swtpm, 7);
    assert!(refused(&swtpm, &sealed, Some(&third)).contains("registers [7] are not what they were"));
}

#[test]
fn the_floor_survives_power_and_never_goes_down() {
    let mut swtpm = Swtpm::new();
    let tpm = swtpm.open();
    let floor = Floor::new(Arc::clone(&tpm));
    let first = floor.read().unwrap();
    assert_eq!(first, 1, "a new TPM begins at one");
    assert_eq!(floor.raise(first + 4).unwrap(), first + 4);
    assert_eq!(floor.raise(first).unwrap(), first + 4, "never down");
    swtpm.stop();
    swtpm.start();
    assert_eq!(floor.read().unwrap(), first + 4);
}
