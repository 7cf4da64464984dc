use commonware_codec::Encode as _;
use commonware_consensus::{
    simplex::{scheme::ed25519::Scheme as Theirs, types::Proposal},
    types::{Epoch, Round, View},
};
use commonware_cryptography::{
    Signer as _,
    certificate::{Scheme as _, Verifier as _},
    ed25519::PrivateKey,
    sha256,
};
use commonware_parallel::Sequential;
use commonware_utils::{Participant, TryCollect as _, test_rng};
use dolmen_accel_cpu::{CpuConfig, CpuEngine};
use dolmen_hsm_api::{Domain, KeySpec};
use dolmen_hsm_guard::{GuardConfig, Span};
use dolmen_hsm_memory::MemoryKey;
use zeroize::Zeroizing;

use super::*;

const NAMESPACE: &[u8] = b"test";

/// A guard whose log is a file that is unlinked while it is open.
fn guard(key: &PrivateKey, directory: &std::path::Path) -> Arc<Guard> {
    let spec = KeySpec { algorithm: Algorithm::Ed25519, domains: [Domain::Vote].into_iter().collect() };
    let secret = Zeroizing::new(key.encode().as_ref().try_into().unwrap());
    let signer = Arc::new(MemoryKey::new("soft:vote".parse().unwrap(), spec, &secret).unwrap());
    let path = directory.join(key.public_key().to_string());
    // No other test's process has this chain.
    let namespace = path.as_os_str().as_encoded_bytes().to_vec();
    let lease = Span::views(GuardConfig::LEASE_VIEWS);
    Arc::new(Guard::open(signer, GuardConfig { path, namespace, has_blocks: false, counter: None, lease }).unwrap())
}

/// Each validator by our scheme and by commonware's.
fn validators(count: u64) -> Vec<(Scheme, Theirs)> {
    let keys: Vec<_> = (0..count).map(PrivateKey::from_seed).collect();
    let directory = tempfile::tempdir().unwrap();
    let set: Set<PublicKey> = keys.iter().map(PrivateKey::public_key).try_collect().unwrap();
    let engine = CpuEngine::start(CpuConfig { algorithms: &[Algorithm::Ed25519], ..CpuConfig::default() }).unwrap();
    let mut validators: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let theirs = Theirs::signer(NAMESPACE, set.clone(), key.clone()).unwrap();
            let guard = guard(&key, directory.path());
            (Scheme::new(NAMESPACE, &set, &key.public_key(), guard, engine.clone()), theirs)
        })
        .collect();
    validators.sort_by_key(|(ours, _)| match ours.me() {
        Some(Membership::Signer(index) | Membership::Member(index)) => index,
        None => unreachable!("all of them sign"),
    });
    assert_eq!(engine.keys().usage().keys, usize::try_from(count).unwrap(), "the validators' keys are prepared");
    validators
}

fn proposal(view: u64) -> Proposal<sha256::Digest> {
    let round = Round::new(Epoch::new(0), View::new(view));
    Proposal::new(round, View::new(view - 1), sha256::Digest([7; 32]))
}

#[test]
fn votes_and_certificates_are_those_of_commonware() {
    let validators = validators(4);
    let (proposal, other) = (proposal(3), proposal(4));
    let subject = Subject::Notarize { proposal: &proposal };
    let rng = &mut test_rng();
    let ours: Vec<_> = validators.iter().map(|(ours, _)| ours.sign(subject).unwrap()).collect();
    let theirs: Vec<_> = validators.iter().map(|(_, theirs)| theirs.sign(subject).unwrap()).collect();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.encode(), theirs.encode());
    }
    let scheme = &validators[0].0;
    for vote in &ours {
        assert!(scheme.verify_attestation(rng, subject, vote, &Sequential));
        let elsewhere = [Subject::Notarize { proposal: &other }, Subject::Finalize { proposal: &proposal }];
        assert!(elsewhere.into_iter().all(|subject| !scheme.verify_attestation(rng, subject, vote, &Sequential)));
    }
    let certificate = scheme.assemble(NonEmpty::try_new(ours.clone().into_iter()).unwrap(), &Sequential).unwrap();
    let same = validators[0].1.assemble(NonEmpty::try_new(theirs.into_iter()).unwrap(), &Sequential).unwrap();
    assert_eq!(certificate.encode(), same.encode());
    assert!(scheme.verify_certificate(rng, subject, &certificate, &Sequential));
    assert!(!scheme.verify_certificate(rng, Subject::Notarize { proposal: &other }, &certificate, &Sequential));
    let both = [(subject, &certificate), (Subject::Finalize { proposal: &proposal }, &certificate)];
    assert!(scheme.verify_certificates(rng, NonEmpty::try_new(both[..1].iter().copied()).unwrap(), &Sequential));
    assert!(!scheme.verify_certificates(rng, NonEmpty::try_new(both.iter().copied()).unwrap(), &Sequential));
}

#[test]
fn bad_votes_are_found_among_good_ones() {
    let validators = validators(7);
    let (proposal, other) = (proposal(3), proposal(4));
    let subject = Subject::Notarize { proposal: &proposal };
    let votes: Vec<_> = validators
        .iter()
        .enumerate()
        .map(|(index, (ours, _))| {
            // The second signs something else, the fourth for the fifth.
            let mut vote =
                ours.sign(if index == 1 { Subject::Notarize { proposal: &other } } else { subject }).unwrap();
            if index == 3 {
                vote.signer = Participant::new(4);
            }
            vote
        })
        .collect();
    let scheme = &validators[0].0;
    let verification = scheme.verify_attestations(&mut test_rng(), subject, votes, &Sequential);
    let verified: Vec<_> = verification.verified.iter().map(|vote| vote.signer.get()).collect();
    let invalid: Vec<_> = verification.invalid.iter().map(|signer| signer.get()).collect();
    // As commonware has it, a signer with a bad vote loses its good one in the same call too.
    assert_eq!((verified, invalid), (vec![0, 2, 5, 6], vec![1, 4]));
}

#[test]
fn a_certificate_without_a_quorum_is_refused() {
    let validators = validators(4);
    let proposal = proposal(3);
    let subject = Subject::Notarize { proposal: &proposal };
    let votes = validators.iter().map(|(ours, _)| ours.sign(subject).unwrap()).take(3);
    let scheme = &validators[0].0;
    let mut certificate = scheme.assemble(NonEmpty::try_new(votes).unwrap(), &Sequential).unwrap();
    assert!(scheme.verify_certificate(&mut test_rng(), subject, &certificate, &Sequential));
    certificate.signatures.pop();
    assert!(!scheme.verify_certificate(&mut test_rng(), subject, &certificate, &Sequential));
}

/// The guard is asked, and believes certificates more than its log.
#[test]
fn votes_that_conflict_are_not_signed_and_strange_ones_are_noticed() {
    let validators = validators(4);
    let scheme = &validators[0].0;
    let (first, mut second) = (proposal(3), proposal(3));
    second.payload = sha256::Digest([8; 32]);
    let vote = scheme.sign(Subject::Notarize { proposal: &first }).unwrap();
    assert_eq!(scheme.sign(Subject::Notarize { proposal: &first }).unwrap().encode(), vote.encode());
    assert!(scheme.sign(Subject::Notarize { proposal: &second }).is_none());
    let nullify: Subject<'_, sha256::Digest> = Subject::Nullify { round: first.round };
    assert!(scheme.sign(nullify).is_some());
    assert!(scheme.sign(Subject::Finalize { proposal: &first }).is_none(), "it has nullified");

    // Certificates with its own vote, and with one that it never cast: another has its key.
    let guard = &scheme.signer.as_ref().unwrap().1;
    let certificate = |proposal: &Proposal<sha256::Digest>| {
        let votes: Vec<_> =
            validators.iter().map(|(_, theirs)| theirs.sign(Subject::Notarize { proposal }).unwrap()).collect();
        let votes: Vec<_> =
            votes.iter().map(|vote| Attestation { signer: vote.signer, signature: vote.signature.clone() }).collect();
        let mut votes = votes.into_iter();
        let first = votes.next().unwrap();
        scheme.assemble(NonEmpty::new(first, votes), &Sequential).unwrap()
    };
    let rng = &mut test_rng();
    let known = certificate(&first);
    assert!(scheme.verify_certificate(rng, Subject::Notarize { proposal: &first }, &known, &Sequential));
    assert_eq!(guard.status().fence, None);
    let strange = proposal(9);
    assert!(scheme.verify_certificate(
        rng,
        Subject::Notarize { proposal: &strange },
        &certificate(&strange),
        &Sequential
    ));
    assert!(guard.status().fence.is_some_and(|until| until.view > 9));
    assert!(scheme.sign(Subject::Notarize { proposal: &proposal(10) }).is_none());
}
