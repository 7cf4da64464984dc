//! Boxes that fetch a state over simulated networks, by seeds: messages are lost, late and out of order, boxes are
//! killed at every write, peers vanish, are slow or silent, or lie, and the chain goes on meanwhile. In the end each
//! box has the chain's state, no honest peer was banned, and every liar that was heard was.

mod liar;
mod source;
mod world;

pub(crate) use liar::LIES;
use liar::Lie;
pub(crate) use source::{BLOCK_BYTES_MAX, EPOCHS, Random, Source};
use world::{Kind, Plan, World};

use dolmen_store::snapshot::RangeLimits;

#[test]
fn a_state_is_fetched_from_honest_peers() {
    for seed in 0..3 {
        let outcome = World::new(Plan::new(seed, vec![Kind::Honest; 3])).run();
        assert!(outcome.bans.is_empty());
        assert!(outcome.requests > 30, "{outcome:?}");
    }
}

#[test]
fn every_liar_that_is_heard_is_banned_and_named() {
    for (seed, lie) in (0..).zip(LIES) {
        // There is nobody but the liar until it is banned.
        let plan = Plan { is_first_alone: true, ..Plan::new(seed, vec![Kind::Liar(lie), Kind::Honest]) };
        let outcome = World::new(plan).run();
        assert!(outcome.lies > 0, "{lie:?} was never told");
        let fault = outcome.bans.get(&0).unwrap_or_else(|| panic!("{lie:?} was not noticed: {outcome:?}"));
        if matches!(lie, Lie::Change | Lie::Drop | Lie::Add) {
            for word in ["at block 7", "must hash to 0x", "leaves that hash to 0x"] {
                assert!(fault.contains(word) || fault.contains("what is no part"), "{fault}");
            }
        }
    }
}

#[test]
fn most_peers_may_lie() {
    for seed in 0..4_usize {
        let lie = |at: usize| Kind::Liar(LIES[(seed * 3 + at) % LIES.len()]);
        let peers = vec![lie(0), lie(1), Kind::Honest, lie(2)];
        World::new(Plan { loss: 5, ..Plan::new(seed as u64, peers) }).run();
    }
}

#[test]
fn messages_may_be_lost_late_and_out_of_order() {
    for seed in 0..3 {
        let plan = Plan { loss: 20, delay_ms: 4_000, ..Plan::new(seed, vec![Kind::Honest; 3]) };
        assert!(World::new(plan).run().bans.is_empty());
    }
}

#[test]
fn slow_silent_busy_and_flooding_peers_are_no_liars() {
    let all = [Kind::Slow, Kind::Silent, Kind::Busy, Kind::Flooding];
    for (seed, kind) in (0..).zip(all) {
        let peers = if kind == Kind::Silent { vec![kind, Kind::Honest] } else { vec![kind] };
        assert!(World::new(Plan::new(seed, peers)).run().bans.is_empty(), "{kind:?}");
    }
    let outcome = World::new(Plan::new(9, all.into_iter().chain([Kind::Honest]).collect())).run();
    assert!(outcome.bans.is_empty(), "{outcome:?}");
}

#[test]
fn peers_may_vanish_and_come_back() {
    for seed in 0..3 {
        let plan = Plan { vanishing: true, delay_ms: 900, ..Plan::new(seed, vec![Kind::Honest; 2]) };
        World::new(plan).run();
    }
}

#[test]
fn a_box_may_be_killed_at_every_write() {
    let outcome = World::new(Plan { crashes: true, blocks: 4, ..Plan::new(1, vec![Kind::Honest; 2]) }).run();
    assert!(outcome.writes > 20, "{outcome:?}");
    assert!(outcome.bans.is_empty());
}

/// The chain goes on so fast that nobody keeps a state until it is fetched: the box goes from one block to the next,
/// and what did not change stays.
#[test]
fn the_chain_may_go_on_meanwhile() {
    for seed in 0..2 {
        let plan = Plan { delay_ms: 3_000, growth: (40, 1_000), ..Plan::new(seed, vec![Kind::Honest; 2]) };
        let outcome = World::new(plan.clone()).run();
        assert!(outcome.height > 7, "the first pivot was left: {outcome:?}");
        let with_liar = vec![Kind::Honest, Kind::Liar(Lie::OtherPivot), Kind::Liar(Lie::Node)];
        World::new(Plan { peers: with_liar, crashes: seed == 1, ..plan }).run();
    }
}

/// A seed gives one history: whoever replays it sees what failed.
#[test]
fn seeds_replay() {
    let plan = || Plan {
        loss: 10,
        vanishing: true,
        growth: (8, 3_000),
        ..Plan::new(5, vec![Kind::Honest, Kind::Liar(Lie::Change), Kind::Flooding])
    };
    assert_eq!(World::new(plan()).run(), World::new(plan()).run());
}

/// A state of the usual size of parts, without the network's delays: what it costs in messages and writes.
#[test]
fn twenty_thousand_accounts_take_few_messages() {
    let source = Source::new(20_000, 20_000);
    let plan = Plan { limits: RangeLimits::STANDARD, delay_ms: 1, blocks: 3, ..Plan::new(1, vec![Kind::Honest; 4]) };
    let outcome = World::with(plan, source).run();
    assert_eq!(outcome.height, 3);
    assert!(outcome.requests < 120, "{outcome:?}");
    assert!(outcome.writes < 100, "{outcome:?}");
}
