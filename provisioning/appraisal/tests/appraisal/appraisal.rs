//! Enrolments that hold, and what is found about their boxes.

use std::slice;

use dolmen_hsm_evidence::{HashAlgorithm, Moment, Public};
use dolmen_hsm_swtpm::{Maker, Swtpm};
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Appraisal, Message, Verifier};
use openssl::x509::X509;

use crate::{
    machine::Machine,
    measured::{boot, bytes, logs},
    support::{NOW, claim, fresh, policy, released, roots, serial},
};

/// What a whole enrolment gives, with each message sent as its text.
fn enrol(verifier: &Verifier, machine: &Machine, moment: Moment) -> Appraisal {
    fn sent<M: Message>(message: &M) -> M {
        M::from_json(&message.to_json().expect("a message")).expect("what was sent")
    }
    let enrolment = machine.enrolment(&serial());
    let (awaiting, challenge) = verifier.begin(&sent(&enrolment), &serial(), fresh(), moment).expect("its keys hold");
    let response = machine.respond(&sent(&challenge));
    awaiting.finish(&sent(&response)).expect("its answer holds")
}

#[test]
fn a_box_with_a_makers_certificate_enrols() {
    let maker = Maker::new();
    let machine = Machine::new(Swtpm::made_by(&maker, "id:49465800"), boot());
    let [root, issuer] = maker.certificates();
    let both = roots(&[root.clone(), issuer.clone()]);
    // By default TPMs are hardware: that of the tests says that it is one of Infineon's.
    let verifier = Verifier::new(policy(&[("ek-roots", &both)]), released());
    let appraisal = enrol(&verifier, &machine, NOW);

    let enrolment = machine.enrolment(&serial());
    let [ek, ak, ldevid] = [&enrolment.ek_public, &enrolment.ak_public, &enrolment.ldevid_public]
        .map(|area| Public::from_tpm2b(area.as_slice()).unwrap());
    assert_eq!(appraisal.serial(), &serial());
    assert_eq!((appraisal.version(), appraisal.root_hash()), (&claim().version, claim().root_hash));
    assert_eq!(appraisal.security_version().get(), 3);
    assert_eq!(appraisal.ek(), Hash::of(&ek.key().to_spki().unwrap()));
    assert!(appraisal.ek_certificate().is_some());
    assert_eq!(appraisal.ak_name(), ak.name());
    assert_eq!(appraisal.ldevid(), ldevid.key().to_spki().unwrap());
    let registers = |numbers: &[u8]| numbers.iter().map(|number| (*number, boot().value(*number))).collect();
    assert_eq!(appraisal.registers(), &registers(&[4, 7, 11]));
    assert_eq!(appraisal.firmware(), &registers(&[0, 1, 2, 3, 5, 6]));
    assert_ne!(appraisal.tpm_firmware(), 0);

    // The same box gives the same, and its bytes are read back.
    assert_eq!(enrol(&verifier, &machine, Moment::Any).hash(), appraisal.hash());
    assert_eq!(appraisal.hash(), Hash::from_bytes(sha256(&appraisal.to_bytes())));
    assert_eq!(Appraisal::from_bytes(&appraisal.to_bytes()).unwrap(), appraisal);

    // The box brings what leads from its certificate to the root that the policy has.
    let only_root = roots(slice::from_ref(&root));
    let verifier = Verifier::new(policy(&[("ek-roots", &only_root)]), released());
    let mut chained = machine.enrolment(&serial());
    assert_eq!(verifier.begin(&chained, &serial(), fresh(), NOW).unwrap_err().code(), "ek-untrusted");
    chained.ek_chain = vec![bytes(X509::from_pem(issuer.as_bytes()).unwrap().to_der().unwrap())];
    let (awaiting, challenge) = verifier.begin(&chained, &serial(), fresh(), NOW).unwrap();
    assert_eq!(awaiting.finish(&machine.respond(&challenge)).unwrap().hash(), appraisal.hash());

    // A box of which the firmware is not asked has nothing that could drift.
    let verifier = Verifier::new(policy(&[("ek-roots", &both), ("firmware-registers", "\"ignore\"")]), released());
    let ignored = enrol(&verifier, &machine, NOW);
    assert!(ignored.firmware().is_empty());
    assert_ne!(ignored.hash(), appraisal.hash());
}

#[test]
fn a_box_without_a_certificate_enrols_by_its_registered_key() {
    let mut machine = Machine::new(Swtpm::new(), boot());
    let enrolment = machine.enrolment(&serial());
    assert_eq!(enrolment.ek_certificate, None);
    let ek = Public::from_tpm2b(enrolment.ek_public.as_slice()).unwrap();
    let hash = Hash::of(&ek.key().to_spki().unwrap());
    let registered = format!("{{ {} = \"{hash}\" }}", serial());
    let terms = |registers| policy(&[("registered-eks", &registered), ("registers", registers)]);
    let verifier = Verifier::new(terms("[4, 7, 11]"), released());
    let appraisal = enrol(&verifier, &machine, NOW);
    assert_eq!((appraisal.ek(), appraisal.ek_certificate()), (hash, None));

    // Firmware that measures more into register 4 than it must: the policy may leave it out.
    let mut other = boot();
    other.firmware.push((4, "a setup program"));
    machine.reboot(other.clone());
    let refused = |verifier: &Verifier| {
        let (awaiting, challenge) =
            verifier.begin(&machine.enrolment(&serial()), &serial(), fresh(), NOW).expect("its keys hold");
        awaiting.finish(&machine.respond(&challenge)).map_err(|refusal| refusal.code())
    };
    assert_eq!(refused(&verifier), Err("pcr-mismatch"));
    let without = Verifier::new(terms("[7, 11]"), released());
    let appraisal = enrol(&without, &machine, NOW);
    assert_eq!(appraisal.registers().keys().copied().collect::<Vec<_>>(), [7, 11]);

    // The initrd writes no log: the verifier knows what it measures.
    let mut silent = machine.enrolment(&serial());
    silent.logs = logs(&other, false);
    // Nor does systemd log what the initrd did before it: its log is of other registers.
    let zeros = "00".repeat(32);
    let record = format!("\x1e{{\"pcr\":15,\"digests\":[{{\"hashAlg\":\"sha256\",\"digest\":\"{zeros}\"}}]}}\n");
    for userspace in [None, Some(bytes(Vec::new())), Some(bytes(record.into_bytes()))] {
        silent.logs.userspace = userspace;
        let (awaiting, challenge) = without.begin(&silent, &serial(), fresh(), NOW).unwrap();
        assert_eq!(awaiting.finish(&machine.respond(&challenge)).unwrap().hash(), appraisal.hash());
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    HashAlgorithm::Sha256.digest(&[bytes]).try_into().expect("32 bytes")
}
