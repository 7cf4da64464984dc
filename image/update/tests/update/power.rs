//! Power that fails anywhere, and media that fail once.

use crate::{
    images::Image,
    world::{Event, State, Tpm, World, apply, updater},
};

/// What is kept of what was not synced, from a seed: nothing, all, or some.
fn kept(seed: u64) -> impl FnMut() -> bool {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match seed {
            0 => false,
            1 => true,
            _ => state & 1 == 1,
        }
    }
}

const SEEDS: u64 = 8;

/// Boxes before an update, what is running there, and what was started before in the other slot.
fn boxes() -> Vec<(&'static str, State, Image)> {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 2));
    let fresh = State::installed(&one);
    let updated = updated(&fresh, &one, &two);
    let mut pinned = updated.clone();
    pinned.put("loader/loader.conf", b"timeout 0\ndefault dolmen_1.0.0.efi\neditor no\n");
    let mut fallen = updated.clone();
    let uki = fallen.esp.remove("efi/linux/dolmen_2.0.0.efi").expect("version 2").1;
    fallen.put("EFI/Linux/dolmen_2.0.0+0-3.efi", &uki);
    // Half of an update, of which a killed run left pieces.
    let mut killed = fresh.clone();
    for path in ["EFI/Linux/dolmen.new", "EFI/BOOT/dolmen.new", "loader/dolmen.new"] {
        killed.put(path, b"a piece");
    }
    vec![
        ("fresh", fresh, one.clone()),
        ("updated", updated, two),
        ("rolled back", pinned, one.clone()),
        ("fallen back", fallen, one.clone()),
        ("killed", killed, one),
    ]
}

/// The box after an update that was blessed.
pub(crate) fn updated(state: &State, running: &Image, to: &Image) -> State {
    let world = World::new(state.clone());
    apply(&world, running, &to.bundle(), &mut Tpm::default()).expect("an update");
    updater(&world, to).bless(&mut Tpm::default()).expect("a blessing");
    world.borrow().state.clone()
}

/// Every place at which power can fail.
fn places(log: &[Event]) -> impl Iterator<Item = usize> {
    // In the middle of the slots' sectors, which nobody looks at, some are enough.
    let of_slot = |event: &Event| matches!(event, Event::Sector(at, _) if (2 << 20..6 << 20).contains(at));
    let dull: Vec<bool> = log.windows(2).map(|pair| pair.iter().all(of_slot)).collect();
    (0..=log.len()).filter(move |at| *at == 0 || !dull.get(*at).copied().unwrap_or(false) || at % 32 == 0)
}

#[test]
fn a_box_starts_whenever_power_fails_during_an_update() {
    let three = Image::new("3.0.0", 2);
    for (name, before, running) in boxes() {
        let world = World::new(before.clone());
        apply(&world, &running, &three.bundle(), &mut Tpm::default()).unwrap();
        let log = world.borrow().log.clone();
        let old_boot = before.esp["efi/boot/bootx64.efi"].1.clone();
        let loaders = [&old_boot[..], &three.boot];
        let renamed = |event: &Event| matches!(event, Event::Rename(_, to) if to.ends_with("dolmen_3.0.0+3.efi"));
        let renamed = log.iter().position(renamed).unwrap();
        assert_eq!(before.clone().start(&loaders).unwrap(), running.version);
        for done in places(&log) {
            for seed in 0..SEEDS {
                let place = format!("{name}, power fails after {done} of {} ({seed})", log.len());
                let mut after = before.after(&log, done, &mut kept(seed));
                // What was running is untouched, all of it.
                after.has(&running.root_hash).unwrap_or_else(|error| panic!("{place}: {error}"));
                let uki = format!("efi/linux/dolmen_{}.efi", running.version);
                assert_eq!(after.esp[&uki].1, running.uki, "{place}");
                // Nor are the data.
                assert_eq!(after.disk[6 << 20..7 << 20], before.disk[6 << 20..7 << 20], "{place}");
                // And it starts, and nothing else before the last step.
                let started = after.start(&loaders).unwrap_or_else(|error| panic!("{place}: {error}"));
                let (old, new) = (started == running.version, started == three.version);
                assert!(old && done < log.len() || new && done > renamed, "{place}: {started}");
            }
        }
    }
}

#[test]
fn an_update_goes_on_after_power_failed() {
    let three = Image::new("3.0.0", 2);
    for (name, before, running) in boxes() {
        let world = World::new(before.clone());
        apply(&world, &running, &three.bundle(), &mut Tpm::default()).unwrap();
        let log = world.borrow().log.clone();
        let complete = world.borrow().state.clone();
        for done in places(&log).step_by(3) {
            let seed = done as u64 % SEEDS;
            let world = World::new(before.after(&log, done, &mut kept(seed)));
            let applied = apply(&world, &running, &three.bundle(), &mut Tpm::default());
            assert_eq!(applied.unwrap_or_else(|error| panic!("{name}, {done} ({seed}): {error}")), three.version);
            // No piece of either run is left.
            assert!(world.borrow().state.esp == complete.esp, "{name}, {done} ({seed})");
            let started = world.borrow_mut().state.start(&[&three.boot]).unwrap();
            assert_eq!(started, three.version, "{name}, {done} ({seed})");
        }
    }
}

/// The process lives on, and tidies up.
#[test]
fn a_box_starts_after_an_error_anywhere() {
    let three = Image::new("3.0.0", 2);
    for (name, before, running) in boxes() {
        let old_boot = before.esp["efi/boot/bootx64.efi"].1.clone();
        let world = World::new(before.clone());
        apply(&world, &running, &three.bundle(), &mut Tpm::default()).unwrap();
        let log = world.borrow().log.clone();
        for fails_at in places(&log).filter(|at| *at < log.len()) {
            let world = World::new(before.clone());
            world.borrow_mut().fails_at = Some(fails_at);
            let error = apply(&world, &running, &three.bundle(), &mut Tpm::default()).unwrap_err();
            assert!(error.to_string().contains("; "), "{name}, {fails_at}: {error}");
            let mut after = world.borrow().state.clone();
            after.has(&running.root_hash).unwrap();
            after.start(&[&old_boot, &three.boot]).unwrap_or_else(|error| panic!("{name}, {fails_at}: {error}"));
            // The second time it works.
            apply(&world, &running, &three.bundle(), &mut Tpm::default()).unwrap();
            assert_eq!(world.borrow_mut().state.start(&[&three.boot]).unwrap(), three.version);
        }
    }
}

#[test]
fn a_box_starts_whenever_power_fails_during_a_blessing() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 2));
    let world = World::new(State::installed(&one));
    apply(&world, &one, &two.bundle(), &mut Tpm::default()).unwrap();
    let mut before = world.borrow().state.clone();
    before.start(&[&two.boot]).unwrap();
    before.put("loader/dolmen.new", b"a piece");
    let world = World::new(before.clone());
    let mut tpm = Tpm::default();
    let blessed = updater(&world, &two).bless(&mut tpm).unwrap();
    assert_eq!((blessed.entry.unwrap().to_string().as_str(), tpm.floor), ("dolmen_2.0.0.efi", Some(2)));
    let log = world.borrow().log.clone();
    for done in 0..=log.len() {
        for seed in 0..SEEDS {
            let mut after = before.after(&log, done, &mut kept(seed));
            assert_eq!(after.start(&[&two.boot]).unwrap(), two.version, "{done} ({seed})");
            // The next start does what is left.
            let world = World::new(after);
            updater(&world, &two).bless(&mut Tpm::default()).unwrap();
            assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0.efi"]);
        }
    }
}

#[test]
fn a_box_starts_whenever_power_fails_during_a_rollback() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 2));
    let before = updated(&State::installed(&one), &one, &two);
    let world = World::new(before.clone());
    assert_eq!(updater(&world, &two).rollback(&mut Tpm::default()).unwrap(), one.version);
    let log = world.borrow().log.clone();
    for done in 0..=log.len() {
        for seed in 0..SEEDS {
            let started = before.after(&log, done, &mut kept(seed)).start(&[&two.boot]).unwrap();
            assert!(started == one.version || started == two.version && done < log.len(), "{done} ({seed})");
        }
    }
}

/// Otherwise the tests above would see every box start.
#[test]
fn a_box_with_a_changed_slot_does_not_start() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 2));
    let before = updated(&State::installed(&one), &one, &two);
    let mut state = before.clone();
    state.disk[4 << 20] ^= 1;
    assert!(state.start(&[&two.boot]).is_err());
    let mut state = before.clone();
    state.put("EFI/Linux/dolmen_2.0.0.efi", &two.uki[..two.uki.len() / 2]);
    assert!(state.start(&[&two.boot]).is_err());
    assert!(before.clone().start(&[&one.boot]).is_err());
    // Nor does one whose order of steps is another: a UKI before its slot.
    let world = World::new(State::installed(&one));
    let before = world.borrow().state.clone();
    apply(&world, &one, &two.bundle(), &mut Tpm::default()).unwrap();
    let mut log = world.borrow().log.clone();
    let renamed = log.iter().position(|event| matches!(event, Event::Rename(_, to) if to.contains("2.0.0"))).unwrap();
    let table = log.iter().position(|event| matches!(event, Event::Sector(at, _) if *at >= 7 << 20)).unwrap();
    let event = log.remove(renamed);
    log.insert(table, event);
    assert!(
        (table..log.len()).any(|done| before.after(&log, done, &mut kept(1)).start(&[&one.boot, &two.boot]).is_err())
    );
}
