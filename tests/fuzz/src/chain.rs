//! What a box gets of its chain, and asks for: bundles and admissions.

use std::slice;

use dolmen_provisioning_bundle::{
    Admission, AdmissionExpectation, ChainBundle, Checkpoint, Expectation, Hash, Organisation, Peer,
};
use dolmen_provisioning_ca::{chain::When, cms::ContentType};

use crate::{
    Target, voucher,
    world::{WORLD, now},
};

pub(crate) const TARGETS: &[Target] = &[
    Target::new("chain_bundle", bundles, bundle).cases(1_500),
    Target::new("chain_bundle_signed", bundles, bundle_signed).cases(200),
    Target::new("chain_admission", admissions, admission),
    Target::new("chain_admission_signed", admissions, admission_signed).cases(300),
];

/// Of messages with either.
const TYPE: ContentType = ContentType::data(1 << 20);
pub(crate) const CHAIN: u64 = 7;
pub(crate) const GENESIS: [u8; 32] = [0x77; 32];
pub(crate) const APPRAISAL: [u8; 32] = [0xab; 32];

pub(crate) fn chain_bundle() -> ChainBundle {
    ChainBundle {
        serial_number: voucher::serial(),
        issued_at: now(),
        chain_id: CHAIN,
        genesis: "{\n  \"chain_id\": 7\n}\n".to_owned(),
        genesis_hash: Hash::from_bytes(GENESIS),
        checkpoint: Some(Checkpoint { height: 9, hash: Hash::from_bytes([9; 32]) }),
        peers: vec![Peer { public_key: [1; 32], address: "10.0.0.1:3000".parse().expect("an address") }],
        organisation: Organisation { id: 1, name: "Example".to_owned() },
        organisation_roots: vec![WORLD.root.certificate().clone()],
        appraisal: Some(Hash::from_bytes(APPRAISAL)),
    }
}

fn bundles() -> Vec<Vec<u8>> {
    let least = ChainBundle { checkpoint: None, peers: Vec::new(), appraisal: None, ..chain_bundle() };
    [chain_bundle(), least].into_iter().filter_map(|bundle| bundle.to_json().ok()).collect()
}

fn bundle(json: &[u8]) -> bool {
    let Ok(bundle) = ChainBundle::from_json(json) else { return false };
    let text = bundle.to_json().expect("what was read can be written");
    let again = ChainBundle::from_json(&text).expect("the same");
    assert_eq!((&again, again.to_json().expect("JSON")), (&bundle, text));
    true
}

fn bundle_signed(json: &[u8]) -> bool {
    let Some(message) = WORLD.registrar.message(TYPE, json) else { return false };
    let serial_number = voucher::serial();
    let expectation = Expectation { serial_number: &serial_number, owner: WORLD.root.certificate() };
    let Ok(verified) = ChainBundle::verify(&message, &expectation) else { return false };
    assert_eq!(verified.content(), &ChainBundle::from_json(json).expect("what is taken can be read"));
    assert_eq!(verified.content().serial_number, serial_number);
    true
}

pub(crate) fn admission_of(appraisal: Option<Hash>) -> Admission {
    Admission {
        serial_number: voucher::serial(),
        chain_id: CHAIN,
        genesis_hash: Hash::from_bytes(GENESIS),
        request: "{\"chain_id\":7,\"name\":\"box-1\"}\n".to_owned(),
        appraisal,
    }
}

fn admissions() -> Vec<Vec<u8>> {
    vec![admission_of(Some(Hash::from_bytes(APPRAISAL))).to_json().expect("JSON")]
}

fn admission(json: &[u8]) -> bool {
    let Ok(admission) = Admission::from_json(json) else { return false };
    let text = admission.to_json().expect("what was read can be written");
    let again = Admission::from_json(&text).expect("the same");
    assert_eq!((&again, again.to_json().expect("JSON")), (&admission, text));
    true
}

fn admission_signed(json: &[u8]) -> bool {
    let Some(message) = WORLD.member.message(TYPE, json) else { return false };
    let expectation = AdmissionExpectation {
        organisation: slice::from_ref(WORLD.root.certificate()),
        when: When::At(now()),
        crls: &[],
        chain_id: CHAIN,
        genesis_hash: Hash::from_bytes(GENESIS),
        appraisal: Some(Hash::from_bytes(APPRAISAL)),
    };
    let Ok(verified) = Admission::verify(&message, &expectation) else { return false };
    assert_eq!(verified.ldevid(), WORLD.member.certificate());
    assert_eq!(verified.content(), &Admission::from_json(json).expect("what is taken can be read"));
    true
}
