//! What waits say.

use std::time::Duration;

use dolmen_image_vmtest::{Pattern, VmError};

use crate::{
    program::GREETING,
    support::{BOOT_MAX, machine, signed},
};

#[test]
fn a_marker_that_never_comes_times_out_with_the_end_of_the_log() {
    let mut machine = machine("never", &signed());
    let mut running = machine.start().unwrap();
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    let error = running.wait_for_within("a marker that never comes", Duration::from_secs(2)).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, VmError::TimedOut { after, .. } if after == Duration::from_secs(2)), "{text}");
    assert!(text.contains("a marker that never comes") && text.contains(GREETING), "{text}");
    drop(running);
    let log = std::fs::read_to_string(machine.artefacts().join("boot-1.console.log")).unwrap();
    assert!(log.contains(GREETING), "{log}");
    machine.discard_artefacts();
    let artefacts = machine.artefacts().to_owned();
    drop(machine);
    assert!(!artefacts.exists());
}

#[test]
fn keys_reach_the_guest_and_it_can_switch_itself_off() {
    let mut machine = machine("keys", &signed());
    let mut running = machine.start().unwrap();
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    running.send("dolmen").unwrap();
    running.wait_for_within("dolmen", BOOT_MAX).unwrap();
    assert!(running.is_on());
    running.send("q").unwrap();
    assert!(running.wait_until_off().unwrap().success());
    assert!(!running.is_on());
    let error = running.wait_for(GREETING).unwrap_err();
    assert!(matches!(error, VmError::Ended { status, .. } if status.success()), "{error}");
    drop(running);
    machine.discard_artefacts();
}

/// Each boot's markers come anew, with their times.
#[test]
fn a_reset_boots_again() {
    let mut machine = machine("reset", &signed());
    let mut running = machine.start().unwrap();
    let starting = Pattern::regex("BdsDxe: starting (Boot[0-9A-F]{4})").unwrap();
    let first = running.wait_for_within(starting.clone(), BOOT_MAX).unwrap();
    assert!(first.group(1).starts_with("Boot"), "{first:?}");
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    running.reset().unwrap();
    let second = running.wait_for_within(starting, BOOT_MAX).unwrap();
    assert!(first.wall < second.wall && first.processor < second.processor, "{first:?} {second:?}");
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    assert_eq!(running.timings().0.len(), 4);
    assert_eq!(running.timings().to_string().lines().count(), 5);
    assert!(running.processor_time() >= second.processor && running.uptime() >= second.wall);
}

#[test]
fn a_paused_machine_does_nothing() {
    let mut machine = machine("paused", &signed());
    let mut running = machine.start().unwrap();
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    running.pause().unwrap();
    running.send("x").unwrap();
    let error = running.wait_for_within("x", Duration::from_secs(2)).unwrap_err();
    assert!(matches!(error, VmError::TimedOut { .. }), "{error}");
    running.resume().unwrap();
    running.wait_for_within("x", BOOT_MAX).unwrap();
    drop(running);
    machine.discard_artefacts();
}

/// A line that is not whole yet may become what is awaited: what is forbidden in it counts once nothing else can.
#[test]
fn a_line_is_judged_when_it_can_be() {
    let mut machine = machine("judged", &signed());
    let mut running = machine.start().unwrap();
    running.wait_for_within(GREETING, BOOT_MAX).unwrap();
    running.forbid("denied");
    running.send("denied").unwrap();
    let whole = Pattern::regex("denied$").unwrap();
    let error = running.wait_for_within(whole, Duration::from_secs(2)).unwrap_err();
    assert!(matches!(error, VmError::TimedOut { .. }), "{error}");
    let error = running.wait_for_within("allowed", BOOT_MAX).unwrap_err();
    assert!(matches!(error, VmError::Forbidden { .. }), "{error}");
    drop(running);
    machine.discard_artefacts();
}
