//! What an admin changes by the administration API and what of it is in effect with the box's next start: its name, where
//! its log and traces go, the key of its page, and its chain from a backup.

use std::{fs, net::UdpSocket, time::Duration};

use dolmen_tests::{
    Admin, BoxInfo, Cluster, Collector, PATIENCE, Said, Span,
    archive::{IDENTITY, RECIPIENT},
    check_same_blocks, wait_for,
};
use serde_json::{Value, json};

const BOX: usize = 3;
const NAME: &str = "The box in 盒子 room 7";

/// One test, since the box is the same, and starts again once.
#[test]
fn what_is_set_for_the_next_start_is_in_effect_then() {
    let mut cluster = Cluster::start(4);
    let own = cluster.node(BOX).clone();
    let (mut officer, _) = Admin::claim(&own, "officer", "four unrelated words");
    let said = officer.call("POST /tokens", json!({"name": "test", "role": "security-officer", "days": 1}));
    let token = said.json["token"].as_str().unwrap_or_else(|| panic!("{said:?}")).to_owned();
    let admin = || Admin { token: Some(token.clone()), ..Admin::nobody(&own) };
    let (collector, syslog) = (Collector::start(), UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    syslog.set_read_timeout(Some(Duration::from_millis(200))).expect("it is not zero");

    let settings = json!({
        "name": NAME,
        "traces": collector.endpoint(),
        "syslog": format!("udp://{}", syslog.local_addr().expect("it is bound")),
    });
    set(&admin(), &settings);
    let fingerprint = rotate(&admin());
    let head = restore(&own, &admin());

    let (pid, before) = (cluster.pid(BOX), admin().try_call("GET /keys", &Value::Null, &[]).json);
    assert_eq!(admin().try_call("POST /restart", &Value::Null, &[]).status, 202);
    wait_for("the box begins again", PATIENCE, || {
        let log = fs::read_to_string(own.log()).unwrap_or_default();
        let serving = log.lines().filter(|line| line.contains(" serving ")).count();
        (serving >= 2 && log.contains("to begin again")).then_some(())
    });
    assert_eq!(cluster.pid(BOX), pid, "who watches the process goes on to");
    cluster.assert_running();

    assert_eq!(officer.try_call("GET /session", &Value::Null, &[]).code(), "no-session");
    let said = admin().try_call("GET /settings", &Value::Null, &[]);
    assert_eq!((&said.json["name"], &said.json["pending"]), (&json!(NAME), &json!(false)), "{said:?}");
    assert_eq!(Admin::nobody(&own).try_call("GET /box", &Value::Null, &[]).json["name"], NAME);
    let keys = admin().try_call("GET /keys", &Value::Null, &[]).json;
    let tls = |keys: &Value| {
        let keys = keys.as_array().unwrap_or_else(|| panic!("{keys}"));
        keys.iter().find(|key| key["use"] == "tls").cloned().expect("the page has a key")
    };
    assert_ne!(tls(&keys)["public_key"], tls(&before)["public_key"]);
    assert_eq!(tls(&keys)["certificate"]["fingerprint"], json!(fingerprint));
    assert_eq!(tls(&keys)["rotated"], false);

    // It fetches what is newer than the backup, and is of one mind with the others.
    assert!(admin().try_call("GET /backups", &Value::Null, &[]).json["restored"].is_null());
    let log = fs::read_to_string(own.log()).expect("a log");
    assert!(log.contains("the chain of this box is that of its backup now"), "{log}");
    cluster.wait_for_height(head + 3);
    check_same_blocks(&cluster.chain.boxes, 1..=cluster.heights().0);

    lines_come(&syslog);
    traces_come(&own, &collector);
}

fn set(admin: &Admin, settings: &Value) {
    let said = admin.try_call("GET /settings", &Value::Null, &[]);
    assert_eq!((&said.json["pending"], &said.json["writable"]), (&json!(false), &json!(true)), "{said:?}");
    for (wrong, code) in [
        (json!({"name": ""}), "box-name"),
        (json!({"name": "a", "traces": "10.0.0.5"}), "traces"),
        (json!({"name": "a", "syslog": "tls://10.0.0.5:1"}), "syslog"),
    ] {
        let said = admin.try_call("PUT /settings", &wrong, &[]);
        assert_eq!((said.status, said.code()), (422, code), "{said:?}");
    }
    let said = admin.try_call("PUT /settings", settings, &[]);
    assert_eq!((said.status, &said.json["pending"]), (200, &json!(true)), "{said:?}");
    assert_eq!(admin.try_call("GET /settings", &Value::Null, &[]).json, said.json);
}

/// Returns what people compare of the certificate that is to come.
fn rotate(admin: &Admin) -> String {
    let rotate = |used_for: &str| admin.try_call(&format!("POST /keys/{used_for}/rotate"), &Value::Null, &[]);
    for (used_for, status, code) in
        [("consensus", 409, "identity-key"), ("ldevid", 409, "identity-key"), ("api", 404, "not-here")]
    {
        let said = rotate(used_for);
        assert_eq!((said.status, said.code()), (status, code), "{said:?}");
    }
    let said = rotate("tls");
    let fingerprint = said.json["fingerprint"].as_str().unwrap_or_else(|| panic!("{said:?}")).to_owned();
    assert_eq!(said.json["uri"], "soft:page");
    assert_eq!(fingerprint.len(), 32 * 3 - 1);
    // Until the next start the server shows the old one, and its file is what programs of the machine trust.
    assert_eq!(rotate("tls").code(), "rotation-waits");
    let keys = admin.try_call("GET /keys", &Value::Null, &[]).json;
    assert_eq!((&keys[1]["rotated"], &keys[1]["next_fingerprint"]), (&json!(true), &json!(fingerprint)), "{keys}");
    assert_ne!(keys[1]["certificate"]["fingerprint"], json!(fingerprint));
    fingerprint
}

/// Backs the chain up, loses the backup, brings it back and restores it; returns its last block.
fn restore(own: &BoxInfo, admin: &Admin) -> u64 {
    let job = |said: &Said| {
        assert_eq!(said.status, 202, "{said:?}");
        let id = said.json["job"].as_u64().expect("a job");
        wait_for("a job", PATIENCE, || {
            let job = admin.try_call(&format!("GET /jobs/{id}"), &Value::Null, &[]).json;
            assert_ne!(job["state"], "failed", "{job}");
            (job["state"] == "done").then(|| job["result"].clone())
        })
    };
    let ask = |identity: &str| admin.try_call("POST /restore", &json!({"identity": identity}), &[]);
    assert_eq!((ask(IDENTITY).status, ask(IDENTITY).code().to_owned()), (409, "no-backups".to_owned()));
    let made = job(&admin.try_call("POST /backups", &json!({"recipients": [RECIPIENT], "full": true}), &[]));
    let (backups, kept) = (own.dir().join("backups"), own.dir().join("kept"));
    fs::rename(&backups, &kept).expect("the backup is moved away");

    let put = |name: &str, body: &[u8]| {
        let said =
            admin.try_send(&format!("PUT /backups/{name}"), body, &[("Content-Type", "application/octet-stream")]);
        (said.status, said.code().to_owned())
    };
    let manifest = fs::read(kept.join("manifest.json")).expect("a manifest");
    assert_eq!(put("manifest.json", &manifest), (422, "backup-file".to_owned()), "its files are not there");
    assert_eq!(put("..%2Fbox.toml", b"x"), (422, "backup-file".to_owned()));
    for file in made["files"].as_array().expect("files") {
        let name = file["name"].as_str().expect("a name");
        assert_eq!(put(name, b"something else").0, 201);
        assert_eq!(put(name, &fs::read(kept.join(name)).expect("a file")).0, 201, "nobody's yet");
    }
    let foreign = String::from_utf8_lossy(&manifest).replace(made_hash(&manifest).as_str(), &"11".repeat(32));
    assert_eq!(put("manifest.json", foreign.as_bytes()), (422, "backup-file".to_owned()));
    assert_eq!(put("manifest.json", &manifest).0, 201);
    let first = made["files"][0]["name"].as_str().expect("a name");
    assert_eq!(put(first, b"x"), (409, "file-exists".to_owned()));

    assert_eq!(ask("AGE-SECRET-KEY-1").code(), "identity");
    let restored = job(&ask(IDENTITY));
    assert_eq!(restored["head"], made["to"], "{restored}");
    let waits = admin.try_call("GET /backups", &Value::Null, &[]).json["restored"].clone();
    assert_eq!((&waits["head"], &waits["hash"]), (&restored["head"], &restored["hash"]));
    // It can be thought better of.
    assert_eq!(admin.try_call("DELETE /restore", &Value::Null, &[]).status, 204);
    assert!(admin.try_call("GET /backups", &Value::Null, &[]).json["restored"].is_null());
    job(&ask(IDENTITY));
    restored["head"].as_u64().expect("a height")
}

fn made_hash(manifest: &[u8]) -> String {
    let manifest: Value = serde_json::from_slice(manifest).expect("JSON");
    manifest["genesis_hash"].as_str().expect("a hash").trim_start_matches("0x").to_owned()
}

fn lines_come(syslog: &UdpSocket) {
    let mut bytes = [0; 4096];
    let line = wait_for("a line of the log", PATIENCE, || {
        let count = syslog.recv(&mut bytes).ok()?;
        let line = String::from_utf8_lossy(&bytes[..count]).into_owned();
        line.contains(" dolmen::run: serving ").then_some(line)
    });
    assert!(line.starts_with("<30>1 20"), "{line}");
    assert!(line.contains(" The-box-in----room-7 dolmen "), "{line}");
}

/// A request's parts, and those of a block.
fn traces_come(own: &BoxInfo, collector: &Collector) {
    let find = |what: &str, wanted: &dyn Fn(&Span, &[Span]) -> bool| {
        wait_for(what, PATIENCE, || {
            own.call("eth_getBalance", json!(["0x0000000000000000000000000000000000000001", "latest"]));
            let spans = collector.spans();
            spans.iter().find(|span| wanted(span, &spans)).cloned()
        })
    };
    let parent = |span: &Span, spans: &[Span]| {
        spans.iter().find(|other| other.id == span.parent && other.trace == span.trace).map(|other| other.name.clone())
    };
    let call = find("a call", &|span, _| span.name == "eth_getBalance");
    assert_eq!(call.instance, NAME);
    assert!(call.attributes.contains(&("rpc.system".to_owned(), "jsonrpc".to_owned())), "{call:?}");
    find("a write into the database", &|span, spans| {
        span.name == "store" && parent(span, spans).as_deref() == Some("commit")
    });
    find("a check of signatures", &|span, spans| {
        span.name == "signatures" && parent(span, spans).as_deref() == Some("execute")
    });
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.instance == NAME));
}
