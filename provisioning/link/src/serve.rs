//! The server's end: HTTP/1.1, over TLS or not, with a bound on whatever a client can hold.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Sleep, sleep},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::PeerCertificates;

/// Pause after a failed accept, which means that the process is out of file descriptors or memory.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where a request comes from: an [`Extension`](axum::Extension) of it, beside [`PeerCertificates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// What clients may hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once, event streams included; more wait in the listen queue.
    pub connections_max: usize,
    /// How long a connection may take to send the head of a request, the first one and each one after an answer.
    pub request_wait_max: Duration,
    /// How long a client may leave its end of the connection unread.
    pub write_stall_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Far below the limit on open files, which the database needs too.
            connections_max: 64,
            // A request is one packet. Silent connections thus keep the others waiting for a while, not for ever.
            request_wait_max: Duration::from_secs(10),
            // Well above a lost packet's retransmissions.
            write_stall_max: Duration::from_secs(20),
        }
    }
}

/// Serves `router` until `stop` says so or its sender is gone, then returns once all connections are closed; each still
/// answers the request that it has. Dropped, it closes them at once.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: Limits,
    stop: watch::Receiver<bool>,
) {
    let mut http = http1::Builder::new();
    // Without a timer hyper keeps no time.
    http.timer(TokioTimer::new()).header_read_timeout(limits.request_wait_max);
    let mut connections = JoinSet::new();
    let stopping = stopped(stop.clone());
    tokio::pin!(stopping);
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < limits.connections_max => match accepted {
                Ok((socket, address)) => {
                    // Events are small and must not wait for the acknowledgement of those before them.
                    let _ = socket.set_nodelay(true);
                    let socket = Socket { socket, stall: None, stall_max: limits.write_stall_max };
                    let (http, tls, router, stop) = (http.clone(), tls.clone(), router.clone(), stop.clone());
                    let from = PeerAddress(address);
                    connections.spawn(async move {
                        match tls {
                            None => connection(http, socket, (from, PeerCertificates::default()), router, stop).await,
                            Some(tls) => encrypted(http, socket, from, tls, limits, router, stop).await,
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted; check the limit of open files");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut stopping => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Returns when `stop` says so or its sender is gone.
pub async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A connection that begins with a handshake, which must come as soon as a request would.
async fn encrypted(
    http: http1::Builder,
    socket: Socket,
    from: PeerAddress,
    tls: TlsAcceptor,
    limits: Limits,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    let handshake = tokio::time::timeout(limits.request_wait_max, tls.accept(socket));
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        () = stopped(stop.clone()) => return,
    };
    match accepted {
        Ok(Ok(socket)) => {
            let peer = PeerCertificates::of(socket.get_ref().1.peer_certificates());
            connection(http, socket, (from, peer), router, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a client's TLS handshake failed"),
        Err(_) => tracing::debug!("a client's TLS handshake took too long"),
    }
}

async fn connection(
    http: http1::Builder,
    socket: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    (from, peer): (PeerAddress, PeerCertificates),
    router: Router,
    stop: watch::Receiver<bool>,
) {
    // Layers would build the router anew for each connection.
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    });
    let connection = http.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped(stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a client's connection failed");
    }
}

/// A socket that fails where the peer does not take what is written: hyper would wait for ever.
struct Socket {
    socket: TcpStream,
    /// Runs while the peer takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
    stall_max: Duration,
}

impl Socket {
    fn after_write<R>(&mut self, result: Poll<io::Result<R>>, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.stall = None;
            return result;
        }
        let stall_max = self.stall_max;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        if stall.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.after_write(result, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A TCP socket has nothing to flush; whether the peer reads shows in the writes.
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.after_write(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        body::{Body, Bytes},
        routing::get,
    };
    use futures::stream;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        task::JoinHandle,
        time::timeout,
    };

    use super::*;

    /// Ends a test that would hang.
    const PATIENCE: Duration = Duration::from_secs(60);

    struct Served {
        address: SocketAddr,
        stop: watch::Sender<bool>,
        task: JoinHandle<()>,
    }

    /// A server of `/healthz`, and of `/endless`, which never stops sending.
    async fn start(connections_max: usize) -> Served {
        let limits = Limits {
            connections_max,
            request_wait_max: Duration::from_millis(100),
            write_stall_max: Duration::from_millis(100),
        };
        let piece = || Ok::<_, Infallible>(Bytes::from_static(&[0; 65_536]));
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/endless", get(move || async move { Body::from_stream(stream::repeat_with(piece)) }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stop_seen) = watch::channel(false);
        Served { address, stop, task: tokio::spawn(serve(listener, None, router, limits, stop_seen)) }
    }

    async fn ask(address: SocketAddr, path: &str) -> TcpStream {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        socket
    }

    async fn assert_healthy(address: SocketAddr) {
        let mut answer = String::new();
        let mut socket = ask(address, "/healthz").await;
        timeout(PATIENCE, socket.read_to_string(&mut answer)).await.expect("an answer in time").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    }

    #[tokio::test]
    async fn silent_connections_do_not_keep_others_out() {
        let served = start(64).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(served.address).await.unwrap());
        }
        assert_healthy(served.address).await;
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_closed() {
        let served = start(1).await;
        let _unread = ask(served.address, "/endless").await;
        assert_healthy(served.address).await;
    }

    #[tokio::test]
    async fn stopping_closes_what_is_open() {
        let served = start(4).await;
        let mut silent = TcpStream::connect(served.address).await.unwrap();
        assert_healthy(served.address).await;
        served.stop.send(true).unwrap();
        timeout(PATIENCE, served.task).await.expect("it ends").unwrap();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        TcpStream::connect(served.address).await.unwrap_err();
    }
}
