//! How fast a key signs, wherever it lives: signatures a second, and how long each takes.

use std::{
    path::Path,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use dolmen_accel_api::{BatchVerifier as _, Verdict, VerifyJob};
use dolmen_hsm_api::{Domain, KeyUri, Message, Signer};
use futures::executor::block_on;
use serde_json::{Value, json};

use super::cpu;
use crate::backends::keys::Keys;

/// Threads at most: devices have few sessions, and the rest would wait in line.
const THREADS_MAX: i64 = 64;

/// How a key is loaded.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyLoad {
    /// Threads that sign, each with one signature at a time; several numbers with commas between them.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,4",
          value_parser = clap::value_parser!(u32).range(1..=THREADS_MAX))]
    pub(crate) threads: Vec<u32>,
    /// Seconds that each measurement takes.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if (0.05..=600.0).contains(&seconds) { Ok(seconds) } else { Err("0.05 to 600 seconds".into()) }
}

/// Measures a key and prints a line for each number of threads; writes JSON where `json` says, `-` being standard output
/// in place of the table.
pub(crate) fn key(keys: &Keys, uri: &KeyUri, load: &KeyLoad, json: Option<&Path>) -> anyhow::Result<()> {
    let table = json != Some(Path::new("-"));
    let key = keys.store(uri)?.open(uri)?;
    let domain = key.domains().iter().next().context("the key may sign for nothing")?;
    let mut rows = Vec::new();
    if table {
        anstream::println!("{uri}: {} in {}", key.algorithm(), key.residence().name());
        anstream::println!(
            "{:>7}  {:>12}  {:>9} {:>9} {:>9} {:>9}  {:>11}",
            "threads",
            "signatures/s",
            "p50 us",
            "p90 us",
            "p99 us",
            "max us",
            "CPU us each"
        );
    }
    for threads in &load.threads {
        let row = measure(&key, domain, *threads, Duration::from_secs_f64(load.seconds))?;
        if table {
            anstream::println!(
                "{threads:>7}  {:>12.1}  {:>9.1} {:>9.1} {:>9.1} {:>9.1}  {:>11.1}",
                row.per_second,
                row.percentile(50),
                row.percentile(90),
                row.percentile(99),
                row.percentile(100),
                row.cpu_us
            );
        }
        rows.push(row.json(*threads));
    }
    if let Some(path) = json {
        let result = json!({
            "key": uri.to_string(),
            "algorithm": key.algorithm().name(),
            "in": key.residence().name(),
            "results": rows,
        });
        let text = serde_json::to_string_pretty(&result)? + "\n";
        if table {
            std::fs::write(path, text).with_context(|| format!("write the result to {}", path.display()))?;
        } else {
            anstream::print!("{text}");
        }
    }
    Ok(())
}

struct Row {
    per_second: f64,
    /// CPU time of this process for each signature; a device's own is not in it.
    cpu_us: f64,
    /// Sorted.
    latencies_us: Vec<f64>,
}

impl Row {
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.latencies_us.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies_us.get(rank).copied().unwrap_or(0.0)
    }

    fn json(&self, threads: u32) -> Value {
        json!({
            "threads": threads,
            "signatures": self.latencies_us.len(),
            "per_second": self.per_second,
            "latency_us": { "p50": self.percentile(50), "p90": self.percentile(90), "p99": self.percentile(99),
                            "max": self.percentile(100) },
            "cpu_us": self.cpu_us,
        })
    }
}

fn measure(key: &Arc<dyn Signer>, domain: Domain, threads: u32, length: Duration) -> anyhow::Result<Row> {
    // Sessions are opened and keys are loaded by the first signatures.
    let first = check(&**key, domain)?;
    let (stop, begin) = (AtomicBool::new(false), Barrier::new(threads as usize + 1));
    let (samples, elapsed, cpu_us) = thread::scope(|scope| -> anyhow::Result<_> {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let (stop, begin) = (&stop, &begin);
                scope.spawn(move || {
                    begin.wait();
                    let mut samples = Vec::new();
                    let mut message = first;
                    message[..4].copy_from_slice(&number.to_be_bytes());
                    while !stop.load(Ordering::Relaxed) {
                        message[4..12].copy_from_slice(&(samples.len() as u64).to_be_bytes());
                        let start = Instant::now();
                        block_on(key.sign(domain, Message::Digest(&message)))?;
                        samples.push(start.elapsed().as_secs_f64() * 1e6);
                    }
                    anyhow::Ok(samples)
                })
            })
            .collect();
        let cpu = cpu::cpu_us(std::process::id());
        begin.wait();
        let start = Instant::now();
        thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        let mut samples = Vec::new();
        for worker in workers {
            samples.extend(worker.join().expect("no signing thread panics")?);
        }
        Ok((samples, start.elapsed(), cpu::cpu_us(std::process::id())? - cpu?))
    })?;
    let mut latencies_us = samples;
    latencies_us.sort_by(f64::total_cmp);
    let count = latencies_us.len().max(1);
    #[expect(clippy::cast_precision_loss, reason = "counts and microseconds are far below 2^52")]
    let (per_second, cpu_us) = (count as f64 / elapsed.as_secs_f64(), cpu_us as f64 / count as f64);
    Ok(Row { per_second, cpu_us, latencies_us })
}

/// Signs once and checks the signature: a figure for signatures that do not hold would say nothing.
fn check(key: &dyn Signer, domain: Domain) -> anyhow::Result<[u8; 32]> {
    let digest: [u8; 32] = rand::random();
    let message = Message::Digest(&digest);
    let signature = block_on(key.sign(domain, message))?;
    let mut verdict = [Verdict::Invalid];
    let job = [VerifyJob { key: key.public_key(), message, signature: &signature.0 }];
    dolmen_accel_library::baseline().verify(key.algorithm(), &job, &mut verdict)?;
    ensure!(verdict[0].is_valid(), "the signature of {} does not hold", key.uri());
    Ok(digest)
}
