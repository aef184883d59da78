//! An HTTP/1.1 server that limits the number of connections and their duration.
//!
//! It is built on hyper: `axum::serve` has no limits, and would speak HTTP/2 as soon as any crate enables
//! that feature. Connections are counted per address ([`connections`]), and a connection that keeps the
//! server waiting is closed ([`connection`]). The caller passes the router: the daemon's web pages, or the
//! callback that a browser returns to after a sign-in.

mod connection;
mod connections;

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

use self::connection::Connection;
use self::connections::{Admitted, ConnectionOwner, Connections};
pub(crate) use self::connections::{ConnectionLimits, IdleTimer, PausedTimer, network_of};

/// The buffer of each connection, and so the largest request head. Browsers send a few hundred bytes, and
/// nginx accepts 32 KiB.
const BUFFER: usize = 32 * 1024;

/// The response when even the reserve is full.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A listening socket with limits.
pub(crate) struct HttpListener {
    listener: TcpListener,
    limits: ConnectionLimits,
    connections: Arc<Connections>,
    is_proxy: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// Whether all responses were finished at shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum ShutdownOutcome {
    Finished,
    /// The grace period ended first.
    CutOff,
}

/// The other end of a connection. Handlers get it as `ConnectInfo`.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The address of the client, or of a proxy in between.
    pub(crate) address: SocketAddr,
    pub(crate) idle_timer: IdleTimer,
    /// Whether the connection came from the reserve, which serves only health.
    pub(crate) is_in_reserve: bool,
    connections: Arc<Connections>,
    id: u64,
}

impl Peer {
    /// Sets the client that this proxy forwards for: the connection counts against that address from now on.
    /// `false` if the address has reached its limit and none of its connections is idle.
    pub(crate) fn forwarded_for(&self, client: IpAddr) -> bool {
        self.connections.assign(self.id, client)
    }
}

impl HttpListener {
    /// Puts limits on a socket. Addresses for which `is_proxy` holds are exempt, because they forward for
    /// others.
    pub(crate) fn new(
        listener: TcpListener,
        limits: &ConnectionLimits,
        is_proxy: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        let connections = Arc::new(Connections::new(limits));
        Self { listener, limits: *limits, connections, is_proxy: Box::new(is_proxy) }
    }

    /// Serves until `shutdown` resolves. Then no new connection is accepted, and responses in progress get
    /// the grace period to finish.
    pub(crate) async fn serve(self, app: Router, shutdown: impl Future<Output = ()>) -> ShutdownOutcome {
        let (graceful, mut tasks) = (GracefulShutdown::new(), JoinSet::new());
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                (stream, from) = self.accept() => self.admit(stream, from, &app, graceful.watcher(), &mut tasks),
                // Removes finished tasks.
                Some(_) = tasks.join_next() => {}
            }
        }
        let grace_period = self.limits.grace_period;
        drop(self);
        match timeout(grace_period, graceful.shutdown()).await {
            Ok(()) => ShutdownOutcome::Finished,
            Err(_) => ShutdownOutcome::CutOff,
        }
    }

    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    // Usually the process is out of file descriptors; closing an idle connection frees one.
                    tracing::debug!(%error, "can't accept a connection");
                    self.connections.close_idlest();
                    sleep_until(Instant::now() + Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn admit(
        &self,
        stream: TcpStream,
        from: SocketAddr,
        app: &Router,
        watcher: Watcher,
        tasks: &mut JoinSet<()>,
    ) {
        let address = from.ip().to_canonical();
        let owner = match (self.is_proxy)(address) {
            true => ConnectionOwner::Proxy,
            false => ConnectionOwner::Network(network_of(address)),
        };
        let Some(admitted) = self.connections.admit(owner) else { return reject(stream) };
        // Responses are small, and each is written at once, so Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        tasks.spawn(serve_connection(
            stream,
            from,
            admitted,
            self.connections.clone(),
            self.limits.idle_timeout,
            app.clone(),
            watcher,
        ));
    }
}

/// Serves one connection until either side closes it or another connection replaces it.
async fn serve_connection(
    stream: TcpStream,
    from: SocketAddr,
    Admitted { permit, replaced }: Admitted,
    connections: Arc<Connections>,
    idle_timeout: Duration,
    app: Router,
    watcher: Watcher,
) {
    let peer = Peer {
        address: from,
        idle_timer: IdleTimer::of(&permit),
        is_in_reserve: permit.is_in_reserve,
        connections,
        id: permit.id,
    };
    let app = TowerToHyperService::new(app);
    let activity = permit.activity.clone();
    let service = service_fn(|request: hyper::Request<Incoming>| {
        // Until the request is complete, any delay is the client's.
        let in_progress = request.body().is_end_stream().then(|| activity.begin_response());
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer.clone()));
        let response = names_one_host(&request).then(|| app.call(request));
        async move {
            let response = match response {
                Some(response) => response.await,
                None => Ok(bad_host()),
            };
            drop(in_progress);
            response
        }
    });
    let io = TokioIo::new(Connection::new(stream, permit, idle_timeout));
    // `Connection` handles all timeouts, including that of the head.
    let server =
        http1::Builder::new().max_buf_size(BUFFER).header_read_timeout(None).serve_connection(io, service);
    tokio::select! {
        // A client may disconnect at any time.
        _ = watcher.watch(server) => {}
        () = replaced.notified() => {}
    }
}

/// Whether a request names exactly one host (RFC 9112, 3.2); an absolute URI must repeat it. HTTP/1.0
/// requests may omit it.
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

fn bad_host() -> Response {
    let mut response = Response::new(Body::from("a request names one host\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Sends [`NO_ROOM`] if that does not require waiting for the client.
fn reject(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(NO_ROOM);
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
