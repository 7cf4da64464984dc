//! Registrars that are none, and boxes that are not what they say: who refuses them, and where people read why.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
};

use dolmen_tests::{Devnet, FreshBox, Joining, PATIENCE, dolmen, process, quiet_port, wait_for};

use super::impostor::Impostor;

/// The number of the kind of other makers' boxes.
const HARDWARE: &str = "1.3.6.1.4.1.32473.2";

#[test]
fn what_is_hostile_is_refused_and_people_read_why() {
    let home = tempfile::tempdir().unwrap();
    let devnet = Devnet::start_zero_touch(home.path(), 1, &[]);
    let net = Joining::of(&devnet);
    net.run(&format!("masa init Mallory --hardware {HARDWARE} --maker mallory"));
    impostors(&net);
    strict(&net);
    unknown_maker(&net);
}

/// A box on a network with an impostor: whatever voucher he has, it follows none, and tells why.
fn impostors(net: &Joining) {
    let impostor = Impostor::start();
    let mut fresh = FreshBox::make(net, "HOSTILE-0001", "maker");
    let mut other = FreshBox::make(net, "HOSTILE-0002", "maker");
    let read = |path: &Path| fs::read(path).expect("a voucher");
    // It was beta's first, then alpha's, so that beta's voucher is the older one.
    let older = read(&net.sell("HOSTILE-0001", "beta", ""));
    let own = read(&net.sell("HOSTILE-0001", "alpha", "--resell"));
    let of_other = read(&net.sell("HOSTILE-0002", "alpha", ""));
    let birth = fresh.dir().join("birth.json");
    net.run(&format!("masa certify {} --out by-mallory.pem --maker mallory", birth.display()));
    net.run("masa sell HOSTILE-0001 --to organisations/alpha/ca/root.pem --out by-mallory --maker mallory");
    let by_mallory = read(&net.dir().join("by-mallory/HOSTILE-0001.vcj"));

    fresh.tell(net, &[impostor.address]);
    let refuses = |fresh: &mut FreshBox, voucher: Vec<u8>, code: &str| {
        impostor.give(voucher);
        fresh.start();
        fresh.wait_for_refusal(net, code);
        // He is told as a registrar would be, whose journal has it then.
        let told = || impostor.told().into_iter().find(|told| told.contains(code)).map(drop);
        wait_for("the box to say why", PATIENCE, told);
        fresh.cut();
    };
    refuses(&mut fresh, by_mallory, "voucher-untrusted");
    refuses(&mut fresh, forged(&own), "voucher-forged");
    refuses(&mut fresh, own[..own.len() / 2].to_vec(), "voucher-damaged");
    refuses(&mut fresh, of_other, "voucher-serial");
    // All is right with it, but it leads to another than him.
    refuses(&mut fresh, own.clone(), "voucher-pinned-certificate");

    // It follows its owner's, and then never again what came before.
    net.expect("HOSTILE-0001", "alpha");
    fresh.tell(net, &[net.registrar_address("alpha")]);
    fresh.start();
    let votes = || (net.role("HOSTILE-0001")? == "validator").then_some(());
    wait_for("the box to find its owner", PATIENCE, votes);
    fresh.decommission(net);
    assert!(net.events("alpha", "HOSTILE-0001").contains(&"left".to_owned()), "its registrar was not told");
    assert_eq!(net.known("alpha", "HOSTILE-0001").expect("it is known")["standing"], "waiting");
    fresh.tell(net, &[impostor.address]);
    refuses(&mut fresh, own, "voucher-replayed");
    refuses(&mut fresh, older, "voucher-replayed");
    other.cut();
}

/// A voucher that gives the box to somebody else than the maker signed.
fn forged(voucher: &[u8]) -> Vec<u8> {
    let name = b"\"pinned-domain-cert\":\"MII";
    let place = voucher.windows(name.len()).position(|window| window == name).expect("a voucher");
    let mut forged = voucher.to_vec();
    // One letter of it, which is base64 still.
    let letter = &mut forged[place + name.len() + 200];
    *letter = if *letter == b'A' { b'B' } else { b'A' };
    forged
}

/// A registrar of beta's: first its policy takes chips only, then it knows which TPM a box has.
fn strict(net: &Joining) {
    copy_registrar(net);
    let other = format!("[registered-eks]\nHOSTILE-0004 = \"{}\"\n", "5a".repeat(32));
    turns_away(net, "HOSTILE-0003", "tpm-software", |policy| {
        policy.replace("hardware-only = false", "hardware-only = true")
    });
    turns_away(net, "HOSTILE-0004", "ek-other", |policy| format!("{policy}{other}"));
}

/// It refuses a box, by a policy that is made of beta's.
fn turns_away(net: &Joining, serial_number: &str, code: &str, policy: impl FnOnce(String) -> String) {
    let beta = fs::read_to_string(net.dir().join(Joining::registrar("beta")).join("appraisal.toml"));
    fs::write(net.dir().join(STRICT).join("appraisal.toml"), policy(beta.expect("a policy"))).expect("a policy");
    let registrar = Strict::start(net);
    let mut fresh = FreshBox::make(net, serial_number, "maker");
    let voucher = net.sell(serial_number, "beta", "");
    net.run(&format!("registrar approve {serial_number} --registrar {STRICT}"));
    net.run(&format!("registrar import {} --registrar {STRICT}", voucher.display()));
    fresh.tell(net, &[net.registrar_address("strict")]);
    fresh.start();
    fresh.wait_for_refusal(net, code);
    assert!(net.refused("strict", serial_number).contains(&code.to_owned()));
    let numbers = net.metrics("strict");
    assert!(numbers.contains(&format!("dolmen_registrar_refused_total{{code=\"{code}\"}}")), "{numbers}");
    assert_eq!(net.role(serial_number), None);
    drop(registrar);
}

/// Where it is.
const STRICT: &str = "organisations/strict/registrar";

/// A copy of beta's registrar at ports of its own, with a journal of its own.
fn copy_registrar(net: &Joining) {
    let (from, to) = (net.dir().join(Joining::registrar("beta")), net.dir().join(STRICT));
    fs::create_dir_all(to.join("keys")).expect("a directory");
    for folder in ["", "keys"] {
        for file in fs::read_dir(from.join(folder)).expect("beta's registrar").flatten() {
            let is_file = file.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && file.file_name() != "journal" && file.file_name() != "log" {
                fs::copy(file.path(), to.join(folder).join(file.file_name())).expect("a file");
            }
        }
    }
    let settings = to.join("registrar.toml");
    let mut text = fs::read_to_string(&settings).expect("settings");
    for name in ["listen", "metrics"] {
        let address = quiet_port().local_addr().expect("it is bound");
        text = text.replace(&net.setting(&format!("{STRICT}/registrar.toml"), name), &address.to_string());
    }
    fs::write(settings, text).expect("settings");
}

/// Its process. It ends with this.
struct Strict(Child);

impl Strict {
    fn start(net: &Joining) -> Self {
        let log = fs::File::create(net.dir().join(STRICT).join("log")).expect("a log");
        let mut command = process::command(dolmen());
        command.args(["registrar", "run", "--registrar", STRICT]).current_dir(net.dir());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let this = Self(command.spawn().expect("dolmen starts"));
        let serves = || net.try_run(&format!("registrar boxes --registrar {STRICT}")).ok().map(drop);
        wait_for("the registrar", PATIENCE, serves);
        this
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A box of a maker whom the organisation does not know.
fn unknown_maker(net: &Joining) {
    let mut fresh = FreshBox::make(net, "MALLORY-0001", "mallory");
    fresh.tell(net, &[net.registrar_address("alpha")]);
    fresh.start();
    fresh.wait_for_refusal(net, "idevid-unknown-maker");
    let numbers = net.metrics("alpha");
    assert!(numbers.contains("dolmen_registrar_refused_total{code=\"idevid-unknown-maker\"}"), "{numbers}");
    let journal = fs::read_to_string(net.dir().join(Joining::registrar("alpha")).join("journal"));
    assert!(journal.expect("a journal").contains("idevid-unknown-maker"));
    fresh.cut();
}
