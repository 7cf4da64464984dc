//! Boxes that die at any moment, and boxes that lose their data: finalized stays finalized, and all agree again.

use std::{fs, ops::Range, thread, time::Duration};

use dolmen_tests::{
    Acknowledged, BOXES, Cluster, Load, PATIENCE, check_receipts, check_same_blocks, check_state, seed,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// Transfers a second to each box: blocks are never empty, and two cores have time for everything else.
const RATE: u32 = 25;
/// Blocks that a healthy chain must add to count as alive.
const ALIVE: u64 = 5;
/// Rounds of the short and of the long form; `DOLMEN_CRASH_ROUNDS` overrides both.
const ROUNDS: usize = 10;
const SOAK_ROUNDS: usize = 500;

/// When boxes die after the round began, and when they start again after that, in milliseconds.
struct Moments {
    kill_after: Range<u64>,
    restart_after: Range<u64>,
}

/// Most of a round is what the boxes need to start and to agree again.
const SHORT: Moments = Moments { kill_after: 200..1_500, restart_after: 0..1_000 };
/// Also beyond the 4.5 s of silence after which a box is skipped.
const LONG: Moments = Moments { kill_after: 200..4_000, restart_after: 0..6_000 };

#[test]
fn killed_boxes_lose_nothing() {
    crash_rounds(rounds(ROUNDS), &SHORT);
}

#[test]
#[ignore = "runs for hours: make soak"]
fn soak_killed_boxes_lose_nothing() {
    crash_rounds(rounds(SOAK_ROUNDS), &LONG);
}

#[test]
fn lost_data_comes_back() {
    let mut cluster = Cluster::start(BOXES);
    let load = Load::start(&cluster.chain, RATE);
    load.wait_for_more(100, PATIENCE);
    let mut compared = 0;
    // The consensus journals hold the blocks: only the database has to be built again.
    lose(&mut cluster, &load, 1, "db", &mut compared);
    // Nothing is left: every block comes from the peers.
    lose(&mut cluster, &load, 2, "", &mut compared);
    // The database is there: consensus goes on from its last block with a certificate.
    lose(&mut cluster, &load, 3, "consensus", &mut compared);
    let log = fs::read_to_string(cluster.node(3).log()).expect("the log can be read");
    assert!(log.contains("consensus goes on from a block that the database has"), "it fetched all blocks again");
    let acknowledged = load.finish(PATIENCE);
    cluster.wait_for_progress(1);
    check_receipts(&cluster.chain.boxes, &acknowledged);
    check_same_blocks(&cluster.chain.boxes, 0..=cluster.heights().0);
    cluster.stop_all();
}

/// Stops a box, removes a part of its data directory and starts it again while the others go on.
fn lose(cluster: &mut Cluster, load: &Load, index: usize, part: &str, compared: &mut usize) {
    cluster.stop(index);
    let lost = cluster.node(index).dir().join("data").join(part);
    fs::remove_dir_all(&lost).unwrap_or_else(|error| panic!("cannot remove {}: {error}", lost.display()));
    cluster.wait_for_progress(ALIVE);
    cluster.restart(index);
    cluster.wait_for_progress(ALIVE);
    load.wait_for_more(50, PATIENCE);
    check_agreement(cluster, load, compared);
}

/// Every round kills some boxes under load: first each of them alone, then all at once, then a random number of them.
fn crash_rounds(rounds: usize, moments: &Moments) {
    let mut random = StdRng::seed_from_u64(seed());
    let mut cluster = Cluster::start(BOXES);
    let load = Load::start(&cluster.chain, RATE);
    let mut compared = 0;
    for round in 0..rounds {
        let mut victims: Vec<usize> = (0..BOXES).collect();
        if round < BOXES {
            victims = vec![round];
        } else if round > BOXES {
            victims.shuffle(&mut random);
            victims.truncate(random.random_range(1..=BOXES));
        }
        let kill_after = Duration::from_millis(random.random_range(moments.kill_after.clone()));
        let restart_after = Duration::from_millis(random.random_range(moments.restart_after.clone()));
        eprintln!("round {round}: boxes {victims:?} die after {kill_after:?}, start {restart_after:?} later");
        crash(&mut cluster, &load, &victims, kill_after, restart_after);
        check_agreement(&mut cluster, &load, &mut compared);
        eprintln!("round {round}: height {}, {} transfers confirmed", cluster.heights().0, load.confirmed());
    }
    let acknowledged = load.finish(PATIENCE);
    cluster.wait_for_progress(1);
    check_receipts(&cluster.chain.boxes, &acknowledged);
    check_same_blocks(&cluster.chain.boxes, 0..=cluster.heights().0);
    cluster.stop_all();
}

/// One round: kill, restart, and everybody makes progress again.
fn crash(cluster: &mut Cluster, load: &Load, victims: &[usize], kill_after: Duration, restart_after: Duration) {
    thread::sleep(kill_after);
    victims.iter().for_each(|&index| cluster.kill9(index));
    if victims.len() == 1 {
        // Four boxes tolerate one: the others go on without waiting for it.
        cluster.wait_for_progress(ALIVE);
        load.wait_for_more(20, PATIENCE);
    }
    thread::sleep(restart_after);
    victims.iter().for_each(|&index| cluster.spawn(index));
    // A box that starts does not answer yet; waiting for all heights includes it.
    cluster.wait_for_height(1);
    cluster.wait_for_progress(ALIVE);
    load.wait_for_more(50, PATIENCE);
}

/// All boxes hold what was confirmed since the last check, in the same blocks and with the same state after them.
fn check_agreement(cluster: &mut Cluster, load: &Load, compared: &mut usize) {
    let new = load.acknowledged_from(*compared);
    *compared += new.len();
    let heights = new.iter().map(Acknowledged::block_number);
    let (first, last) = (heights.clone().min().expect("the load went on"), heights.max().expect("the load went on"));
    // A box may show a block before the others have it.
    cluster.wait_for_height(last);
    check_same_blocks(&cluster.chain.boxes, first..=last);
    check_receipts(&cluster.chain.boxes, &new);
    check_state(&cluster.chain.boxes, last, &cluster.chain.accounts[..BOXES]);
}

fn rounds(default: usize) -> usize {
    std::env::var("DOLMEN_CRASH_ROUNDS").map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("DOLMEN_CRASH_ROUNDS={text} is not a whole number"))
    })
}
