use commonware_codec::Encode as _;
use commonware_consensus::{
    simplex::{scheme::ed25519::Scheme as Theirs, types::Proposal},
    types::{Epoch, Round, View},
};
use commonware_cryptography::{
    Signer as _,
    certificate::{Scheme as _, Verifier as _},
    sha256,
};
use commonware_parallel::Sequential;
use commonware_utils::{Participant, TryCollect as _, test_rng};
use dolmen_accel_cpu::{CpuConfig, CpuEngine};

use super::*;

const NAMESPACE: &[u8] = b"test";

/// Each validator by our scheme and by commonware's.
fn validators(count: u64) -> Vec<(Scheme, Theirs)> {
    let keys: Vec<_> = (0..count).map(PrivateKey::from_seed).collect();
    let set: Set<PublicKey> = keys.iter().map(PrivateKey::public_key).try_collect().unwrap();
    let engine = CpuEngine::start(CpuConfig { algorithms: &[Algorithm::Ed25519], ..CpuConfig::default() }).unwrap();
    let mut validators: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let theirs = Theirs::signer(NAMESPACE, set.clone(), key.clone()).unwrap();
            (Scheme::new(NAMESPACE, &set, key, engine.clone()), theirs)
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
