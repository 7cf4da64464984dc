use alloy_primitives::{address, b256};

use super::*;

fn file() -> GenesisFile {
    // These bytes repeated are points on the curve; 2 and 4 are not.
    let validator = |index: u8| Validator {
        name: format!("box-{index}"),
        public_key: PublicKey([[1, 3, 6, 9][usize::from(index) - 1]; 32]),
        fee_recipient: Address::repeat_byte(index),
        organisation: None,
        endpoint: None,
    };
    GenesisFile {
        chain_id: 1337,
        timestamp_ms: 1_790_000_000_123,
        gas_limit: 200_000_000,
        base_fee_per_gas: 1_000_000_000,
        block_interval_min_ms: 20,
        block_interval_max_ms: 500,
        block_bytes_max: 2 << 20,
        validators: (1..=4).map(validator).collect(),
        governance: Governance {
            organisations: ["alpha", "beta"]
                .into_iter()
                .zip(11..)
                .map(|(name, byte)| Organisation {
                    name: name.into(),
                    account: Address::repeat_byte(byte),
                    root_certificate: Bytes::new(),
                })
                .collect(),
            ..Default::default()
        },
        accounts: BTreeMap::from([(
            address!("0x00000000000000000000000000000000000000aa"),
            GenesisAccount { balance: U256::from(7), ..Default::default() },
        )]),
    }
}

/// What `change` makes of a good file.
fn refused(change: impl FnOnce(&mut GenesisFile)) -> String {
    let mut file = file();
    change(&mut file);
    Genesis::try_from(file).expect_err("the change must be refused").to_string()
}

#[test]
fn a_good_file_survives_json() {
    let json = serde_json::to_vec(&file()).unwrap();
    assert_eq!(Genesis::from_json(&json).unwrap().file(), &file());
}

#[test]
fn each_bad_field_is_named() {
    type Change = Box<dyn FnOnce(&mut GenesisFile)>;
    let cases: Vec<(&str, Change)> = vec![
        ("`chain_id`", Box::new(|file| file.chain_id = 0)),
        ("`chain_id`", Box::new(|file| file.chain_id = 1 << 53)),
        ("`timestamp_ms`: 0 ms", Box::new(|file| file.timestamp_ms = 0)),
        ("looks like seconds", Box::new(|file| file.timestamp_ms = 1_790_000_000)),
        ("looks like microseconds", Box::new(|file| file.timestamp_ms = 1_790_000_000_123_456)),
        ("current Unix time", Box::new(|file| file.timestamp_ms = u64::MAX)),
        ("`gas_limit`", Box::new(|file| file.gas_limit = GAS_LIMIT_MIN - 1)),
        ("`gas_limit`", Box::new(|file| file.gas_limit = GAS_LIMIT_MAX + 1)),
        ("`block_bytes_max`", Box::new(|file| file.block_bytes_max = 1)),
        ("`block_interval_min_ms`", Box::new(|file| file.block_interval_min_ms = 0)),
        ("`block_interval_max_ms`", Box::new(|file| file.block_interval_max_ms = 60_001)),
        ("above `block_interval_max_ms`", Box::new(|file| file.block_interval_min_ms = 501)),
        ("`validators`", Box::new(|file| file.validators.clear())),
        ("`validators[1].public_key`", Box::new(|file| file.validators[1].public_key = PublicKey([1; 32]))),
        ("is not an Ed25519 public key", Box::new(|file| file.validators[1].public_key = PublicKey([2; 32]))),
        ("`validators[1].fee_recipient`", Box::new(|file| file.validators[1].fee_recipient = Address::repeat_byte(1))),
        ("`validators[0].fee_recipient`", Box::new(|file| file.validators[0].fee_recipient = Address::ZERO)),
        ("`validators[2].organisation`", Box::new(|file| file.validators[2].organisation = Some("gamma".into()))),
        ("`governance.epoch_blocks`: 19", Box::new(|file| file.governance.epoch_blocks = 19)),
        ("`governance.silent_after_s`: 4", Box::new(|file| file.governance.silent_after_s = 4)),
        ("`governance.organisations[1].name`", Box::new(|file| file.governance.organisations[1].name = "alpha".into())),
        ("`governance.organisations[0].name`", Box::new(|file| file.governance.organisations[0].name.clear())),
        (
            "`governance.organisations[0].account`",
            Box::new(|file| file.governance.organisations[0].account = Address::ZERO),
        ),
        (
            "`governance.organisations[1].root_certificate`",
            Box::new(|file| file.governance.organisations[1].root_certificate = vec![0; 4097].into()),
        ),
        (
            "are the chain's own",
            Box::new(|file| {
                file.accounts.insert(address!("d01e000000000000000000000000000000000001"), GenesisAccount::default());
            }),
        ),
        ("`validators[3].name`", Box::new(|file| file.validators[3].name = "box-1".into())),
        ("`validators[2].name`", Box::new(|file| file.validators[2].name = "box 3".into())),
        ("is empty", Box::new(|file| file.accounts.values_mut().for_each(|a| a.balance = U256::ZERO))),
        (
            "add up to more",
            Box::new(|file| {
                file.accounts.insert(Address::ZERO, GenesisAccount { balance: U256::MAX, ..Default::default() });
            }),
        ),
        (
            "storage`: storage needs `code`",
            Box::new(|file| {
                file.accounts.values_mut().for_each(|account| {
                    account.storage = BTreeMap::from([(B256::ZERO, B256::repeat_byte(1))]);
                });
            }),
        ),
        (
            "the value is zero",
            Box::new(|file| {
                let storage = BTreeMap::from([(B256::ZERO, B256::ZERO)]);
                file.accounts.insert(Address::ZERO, GenesisAccount { nonce: 1, storage, ..Default::default() });
            }),
        ),
    ];
    for (expected, change) in cases {
        let message = refused(change);
        assert!(message.contains(expected), "{message:?} does not name {expected:?}");
    }
}

#[test]
fn too_many_validators_are_refused() {
    let message = refused(|file| {
        file.validators = (0..=VALIDATORS_MAX)
            .map(|index| {
                let mut key = [0; 32];
                key[0] = u8::try_from(index).unwrap();
                Validator {
                    name: format!("v{index}"),
                    public_key: PublicKey(key),
                    fee_recipient: Address::repeat_byte(0xfe),
                    organisation: None,
                    endpoint: None,
                }
            })
            .collect();
    });
    assert!(message.contains("129 boxes"), "{message}");
}

#[test]
fn unknown_and_missing_fields_are_refused() {
    let json = serde_json::to_string(&file()).unwrap();
    let unknown = json.replacen("{\"chain_id\"", "{\"colour\":1,\"chain_id\"", 1);
    assert!(matches!(Genesis::from_json(unknown.as_bytes()), Err(GenesisError::Json { .. })));
    let missing = json.replacen("\"gas_limit\":200000000,", "", 1);
    let error = Genesis::from_json(missing.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the genesis file does not have the required form");
    let trailing = json + "{}";
    assert!(matches!(Genesis::from_json(trailing.as_bytes()), Err(GenesisError::Json { .. })));
}

/// What is wrong with a good file in which `from` became `to`: the message, and that of its cause.
fn misread(from: &str, to: &str) -> (String, String) {
    let json = serde_json::to_string(&file()).unwrap();
    assert!(json.contains(from), "{json} has no {from}");
    let error = Genesis::from_json(json.replacen(from, to, 1).as_bytes()).unwrap_err();
    (error.to_string(), std::error::Error::source(&error).unwrap().to_string())
}

#[test]
fn a_wrong_form_names_the_field() {
    let (message, cause) = misread("\"gas_limit\":200000000", "\"gas_limit\":\"much\"");
    assert_eq!(message, "genesis field `gas_limit` does not have the required form");
    assert!(cause.contains("invalid type: string"), "{cause}");
    let (message, cause) = misread(&"06".repeat(32), "06");
    assert_eq!(message, "genesis field `validators[2].public_key` does not have the required form");
    assert!(cause.contains("64 hexadecimal digits"), "{cause}");
}

#[test]
fn an_account_listed_twice_is_refused() {
    let account = "0x00000000000000000000000000000000000000aa";
    let twice = format!("\"{account}\":{{\"balance\":\"0x1\"}},\"{}\"", account.replace("aa", "AA"));
    let (message, cause) = misread(&format!("\"{account}\""), &twice);
    assert!(message.contains("accounts"), "{message}");
    assert!(cause.contains("listed twice"), "{cause}");
}

/// Block zero names the chain: an accidental change of its form would split every chain from its own past.
#[test]
fn block_zero_is_frozen() {
    let genesis = Genesis::try_from(file()).unwrap();
    let block = genesis.block(B256::repeat_byte(9));
    assert_eq!(block.hash(), b256!("0x598eb3fd036934819ab94372947bc09eb619d4e5e0e6d24925f11c659f7bff61"));
}

#[test]
fn every_setting_changes_block_zero() {
    let hash = |file: GenesisFile| Genesis::try_from(file).unwrap().block(B256::ZERO).hash();
    let base = hash(file());
    let changes: [fn(&mut GenesisFile); 9] = [
        |file| file.chain_id += 1,
        |file| file.block_interval_min_ms += 1,
        |file| file.block_interval_max_ms += 1,
        |file| file.block_bytes_max += 1,
        |file| file.validators[0].fee_recipient = Address::repeat_byte(0xfe),
        |file| file.validators[0].organisation = Some("alpha".into()),
        |file| file.governance.epoch_blocks += 1,
        |file| file.governance.organisations[0].account = Address::repeat_byte(0xfd),
        |file| file.validators.swap(0, 1),
    ];
    for change in changes {
        let mut changed = file();
        change(&mut changed);
        assert_ne!(hash(changed), base);
    }
}
