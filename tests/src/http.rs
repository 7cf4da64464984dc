//! A small blocking HTTP and JSON-RPC client: one connection a request, every step bounded in time.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use openssl::ssl::{SslConnector, SslMethod, SslStream};
use serde_json::{Value, json};

/// Longest wait for a connection, and for each piece of an answer.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer read: above the server's own limit of 25 MB.
const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines as sent, without the status line.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// Why a JSON-RPC call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// The box cannot be reached or closed the connection.
    #[error("no answer: {0}")]
    Io(#[from] io::Error),
    /// Not a JSON-RPC answer.
    #[error("not a JSON-RPC answer (HTTP status {status}): {body}")]
    Malformed {
        /// HTTP status code.
        status: u16,
        /// What came instead.
        body: String,
    },
    /// The box refused the call.
    #[error("error {code}: {message}")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// Its message.
        message: String,
    },
}

/// Gets `https://ADDRESS/path` of the box in a directory, as a program of its machine does.
pub fn get(address: SocketAddr, dir: &Path, path: &str) -> io::Result<Answer> {
    let token = fs::read_to_string(dir.join("local-token"))?;
    let header = ("Authorization", &*format!("Bearer {}", token.trim_end()));
    https(address, &dir.join("keys/tls.pem"), &format!("GET {path}"), &[header], "")
}

/// One request, `METHOD PATH`, to a page that has this certificate.
pub fn https(
    address: SocketAddr,
    certificate: &Path,
    request: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> io::Result<Answer> {
    let stream = connect_tls(address, certificate)?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.as_ref().len();
    let head = format!("{request} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n");
    exchange(stream, &[head.as_bytes(), body.as_ref()].concat())
}

/// Posts a JSON body to the root.
pub fn post(address: SocketAddr, body: &str) -> io::Result<Answer> {
    let length = body.len();
    let head =
        format!("POST / HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}");
    exchange(connect(address)?, format!("{head}\r\n\r\n{body}").as_bytes())
}

/// One JSON-RPC call.
pub fn rpc(address: SocketAddr, method: &str, params: Value) -> Result<Value, RpcError> {
    let answer = post(address, &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())?;
    let parsed = serde_json::from_str(&answer.body).ok();
    parsed.map_or_else(|| Err(malformed(answer)), result)
}

/// A batch of calls of one method; results in the order of `params`.
pub fn rpc_batch(address: SocketAddr, method: &str, params: Vec<Value>) -> Result<Vec<Value>, RpcError> {
    let call = |(id, params): (usize, Value)| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let calls: Vec<Value> = params.into_iter().enumerate().map(call).collect();
    let answer = post(address, &Value::Array(calls.clone()).to_string())?;
    let Ok(Value::Array(mut answers)) = serde_json::from_str(&answer.body) else { return Err(malformed(answer)) };
    if answers.len() != calls.len() {
        return Err(malformed(answer));
    }
    answers.sort_by_key(|answer| answer["id"].as_u64());
    answers.into_iter().map(result).collect()
}

/// The result in a JSON-RPC answer.
fn result(mut answer: Value) -> Result<Value, RpcError> {
    if let Some(error) = answer.get("error") {
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        return Err(RpcError::Refused { code: error["code"].as_i64().unwrap_or(0), message });
    }
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(RpcError::Malformed { status: 200, body: answer.to_string() }),
    }
}

fn malformed(answer: Answer) -> RpcError {
    RpcError::Malformed { status: answer.status, body: answer.body.chars().take(200).collect() }
}

/// Sends a request. HTTP/1.0, so that the answer ends where the connection does.
fn exchange(mut stream: impl Read + Write, request: &[u8]) -> io::Result<Answer> {
    stream.write_all(request)?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes)?;
    // Some answers are files.
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("the answer has no head"))?;
    let (status_line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("the answer has no status"))?;
    Ok(Answer { status, headers: headers.to_owned(), body: body.to_owned() })
}

/// A connection over TLS to a server that has this certificate.
pub fn connect_tls(address: SocketAddr, certificate: &Path) -> io::Result<SslStream<TcpStream>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    connector.set_ca_file(certificate)?;
    let connected = connector.build().connect(&address.ip().to_string(), connect(address)?);
    connected.map_err(|error| io::Error::other(error.to_string()))
}

/// A connection whose reads and writes end after [`TIMEOUT`].
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
