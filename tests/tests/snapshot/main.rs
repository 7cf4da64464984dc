//! A box that starts from the state of a late block, which it fetches from the others.

mod liar;

use std::{fs, process::Command, thread, time::Duration};

use alloy_primitives::{Address, B256, TxKind, U256, hex, keccak256};
use dolmen_consensus::Peer;
use dolmen_tests::{
    Account, BOXES, BoxInfo, Chain, Cluster, Load, PATIENCE, call, check_receipts, check_same_blocks, check_state,
    dolmen,
    http::{RpcError, rpc_batch},
    process, transfer, wait_for,
};
use dolmen_types::{Block, Genesis};
use serde_json::{Value, json};

use liar::Liar;

/// Transfers a second to each validator: no block is empty.
const RATE: u32 = 25;
/// Accounts that the chain has beside those of the genesis, each made by a transfer.
const ACCOUNTS: u64 = 2_000;
/// Transactions in one request.
const BATCH: usize = 200;
/// Height from which on the box joins: then it can be told from one that has all blocks, since it gets 256 before the one
/// whose state it fetches, and that one is five seconds and an epoch old at most.
const OLD_ENOUGH: u64 = 660;
/// Slots of a contract, and how many a call writes. More than 256 do not come with their account.
const SLOTS: u64 = 600;
const SLOTS_A_CALL: u64 = 150;
/// Creates a contract that takes two words, and writes into so many slots from the first one on their own numbers.
const FILLER: [u8; 38] = hex!(
    // PUSH29 of the code, MSTORE, RETURN
    "7c" "602035600035" "5b8115601b57" "808055" "600101" "906001900390" "600656" "5b00" "600052" "601d6003f3"
);

/// What tells a box that fetched a state.
const FETCHED: &str = "the state is there";
/// What names a liar.
const BANNED: &str = "a peer is banned";
/// And one whose consensus began later than block zero.
const FLOOR: &str = "consensus goes on from a block that the database has";

#[test]
fn a_box_joins_from_a_snapshot_while_blocks_flow_and_it_is_killed() {
    let mut cluster = Cluster::prepare(BOXES);
    let newcomer = cluster.add_follower("snapshot");
    let mut validators = cluster.chain.clone();
    validators.boxes.truncate(BOXES);
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let contract = grow(&validators);
    let load = Load::start(&validators, RATE);
    for height in [OLD_ENOUGH / 3, OLD_ENOUGH * 2 / 3, OLD_ENOUGH] {
        cluster.wait_for_height(height);
    }

    for after_ms in [150, 600, 1_500] {
        cluster.spawn(newcomer);
        thread::sleep(Duration::from_millis(after_ms));
        cluster.kill9(newcomer);
    }
    cluster.restart(newcomer);
    check_caught_up(&mut cluster, newcomer, contract);
    let own = cluster.node(newcomer).clone();
    assert!(said(&own, FETCHED) <= 1, "it fetches one state, whole");
    let floors = said(&own, FLOOR);
    assert!(floors > 0);
    check_what_it_lacks(&own);
    let place = load.confirmed();
    send_to(&own, &validators);

    // From now on it is a box like any other.
    cluster.kill9(newcomer);
    cluster.wait_for_progress(30);
    cluster.restart(newcomer);
    check_caught_up(&mut cluster, newcomer, contract);
    assert_eq!(said(&own, FLOOR), floors, "consensus went on from where it stopped");

    cluster.stop(newcomer);
    fs::remove_dir_all(own.dir().join("data/consensus")).expect("it can be removed");
    cluster.wait_for_progress(30);
    cluster.restart(newcomer);
    check_caught_up(&mut cluster, newcomer, contract);
    assert_eq!(said(&own, FLOOR), floors + 1);
    assert!(said(&own, FETCHED) <= 1, "the database was there");

    let acknowledged = load.finish(PATIENCE);
    cluster.wait_for_progress(1);
    check_receipts(&cluster.chain.boxes, &acknowledged[place..]);
    cluster.stop_all();
    let verified = process::run(Command::new(dolmen()).args(["verify", "--config"]).arg(&own.config), PATIENCE);
    assert!(verified.status.success(), "{}", verified.output);
}

/// A peer that changes what it passes on is found out by what it says, named, and asked for nothing any more.
#[test]
fn a_lying_peer_is_caught_and_named() {
    let (mut cluster, liar) = (Cluster::prepare(BOXES), Liar::new());
    let (asked, honest, own) = (0, BOXES - 1, cluster.add_box("newcomer"));
    // The liar is all that the box has until it is found out: no other lets it in but one that is not there yet.
    let (key, address) = (liar.public_key().to_string(), liar.address());
    cluster.list(asked, &key, address);
    cluster.list(own, &key, address);
    cluster.list(honest, &cluster.public_key(own), cluster.node(own).p2p_address());
    let mut validators = cluster.chain.clone();
    validators.boxes.truncate(honest);
    (0..honest).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let contract = grow(&validators);
    let load = Load::start(&validators, RATE);
    cluster.wait_for_height(100);

    let genesis = Genesis::from_json(&fs::read(&cluster.chain.genesis).expect("it can be read")).expect("a genesis");
    let peer = |index: usize| Peer {
        public_key: cluster.public_key(index).parse().expect("a key"),
        address: cluster.node(index).p2p_address(),
    };
    let dir = cluster.dir().join("liar");
    fs::create_dir(&dir).expect("a directory can be made");
    let lying = liar.lie(&genesis, block_zero(cluster.node(asked), &genesis), &dir, peer(asked), peer(own));
    cluster.spawn(own);
    let log = || fs::read_to_string(cluster.node(own).log()).expect("the log can be read");
    let banned = || log().lines().find(|line| line.contains(BANNED)).map(str::to_owned);
    let line = wait_for("the liar to be found out", PATIENCE, banned);
    assert!(line.contains(&key) && line.contains("error="), "{line}");
    assert!(lying.end() > 0);

    cluster.spawn(honest);
    check_caught_up(&mut cluster, own, contract);
    let log = fs::read_to_string(cluster.node(own).log()).expect("the log can be read");
    assert_eq!((log.matches(BANNED).count(), log.matches(FETCHED).count()), (1, 1), "only the liar is banned");
    let acknowledged = load.finish(PATIENCE);
    cluster.wait_for_progress(1);
    check_receipts(&cluster.chain.boxes[..BOXES], &acknowledged);
    cluster.stop_all();
}

/// Block zero, as a box has it.
fn block_zero(own: &BoxInfo, genesis: &Genesis) -> Block {
    let raw = own.call("debug_getRawBlock", json!(["0x0"]));
    let raw = hex::decode(raw.as_str().expect("bytes are text")).expect("bytes");
    Block::decode(&raw, genesis.file().block_bytes_max as usize).expect("a block")
}

/// A box that is alone may begin the chain: it does not wait for ever.
#[test]
fn a_box_that_is_offered_no_state_executes_all_blocks() {
    let mut cluster = Cluster::prepare(BOXES);
    let newcomer = cluster.add_follower("snapshot");
    cluster.restart(newcomer);
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(5);
    check_same_blocks(&cluster.chain.boxes, 0..=5);
    assert_eq!((said(cluster.node(newcomer), FETCHED), said(cluster.node(newcomer), FLOOR)), (0, 0));
    cluster.stop_all();
}

/// How often a box's log says something.
fn said(own: &BoxInfo, what: &str) -> usize {
    fs::read_to_string(own.log()).expect("the log can be read").matches(what).count()
}

/// Makes accounts and a contract with many slots. Returns the contract's address.
fn grow(chain: &Chain) -> Address {
    let (rich, deployer) = (&chain.accounts[BOXES], &chain.accounts[BOXES + 1]);
    let mut all: Vec<(B256, String)> =
        (0..ACCOUNTS).map(|number| transfer(chain.chain_id, rich, number, made(number), 1 + number)).collect();
    all.push(call(chain.chain_id, deployer, 0, TxKind::Create, FILLER.to_vec(), 300_000));
    let contract = deployer.address.create(0);
    for (nonce, first) in (1..).zip((1..=SLOTS).step_by(usize::try_from(SLOTS_A_CALL).expect("few"))) {
        let input = [U256::from(first), U256::from(SLOTS_A_CALL)].map(|word| word.to_be_bytes::<32>()).concat();
        all.push(call(chain.chain_id, deployer, nonce, TxKind::Call(contract), input, 4_000_000));
    }
    let own = &chain.boxes[0];
    for part in all.chunks(BATCH) {
        let params = part.iter().map(|(_, raw)| json!([raw])).collect();
        rpc_batch(own.rpc_address(), "eth_sendRawTransaction", params).expect("the box takes them");
    }
    for place in [usize::try_from(ACCOUNTS).expect("few") - 1, all.len() - 1] {
        let receipt = wait_for("the chain to have grown", PATIENCE, || {
            Some(own.call("eth_getTransactionReceipt", json!([all[place].0]))).filter(|receipt| !receipt.is_null())
        });
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }
    contract
}

/// An account that a transfer made.
fn made(number: u64) -> Address {
    Address::from_word(keccak256(number.to_be_bytes()))
}

/// The box keeps up with the others, and has the state and the blocks that they have.
fn check_caught_up(cluster: &mut Cluster, newcomer: usize, contract: Address) {
    cluster.wait_for_progress(5);
    cluster.wait_for_progress(5);
    let own = cluster.node(newcomer);
    wait_for("the box to be ready", PATIENCE, || (own.get("/readyz").status == 200).then_some(()));
    let boxes = &cluster.chain.boxes;
    let height = cluster.heights().0;
    check_same_blocks(boxes, height.saturating_sub(50)..=height);
    let numbers = [0, 1, ACCOUNTS / 2, ACCOUNTS - 1];
    let account = |address| Account { address, private_key: B256::ZERO };
    let accounts = numbers.into_iter().map(made).chain([contract]).map(account);
    check_state(boxes, height, &accounts.collect::<Vec<_>>());
    for number in numbers {
        let balance = own.call("eth_getBalance", json!([made(number), "latest"]));
        assert_eq!(balance, format!("{:#x}", 1 + number));
    }
    for slot in [1, 2, SLOTS / 2, SLOTS] {
        let value = own.call("eth_getStorageAt", json!([contract, format!("{slot:#x}"), "latest"]));
        assert_eq!(value, format!("{slot:#066x}"), "slot {slot}");
    }
    let code = |own: &BoxInfo| own.call("eth_getCode", json!([contract, "latest"]));
    assert_eq!(code(own), code(&boxes[0]));
}

/// It has block zero, and says so where it is asked for what it never had.
fn check_what_it_lacks(own: &BoxInfo) {
    let block = |number: &str| own.call("eth_getBlockByNumber", json!([number, false]));
    assert!(block("0x0")["hash"].is_string());
    assert_eq!(block("0x1"), Value::Null, "it executed all blocks");
    let logs = own.rpc("eth_getLogs", json!([{"fromBlock": "0x1", "toBlock": "latest"}]));
    let is_refused = matches!(&logs, Err(RpcError::Refused { message, .. }) if message.contains("block 1 is not kept"));
    assert!(is_refused, "{logs:?}");
}

/// It takes transactions for the validators, and shows the receipt.
fn send_to(own: &BoxInfo, chain: &Chain) {
    let (from, to) = (&chain.accounts[BOXES + 2], &chain.accounts[BOXES + 3]);
    let (hash, raw) = transfer(chain.chain_id, from, 0, to.address, 1);
    own.call("eth_sendRawTransaction", json!([raw]));
    wait_for("the receipt of a transfer that was sent to the new box", PATIENCE, || {
        Some(own.call("eth_getTransactionReceipt", json!([hash]))).filter(|receipt| !receipt.is_null())
    });
}
