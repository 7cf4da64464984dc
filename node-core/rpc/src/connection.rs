//! One TCP connection, bounded: what jsonrpsee reads from and writes to.
//!
//! jsonrpsee limits requests, not connections, answers WebSocket messages without counting them, and waits for a slow
//! reader for ever. This wrapper around the socket holds the connection's place among all connections until the socket
//! is dropped, stops reading while too many requests are in progress or too much of their answers is unsent, and fails
//! where the peer is silent for too long or takes too little. An answer counts as unsent from when it is computed until
//! its bytes go out here; where all connections together have too many of those, the one with the most is closed.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep},
};

use crate::RpcLimits;

/// The answers that all connections have not taken yet.
#[derive(Debug)]
pub(crate) struct Unsent {
    bytes: AtomicUsize,
    bytes_max: usize,
    connections: Mutex<Vec<Weak<ConnectionControl>>>,
}

impl Unsent {
    pub(crate) fn new(limits: &RpcLimits) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            bytes_max: limits.unsent_bytes_all_max,
            connections: Mutex::default(),
        })
    }

    fn join(&self, connection: &Arc<ConnectionControl>) {
        let mut connections = self.connections.lock();
        connections.retain(|other| other.strong_count() > 0);
        connections.push(Arc::downgrade(connection));
    }

    fn close_worst(&self) {
        let connections: Vec<_> = self.connections.lock().iter().filter_map(Weak::upgrade).collect();
        let worst =
            connections.iter().map(|connection| (connection.unsent(), connection)).max_by_key(|(most, _)| *most);
        if let Some((unsent, worst)) = worst
            && unsent > 0
        {
            tracing::warn!(unsent, "closing the RPC connection with the most unread answers: all have too many");
            worst.close();
        }
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// What requests and subscriptions know of their connection.
#[derive(Debug)]
pub(crate) struct ConnectionControl {
    in_progress: AtomicUsize,
    in_progress_max: usize,
    unsent: AtomicUsize,
    unsent_max: usize,
    all: Arc<Unsent>,
    /// A request began or ended since the reading side last looked.
    active: AtomicBool,
    websocket: AtomicBool,
    closed: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

/// A request in progress.
#[derive(Debug)]
pub(crate) struct InProgress(Arc<ConnectionControl>);

impl ConnectionControl {
    pub(crate) fn new(limits: &RpcLimits, all: &Arc<Unsent>) -> Arc<Self> {
        let control = Arc::new(Self {
            in_progress: AtomicUsize::new(0),
            in_progress_max: limits.requests_per_connection_max,
            unsent: AtomicUsize::new(0),
            unsent_max: limits.unsent_bytes_max,
            all: all.clone(),
            active: AtomicBool::new(false),
            websocket: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        });
        all.join(&control);
        control
    }

    /// Counts a request until the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InProgress {
        self.in_progress.fetch_add(1, Ordering::AcqRel);
        InProgress(self.clone())
    }

    /// Something happened that starts the time of silence anew: the head of a request is complete.
    pub(crate) fn touch(&self) {
        self.active.store(true, Ordering::Release);
    }

    /// The connection is one of WebSocket from now on.
    pub(crate) fn upgrade(&self) {
        self.websocket.store(true, Ordering::Release);
    }

    /// Counts bytes that wait for the socket until they are written.
    pub(crate) fn charge(&self, bytes: usize) {
        if self.is_closed() {
            return;
        }
        // First in the sum, from which nothing may be taken that is not yet in it.
        let all = self.all.bytes.fetch_add(bytes, Ordering::AcqRel) + bytes;
        self.unsent.fetch_add(bytes, Ordering::AcqRel);
        if all > self.all.bytes_max {
            self.all.close_worst();
        }
    }

    /// Bytes were written, or never will be. More than was charged is nothing: headers and frames are not counted.
    pub(crate) fn discharge(&self, bytes: usize) {
        let take = |unsent: usize| Some(unsent.saturating_sub(bytes));
        let before = self.unsent.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).unwrap_or_default();
        self.all.remove(before.min(bytes));
        if before > self.unsent_max && before.saturating_sub(bytes) <= self.unsent_max {
            self.reader.wake();
        }
    }

    /// Closes the connection. What it has not sent is dropped by whoever was about to send it, and no longer counts.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.all.remove(self.unsent.swap(0, Ordering::AcqRel));
        self.reader.wake();
        self.writer.wake();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether nothing is computed and nothing waits to be written.
    fn is_idle(&self) -> bool {
        self.in_progress.load(Ordering::Acquire) == 0 && self.unsent() == 0
    }

    fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Acquire)
    }

    /// Whether the next request must wait.
    fn is_full(&self) -> bool {
        self.in_progress.load(Ordering::Acquire) >= self.in_progress_max || self.unsent() > self.unsent_max
    }
}

impl Drop for ConnectionControl {
    fn drop(&mut self) {
        self.all.remove(*self.unsent.get_mut());
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::AcqRel);
        self.0.touch();
        self.0.reader.wake();
    }
}

/// A socket with its bounds.
pub(crate) struct Connection<S> {
    socket: S,
    control: Arc<ConnectionControl>,
    idle: Pin<Box<Sleep>>,
    idle_max: Duration,
    /// The last write had to wait for the peer.
    blocked: bool,
    /// Runs from such a write until nothing is left to write.
    stall: Option<Stall>,
    stall_max: Duration,
    stall_bytes: usize,
    _place: Place,
}

/// A time in which the peer must take some bytes, and how many it took.
struct Stall {
    ends: Pin<Box<Sleep>>,
    written: usize,
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
        Self {
            socket,
            control,
            idle: Box::pin(sleep(limits.idle_max)),
            idle_max: limits.idle_max,
            blocked: false,
            stall: None,
            stall_max: limits.write_stall_max,
            stall_bytes: limits.write_stall_bytes,
            _place: place,
        }
    }

    fn prolong(&mut self) {
        self.idle.as_mut().reset(Instant::now() + self.idle_max);
    }

    /// Whether the peer has been silent for too long with nothing to answer.
    fn poll_idle(&mut self, context: &mut Context<'_>) -> bool {
        while self.idle.as_mut().poll(context).is_ready() {
            if self.control.is_idle() {
                return true;
            }
            self.prolong();
        }
        false
    }

    /// Fails where the connection was closed; else sees to it that the writing side is woken by that.
    fn check_open(&self, context: &Context<'_>) -> io::Result<()> {
        self.control.writer.register(context.waker());
        if self.control.is_closed() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Notes how a write went; fails where the peer takes too little.
    fn after_write(&mut self, result: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(result) = result {
            let written = *result.as_ref().unwrap_or(&0);
            self.control.discharge(written);
            if let Some(stall) = &mut self.stall {
                stall.written += written;
            }
            if self.control.unsent() == 0 {
                self.stall = None;
            }
            if std::mem::take(&mut self.blocked) {
                self.control.reader.wake();
            }
            return Poll::Ready(result);
        }
        self.blocked = true;
        let (stall_max, stall_bytes) = (self.stall_max, self.stall_bytes);
        let stall = self.stall.get_or_insert_with(|| Stall { ends: Box::pin(sleep(stall_max)), written: 0 });
        while stall.ends.as_mut().poll(context).is_ready() {
            if stall.written < stall_bytes {
                // The reading side must learn of it, too.
                self.control.close();
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")));
            }
            stall.written = 0;
            stall.ends.as_mut().reset(Instant::now() + stall_max);
        }
        Poll::Pending
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
        // On HTTP bytes alone prolong nothing: a request that trickles in would hold its place for ever.
        if self.control.active.swap(false, Ordering::AcqRel) {
            self.prolong();
        }
        if self.blocked || self.control.is_full() {
            return Poll::Pending;
        }
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(result) => {
                if self.control.websocket.load(Ordering::Acquire) {
                    self.prolong();
                } else if self.poll_idle(context) {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request takes too long")));
                }
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
        self.check_open(context)?;
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
        self.check_open(context)?;
        let result = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.after_write(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
