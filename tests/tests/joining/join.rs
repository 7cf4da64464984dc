//! Boxes that join a chain by themselves, each on a network of its own; one more under load; and one in the place of a
//! dead one.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dolmen_tests::{
    AddedBox, BOXES, BoxInfo, Devnet, Joining, Load, PATIENCE, check_receipts, check_same_blocks, dolmen, process,
    wait_for,
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Transfers a second to each box that takes any.
const RATE: u32 = 20;

/// Networks of one's own need root.
fn namespaces() -> &'static [&'static str] {
    let ip = |arguments: &str| {
        let done = Command::new("ip").args(arguments.split(' ')).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success())
    };
    let probe = format!("dolmen-probe-{}", std::process::id());
    if ip(&format!("netns add {probe}")) {
        assert!(ip(&format!("netns delete {probe}")));
        return &["--namespaces"];
    }
    eprintln!("NOT IN NETWORK NAMESPACES: this user may not make any, so that registrars are not looked for by DNS-SD");
    &[]
}

#[test]
fn boxes_join_by_themselves_and_replace_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let namespaces = namespaces();
    let devnet = Devnet::start_zero_touch(dir.path(), BOXES, namespaces);
    let net = Joining::of(&devnet);
    let boxes = &devnet.chain.boxes;
    for (index, organisation) in [(1, "alpha"), (2, "beta"), (3, "alpha"), (4, "beta")] {
        let serial_number = format!("DEVNET-000{index}");
        assert_eq!(net.role(&serial_number).as_deref(), Some("validator"));
        let expected = ["seen", "asked", "given", "reported", "appraised", "issued", "reported", "bundled"];
        let events = net.events(organisation, &serial_number);
        let mut left = events.iter();
        for event in expected.iter().chain(&["admission-asked", "admitted", "attested", "admitted"]) {
            assert!(left.any(|found| found == event), "{serial_number}: {event} is not among {events:?}");
        }
        let report = net.report(&format!("box-{index}")).expect("a report");
        assert_eq!((&report["certificate"]["standing"], &report["refusal"]), (&"good".into(), &Value::Null));
    }
    if let Some(namespace) = namespace() {
        announced(dir.path(), &namespace);
    }

    let load = Load::start(&devnet.chain, RATE);
    load.wait_for_more(50, PATIENCE);
    let mut fifth = AddedBox::start(dir.path(), &["--organisation", "beta"]);
    let plugged_in = Instant::now();
    fifth.wait();
    eprintln!("a fifth box votes {:.1} s after it was ordered from the factory", plugged_in.elapsed().as_secs_f64());
    load.wait_for_more(50, PATIENCE);

    replace(&net, &boxes[1]);
    load.wait_for_more(50, PATIENCE);
    let acknowledged = load.acknowledged_from(0);
    drop(load);
    let left: Vec<BoxInfo> = boxes.iter().filter(|own| own.name != boxes[1].name).cloned().collect();
    let height = left.iter().filter_map(BoxInfo::height).min().expect("they answer");
    let behind = acknowledged.iter().filter(|seen| seen.block_number() <= height).cloned().collect::<Vec<_>>();
    check_receipts(&left, &behind);
    check_same_blocks(&left, 1..=height);
    drop(fifth);
}

/// The network namespace of the first box, if it has one.
fn namespace() -> Option<String> {
    let listed = process::run(Command::new("ip").args(["netns", "list"]), PATIENCE).output;
    listed.split_whitespace().find(|name| name.starts_with("dolmen") && name.ends_with("-4")).map(str::to_owned)
}

/// A validator dies under load; a box that was plugged in takes its place; the dead one comes back, and votes no more.
fn replace(net: &Joining, dead: &BoxInfo) {
    let died = Instant::now();
    process::send(dead.pid.expect("it runs"), Signal::SIGKILL);
    let mut new = AddedBox::start(net.dir(), &["--organisation", "alpha", "--wait"]);
    let waits = || net.known("alpha", "DEVNET-0006").filter(|one| one["standing"] == "waiting").map(drop);
    wait_for("the new box to come", PATIENCE, waits);
    let registrar = Joining::registrar("alpha");
    let replaced = Instant::now();
    net.run(&format!("box replace DEVNET-0001 --with DEVNET-0006 --registrar {registrar} --by Ada --yes"));
    new.wait();
    eprintln!(
        "a dead validator's successor votes {:.1} s after `dolmen box replace`, {:.1} s after its death",
        replaced.elapsed().as_secs_f64(),
        died.elapsed().as_secs_f64()
    );
    assert_eq!(net.role("DEVNET-0001").as_deref(), Some("retired"));
    assert_eq!(net.role("DEVNET-0006").as_deref(), Some("validator"));

    // Its key never comes back, whoever starts it.
    let log = fs::File::create(dead.dir().join("again.log")).expect("a log");
    let mut command = process::command(if namespace().is_some() { "ip".into() } else { dolmen() });
    if let Some(namespace) = namespace() {
        command.args(["netns", "exec", &namespace]).arg(dolmen());
    }
    let mut again = command
        .args(["run", "--config"])
        .arg(&dead.config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("dolmen starts");
    let refused = || (net.report("box-1")?["refusal"]["code"] == "box-replaced").then_some(());
    wait_for("its registrar to refuse it", PATIENCE, refused);
    assert!(net.events("alpha", "DEVNET-0001").contains(&"box-replaced".to_owned()));
    assert_eq!(net.role("DEVNET-0001").as_deref(), Some("retired"));
    process::send(again.id(), Signal::SIGTERM);
    assert!(process::wait(&mut again, PATIENCE).is_some());
    drop(new);
}

/// Others than we find the registrars that announce themselves.
fn announced(dir: &Path, namespace: &str) {
    let bus = dir.join("bus");
    // A bus and an Avahi of its own, in the namespace of a box.
    let script = format!(
        "set -e; export DBUS_SYSTEM_BUS_ADDRESS=unix:path={bus}; \
         dbus-daemon --session --address=$DBUS_SYSTEM_BUS_ADDRESS --nofork & \
         until [ -S {bus} ]; do sleep 0.1; done; \
         avahi-daemon --no-drop-root --no-chroot --no-rlimits >/dev/null 2>&1 & \
         for _ in $(seq 50); do found=$(avahi-browse -rtp _brski-registrar._tcp 2>/dev/null | grep '^=' || true); \
         [ $(echo \"$found\" | grep -c registrar) -ge 2 ] && break; sleep 0.2; done; echo \"$found\"; kill %1 %2",
        bus = bus.display()
    );
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL", "bash", "-c", &script]);
    let found = process::run(&mut command, Duration::from_secs(60)).output;
    for name in ["alpha", "beta"] {
        let line = found.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {found}"));
        assert!(line.contains("_brski-registrar._tcp") && line.contains(";8545;"), "{line}");
    }
}
