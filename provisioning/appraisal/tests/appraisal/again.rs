//! Boxes that are looked at again.

use dolmen_hsm_evidence::Public;
use dolmen_hsm_swtpm::Swtpm;
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{
    Appraisal, Counters, Drift, Message as _, Reappraisal, Reattestation, Refusal, Verifier,
};

use crate::{
    machine::Machine,
    measured::{boot, logs},
    support::{NONCE, NOW, fresh, policy, released, serial},
};

fn registered(machine: &Machine, lines: &[(&str, &str)]) -> Verifier {
    let area = machine.enrolment(&serial()).ek_public;
    let ek = Hash::of(&Public::from_tpm2b(area.as_slice()).expect("a key").key().to_spki().expect("a key"));
    let registered = format!("{{ {} = \"{ek}\" }}", serial());
    Verifier::new(policy(&[&[("registered-eks", &registered[..])], lines].concat()), released())
}

fn enrol(verifier: &Verifier, machine: &Machine) -> Appraisal {
    let (awaiting, challenge) =
        verifier.begin(&machine.enrolment(&serial()), &serial(), fresh(), NOW).expect("its keys hold");
    awaiting.finish(&machine.respond(&challenge)).expect("its answer holds")
}

/// What becomes of a box's answer after a change to it.
fn again(
    verifier: &Verifier,
    machine: &Machine,
    appraisal: &Appraisal,
    seen: Counters,
    change: impl FnOnce(&mut Reattestation),
) -> Result<Reappraisal, Refusal> {
    let (awaiting, request) = verifier.ask(appraisal.clone(), seen, NONCE);
    let mut answer = machine.attest(&request);
    change(&mut answer);
    awaiting.finish(&Reattestation::from_json(&answer.to_json().expect("a message")).expect("what was sent"))
}

fn drift(result: Result<Reappraisal, Refusal>) -> Drift {
    match result.expect_err("the box is another") {
        Refusal::Drift(drift) => drift,
        refusal => panic!("{refusal}"),
    }
}

#[test]
fn a_box_stays_what_it_was_or_is_refused() {
    let mut machine = Machine::new(Swtpm::new(), boot());
    let verifier = registered(&machine, &[]);
    let appraisal = enrol(&verifier, &machine);
    let seen = appraisal.counters();
    let same = again(&verifier, &machine, &appraisal, seen, |_| ()).unwrap();
    assert_eq!((same.version(), same.registers()), (appraisal.version(), appraisal.registers()));
    assert_eq!((same.counters(), same.security_version()), (seen, appraisal.security_version()));

    // A boot later, and then the quote of a TPM that was started less often than it was seen.
    machine.reboot(boot());
    let later = again(&verifier, &machine, &appraisal, seen, |_| ()).unwrap();
    assert!(later.counters().resets > seen.resets, "{later:?}");
    let found = later.counters();
    let seen = Counters { resets: found.resets + 1, restarts: 0 };
    let counters = drift(again(&verifier, &machine, &appraisal, seen, |_| ()));
    assert_eq!(counters, Drift::Counters { seen, found });
    assert_eq!(counters.code(), "drift-counters");
    let seen = Counters { restarts: found.restarts + 1, ..found };
    assert_eq!(drift(again(&verifier, &machine, &appraisal, seen, |_| ())).code(), "drift-counters");

    // An old quote, another key, a log that leads elsewhere, and a claim that nothing supports.
    let code = |change: &dyn Fn(&mut Reattestation)| {
        again(&verifier, &machine, &appraisal, found, change).expect_err("it was changed").code()
    };
    let (_, old) = verifier.ask(appraisal.clone(), found, [9; 32]);
    assert_eq!(code(&|answer| answer.quote = machine.quote(&old.nonce, &old.registers)), "quote-replayed");
    let ldevid = machine.enrolment(&serial()).ldevid_public;
    assert_eq!(code(&|answer| answer.ak_public = ldevid.clone()), "ak-attributes");
    let mut other = boot();
    other.firmware.push((4, "something"));
    assert_eq!(code(&|answer| answer.logs = logs(&other, true)), "log-mismatch");
    assert_eq!(code(&|answer| answer.claim.version.patch = 1), "image-forbidden");
    let stricter = registered(&machine, &[("security-version-min", "4")]);
    let refusal = again(&stricter, &machine, &appraisal, found, |_| ()).expect_err("the policy asks for more");
    assert_eq!(refusal.code(), "security-version");

    // Other firmware: the same image runs on it, and the log says so.
    let mut flashed = boot();
    flashed.firmware[0] = (0, "newer firmware");
    machine.reboot(flashed.clone());
    let (enrolled, quoted) = (boot().value(0), flashed.value(0));
    let register = drift(again(&verifier, &machine, &appraisal, found, |_| ()));
    assert_eq!(register, Drift::Register { register: 0, enrolled, quoted });
    assert_eq!(register.code(), "drift-register");
    let loose = registered(&machine, &[("firmware-registers", "\"ignore\"")]);
    again(&loose, &machine, &appraisal, found, |_| ()).expect("the policy does not look at firmware");

    // In its initrd, where the data's key can be had. No log has the phases.
    let mut early = boot();
    early.phases.pop();
    machine.reboot(early);
    let refusal = again(&verifier, &machine, &appraisal, found, |_| ()).expect_err("it still is in its initrd");
    assert_eq!(refusal.to_string().matches("\"enter-initrd\"").count(), 1, "{refusal}");
    assert_eq!(refusal.code(), "boot-phase");
    // Before it, and after one that is not known.
    for phases in [vec![], vec!["enter-initrd", "leave-initrd", "and-more"]] {
        let mut unknown = boot();
        unknown.phases = phases;
        machine.reboot(unknown.clone());
        let logged = |answer: &mut Reattestation| answer.logs = logs(&unknown, true);
        let refusal = again(&verifier, &machine, &appraisal, found, logged).expect_err("no image leaves that");
        assert_eq!(refusal.code(), "pcr-mismatch");
    }

    // Another box, as it should be but for its TPM.
    let other = Machine::new(Swtpm::new(), boot());
    let key = drift(again(&verifier, &other, &appraisal, found, |_| ()));
    assert_eq!(key.code(), "drift-key");
    assert!(key.to_string().contains(&const_hex::encode(appraisal.ak_name())), "{key}");
}
