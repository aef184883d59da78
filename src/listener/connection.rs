//! A connection with an idle timeout.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::connections::ConnectionPermit;

/// A slow reader of a response gets this many idle timeouts in total.
const MAX_RESPONSE_TIMEOUTS: u32 = 10;

/// A connection with an idle timer. The timer restarts at the first byte of a request, and whenever the
/// client reads part of a response. Further bytes of a request do not restart it, so a slow sender can't keep
/// a connection open.
pub(super) struct Connection {
    stream: TcpStream,
    idle_timeout: Duration,
    deadline: Pin<Box<Sleep>>,
    /// When the response in progress must be complete.
    response_deadline: Option<Instant>,
    /// Whether the client is not reading at the moment.
    is_blocked: bool,
    permit: ConnectionPermit,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, permit: ConnectionPermit, idle_timeout: Duration) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(Instant::now() + idle_timeout));
        Self { stream, idle_timeout, deadline, response_deadline: None, is_blocked: false, permit }
    }

    fn restart_timer(&mut self) {
        let now = Instant::now();
        let soon = now + self.idle_timeout;
        let deadline = self.response_deadline.map_or(soon, |deadline| deadline.min(soon));
        self.deadline.as_mut().reset(deadline);
        self.permit.activity.touch(now);
    }

    /// The result of an operation, which times out at the deadline.
    fn wait<T>(&mut self, done: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match done {
            Poll::Pending => self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready => ready,
        }
    }

    fn after_write(
        &mut self,
        done: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let was_blocked = std::mem::replace(&mut self.is_blocked, done.is_pending());
        if matches!(done, Poll::Ready(Ok(_))) {
            self.permit.activity.set_receiving(false);
            let idle_timeout = self.idle_timeout;
            self.response_deadline
                .get_or_insert_with(|| Instant::now() + idle_timeout * MAX_RESPONSE_TIMEOUTS);
            self.restart_timer();
        }
        // A timer paused for a slow response or the event stream still runs while the client is not reading.
        if self.is_blocked && !was_blocked && self.permit.activity.is_paused() {
            self.deadline.as_mut().reset(Instant::now() + self.idle_timeout);
        }
        self.wait(done, cx)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if matches!(done, Poll::Ready(Ok(()))) && !self.permit.activity.set_receiving(true) {
            self.response_deadline = None;
            self.restart_timer();
        }
        // No wake-up is lost: the response that ends the pause restarts the timer when it is written.
        if done.is_pending() && self.permit.activity.is_paused() {
            return Poll::Pending;
        }
        self.wait(done, cx)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(done, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.after_write(done, cx)
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
