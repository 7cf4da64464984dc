//! Members of a consortium change who runs their chain, with `dolmen gov` alone; then somebody who has the genesis file
//! and the answers of one box checks every epoch.

use std::{fs, process::Command, time::Instant};

use alloy_consensus::Header;
use alloy_primitives::{B256, hex, keccak256};
use alloy_rlp::Decodable as _;
use dolmen_governance::{EpochRecord, requests_hash};
use dolmen_tests::{
    BOXES, BoxInfo, Cluster, Load, Members, PATIENCE, check_receipts, check_same_blocks, dolmen, process,
    proposal_number, quantity, validators, wait_for,
};
use dolmen_types::{Certificate, PublicKey};
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use serde_json::{Value, json};

/// The fewest that a chain may have: epochs end often, and certificates of many are checked.
const EPOCH_BLOCKS: u64 = 20;
/// The least that a chain may have.
const SILENT_AFTER_S: u64 = 5;
const NEWCOMER: &str = "newcomer";
/// Where the newcomer's fees go, by which its blocks are known.
const FEES: &str = "0x00000000000000000000000000000000000000f5";

#[test]
fn members_change_who_runs_their_chain() {
    let mut cluster = Cluster::prepare_with(BOXES, &["--epoch-blocks", &EPOCH_BLOCKS.to_string()]);
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let members = Members::asking(&cluster, 0);
    let newcomer = admit(&mut cluster, &members, NEWCOMER, 0, FEES);
    stand_by(&members);
    promote(&mut cluster, &members, newcomer);
    retire(&mut cluster, &members, BOXES - 1);
    check_what_people_see(&members);
    cluster.wait_for_progress(3);
    let sizes = check_from_outside(&cluster, cluster.node(0));
    assert!(sizes.contains(&(BOXES + 1)) && sizes.last() == Some(&BOXES), "{sizes:?}");
    cluster.stop_all();
}

/// Four new boxes take the places of the four old ones, of which one is dead, while all that is sent is executed.
#[test]
fn every_validator_is_replaced_under_load() {
    let mut cluster = Cluster::prepare_with(BOXES, &["--epoch-blocks", &EPOCH_BLOCKS.to_string()]);
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let names: Vec<String> = (0..BOXES).map(|index| format!("new-{index}")).collect();
    let fees = |index: usize| format!("0x00000000000000000000000000000000000000e{index:x}");
    let members = Members::asking(&cluster, 0);
    let new: Vec<usize> =
        (0..BOXES).map(|index| admit(&mut cluster, &members, &names[index], index, &fees(index))).collect();
    // The members' accounts vote; others pay.
    let mut chain = cluster.chain.clone();
    chain.boxes = new.iter().map(|index| cluster.node(*index).clone()).collect();
    chain.accounts.drain(..BOXES);
    let load = Load::start(&chain, 25);
    cluster.kill9(BOXES - 1);
    // The dead one goes first: with five to vote and one dead, a newcomer that is dead too would end the chain.
    let everyone = |voters: &[String]| voters.iter().all(|name| name.starts_with("new-"));
    for old in (0..BOXES).rev() {
        let before = load.confirmed();
        let leaves = cluster.node(old).name.clone();
        let (retire, promote) = (["propose", "retire", &leaves], ["propose", "promote", &names[old]]);
        for change in if old == BOXES - 1 { [retire, promote] } else { [promote, retire] } {
            members.decide(&change);
        }
        wait_for(&format!("an epoch without {leaves}"), PATIENCE, || {
            let voters = validators(cluster.node(new[0]));
            (voters.len() == BOXES && !voters.contains(&leaves) && voters.contains(&names[old])).then_some(())
        });
        load.wait_for_more(20, PATIENCE);
        assert!(load.confirmed() > before);
        if (1..BOXES - 1).contains(&old) {
            cluster.stop(old);
        }
    }
    assert!(everyone(&validators(cluster.node(new[0]))));
    let acknowledged = load.finish(PATIENCE);
    cluster.stop(0);
    let height = wait_for("one height of all", PATIENCE, || {
        let heights: Option<Vec<u64>> = chain.boxes.iter().map(BoxInfo::height).collect();
        let heights = heights?;
        (heights.iter().max() == heights.iter().min()).then(|| heights[0])
    });
    check_same_blocks(&chain.boxes, 1..=height);
    check_receipts(&chain.boxes, &acknowledged);
    let sizes = check_from_outside(&cluster, cluster.node(new[1]));
    assert_eq!(sizes.last(), Some(&BOXES), "{sizes:?}");
    cluster.stop_all();
}

/// A box that nobody knows joins.
fn admit(cluster: &mut Cluster, members: &Members, name: &str, organisation: usize, fees: &str) -> usize {
    let index = cluster.add_box(name);
    members.admit(cluster.node(index), organisation, fees);
    // The others learn from the chain where it is, and it from the genesis file where they are.
    cluster.spawn(index);
    cluster.wait_for_progress(2);
    index
}

/// A validator dies, and after a while a box that stands by votes in its place; nobody has to decide anything.
#[test]
fn a_silent_validator_is_replaced_by_itself() {
    let epoch_blocks = EPOCH_BLOCKS.to_string();
    let options = ["--epoch-blocks", &epoch_blocks, "--silent-after-s", &SILENT_AFTER_S.to_string()];
    let mut cluster = Cluster::prepare_with(BOXES, &options);
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let members = Members::asking(&cluster, 0);
    let newcomer = admit(&mut cluster, &members, NEWCOMER, 0, FEES);
    members.decide(&["propose", "change-box", NEWCOMER, "--standby", "true"]);
    let mut chain = cluster.chain.clone();
    chain.accounts.drain(..BOXES);
    chain.boxes.remove(BOXES - 1);
    let load = Load::start(&chain, 25);
    load.wait_for_more(20, PATIENCE);

    let (dead, own) = (BOXES - 1, cluster.node(newcomer).clone());
    cluster.kill9(dead);
    let died = Instant::now();
    let name = cluster.node(dead).name.clone();
    wait_for(&format!("an epoch with {NEWCOMER} instead of {name}"), PATIENCE, || {
        let voters = validators(cluster.node(0));
        (voters.len() == BOXES && !voters.contains(&name) && voters.contains(&NEWCOMER.to_owned())).then_some(())
    });
    let replaced = died.elapsed();
    wait_for_block_of(FEES, &own);
    eprintln!(
        "silent after {SILENT_AFTER_S} s, epochs of {EPOCH_BLOCKS} blocks: replaced after {} ms, its first block after {} ms",
        replaced.as_millis(),
        died.elapsed().as_millis()
    );

    // The dead one comes back as a follower: it has every block, and makes none.
    cluster.restart(dead);
    cluster.wait_for_progress(2 * EPOCH_BLOCKS);
    let acknowledged = load.finish(PATIENCE);
    cluster.wait_for_progress(1);
    check_receipts(&cluster.chain.boxes, &acknowledged);
    let height = cluster.heights().0;
    check_same_blocks(&cluster.chain.boxes, height - EPOCH_BLOCKS..=height);
    let members_now = validators(cluster.node(dead));
    assert!(!members_now.contains(&name) && members_now.contains(&NEWCOMER.to_owned()), "{members_now:?}");
    check_from_outside(&cluster, &own);
    cluster.stop_all();
}

/// A follower stands by only where those agree who would promote it.
fn stand_by(members: &Members) {
    // That it may take a validator's place some day is not for its organisation to decide.
    let proposal = members.act(0, &["propose", "change-box", NEWCOMER, "--standby", "true"]);
    assert_eq!((&proposal["status"], &proposal["needed"]), (&json!("open"), &json!("0x3")), "{proposal}");
    let proposal = members.act(0, &["withdraw", &proposal_number(&proposal)]);
    assert_eq!(proposal["status"], "withdrawn", "{proposal}");
}

/// Three of four organisations make it a validator.
fn promote(cluster: &mut Cluster, members: &Members, newcomer: usize) {
    let proposal = members.act(0, &["propose", "promote", NEWCOMER]);
    assert_eq!((&proposal["status"], &proposal["approvals"]), (&json!("open"), &json!("0x1")), "{proposal}");
    let id = proposal_number(&proposal);
    let vote = ["vote", &id, "yes"];
    assert_eq!(members.act(1, &vote)["status"], "open");
    assert_eq!(members.act(2, &vote)["status"], "executed");
    wait_for_validators(cluster, BOXES + 1);
    assert!(validators(cluster.node(0)).contains(&NEWCOMER.to_owned()));
    for own in [cluster.node(0), cluster.node(newcomer)] {
        wait_for_block_of(FEES, own);
    }
    cluster.assert_running();
}

/// An old validator leaves; its organisation stays and has no part in the decision.
fn retire(cluster: &mut Cluster, members: &Members, old: usize) {
    let name = cluster.node(old).name.clone();
    let proposal = members.act(1, &["propose", "retire", &name]);
    let id = proposal_number(&proposal);
    assert_eq!(members.act(0, &["vote", &id, "yes"])["status"], "open");
    assert_eq!(members.act(2, &["vote", &id, "yes"])["status"], "executed");
    let late = members.try_to_act(BOXES - 1, &["vote", &id, "no"]);
    assert!(!late.status.success() && late.output.contains("is executed"), "{}", late.output);
    wait_for_validators(cluster, BOXES);
    assert!(!validators(cluster.node(0)).contains(&name));
    cluster.stop(old);
}

/// The tables have what they are about.
fn check_what_people_see(members: &Members) {
    let shows = |arguments: &[&str], parts: &[&str]| {
        let shown = members.show(arguments);
        for part in parts {
            assert!(shown.contains(part), "{part:?} is not in what {arguments:?} shows:\n{shown}");
        }
    };
    shows(&["status"], &["newcomer", "; 3 decide", "organisation-3"]);
    shows(&["organisations"], &["organisation-0", "root certificate"]);
    shows(&["boxes"], &["newcomer  organisation-0  validator  votes"]);
    shows(&["boxes", "--all"], &["box-3", "retired"]);
    shows(&["policies"], &["admit-follower", "a majority, alone about its own boxes, within 7 d"]);
    shows(&["permissions"], &["accounts send freely", "accounts deploy freely"]);
    shows(&["proposals"], &["promote newcomer to validator", "retire box-3 for good", "withdrawn in block"]);
    shows(&["show", "3"], &["organisation-0, organisation-1 and organisation-2", "executed in block"]);
    shows(&["epoch", "0"], &["blocks 0 to 19", "as the genesis file says", "box-3"]);
    shows(&["epoch"], &["committed to by block", "newcomer"]);
}

/// Block by block at the ends of epochs: who signed it, and that it commits to who signs the next. Gives how many voted in
/// each epoch.
fn check_from_outside(cluster: &Cluster, own: &BoxInfo) -> Vec<usize> {
    let checked = process::run(Command::new(dolmen()).args(["genesis", "check"]).arg(&cluster.chain.genesis), PATIENCE);
    let genesis: B256 = checked.output.trim().rsplit(' ').next().and_then(|hash| hash.parse().ok()).expect("a hash");
    assert_eq!(own.genesis_hash(), json!(genesis));
    let file = fs::read(&cluster.chain.genesis).expect("the genesis file can be read");
    let file = dolmen_types::Genesis::from_json(&file).expect("the genesis file is one");
    let mut voters: Vec<PublicKey> = file.file().validators.iter().map(|validator| validator.public_key).collect();
    let latest = quantity(&own.call("dolmen_epoch", json!([]))["number"]);
    assert!(latest >= 2, "two changes took an epoch each");
    let mut sizes = vec![voters.len()];
    for epoch in 1..=latest {
        let answer = own.call("dolmen_epoch", json!([format!("{epoch:#x}")]));
        let last = epoch * EPOCH_BLOCKS - 1;
        let header = bytes(&own.call("debug_getRawHeader", json!([format!("{last:#x}")])));
        let certificate = Certificate::decode(&bytes(&answer["certificate"]["rlp"])).expect("a certificate");
        assert_eq!(certificate.epoch, epoch - 1);
        verify(&certificate, &keccak256(&header), &genesis, &voters);
        let header = Header::decode(&mut &header[..]).expect("a header");
        let record = bytes(&answer["record"]);
        assert_eq!((header.number, header.requests_hash), (last, Some(requests_hash(&record))));
        let record = EpochRecord::decode(&record).expect("a record");
        assert_eq!(record.epoch, epoch);
        voters = record.keys().collect();
        sizes.push(voters.len());
    }
    // And one in the middle of an epoch.
    let number = latest * EPOCH_BLOCKS;
    let answer = wait_for("a certificate in this epoch", PATIENCE, || {
        Some(own.call("dolmen_certificate", json!([format!("{number:#x}")]))).filter(|answer| !answer.is_null())
    });
    let header = bytes(&own.call("debug_getRawHeader", json!([answer["block"]])));
    let certificate = Certificate::decode(&bytes(&answer["rlp"])).expect("a certificate");
    verify(&certificate, &keccak256(header), &genesis, &voters);
    sizes
}

/// A quorum of `voters` signed a block.
fn verify(certificate: &Certificate, block: &B256, genesis: &B256, voters: &[PublicKey]) {
    let signed = certificate.signed(block, genesis, voters).expect("a quorum");
    for (key, signature) in &signed.signatures {
        let key = VerifyingKey::from_bytes(&key.0).expect("a key");
        let valid = key.verify(&signed.message, &Signature::from_bytes(signature));
        assert!(valid.is_ok(), "a signature over block {block} does not hold");
    }
}

/// Waits until the latest block is of the box whose fees go there.
fn wait_for_block_of(fees: &str, own: &BoxInfo) {
    wait_for(&format!("a block of {fees}"), PATIENCE, || {
        let latest = own.call("eth_getBlockByNumber", json!(["latest", false]));
        (latest["miner"] == fees).then_some(())
    });
}

fn wait_for_validators(cluster: &mut Cluster, count: usize) {
    wait_for(&format!("an epoch of {count} validators"), PATIENCE, || {
        cluster.assert_running();
        (validators(cluster.node(0)).len() == count).then_some(())
    });
}

fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().and_then(|text| hex::decode(text).ok()).unwrap_or_else(|| panic!("{value} is no data"))
}
