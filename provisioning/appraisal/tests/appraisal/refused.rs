//! Each reason for which a box is not taken, with TPMs that made real evidence.

use std::{error::Error as _, slice};

use dolmen_hsm_evidence::{Attributes, Moment, Public};
use dolmen_hsm_swtpm::{Maker, Swtpm};
use dolmen_image_bundle::{Hash, Manifest, SecurityVersion};
use dolmen_provisioning_appraisal::{
    Appraisal, Challenge, Enrolment, Fixed, Policy, ReferenceValues, Refusal, Response, SignedStatement, Verifier,
    activation_proof,
};

use crate::{
    machine::{Machine, with_attributes},
    measured::{boot, bytes, logs},
    support::{NONCE, NOW, fresh, manifest, policy, references, released, roots, serial},
};

/// Puts another value into a manifest.
type Change = fn(&mut Manifest, Hash);

/// Two boxes of one maker: one whose certificate says hardware, and one that says swtpm.
struct World {
    root: String,
    roots: String,
    ours: Machine,
    theirs: Machine,
}

impl World {
    fn new() -> Self {
        let maker = Maker::new();
        let ours = Machine::new(Swtpm::made_by(&maker, "id:49465800"), boot());
        let theirs = Machine::new(Swtpm::made_by(&maker, "id:00001014"), boot());
        let [root, issuer] = maker.certificates();
        Self { root: roots(slice::from_ref(&root)), roots: roots(&[root, issuer]), ours, theirs }
    }

    fn policy(&self, lines: &[(&str, &str)]) -> Policy {
        policy(&[&[("ek-roots", &self.roots[..])], lines].concat())
    }

    fn verifier(&self, lines: &[(&str, &str)]) -> Verifier {
        Verifier::new(self.policy(lines), released())
    }

    /// What becomes of our enrolment after a change to it.
    fn begin(&self, lines: &[(&str, &str)], change: impl FnOnce(&mut Enrolment)) -> Refusal {
        let mut enrolment = self.ours.enrolment(&serial());
        change(&mut enrolment);
        self.verifier(lines).begin(&enrolment, &serial(), fresh(), NOW).map(drop).expect_err("it was changed")
    }

    /// What becomes of our enrolment and its answer after a change to them.
    fn finish(
        &self,
        verifier: &Verifier,
        enrolment: impl FnOnce(&mut Enrolment),
        response: impl FnOnce(&Challenge, &mut Response),
    ) -> Result<Appraisal, Refusal> {
        let mut sent = self.ours.enrolment(&serial());
        enrolment(&mut sent);
        let (awaiting, challenge) = verifier.begin(&sent, &serial(), fresh(), NOW)?;
        let mut answer = self.ours.respond(&challenge);
        response(&challenge, &mut answer);
        awaiting.finish(&answer)
    }

    fn answer(&self, response: impl FnOnce(&Challenge, &mut Response)) -> Refusal {
        self.finish(&self.verifier(&[]), |_| (), response).expect_err("it was changed")
    }

    fn images(&self, lines: &[(&str, &str)], references: ReferenceValues) -> Refusal {
        let verifier = Verifier::new(self.policy(lines), references);
        self.finish(&verifier, |_| (), |_, _| ()).expect_err("the image is not taken")
    }
}

fn changed(change: impl FnOnce(&mut Manifest)) -> ReferenceValues {
    let mut image = manifest("1.2.0", &boot());
    change(&mut image);
    references(vec![image])
}

/// One after the other, so that two TPMs start once.
#[test]
fn what_does_not_hold_is_refused() {
    let world = World::new();
    world.finish(&world.verifier(&[]), |_| (), |_, _| ()).expect("nothing was changed");
    the_endorsement_key(&world);
    makers(&world);
    registered_keys(&world);
    the_other_keys(&world);
    activation(&world);
    quotes(&world);
    wrong_logs(&world);
    images(&world);
}

fn the_endorsement_key(world: &World) {
    let theirs = world.theirs.enrolment(&serial());
    // Another TPM's key under our certificate.
    let refusal = world.begin(&[], |enrolment| enrolment.ek_public = theirs.ek_public.clone());
    assert_eq!(refusal.code(), "ek-mismatch");
    assert!(refusal.source().is_some());
    // A chain that ends before its root, and no root at all.
    let other = Maker::new();
    drop(Swtpm::made_by(&other, "id:49465800"));
    assert_eq!(world.begin(&[("ek-roots", &world.root)], |_| ()).code(), "ek-untrusted");
    assert_eq!(world.begin(&[("ek-roots", &roots(&other.certificates()))], |_| ()).code(), "ek-untrusted");
    let enrolment = world.ours.enrolment(&serial());
    let early = world.verifier(&[]).begin(&enrolment, &serial(), fresh(), Moment::At(1_000_000_000));
    assert_eq!(early.expect_err("it is 2001").code(), "ek-untrusted");
    let refusal = world.begin(&[], |enrolment| enrolment.ek_certificate = Some(bytes(vec![0x30, 1, 2])));
    assert_eq!(refusal.code(), "ek-certificate");
    assert_eq!(world.begin(&[], |enrolment| enrolment.ek_public = bytes(vec![0; 9])).code(), "ek-key");
    // A key that decrypts for everybody.
    let restricted = Attributes::RESTRICTED.0;
    let refusal = world.begin(&[], |enrolment| enrolment.ek_public = with_attributes(&enrolment.ek_public, restricted));
    assert_eq!(refusal.code(), "credential");
}

fn makers(world: &World) {
    let theirs = world.theirs.enrolment(&serial());
    let begin = |lines: &[(&str, &str)]| world.verifier(lines).begin(&theirs, &serial(), fresh(), NOW).map(drop);
    let refusal = begin(&[]).expect_err("it is a program");
    assert_eq!(refusal.code(), "tpm-software");
    assert!(refusal.to_string().contains("swtpm"), "{refusal}");
    begin(&[("hardware-only", "false")]).expect("programs are taken too");

    let maker = Maker::new();
    let unknown = Machine::new(Swtpm::made_by(&maker, "id:444f4c4d"), boot()).enrolment(&serial());
    let trusted = roots(&maker.certificates());
    let begin = |lines: &[(&str, &str)]| {
        let policy = policy(&[&[("ek-roots", &trusted[..])], lines].concat());
        Verifier::new(policy, released()).begin(&unknown, &serial(), fresh(), NOW).map(drop)
    };
    let refusal = begin(&[]).expect_err("nobody knows the maker");
    assert_eq!(refusal.code(), "tpm-maker");
    assert!(refusal.to_string().to_ascii_lowercase().contains("id:444f4c4d"), "{refusal}");
    begin(&[("hardware-makers", "[\"id:444F4C4D\"]")]).expect("the organisation does");
}

fn registered_keys(world: &World) {
    let none = |enrolment: &mut Enrolment| enrolment.ek_certificate = None;
    assert_eq!(world.begin(&[], none).code(), "ek-unregistered");
    let ek = |machine: &Machine| {
        let area = machine.enrolment(&serial()).ek_public;
        Hash::of(&Public::from_tpm2b(area.as_slice()).expect("a key").key().to_spki().expect("a key"))
    };
    let registered = |machine| format!("{{ {} = \"{}\" }}", serial(), ek(machine));
    let (ours, theirs) = (registered(&world.ours), registered(&world.theirs));
    let lines = [("registered-eks", &ours[..]), ("without-certificate", "false")];
    assert_eq!(world.begin(&lines, none).code(), "ek-uncertified");
    // A machine has the registered key, with a certificate and without.
    let lines = [("registered-eks", &theirs[..])];
    assert_eq!(world.begin(&lines, none).code(), "ek-other");
    match world.begin(&lines, |_| ()) {
        Refusal::EkOther { registered, found, .. } => {
            assert_eq!((registered, found), (ek(&world.theirs), ek(&world.ours)));
        }
        other => panic!("{other}"),
    }
}

fn the_other_keys(world: &World) {
    let [ours, theirs] = [&world.ours, &world.theirs].map(|machine| machine.enrolment(&serial()));
    let code = |change: &dyn Fn(&mut Enrolment)| world.begin(&[], change).code();
    assert_eq!(code(&|enrolment| enrolment.ak_public = bytes(vec![0; 9])), "ak-key");
    for bit in [Attributes::RESTRICTED, Attributes::FIXED_TPM, Attributes::SIGN, Attributes::DECRYPT] {
        let area = with_attributes(&ours.ak_public, bit.0);
        assert_eq!(code(&|enrolment| enrolment.ak_public = area.clone()), "ak-attributes", "{bit:?}");
    }
    assert_eq!(code(&|enrolment| enrolment.ldevid_public = bytes(vec![0; 9])), "ldevid-key");
    let all = [
        Attributes::RESTRICTED,
        Attributes::DECRYPT,
        Attributes::FIXED_TPM,
        Attributes::FIXED_PARENT,
        Attributes::SENSITIVE_DATA_ORIGIN,
        Attributes::SIGN,
    ];
    for bit in all {
        let change =
            |enrolment: &mut Enrolment| enrolment.ldevid_public = with_attributes(&enrolment.ldevid_public, bit.0);
        assert_eq!(code(&change), "ldevid-attributes", "{bit:?}");
    }
    // An attestation key is no device key.
    assert_eq!(code(&|enrolment| enrolment.ldevid_public = enrolment.ak_public.clone()), "ldevid-attributes");
    // Another TPM's LDevID under our certification, and with its own.
    assert_eq!(code(&|enrolment| enrolment.ldevid_public = theirs.ldevid_public.clone()), "certification-other");
    let brought = |enrolment: &mut Enrolment| {
        enrolment.ldevid_public = theirs.ldevid_public.clone();
        enrolment.certification = theirs.certification.clone();
    };
    assert_eq!(code(&brought), "certification-signature");
    // Ours, certified by another attestation key.
    assert_eq!(code(&|enrolment| enrolment.ak_public = theirs.ak_public.clone()), "certification-signature");
    let other = world.ours.enrolment(&"another machine".parse().expect("a serial number"));
    assert_eq!(code(&|enrolment| enrolment.certification = other.certification.clone()), "certification-nonce");
    let quote = world.ours.quote(&Fixed(NONCE), &[7].into()).quote;
    assert_eq!(code(&|enrolment| enrolment.certification = quote.clone()), "certification-nonce");
    let empty = SignedStatement { statement: bytes(Vec::new()), signature: bytes(Vec::new()) };
    assert_eq!(code(&|enrolment| enrolment.certification = empty.clone()), "certification");
}

fn activation(world: &World) {
    let guessed = |challenge: &Challenge, response: &mut Response| {
        response.proof = activation_proof(&[0; 32], &challenge.nonce);
    };
    assert_eq!(world.answer(guessed).code(), "activation");
    let old = |_: &Challenge, response: &mut Response| {
        response.proof = activation_proof(&crate::support::SECRET, &Fixed([0; 32]));
    };
    assert_eq!(world.answer(old).code(), "activation");
    // Our certificate with another TPM's keys: ours holds no such attestation key, theirs no such endorsement key.
    let (ours, theirs) = (world.ours.enrolment(&serial()), world.theirs.enrolment(&serial()));
    let mixed = Enrolment { ek_certificate: ours.ek_certificate, ek_public: ours.ek_public, ..theirs };
    let (awaiting, challenge) = world.verifier(&[]).begin(&mixed, &serial(), fresh(), NOW).expect("so far it fits");
    for machine in [&world.ours, &world.theirs] {
        assert_eq!(machine.activate(&challenge), None, "it has not both keys");
    }
    let proof = activation_proof(&[0; 32], &challenge.nonce);
    let quote = world.theirs.quote(&challenge.nonce, &challenge.registers);
    assert_eq!(awaiting.finish(&Response { proof, quote }).expect_err("it guesses").code(), "activation");
}

fn quotes(world: &World) {
    let code = |change: &dyn Fn(&Challenge, &mut Response)| world.answer(change).code();
    let old = |challenge: &Challenge, response: &mut Response| {
        response.quote = world.ours.quote(&Fixed([9; 32]), &challenge.registers);
    };
    assert_eq!(code(&old), "quote-replayed");
    let others = |challenge: &Challenge, response: &mut Response| {
        response.quote = world.ours.quote(&challenge.nonce, &[7].into());
    };
    assert_eq!(code(&others), "quote-selection");
    // The values of all that were asked for with a quote of fewer, and the other way round.
    let fewer = |challenge: &Challenge, response: &mut Response| {
        response.quote.quote = world.ours.quote(&challenge.nonce, &[7].into()).quote;
    };
    assert_eq!(code(&fewer), "quote-selection");
    let told = |_: &Challenge, response: &mut Response| {
        response.quote.registers.insert(4, Hash::of(b"something else"));
    };
    assert_eq!(code(&told), "quote-digest");
    let theirs = |challenge: &Challenge, response: &mut Response| {
        response.quote = world.theirs.quote(&challenge.nonce, &challenge.registers);
    };
    assert_eq!(code(&theirs), "quote-signature");
    let empty = |_: &Challenge, response: &mut Response| response.quote.quote.statement = bytes(Vec::new());
    assert_eq!(code(&empty), "quote-signature");
    let unsigned = |_: &Challenge, response: &mut Response| response.quote.quote.signature = bytes(Vec::new());
    assert_eq!(code(&unsigned), "quote");
}

fn wrong_logs(world: &World) {
    let verifier = world.verifier(&[]);
    let finish =
        |change: &dyn Fn(&mut Enrolment)| world.finish(&verifier, change, |_, _| ()).expect_err("the log is another");
    let mut other = boot();
    other.firmware[8] = (4, "another kernel image");
    match finish(&|enrolment| enrolment.logs = logs(&other, true)) {
        Refusal::LogMismatch { register: 4, replayed, quoted } => {
            assert_eq!((replayed, quoted), (other.value(4), boot().value(4)));
        }
        refusal => panic!("{refusal}"),
    }
    let code = |change: &dyn Fn(&mut Enrolment)| finish(change).code();
    other = boot();
    other.firmware.swap(5, 8);
    assert_eq!(code(&|enrolment| enrolment.logs = logs(&other, true)), "log-mismatch", "another order");
    other = boot();
    other.phases.pop();
    assert_eq!(code(&|enrolment| enrolment.logs = logs(&other, true)), "log-mismatch", "one phase fewer");
    assert_eq!(code(&|enrolment| enrolment.logs.firmware = bytes(vec![1, 2, 3])), "firmware-log");
    assert_eq!(code(&|enrolment| enrolment.logs.userspace = Some(bytes(vec![1]))), "userspace-log");
}

fn images(world: &World) {
    assert_eq!(world.images(&[("versions", "[\"1.1.0\", \"1.2.1\"]")], released()).code(), "image-forbidden");
    let older = references(vec![manifest("1.1.0", &boot())]);
    assert_eq!(world.images(&[], older).code(), "image-unknown");
    let tests = changed(|image| image.test_keys = true);
    assert_eq!(world.images(&[], tests.clone()).code(), "image-test-keys");
    let verifier = Verifier::new(world.policy(&[("test-keys", "true")]), tests);
    world.finish(&verifier, |_| (), |_, _| ()).expect("the policy takes it");
    let claimed = |enrolment: &mut Enrolment| enrolment.claim.root_hash = Hash::of(b"another");
    let refusal = world.finish(&world.verifier(&[]), claimed, |_, _| ());
    assert_eq!(refusal.expect_err("the claim is another").code(), "image-root");

    let something = Hash::of(b"something else");
    let elsewhere: [(u8, Change); 3] = [
        (4, |image, value| image.measurements.pcr4 = value),
        (7, |image, value| image.measurements.pcr7 = value),
        (11, |image, value| image.measurements.pcr11.values_mut().for_each(|phase| *phase = value)),
    ];
    for (expected_register, change) in elsewhere {
        match world.images(&[], changed(|image| change(image, something))) {
            Refusal::PcrMismatch { register, expected, quoted, .. } => {
                let holds = boot().value(expected_register);
                assert_eq!((register, expected, quoted), (expected_register, something, holds));
            }
            refusal => panic!("{refusal}"),
        }
    }
    match world.images(&[("security-version-min", "4")], released()) {
        refusal @ Refusal::SecurityVersion { found, min } => {
            assert_eq!((found.get(), min.get(), refusal.code()), (3, 4, "security-version"));
        }
        refusal => panic!("{refusal}"),
    }
    let newer = changed(|image| image.security_version = SecurityVersion::LAST);
    let verifier = Verifier::new(world.policy(&[("security-version-min", "64")]), newer);
    world.finish(&verifier, |_| (), |_, _| ()).expect("it is the highest");
}
