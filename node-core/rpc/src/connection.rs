//! One TCP connection, bounded: what jsonrpsee reads from and writes to.
//!
//! jsonrpsee limits requests, not connections, answers WebSocket messages without counting them, and waits for a slow
//! reader for ever. This wrapper around the socket holds the connection's place among all connections until the socket
//! is dropped, stops reading while too many requests are in progress or the peer does not read its answers, and fails
//! where the peer is silent or stalls for too long.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep},
};

use crate::RpcLimits;

/// What requests and subscriptions know of their connection.
#[derive(Debug)]
pub(crate) struct ConnectionControl {
    in_progress: AtomicUsize,
    in_progress_max: usize,
    closed: AtomicBool,
    reader: AtomicWaker,
}

/// A request in progress.
#[derive(Debug)]
pub(crate) struct InProgress(Arc<ConnectionControl>);

impl ConnectionControl {
    pub(crate) fn new(limits: &RpcLimits) -> Arc<Self> {
        Arc::new(Self {
            in_progress: AtomicUsize::new(0),
            in_progress_max: limits.requests_per_connection_max,
            closed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        })
    }

    /// Counts a request until the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InProgress {
        self.in_progress.fetch_add(1, Ordering::AcqRel);
        InProgress(self.clone())
    }

    /// Closes the connection.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.reader.wake();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Acquire)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::AcqRel);
        self.0.reader.wake();
    }
}

/// A socket with its bounds.
pub(crate) struct Connection<S> {
    socket: S,
    control: Arc<ConnectionControl>,
    idle: Pin<Box<Sleep>>,
    idle_max: Duration,
    /// Runs while the peer does not take what is written.
    stall: Option<Pin<Box<Sleep>>>,
    stall_max: Duration,
    _place: Place,
}

/// A connection's place among all of them, and in the gauge that counts them.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    open: Gauge,
}

impl Place {
    pub(crate) fn new(permit: OwnedSemaphorePermit, open: Gauge) -> Self {
        open.inc();
        Self { _permit: permit, open }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl<S> Connection<S> {
    pub(crate) fn new(socket: S, control: Arc<ConnectionControl>, place: Place, limits: &RpcLimits) -> Self {
        let (idle_max, stall_max) = (limits.idle_max, limits.write_stall_max);
        Self { socket, control, idle: Box::pin(sleep(idle_max)), idle_max, stall: None, stall_max, _place: place }
    }

    /// Whether the peer has been silent for too long with nothing in progress.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> bool {
        while self.idle.as_mut().poll(context).is_ready() {
            if self.control.in_progress() == 0 {
                return true;
            }
            self.idle.as_mut().reset(Instant::now() + self.idle_max);
        }
        false
    }

    /// Notes how a write went; fails where the peer has not read for too long.
    fn after_write<R>(&mut self, result: Poll<io::Result<R>>, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            if self.stall.take().is_some() {
                self.control.reader.wake();
            }
            return result;
        }
        let stall_max = self.stall_max;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        if stall.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        // The reading side must learn of it, too.
        self.control.close();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.control.reader.register(context.waker());
        if self.control.is_closed() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.stall.is_some() || self.control.in_progress() >= self.control.in_progress_max {
            return Poll::Pending;
        }
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(result) => {
                let expires = Instant::now() + self.idle_max;
                self.idle.as_mut().reset(expires);
                Poll::Ready(result)
            }
            Poll::Pending if self.poll_idle(context) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer is silent")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
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
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        sync::Semaphore,
        time::timeout,
    };

    use super::*;

    /// A connection whose socket holds 16 bytes each way, and its peer's end.
    fn connection(
        limits: &RpcLimits,
    ) -> (Connection<DuplexStream>, Arc<ConnectionControl>, DuplexStream, Arc<Semaphore>) {
        let (ours, theirs) = duplex(16);
        let places = Arc::new(Semaphore::new(1));
        let place = Place::new(places.clone().try_acquire_owned().expect("free"), Gauge::default());
        let control = ConnectionControl::new(limits);
        (Connection::new(ours, control.clone(), place, limits), control, theirs, places)
    }

    fn limits() -> RpcLimits {
        RpcLimits {
            idle_max: Duration::from_secs(100),
            write_stall_max: Duration::from_secs(10),
            requests_per_connection_max: 2,
            ..Default::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_connection_only_while_nothing_is_in_progress() {
        let (mut connection, control, mut peer, places) = connection(&limits());
        let request = control.begin();
        assert!(timeout(Duration::from_secs(1000), connection.read_u8()).await.is_err());
        peer.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
        drop(request);
        let started = Instant::now();
        assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 100);
        assert_eq!(places.available_permits(), 0);
        drop(connection);
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_closed_and_not_read() {
        let (mut connection, _, mut peer, _places) = connection(&limits());
        peer.write_u8(1).await.unwrap();
        let started = Instant::now();
        assert_eq!(connection.write_all(&[0; 17]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 10);
        assert_eq!(connection.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_progress_stop_the_reading() {
        let (mut connection, control, mut peer, _places) = connection(&limits());
        peer.write_u8(1).await.unwrap();
        let requests = [control.begin(), control.begin()];
        assert!(timeout(Duration::from_secs(1), connection.read_u8()).await.is_err());
        let reading = tokio::spawn(async move { connection.read_u8().await });
        tokio::task::yield_now().await;
        drop(requests);
        assert_eq!(timeout(Duration::from_secs(1), reading).await.expect("woken").unwrap().unwrap(), 1);
    }

    #[tokio::test]
    async fn closing_wakes_the_reader() {
        let (mut connection, control, _peer, _places) = connection(&limits());
        let reading = tokio::spawn(async move { connection.read_u8().await });
        tokio::task::yield_now().await;
        control.close();
        let result = timeout(Duration::from_secs(5), reading).await.expect("woken").unwrap();
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
