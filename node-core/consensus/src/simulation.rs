//! Boxes in a simulated network and a runtime without real time: a seed says what happens to them, and says it again when
//! it is replayed. Links are slow and lose messages, boxes crash and come back, are cut off, lose power all at once, and one
//! of them may lie.
//!
//! `DOLMEN_SIM_SEEDS` seeds from `DOLMEN_SIM_FIRST` on are run, by each test its part of them. A failing seed is named.

mod application;
mod checks;
mod liar;
mod plan;
mod world;

use std::env;

use plan::Plan;
use world::World;

/// Seeds in `make test`, over all tests here.
const SEEDS: u64 = 200;

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).ok().map_or(default, |text| text.parse().expect("a number of seeds"))
}

/// Runs every sixth seed, those of one kind of trouble.
fn run(part: u64) {
    let (first, count) = (number("DOLMEN_SIM_FIRST", 0), number("DOLMEN_SIM_SEEDS", SEEDS));
    for seed in (first..first + count).filter(|seed| seed % 6 == part) {
        let plan = Plan::of(seed);
        eprintln!("seed {seed}: {plan:?}");
        World::new(plan).run();
    }
}

#[test]
fn boxes_that_crash_come_back_to_one_chain() {
    run(0);
}

#[test]
fn boxes_that_are_cut_off_come_back_to_one_chain() {
    run(1);
}

#[test]
fn a_box_that_equivocates_forks_nothing() {
    run(2);
}

#[test]
fn a_box_that_sends_anything_stops_nothing() {
    run(3);
}

/// All lose power at once, and with it what was not synced; some of that is there after all, torn.
#[test]
fn boxes_that_all_lose_power_come_back_to_one_chain() {
    run(4);
}

#[test]
fn a_box_that_signs_for_another_chain_is_kept_out() {
    run(5);
}

/// A seed gives one history: whoever replays it sees what failed.
#[test]
fn seeds_replay() {
    for seed in 0..6 {
        assert_eq!(World::new(Plan::of(seed)).run(), World::new(Plan::of(seed)).run(), "seed {seed}");
    }
}
