use clap::Parser;
use dolmen_accel_api::{
    Address, Algorithm, BatchVerifier, Capabilities, Counters, EngineError, KeyCache, RecoverJob, Verdict, VerifyJob,
};

use super::{
    jobs::{RecoverSet, VerifySet},
    race::Tally,
    result::{Described, Prepared},
    signatures::{Verifier, compete, compete_at_recovery},
    *,
};
use crate::backends::{Backend, Tables};

/// A report with figures of two implementations at two batch sizes, with known and unknown keys.
pub(super) fn report() -> Report {
    let mut machine = Machine::read();
    machine.cpu_flags = vec!["adx", "avx2"];
    let mut report = Report::new("verify", &common(), machine, "from RAPL".to_owned());
    let entrant = |name: &str, backend, description: &str| Entrant {
        described: Described {
            name: name.to_owned(),
            backend,
            version: "1.0".to_owned(),
            description: description.to_owned(),
        },
        prepared: backend.map(|_| Prepared { keys: 64, bytes: 1 << 20, ms: 12.5 }),
    };
    let entrants = [entrant("dolmen", Some("cpu"), "adx, 8 lanes"), entrant("libexample", None, "")];
    for keys in [64, 0] {
        for batch in [64, 1024] {
            let tally = |ops: f64, uj_per_op| Tally {
                verified: 1000,
                spoilt: 16,
                ops_per_cpu_s: ops,
                ops_per_s: ops - 1.0,
                planted_ops_per_cpu_s: Some(ops / 2.0),
                p50_us: 1e6 / ops * batch as f64,
                p99_us: 2e6 / ops * batch as f64,
                spread: 0.012,
                uj_per_op: Some(uj_per_op),
            };
            let setting = Setting { alg: "sm2", op: "verify", keys: Some(keys), size: None, batch, threads: 1 };
            report.add(&setting, &entrants, vec![tally(150_000.0, 101.5), tally(25_000.0, 640.0)]);
        }
    }
    report
}

fn common() -> Common {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        common: Common,
    }
    let line = Line::try_parse_from(["test", "--seconds", "0.05", "--batch", "16,64"]).unwrap();
    line.common
}

/// The libraries' engine, but for the answers that it changes.
struct Liar {
    honest: std::sync::Arc<dyn BatchVerifier>,
    /// What it says in place of a verdict; where that is a refusal, it believes a recovery's hint.
    lie: fn(usize, Verdict) -> Verdict,
}

impl BatchVerifier for Liar {
    fn capabilities(&self) -> &Capabilities {
        self.honest.capabilities()
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        jobs: &[VerifyJob<'_>],
        verdicts: &mut [Verdict],
    ) -> Result<(), EngineError> {
        self.honest.verify(algorithm, jobs, verdicts)?;
        for (job, verdict) in verdicts.iter_mut().enumerate() {
            *verdict = (self.lie)(job, *verdict);
        }
        Ok(())
    }

    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) -> Result<(), EngineError> {
        self.honest.recover(jobs, signers)?;
        for (index, (job, signer)) in jobs.iter().zip(signers).enumerate() {
            if !(self.lie)(index, Verdict::Valid).is_valid() {
                // What an engine would do that trusts its hints.
                *signer = job.hint;
            }
        }
        Ok(())
    }

    fn verify_aggregate(&self, keys: &[&[u8]], message: &[u8], signature: &[u8]) -> Result<Verdict, EngineError> {
        self.honest.verify_aggregate(keys, message, signature)
    }

    fn keys(&self) -> &dyn KeyCache {
        self.honest.keys()
    }

    fn counters(&self) -> &Counters {
        self.honest.counters()
    }
}

fn liar(lie: fn(usize, Verdict) -> Verdict) -> Liar {
    Liar { honest: Backend::Off.engine(Tables::None).unwrap().verifier, lie }
}

fn verifier<'a>(name: &str, engine: &'a dyn BatchVerifier) -> Verifier<'a> {
    let described =
        Described { name: name.to_owned(), backend: None, version: String::new(), description: String::new() };
    Verifier { entrant: Entrant::of(described), engine }
}

#[test]
fn an_honest_engine_has_a_figure_for_each_batch_size() {
    let common = common();
    let honest = liar(|_, verdict| verdict);
    let mut session = Session::start("verify", &common).unwrap();
    let set = VerifySet::make(Algorithm::EcdsaSecp256k1, 4, 64, Seed(3)).unwrap();
    let verifiers = [verifier("one", &honest), verifier("other", &honest)];
    compete(&mut session, Algorithm::EcdsaSecp256k1, 4, &set, &verifiers).unwrap();
    let results = &session.report.results;
    assert_eq!(results.iter().map(|row| row.batch).collect::<Vec<_>>(), [16, 16, 64, 64]);
    for row in results {
        assert!(row.known_keys && row.keys == 4 && row.spoilt > 0 && row.verified > row.spoilt, "{row:?}");
    }
    let best = results[..2].iter().filter_map(|row| row.ratio_to_best_peer).fold(0.0, f64::max);
    assert!((best - 1.0).abs() < 0.001, "the best of the peers is as good as the best, not {best}");
    let json = serde_json::to_value(&session.report).unwrap();
    for field in
        ["alg", "op", "impl", "backend", "known_keys", "keys", "batch", "threads", "ops_per_cpu_s", "ops_per_s"]
            .into_iter()
            .chain(["p50_us", "p99_us", "verified", "ratio_to_best_peer"])
    {
        assert!(json["results"][0].get(field).is_some(), "no {field}");
    }
    assert!(json["machine"]["cpu"].is_string() && json["machine"]["cpu_flags"].is_array());
}

#[test]
fn a_lying_engine_ends_the_run() {
    let common = common();
    let lies: [fn(usize, Verdict) -> Verdict; 3] = [
        |_, _| Verdict::Valid,
        |_, _| Verdict::Invalid,
        |job, verdict| if job == 3 { Verdict::Invalid } else { verdict },
    ];
    let set = VerifySet::make(Algorithm::Ed25519, 0, 64, Seed(3)).unwrap();
    for lie in lies {
        let (honest, liar) = (liar(|_, verdict| verdict), liar(lie));
        let mut session = Session::start("verify", &common).unwrap();
        let verifiers = [verifier("honest", &honest), verifier("liar", &liar)];
        let error = compete(&mut session, Algorithm::Ed25519, 0, &set, &verifiers).unwrap_err().to_string();
        assert!(error.contains("liar") && error.contains("ed25519") && error.contains("job "), "{error}");
        assert!(session.report.results.is_empty(), "a figure was kept: {:?}", session.report.results);
    }
}

#[test]
fn an_engine_that_trusts_hints_ends_the_run() {
    let common = common();
    let (honest, liar) = (liar(|_, verdict| verdict), liar(|job, _| Verdict::from(job % 2 == 0)));
    let set = RecoverSet::make(4, 64, Seed(3), &honest).unwrap();
    let mut session = Session::start("recover", &common).unwrap();
    compete_at_recovery(&mut session, 4, &set, &[verifier("honest", &honest)]).unwrap();
    assert!(session.report.results.iter().all(|row| row.spoilt > 0), "no bad job was planted");
    let error = compete_at_recovery(&mut session, 4, &set, &[verifier("liar", &liar)]).unwrap_err().to_string();
    assert!(error.contains("liar") && error.contains("recover secp256k1"), "{error}");
}

#[test]
fn ratios_are_to_the_best_of_the_others() {
    let report = report();
    let race = report.races().next().unwrap();
    assert_eq!(race[0].ratio_to_best_peer, Some(6.0));
    assert_eq!(race[1].ratio_to_best_peer, Some(1.0));
    assert_eq!(report.races().count(), 4);
    assert_eq!(report.implementations.len(), 2);
}
