//! `dolmen run`: a chain of one box, asked and stopped from outside.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use openssl::ssl::{SslConnector, SslMethod, SslStream};
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for a piece of an answer: a machine whose every core is busy needs some of it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Event streams that a box serves at once.
const STREAMS: usize = 32;

/// A running box; killed when dropped.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    rpc: SocketAddr,
    page: SocketAddr,
    http: SocketAddr,
    dir: TempDir,
}

fn dolmen(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dolmen"));
    command.current_dir(dir).env_remove("RUST_LOG");
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("what it prints is UTF-8").trim_end().to_owned()
}

impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let create = ["keys", "create", "soft:consensus", "--algorithm", "ed25519", "--for", "vote,transport"];
        let key = output(dolmen(dir.path()).args(create));
        let key = key.split_whitespace().last().expect("the public key stands last");
        let validator = format!("box-a={key}@0x00000000000000000000000000000000000000f0");
        output(dolmen(dir.path()).args([
            "genesis",
            "new",
            "--chain-id",
            "7",
            "--out",
            "genesis.json",
            "--validator",
            &validator,
        ]));
        // Free until somebody else takes them.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [p2p, http] = ports.map(|port| port.local_addr().expect("it is bound"));
        let settings = format!(
            "name = \"box-a\"\ngenesis = \"genesis.json\"\ndata_dir = \"data\"\n\
             [p2p]\nlisten = \"{p2p}\"\n\
             [rpc]\nlisten = \"127.0.0.1:0\"\nhosts = [\"rpc.example.org\"]\n\
             [admin]\nlisten = \"127.0.0.1:0\"\nhttp = \"{http}\"\nhosts = [\"page.example.org\"]\n\
             [log]\nformat = \"json\"\n"
        );
        std::fs::write(dir.path().join("box.toml"), settings).expect("the settings can be written");
        let mut child = dolmen(dir.path())
            // Should this test be killed, then so is the box.
            .args(["run", "--stop-on-stdin-eof", "--config", "box.toml"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let serving = wait_for(&mut log, "serving");
        let address =
            |field: &str| -> SocketAddr { serving[field].as_str().expect("an address").parse().expect("an address") };
        Self { child, log, rpc: address("rpc"), page: address("ui"), http, dir }
    }

    /// Sends a request that names `host` to the page, as a program of its machine does.
    fn ask_page(&self, path: &str, host: &str) -> BufReader<SslStream<TcpStream>> {
        let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("the library has TLS");
        connector.set_ca_file(self.dir.path().join("keys/tls.pem")).expect("the page's certificate");
        let socket = connect(self.page);
        let stream = connector.build().connect("127.0.0.1", socket).expect("the page's certificate is its own");
        let token = std::fs::read_to_string(self.dir.path().join("local-token")).expect("the token of this machine");
        send(stream, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"), "")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log up to the line with this message.
fn wait_for(log: &mut BufReader<ChildStderr>, message: &str) -> Value {
    let mut seen = String::new();
    loop {
        let begin = seen.len();
        assert!(log.read_line(&mut seen).expect("the log is UTF-8") > 0, "the log ends without {message:?}:\n{seen}");
        let line: Value = serde_json::from_str(&seen[begin..]).unwrap_or_default();
        if line["message"] == message {
            return line;
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    socket
}

/// Sends a request whose head begins so.
fn send<S: Read + Write>(mut stream: S, head: &str, body: &str) -> BufReader<S> {
    let head = format!("{head}Connection: close\r\nContent-Length: {}\r\n", body.len());
    let request = format!("{head}Content-Type: application/json\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("the request can be sent");
    BufReader::new(stream)
}

fn rest(mut stream: BufReader<impl Read>) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer in time");
    text
}

#[test]
fn requests_under_a_name_that_is_not_listed_are_refused() {
    let running = Running::start();
    for (host, status) in
        [("page.example.org", 200), ("localhost", 200), ("127.0.0.1:1", 200), ("rpc.example.org", 403)]
    {
        for path in ["/", "/api/v1/status", "/metrics", "/healthz"] {
            let answer = rest(running.ask_page(path, host));
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}{path}: {answer}");
            assert_eq!(answer.contains("admin.hosts"), status == 403, "{host}{path}: {answer}");
        }
    }
    let led = rest(send(connect(running.http), "GET /blocks/7 HTTP/1.1\r\nHost: localhost\r\n", ""));
    assert!(led.starts_with("HTTP/1.1 308 "), "{led}");
    assert!(led.contains(&format!("location: https://localhost:{}/blocks/7\r\n", running.page.port())), "{led}");
    let sent = rest(send(connect(running.http), "POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n", "{}"));
    assert!(sent.starts_with("HTTP/1.1 403 "), "{sent}");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
    for (host, status) in [("rpc.example.org", 200), ("page.example.org", 403)] {
        let answer = rest(send(connect(running.rpc), &format!("POST / HTTP/1.1\r\nHost: {host}\r\n"), body));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
    }
}

#[test]
fn it_stops_in_order_while_the_page_is_open() {
    let mut running = Running::start();
    let stream = || running.ask_page("/api/v1/events", "localhost");
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let mut stream = stream();
            let mut status = String::new();
            stream.read_line(&mut status).unwrap();
            assert_eq!(status, "HTTP/1.1 200 OK\r\n");
            stream
        })
        .collect();
    let refused = rest(stream());
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("32 event streams at once"), "{refused}");

    let pid = Pid::from_raw(i32::try_from(running.child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    for stream in streams {
        let events = rest(stream);
        if !events.ends_with("\r\n0\r\n\r\n") {
            let status = running.child.wait().unwrap();
            let mut log = String::new();
            running.log.read_to_string(&mut log).unwrap();
            panic!("a stream was cut off: {events}\nthe box ended with {status}: {log}");
        }
    }
    wait_for(&mut running.log, "stopping");
    // Only once consensus and JSON-RPC have ended.
    wait_for(&mut running.log, "stopped");
    assert!(running.child.wait().unwrap().success());
}
