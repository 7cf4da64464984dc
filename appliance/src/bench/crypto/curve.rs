//! Our engines at every size of a batch, in a few seconds: what a box's page plots.

use dolmen_accel_api::Algorithm;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Session,
    args::Common,
    jobs::{Seed, VerifySet},
    signatures::{Ours, compete, ours},
};
use crate::{backends::Backend, bench::report::PROFILE};

/// What is measured: the signatures of transactions and of votes.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::EcdsaSecp256k1, Algorithm::Ed25519];
/// All engines.
const BACKENDS: [Backend; 3] = [Backend::Cpu, Backend::CpuPortable, Backend::Off];
/// Signatures in a call.
const BATCHES: [u32; 7] = [1, 4, 16, 64, 256, 1024, 4096];
/// Keys that come again, as in a consortium.
const KEYS: usize = 64;
/// How long each engine runs for a point.
const SECONDS: f64 = 0.12;

/// What was measured, on one core beside whatever else the box did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Curve {
    /// `release` or `debug`; figures of a debug build say nothing about speed.
    profile: &'static str,
    /// Keys that came again.
    keys: usize,
    /// The points, each of whose answers was compared with the right one.
    points: Vec<Point>,
}

/// A point.
#[derive(Debug, Serialize, ToSchema)]
struct Point {
    /// Of the signatures.
    algorithm: &'static str,
    /// Which engine.
    backend: &'static str,
    /// Signatures in a call.
    batch: usize,
    /// By the clock.
    verifications_per_s: f64,
    /// The same for a second of CPU time.
    verifications_per_cpu_s: f64,
    /// Median of a call, in microseconds.
    p50_us: f64,
    /// 99th percentile of a call, in microseconds.
    p99_us: f64,
}

/// Measures. `progress` is told what part of it is done.
///
/// # Errors
///
/// The first wrong answer, or an engine that does not start.
pub(crate) fn curve(progress: &dyn Fn(f64)) -> anyhow::Result<Curve> {
    measure(&ALGORITHMS, &BATCHES, SECONDS, progress)
}

fn measure(algorithms: &[Algorithm], batches: &[u32], seconds: f64, progress: &dyn Fn(f64)) -> anyhow::Result<Curve> {
    let (mut points, mut done) = (Vec::new(), 0);
    let largest = batches.iter().copied().max().unwrap_or(1) as usize;
    for algorithm in algorithms.iter().copied() {
        let common = common(batches, seconds);
        let mut session = Session::start("verify", &common)?;
        let set = VerifySet::make(algorithm, KEYS, largest, Seed(common.seed))?;
        let engines = ours(&BACKENDS, algorithm, KEYS, &set.keys(), &mut session)?;
        let verifiers: Vec<_> = engines.iter().map(Ours::verifier).collect();
        for batch in batches.iter().copied() {
            let common = self::common(&[batch], seconds);
            let mut session = Session::start("verify", &common)?;
            compete(&mut session, algorithm, KEYS, &set, &verifiers)?;
            points.extend(session.report.results.iter().map(|row| Point {
                algorithm: row.alg,
                backend: row.backend.unwrap_or_default(),
                batch: row.batch,
                verifications_per_s: row.ops_per_s,
                verifications_per_cpu_s: row.ops_per_cpu_s,
                p50_us: row.p50_us,
                p99_us: row.p99_us,
            }));
            done += 1;
            progress(f64::from(done) / (algorithms.len() * batches.len()) as f64);
        }
    }
    Ok(Curve { profile: PROFILE, keys: KEYS, points })
}

fn common(batches: &[u32], seconds: f64) -> Common {
    Common { batch: batches.to_vec(), threads: vec![1], seconds, seed: 1, json: None, csv: None, html: None }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_engine_has_a_point_at_every_size() {
        let last = Cell::new(0.0);
        let curve = measure(&[Algorithm::Ed25519], &[1, 8], 0.01, &|part| last.set(part)).unwrap();
        let points: Vec<_> = curve.points.iter().map(|point| (point.backend, point.batch)).collect();
        let expected = [("cpu", 1), ("cpu-portable", 1), ("off", 1), ("cpu", 8), ("cpu-portable", 8), ("off", 8)];
        assert_eq!(points, expected);
        assert!(curve.points.iter().all(|point| point.verifications_per_s > 0.0 && point.p99_us >= point.p50_us));
        assert!((last.get() - 1.0).abs() < f64::EPSILON);
    }
}
