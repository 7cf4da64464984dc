//! What is not for this box is refused, says why, and changes nothing.

use std::{cell::RefCell, error::Error, rc::Rc};

use dolmen_image_bundle::{BundleError, PartName, Sign, SigningKey};
use dolmen_image_update::{SlotName, UpdateError};

use crate::{
    images::{Image, signer, uki},
    power::updated,
    world::{State, Tpm, World, apply, updater},
};

const OTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";

fn one() -> Image {
    Image::new("1.1.0", 3)
}

fn two() -> Image {
    Image::new("2.0.0", 3)
}

/// Applies a bundle to a box, which refuses it, and is as it was.
fn refused_by(state: &State, running: &Image, bundle: &[u8], tpm: &Tpm) -> UpdateError {
    let world = World::new(state.clone());
    let error = apply(&world, running, bundle, &mut tpm.clone()).expect_err("a refusal");
    assert!(world.borrow().state == *state && world.borrow().log.is_empty(), "{error}");
    says_what_to_do(&error);
    error
}

fn refused(bundle: &[u8]) -> UpdateError {
    refused_by(&State::installed(&one()), &one(), bundle, &Tpm::default())
}

/// Cause and next step, in what it says or in what caused it.
fn says_what_to_do(error: &dyn Error) {
    let mut error = error;
    let mut text = error.to_string();
    while let Some(source) = error.source() {
        error = source;
        text += &error.to_string();
    }
    assert!(text.contains("; "), "{text}");
}

/// A bundle with another text in its manifest, signed.
fn with(image: &Image, from: &str, to: &str, key: &SigningKey) -> Vec<u8> {
    let json = String::from_utf8(image.manifest().to_json().expect("a manifest")).expect("text");
    assert!(json.contains(from), "{json}");
    let json = json.replacen(from, to, 1);
    let signature = key.sign(&[b"dolmen-image-manifest-v1\0", json.as_bytes()].concat()).expect("a signature");
    let length = u32::try_from(json.len()).expect("small").to_le_bytes();
    let mut bytes = [b"DOLMENB1", &length[..], json.as_bytes(), &signature].concat();
    bytes.resize(4096, 0);
    bytes.extend_from_slice(&image.bundle()[4096..]);
    bytes
}

#[test]
fn a_right_one_is_not_refused() {
    for bundle in [two().bundle(), with(&two(), "\"test_keys\": true", "\"test_keys\": false", &signer())] {
        let world = World::new(State::installed(&one()));
        assert_eq!(apply(&world, &one(), &bundle, &mut Tpm::default()).unwrap(), two().version);
    }
}

#[test]
fn versions_only_rise() {
    for version in ["1.0.9", "1.1.0", "1.1.0-rc.1", "0.9.0"] {
        let error = refused(&Image::new(version, 3).bundle());
        assert!(matches!(&error, UpdateError::NotNewer { found, .. } if found.to_string() == version), "{error}");
    }
    let mut same = one();
    same.version = "1.2.0".parse().unwrap();
    same.uki = uki(&same.version, 3, &same.root_hash);
    assert!(matches!(refused(&same.bundle()), UpdateError::SameRoot));
}

#[test]
fn security_versions_never_fall() {
    let error = refused(&Image::new("2.0.0", 2).bundle());
    assert!(matches!(error, UpdateError::SecurityVersion { found, floor, .. } if found.get() == 2 && floor.get() == 3));
    // The TPM knows of a later one.
    let tpm = Tpm { floor: Some(5), broken: false };
    let error = refused_by(&State::installed(&one()), &one(), &Image::new("2.0.0", 4).bundle(), &tpm);
    assert!(matches!(error, UpdateError::SecurityVersion { found, floor, .. } if found.get() == 4 && floor.get() == 5));
    let tpm = Tpm { floor: None, broken: true };
    let error = refused_by(&State::installed(&one()), &one(), &two().bundle(), &tpm);
    assert!(matches!(error, UpdateError::Floor { .. }));
}

#[test]
fn images_for_other_machines_are_refused() {
    for (from, to) in [("x86_64", "aarch64"), ("\"dolmen\"", "\"menhir\""), ("\"format\": 1", "\"format\": 2")] {
        let error = refused(&with(&two(), from, to, &signer()));
        assert!(matches!(error, UpdateError::Bundle(BundleError::Foreign { .. })), "{error:?}");
    }
}

#[test]
fn others_do_not_update_this_box() {
    let key = SigningKey::from_pem(OTHER_KEY).unwrap();
    let (ours, theirs) = (signer().public_key().fingerprint(), key.public_key().fingerprint());
    let error = refused(&with(&two(), &ours.to_string(), &theirs.to_string(), &key));
    assert!(matches!(error, UpdateError::Bundle(BundleError::Signature)), "{error:?}");
}

#[test]
fn damage_costs_nothing() {
    let right = two().bundle();
    for (at, name) in [(4096, PartName::Boot), (8200, PartName::Uki), (right.len() - 1, PartName::Root)] {
        let mut bundle = right.clone();
        bundle[at] ^= 1;
        let error = refused(&bundle);
        assert!(matches!(error, UpdateError::Bundle(BundleError::Part { name: found }) if found == name), "{error:?}");
    }
    for length in (0..right.len()).step_by(1000) {
        let error = refused(&right[..length]);
        assert!(matches!(error, UpdateError::Bundle(BundleError::Truncated(_))), "{length}: {error:?}");
    }
    let error = refused(&[&right[..], b"more"].concat());
    assert!(matches!(error, UpdateError::Bundle(BundleError::Trailing)), "{error:?}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let error = refused(&Image::with_blocks("2.0.0", 3, 257).bundle());
    assert!(matches!(error, UpdateError::SlotTooSmall { part: "root.erofs", slot: SlotName::B, room: 1_048_576, .. }));
}

/// A UKI that would start something else, or be sorted elsewhere.
#[test]
fn a_uki_says_what_its_manifest_says() {
    let (two, other) = (two(), Image::new("9.0.0", 3));
    for (wrong, expected) in [
        (uki(&other.version, 3, &two.root_hash), "version"),
        (uki(&two.version, 4, &two.root_hash), "security version"),
        (uki(&two.version, 3, &other.root_hash), "root hash"),
    ] {
        let error = refused(&Image { uki: wrong, ..two.clone() }.bundle());
        assert!(matches!(&error, UpdateError::UkiDiffers { what, .. } if *what == expected), "{error}");
    }
    let error = refused(&Image { uki: b"no image".to_vec(), ..two.clone() }.bundle());
    assert!(matches!(error, UpdateError::Uki(_)), "{error}");
    let error = refused(&Image { uki: two.uki[..two.uki.len() - 512].to_vec(), ..two }.bundle());
    assert!(matches!(error, UpdateError::Uki(_)), "{error}");
}

/// The other slot is the only one that is known to be good.
#[test]
fn an_image_on_trial_updates_nothing() {
    let world = World::new(State::installed(&one()));
    apply(&world, &one(), &two().bundle(), &mut Tpm::default()).unwrap();
    let on_trial = world.borrow().state.clone();
    let error = refused_by(&on_trial, &two(), &Image::new("3.0.0", 3).bundle(), &Tpm::default());
    assert!(matches!(error, UpdateError::OnTrial), "{error}");
}

#[test]
fn another_machines_disk_is_refused() {
    let error = refused_by(&State::installed(&one()), &Image::new("1.5.0", 3), &two().bundle(), &Tpm::default());
    assert!(matches!(error, UpdateError::NoRunningSlot(_)), "{error}");
    let mut empty = State::installed(&one());
    empty.disk.fill(0);
    assert!(matches!(refused_by(&empty, &one(), &two().bundle(), &Tpm::default()), UpdateError::Table(_)));
    // An ESP that is not mounted is an empty folder.
    let mut unmounted = State::installed(&one());
    unmounted.esp.clear();
    let error = refused_by(&unmounted, &one(), &two().bundle(), &Tpm::default());
    assert!(matches!(error, UpdateError::NoRunningUki(_)), "{error}");
    let mut full = State::installed(&one());
    (0..65).for_each(|number| full.put(&format!("EFI/Linux/dolmen_{number}.efi"), b""));
    let error = refused_by(&full, &one(), &two().bundle(), &Tpm::default());
    assert!(matches!(error, UpdateError::Entries(66)), "{error}");
}

#[test]
fn one_at_a_time() {
    let world = World::new(State::installed(&one()));
    world.borrow_mut().locked = true;
    assert!(matches!(apply(&world, &one(), &two().bundle(), &mut Tpm::default()), Err(UpdateError::Locked)));
    assert!(matches!(updater(&world, &one()).bless(&mut Tpm::default()), Err(UpdateError::Locked)));
    assert!(matches!(updater(&world, &one()).rollback(&mut Tpm::default()), Err(UpdateError::Locked)));
    assert!(updater(&world, &one()).status().is_ok());
    assert!(world.borrow().log.is_empty());
}

/// From here on the other slot may be lost, but nothing else.
fn empties_the_other_slot(world: &Rc<RefCell<World>>, running: &Image) -> UpdateError {
    let error = apply(world, running, &Image::new("3.0.0", 3).bundle(), &mut Tpm::default()).expect_err("an error");
    says_what_to_do(&error);
    let state = &mut world.borrow_mut().state;
    assert_eq!(state.entries(), [format!("dolmen_{}.efi", running.version)]);
    assert!(!state.esp.keys().any(|path| path.contains("dolmen.new")));
    assert_eq!(state.start(&[&running.boot]).expect("a start"), running.version);
    error
}

#[test]
fn a_full_esp_is_named() {
    let before = updated(&State::installed(&one()), &one(), &two());
    let used: usize = before.esp.values().map(|(_, content)| content.len()).sum();
    // Room for the running UKI and all else, and for half of a new one.
    for more in [100, 1000] {
        let world = World::new(before.clone());
        world.borrow_mut().esp_bytes = used - one().uki.len() + more;
        let error = empties_the_other_slot(&world, &two());
        assert!(matches!(error, UpdateError::EspFull(_)), "{error}");
    }
}

#[test]
fn a_disk_that_forgets_is_named() {
    let before = updated(&State::installed(&one()), &one(), &two());
    // Version 3 goes to slot A.
    for rots_at in [2 << 20, (3 << 20) + 4096] {
        let world = World::new(before.clone());
        world.borrow_mut().rots_at = Some(rots_at);
        let error = empties_the_other_slot(&world, &two());
        assert!(matches!(error, UpdateError::ReadBack { slot: SlotName::A, .. }), "{error}");
    }
    for rotten in ["EFI/BOOT/dolmen.new", "EFI/Linux/dolmen.new"] {
        let world = World::new(before.clone());
        world.borrow_mut().rotten = Some(rotten);
        let error = empties_the_other_slot(&world, &two());
        assert!(matches!(&error, UpdateError::EspReadBack(path) if path == rotten), "{error}");
    }
}
