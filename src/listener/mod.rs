//! Who is let in, and how long they are waited for.
//!
//! HTTP/1.1 and nothing else is spoken here, by hyper itself: `axum::serve` has no limits, and would speak HTTP/2 as soon as
//! any crate turns that on. Connections are counted for each address ([`connections`]), and one that keeps the server waiting
//! ends ([`visit`]). What is behind the door is not known here: the daemon's web pages, or the address to which a browser
//! comes back after signing in.

mod connections;
mod visit;

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use self::connections::{Admitted, Connections, Owner};
pub(crate) use self::connections::{Stopwatch, network_of};
use self::visit::Visit;

/// The most that is kept of a request's head, or of what is being read and written, for each connection. Browsers send some
/// hundred bytes, and nginx takes 32 KiB.
const BUFFER: usize = 32 * 1024;

/// What is said where not even the reserve has room.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What the server allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many connections are open at once. Where all places are taken, a connection on which nothing is under way gives
    /// its place to a new one.
    pub(crate) connections: usize,
    /// How many of them one address may have.
    pub(crate) share: usize,
    /// How many more there may be for those who only ask how the daemon is.
    pub(crate) reserve: usize,
    /// How long a visitor may stay silent, take to make a request, or leave an answer lying.
    pub(crate) patience: Duration,
    /// How long answers under way may take once the server is told to stop.
    pub(crate) farewell: Duration,
}

impl Limits {
    /// 272 visitors need at most some 20 MB of buffers and a quarter of the usual 1,024 open files. A share has room for
    /// every page that is told news, and as many visitors more. A request is a few hundred bytes and an answer some 50 KB:
    /// who needs half a minute is not reading. Five seconds to stop leaves systemd's and containers' ten with room.
    pub(crate) const DEFAULT: Self = Self {
        connections: 256,
        share: 128,
        reserve: 16,
        patience: Duration::from_secs(30),
        farewell: Duration::from_secs(5),
    };
}

/// A listener with limits.
pub(crate) struct Door {
    listener: TcpListener,
    limits: Limits,
    connections: Arc<Connections>,
    is_proxy: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// Whether all that was under way when the server was told to stop has ended in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Farewell {
    /// It has.
    InPeace,
    /// Some answers were cut off.
    CutOff,
}

/// Who is at the door, for whoever answers them. It comes to a handler as `ConnectInfo`.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The address they come from: a proxy's, if there is one between.
    pub(crate) from: SocketAddr,
    /// The time that runs for them.
    pub(crate) stopwatch: Stopwatch,
    /// Whether there was no place for them but in the reserve: they are told how the daemon is, and nothing else.
    pub(crate) is_in_reserve: bool,
    connections: Arc<Connections>,
    id: u64,
}

impl Caller {
    /// The proxy has said for whom it asks: from now on the connection belongs to that address. `false` if the address has
    /// its share already, and all of it at work.
    pub(crate) fn asks_for(&self, visitor: IpAddr) -> bool {
        self.connections.pass_on(self.id, visitor)
    }
}

impl Door {
    /// Guards a listener. `is_proxy` knows the addresses that ask for others, which have no share.
    pub(crate) fn new(
        listener: TcpListener,
        limits: &Limits,
        is_proxy: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        let connections = Arc::new(Connections::new(limits));
        Self { listener, limits: *limits, connections, is_proxy: Box::new(is_proxy) }
    }

    /// Serves until `shutdown` is there: then nobody new is let in, and what is under way may end, but not for long.
    pub(crate) async fn serve(self, app: Router, shutdown: impl Future<Output = ()>) -> Farewell {
        let (graceful, mut visits) = (GracefulShutdown::new(), JoinSet::new());
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                (stream, from) = self.accept() => self.receive(stream, from, &app, graceful.watcher(), &mut visits),
                // Forgets those that have ended.
                Some(_) = visits.join_next() => {}
            }
        }
        let farewell = self.limits.farewell;
        drop(self);
        match timeout(farewell, graceful.shutdown()).await {
            Ok(()) => Farewell::InPeace,
            Err(_) => Farewell::CutOff,
        }
    }

    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // No file descriptor is left, mostly: one that does nothing is given back.
                    tracing::debug!(%error, "no connection can be accepted");
                    self.connections.end_idlest();
                    sleep_until(Instant::now() + Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn receive(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        app: &Router,
        watcher: Watcher,
        visits: &mut JoinSet<()>,
    ) {
        let address = from.ip().to_canonical();
        let owner = if (self.is_proxy)(address) { Owner::Proxy } else { Owner::Network(network_of(address)) };
        let Some(admitted) = self.connections.admit(owner) else { return turn_away(stream) };
        // Answers are small, and each is written at once.
        let _ = stream.set_nodelay(true);
        visits.spawn(visit(
            stream,
            from,
            admitted,
            self.connections.clone(),
            self.limits.patience,
            app.clone(),
            watcher,
        ));
    }
}

/// Speaks HTTP/1.1 with one visitor until either side has enough, or the place is given to another.
async fn visit(
    stream: TcpStream,
    from: SocketAddr,
    Admitted { place, ended }: Admitted,
    connections: Arc<Connections>,
    patience: Duration,
    app: Router,
    watcher: Watcher,
) {
    let stopwatch = Stopwatch::of(&place);
    let caller = Caller { from, stopwatch, is_in_reserve: place.is_in_reserve, connections, id: place.id };
    let app = TowerToHyperService::new(app);
    let activity = place.activity.clone();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        // Of a request that is not whole yet it is the visitor who is waited for.
        let working = request.body().is_end_stream().then(|| activity.begin_work());
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(caller.clone()));
        let answer = names_one_host(&request).then(|| app.call(request));
        async move {
            let answer = match answer {
                Some(answer) => answer.await,
                None => Ok(unclear()),
            };
            drop(working);
            answer
        }
    });
    let io = TokioIo::new(Visit::new(stream, place, patience));
    // How long a head may take is `Visit`'s business, as is all time.
    let server =
        http1::Builder::new().max_buf_size(BUFFER).header_read_timeout(None).serve_connection(io, service);
    tokio::select! {
        // A visitor who goes without a word is no trouble.
        _ = watcher.watch(server) => {}
        () = ended.notified() => {}
    }
}

/// Whether it is clear whom a request is for (RFC 9112, 3.2): it names one host, and that of a proxy's address is the same. A
/// program that speaks HTTP/1.0 may name none.
fn names_one_host(request: &Request) -> bool {
    let hosts = || request.headers().get_all(header::HOST).into_iter();
    let authority = request.uri().authority();
    match hosts().count() {
        0 => request.version() == Version::HTTP_10 && authority.is_none(),
        1 => authority.is_none_or(|authority| {
            hosts().all(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()))
        }),
        _ => false,
    }
}

fn unclear() -> Response {
    let mut answer = Response::new(Body::from("a request names one host\n"));
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Says that there is no room, if the visitor can be told without waiting for them.
fn turn_away(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(NO_ROOM);
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
