//! Power goes, or something fails, at each step of a member's life: the next start goes on with a certificate that its
//! registrar issued for its key.

use crate::{
    house::{House, LIFE},
    machine::Trouble,
    support::{rotated, world},
};

/// How long the box was off: it attests, renews, or enrols anew.
const BEGINNINGS: [u64; 3] = [0, LIFE / 3 * 2, LIFE + 1];

fn house(begin: u64) -> House {
    let mut house = House::new();
    house.pass(begin);
    if begin > LIFE {
        house.registrar().authority = Some(rotated(&world().organisations[0], 0x25));
    }
    house
}

/// How many steps there are until the box rests.
fn steps(begin: u64) -> usize {
    let mut house = house(begin);
    house.rest();
    house.check_well();
    house.machine.steps.len()
}

#[test]
fn a_crash_at_any_step_is_survived() {
    for begin in BEGINNINGS {
        let steps = steps(begin);
        assert!(steps >= 5, "{steps}");
        for at in 0..steps {
            for trouble in [Trouble::CrashBefore, Trouble::CrashAfter] {
                let mut house = house(begin);
                for _ in 0..at {
                    house.step(None);
                }
                house.step(Some(&trouble));
                assert_eq!(house.machine.crashes, 1);
                house.rest();
                house.check_well();
                let used = house.keeper.certificate().clone();
                let newest = house.registrar().certificates.last().cloned();
                assert_eq!(Some(used), newest, "{begin} {at} {trouble:?}");
                // What was lost on its way is one at most.
                assert!(house.registrar().certificates.len() <= 3);
            }
        }
    }
}

/// Each start gets one step further than the one before.
#[test]
fn a_crash_at_every_step_is_survived() {
    for begin in BEGINNINGS {
        for trouble in [Trouble::CrashBefore, Trouble::CrashAfter] {
            let mut house = house(begin);
            for further in 0..steps(begin) {
                for _ in 0..further {
                    house.step(None);
                }
                house.step(Some(&trouble));
            }
            house.rest();
            house.check_well();
        }
    }
}

#[test]
fn a_failure_at_any_step_is_survived() {
    for begin in BEGINNINGS {
        for at in 0..steps(begin) {
            for trouble in [Trouble::Undone, Trouble::Unsaid, Trouble::Twice] {
                let mut house = house(begin);
                for _ in 0..at {
                    house.step(None);
                }
                house.step(Some(&trouble));
                house.rest();
                house.check_well();
                assert!(house.machine.waited < 300, "{begin} {at} {trouble:?}: {}", house.machine.waited);
            }
        }
    }
}

/// The certificate that the box has is used until the new one is stored.
#[test]
fn a_full_disk_keeps_the_certificate() {
    let mut house = house(LIFE / 3 * 2);
    let before = house.keeper.certificate().clone();
    house.run_to(|step| step.name() == "store");
    for _ in 0..5 {
        house.step(Some(&Trouble::Undone));
        assert_eq!(house.keeper.last_failure().map(|report| report.code()), Some("record-not-stored"));
        house.run_to(|step| step.name() == "store");
        assert_eq!(*house.keeper.certificate(), before);
    }
    assert!(house.machine.waited >= 2 + 4 + 8 + 16 + 32);
    house.rest();
    assert_ne!(*house.keeper.certificate(), before);
    assert_eq!(house.registrar().certificates.len(), 2, "none is asked for in vain");
    house.check_well();
}
