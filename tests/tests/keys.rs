//! Boxes whose keys are in devices: they run a chain, stop signing without the device, and give no secret away.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyStore as _};
use dolmen_hsm_soft::SoftStore;
use dolmen_tests::{Devnet, PATIENCE, dolmen, http, process, wait_for};
use nix::sys::signal::Signal;
use serde_json::Value;
use zeroize::Zeroizing;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const FEES: &str = "0x00000000000000000000000000000000000000f0";
const PLANTED: &str = "planted-passphrase-6f1d";
/// A secret whose bytes are easy to look for.
const SECRET: [u8; 32] = *b"planted secret of a box, 32 byte";

/// Gets a page of the box in a directory, as a program of its machine does.
fn curl(dir: &Path, url: &str) -> (Vec<(String, String)>, Vec<u8>) {
    let token = fs::read_to_string(dir.join("local-token")).expect("the token of this machine");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--include", "--cacert"])
        .arg(dir.join("keys/tls.pem"))
        .args(["--oauth2-bearer", &token])
        .arg(url)
        .output()
        .expect("curl starts");
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    let end = output.stdout.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(output.stdout[..end].to_vec()).expect("text");
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    (headers, output.stdout[end + 4..].to_vec())
}

#[test]
fn a_chain_runs_on_keys_in_devices() {
    let dir = tempfile::tempdir().unwrap();
    let devnet = Devnet::start_with_options(dir.path(), &["--swtpm", "--softhsm"]);
    let own = &devnet.chain.boxes[0];
    let certificate = own.dir().join("keys/tls.pem");
    assert!(own.ui.starts_with("https://"), "{}", own.ui);
    let (headers, body) = curl(own.dir(), &format!("{}api/v1/status?nonce=4711", own.ui));
    let status: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status["alarms"], serde_json::json!([]));
    let key = |used_for: &str| {
        let keys = status["keys"].as_array().unwrap();
        keys.iter().find(|key| key["use"] == used_for).unwrap_or_else(|| panic!("{status}")).clone()
    };
    assert_eq!((&key("consensus")["uri"], &key("consensus")["in"]), (&"tpm:consensus".into(), &"memory".into()));
    assert_eq!((&key("tls")["uri"], &key("tls")["in"]), (&"pkcs11:token=dolmen;object=tls".into(), &"device".into()));
    check_signature(&headers, &body, key("api")["public_key"].as_str().unwrap(), "?nonce=4711");

    // Another box's certificate is not this box's, and plain HTTP is no way in.
    let other = devnet.chain.boxes[1].dir().join("keys/tls.pem");
    let refused = Command::new("curl").args(["--silent", "--cacert"]).arg(other).arg(&own.ui).output().unwrap();
    assert!(!refused.status.success());
    assert!(http::post(own.admin_address(), "{}").is_err(), "HTTP where HTTPS is asked for");

    let url = own.ui.trim_end_matches('/');
    let mut show = process::command(dolmen());
    show.args(["status", "--url", url, "--certificate"]).arg(&certificate).arg("--token").arg(&own.token);
    let shown = process::run(&mut show, PATIENCE);
    assert!(shown.status.success() && shown.output.contains("tls: pkcs11:token=dolmen;object=tls (p256, in device)"));
    // The TPM's counter has stamped the log of votes.
    let log = fs::read_to_string(own.log()).unwrap();
    assert!(log.contains("counted=true"), "{log}");
    // The PIN is in its file alone.
    let pin = fs::read_to_string(own.dir().join("token/pin")).unwrap();
    for pid in devnet.pids() {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains(&pin), "process {pid}");
    }
    assert!(!log.contains(&pin) && !String::from_utf8_lossy(&body).contains(&pin));
}

/// As whoever reads RFC 9421 would check it.
fn check_signature(headers: &[(String, String)], body: &[u8], key: &str, query: &str) {
    let header = |name: &str| &headers.iter().find(|(own, _)| own == name).unwrap_or_else(|| panic!("{name}")).1;
    let digest = format!("sha-256=:{}:", openssl::base64::encode_block(&openssl::sha::sha256(body)));
    assert_eq!(header("content-digest"), &digest);
    let parameters = header("signature-input").strip_prefix("dolmen=").expect("the test's own");
    assert!(parameters.contains("alg=\"ecdsa-p256-sha256\"") && parameters.contains(key), "{parameters}");
    let base = format!(
        "\"@status\": 200\n\"content-digest\": {digest}\n\"@path\";req: /api/v1/status\n\"@query\";req: {query}\n\
         \"@signature-params\": {parameters}"
    );
    let signature = header("signature")
        .strip_prefix("dolmen=:")
        .expect("the test's own")
        .strip_suffix(':')
        .expect("the test's own");
    let signature = openssl::base64::decode_block(signature).expect("the test's own");
    let number = |bytes: &[u8]| openssl::bn::BigNum::from_slice(bytes).expect("the test's own");
    let signature =
        openssl::ecdsa::EcdsaSig::from_private_components(number(&signature[..32]), number(&signature[32..]))
            .expect("the test's own");
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).expect("the test's own");
    let point: Vec<u8> =
        (0..64).map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).expect("the test's own")).collect();
    let key =
        openssl::ec::EcKey::from_public_key_affine_coordinates(&group, &number(&point[..32]), &number(&point[32..]));
    assert!(
        signature
            .verify(&openssl::sha::sha256(base.as_bytes()), &key.expect("the test's own"))
            .expect("the test's own"),
        "{base}"
    );
}

/// A chain of one box that this test runs itself.
struct Alone {
    dir: tempfile::TempDir,
    child: Option<Child>,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Alone {
    /// Writes the files of the chain; the key that `[keys]` names is made where there is none.
    fn new(keys: &str, environment: Vec<(&'static str, PathBuf)>, prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        prepare(dir.path());
        let alone = Self { dir, child: None, environment };
        let ports = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [rpc, admin, p2p] = ports.each_ref().map(|port| port.local_addr().expect("it is bound"));
        let settings = format!(
            "name = \"alone\"\ngenesis = \"genesis.json\"\ndata_dir = \"data\"\n{keys}\n\
             [p2p]\nlisten = \"{p2p}\"\n[rpc]\nlisten = \"{rpc}\"\n[admin]\nlisten = \"{admin}\"\n"
        );
        drop(ports);
        fs::write(alone.path("box.toml"), settings).expect("it is written");
        alone
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::command(dolmen());
        command.current_dir(self.dir.path()).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let ended = process::run(&mut self.command(arguments), PATIENCE);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.output);
        ended.output
    }

    fn found(&self, key: &str) {
        let shown: Value = serde_json::from_str(&self.run(&["keys", "show", key, "--json", "--config", "box.toml"]))
            .expect("the test's own");
        let validator = format!("alone={}@{FEES}", shown[0]["public_key"].as_str().expect("the test's own"));
        self.run(&["genesis", "new", "--chain-id", "7", "--out", "genesis.json", "--validator", &validator]);
    }

    fn start(&mut self) {
        let log = fs::File::create(self.path("log")).expect("the test's own");
        let mut command = self.command(&["run", "--stop-on-stdin-eof", "--config", "box.toml"]);
        command
            .env("RUST_LOG", "trace")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the test's own"))
            .stderr(log);
        self.child = Some(command.spawn().expect("the test's own"));
    }

    fn admin(&self) -> SocketAddr {
        let config = fs::read_to_string(self.path("box.toml")).expect("the test's own");
        let listen = config.split("[admin]\nlisten = \"").nth(1).and_then(|rest| rest.split('"').next());
        listen.and_then(|listen| listen.parse().ok()).expect("the test's own")
    }

    fn status(&self) -> Option<Value> {
        serde_json::from_str(&http::get(self.admin(), self.dir.path(), "/api/v1/status").ok()?.body).ok()
    }

    fn wait_for_status(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, PATIENCE, || self.status().filter(&holds))
    }

    fn log(&self) -> Vec<u8> {
        fs::read(self.path("log")).expect("the test's own")
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", process::tail(&self.path("log"), 30));
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A key of consensus that never leaves its token, which goes and comes back.
#[test]
fn a_box_without_its_token_votes_no_more_until_it_is_back() {
    let token = tempfile::tempdir().unwrap();
    let (tokens, configuration, pin) =
        (token.path().join("tokens"), token.path().join("softhsm2.conf"), token.path().join("pin"));
    fs::create_dir(&tokens).unwrap();
    fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    fs::write(&pin, "81726354").unwrap();
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "box", "--pin", "81726354", "--so-pin", "1234"])
        .env("SOFTHSM2_CONF", &configuration)
        .output()
        .expect("softhsm2-util starts");
    assert!(made.status.success());
    let key = "pkcs11:token=box;object=consensus";
    let keys = format!(
        "[keys]\nconsensus = \"{key}\"\n[keys.devices.pkcs11]\nmodule_path = \"{SOFTHSM}\"\npin_source = \"{}\"",
        pin.display()
    );
    let mut alone = Alone::new(&keys, vec![("SOFTHSM2_CONF", configuration)], |_| {});
    alone.run(&["keys", "create", key, "--algorithm", "ed25519", "--for", "vote,transport", "--config", "box.toml"]);
    alone.found(key);
    alone.start();
    let height = |status: &Value| status["height"].as_u64().unwrap();
    let status = alone.wait_for_status("blocks", |status| height(status) >= 3);
    assert_eq!((&status["keys"][0]["in"], &status["alarms"]), (&"device".into(), &serde_json::json!([])));

    let away = token.path().join("away");
    fs::rename(&tokens, &away).unwrap();
    let status = alone.wait_for_status("an alarm", |status| status["alarms"][0]["id"] == "votes_failing");
    assert!(status["alarms"][0]["cause"].as_str().unwrap().contains("the key gives no signature"), "{status}");
    let stopped = height(&status);
    std::thread::sleep(Duration::from_secs(2));
    assert!(height(&alone.status().unwrap()) <= stopped + 1, "it votes without its key");

    fs::rename(&away, &tokens).unwrap();
    alone.wait_for_status("votes again", |status| height(status) > stopped + 3 && status["alarms"][0].is_null());
}

/// A TLS key that the TPM never gives away, and a vote counter for a key in a file.
#[test]
fn a_page_is_served_with_a_key_of_the_tpm() {
    let state = tempfile::tempdir().unwrap();
    let port = loop {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        if TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            break port;
        }
    };
    let (server, control) = (format!("type=tcp,port={port}"), format!("type=tcp,port={}", port + 1));
    let mut swtpm = process::command("swtpm")
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--server", &server, "--ctrl", &control])
        .arg("--tpmstate")
        .arg(format!("dir={}", state.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("swtpm starts");
    wait_for("swtpm to listen", PATIENCE, || TcpStream::connect(("127.0.0.1", port + 1)).ok());
    let keys = format!(
        "[keys]\ntls = \"tpm:page\"\nvote_counter = \"tpm\"\n\
         [keys.devices]\ntcti = \"swtpm:host=127.0.0.1,port={port}\""
    );
    let mut alone = Alone::new(&keys, Vec::new(), |_| {});
    alone.run(&[
        "keys",
        "create",
        "soft:consensus",
        "--algorithm",
        "ed25519",
        "--for",
        "vote,transport",
        "--config",
        "box.toml",
    ]);
    alone.found("soft:consensus");
    alone.start();
    let certificate = alone.path("keys/tls.pem");
    let url = format!("https://{}/", alone.admin());
    let body = wait_for("the page", PATIENCE, || {
        certificate.exists().then(|| http::connect(alone.admin()).ok()).flatten()?;
        Some(curl(alone.dir.path(), &format!("{url}api/v1/status")).1)
    });
    let status: Value = serde_json::from_slice(&body).unwrap();
    let tls = status["keys"].as_array().unwrap().iter().find(|key| key["use"] == "tls").unwrap().clone();
    assert_eq!((&tls["uri"], &tls["in"]), (&"tpm:page".into(), &"device".into()));
    // The key is the same after a restart, and so is what people have accepted.
    let before = fs::read(&certificate).unwrap();
    process::send(alone.child.as_ref().unwrap().id(), Signal::SIGTERM);
    assert!(alone.child.take().unwrap().wait().unwrap().success());
    assert!(String::from_utf8_lossy(&alone.log()).contains("stopped"));
    alone.start();
    wait_for("the page again", PATIENCE, || http::connect(alone.admin()).ok());
    curl(alone.dir.path(), &format!("{url}healthz"));
    assert_eq!(fs::read(&certificate).unwrap(), before);
    drop(alone);
    swtpm.kill().unwrap();
    swtpm.wait().unwrap();
}

/// What is planted is looked for wherever it might show: logs at their most verbose, arguments, environment, errors, and a
/// core dump, of which there is none.
#[test]
fn secrets_show_nowhere() {
    let mut alone = Alone::new("", Vec::new(), |dir| {
        let (keys, passphrase) = (dir.join("keys"), dir.join("keys/passphrase"));
        fs::create_dir(&keys).unwrap();
        fs::write(&passphrase, PLANTED).unwrap();
        fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
        let domains = [Domain::Vote, Domain::Transport].into_iter().collect();
        let spec = KeySpec { algorithm: Algorithm::Ed25519, domains };
        let store = SoftStore::new(keys, passphrase);
        store.import(&"soft:consensus".parse().unwrap(), spec, &Zeroizing::new(SECRET)).unwrap();
    });
    alone.found("soft:consensus");
    alone.start();
    alone.wait_for_status("blocks", |status| status["height"].as_u64().unwrap() >= 3);
    let mut child = alone.child.take().unwrap();
    let pid = child.id();
    let mut shown = vec![("log", alone.log())];
    for file in ["cmdline", "environ"] {
        shown.push((file, fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default()));
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    process::send(pid, Signal::SIGABRT);
    let status = child.wait().unwrap();
    assert!(status.signal() == Some(Signal::SIGABRT as i32) && !status.core_dumped(), "{status:?}");

    // Errors: a passphrase that does not open it, a damaged file, a wrong use.
    let other = alone.path("other");
    fs::write(&other, format!("not {PLANTED}")).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    let file = alone.path("keys/consensus.key");
    let text = fs::read_to_string(&file).unwrap();
    shown.push(("key file", text.clone().into_bytes()));
    let show = ["keys", "show", "soft:consensus", "--config", "box.toml"];
    let error = process::run(alone.command(&show).args(["--passphrase-file", "other"]), PATIENCE);
    assert!(!error.status.success());
    shown.push(("error of a wrong passphrase", error.output.into_bytes()));
    fs::write(&file, text.replace("ed25519", "p256")).unwrap();
    let error = process::run(&mut alone.command(&show), PATIENCE);
    assert!(!error.status.success());
    shown.push(("error of a damaged file", error.output.into_bytes()));
    fs::write(&file, text).unwrap();

    let hex: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
    let needles = [
        PLANTED.as_bytes().to_vec(),
        SECRET.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        openssl::base64::encode_block(&SECRET).into_bytes(),
        format!("{SECRET:?}").into_bytes(),
        openssl::base64::encode_block(PLANTED.as_bytes()).into_bytes(),
    ];
    for (place, bytes) in &shown {
        assert!(!bytes.is_empty() || *place == "environ", "{place} is empty: nothing would be found there");
        for needle in &needles {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle), "a secret shows in the {place}");
        }
    }
    assert!(shown[0].1.len() > 10_000, "the log is verbose");
}
