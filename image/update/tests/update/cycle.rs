//! A box's life: updates, blessings, falling back, going back and forth.

use std::{cell::RefCell, io::Cursor, rc::Rc};

use dolmen_image_update::{SlotName, Tries, UpdateError};

use crate::{
    images::{Image, keys},
    power::updated,
    world::{State, Tpm, World, apply, updater},
};

fn start(world: &Rc<RefCell<World>>, images: [&Image; 3]) -> String {
    let loaders = images.map(|image| &image.boot[..]);
    world.borrow_mut().state.start(&loaders).expect("a start").to_string()
}

/// Both slots are as their images are.
fn holds(world: &Rc<RefCell<World>>, a: &Image, b: &Image) {
    let state = &world.borrow().state;
    state.has(&a.root_hash).expect("slot A");
    state.has(&b.root_hash).expect("slot B");
    assert_eq!(state.disk[2 << 20..(2 << 20) + a.root.len()], a.root);
    assert_eq!(state.disk[4 << 20..(4 << 20) + b.root.len()], b.root);
}

#[test]
fn a_box_goes_on_and_back_and_on() {
    let (one, two, three) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1), Image::new("3.0.0", 2));
    let all = [&one, &two, &three];
    let world = World::new(State::installed(&one));
    let mut tpm = Tpm::default();
    assert_eq!(start(&world, all), "1.0.0");
    assert_eq!(updater(&world, &one).bless(&mut tpm).unwrap().floor.unwrap().get(), 1);

    assert_eq!(apply(&world, &one, &two.bundle(), &mut tpm).unwrap(), two.version);
    holds(&world, &one, &two);
    assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0+3.efi"]);
    assert_eq!(start(&world, all), "2.0.0");
    assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0+2-1.efi"]);
    updater(&world, &two).bless(&mut tpm).unwrap();
    assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0.efi"]);

    assert_eq!(updater(&world, &two).rollback(&mut tpm).unwrap(), one.version);
    assert_eq!(start(&world, all), "1.0.0");
    updater(&world, &one).bless(&mut tpm).unwrap();
    holds(&world, &one, &two);
    // It stays there.
    assert_eq!(start(&world, all), "1.0.0");

    // And forth: nothing is named any more, and the newest comes first.
    assert_eq!(updater(&world, &one).rollback(&mut tpm).unwrap(), two.version);
    assert_eq!(start(&world, all), "2.0.0");
    assert_eq!(updater(&world, &two).rollback(&mut tpm).unwrap(), one.version);
    assert_eq!(start(&world, all), "1.0.0");

    // From the older one an update goes on; version 2 makes room.
    assert_eq!(apply(&world, &one, &three.bundle(), &mut tpm).unwrap(), three.version);
    holds(&world, &one, &three);
    assert_eq!(start(&world, all), "3.0.0");
    updater(&world, &three).bless(&mut tpm).unwrap();
    assert_eq!(tpm.floor, Some(2));
    let conf = world.borrow().state.esp["loader/loader.conf"].1.clone();
    assert_eq!(conf, b"timeout 0\neditor no\n");

    // Version 1 could not open the data any more.
    let error = updater(&world, &three).rollback(&mut tpm).unwrap_err();
    assert!(matches!(error, UpdateError::SecurityVersion { found, floor, .. } if (found.get(), floor.get()) == (1, 2)));
    assert_eq!(start(&world, all), "3.0.0");
}

#[test]
fn a_box_falls_back_from_what_does_not_come_up() {
    let (one, two, three) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1), Image::new("3.0.0", 1));
    let all = [&one, &two, &three];
    let world = World::new(State::installed(&one));
    let mut tpm = Tpm::default();
    apply(&world, &one, &two.bundle(), &mut tpm).unwrap();
    // Nobody blesses it.
    assert_eq!([(); 3].map(|()| start(&world, all)), ["2.0.0"; 3]);
    assert_eq!(start(&world, all), "1.0.0");
    assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0+0-3.efi"]);
    assert_eq!(updater(&world, &one).bless(&mut tpm).unwrap().entry, None);
    let error = updater(&world, &one).rollback(&mut tpm).unwrap_err();
    assert!(matches!(&error, UpdateError::NeverGood(file) if file == "dolmen_2.0.0+0-3.efi"), "{error}");
    // The same version again gets another three tries, and the next one replaces it.
    for next in [&two, &three] {
        apply(&world, &one, &next.bundle(), &mut tpm).unwrap();
        holds(&world, &one, next);
        assert_eq!(start(&world, all), next.version.to_string());
    }
    assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_3.0.0+2-1.efi"]);
}

#[test]
fn there_is_no_way_back_to_what_is_not_there() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let world = World::new(State::installed(&one));
    let error = updater(&world, &one).rollback(&mut Tpm::default()).unwrap_err();
    assert!(matches!(error, UpdateError::NothingThere(SlotName::B)), "{error}");

    let before = updated(&State::installed(&one), &one, &two);
    for damage in [2 << 20, 3 << 20, (3 << 20) + 4096] {
        let world = World::new(before.clone());
        world.borrow_mut().state.disk[damage] ^= 1;
        let error = updater(&world, &two).rollback(&mut Tpm::default()).unwrap_err();
        assert!(matches!(error, UpdateError::Damaged { slot: SlotName::A, .. }), "{error}");
        assert!(world.borrow().log.is_empty());
    }
    let world = World::new(before);
    let error = updater(&world, &two).rollback(&mut Tpm { floor: None, broken: true }).unwrap_err();
    assert!(matches!(error, UpdateError::Floor { .. }), "{error}");
}

#[test]
fn a_broken_tpm_does_not_keep_an_image_on_trial() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let world = World::new(State::installed(&one));
    apply(&world, &one, &two.bundle(), &mut Tpm::default()).unwrap();
    let error = updater(&world, &two).bless(&mut Tpm { floor: None, broken: true }).unwrap_err();
    assert!(matches!(error, UpdateError::Floor { .. }), "{error}");
    assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0.efi"]);
}

#[test]
fn the_floor_never_falls() {
    let one = Image::new("1.0.0", 3);
    for (before, after) in [(None, Some(3)), (Some(2), Some(3)), (Some(3), None), (Some(9), None)] {
        let world = World::new(State::installed(&one));
        let mut tpm = Tpm { floor: before, broken: false };
        let blessed = updater(&world, &one).bless(&mut tpm).unwrap();
        assert_eq!(blessed.floor.map(|floor| floor.get()), after);
        assert_eq!(tpm.floor, before.max(Some(3)));
        assert!(world.borrow().log.is_empty());
    }
}

#[test]
fn files_of_others_stay() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut state = State::installed(&one);
    state.put("EFI/Linux/memtest.efi", b"a tool");
    state.put("EFI/BOOT/notes.txt", b"notes");
    // Ours once, and nobody's now.
    state.put("EFI/Linux/dolmen_0.9.0+0-3.efi", b"damaged");
    state.put("EFI/Linux/dolmen_0.8.efi", &Image::new("0.8.0", 1).uki);
    let world = World::new(state.clone());
    apply(&world, &one, &two.bundle(), &mut Tpm::default()).unwrap();
    for path in ["efi/linux/memtest.efi", "efi/boot/notes.txt"] {
        assert_eq!(world.borrow().state.esp[path], state.esp[path]);
    }
    assert_eq!(world.borrow().state.entries(), ["dolmen_1.0.0.efi", "dolmen_2.0.0+3.efi", "memtest.efi"]);
}

#[test]
fn a_boot_loader_that_is_there_is_not_written_again() {
    let one = Image::new("1.0.0", 1);
    let two = Image { boot: one.boot.clone(), ..Image::new("2.0.0", 1) };
    let world = World::new(State::installed(&one));
    apply(&world, &one, &two.bundle(), &mut Tpm::default()).unwrap();
    assert!(!world.borrow().log.iter().any(|event| format!("{event:?}").contains("EFI/BOOT")));
}

#[test]
fn progress_ends_at_all() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    for new_boot in [true, false] {
        let two = if new_boot { two.clone() } else { Image { boot: one.boot.clone(), ..two.clone() } };
        let world = World::new(State::installed(&one));
        let mut reports = Vec::new();
        let mut report = |done, all| reports.push((done, all));
        updater(&world, &one).apply(&mut Cursor::new(two.bundle()), &keys(), &mut Tpm::default(), &mut report).unwrap();
        let all = 2 * two.manifest().parts_bytes() + two.root.len() as u64;
        assert!(reports.is_sorted() && reports.iter().all(|report| report.1 == all));
        assert_eq!(reports.last(), Some(&(all, all)));
    }
}

#[test]
fn status_says_what_is_where() {
    let (one, two) = (Image::new("1.0.0", 1), Image::new("2.0.0", 2));
    let world = World::new(State::installed(&one));
    let status = updater(&world, &one).status().unwrap();
    assert_eq!((status.running, status.counted, &status.slots[1].entry), (SlotName::A, false, &None));
    apply(&world, &one, &two.bundle(), &mut Tpm::default()).unwrap();
    let status = updater(&world, &two).status().unwrap();
    assert_eq!((status.running, &status.version, status.slots[0].slot), (SlotName::B, &two.version, SlotName::A));
    let [a, b] = status.slots.map(|slot| slot.entry.unwrap());
    assert_eq!(
        (a.file.as_str(), a.version, a.security_version.get(), a.tries),
        ("dolmen_1.0.0.efi", one.version, 1, None)
    );
    assert_eq!((b.file.as_str(), b.security_version.get()), ("dolmen_2.0.0+3.efi", 2));
    assert_eq!(b.tries, Some(Tries { left: 3, done: 0 }));
}
