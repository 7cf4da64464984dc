//! Boxes in a simulated network and a runtime without real time: a seed says what happens to them, and says it again when
//! it is replayed. Links are slow and lose messages, boxes crash and come back, are cut off, lose power all at once, and one
//! of them may lie. Four of them vote at first, of which one may be faulty; or seven, of which one lies and one dies.
//!
//! `DOLMEN_SIM_SEEDS` seeds from `DOLMEN_SIM_FIRST` on are run, by each test its part of them: four seats play each seed,
//! seven every fifth. A failing seed is named.

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

/// Runs those seeds that leave this remainder.
fn run(plan: fn(u64) -> Plan, divisor: u64, remainder: u64) {
    let (first, count) = (number("DOLMEN_SIM_FIRST", 0), number("DOLMEN_SIM_SEEDS", SEEDS));
    for seed in (first..first + count).filter(|seed| seed % divisor == remainder) {
        let plan = plan(seed);
        eprintln!("seed {seed}: {plan:?}");
        World::new(plan).run();
    }
}

/// Four seats, every sixth seed: those of one kind of trouble.
fn run_four(part: u64) {
    run(Plan::of_four, 6, part);
}

/// Seven seats, every fifth seed and of those every third: those of one kind of liar.
fn run_seven(part: u64) {
    run(Plan::of_seven, 15, 5 * part);
}

#[test]
fn boxes_that_crash_come_back_to_one_chain() {
    run_four(0);
}

#[test]
fn boxes_that_are_cut_off_come_back_to_one_chain() {
    run_four(1);
}

#[test]
fn a_box_that_equivocates_forks_nothing() {
    run_four(2);
}

#[test]
fn a_box_that_sends_anything_stops_nothing() {
    run_four(3);
}

/// All lose power at once, and with it what was not synced; some of that is there after all, torn.
#[test]
fn boxes_that_all_lose_power_come_back_to_one_chain() {
    run_four(4);
}

#[test]
fn a_box_that_signs_for_another_chain_is_kept_out() {
    run_four(5);
}

#[test]
fn of_seven_boxes_one_dies_and_one_equivocates() {
    run_seven(0);
}

#[test]
fn of_seven_boxes_one_dies_and_one_sends_anything() {
    run_seven(1);
}

#[test]
fn of_seven_boxes_one_dies_and_one_signs_for_another_chain() {
    run_seven(2);
}

/// A seed gives one history: whoever replays it sees what failed.
#[test]
fn seeds_replay() {
    for plan in (0..6).map(Plan::of_four).chain([Plan::of_seven(0)]) {
        assert_eq!(World::new(plan.clone()).run(), World::new(plan.clone()).run(), "{plan:?}");
    }
}
