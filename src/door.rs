//! Who is let in, and how long they are waited for.
//!
//! `axum::serve` has no limits of its own, but takes any listener: this one counts its visitors, and gives up
//! on one who keeps it waiting. HTTP itself is not understood here, nor what is behind the door: the daemon's
//! web pages, or the address to which a browser comes back after signing in.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// What the server allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many connections are open at once; who comes later waits at the door.
    pub(crate) connections: usize,
    /// How long a visitor may stay silent, take to make a request, or leave an answer lying.
    pub(crate) patience: Duration,
    /// How long answers under way may take once the server is told to stop.
    pub(crate) farewell: Duration,
}

impl Limits {
    /// 256 visitors need at most some 100 MB of buffers and a quarter of the usual 1,024 open files. A
    /// request is a few hundred bytes and an answer some 50 KB: who needs half a minute is not reading.
    /// Five seconds to stop leaves systemd's and containers' ten with room.
    pub(crate) const DEFAULT: Self =
        Self { connections: 256, patience: Duration::from_secs(30), farewell: Duration::from_secs(5) };
}

/// A listener with limits.
pub(crate) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Door {
    /// Guards a listener.
    pub(crate) fn new(listener: TcpListener, limits: &Limits) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections));
        Self { listener, places, patience: limits.patience }
    }
}

impl Listener for Door {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let (stream, from) = Listener::accept(&mut self.listener).await;
        (Visit::new(stream, place, self.patience), from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The time that runs for a visit, in the hands of whoever works on the answer: an answer that takes long is
/// not the visitor's fault. It comes to a handler as `ConnectInfo`.
#[derive(Debug, Clone)]
pub(crate) struct Stopwatch(Arc<AtomicUsize>);

/// A stopwatch that stands still until this is dropped.
#[derive(Debug)]
pub(crate) struct Held(Arc<AtomicUsize>);

impl Stopwatch {
    /// Stops it, for as long as what is returned lives.
    pub(crate) fn hold(&self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(&self.0))
    }
}

/// Who is at the door, for whoever answers them. It comes to a handler as `ConnectInfo`.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The address they come from: a proxy's, if there is one between.
    pub(crate) from: SocketAddr,
    /// The time that runs for them.
    pub(crate) stopwatch: Stopwatch,
}

impl Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { from: *stream.remote_addr(), stopwatch: Stopwatch::connect_info(stream) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Door>> for Stopwatch {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(Arc::clone(&stream.io().held))
    }
}

/// A connection. Its time begins anew with the first byte of a request and with every byte of an answer
/// that is taken, not with further bytes of the request: they can't be used to hold a place.
pub(crate) struct Visit {
    stream: TcpStream,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    asking: bool,
    /// How many of [`Held`] there are.
    held: Arc<AtomicUsize>,
    _place: OwnedSemaphorePermit,
}

impl Visit {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(Instant::now() + patience));
        Self { stream, patience, deadline, asking: false, held: Arc::default(), _place: place }
    }

    fn begin_anew(&mut self) {
        self.deadline.as_mut().reset(Instant::now() + self.patience);
    }

    /// What is to be said of an operation that may have to wait: not longer than the deadline.
    fn wait<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match done {
            // No waking is lost: the answer, which ends the holding, is written and begins the time anew.
            Poll::Pending if self.held.load(Ordering::Relaxed) > 0 => Poll::Pending,
            Poll::Pending => self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready => ready,
        }
    }

    fn written(&mut self, done: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if matches!(done, Poll::Ready(Ok(_))) {
            self.asking = false;
            self.begin_anew();
        }
        self.wait(done, cx)
    }
}

impl AsyncRead for Visit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(done, Poll::Ready(Ok(()))) && !self.asking {
            self.asking = true;
            self.begin_anew();
        }
        self.wait(done, cx)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(done, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(done, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
