//! Boxes that are not to join, and boxes whose power goes: what people read about it, at the registrar and at the box.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use dolmen_tests::{AddedBox, Devnet, FreshBox, Joining, PATIENCE, dolmen, http, process, wait_for};
use nix::sys::signal::Signal;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

/// How often power goes while a box joins, and longest between two times.
const CUTS: usize = 12;
const CUT_AFTER_MS: u64 = 700;

fn curl(url: &str) -> String {
    let ended = process::run(Command::new("curl").args(["-sk", "--max-time", "20", url]), PATIENCE);
    assert!(ended.status.success(), "{url}: {}", ended.output);
    ended.output
}

#[test]
fn boxes_that_may_not_join_are_told_why_and_power_may_go() {
    let dir = tempfile::tempdir().unwrap();
    let devnet = Devnet::start_zero_touch(dir.path(), 1, &[]);
    let net = Joining::of(&devnet);
    tampered(&net);
    powerless(&net);
    revoked(&net, devnet.chain.boxes[1].dir(), devnet.chain.boxes[1].pid.expect("it runs"));
}

/// Its boot is none of an image: the registrar's journal and numbers say so, and the box's screen, page and numbers.
fn tampered(net: &Joining) {
    let plugged_in = AddedBox::start(net.dir(), &["--tampered"]);
    let refusal =
        || net.report("box-2").map(|mut report| report["refusal"].take()).filter(|refusal| !refusal.is_null());
    let refusal = wait_for("a refusal", PATIENCE, refusal);
    let code = refusal["code"].as_str().expect("a code").to_owned();
    assert!(["pcr-mismatch", "log-mismatch"].contains(&&*code) && refusal["by"] == "registrar", "{refusal}");
    assert!(net.refused("alpha", "DEVNET-0002").contains(&code));
    let metrics = net.metrics("alpha");
    assert!(metrics.contains(&format!("dolmen_registrar_refused_total{{code=\"{code}\"}}")), "{metrics}");
    // Its page is there before it has joined.
    let page = fs::read(format!("/proc/{}/cmdline", booting(&net.dir().join("box-2")))).expect("it runs");
    let page = String::from_utf8_lossy(&page).into_owned();
    let page = page.split('\0').skip_while(|word| *word != "--page").nth(1).expect("an address").to_owned();
    let shown: Value = serde_json::from_str(&curl(&format!("https://{page}/api/provisioning"))).expect("JSON");
    assert_eq!(shown["refusal"]["code"], code.as_str());
    let numbers = curl(&format!("https://{page}/metrics"));
    assert!(numbers.contains(&format!("dolmen_provisioning_refused{{code=\"{code}\"}} 1")), "{numbers}");
    assert!(curl(&format!("https://{page}/")).contains("joining.js"));
    drop(plugged_in);
    assert_eq!(net.role("DEVNET-0002"), None);
}

/// The process that boots a directory.
fn booting(dir: &Path) -> u32 {
    let all = fs::read_dir("/proc").expect("processes").flatten();
    let found = all.filter_map(|process| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let said = fs::read(process.path().join("cmdline")).ok()?;
        let said = String::from_utf8_lossy(&said).into_owned();
        (said.contains("\0boot\0") && said.contains(dir.to_str()?)).then_some(id)
    });
    found.last().expect("the box boots")
}

/// Power goes at any moment of the way, and the box joins all the same; its voucher and certificate are asked for once
/// more at most for each time.
fn powerless(net: &Joining) {
    let seed = dolmen_tests::seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut fresh = FreshBox::make(net, "CUT-0001", "maker");
    net.sell("CUT-0001", "alpha", "");
    net.expect("CUT-0001", "alpha");
    fresh.tell(net, &[net.registrar_address("alpha")]);
    for _ in 0..CUTS {
        fresh.start();
        thread::sleep(Duration::from_millis(random.random_range(0..CUT_AFTER_MS)));
        fresh.cut();
    }
    fresh.start();
    let votes = || (net.role("CUT-0001")? == "validator").then_some(());
    wait_for("a box to join although its power goes", PATIENCE, votes);
    assert_eq!(
        net.refused("alpha", "CUT-0001").iter().filter(|code| *code != "no-challenge").count(),
        0,
        "seed {seed}"
    );
}

/// It is cast out: its registrar and its page say so. A copy of its disk in another machine is of no use.
fn revoked(net: &Joining, dir: &Path, pid: u32) {
    net.run("registrar revoke DEVNET-0001 --registrar organisations/alpha/registrar --reason stolen --yes");
    process::send(pid, Signal::SIGKILL);
    let log = fs::File::create(dir.join("again.log")).expect("a log");
    let config = dir.join("box.toml");
    let mut command = process::command(dolmen());
    command.args(["run", "--config"]).arg(&config);
    let mut again = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("dolmen starts");
    let told = || net.report("box-1").filter(|report| report["refusal"]["code"] == "box-revoked").map(drop);
    wait_for("its registrar to refuse it", PATIENCE, told);
    assert!(net.refused("alpha", "DEVNET-0001").contains(&"box-revoked".to_owned()));
    let settings = fs::read_to_string(&config).expect("settings");
    let page = settings.split("[admin]").nth(1).and_then(|admin| admin.split('"').nth(1)).expect("a page");
    let answer = http::get(page.parse().expect("an address"), dir, "/api/v1/status").expect("an answer");
    let status: Value = serde_json::from_str(&answer.body).expect("JSON");
    let alarms = status["alarms"].as_array().expect("alarms");
    assert!(alarms.iter().any(|alarm| alarm["id"] == "registrar"), "{status}");
    process::send(again.id(), Signal::SIGTERM);
    assert!(process::wait(&mut again, PATIENCE).is_some());

    let copy = net.dir().join("copy");
    let copied = process::run(Command::new("cp").arg("-r").arg(dir).arg(&copy), PATIENCE);
    assert!(copied.status.success(), "{}", copied.output);
    let other = dolmen_hsm_swtpm::Swtpm::new();
    let settings = fs::read_to_string(copy.join("box.toml")).expect("settings");
    let own = net.setting(&format!("{}/box.toml", copy.display()), "tcti");
    fs::write(copy.join("box.toml"), settings.replace(&own, &other.tcti())).expect("settings");
    let ended = process::run(Command::new(dolmen()).args(["run", "--config"]).arg(copy.join("box.toml")), PATIENCE);
    assert!(!ended.status.success() && ended.output.contains("TPM"), "{}", ended.output);
}
