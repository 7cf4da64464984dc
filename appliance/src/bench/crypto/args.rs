//! Settings of `dolmen bench sign`, `verify`, `recover`, `hash` and `cipher`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dolmen_accel_api::{Algorithm, HashAlgorithm};

use crate::backends::{Backend, Cipher};

/// Most operations in a call.
const BATCH_MAX: i64 = 65_536;
/// Most keys that come again: each is made before the measurement.
const KEYS_MAX: i64 = 65_536;
/// Most threads.
const THREADS_MAX: i64 = 1024;
/// Longest message.
const SIZE_MAX: i64 = 1 << 20;
/// Longest time for a figure.
const SECONDS_MAX: f64 = 3600.0;

/// What all of them take.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Operations in a call; several with commas between them.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1024",
          value_parser = clap::value_parser!(u32).range(1..=BATCH_MAX))]
    pub(crate) batch: Vec<u32>,
    /// Threads that call at the same time; several with commas between them.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1",
          value_parser = clap::value_parser!(u32).range(1..=THREADS_MAX))]
    pub(crate) threads: Vec<u32>,
    /// How long each implementation runs for a figure, in seconds.
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Where keys and messages come from: the same number gives the same ones.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Writes the figures as JSON into this file; `-` is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the figures as comma-separated values into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Writes the figures as a page with tables and plots into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Engines of ours.
#[derive(Args, Clone, Debug)]
pub(crate) struct Backends {
    /// Engines of ours to measure, with commas between them; `off` is what a node without an engine uses.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_enum, default_value = "cpu")]
    pub(crate) backend: Vec<Backend>,
}

/// Settings of `dolmen bench verify`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  dolmen bench verify\n  \
    dolmen bench verify --alg sm2 --batch 1,16,64,256,1024,4096,65536 --html sm2.html\n  \
    dolmen bench verify --alg secp256k1,p256 --keys 1,16,64,512 --threads 1,2,4 --json -")]
pub(crate) struct VerifyArgs {
    /// Algorithms with commas between them, or `all`.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "all", value_parser = algorithm)]
    pub(crate) alg: Vec<Choice<Algorithm>>,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Keys that come again, several numbers with commas between them; 0 for keys that are new to the engine.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "64,0",
          value_parser = clap::value_parser!(u32).range(0..=KEYS_MAX))]
    pub(crate) keys: Vec<u32>,
    /// The same as `--keys 0`.
    #[arg(long, conflicts_with = "keys")]
    pub(crate) unknown: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Settings of `dolmen bench recover`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  dolmen bench recover --hints on --keys 64,1024 --batch 64,1024 --html recover.html"
)]
pub(crate) struct RecoverArgs {
    /// The algorithm; only Ethereum's has recovery.
    #[arg(long, value_name = "NAME", default_value = "secp256k1", value_parser = ["secp256k1", "all"])]
    pub(crate) alg: String,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Whether the jobs say who is believed to have signed. Without hints all keys are new to the engine.
    #[arg(long, value_enum, default_value_t = Hints::Both)]
    pub(crate) hints: Hints,
    /// Senders that come again where there are hints, several numbers with commas between them.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "64",
          value_parser = clap::value_parser!(u32).range(1..=KEYS_MAX))]
    pub(crate) keys: Vec<u32>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Settings of `dolmen bench sign` for libraries.
#[derive(Args, Clone, Debug)]
pub(crate) struct SignArgs {
    /// Algorithms with commas between them, or `all`.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "all", value_parser = algorithm)]
    pub(crate) alg: Vec<Choice<Algorithm>>,
    /// Keys that sign in turn, several numbers with commas between them.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "16",
          value_parser = clap::value_parser!(u32).range(1..=KEYS_MAX))]
    pub(crate) keys: Vec<u32>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Settings of `dolmen bench hash`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  dolmen bench hash --alg sm3 --size 64 --batch 1,8,64,1024 --html sm3.html")]
pub(crate) struct HashArgs {
    /// Hashes with commas between them, or `all`.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "all", value_parser = hash)]
    pub(crate) alg: Vec<Choice<HashAlgorithm>>,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Bytes of a message, several numbers with commas between them.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "64,1024,8192",
          value_parser = clap::value_parser!(u32).range(0..=SIZE_MAX))]
    pub(crate) size: Vec<u32>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Settings of `dolmen bench cipher`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  dolmen bench cipher --alg sm4-gcm --size 1024,8192 --csv sm4.csv")]
pub(crate) struct CipherArgs {
    /// Ciphers with commas between them, or `all`.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = "all", value_parser = cipher)]
    pub(crate) alg: Vec<Choice<Cipher>>,
    #[command(flatten)]
    pub(crate) backends: Backends,
    /// Bytes of a message, several numbers with commas between them.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "64,1024,8192",
          value_parser = clap::value_parser!(u32).range(1..=SIZE_MAX))]
    pub(crate) size: Vec<u32>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Which recoveries have hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hints {
    /// All of them, the right ones except where a wrong one is planted.
    On,
    /// None of them.
    Off,
    /// First all, then none.
    Both,
}

/// One, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice<T> {
    /// This one.
    One(T),
    /// All there are.
    All,
}

impl<T: Copy + PartialEq> Choice<T> {
    /// What was chosen, each once, in the order of the command line.
    pub(crate) fn expand(choices: &[Self], all: &[T]) -> Vec<T> {
        let mut chosen = Vec::new();
        for choice in choices {
            let some = match choice {
                Self::One(one) => std::slice::from_ref(one),
                Self::All => all,
            };
            for one in some {
                if !chosen.contains(one) {
                    chosen.push(*one);
                }
            }
        }
        chosen
    }
}

/// Numbers of a list without repetitions.
pub(crate) fn distinct(list: &[u32]) -> Vec<usize> {
    let mut numbers = Vec::new();
    for number in list {
        let number = usize::try_from(*number).expect("a usize has 32 bits or more");
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

fn algorithm(name: &str) -> Result<Choice<Algorithm>, String> {
    named(name, &Algorithm::ALL, Algorithm::name)
}

fn hash(name: &str) -> Result<Choice<HashAlgorithm>, String> {
    named(name, &HashAlgorithm::ALL, HashAlgorithm::name)
}

fn cipher(name: &str) -> Result<Choice<Cipher>, String> {
    named(name, &Cipher::ALL, Cipher::name)
}

fn named<T: Copy>(name: &str, all: &[T], name_of: fn(T) -> &'static str) -> Result<Choice<T>, String> {
    if name == "all" {
        return Ok(Choice::All);
    }
    let found = all.iter().copied().find(|one| name_of(*one) == name).map(Choice::One);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|one| name_of(*one)).collect();
        format!("choose among {} and all", names.join(", "))
    })
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=SECONDS_MAX).contains(&seconds) { Ok(seconds) } else { Err(format!("choose 0.01 to {SECONDS_MAX}")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Verify {
        #[command(flatten)]
        args: VerifyArgs,
    }

    fn parse(arguments: &[&str]) -> Result<VerifyArgs, String> {
        let arguments = ["verify"].iter().chain(arguments);
        Verify::try_parse_from(arguments).map(|verify| verify.args).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_read_in_order_and_once() {
        let args = parse(&["--alg", "sm2,all", "--batch", "1,64,1,65536", "--keys", "0,16"]).unwrap();
        let algorithms = Choice::expand(&args.alg, &Algorithm::ALL);
        assert_eq!((algorithms[0], algorithms.len()), (Algorithm::Sm2, Algorithm::ALL.len()));
        assert_eq!(distinct(&args.common.batch), [1, 64, 65_536]);
        assert_eq!(args.keys, [0, 16]);
        assert_eq!(args.backends.backend, [Backend::Cpu]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [
            ["--batch", "0"],
            ["--batch", "65537"],
            ["--alg", "rsa"],
            ["--threads", "0"],
            ["--seconds", "nan"],
            ["--seconds", "0"],
            ["--backend", "gpu"],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&["--unknown", "--keys", "3"]).is_err());
        assert!(parse(&["--unknown"]).unwrap().unknown);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = hash("md5").unwrap_err();
        assert!(error.contains("sm3") && error.contains("keccak256") && error.contains("all"), "{error}");
        assert_eq!(hash("sm3"), Ok(Choice::One(HashAlgorithm::Sm3)));
    }
}
