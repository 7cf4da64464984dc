//! What libFuzzer drives: `make fuzz` builds and starts it.
//!
//! `DOLMEN_FUZZ_TARGET` names the target; without it, their names are listed. Its seeds are written to the directory
//! `DOLMEN_FUZZ_SEEDS`, which is given to libFuzzer as one of its corpora. All else is libFuzzer's:
//!
//! ```text
//! DOLMEN_FUZZ_TARGET=ca_cms DOLMEN_FUZZ_SEEDS=seeds dolmen-fuzz -max_total_time=60 corpus seeds
//! DOLMEN_FUZZ_TARGET=ca_cms dolmen-fuzz FILE
//! ```
#![no_main]

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
    process,
    sync::OnceLock,
};

use dolmen_fuzz::{
    Target,
    mutation::{Random, mutate},
    targets,
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// The target, and its seeds.
static CHOSEN: OnceLock<(Target, Vec<Vec<u8>>)> = OnceLock::new();

fn chosen() -> &'static (Target, Vec<Vec<u8>>) {
    CHOSEN.get_or_init(|| {
        let name = env::var("DOLMEN_FUZZ_TARGET").unwrap_or_default();
        let Some(target) = targets().into_iter().find(|target| target.name == name) else {
            let names: String = targets().iter().map(|target| format!("{}\n", target.name)).collect();
            let written = io::stdout().write_all(names.as_bytes());
            process::exit(i32::from(!name.is_empty() || written.is_err()));
        };
        let seeds = (target.seeds)();
        if let Some(directory) = env::var_os("DOLMEN_FUZZ_SEEDS") {
            for (at, seed) in seeds.iter().enumerate() {
                fs::write(Path::new(&directory).join(format!("seed-{at}")), seed).expect("a directory for the seeds");
            }
        }
        (target, seeds)
    })
}

fuzz_target!(
    init: {
        chosen();
    },
    |bytes: &[u8]| {
        (chosen().0.decode)(bytes);
    }
);

// Half of the changes are libFuzzer's own, which learns from comparisons; half know of structures.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::new(seed.into());
    if random.below(2) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut changed = mutate(&mut random, &data[..size], &chosen().1);
    changed.truncate(max_size);
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
});
