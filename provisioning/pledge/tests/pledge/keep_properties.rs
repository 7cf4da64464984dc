//! Whatever goes wrong for some time, with steps, answers, power and clocks, the box is well in the end.

use proptest::{collection::vec, prelude::*};

use crate::{
    house::{DAY, House, LIFE},
    machine::Trouble,
    properties::{any_answer, any_trouble},
    registrar::{Registrar, Stock},
    support::{hint, rotated, world},
};

/// What happens between two steps.
#[derive(Clone, Debug)]
enum Event {
    /// Nothing.
    None,
    /// Time passes, and the box does not notice.
    Pass(u64),
    /// The box's clock is set.
    Clock(u64),
    /// The box is told to attest.
    AttestNow,
    /// The organisation has another authority.
    Rotate(bool),
    /// The registrar has lost its journal.
    Forget,
    /// The box has other firmware, which is allowed.
    Flash,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => Just(Event::None),
        1 => (0..2 * LIFE).prop_map(Event::Pass),
        1 => prop_oneof![Just(0), any::<u64>(), 1_799_000_000..1_805_000_000_u64].prop_map(Event::Clock),
        1 => Just(Event::AttestNow),
        1 => any::<bool>().prop_map(Event::Rotate),
        1 => Just(Event::Forget),
        1 => Just(Event::Flash),
    ]
}

fn happen(house: &mut House, event: &Event) {
    match event {
        Event::None => {}
        Event::Pass(seconds) => {
            // A clock may be at its end.
            let clock = house.clock.saturating_add(*seconds);
            house.clock = 0;
            house.pass(*seconds);
            house.clock = clock.min(u64::MAX - 1000 * DAY);
        }
        Event::Clock(clock) => house.clock = (*clock).min(u64::MAX - 1000 * DAY),
        Event::AttestNow => house.keeper.attest_now(),
        Event::Rotate(back) => {
            house.registrar().authority = Some(rotated(&world().organisations[0], 0x25)).filter(|_| !back);
        }
        Event::Forget => house.registrar().certificates.clear(),
        Event::Flash => house.registrar().flashed = true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_box_is_well_in_the_end(
        script in vec((any_event(), any_trouble()), 0..80),
        stranger in any::<bool>(),
    ) {
        let mut house = House::new();
        if stranger {
            house.machine.registrars.push((hint("z"), Registrar::new(1, 0, Stock::Refused)));
        }
        for (event, trouble) in &script {
            happen(&mut house, event);
            house.step(trouble.as_ref());
        }
        // All clocks are right from now on, and nothing goes wrong any more: who is left alone is asked again within
        // hours, and a certificate of a wrong time is replaced within a third of a life.
        house.clock = house.registrar().now;
        house.live(LIFE / 3 + DAY);
        house.attest();
        house.check_well();
        let attested = house.registrar().attested.last().copied();
        prop_assert_eq!(attested, Some(house.clock));
        prop_assert!(house.machine.registrars.get(1).is_none_or(|(_, stranger)| stranger.log.is_empty()));
        // Not more than one for each thing that may have made one necessary.
        prop_assert!(house.registrar().certificates.len() <= script.len() + 4);
    }

    /// A registrar that answers anything at all, and then what it should.
    #[test]
    fn no_answer_panics(answers in vec(any_answer(), 1..40), begin in prop_oneof![Just(0), Just(LIFE / 3 * 2), Just(LIFE + 1)]) {
        let mut house = House::new();
        house.pass(begin);
        for answer in &answers {
            house.run_to(|step| matches!(step, dolmen_provisioning_pledge::Step::Send(_)));
            house.step(Some(&Trouble::Answer(answer.clone())));
        }
        house.live(2 * 3600);
        house.attest();
        house.check_well();
    }
}
