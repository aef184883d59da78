//! A connection, and the time that runs for it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::connections::Place;

/// An answer that is taken a few bytes at a time may last so many times as long as one of which nothing is taken.
const SLOWEST: u32 = 10;

/// A connection. Its time begins anew with the first byte of a request and with every byte of an answer
/// that is taken, not with further bytes of the request: they can't be used to hold a place.
pub(super) struct Visit {
    stream: TcpStream,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    /// When the answer that is being written has to be out.
    last_call: Option<Instant>,
    /// Whether the visitor takes nothing at the moment.
    is_stuck: bool,
    place: Place,
}

impl Visit {
    pub(super) fn new(stream: TcpStream, place: Place, patience: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(Instant::now() + patience));
        Self { stream, patience, deadline, last_call: None, is_stuck: false, place }
    }

    fn begin_anew(&mut self) {
        let now = Instant::now();
        let soon = now + self.patience;
        let deadline = self.last_call.map_or(soon, |last_call| last_call.min(soon));
        self.deadline.as_mut().reset(deadline);
        self.place.activity.touch(now);
    }

    /// What is to be said of an operation that may have to wait: not longer than the deadline.
    fn wait<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match done {
            Poll::Pending => self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready => ready,
        }
    }

    fn written(&mut self, done: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let was_stuck = std::mem::replace(&mut self.is_stuck, done.is_pending());
        if matches!(done, Poll::Ready(Ok(_))) {
            self.place.activity.is_asking(false);
            let patience = self.patience;
            self.last_call.get_or_insert_with(|| Instant::now() + patience * SLOWEST);
            self.begin_anew();
        }
        // What is held for an answer that takes long, or for news, is not held for whoever does not read them.
        if self.is_stuck && !was_stuck && self.place.activity.is_held() {
            self.deadline.as_mut().reset(Instant::now() + self.patience);
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
        if matches!(done, Poll::Ready(Ok(()))) && !self.place.activity.is_asking(true) {
            self.last_call = None;
            self.begin_anew();
        }
        // No waking is lost: the answer, which ends the holding, is written and begins the time anew.
        if done.is_pending() && self.place.activity.is_held() {
            return Poll::Pending;
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
