//! Whose programs the firmware starts.

use dolmen_image_vmtest::{Certificate, Firmware, Keys, VmError};

use crate::{
    program::{GREETING, efi},
    support::{BOOT_MAX, machine, signed, with},
};

/// What EDK II says of a program that nobody vouches for.
const DENIED: &str = "Access Denied";

/// The KEK's key, which signs changes of `db` and no programs.
fn by_another() -> Certificate {
    Keys::test().expect("the keys in the source").kek
}

#[test]
fn a_signed_program_starts() {
    machine("signed", &signed()).start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
}

#[test]
fn an_unsigned_program_is_denied() {
    let mut machine = machine("unsigned", &efi());
    let mut running = machine.start().unwrap();
    running.wait_for_within(DENIED, BOOT_MAX).unwrap();
    assert!(!running.console().contains(GREETING));
}

#[test]
fn a_program_that_another_key_signed_is_denied() {
    let boot = by_another().sign(&efi()).unwrap();
    machine("other-key", &boot).start().unwrap().wait_for_within(DENIED, BOOT_MAX).unwrap();
}

#[test]
fn a_program_that_was_changed_is_denied() {
    let mut boot = signed();
    let at = boot.windows(2).position(|pair| pair == b"h\0").unwrap();
    boot[at] = b'H';
    machine("changed", &boot).start().unwrap().wait_for_within(DENIED, BOOT_MAX).unwrap();
}

#[test]
fn without_keys_an_unsigned_program_starts() {
    let firmware = Firmware::without_keys().unwrap();
    with("no-keys", firmware, &efi()).start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
}

/// A denial that nobody waits for ends the wait, with the reason; and another `db` makes another machine of it.
#[test]
fn another_db_denies_what_ours_starts() {
    let mut keys = Keys::test().unwrap();
    keys.db = vec![by_another()];
    let mut machine = with("other-db", Firmware::trusting(&keys).unwrap(), &signed());
    let error = machine.start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, VmError::Forbidden { line, .. } if line.contains(DENIED)), "{text}");
    assert!(text.contains(machine.artefacts().to_str().unwrap()) && text.contains("BdsDxe"), "{text}");

    machine.firmware_mut().enrol(&Keys::test().unwrap()).unwrap();
    machine.start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
    machine.discard_artefacts();
}

/// The firmware keeps what was written into its variables, and adds its own.
#[test]
fn variables_outlive_a_boot() {
    let mut machine = machine("variables", &signed());
    let before = machine.firmware_mut().variables().unwrap();
    machine.start().unwrap().wait_for_within(GREETING, BOOT_MAX).unwrap();
    let after = machine.firmware_mut().variables().unwrap();
    for name in ["PK", "KEK", "db"] {
        let of = |store: &dolmen_image_vmtest::VariableStore| {
            store.variables().iter().find(|variable| variable.name == name).cloned()
        };
        assert!(of(&before).is_some() && of(&before) == of(&after), "{name}");
    }
    assert!(after.variables().iter().any(|variable| variable.name == "BootOrder"));
}
