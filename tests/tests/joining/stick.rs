//! A box that no network leads to a registrar: a stick is carried between the two.

use std::{fs, process::Command};

use dolmen_tests::{AddedBox, Devnet, Joining, PATIENCE, process, wait_for};

/// Carries after the one that brings the voucher: for the challenge, the certificate with the chain, and the admission.
const CARRIES: usize = 3;

#[test]
fn a_box_joins_by_a_stick() {
    let dir = tempfile::tempdir().unwrap();
    let devnet = Devnet::start_zero_touch(dir.path(), 1, &[]);
    let (net, dir) = (Joining::of(&devnet), dir.path());
    let _plugged_in = AddedBox::start(dir, &["--air-gapped"]);
    let phase = || Some(net.report("box-2")?["phase"].as_str()?.to_owned());
    wait_for("the box to look for a registrar", PATIENCE, phase);
    let registrar = "--registrar organisations/alpha/registrar --stick box-2/stick";
    let imported = || net.try_run(&format!("registrar prepare DEVNET-0002 {registrar}")).ok();
    wait_for("the registrar to have its voucher", PATIENCE, imported);

    let folder = dir.join("box-2/stick/dolmen/DEVNET-0002");
    let numbers = |kind: &str| {
        let names = fs::read_dir(&folder).into_iter().flatten().flatten();
        let names = names.filter_map(|file| file.file_name().into_string().ok());
        let numbers = names.filter_map(|name| name.strip_prefix(kind)?.strip_suffix(".cms")?.parse::<usize>().ok());
        numbers.max().unwrap_or_default()
    };
    let mut carries = 0;
    let mut carry = || {
        if phase()? == "member" {
            return Some(());
        }
        if numbers("letter-") > numbers("reply-") || phase()? == "awaiting-admission" {
            net.run(&format!("registrar carry {registrar}"));
            carries += 1;
        }
        None
    };
    wait_for("the box to join", PATIENCE, &mut carry);
    assert_eq!(numbers("letter-"), CARRIES, "after {carries} carries");

    assert_eq!(net.role("DEVNET-0002").as_deref(), Some("follower"));
    let height = devnet.chain.boxes[0].height().expect("the chain goes on");
    let config = fs::read_to_string(dir.join("box-2/box.toml")).expect("settings");
    let rpc = config.split("[rpc]").nth(1).and_then(|rpc| rpc.split('"').nth(1)).expect("an address").parse().unwrap();
    let follows = || {
        let shown = dolmen_tests::http::rpc(rpc, "eth_blockNumber", serde_json::json!([])).ok()?;
        (dolmen_tests::quantity(&shown) >= height).then_some(())
    };
    wait_for("the box to follow the chain", PATIENCE, follows);

    // What others verify: both are CMS, and neither is for anybody else.
    for kind in ["letter", "reply"] {
        let path = folder.join(format!("{kind}-1.cms"));
        let mut openssl = Command::new("openssl");
        openssl.args(["cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in"]).arg(&path);
        let shown = process::run(&mut openssl, PATIENCE);
        assert!(shown.status.success() && shown.output.contains("DEVNET-0002"), "{}", shown.output);
    }
    let mut letter = fs::read(folder.join("letter-3.cms")).unwrap();
    let middle = letter.len() / 2;
    letter[middle] ^= 1;
    let forged = dir.join("forged/dolmen/DEVNET-0002");
    fs::create_dir_all(&forged).unwrap();
    fs::write(forged.join("letter-4.cms"), letter).unwrap();
    let carried = "registrar carry --registrar organisations/alpha/registrar --stick forged";
    let said = net.try_run(carried).expect_err("it was changed");
    assert!(!forged.join("reply-4.cms").exists(), "{said}");
}
