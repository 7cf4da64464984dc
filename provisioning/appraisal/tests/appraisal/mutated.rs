//! Changed bytes: no decoder panics, none takes a second text for a message, and no changed evidence passes for the
//! evidence that it was.

use std::{fmt::Debug, mem};

use dolmen_hsm_swtpm::{Maker, Swtpm};
use dolmen_provisioning_appraisal::{
    Acknowledgement, Appraisal, Bytes, Challenge, Enrolment, Message, Policy, QuoteRequest, Reattestation, Response,
    Verifier, activation_proof,
};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    frozen,
    machine::Machine,
    measured::{boot, bytes},
    support::{NOW, SECRET, fresh, policy, released, roots, serial},
};

/// Of the tests' randomness: the same changes each time.
const SEED: u64 = 0x646f_6c6d_656e;
const ROUNDS: usize = 4_000;
/// Each checks a chain of certificates and some signatures.
const EVIDENCE_ROUNDS: usize = 2_500;

/// Bytes with some bits turned over, some replaced, cut out or doubled.
fn mutate(random: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..4) {
        if bytes.is_empty() {
            return vec![random.random()];
        }
        let at = random.random_range(0..bytes.len());
        let end = (at + random.random_range(1..8)).min(bytes.len());
        match random.random_range(0..5) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => random.fill_bytes(&mut bytes[at..end]),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let doubled = bytes[at..end].to_vec();
                bytes.splice(at..at, doubled);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Whatever is taken is a message of its own with this very text.
fn texts<M: Message + PartialEq + Debug>(message: &M) {
    let (mut random, text) = (StdRng::seed_from_u64(SEED), message.to_json().expect("a message"));
    let mut refused = 0;
    for round in 0..ROUNDS {
        let changed = mutate(&mut random, &text);
        match M::from_json(&changed) {
            Ok(taken) => {
                assert_eq!(taken.to_json().expect("it was read"), changed, "round {round}");
                assert_eq!(taken == *message, changed == text, "round {round}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > ROUNDS / 2, "{refused} of {ROUNDS} were refused");
}

#[test]
fn messages_have_one_text() {
    texts::<Enrolment>(&frozen::enrolment());
    texts::<Challenge>(&frozen::challenge());
    texts::<Response>(&frozen::response());
    texts::<QuoteRequest>(&frozen::quote_request());
    texts::<Reattestation>(&frozen::reattestation());
    texts::<Acknowledgement>(&frozen::acknowledgement());
}

#[test]
fn policies_do_not_panic() {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let changed = mutate(&mut random, crate::policy::WHOLE.as_bytes());
        refused += usize::from(Policy::parse(&String::from_utf8_lossy(&changed)).is_err());
    }
    assert!(refused > ROUNDS / 2, "{refused} of {ROUNDS} were refused");
}

/// A part of the evidence that counts to the last bit.
fn change<const MAX: usize>(random: &mut StdRng, part: &mut Bytes<MAX>) -> bool {
    let mut changed = mutate(random, part.as_slice());
    changed.truncate(MAX);
    let before = mem::replace(part, bytes(changed));
    before != *part
}

/// One TPM's evidence, with a part changed in each round.
#[test]
fn changed_evidence_is_refused() {
    let maker = Maker::new();
    let machine = Machine::new(Swtpm::made_by(&maker, "id:49465800"), boot());
    let verifier = Verifier::new(policy(&[("ek-roots", &roots(&maker.certificates()))]), released());
    let enrolment = machine.enrolment(&serial());
    let (awaiting, challenge) = verifier.begin(&enrolment, &serial(), fresh(), NOW).unwrap();
    let response = machine.respond(&challenge);
    // The secret is the test's own, so that no TPM has to answer each round.
    assert_eq!(response.proof, activation_proof(&SECRET, &challenge.nonce));
    let appraisal = awaiting.finish(&response).unwrap();
    let judge = |enrolment: &Enrolment, response: &Response| {
        verifier.begin(enrolment, &serial(), fresh(), NOW).and_then(|(awaiting, _)| awaiting.finish(response))
    };
    assert_eq!(judge(&enrolment, &response).unwrap(), appraisal);

    let mut random = StdRng::seed_from_u64(SEED);
    let random = &mut random;
    let (mut refused, mut same) = (0, 0);
    for round in 0..EVIDENCE_ROUNDS {
        let (mut sent, mut answer) = (enrolment.clone(), response.clone());
        let (certification, quote) = (&mut sent.certification, &mut answer.quote.quote);
        let part = round % 10;
        let changed = match part {
            0 => sent.ek_certificate.as_mut().is_some_and(|certificate| change(random, certificate)),
            1 => change(random, &mut sent.ek_public),
            2 => change(random, &mut sent.ak_public),
            3 => change(random, &mut sent.ldevid_public),
            4 => change(random, &mut certification.statement),
            5 => change(random, &mut certification.signature),
            6 => change(random, &mut quote.statement),
            7 => change(random, &mut quote.signature),
            8 => {
                let first = random.random_range(0..32);
                random.fill_bytes(&mut answer.proof.0[first..]);
                answer.proof != response.proof
            }
            _ => change(random, &mut sent.logs.firmware),
        };
        match judge(&sent, &answer) {
            Err(_) => refused += 1,
            // A bit of the attestation key that proves nothing makes another name, for which the TPM opens nothing.
            Ok(found) if part == 2 && changed => {
                assert_ne!(found.ak_name(), appraisal.ak_name(), "round {round}");
                let (_, challenge) = verifier.begin(&sent, &serial(), fresh(), NOW).unwrap();
                assert_eq!(machine.activate(&challenge), None, "round {round}");
                refused += 1;
            }
            // What events say about themselves is nobody's evidence, nor is what the endorsement key says beside what
            // its certificate does, nor are zeros behind that: all that is found about the box is the same.
            Ok(found) => {
                assert!(!changed || matches!(part, 0 | 1 | 9), "round {round}: a changed part {part} was taken");
                assert_eq!(found, appraisal, "round {round}");
                same += 1;
            }
        }
    }
    assert!(refused > EVIDENCE_ROUNDS * 8 / 10, "{refused} were refused, {same} were the same");

    appraisals(random, &appraisal);
}

/// Stored bytes: what is taken is another appraisal with another hash.
fn appraisals(random: &mut StdRng, appraisal: &Appraisal) {
    let whole = appraisal.to_bytes();
    for length in 0..whole.len() {
        assert!(Appraisal::from_bytes(&whole[..length]).is_err(), "{length}");
    }
    assert!(Appraisal::from_bytes(&[&whole[..], &[0]].concat()).is_err());
    for round in 0..ROUNDS {
        let changed = mutate(random, &whole);
        if let Ok(taken) = Appraisal::from_bytes(&changed) {
            assert_eq!(taken.to_bytes(), changed, "round {round}");
            assert_eq!(taken.hash() == appraisal.hash(), changed == whole, "round {round}");
        }
    }
}
