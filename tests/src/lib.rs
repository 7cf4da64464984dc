//! What the end-to-end tests share: they start the built `dolmen` binary and talk to it from outside, as a user would.
//!
//! - [`Devnet`]: `dolmen devnet` as one process, as `make run` starts it.
//! - [`Cluster`]: the same files, each box a process of its own that a test may kill and start again.
//! - [`Chain`]: what `devnet.json` says, with requests to the boxes.
//! - [`Admin`]: somebody at a box's administration API.
//! - [`Members`]: the organisations, who change the chain with `dolmen gov`.
//! - [`Joining`]: a devnet whose boxes join by themselves, and its registrars.
//! - [`Load`]: signed transfers at a steady rate, and the receipts that were seen.
//! - [`Record`]: what the boxes take of the machine, over time.
//! - [`FreshBox`]: a box from the factory, with its TPM, that a test plugs in and out; [`screen`] is its screen.
//! - [`SoftTpm`]: a TPM of software, with its maker's certificates.
//! - [`Collector`]: takes the traces of boxes.
//! - [`SmallDisk`]: a disk for one box, to be filled and made read-only.
//! - [`archive`]: `dolmen backup`, `restore` and `verify`.
//!
//! Nothing here asserts how fast something is; every wait has an end, after which the test fails and shows the logs.

mod admin;
mod agree;
pub mod archive;
mod chain;
mod cluster;
mod collector;
mod devnet;
mod disk;
mod fresh_box;
pub mod http;
mod joining;
mod load;
mod members;
mod ports;
pub mod process;
mod record;
pub mod screen;
mod sign;
mod soft_tpm;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

pub use admin::{Admin, Said, totp};
pub use agree::{check_receipts, check_same_blocks, check_state};
pub use chain::{Account, BoxInfo, Chain, quantity};
pub use cluster::Cluster;
pub use collector::{Collector, Span};
pub use devnet::{AddedBox, Devnet};
pub use disk::{SmallDisk, damage};
pub use fresh_box::FreshBox;
pub use joining::Joining;
pub use load::{Acknowledged, Load};
pub use members::{Members, proposal_number, validators};
pub use ports::quiet_port;
pub use record::Record;
pub use sign::{call, transfer};
pub use soft_tpm::SoftTpm;

/// Boxes of a test's chain: the smallest number that tolerates a faulty one.
pub const BOXES: usize = 4;
/// Blocks of an epoch here: tests pass several.
pub const EPOCH_BLOCKS: u64 = 40;
/// Longest wait for boxes to start, stop, or agree again: a machine whose every core is busy needs most of it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The `dolmen` binary under test: `DOLMEN_BIN`, else that of the profile that this test was built with.
pub fn dolmen() -> PathBuf {
    if let Some(path) = std::env::var_os("DOLMEN_BIN") {
        // Absolute, since tools that start it run in other folders.
        let binary = std::path::absolute(&path).expect("DOLMEN_BIN is not empty");
        // `process::is_running` knows boxes by this name.
        assert!(binary.is_file() && binary.ends_with("dolmen"), "DOLMEN_BIN={} is no file `dolmen`", binary.display());
        return binary;
    }
    let test = std::env::current_exe().expect("a running test has a file");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("cargo puts tests into a profile's deps folder");
    let binary = profile.join("dolmen");
    assert!(binary.exists(), "{} is missing: run `cargo build --bins` (same target directory) first", binary.display());
    binary
}

/// Polls until `probe` returns something; panics with `what` where that takes longer than `within`.
pub fn wait_for<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(started.elapsed() < within, "gave up after {within:?} waiting for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// The seed of a randomised test, printed so that a failure can be replayed: `DOLMEN_SEED`, else the clock's.
pub fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = std::env::var("DOLMEN_SEED").map_or(u64::from(now.subsec_nanos()), |text| {
        text.parse().unwrap_or_else(|_| panic!("DOLMEN_SEED={text} is not a whole number"))
    });
    eprintln!("seed {seed}: set DOLMEN_SEED={seed} to repeat this run's choices");
    seed
}
