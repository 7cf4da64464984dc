//! `dolmen ca` and `dolmen masa`, as an organisation and a maker use them, from the factory to the sale.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use dolmen_hsm_swtpm::Swtpm;
use serde_json::Value;

fn run(program: &str, dir: &Path, arguments: &str) -> Output {
    let mut command = Command::new(program);
    command.current_dir(dir).args(arguments.split(' ')).output().expect("the program starts")
}

fn done(program: &str, dir: &Path, arguments: &str) -> String {
    let output = run(program, dir, arguments);
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn dolmen(dir: &Path, arguments: &str) -> String {
    done(env!("CARGO_BIN_EXE_dolmen"), dir, arguments)
}

fn openssl(dir: &Path, arguments: &str) -> String {
    done("openssl", dir, arguments)
}

fn refused(dir: &Path, arguments: &str) -> String {
    let output = run(env!("CARGO_BIN_EXE_dolmen"), dir, arguments);
    assert!(!output.status.success(), "{arguments}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn json(dir: &Path, arguments: &str) -> Value {
    serde_json::from_str(&dolmen(dir, arguments)).expect("JSON")
}

#[test]
fn an_organisation_certifies_its_registrar_and_takes_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let root = json(dir, "ca init Alpha --json");
    assert_eq!(root[0]["subject"], "CN=Alpha root,O=Alpha");
    for file in ["ca/journal", "ca/keys/root.key", "ca/keys/passphrase"] {
        assert_eq!(fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(refused(dir, "ca init Beta").contains("has an authority already"));
    let request = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout r.key -subj /CN=whatever";
    openssl(dir, &format!("{request} -out r.csr"));
    let issue = "ca issue registrar --request r.csr --name registrar-1 --host r.alpha.example --host 10.0.0.5";
    dolmen(dir, &format!("{issue} --out r.pem"));
    assert!(refused(dir, &format!("{issue} --key soft:other --out x.pem")).contains("cannot be opened"));
    openssl(dir, "verify -CAfile ca/root.pem -purpose sslserver -verify_hostname r.alpha.example r.pem");
    openssl(dir, "verify -CAfile ca/root.pem -verify_ip 10.0.0.5 r.pem");

    let listed = json(dir, "ca list --json");
    let serial = listed.as_array().unwrap().iter().find(|one| one["subject"] == "CN=registrar-1,O=Alpha").unwrap();
    let serial = serial["serial"].as_str().unwrap();
    assert!(openssl(dir, "x509 -in r.pem -noout -serial").trim().ends_with(serial));
    assert!(refused(dir, &format!("ca revoke {serial} --reason superseded")).contains("--yes"));
    dolmen(dir, &format!("ca revoke {serial} --reason superseded --yes"));
    let checked = run("openssl", dir, "verify -CAfile ca/root.pem -CRLfile ca/crl.pem -crl_check r.pem");
    assert!(String::from_utf8_lossy(&checked.stderr).contains("certificate revoked"));
    assert!(dolmen(dir, "ca crl").starts_with("crl.pem: list 2, 1 revoked"));
}

#[test]
fn a_box_is_made_and_sold() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (tpm, other) = (Swtpm::new(), Swtpm::new());
    let idevid = |tpm: &Swtpm, arguments: &str| format!("keys idevid --tcti {} {arguments}", tpm.tcti());
    dolmen(dir, "masa init Works --hardware 1.3.6.1.4.1.99999.1");
    dolmen(dir, "ca init Alpha");
    assert!(dolmen(dir, &idevid(&tpm, "--dir k")).contains("not certified by a maker"));

    dolmen(dir, &idevid(&tpm, "--birth birth.json --serial BOX-0001"));
    dolmen(dir, "masa certify birth.json --out idevid.pem");
    // The same birth again has the same certificate; another box has no such number.
    dolmen(dir, "masa certify birth.json --out again.pem");
    assert_eq!(fs::read(dir.join("again.pem")).unwrap(), fs::read(dir.join("idevid.pem")).unwrap());
    dolmen(dir, &idevid(&other, "--birth other.json --serial BOX-0001 --dir o"));
    assert!(refused(dir, "masa certify other.json --out other.pem").contains("was made already"));
    assert!(refused(dir, &idevid(&other, "--install idevid.pem")).contains("another box's certificate"));
    dolmen(dir, &idevid(&tpm, "--install idevid.pem"));
    openssl(dir, "verify -CAfile masa/root.pem -untrusted idevid.pem idevid.pem");
    let shown = json(dir, &idevid(&tpm, "--json"));
    assert_eq!(shown["serial_number"], "BOX-0001");
    let known = json(dir, "masa list --json");
    let known = &known["boxes"][0];
    for name in ["serial_number", "endorsement_key", "ownership_epoch"] {
        assert_eq!(known[name], shown[name], "{name}");
    }
    assert_eq!(known["idevid"], shown["certificate"]);

    fs::write(dir.join("delivery"), "# to Alpha\nBOX-0001\n").unwrap();
    dolmen(dir, "masa sell --list delivery --to ca/root.pem --out vouchers");
    let voucher = fs::read(dir.join("vouchers/BOX-0001.vcj")).unwrap();
    dolmen(dir, "masa sell BOX-0001 --to ca/root.pem --out vouchers");
    assert_eq!(fs::read(dir.join("vouchers/BOX-0001.vcj")).unwrap(), voucher);
    let verify = "cms -verify -binary -inform DER -in vouchers/BOX-0001.vcj -CAfile masa/root.pem -purpose any";
    let voucher: Value = serde_json::from_str(&openssl(dir, verify)).unwrap();
    let voucher = &voucher["ietf-voucher:voucher"];
    assert_eq!(voucher["serial-number"], "BOX-0001");
    let epoch = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(epoch(&voucher["dolmen-voucher:ownership-epoch"]), epoch(&shown["ownership_epoch"]) + 1);

    dolmen(dir, "ca init Beta --authority beta");
    let resale = "masa sell BOX-0001 --to beta/root.pem --out resold";
    assert!(refused(dir, resale).contains("sold to another organisation"));
    dolmen(dir, &format!("{resale} --resell"));
    assert!(refused(dir, "masa sell BOX-0002 --to ca/root.pem --out vouchers").contains("no box BOX-0002"));
}
