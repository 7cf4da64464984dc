//! A box that is not in the genesis file: it follows the chain without a vote.

use dolmen_tests::{
    Acknowledged, BOXES, BoxInfo, Cluster, Load, PATIENCE, check_receipts, check_same_blocks, check_state, transfer,
    wait_for,
};
use serde_json::{Value, json};

/// Transfers a second to each validator: no block is empty.
const RATE: u32 = 25;
/// How far the follower is behind when it starts, in blocks. More than the 16 from which a box counts as catching up,
/// and than the 10 views for which validators keep votes and proposals: what is older it has to ask for.
const BEHIND: u64 = 50;

#[test]
fn a_follower_catches_up_from_zero_and_after_a_kill() {
    let mut cluster = Cluster::prepare(BOXES);
    let follower = cluster.add_follower("blocks");
    let mut validators = cluster.chain.clone();
    validators.boxes.truncate(BOXES);
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let load = Load::start(&validators, RATE);

    cluster.wait_for_progress(BEHIND);
    cluster.restart(follower);
    check_caught_up(&mut cluster, follower, &load.acknowledged_from(0));
    check_follower(cluster.node(follower));
    send_to(&cluster, follower);

    cluster.kill9(follower);
    let lost = cluster.heights().1;
    // The validators do not need it.
    cluster.wait_for_progress(BEHIND);
    cluster.restart(follower);
    check_caught_up(&mut cluster, follower, &load.acknowledged_from(0));
    assert!(cluster.node(follower).height() > Some(lost), "it went on after block {lost}");

    let acknowledged = load.finish(PATIENCE);
    cluster.wait_for_progress(1);
    check_receipts(&cluster.chain.boxes, &acknowledged);
    cluster.stop_all();
}

/// The follower holds all that the others do, from block zero on.
fn check_caught_up(cluster: &mut Cluster, follower: usize, acknowledged: &[Acknowledged]) {
    // Waits for every running box: the follower first reaches the others, then keeps up with them.
    cluster.wait_for_progress(5);
    cluster.wait_for_progress(5);
    let own = cluster.node(follower);
    wait_for("the follower to be ready", PATIENCE, || (own.get("/readyz").status == 200).then_some(()));
    let boxes = &cluster.chain.boxes;
    let height = cluster.heights().0;
    check_same_blocks(boxes, 0..=height);
    check_state(boxes, height, &cluster.chain.accounts[..1]);
    check_receipts(boxes, acknowledged);
}

/// What the follower says of itself.
fn check_follower(own: &BoxInfo) {
    let status = || -> Value { serde_json::from_str(&own.get("/api/v1/status").body).expect("JSON") };
    assert_eq!(status()["role"], "follower");
    assert_eq!(status()["validators"], BOXES);
    // Peers report once a second.
    wait_for("the follower to hear every validator", PATIENCE, || {
        let status = status();
        let heard = |peer: &&Value| peer["connected"] == true && peer["role"] == "validator";
        (status["peers"].as_array()?.iter().filter(heard).count() == BOXES).then_some(())
    });
}

/// A follower takes transactions for the validators, and shows the receipt.
fn send_to(cluster: &Cluster, follower: usize) {
    let (own, chain) = (cluster.node(follower), &cluster.chain);
    // An account from which the load does not send.
    let (from, to) = (&chain.accounts[BOXES], &chain.accounts[BOXES + 1]);
    let (hash, raw) = transfer(chain.chain_id, from, 0, to.address, 1);
    own.call("eth_sendRawTransaction", json!([raw]));
    wait_for("the receipt of a transfer that was sent to the follower", PATIENCE, || {
        Some(own.call("eth_getTransactionReceipt", json!([hash]))).filter(|receipt| !receipt.is_null())
    });
}
