//! Clocks that are wrong, that jump, or that stand still: the box attests, and does not renew without end.

use dolmen_provisioning_ca::renewal::Standing;

use crate::{
    house::{DAY, House, LIFE},
    registrar::START,
};

#[test]
fn a_clock_that_is_behind_asks_for_no_renewal() {
    let mut house = House::new();
    house.clock = 1_000;
    house.rest();
    assert_eq!(house.keeper.standing(house.clock), Standing::ClockBehind);
    house.live(3 * DAY);
    house.rest();
    assert_eq!(house.registrar().attested.len(), 4);
    assert_eq!(house.registrar().certificates.len(), 1);
    // It is set, and what is due is done.
    house.clock = START + LIFE - DAY;
    house.live(60);
    house.rest();
    assert_eq!(house.registrar().certificates.len(), 2);
    house.check_well();
}

/// By such a clock every certificate has expired: the box takes a new one, and then keeps it.
#[test]
fn a_clock_that_is_ahead_renews_once_in_a_third_of_a_life() {
    for ahead in [LIFE / 3 * 2 + DAY, 100 * LIFE] {
        let mut house = House::new();
        house.clock += ahead;
        house.rest();
        assert_eq!(house.registrar().certificates.len(), 2, "{ahead}");
        house.live(LIFE / 3 - DAY);
        house.rest();
        assert_eq!(house.registrar().certificates.len(), 2, "{ahead}");
        // By the box's certificate, as long as the registrar takes it.
        let paths = house.paths();
        assert_eq!(paths.iter().filter(|path| **path == "simplereenroll").count(), 1);
        assert!(house.registrar().attested.len() >= 3);
        // Somebody sets it.
        house.clock -= ahead;
        house.live(LIFE / 3);
        house.rest();
        assert_eq!(house.registrar().certificates.len(), 2, "{ahead}");
        house.check_well();
    }
}

/// Minute by minute between now and some years.
#[test]
fn a_clock_that_jumps_back_and_forth_renews_seldom() {
    let mut house = House::new();
    house.rest();
    let far = 3 * LIFE;
    for minute in 0..2 * DAY / 60 {
        if minute % 2 == 0 {
            house.clock += far;
        } else {
            house.clock -= far;
        }
        house.live(60);
    }
    house.rest();
    assert_eq!(house.registrar().certificates.len(), 2);
    // Each time that it was set back the box did rather too much than too little.
    let attested = house.registrar().attested.len();
    assert!((2..=2 + 2 * 24 * 60).contains(&attested), "{attested}");
}

#[test]
fn a_clock_that_stands_still_ends_nothing() {
    let mut house = House::new();
    house.rest();
    for day in 1..4 {
        let minutes = DAY / 60;
        for _ in 0..minutes {
            let clock = house.clock;
            house.live(60);
            house.clock = clock;
        }
        house.rest();
        assert_eq!(house.registrar().attested.len(), 1 + day);
    }
}

#[test]
fn a_clock_that_is_set_counts_within_a_minute() {
    let mut house = House::new();
    house.rest();
    let count = house.registrar().attested.len();
    // Back by a second behind the last attestation.
    house.clock -= 61;
    house.live(60);
    house.rest();
    assert_eq!(house.registrar().attested.len(), count + 1);
    // Ahead by a day.
    house.clock += DAY;
    house.live(60);
    house.rest();
    assert_eq!(house.registrar().attested.len(), count + 2);
    assert_eq!(house.registrar().certificates.len(), 1);
}

/// The last second that there is, and the first.
#[test]
fn no_time_is_too_late() {
    for clock in [0, u64::MAX - 200_000] {
        let mut house = House::new();
        house.clock = clock;
        house.rest();
        house.live(DAY);
        house.rest();
        assert!(house.registrar().attested.len() >= 2, "{clock}");
        assert!(house.registrar().certificates.len() <= 2, "{clock}");
    }
}
