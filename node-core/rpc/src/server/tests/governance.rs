//! The `dolmen` namespace.

use alloy_sol_types::SolCall as _;
use dolmen_governance::{ADDRESS, Change, Kind, Modes, Parameters, contract, requests_hash};

use super::*;
use crate::testing::{EPOCH_BLOCKS, FEE_RECIPIENT, VALIDATOR};

const GENESIS_TIME: u64 = 1_700_000_000;

fn vote(id: u64, approve: bool) -> Bytes {
    contract::voteCall { id: U256::from(id), approve }.abi_encode().into()
}

fn parameters(gas_limit: u64) -> Change {
    Change::SetParameters(Parameters {
        gas_limit,
        base_fee_per_gas: BASE_FEE,
        block_interval_min_ms: 10,
        block_interval_max_ms: 1000,
        silent_after_s: 60,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn members_boxes_policies_and_permissions() {
    let chain = Chain::governed(Default::default());
    let (server, _registry) = chain.serve();
    let organisations = result(&server, "dolmen_organisations", json!([])).await;
    assert_eq!(
        organisations[0],
        json!({"id": "0x1", "name": "alpha", "account": chain.sender(), "rootCertificate": "0x"})
    );
    assert_eq!((&organisations[1]["name"], organisations.as_array().unwrap().len()), (&json!("beta"), 2));

    let boxes = result(&server, "dolmen_boxes", json!(["0x0"])).await;
    let own = json!({
        "publicKey": B256::from(VALIDATOR.0),
        "name": "box",
        "organisation": "0x1",
        "role": "validator",
        "votes": true,
        "standby": false,
        "since": "0x0",
        "feeRecipient": FEE_RECIPIENT,
        "endpoint": "",
        "evidence": B256::ZERO,
        "lastProposed": U256::from(GENESIS_TIME),
    });
    assert_eq!(boxes, json!([own]));

    let policies = result(&server, "dolmen_policies", json!([])).await;
    let names: Vec<_> = policies.as_array().unwrap().iter().map(|policy| policy["kind"].clone()).collect();
    assert_eq!(names, Kind::ALL.map(|kind| json!(kind.name())));
    let promote = &policies[usize::from(Kind::Promote.number())];
    assert_eq!(
        *promote,
        json!({"kind": "promote", "approvals": "0x0", "needed": "0x2", "own": false, "lifetimeSeconds": "0x93a80"})
    );
    assert_eq!(policies[usize::from(Kind::AdmitFollower.number())]["own"], true);

    let modes = result(&server, "dolmen_permissions", json!([])).await;
    assert_eq!(modes, json!({"restrictDeploy": false, "restrictSend": false, "account": null}));
    let change = Change::SetPermissionModes(Modes { restrict_deploy: true, restrict_send: false });
    chain.commit(&[chain.govern(0, 0, change.propose()), chain.govern(1, 0, vote(1, true))]);
    let of = async |account: Address| result(&server, "dolmen_permissions", json!([account])).await["account"].clone();
    let member = of(chain.sender()).await;
    assert_eq!(
        (&member["organisation"], &member["deploy"], &member["mayDeploy"]),
        (&json!(true), &json!(false), &json!(true))
    );
    let other = of(NUMBER).await;
    assert_eq!((&other["maySend"], &other["mayDeploy"]), (&json!(true), &json!(false)));
    // Before the change.
    let before = result(&server, "dolmen_permissions", json!([NUMBER, "0x0"])).await;
    assert_eq!(before["account"]["mayDeploy"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_from_its_proposal_to_the_epoch_that_it_begins_with() {
    let chain = Chain::governed(Default::default());
    let (server, _registry) = chain.serve();
    let pending = result(&server, "dolmen_pending", json!([])).await;
    assert_eq!(
        (&pending["changes"], &pending["parameters"], &pending["held"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    assert_eq!((&pending["epoch"], &pending["firstBlock"]), (&json!("0x1"), &json!("0x14")));
    assert_eq!(result(&server, "dolmen_proposals", json!([])).await, json!([]));
    assert_eq!(result(&server, "dolmen_proposal", json!(["0x1"])).await, Value::Null);

    chain.commit(&[chain.govern(0, 0, parameters(20_000_000).propose())]);
    let open = result(&server, "dolmen_proposal", json!(["0x1"])).await;
    assert_eq!((&open["kind"], &open["status"]), (&json!("set-parameters"), &json!("open")));
    assert_eq!((&open["approvals"], &open["needed"], &open["decided"]), (&json!("0x1"), &json!("0x2"), &Value::Null));
    assert_eq!(open["votes"], json!([{"organisation": "0x1", "approve": true}]));
    assert_eq!(open["change"]["gasLimit"], "0x1312d00");
    assert_eq!(open["data"], json!(parameters(20_000_000).data()));

    chain.commit(&[chain.govern(1, 0, vote(1, true)), chain.govern(0, 1, parameters(1).propose())]);
    let executed = result(&server, "dolmen_proposal", json!(["0x1"])).await;
    assert_eq!(
        (&executed["status"], &executed["decided"], &executed["needed"]),
        (&json!("executed"), &json!("0x2"), &Value::Null)
    );
    assert_eq!(result(&server, "dolmen_proposal", json!(["0x1", "0x1"])).await, open, "as it stood in block 1");
    let listed = result(&server, "dolmen_proposals", json!([])).await;
    assert_eq!((&listed[0]["id"], &listed[1]["id"]), (&json!("0x2"), &json!("0x1")), "the newest first");
    assert_eq!(listed[0].get("votes"), None);
    let page = result(&server, "dolmen_proposals", json!(["0x1", "0x1"])).await;
    assert_eq!((page.as_array().unwrap().len(), &page[0]["id"]), (1, &json!("0x1")));
    let (code, message) = error(&server, "dolmen_proposals", json!([null, "0x65"])).await;
    assert!(code == -32602 && message.contains("at most 100"), "{message}");

    let pending = result(&server, "dolmen_pending", json!([])).await;
    assert_eq!((&pending["changes"], &pending["parameters"]["gasLimit"]), (&json!(true), &json!("0x1312d00")));
    assert_eq!(result(&server, "dolmen_epoch", json!([])).await["parameters"]["gasLimit"], "0xf42400");

    (3..EPOCH_BLOCKS - 1).for_each(|_| drop(chain.commit(&[])));
    assert_eq!(result(&server, "dolmen_certificate", json!(["0x3"])).await, Value::Null);
    let last = chain.commit_certified(&[]);
    let epoch = result(&server, "dolmen_epoch", json!([])).await;
    assert_eq!((&epoch["number"], &epoch["parameters"]["gasLimit"]), (&json!("0x1"), &json!("0x1312d00")));
    assert_eq!((&epoch["firstBlock"], &epoch["lastBlock"]), (&json!("0x14"), &json!("0x27")));
    let record: Bytes = serde_json::from_value(epoch["record"].clone()).unwrap();
    assert_eq!(last.header().requests_hash, Some(requests_hash(&record)));
    let certificate = &epoch["certificate"];
    assert_eq!((&certificate["block"], &certificate["blockHash"]), (&json!("0x13"), &json!(last.hash())));
    assert_eq!((&certificate["epoch"], &certificate["parentView"]), (&json!("0x0"), &json!("0x12")));
    assert_eq!(certificate["signatures"][0]["publicKey"], json!(B256::from(VALIDATOR.0)));
    let rlp: Bytes = serde_json::from_value(certificate["rlp"].clone()).unwrap();
    assert_eq!(dolmen_types::Certificate::decode(&rlp).unwrap().block, last.hash());
    // One of an epoch's blocks proves those before it.
    assert_eq!(result(&server, "dolmen_certificate", json!(["0x3"])).await, *certificate);
    assert_eq!(result(&server, "dolmen_certificate", json!([last.hash()])).await, *certificate);
    assert_eq!(result(&server, "dolmen_epoch", json!(["0x0"])).await["certificate"], Value::Null);
    assert_eq!(result(&server, "dolmen_epoch", json!(["0x2"])).await, Value::Null);
    chain.commit(&[]);
    for unproven in ["0x14", "latest", "0x63"] {
        assert_eq!(result(&server, "dolmen_certificate", json!([unproven])).await, Value::Null, "{unproven}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waits_for_the_end_of_the_epoch_is_told() {
    let chain = Chain::governed(Default::default());
    let (server, _registry) = chain.serve();
    let change = Change::ChangeBox {
        key: VALIDATOR,
        fee_recipient: Address::repeat_byte(0xfd),
        endpoint: "10.0.0.1:30303".to_owned(),
        standby: false,
    };
    // An organisation decides this about its own boxes.
    chain.commit(&[chain.govern(0, 0, change.propose())]);
    assert_eq!(result(&server, "dolmen_proposal", json!(["0x1"])).await["status"], "executed");
    let pending = result(&server, "dolmen_pending", json!([])).await;
    assert_eq!(
        pending["feeRecipients"],
        json!([{
            "publicKey": B256::from(VALIDATOR.0),
            "name": "box",
            "from": FEE_RECIPIENT,
            "to": Address::repeat_byte(0xfd),
        }])
    );
    assert_eq!((&pending["joining"], &pending["leaving"], &pending["silent"]), (&json!([]), &json!([]), &json!([])));
    assert_eq!(result(&server, "dolmen_boxes", json!([])).await[0]["endpoint"], "10.0.0.1:30303");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_nobody_governs_says_so() {
    let chain = Chain::new(Default::default());
    let (server, _registry) = chain.serve();
    let none = (-32000, "this chain has no governance contract".to_owned());
    for method in ["dolmen_epoch", "dolmen_organisations", "dolmen_boxes", "dolmen_proposals", "dolmen_pending"] {
        assert_eq!(error(&server, method, json!([])).await, none, "{method}");
    }
    assert_eq!(result(&server, "dolmen_certificate", json!(["0x0"])).await, Value::Null);
    assert_eq!(result(&server, "eth_getCode", json!([ADDRESS])).await, "0x");
}
