//! Power goes at each step, before it is done or after: the next start goes on, and nothing is done twice that must not
//! be.

use crate::{
    machine::{Machine, Trouble},
    registrar::{Registrar, Stock},
    support::hint,
};

const STOCKS: [Stock; 3] = [Stock::Epoch(8), Stock::Nonce, Stock::Pinned(8)];

fn machine(stock: Stock) -> Machine {
    let mut registrar = Registrar::new(0, 0, stock);
    registrar.waits = [1; 3];
    let mut machine = Machine::new(vec![(hint("a"), registrar)]);
    machine.epoch = 7;
    machine
}

/// How many steps there are without a crash.
fn steps(stock: Stock) -> usize {
    let mut machine = machine(stock);
    let mut pledge = machine.start();
    assert!(machine.run(&mut pledge, 100));
    machine.steps.len()
}

#[test]
fn a_crash_at_any_step_is_survived() {
    for stock in STOCKS {
        let steps = steps(stock);
        assert!(steps > 30, "{steps}");
        for at in 0..steps {
            for trouble in [Trouble::CrashBefore, Trouble::CrashAfter] {
                let mut machine = machine(stock);
                let mut pledge = machine.start();
                for _ in 0..at {
                    machine.step(&mut pledge, None);
                }
                machine.step(&mut pledge, Some(&trouble));
                assert_eq!(machine.crashes, 1);
                assert!(machine.run(&mut pledge, 100), "{stock:?} {at} {trouble:?}: {:?}", machine.steps);
                machine.check_joined(&pledge, 0);
                assert_eq!(machine.raised, [8], "{stock:?} {at} {trouble:?}");
            }
        }
    }
}

/// What was stored is not asked for again.
#[test]
fn a_crash_at_every_step_is_survived() {
    for stock in STOCKS {
        for trouble in [Trouble::CrashBefore, Trouble::CrashAfter] {
            let mut machine = machine(stock);
            // Each start gets one step further than the one before.
            let mut further = 0;
            loop {
                let mut pledge = machine.start();
                if machine.run(&mut pledge, further) {
                    machine.check_joined(&pledge, 0);
                    break;
                }
                machine.step(&mut pledge, Some(&trouble));
                further += 1;
                assert!(further < 100, "{:?}", machine.steps);
            }
            assert_eq!(machine.raised, [8]);
        }
    }
}

/// Everything but waiting fails once, and is done again.
#[test]
fn a_failure_at_any_step_is_survived() {
    for stock in STOCKS {
        for at in 0..steps(stock) {
            for trouble in [Trouble::Undone, Trouble::Unsaid, Trouble::Twice] {
                let mut machine = machine(stock);
                let mut pledge = machine.start();
                for _ in 0..at {
                    machine.step(&mut pledge, None);
                }
                machine.step(&mut pledge, Some(&trouble));
                assert!(machine.run(&mut pledge, 100), "{stock:?} {at} {trouble:?}: {:?}", machine.steps);
                machine.check_joined(&pledge, 0);
            }
        }
    }
}
