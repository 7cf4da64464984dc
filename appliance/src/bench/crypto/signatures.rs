//! Signing, verifying and recovering: who does it, and which answers are right.

use std::time::Instant;

use anyhow::Context as _;
use dolmen_accel_api::{Address, Algorithm, BatchVerifier, Verdict, VerifyJob};

use super::{
    Session, Task, Team,
    args::{Choice, Hints, RecoverArgs, SignArgs, VerifyArgs, distinct},
    jobs::{RecoverSet, Signed, Signers, VerifySet},
    race::{Set, Wrong},
    result::{Described, Entrant, Prepared},
};
use crate::backends::{Backend, Library, Tables};

/// Someone who verifies.
pub(super) struct Verifier<'a> {
    pub(super) entrant: Entrant,
    pub(super) engine: &'a dyn BatchVerifier,
}

impl Verifier<'_> {
    /// Whether a batch gains it nothing.
    fn one_by_one(&self) -> bool {
        self.engine.capabilities().batch_preferred == 1
    }
}

/// Measures `dolmen bench verify`.
pub(super) fn verify(args: &VerifyArgs, session: &mut Session<'_>) -> anyhow::Result<()> {
    let peers: Vec<_> = Library::ALL.into_iter().map(|library| (library, library.peer())).collect();
    let keys = if args.unknown { vec![0] } else { distinct(&args.keys) };
    for algorithm in Choice::expand(&args.alg, &Algorithm::ALL) {
        for keys in keys.iter().copied() {
            session.say(format!("signing with {algorithm}"));
            let set = VerifySet::make(algorithm, keys, session.batch_max(), session.seed())?;
            let ours = ours(&args.backends.backend, algorithm, keys, &set.keys(), session)?;
            let mut verifiers: Vec<_> = ours.iter().map(Ours::verifier).collect();
            let able = peers.iter().filter(|(_, peer)| peer.capabilities().supports(algorithm));
            let mut inexact = Vec::new();
            for (library, peer) in able {
                verifiers.push(Verifier { entrant: Entrant::of(Described::library(*library)), engine: peer });
                if !peer.exact(algorithm) {
                    inexact.push(library.name());
                }
            }
            if !inexact.is_empty() {
                session.note(format!(
                    "Dolmen's rule for {algorithm} differs from that of {} for signatures that no honest signer makes; \
                     there are none here.",
                    inexact.join(", ")
                ));
            }
            compete(session, algorithm, keys, &set, &verifiers)?;
        }
    }
    Ok(())
}

/// Measures verifiers on a set.
pub(super) fn compete(
    session: &mut Session<'_>,
    algorithm: Algorithm,
    keys: usize,
    set: &VerifySet,
    verifiers: &[Verifier<'_>],
) -> anyhow::Result<()> {
    let (good, planted) = (set.jobs(Set::Good), set.jobs(Set::Planted));
    let mut team = Team::new();
    for verifier in verifiers {
        let (engine, good, planted) = (verifier.engine, &good, &planted);
        team.push(
            verifier.entrant.clone(),
            verifier.one_by_one(),
            Box::new(move |set, range, verdicts| {
                let jobs = if set == Set::Good { good } else { planted };
                Ok(engine.verify(algorithm, &jobs[range], verdicts)?)
            }),
        );
    }
    let check = |which: Set, range: std::ops::Range<usize>, verdicts: &[Verdict]| {
        let mut spoilt = 0;
        for (job, verdict) in range.zip(verdicts) {
            let expected = set.expected(which, job);
            if *verdict != expected {
                return Err(Wrong { job, what: format!("{verdict:?} where {expected:?} is right") });
            }
            spoilt += usize::from(set.is_bad(which, job));
        }
        Ok(spoilt)
    };
    let task = Task {
        alg: algorithm.name(),
        keys: Some(keys),
        size: None,
        jobs: set.len(),
        planted: true,
        blank: Verdict::Invalid,
        check: &check,
    };
    session.races(&team, &task)
}

/// Measures `dolmen bench recover`.
pub(super) fn recover(args: &RecoverArgs, session: &mut Session<'_>) -> anyhow::Result<()> {
    let reference = Backend::Off.engine(Tables::None)?;
    let peers: Vec<_> = Library::ALL.into_iter().map(|library| (library, library.peer())).collect();
    let mut keys = if args.hints == Hints::Off { Vec::new() } else { distinct(&args.keys) };
    if args.hints != Hints::On {
        keys.push(0);
    }
    for keys in keys {
        session.say("signing with secp256k1".to_owned());
        let set = RecoverSet::make(keys, session.batch_max(), session.seed(), &*reference.verifier)?;
        let ours = ours(&args.backends.backend, Algorithm::EcdsaSecp256k1, keys, &set.keys(), session)?;
        let mut verifiers: Vec<_> = ours.iter().map(Ours::verifier).collect();
        for (library, peer) in peers.iter().filter(|(_, peer)| peer.recovers()) {
            verifiers.push(Verifier { entrant: Entrant::of(Described::library(*library)), engine: peer });
        }
        compete_at_recovery(session, keys, &set, &verifiers)?;
    }
    Ok(())
}

/// Measures recovery on a set.
pub(super) fn compete_at_recovery(
    session: &mut Session<'_>,
    keys: usize,
    set: &RecoverSet,
    verifiers: &[Verifier<'_>],
) -> anyhow::Result<()> {
    let mut team = Team::new();
    for verifier in verifiers {
        let engine = verifier.engine;
        team.push(
            verifier.entrant.clone(),
            verifier.one_by_one(),
            Box::new(move |which, range, signers| Ok(engine.recover(&set.jobs(which)[range], signers)?)),
        );
    }
    let check = |which: Set, range: std::ops::Range<usize>, signers: &[Option<Address>]| {
        let mut spoilt = 0;
        for (job, signer) in range.zip(signers) {
            let expected = set.expected(which, job);
            if *signer != expected {
                return Err(Wrong { job, what: format!("{} where {} is right", name(*signer), name(expected)) });
            }
            spoilt += usize::from(set.is_bad(which, job));
        }
        Ok(spoilt)
    };
    let task = Task {
        alg: Algorithm::EcdsaSecp256k1.name(),
        keys: Some(keys),
        size: None,
        jobs: set.len(),
        planted: true,
        // Nobody's address: `None` would pass for an answer at jobs without signer.
        blank: Some([0; 20]),
        check: &check,
    };
    session.races(&team, &task)
}

fn name(signer: Option<Address>) -> String {
    signer.map_or_else(|| "no signer".to_owned(), |address| alloy_primitives::Address::from(address).to_string())
}

/// Measures `dolmen bench sign`. Each signature is verified, by the libraries that a node without an engine uses.
pub(super) fn sign(args: &SignArgs, session: &mut Session<'_>) -> anyhow::Result<()> {
    session.note(
        "Dolmen has no signing engine: signing is left to constant-time libraries and to HSMs. Libraries alone are \
         compared here."
            .to_owned(),
    );
    let reference = Backend::Off.engine(Tables::None)?;
    let seed = session.seed();
    for algorithm in Choice::expand(&args.alg, &Algorithm::ALL) {
        // As many messages as the largest batch, and enough for the smaller ones.
        let jobs = session.batch_max().max(1024);
        let messages: Vec<_> = (0..jobs).map(|job| Signed::make(algorithm, seed, job)).collect();
        for keys in distinct(&args.keys) {
            session.say(format!("making keys of {algorithm}"));
            let mut libraries = Vec::new();
            for library in Library::ALL {
                if library.signer(algorithm, &[1; 32]).is_err() {
                    continue;
                }
                let signers = Signers::make(keys, algorithm, seed, |secret| Ok(library.signer(algorithm, secret)?))
                    .with_context(|| format!("with {library}"))?;
                libraries.push((library, signers));
            }
            let Some((_, first)) = libraries.first() else { continue };
            let public_keys = first.public_keys();
            let order: Vec<_> = (0..jobs).map(|job| first.of(job, seed)).collect();
            let mut team = Team::new();
            for (library, signers) in &libraries {
                let (messages, order) = (&messages, &order);
                team.push(
                    Entrant::of(Described::library(*library)),
                    true,
                    Box::new(move |_, range, signatures: &mut [Vec<u8>]| {
                        for (job, signature) in range.zip(signatures) {
                            *signature = signers.get(order[job]).sign(messages[job].message());
                        }
                        Ok(())
                    }),
                );
            }
            let check = |_: Set, range: std::ops::Range<usize>, signatures: &[Vec<u8>]| {
                let start = range.start;
                let job = |(job, signature): (usize, &'_ Vec<u8>)| (job, signature.clone());
                let signed: Vec<_> = range.zip(signatures).map(job).collect();
                let jobs: Vec<_> = signed
                    .iter()
                    .map(|(job, signature)| VerifyJob {
                        key: &public_keys[order[*job]],
                        message: messages[*job].message(),
                        signature,
                    })
                    .collect();
                let mut verdicts = vec![Verdict::Invalid; jobs.len()];
                let verified = reference.verifier.verify(algorithm, &jobs, &mut verdicts);
                let wrong = |job, what: String| Wrong { job, what };
                verified.map_err(|error| wrong(start, format!("its signature cannot be checked: {error}")))?;
                match verdicts.iter().position(|verdict| !verdict.is_valid()) {
                    Some(bad) => Err(wrong(start + bad, "its signature does not hold".to_owned())),
                    None => Ok(0),
                }
            };
            let task = Task {
                alg: algorithm.name(),
                keys: Some(keys),
                size: None,
                jobs,
                planted: false,
                blank: Vec::new(),
                check: &check,
            };
            session.races(&team, &task)?;
        }
    }
    Ok(())
}

/// An engine of ours.
pub(super) struct Ours {
    entrant: Entrant,
    engine: std::sync::Arc<dyn BatchVerifier>,
}

impl Ours {
    pub(super) fn verifier(&self) -> Verifier<'_> {
        Verifier { entrant: self.entrant.clone(), engine: &*self.engine }
    }
}

/// Starts the engines that were chosen, anew so that none has keys of an earlier figure, and gives them their keys.
pub(super) fn ours(
    backends: &[Backend],
    algorithm: Algorithm,
    known: usize,
    keys: &[&[u8]],
    session: &mut Session<'_>,
) -> anyhow::Result<Vec<Ours>> {
    let mut engines = Vec::new();
    for backend in backends.iter().copied() {
        let engine = backend.engine(if known > 0 { Tables::Kept } else { Tables::None })?.verifier;
        let capabilities = engine.capabilities();
        if !capabilities.supports(algorithm) {
            session.note(format!("The engine {} does not verify {algorithm}.", backend.name()));
            continue;
        }
        let described = Described::ours(backend, capabilities.description.clone());
        let mut prepared = None;
        if known > 0 && capabilities.known_keys {
            session.say(format!("preparing {} keys of {algorithm}", keys.len()));
            let start = Instant::now();
            let ready = engine.keys().prepare(algorithm, keys);
            engine.keys().settle();
            let ms = start.elapsed().as_secs_f64() * 1000.0;
            let (label, all) = (described.label(), keys.len());
            match ready {
                0 => session.note(format!("{label} prepares no keys of {algorithm}.")),
                ready => prepared = Some(Prepared { keys: ready, bytes: engine.keys().usage().bytes, ms }),
            }
            if (1..all).contains(&ready) {
                session
                    .note(format!("{label} prepared {ready} of the {all} keys of {algorithm}: it has no more room."));
            }
        }
        engines.push(Ours { entrant: Entrant { described, prepared }, engine });
    }
    Ok(engines)
}
