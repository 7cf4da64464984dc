//! HTTP over a socket of this machine, for those who may read and write the file that it is.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use axum::Router;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, client::conn::http1::handshake, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
    time::timeout,
};

use crate::{limits::ANSWER_MAX, stopped};

/// Bytes of an answer: the list of an organisation's boxes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Why nothing is answered.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No socket, or none for this user.
    #[error("nobody listens at {}; start what is asked, and ask as the user that it runs as", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something else than HTTP.
    #[error("who listens there does not answer as it should")]
    Http(#[source] hyper::Error),
    /// A request that cannot be written.
    #[error("the request cannot be written; report this")]
    Request(#[source] hyper::http::Error),
    /// A body that ends early or never.
    #[error("the answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing.
    #[error("there was no answer in 60 s")]
    Slow,
}

/// A socket that its owner alone may use. The file of a process that has ended is replaced.
///
/// # Errors
///
/// [`LocalError::Io`].
pub fn listen(path: &Path) -> Result<UnixListener, LocalError> {
    let bind = || {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    bind().map_err(|source| LocalError::Io { path: path.into(), source })
}

/// Serves `router` until `stop` says so or its sender is gone.
///
/// # Errors
///
/// None: what cannot be accepted is tried again.
pub async fn serve_local(listener: UnixListener, router: Router, stop: watch::Receiver<bool>) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stopped(stop)).await
}

/// Asks whoever listens at a socket, and gives back the status and the body.
///
/// # Errors
///
/// [`LocalError`].
pub async fn ask(path: &Path, method: Method, target: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), LocalError> {
    timeout(ANSWER_MAX, exchange(path, method, target, body)).await.unwrap_or(Err(LocalError::Slow))
}

async fn exchange(path: &Path, method: Method, target: &str, body: Vec<u8>) -> Result<(u16, Vec<u8>), LocalError> {
    let stream = UnixStream::connect(path).await.map_err(|source| LocalError::Io { path: path.into(), source })?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(LocalError::Http)?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(target).header(HOST, "localhost");
    let request = request.body(Full::new(Bytes::from(body))).map_err(LocalError::Request)?;
    let answer = sender.send_request(request).await.map_err(LocalError::Http)?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(LocalError::Body)?;
    connection.abort();
    Ok((status, body.to_bytes().to_vec()))
}
