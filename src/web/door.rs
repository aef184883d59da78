//! Who is let in, and how long they are waited for.
//!
//! `axum::serve` has no limits of its own, but takes any listener: this one counts its visitors, and gives
//! up on one who keeps it waiting. HTTP itself is not understood here.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// What the server allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many connections are open at once; who comes later waits at the door.
    pub(super) connections: usize,
    /// How long a visitor may stay silent, take to make a request, or leave an answer lying.
    pub(super) patience: Duration,
    /// How long answers under way may take once the server is told to stop.
    pub(super) farewell: Duration,
}

impl Limits {
    /// 256 visitors need at most some 100 MB of buffers and a quarter of the usual 1,024 open files. A
    /// request is a few hundred bytes and an answer some 50 KB: who needs half a minute is not reading.
    /// Five seconds to stop leaves systemd's and containers' ten with room.
    pub(super) const DEFAULT: Self =
        Self { connections: 256, patience: Duration::from_secs(30), farewell: Duration::from_secs(5) };
}

/// A listener with limits.
pub(super) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Door {
    /// Guards a listener.
    pub(super) fn new(listener: TcpListener, limits: &Limits) -> Self {
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

/// A connection. Its time begins anew with the first byte of a request and with every byte of an answer
/// that is taken, not with further bytes of the request: they can't be used to hold a place.
pub(super) struct Visit {
    stream: TcpStream,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    asking: bool,
    _place: OwnedSemaphorePermit,
}

impl Visit {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(Instant::now() + patience));
        Self { stream, patience, deadline, asking: false, _place: place }
    }

    fn begin_anew(&mut self) {
        self.deadline.as_mut().reset(Instant::now() + self.patience);
    }

    /// What is to be said of an operation that may have to wait: not longer than the deadline.
    fn wait<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match done {
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
