//! The client's end: a box that asks.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use dolmen_hsm_tls::Identity;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_rustls::TlsConnector;

use crate::{
    PeerCertificates, TlsError,
    limits::{ANSWER_MAX, CONNECT_MAX},
    tls,
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TLS itself.
    #[error("TLS cannot be used")]
    Tls(#[source] TlsError),
    /// Nobody there, or nobody who speaks TLS 1.3.
    #[error("cannot connect to {address}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// What the system or TLS says.
        #[source]
        source: std::io::Error,
    },
    /// Somebody who does not speak HTTP.
    #[error("{address} does not speak HTTP/1.1")]
    Http {
        /// Where.
        address: SocketAddr,
        /// hyper's words.
        #[source]
        source: hyper::Error,
    },
    /// Somebody who does not answer.
    #[error("{0} did not answer in 20 s")]
    Slow(SocketAddr),
}

/// Why there is no answer. The request may have had its effect.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// What cannot be sent.
    #[error("the request cannot be written; report this")]
    Request(#[source] hyper::http::Error),
    /// The connection ended.
    #[error("the connection ended before the answer")]
    Http(#[source] hyper::Error),
    /// The answer ended, or was too long.
    #[error("the answer cannot be read, or is longer than any answer to this")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer.
    #[error("there was no answer in 60 s")]
    Slow,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// RFC 9110 §15.
    pub status: u16,
    /// The media type, as it stands there.
    pub content_type: Option<String>,
    /// When to ask again, as it stands there (RFC 9110 §10.2.3).
    pub retry_after: Option<String>,
    /// The content.
    pub body: Vec<u8>,
}

/// A connection that takes one request after the other.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    local: SocketAddr,
    peer: PeerCertificates,
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects, and shows a certificate if the server asks for one.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn open(address: SocketAddr, identity: Option<Identity>) -> Result<Self, ConnectError> {
        timeout(CONNECT_MAX, Self::connect(address, identity)).await.unwrap_or(Err(ConnectError::Slow(address)))
    }

    async fn connect(address: SocketAddr, identity: Option<Identity>) -> Result<Self, ConnectError> {
        let io = |source| ConnectError::Io { address, source };
        let config = tls::client(identity).map_err(ConnectError::Tls)?;
        let socket = TcpStream::connect(address).await.map_err(io)?;
        let local = socket.local_addr().map_err(io)?;
        // Requests are answered one by one, and are small.
        let _ = socket.set_nodelay(true);
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.map_err(io)?;
        let peer = PeerCertificates::of(stream.get_ref().1.peer_certificates());
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|source| ConnectError::Http { address, source })?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%address, %error, "a connection ended");
            }
        });
        Ok(Self { address, local, peer, sender, driver })
    }

    /// The certificates that the server showed.
    #[must_use]
    pub const fn peer(&self) -> &PeerCertificates {
        &self.peer
    }

    /// Where it is connected to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it comes from, by which this machine is reached from there.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends a request and waits for its answer, whose body may have so many bytes. After an error the connection is of no more use.
    ///
    /// # Errors
    ///
    /// [`SendError`].
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: Vec<u8>,
        answer_bytes_max: usize,
    ) -> Result<Answer, SendError> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(SendError::Request)?;
        timeout(ANSWER_MAX, self.exchange(request, answer_bytes_max)).await.unwrap_or(Err(SendError::Slow))
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>, answer_bytes_max: usize) -> Result<Answer, SendError> {
        self.sender.ready().await.map_err(SendError::Http)?;
        let (head, body) = self.sender.send_request(request).await.map_err(SendError::Http)?.into_parts();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (content_type, retry_after) = (header(CONTENT_TYPE), header(RETRY_AFTER));
        let body = if head.status == StatusCode::NO_CONTENT {
            Vec::new()
        } else {
            Limited::new(body, answer_bytes_max).collect().await.map_err(SendError::Body)?.to_bytes().to_vec()
        };
        Ok(Answer { status: head.status.as_u16(), content_type, retry_after, body })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
