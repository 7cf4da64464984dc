//! Backups of a box that runs under load: another box begins with one, and a validator comes back with one.

use std::fs;

use dolmen_tests::{
    Acknowledged, BOXES, Cluster, Load, PATIENCE,
    archive::{self, assert_clean},
    damage, wait_for,
};

/// Transfers a second to each validator: no block is empty.
const RATE: u32 = 25;
/// Blocks that a healthy chain must add to count as alive.
const ALIVE: u64 = 5;
/// The box whose chain is copied, and one that loses its own.
const SOURCE: usize = 0;
const VICTIM: usize = 2;
/// What tells a box that fetched a state, and one whose consensus began later than block zero.
const FETCHED: &str = "the state is there";
const FLOOR: &str = "consensus goes on from a block that the database has";

#[test]
fn another_box_begins_with_a_backup_that_was_made_under_load() {
    let mut cluster = Cluster::prepare(BOXES);
    // Without a database it would fetch a state.
    let newcomer = cluster.add_follower("snapshot");
    let mut validators = cluster.chain.clone();
    validators.boxes.truncate(BOXES);
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let load = Load::start(&validators, RATE);
    let (source, own) = (cluster.node(SOURCE).clone(), cluster.node(newcomer).clone());
    let backups = cluster.dir().join("backups");

    load.wait_for_more(100, PATIENCE);
    let before_full = load.confirmed();
    cluster.wait_for_progress(ALIVE);
    let full = archive::backup(&source, &backups);
    assert_eq!(full["kind"], "full", "{full}");
    load.wait_for_more(100, PATIENCE);
    cluster.wait_for_progress(ALIVE);
    let second = archive::backup(&source, &backups);
    assert_eq!(second["kind"], "incremental", "{second}");
    let to = second["to"].as_u64().expect("a height");

    // One file of the backup is damaged, each in turn.
    for entry in fs::read_dir(&backups).expect("the directory can be read") {
        let file = entry.expect("the directory can be read").path();
        let name = file.file_name().and_then(|name| name.to_str()).expect("plain names");
        if name.starts_with('.') {
            continue;
        }
        let good = damage(&file);
        archive::assert_not_restored(&own, &backups, &[name, "another copy"]);
        fs::write(&file, good).expect("it can be written");
    }
    assert_eq!(archive::restore(&own, &backups), to);
    assert_clean(&archive::verify(&own));
    let acknowledged = load.acknowledged_from(0);
    let mut early = acknowledged[..before_full].iter().map(Acknowledged::block_number);
    assert!(early.all(|height| height <= to), "the backup lacks what was confirmed before it");

    cluster.restart(newcomer);
    cluster.wait_for_progress(ALIVE);
    cluster.wait_for_progress(ALIVE);
    wait_for("the box to be ready", PATIENCE, || (own.get("/readyz").status == 200).then_some(()));
    cluster.finish(load);
    let log = fs::read_to_string(own.log()).expect("the log can be read");
    assert!(log.contains(&format!("{FLOOR} height={to} ")), "it began with the backup's last block");
    assert!(!log.contains(FETCHED), "it fetched what it had");
    assert_clean(&archive::verify(&own));
}

#[test]
fn a_validator_comes_back_with_another_boxes_backup() {
    let mut cluster = Cluster::start(BOXES);
    let load = Load::start(&cluster.chain, RATE);
    load.wait_for_more(100, PATIENCE);
    cluster.wait_for_progress(ALIVE);
    let backups = cluster.dir().join("backups");
    archive::backup(cluster.node(SOURCE), &backups);
    cluster.kill9(VICTIM);
    let own = cluster.node(VICTIM).clone();
    fs::rename(own.dir().join("data"), own.dir().join("data.damaged")).expect("it can be moved");
    cluster.wait_for_progress(ALIVE);
    archive::backup(cluster.node(SOURCE), &backups);
    archive::restore(&own, &backups);

    cluster.restart(VICTIM);
    cluster.wait_for_progress(ALIVE);
    // Its log of votes was elsewhere, so it votes at once.
    wait_for("the box to vote", PATIENCE, || {
        let metrics = own.get("/metrics").body;
        let value = |name: &str| metrics.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let (signed, fence) = (value("dolmen_votes_signed_total ")?, value("dolmen_votes_fence_view ")?);
        assert_eq!(fence, "0", "it is fenced");
        (signed != "0").then_some(())
    });
    cluster.finish(load);
    assert_clean(&archive::verify(&own));
}
