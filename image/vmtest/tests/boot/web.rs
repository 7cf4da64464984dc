//! A running box as its users reach it: JSON-RPC, and the web page's interface.

use std::{
    io::Write as _,
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use dolmen_image_vmtest::{MARKER_WAIT_MAX, Running};
use openssl::{
    hash::MessageDigest,
    ssl::{SslConnector, SslMethod, SslVerifyMode},
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
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_verify(SslVerifyMode::NONE);
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let tls = connector.build().configure()?.verify_hostname(false).use_server_name_indication(false);
    let tls = tls.connect("box", stream)?;
    let certificate = tls.ssl().peer_certificate().context("a page without a certificate")?;
    Ok(certificate.digest(MessageDigest::sha256())?.to_vec())
}

/// The page's interface.
pub(crate) struct Page {
    pub(crate) port: u16,
    /// What entitles to change the box.
    pub(crate) claim_code: String,
}

impl Page {
    /// What the box says of its slots.
    pub(crate) fn slots(&self) -> Result<Value> {
        let answer = curl(&["--insecure", &format!("https://127.0.0.1:{}/api/update", self.port)])?;
        serde_json::from_str(&answer).with_context(|| format!("no JSON: {answer}"))
    }

    /// Sends a bundle, or with `None` asks for the other slot.
    pub(crate) fn change(&self, bundle: Option<&[u8]>) -> Result<()> {
        let authorization = format!("Authorization: Bearer {}", self.claim_code);
        let url = format!("https://127.0.0.1:{}/api/update", self.port);
        match bundle {
            Some(bundle) => {
                let mut file = tempfile::NamedTempFile::new()?;
                file.write_all(bundle)?;
                let data = format!("@{}", file.path().display());
                curl(&["--insecure", "-H", &authorization, "--data-binary", &data, &url]).map(drop)
            }
            None => curl(&["--insecure", "-H", &authorization, "-X", "POST", &format!("{url}/rollback")]).map(drop),
        }
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
