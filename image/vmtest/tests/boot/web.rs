//! A running box as its users reach it: JSON-RPC, and the web page's interface.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use dolmen_image_vmtest::{MARKER_WAIT_MAX, Running};
use dolmen_tests::Admin;
use openssl::{
    hash::MessageDigest,
    ssl::{SslConnector, SslMethod, SslVerifyMode},
    x509::X509,
};
use serde_json::{Value, json};

/// Ports of a box.
pub(crate) const RPC: u16 = 8545;
pub(crate) const PAGE: u16 = 443;
/// Between two questions to a box that is not ready.
const PAUSE: Duration = Duration::from_millis(500);

/// Asks by JSON-RPC.
pub(crate) fn rpc(port: u16, method: &str, params: &Value) -> Result<Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let url = format!("http://127.0.0.1:{port}");
    let answer = curl(&["-H", "Content-Type: application/json", "--data-raw", &request, &url])?;
    let answer: Value = serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))?;
    answer.get("result").cloned().with_context(|| format!("{method}: {answer}"))
}

/// The height of the chain.
pub(crate) fn height(port: u16) -> Result<u64> {
    let height = rpc(port, "eth_blockNumber", &json!([]))?;
    let digits = height.as_str().and_then(|text| text.strip_prefix("0x")).context("no number")?;
    Ok(u64::from_str_radix(digits, 16)?)
}

/// What tells one chain from all others.
pub(crate) fn genesis(port: u16) -> Result<String> {
    let block = rpc(port, "eth_getBlockByNumber", &json!(["0x0", false]))?;
    Ok(block["hash"].as_str().context("a block has a hash")?.to_owned())
}

/// SHA-256 of the page's certificate, which nobody has to vouch for: the box's screen shows it.
pub(crate) fn fingerprint(port: u16) -> Result<Vec<u8>> {
    Ok(certificate(port)?.digest(MessageDigest::sha256())?.to_vec())
}

fn certificate(port: u16) -> Result<X509> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let tls = connector.build().configure()?.verify_hostname(false).use_server_name_indication(false);
    let tls = tls.connect("box", stream)?;
    tls.ssl().peer_certificate().context("a page without a certificate")
}

/// The page's interface, as somebody who may change the box has it.
pub(crate) struct Page {
    pub(crate) port: u16,
    /// An API token.
    pub(crate) token: String,
}

impl Page {
    /// Makes a box somebody's who shows the code of its screen.
    pub(crate) fn claim(port: u16, claim_code: &str) -> Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), certificate(port)?.to_pem()?)?;
        let mut admin = Admin {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            certificate: file.path().to_owned(),
            cookie: None,
            csrf: None,
            token: None,
        };
        let user = json!({ "claim_code": claim_code, "name": "engineer", "password": "four unrelated words" });
        let said = admin.call("POST /claim", user);
        ensure!(said.status == 201, "{said:?}");
        admin.set_up_totp();
        let token = json!({ "name": "test", "role": "operator", "days": 1 });
        let said = admin.call("POST /tokens", token);
        let token = said.json["token"].as_str().with_context(|| format!("{said:?}"))?.to_owned();
        Ok(Self { port, token })
    }

    /// What the box says of its slots.
    pub(crate) fn slots(&self) -> Result<Value> {
        let answer = self.ask(&[], "update")?;
        serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))
    }

    /// For how many seconds the node's program has run.
    pub(crate) fn uptime(&self) -> Result<u64> {
        let answer = self.ask(&[], "status")?;
        let status: Value = serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))?;
        status["uptime_s"].as_u64().context("a status says for how long")
    }

    /// Has the node end, and begin again.
    pub(crate) fn restart(&self) -> Result<()> {
        self.ask(&["-X", "POST"], "restart").map(drop)
    }

    /// Sends a bundle, or with `None` asks for the other slot.
    pub(crate) fn change(&self, bundle: Option<&[u8]>) -> Result<()> {
        match bundle {
            Some(bundle) => {
                let mut file = tempfile::NamedTempFile::new()?;
                file.write_all(bundle)?;
                let data = format!("@{}", file.path().display());
                self.ask(&["-H", "Content-Type: application/octet-stream", "--data-binary", &data], "update").map(drop)
            }
            None => self.ask(&["-X", "POST"], "update/rollback").map(drop),
        }
    }

    fn ask(&self, arguments: &[&str], path: &str) -> Result<String> {
        let authorization = format!("Authorization: Bearer {}", self.token);
        let url = format!("https://127.0.0.1:{}/api/v1/{path}", self.port);
        curl(&[&["--insecure", "-H", &authorization], arguments, &[&url]].concat())
    }
}

/// Runs curl; what the server said. An error where that is a refusal.
fn curl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "120"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot run curl")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(output.status.success(), "{}{}", text(&output.stderr), text(&output.stdout));
    Ok(text(&output.stdout))
}

/// Asks a running box again and again until it answers as it should.
pub(crate) fn wait_until<T>(
    running: &mut Running<'_>,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        let answer = ask();
        if let Ok(Some(answer)) = answer {
            return Ok(answer);
        }
        let said = answer.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(running.is_on(), "the machine went off before {what}: {said}\n{}", running.console());
        assert!(begin.elapsed() < MARKER_WAIT_MAX, "no {what}: {said}\n{}", running.console());
        thread::sleep(PAUSE);
    }
}
