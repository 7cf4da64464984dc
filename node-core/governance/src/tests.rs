use alloy_primitives::{B256, U256, b256, keccak256};
use proptest::prelude::*;

use super::*;

#[test]
fn the_artefact_has_code_that_may_be_deployed() {
    // EIP-170, and what `contract/compile.mjs --check` compares beyond that.
    assert!((10_000..=24_576).contains(&code().len()), "{}", code().len());
}

#[test]
fn slots_of_permissions_are_those_of_a_mapping() {
    let account = Address::repeat_byte(0x11);
    let mut key = [0; 64];
    key[12..32].fill(0x11);
    assert_eq!(permission_slot(&account), U256::from_be_bytes(keccak256(key).0));
    let all = Modes { restrict_deploy: true, restrict_send: true };
    assert_eq!(Modes::from_slot(U256::from(0x0101)), all);
    assert_eq!(Modes::from_slot(U256::from(0x0100)), Modes { restrict_deploy: false, ..all });
    for (value, deploy, send) in
        [(0, false, false), (1, true, false), (2, false, true), (3, true, true), (4, true, true)]
    {
        assert_eq!(Permission::Deploy.is_in(U256::from(value)), deploy, "{value}");
        assert_eq!(Permission::Send.is_in(U256::from(value)), send, "{value}");
    }
}

#[test]
fn requests_are_hashed_as_eip_7685_says() {
    // sha256(sha256(0xd0)) and another, by Python's hashlib.
    let empty = b256!("dd850a8bb597360a14b9480306f2f7df205fbd9a9db7cfc31515d140755789d9");
    assert_eq!(requests_hash(&[]), empty);
    assert_ne!(requests_hash(&[1]), requests_hash(&[2]));
}

#[test]
fn possession_is_shown_for_one_chain_and_key() {
    let message = possession_message(7, 3, &PublicKey([9; 32]));
    assert_eq!(message.len(), 1 + 17 + 32 + 20 + 32 + 4);
    assert_eq!(message[..18], *b"\x11dolmen-possession");
    assert_eq!(message[49], 7);
    assert_eq!(message[70..], [&[9; 32][..], &[0, 0, 0, 3]].concat());
}

#[test]
fn records_are_read_as_they_were_written() {
    let validator = |byte| EpochValidator {
        key: PublicKey([byte; 32]),
        fee_recipient: Address::repeat_byte(byte),
        name: format!("box-{byte}"),
    };
    let parameters = Parameters {
        gas_limit: 30_000_000,
        base_fee_per_gas: 7,
        block_interval_min_ms: 1,
        block_interval_max_ms: 10,
        silent_after_s: 0,
    };
    let record = EpochRecord { epoch: 3, validators: (1..5).map(validator).collect(), parameters };
    assert_eq!(EpochRecord::decode(&record.encode()).unwrap(), record);
    let wrong = |change: fn(&mut EpochRecord)| {
        let mut record = record.clone();
        change(&mut record);
        EpochRecord::decode(&record.encode()).unwrap_err().to_string()
    };
    assert!(wrong(|record| record.validators.clear()).contains("number of validators"));
    assert!(wrong(|record| record.validators.swap(0, 1)).contains("order of validators"));
    assert!(wrong(|record| record.validators[1].key = PublicKey([1; 32])).contains("order of validators"));
    assert!(wrong(|record| record.parameters.gas_limit = 1).contains("gas limit"));
    assert!(wrong(|record| record.parameters.block_interval_min_ms = 11).contains("block interval"));
}

/// Each kind with some arguments.
fn changes() -> Vec<Change> {
    let key = PublicKey([5; 32]);
    let admission = Admission {
        key,
        organisation: 2,
        name: "box-5".into(),
        fee_recipient: Address::repeat_byte(5),
        endpoint: "10.0.0.5:30303".into(),
        evidence: B256::repeat_byte(6),
        possession: vec![7; 64].into(),
    };
    let account = Address::repeat_byte(3);
    vec![
        Change::AdmitOrganisation { name: "gamma".into(), account, root_certificate: vec![0x30].into() },
        Change::RemoveOrganisation { organisation: 3 },
        Change::ChangeOrganisation { organisation: 3, account, root_certificate: Bytes::new() },
        Change::AdmitFollower { admission: admission.clone(), standby: true },
        Change::AdmitValidator { admission: admission.clone() },
        Change::Promote { key },
        Change::Demote { key },
        Change::Retire { key },
        Change::Replace { retired: PublicKey([4; 32]), admission },
        Change::ChangeBox { key, fee_recipient: account, endpoint: String::new(), standby: false },
        Change::SetPolicy { kind: Kind::Retire, policy: Policy { approvals: 3, own: true, lifetime_s: 3600 } },
        Change::SetParameters(Parameters {
            gas_limit: 1_000_000,
            base_fee_per_gas: 0,
            block_interval_min_ms: 1,
            block_interval_max_ms: 2,
            silent_after_s: 5,
        }),
        Change::SetPermissionModes(Modes { restrict_deploy: true, restrict_send: false }),
        Change::SetPermission { account, bits: 3 },
    ]
}

#[test]
fn changes_are_read_as_they_were_written() {
    for (change, kind) in changes().into_iter().zip(Kind::ALL) {
        assert_eq!((change.kind(), kind.name().parse()), (kind, Ok(kind)));
        let data = change.data();
        assert_eq!(Change::decode(kind.number(), &data).unwrap(), change);
        assert!(Change::decode(kind.number(), &data[1..]).is_err(), "{kind}");
    }
    assert!(matches!(Change::decode(14, &[]), Err(ChangeError::Kind(14))));
}

#[test]
fn a_box_that_is_to_stand_by_is_decided_on_as_a_promotion() {
    for change in changes() {
        let expected =
            if matches!(change, Change::AdmitFollower { standby: true, .. }) { Kind::Promote } else { change.kind() };
        assert_eq!(change.decided_as(false), expected);
    }
    let key = PublicKey([5; 32]);
    let standby = Change::ChangeBox { key, fee_recipient: Address::ZERO, endpoint: String::new(), standby: true };
    assert_eq!(standby.decided_as(false), Kind::Promote);
    assert_eq!(standby.decided_as(true), Kind::ChangeBox);
}

#[test]
fn approvals_are_never_more_than_the_organisations() {
    let policy = |approvals| Policy { approvals, own: false, lifetime_s: 60 };
    let needed = [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (2, 1), (2, 4), (9, 4)];
    assert_eq!(needed.map(|(approvals, of)| policy(approvals).needed(of)), [1, 2, 2, 3, 3, 1, 2, 4]);
}

#[test]
fn numbers_of_the_contract_have_names() {
    assert_eq!(
        [0, 1, 2, 3, 4].map(|number| Role::from_number(number).map(Role::name)),
        [None, Some("follower"), Some("validator"), Some("retired"), None]
    );
    let names = [0, 1, 2, 3, 4, 5, 6].map(|number| Status::from_number(number).map(Status::name));
    assert_eq!(names[1..6], ["open", "executed", "rejected", "withdrawn", "expired"].map(Some));
    assert_eq!((names[0], names[6]), (None, None));
}

proptest! {
    #[test]
    fn anything_else_is_no_record(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(EpochRecord::decode(&bytes).is_err());
    }

    #[test]
    fn any_data_is_read_or_refused(kind in any::<u8>(), bytes in proptest::collection::vec(any::<u8>(), 0..1024)) {
        if let Ok(change) = Change::decode(kind, &bytes) {
            prop_assert_eq!(Change::decode(kind, &change.data()).unwrap(), change);
        }
    }
}
