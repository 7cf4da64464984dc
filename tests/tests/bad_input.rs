//! Mistakes of operators and clients. Each mistake in a file ends the program within seconds with a message that names
//! the cause and the next step; nothing that a client sends stops a box.

use std::{
    fs,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    time::Duration,
};

use dolmen_tests::{Cluster, dolmen, http, process};
use serde_json::{Value, json};

/// "Within seconds", on a machine whose cores are all busy.
const SECONDS: Duration = Duration::from_secs(30);
/// How it shows that the box closed a connection, by how far this end had got. Even connecting can end in each of them.
const HUNG_UP: [ErrorKind; 4] =
    [ErrorKind::BrokenPipe, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::NotConnected];

#[test]
fn mistakes_in_box_toml_are_named() {
    let cluster = Cluster::prepare(1);
    let own = cluster.node(0);
    let good = fs::read_to_string(&own.config).unwrap();
    let refused = |text: &str, words: &[&str]| {
        fs::write(&own.config, text).unwrap();
        assert_refused(&own.config, words);
    };
    refused(&format!("colour = \"blue\"\n{good}"), &["box.toml", "unknown field", "colour"]);
    refused(&good.replace("[rpc]", "[rpc]\nport = 1"), &["box.toml", "unknown field", "port", "listen"]);
    refused(&good.replace("name = \"box-0\"", ""), &["box.toml", "missing field", "name"]);
    refused(&good.replace("127.0.0.1:", "localhost:"), &["box.toml", "invalid socket address"]);
    refused("name = ", &["box.toml", "not a valid"]);
    refused(&good.replace("../genesis.json", "nowhere.json"), &["genesis", "nowhere.json", "No such file"]);
    fs::remove_file(&own.config).unwrap();
    assert_refused(&own.config, &["cannot read", "box.toml", "--config"]);
}

#[test]
fn mistakes_in_a_genesis_file_are_named() {
    let cluster = Cluster::prepare(4);
    let good: Value = serde_json::from_slice(&fs::read(&cluster.chain.genesis).unwrap()).unwrap();
    let file = cluster.node(0).dir().join("changed.json");
    let check = |genesis: &Value| {
        fs::write(&file, genesis.to_string()).unwrap();
        process::run(Command::new(dolmen()).args(["genesis", "check"]).arg(&file), SECONDS)
    };
    let fine = check(&good);
    assert!(fine.status.success() && fine.output.contains("4 validators"), "{}", fine.output);
    let someone = "0x00000000000000000000000000000000000000aa";
    let max = format!("0x{}", "f".repeat(64));
    let (slot, zero) = (format!("{:#066x}", 1), format!("{:#066x}", 0));
    let (name, key) = (&good["validators"][0]["name"], &good["validators"][0]["public_key"]);
    let mistakes: Vec<(&str, Value, &[&str])> = vec![
        ("/chain_id", json!(0), &["`chain_id`", "between 1 and"]),
        ("/chain_id", json!(1_u64 << 53), &["`chain_id`", "between 1 and"]),
        ("/timestamp_ms", json!(0), &["`timestamp_ms`", "milliseconds"]),
        ("/gas_limit", json!(999_999), &["`gas_limit`", "1000000"]),
        ("/gas_limit", json!(1_000_000_001_u64), &["`gas_limit`", "1000000000"]),
        ("/block_bytes_max", json!(1), &["`block_bytes_max`", "262144"]),
        ("/block_interval_min_ms", json!(0), &["`block_interval_min_ms`", "0 ms"]),
        ("/block_interval_max_ms", json!(60_001), &["`block_interval_max_ms`", "60001 ms"]),
        ("/block_interval_min_ms", json!(60_000), &["`block_interval_min_ms`", "above `block_interval_max_ms`"]),
        ("/validators", json!([]), &["`validators`", "0 boxes"]),
        ("/validators/1/name", name.clone(), &["`validators[1].name`", "already used"]),
        ("/validators/1/public_key", key.clone(), &["`validators[1].public_key`", "already used"]),
        ("/validators/2/name", json!("a b"), &["`validators[2].name`", "`a b`", "letters"]),
        ("/validators/2/public_key", json!("12"), &["`12`", "64 hexadecimal digits"]),
        ("/accounts", json!({someone: {}}), &["accounts.", "empty", "leave it out"]),
        (
            "/accounts",
            json!({someone: {"nonce": 1, "storage": {slot: zero}}}),
            &["storage", "zero", "leave the slot out"],
        ),
        ("/accounts/", json!({"balance": max}), &["`accounts`", "2^256 - 1"]),
        ("/colour", json!("blue"), &["unknown field", "colour"]),
    ];
    for (pointer, value, words) in mistakes {
        let mut genesis = good.clone();
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let parent = genesis.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(_) => unreachable!("{pointer} names a field"),
            _ if last.is_empty() => parent[someone] = value,
            _ => parent[last] = value,
        }
        let refused = check(&genesis);
        assert_words(&format!("genesis check with {pointer} changed"), &refused, words);
    }
    let mut genesis = good.clone();
    genesis.as_object_mut().unwrap().remove("gas_limit");
    assert_words("genesis check without gas_limit", &check(&genesis), &["missing field", "gas_limit"]);
    let missing = process::run(Command::new(dolmen()).args(["genesis", "check", "nowhere.json"]), SECONDS);
    assert_words("genesis check of no file", &missing, &["cannot read", "nowhere.json"]);
}

#[test]
fn keys_and_databases_of_others_are_refused() {
    let mut cluster = Cluster::start(1);
    cluster.stop(0);
    let own = cluster.node(0).clone();

    // The same database for a chain that differs in one field.
    let good = fs::read(&cluster.chain.genesis).unwrap();
    let mut genesis: Value = serde_json::from_slice(&good).unwrap();
    genesis["chain_id"] = json!(4321);
    fs::write(&cluster.chain.genesis, genesis.to_string()).unwrap();
    assert_refused(&own.config, &["database belongs to the chain with genesis 0x", "its own data_dir"]);
    fs::write(&cluster.chain.genesis, good).unwrap();

    let key = own.dir().join("keys/consensus.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(&own.config, &["consensus.key", "mode 644", "chmod go="]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let secret = fs::read_to_string(&key).unwrap();
    fs::write(&key, "not a key").unwrap();
    assert_refused(&own.config, &["consensus.key", "is damaged", "restore it"]);
    fs::write(&key, &secret).unwrap();
    let votes = own.dir().join("keys/votes");
    let log = fs::read(&votes).unwrap();
    fs::write(&votes, vec![0; log.len()]).unwrap();
    assert_refused(&own.config, &["votes is damaged at its beginning", "move it away"]);
    fs::write(&votes, &log[..log.len() / 2]).unwrap();
    assert_refused(&own.config, &["votes is damaged", "cut short", "move it away"]);
    fs::write(&votes, log).unwrap();

    cluster.restart(0);
    cluster.wait_for_progress(1);
    // A second box on the same data, even on ports of its own.
    let (config, other) = (fs::read_to_string(&own.config).unwrap(), own.dir().join("other.toml"));
    let free: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut ports = free.iter().map(|listener| listener.local_addr().unwrap());
    let lines = config.lines().map(|line| match line.strip_prefix("listen = ") {
        Some(_) => format!("listen = \"{}\"\n", ports.next().unwrap()),
        None => format!("{line}\n"),
    });
    fs::write(&other, lines.collect::<String>()).unwrap();
    drop(free);
    assert_refused(&other, &["in use by another process", "data_dir"]);
    cluster.wait_for_progress(1);
    assert!(!fs::read_to_string(own.log()).unwrap().contains(secret.trim()), "the private key is not in the log");
}

#[test]
fn ports_in_use_are_named() {
    let mut cluster = Cluster::prepare(1);
    let own = cluster.node(0).clone();
    let p2p = own.p2p_address();
    for (address, setting) in [(own.rpc_address(), "rpc"), (own.admin_address(), "admin"), (p2p, "p2p")] {
        let taken = TcpListener::bind(address).unwrap();
        assert_refused(&own.config, &[&address.to_string(), &format!("{setting}.listen"), "Address already in use"]);
        drop(taken);
    }
    // Free again, and nothing of the failed starts is in the way.
    cluster.restart(0);
    cluster.wait_for_height(1);
}

#[test]
fn garbage_from_clients_stops_nothing() {
    let mut cluster = Cluster::start(1);
    let own = cluster.node(0).clone();
    let p2p = own.p2p_address();
    let mut open = Vec::new();
    for address in [own.rpc_address(), own.admin_address(), p2p] {
        // The port for peers takes so many handshakes a second from one address and hangs up on the rest at once.
        let may_hang_up = address == p2p;
        for request in garbage() {
            let Some(mut stream) = unless_hung_up(http::connect(address), may_hang_up) else { continue };
            // The box may close before all is written.
            let _ = stream.write_all(&request).and_then(|()| stream.shutdown(Shutdown::Write));
            assert_answers_or_closes(&mut stream);
        }
        // Half a request and then silence: others must be served meanwhile.
        open.extend((0..50).filter_map(|_| unless_hung_up(half_open(address), may_hang_up)));
        cluster.wait_for_progress(1);
        assert_eq!(own.get("/healthz").status, 200);
    }
    for body in malformed_calls() {
        // A body above the limit may cost the connection before it is sent.
        let Ok(answer) = http::post(own.rpc_address(), &body) else { continue };
        let shown: String = body.chars().take(60).collect();
        assert!(!answer.body.contains("\"result\""), "{shown} was answered with {answer:?}");
    }
    cluster.wait_for_progress(2);
    drop(open);
    cluster.wait_for_progress(1);
    cluster.stop(0);
}

/// Bytes that are no request, or one beyond every limit.
fn garbage() -> Vec<Vec<u8>> {
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
    vec![
        vec![],
        vec![0; 4096],
        vec![0xff; 100_000],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        format!("{head}X-Huge: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes(),
        format!("{head}{}\r\n", "A: b\r\n".repeat(20_000)).into_bytes(),
        format!("{head}Content-Length: 99999999999999999999\r\n\r\n{{}}").into_bytes(),
        format!("{head}Content-Length: 1000000000\r\n\r\n{{}}").into_bytes(),
        format!("{head}Content-Length: -1\r\n\r\n{{}}").into_bytes(),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{{").into_bytes(),
        format!("{head}{upgrade}Sec-WebSocket-Key: x\r\n\r\n\u{ff}").into_bytes(),
    ]
}

/// Bodies that must be answered with an error or nothing.
fn malformed_calls() -> Vec<String> {
    let call = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let batch = vec![call("eth_blockNumber", json!([])); 1001];
    vec![
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "\u{0}".to_owned(),
        "[".repeat(100_000),
        format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        json!({"jsonrpc": "1.0", "id": 1, "method": "eth_blockNumber"}).to_string(),
        json!({"jsonrpc": "2.0", "id": 1, "method": 7}).to_string(),
        call("no_such_method", json!([])).to_string(),
        call("eth_getBlockByNumber", json!([{"deep": [[[[]]]]}, 1])).to_string(),
        call("eth_getBalance", json!(["0x1", "latest"])).to_string(),
        call("eth_sendRawTransaction", json!(["0x02c0"])).to_string(),
        call("eth_sendRawTransaction", json!([format!("0x02{}", "f8".repeat(1000))])).to_string(),
        Value::Array(batch).to_string(),
        format!("\"{}\"", "x".repeat(6 << 20)),
    ]
}

/// A connection that starts a request and does not end it.
fn half_open(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = http::connect(address)?;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")?;
    Ok(stream)
}

/// What came of a step on a connection; `None` where the box closed it, which only some ports may do.
fn unless_hung_up<T>(result: io::Result<T>, may_hang_up: bool) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if may_hang_up && HUNG_UP.contains(&error.kind()) => None,
        Err(error) => panic!("the box takes no connection: {error}"),
    }
}

/// Reads until the box closes; a box that keeps an endless request open has until the read times out.
fn assert_answers_or_closes(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("two seconds are a timeout");
    let mut answer = Vec::new();
    let _ = stream.take(1 << 20).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains("\"result\""), "garbage was answered with {text}");
}

/// `dolmen run` must end by itself with an error that has all these words.
fn assert_refused(config: &Path, words: &[&str]) {
    let ended = process::run(Command::new(dolmen()).args(["run", "--config"]).arg(config), SECONDS);
    assert_words(&format!("run with {}", config.display()), &ended, words);
}

fn assert_words(what: &str, ended: &process::Ended, words: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{what}: {} {}", ended.status, ended.output);
    for word in words {
        assert!(ended.output.contains(word), "{what}: no `{word}` in the message:\n{}", ended.output);
    }
    assert!(!ended.output.contains("panicked"), "{what}: {}", ended.output);
}
