//! Connections that misbehave below HTTP, where a well-behaved server library can't.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The most bytes of a request that are peeked at before it is read.
const PEEK: usize = 64;

/// Decides from the first bytes of a request, before they are read: `true` closes the connection.
pub type Doorman = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Accepts connections and gives each a [`Wire`].
pub struct WireListener {
    pub tcp: TcpListener,
    pub doorman: Doorman,
}

/// One connection.
pub struct WireStream {
    tcp: TcpStream,
    doorman: Doorman,
    wire: Wire,
}

/// A handler's access to its connection.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<Option<Instead>>>);

/// What the other side gets instead of an answer.
struct Instead {
    rest: Vec<u8>,
    /// To be done once the system has accepted the last byte.
    then: Option<Box<dyn FnOnce() + Send>>,
}

impl Wire {
    /// Whatever is answered from now on, the other side gets these bytes instead, and then the end.
    pub fn say_instead(&self, bytes: impl Into<Vec<u8>>) {
        self.say_and_then(bytes, || ());
    }

    /// The same; between the last byte and the end, this is done.
    pub fn say_and_then(&self, bytes: impl Into<Vec<u8>>, then: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Instead { rest: bytes.into(), then: Some(Box::new(then)) });
    }
}

impl Connected<IncomingStream<'_, WireListener>> for Wire {
    fn connect_info(stream: IncomingStream<'_, WireListener>) -> Self {
        stream.io().wire.clone()
    }
}

impl Listener for WireListener {
    type Io = WireStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (WireStream, SocketAddr) {
        let (tcp, address) = Listener::accept(&mut self.tcp).await;
        (WireStream { tcp, doorman: self.doorman.clone(), wire: Wire::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl AsyncRead for WireStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context, buf: &mut ReadBuf) -> Poll<io::Result<()>> {
        let mut start = [0; PEEK];
        let mut peeked = ReadBuf::new(&mut start);
        match self.tcp.poll_peek(cx, &mut peeked) {
            // A connection that is closed with unread bytes is reset.
            Poll::Ready(Ok(_)) if (self.doorman)(peeked.filled()) => {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Poll::Ready(Ok(_)) => Pin::new(&mut self.tcp).poll_read(cx, buf),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.wire.clone();
        let mut instead = wire.0.lock().unwrap();
        let Some(Instead { rest, then }) = instead.as_mut() else {
            return Pin::new(&mut self.tcp).poll_write(cx, buf);
        };
        while !rest.is_empty() {
            match Pin::new(&mut self.tcp).poll_write(cx, rest) {
                Poll::Ready(Ok(written)) => drop(rest.drain(..written)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if let Some(then) = then.take() {
            then();
        }
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
