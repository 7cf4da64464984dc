//! As much of HTTP/1.1 and WebSocket (RFC 6455) as the tests need.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    pub(super) fn text(&self) -> &str {
        &self.body
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}\n{}", self.head, self.body))
    }
}

/// Sends a request that asks to close the connection, and reads the answer.
pub(super) async fn http(address: SocketAddr, request: &str) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(super) async fn post(address: SocketAddr, body: &str) -> Answer {
    let head =
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
    http(address, &format!("{head}: {}\r\n\r\n{body}", body.len())).await
}

pub(super) async fn rpc(address: SocketAddr, method: &str, params: Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    post(address, &request.to_string()).await.json()
}

pub(super) struct WebSocket {
    socket: TcpStream,
    calls: u64,
}

impl WebSocket {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = "GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self { socket, calls: 0 }
    }

    /// Calls a method; notifications that come before the answer are an error of the test.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params})).await;
        let answer = self.next().await.expect("open");
        assert_eq!(answer["id"], self.calls, "{answer}");
        answer
    }

    pub(super) async fn send(&mut self, request: &Value) {
        let request = request.to_string();
        let len = u16::try_from(request.len()).unwrap();
        // A final text frame, masked with zeros.
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend(len.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(request.as_bytes());
        self.socket.write_all(&frame).await.unwrap();
    }

    /// The next text message, `None` once closed.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            let opcode = self.socket.read_u8().await.ok()? & 0x0f;
            let len = match self.socket.read_u8().await.ok()? & 0x7f {
                126 => self.socket.read_u16().await.ok()?.into(),
                127 => self.socket.read_u64().await.ok()?,
                len => len.into(),
            };
            let mut payload = vec![0; usize::try_from(len).unwrap()];
            self.socket.read_exact(&mut payload).await.ok()?;
            match opcode {
                1 => return Some(serde_json::from_slice(&payload).unwrap()),
                8 => return None,
                _ => {}
            }
        }
    }
}
