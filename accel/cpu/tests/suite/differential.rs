//! Seeded cases by the hundred thousand, each put to a library, every eighth to a second one, and to our engine: with
//! tables of all widths, without any, and on portable code.
//!
//! A case is honest, altered, or forged: valid by construction, with scalars whose digits repeat, are at their ends,
//! or make sums of table entries meet (`scalars`, `weierstrass`, `ed25519`).
//!
//! | variable | what | if not set |
//! |---|---|---|
//! | `DOLMEN_FUZZ_CASES` | cases in all | a million |
//! | `DOLMEN_FUZZ_SEED` | which cases | always the same |
//! | `DOLMEN_FUZZ_CASE` | only the round of cases with this one | all rounds |

mod alter;
mod bls;
mod ed25519;
mod judge;
mod scalars;
mod weierstrass;

use std::{env, str::FromStr};

use judge::Judge;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::support::Job;

/// Cases made together.
const ROUND: usize = 4096;
/// Rounds that share their keys and multiples.
const EPOCH: u64 = 8;
/// Cases of all algorithms if nobody says otherwise.
const CASES: u64 = 1_000_000;
const SEED: u64 = 0xd01;

/// A job, and what is known of it.
struct Tested {
    job: Job,
    /// Whether it holds, if it was made so.
    holds: Option<bool>,
    /// Whether libraries with a rule near ours have to agree.
    plain: bool,
    /// For recovery: whether the named point's `y` is odd, as far as known.
    odd_y: bool,
}

impl Tested {
    fn new(job: Job, holds: impl Into<Option<bool>>) -> Self {
        Self { job, holds: holds.into(), plain: true, odd_y: false }
    }
}

/// Which cases to make.
#[derive(Clone, Copy)]
struct Settings {
    seed: u64,
    rounds: u64,
    /// The only round.
    only: Option<u64>,
}

impl Settings {
    /// Those of an algorithm with `percent` of all cases.
    fn of(percent: u64) -> Self {
        let cases: u64 = variable("DOLMEN_FUZZ_CASES").unwrap_or(CASES);
        let seed = variable("DOLMEN_FUZZ_SEED").unwrap_or(SEED);
        let only = variable::<u64>("DOLMEN_FUZZ_CASE").map(|case| case / ROUND as u64);
        Self { seed, rounds: (cases * percent / 100).div_ceil(ROUND as u64), only }
    }

    fn rounds(&self) -> impl Iterator<Item = u64> {
        let only = self.only;
        (0..self.rounds.max(only.map_or(0, |only| only + 1)))
            .filter(move |round| only.is_none_or(|only| only == *round))
    }

    /// The random numbers of the `index`th of something; `domain` tells things apart.
    fn random(&self, domain: u8, index: u64) -> StdRng {
        let mut seed = [domain; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed[8..16].copy_from_slice(&index.to_be_bytes());
        StdRng::from_seed(seed)
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is a number, not {value:?}")))
}
