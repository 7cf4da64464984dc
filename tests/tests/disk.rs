//! Disks that fill up, take no writes or give back something else than was written. The box ends and says what to do, or
//! goes on; it is well again when the disk is; and no box ever shows another block than the others.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use dolmen_tests::{
    BOXES, BoxInfo, Cluster, Load, PATIENCE, SmallDisk,
    archive::{self, assert_clean},
    check_same_blocks, damage, dolmen,
    http::RpcError,
    process, wait_for,
};
use serde_json::{Value, json};

/// Transfers a second to each box: no block is empty.
const RATE: u32 = 25;
/// Blocks that a healthy chain must add to count as alive.
const ALIVE: u64 = 5;
/// The box whose disk fails.
const VICTIM: usize = 2;
/// A box takes some 75 MiB of its disk at once, most of them set aside for the database's log.
const DISK_MIB: u32 = 256;
/// Gives a box its log through a pipe, so that a limit on the sizes of its files spares the log, and lets it see writes
/// beyond that limit fail, which else end a process.
const LIMITABLE: &str = r#"trap '' XFSZ; exec "$@" > >(exec cat) 2>&1"#;

#[test]
fn a_full_disk_stops_the_box_and_nothing_else() {
    let mut cluster = Cluster::prepare(BOXES);
    let disk = give_disk(&mut cluster, &[]);
    let load = start(&mut cluster);
    disk.fill();
    assert_ended(&mut cluster, &["takes no more writes: free space", "No space left on device"]);
    cluster.wait_for_progress(ALIVE);
    // The database gave back what it had set aside.
    disk.fill();
    cluster.spawn(VICTIM);
    assert_ended(&mut cluster, &["database open failed", "check free space", "No space left on device"]);
    cluster.wait_for_progress(ALIVE);
    disk.free();
    assert_clean(&verify_on(&disk, cluster.node(VICTIM)));
    cluster.restart(VICTIM);
    cluster.wait_for_progress(ALIVE);
    cluster.finish(load);
    assert_clean(&verify_on(&disk, cluster.node(VICTIM)));
}

#[test]
fn a_disk_that_takes_no_writes_stops_the_box() {
    let mut cluster = Cluster::prepare(BOXES);
    let disk = give_disk(&mut cluster, &["bash", "-c", LIMITABLE, "bash"]);
    let load = start(&mut cluster);
    // A file system in use becomes read-only by a fault alone, which takes an administrator to make. To the box it is the
    // same: no file can be written any more, the log of votes among them.
    let pid = cluster.pid(VICTIM).expect("it runs").to_string();
    let limited = process::run(Command::new("prlimit").args(["--pid", &pid, "--fsize=0"]), PATIENCE);
    assert!(limited.status.success(), "{}", limited.output);
    assert_ended(&mut cluster, &["takes no more writes", "check the disk", "File too large"]);
    cluster.wait_for_progress(ALIVE);
    disk.set_read_only(true);
    cluster.spawn(VICTIM);
    assert_ended(&mut cluster, &["database open failed", "Read-only file system"]);
    // To check it writes nothing.
    assert_clean(&verify_on(&disk, cluster.node(VICTIM)));
    disk.set_read_only(false);
    cluster.restart(VICTIM);
    cluster.wait_for_progress(ALIVE);
    cluster.finish(load);
    assert_clean(&verify_on(&disk, cluster.node(VICTIM)));
}

#[test]
fn a_log_that_cannot_be_written_stops_no_box() {
    let mut cluster = Cluster::prepare(1);
    cluster.start_through(0, ["sh", "-c", r#"exec "$@" > /dev/full 2>&1"#, "sh"].map(str::to_owned).to_vec());
    cluster.restart(0);
    cluster.wait_for_height(3);
    cluster.stop(0);
}

#[test]
fn a_damaged_database_shows_no_wrong_block() {
    let mut cluster = Cluster::prepare(BOXES);
    let load = start(&mut cluster);
    // At its start RocksDB writes into tables what it had in its log.
    cluster.stop(VICTIM);
    cluster.restart(VICTIM);
    cluster.stop(VICTIM);
    let own = cluster.node(VICTIM).clone();
    let stored = files(&own.dir().join("data/db"));
    let table = |family: &str| table_of(&own, &stored, &format!("table of {family}:"));
    let (accounts, receipts) = (table("accounts"), table("receipts"));
    let manifest = stored.iter().find(|file| name(file).starts_with("MANIFEST")).expect("RocksDB has one");

    // What every start reads; the manifest first, since each that reads it writes another.
    for file in [manifest, &accounts] {
        let good = damage(file);
        cluster.spawn(VICTIM);
        assert_ended(&mut cluster, &["is damaged", "restore this box from its peers or a backup", name(file)]);
        fs::write(file, good).expect("it can be written");
    }
    // What none reads: the box does all that it can do without.
    damage(&receipts);
    cluster.restart(VICTIM);
    cluster.wait_for_progress(ALIVE);
    check_same_blocks(&cluster.chain.boxes, 0..=cluster.heights().0);
    let asked = own.rpc("eth_getBlockReceipts", json!(["0x1"]));
    let is_refused = matches!(&asked, Err(RpcError::Refused { message, .. }) if message.contains("cannot be read"));
    assert!(is_refused, "{asked:?}");
    assert!(cluster.node(0).call("eth_getBlockReceipts", json!(["0x1"])).is_array());

    // `dolmen verify` says what to do: the box fills its database again from what consensus has.
    cluster.stop(VICTIM);
    let verified = archive::verify(&own);
    assert!(verified.output.contains("move db/ out of data_dir and start the box"), "{}", verified.output);
    fs::rename(own.dir().join("data/db"), own.dir().join("db.damaged")).expect("it can be moved");
    cluster.restart(VICTIM);
    cluster.wait_for_progress(ALIVE);
    cluster.finish(load);
    assert_clean(&archive::verify(&own));
}

#[test]
fn what_consensus_keeps_is_fetched_again_and_a_damaged_log_of_votes_is_silent() {
    let mut cluster = Cluster::prepare(BOXES);
    let load = start(&mut cluster);
    cluster.stop(VICTIM);
    let own = cluster.node(VICTIM).clone();
    let directory = own.dir().join("data/consensus");
    for part in files(&directory).iter().filter(|part| part.is_dir()) {
        files(part).iter().for_each(|file| drop(damage(file)));
    }
    cluster.spawn(VICTIM);
    assert_ended(&mut cluster, &["data/consensus", "move that directory away first"]);
    cluster.wait_for_progress(ALIVE);
    fs::rename(&directory, own.dir().join("consensus.damaged")).expect("it can be moved");
    cluster.restart(VICTIM);
    cluster.wait_for_progress(ALIVE);
    wait_for("the box to vote again", PATIENCE, || {
        let metrics = own.get("/metrics").body;
        let signed = metrics.lines().find_map(|line| line.strip_prefix("dolmen_votes_signed_total "))?;
        (signed != "0").then_some(())
    });

    cluster.stop(VICTIM);
    let votes = own.dir().join("keys/votes");
    let mut log = fs::read(&votes).expect("the log of votes can be read");
    // In the first record, behind two headers of a page each.
    log[2 * 4096 + 100] ^= 1;
    fs::write(&votes, log).expect("it can be written");
    cluster.restart(VICTIM);
    cluster.wait_for_progress(1);
    wait_for("the box to say that it does not vote", PATIENCE, || {
        let status: Value = serde_json::from_str(&own.get("/api/v1/status").body).expect("JSON");
        (status["alarms"][0]["id"] == "votes_fenced").then_some(())
    });
    cluster.wait_for_progress(ALIVE);
    cluster.finish(load);
    assert!(said(&own).contains("no vote is signed until the chain has passed this"));
    assert_clean(&archive::verify(&own));
}

/// Puts the victim's data on a disk of its own, and starts it through `wrapper` there.
fn give_disk(cluster: &mut Cluster, wrapper: &[&str]) -> SmallDisk {
    let data = cluster.node(VICTIM).dir().join("data");
    fs::create_dir(&data).expect("a directory can be made");
    let disk = SmallDisk::mount(&data, DISK_MIB);
    let wrapper = wrapper.iter().map(|&word| word.to_owned());
    cluster.start_through(VICTIM, disk.wrapper().into_iter().chain(wrapper).collect());
    disk
}

/// Starts all boxes, and transfers to them.
fn start(cluster: &mut Cluster) -> Load {
    (0..BOXES).for_each(|index| cluster.spawn(index));
    cluster.wait_for_height(1);
    let load = Load::start(&cluster.chain, RATE);
    load.wait_for_more(100, PATIENCE);
    load
}

/// The victim ends by itself, with an error that has all these words.
fn assert_ended(cluster: &mut Cluster, words: &[&str]) {
    let status = cluster.wait_for_end(VICTIM);
    let own = cluster.node(VICTIM);
    // A log that goes through a pipe is complete a moment later.
    let missing = || words.iter().find(|word| !said(own).contains(**word));
    wait_for(&format!("{words:?} in the log"), PATIENCE, || missing().is_none().then_some(()));
    assert_eq!(status.code(), Some(1), "{status}");
}

fn said(own: &BoxInfo) -> String {
    fs::read_to_string(own.log()).expect("the log can be read")
}

/// `dolmen verify` where the disk can be seen.
fn verify_on(disk: &SmallDisk, own: &BoxInfo) -> process::Ended {
    process::run(disk.command(dolmen()).args(["verify", "--config"]).arg(&own.config), PATIENCE)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("the directory can be read");
    entries.map(|entry| entry.expect("the directory can be read").path()).collect()
}

fn name(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).expect("stores use plain names")
}

/// The table file among these without which `dolmen verify` finds this. It names each one that is damaged.
fn table_of(own: &BoxInfo, files: &[PathBuf], finding: &str) -> PathBuf {
    let mut tables = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "sst"));
    let found = tables.find(|table| {
        let good = damage(table);
        let verified = archive::verify(own);
        fs::write(table, good).expect("it can be written");
        assert!(!verified.status.success() && verified.output.contains(name(table)), "{}", verified.output);
        verified.output.contains(finding)
    });
    found.unwrap_or_else(|| panic!("no table file whose damage is `{finding}`")).clone()
}
