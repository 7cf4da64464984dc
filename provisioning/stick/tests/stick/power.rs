//! Power goes at any time, at the box and at the registrar.

use proptest::{collection::vec, prelude::*};

use crate::{
    machine::Machine,
    site::{Desk, Progress, SERIAL, Site, Stick, carry, machine},
};

/// A TPM for all boxes of a test.
fn shared() -> &'static Machine {
    thread_local!(static MACHINE: &'static Machine = Box::leak(Box::new(machine())));
    MACHINE.with(|machine| *machine)
}

/// Ticks of a box that joins, and letters that it writes, where power goes once after so many of them.
fn join(crash: Option<usize>) -> (usize, u64, u32) {
    let machine = shared();
    let mut desk = Desk::new(machine, &[SERIAL]);
    let mut stick = desk.prepare(SERIAL);
    let mut site = Site::new(machine, SERIAL);
    site.plug(&stick);
    let (mut ticks, mut trips) = (0, 0);
    loop {
        let progress = site.tick(&mut stick);
        ticks += 1;
        assert!(ticks < 500, "{:?}", site.steps);
        if crash == Some(ticks) {
            site.restart();
            site.plug(&stick);
            continue;
        }
        match progress {
            Progress::Went => {}
            Progress::Joined => break,
            Progress::Posted => {
                trips += 1;
                desk.plug(&mut stick);
                desk.decide(SERIAL);
                desk.plug(&mut stick);
            }
        }
    }
    assert!(site.refused.is_empty() && site.pledge.last_refusal().is_none());
    assert_eq!(desk.office.registrar.state().boxes()[&site.own.serial].certificates, [site.joined().1]);
    assert_eq!(site.disk.epoch, 1);
    (ticks, site.carrier.number(), trips)
}

/// No letter is written in vain, and no trip is one more: each half of the ticks, so that no test takes long.
fn crashes(first: usize) {
    let (ticks, letters, trips) = join(None);
    assert_eq!((letters, trips), (3, 3));
    assert!(ticks > 40, "{ticks}");
    for crash in (first..ticks).step_by(2) {
        let (_, letters, trips) = join(Some(crash));
        assert_eq!((letters, trips), (3, 3), "after {crash} of {ticks}");
    }
}

#[test]
fn a_box_that_loses_power_goes_on_with_its_letters() {
    crashes(1);
}

#[test]
fn a_box_that_loses_power_goes_on_with_its_letters_too() {
    crashes(2);
}

/// The reply was signed, and never stored nor given.
#[test]
fn a_registrar_that_loses_power_answers_anew() {
    let machine = machine();
    for lost in 1..=3 {
        let mut desk = Desk::new(&machine, &[SERIAL]);
        let mut stick = desk.prepare(SERIAL);
        let mut site = Site::new(&machine, SERIAL);
        for letter in 1..=lost {
            assert_eq!(site.run(&mut stick), Progress::Posted);
            if letter < lost {
                desk.plug(&mut stick);
            }
        }
        let (before, kept) = (stick.clone(), desk.kept.clone());
        desk.plug(&mut stick);
        (stick, desk.kept) = (before, kept);
        desk.office.restart();
        let trips = carry(&mut site, &mut desk, &mut stick, 4);
        // What answers a challenge is taken once: the box begins anew.
        assert_eq!(trips, [3, 4, 1][lost - 1], "{lost}");
    }
}

/// What somebody does who does not know how it is meant.
#[derive(Clone, Debug)]
enum Deed {
    /// The stick is in the box for so many ticks.
    Box(usize),
    /// The box loses power.
    Crash,
    /// The stick is put in at the registrar.
    Registrar,
    /// The registrar is started anew.
    Restart,
    /// The chain decides.
    Decide,
    /// A stick is as it was then.
    Old(usize),
    /// A reply is damaged.
    Damage(usize),
    /// The box loses its letters.
    Forget,
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => (1..40_usize).prop_map(Deed::Box),
        2 => Just(Deed::Crash),
        5 => Just(Deed::Registrar),
        1 => Just(Deed::Restart),
        2 => Just(Deed::Decide),
        2 => any::<usize>().prop_map(Deed::Old),
        1 => any::<usize>().prop_map(Deed::Damage),
        1 => Just(Deed::Forget),
    ]
}

fn damage(stick: &mut Stick, at: usize) {
    let replies = stick.iter_mut().filter(|((_, name), _)| name.number > 0);
    for (_, message) in replies {
        let at = at % message.len();
        message[at] ^= 0x40;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Whatever is done with the stick, the box joins when it is carried as it should be.
    #[test]
    fn it_ends_well(deeds in vec(any_deed(), 0..16)) {
        let mut desk = Desk::new(shared(), &[SERIAL]);
        let mut stick = desk.prepare(SERIAL);
        let mut site = Site::new(shared(), SERIAL);
        let mut sticks = vec![stick.clone()];
        for deed in deeds {
            desk.office.now += 60;
            match deed {
                Deed::Box(ticks) => {
                    site.plug(&stick);
                    for _ in 0..ticks {
                        if site.tick(&mut stick) != Progress::Went {
                            break;
                        }
                    }
                }
                Deed::Crash => site.restart(),
                Deed::Registrar => drop(desk.try_plug(&mut stick)),
                Deed::Restart => desk.office.restart(),
                Deed::Decide => desk.decide(SERIAL),
                Deed::Old(at) => stick = sticks[at % sticks.len()].clone(),
                Deed::Damage(at) => damage(&mut stick, at),
                Deed::Forget => {
                    site.disk.letters = None;
                    site.restart();
                }
            }
            sticks.push(stick.clone());
        }
        // A clean stick, and at most: an outdated number, a challenge that is lost, and the way itself.
        if site.disk.record.is_some() {
            stick.clear();
        } else {
            stick = desk.prepare(SERIAL);
        }
        site.restart();
        desk.office.now += 600;
        carry(&mut site, &mut desk, &mut stick, 5);
        prop_assert_eq!(site.disk.epoch, 1);
        let one = &desk.office.registrar.state().boxes()[&site.own.serial];
        prop_assert!(one.certificates.contains(&site.joined().1));
    }
}
