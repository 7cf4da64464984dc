//! Boxes that are not to join, and boxes whose power goes: what people read about it, at the registrar and at the box.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use dolmen_provisioning_rehearsal::Boot;
use dolmen_tests::{AddedBox, Devnet, Joining, PATIENCE, SoftTpm, dolmen, process, wait_for};
use nix::sys::signal::Signal;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;

/// How often power goes while a box joins, and longest between two times.
const CUTS: usize = 12;
const CUT_AFTER_MS: u64 = 700;

/// A setting of a file in the devnet's directory.
fn setting(net: &Joining, file: &str, name: &str) -> String {
    let text = fs::read_to_string(net.dir().join(file)).expect("settings can be read");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim_matches('"').to_owned()
}

/// Codes of what alpha's registrar refused to a box.
fn refused(net: &Joining, serial_number: &str) -> Vec<String> {
    let journal = net.dir().join(Joining::registrar("alpha")).join("journal");
    let journal = fs::read_to_string(journal).expect("the journal can be read");
    let records = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["record"].take());
    let of_box = records.filter(|record| record["who"]["peer"]["serial"] == serial_number);
    of_box.filter_map(|record| Some(record["what"]["refused"]["code"].as_str()?.to_owned())).collect()
}

fn curl(url: &str) -> String {
    let ended = process::run(Command::new("curl").args(["-sk", "--max-time", "20", url]), PATIENCE);
    assert!(ended.status.success(), "{url}: {}", ended.output);
    ended.output
}

/// A box's machine: its TPM, and what runs on it.
struct Machine<'a> {
    net: &'a Joining,
    dir: PathBuf,
    tpm: Option<SoftTpm>,
    node: Option<Child>,
}

impl Machine<'_> {
    fn tcti(&self) -> String {
        setting(self.net, &format!("{}/box.toml", self.dir.display()), "tcti")
    }

    /// Power on, and a boot.
    fn start(&mut self, tcti: &str, program: &[&str]) {
        let port: u16 = tcti.rsplit('=').next().and_then(|port| port.parse().ok()).expect("a port");
        self.tpm = Some(SoftTpm::start(&self.dir.join("tpm"), port, &Boot::default().digests()));
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log")).expect("a log");
        let mut command = process::command(dolmen());
        command.args(program).stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.node = Some(command.spawn().expect("dolmen starts"));
    }

    /// Power off, without warning.
    fn cut(&mut self) {
        if let Some(mut node) = self.node.take() {
            let _ = node.kill();
            let _ = node.wait();
        }
        self.tpm = None;
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        self.cut();
    }
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
    assert!(refused(net, "DEVNET-0002").contains(&code));
    let metrics = setting(net, "organisations/alpha/registrar/registrar.toml", "metrics");
    let metrics = curl(&format!("http://{metrics}/metrics"));
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
    let made = AddedBox::start(net.dir(), &["--wait"]);
    let dir = net.dir().join("box-3");
    let waits = || net.known("alpha", "DEVNET-0003").filter(|one| one["standing"] == "waiting").map(drop);
    wait_for("a box to come", PATIENCE, waits);
    let id = booting(&dir);
    let command = fs::read(format!("/proc/{id}/cmdline")).expect("it runs");
    let command = String::from_utf8_lossy(&command).into_owned();
    let command: Vec<&str> =
        command.split('\0').skip(1).filter(|word| !word.is_empty() && *word != "--stop-on-stdin-eof").collect();
    let tcti = command.iter().skip_while(|word| **word != "--tcti").nth(1).expect("a TPM").to_string();
    drop(made);
    net.run("registrar approve DEVNET-0003 --registrar organisations/alpha/registrar");

    let mut machine = Machine { net, dir, tpm: None, node: None };
    for _ in 0..CUTS {
        machine.start(&tcti, &command);
        thread::sleep(Duration::from_millis(random.random_range(0..CUT_AFTER_MS)));
        machine.cut();
    }
    machine.start(&tcti, &command);
    let votes = || (net.role("DEVNET-0003")? == "validator").then_some(());
    wait_for("a box to join although its power goes", PATIENCE, votes);
    assert_eq!(machine.tcti(), tcti);
    assert_eq!(refused(net, "DEVNET-0003").iter().filter(|code| *code != "no-challenge").count(), 0, "seed {seed}");
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
    assert!(refused(net, "DEVNET-0001").contains(&"box-revoked".to_owned()));
    let page = setting(net, &format!("{}", config.display()), "listen");
    let status = fs::read_to_string(&config).expect("settings");
    let page = status.split("[admin]").nth(1).and_then(|admin| admin.split('"').nth(1)).map_or(page, str::to_owned);
    let status: Value = serde_json::from_str(&curl(&format!("https://{page}/api/status"))).expect("JSON");
    let alarms = status["alarms"].as_array().expect("alarms");
    assert!(alarms.iter().any(|alarm| alarm["id"] == "registrar"), "{status}");
    process::send(again.id(), Signal::SIGTERM);
    assert!(process::wait(&mut again, PATIENCE).is_some());

    let copy = net.dir().join("copy");
    let copied = process::run(Command::new("cp").arg("-r").arg(dir).arg(&copy), PATIENCE);
    assert!(copied.status.success(), "{}", copied.output);
    let other = dolmen_hsm_swtpm::Swtpm::new();
    let settings = fs::read_to_string(copy.join("box.toml")).expect("settings");
    let own = setting(net, &format!("{}/box.toml", copy.display()), "tcti");
    fs::write(copy.join("box.toml"), settings.replace(&own, &other.tcti())).expect("settings");
    let ended = process::run(Command::new(dolmen()).args(["run", "--config"]).arg(copy.join("box.toml")), PATIENCE);
    assert!(!ended.status.success() && ended.output.contains("TPM"), "{}", ended.output);
}
