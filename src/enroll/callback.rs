//! The address to which the browser comes back: a listener on this machine only, which hands on what it is
//! asked, one visit at a time, and keeps the visitor until it is known how the sign-in ended.
//!
//! Whether an answer is the right one is not judged here. Anybody on this machine, and any page in the
//! browser, may come by: whatever they ask for, nothing is ended by it, and no more than so many are let in,
//! for no longer than they need.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::page;
use crate::listener::{ConnectionLimits, HttpListener, Peer};

/// How many ports are tried: X takes ten callback addresses of an app, and each of these has to be
/// registered.
pub(super) const PORTS: u16 = 3;

/// A browser opens half a dozen connections at most, so there is room for two and a few strangers. Ten
/// seconds are plenty for a request on the same machine.
pub(super) const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 16,
    per_address: 16,
    reserve: 0,
    idle_timeout: Duration::from_secs(10),
    grace_period: Duration::from_secs(2),
};

/// The longest answer that is looked at. X's have some 150 bytes, other servers' up to 2,000.
pub(super) const QUERY_MAX: usize = 4_096;

/// How long the browser is kept waiting for the end: three requests to the network, of which each takes 30 s
/// at the most.
pub(super) const VERDICT: Duration = Duration::from_secs(90);

/// How a sign-in ended, as the browser is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Well: what was done.
    Done(String),
    /// Not well: why.
    Failed(String),
    /// It goes on, as this visitor brought nothing of use: why.
    Stranger(&'static str),
    /// Another visitor was first.
    Late,
}

/// A visit: what the browser brought, and how it gets to know what became of it. It has no `Debug`, as it
/// holds a code.
pub(super) struct Arrival {
    /// What stood behind the `?` of the address.
    pub(super) query: String,
    /// Where the verdict goes.
    pub(super) visitor: Visitor,
}

/// A visitor who waits for a verdict. If this is dropped they are told that it went wrong.
#[derive(Debug)]
pub(super) struct Visitor(Option<oneshot::Sender<Verdict>>);

impl Visitor {
    /// One who waits, and what they will be told.
    pub(super) fn waiting() -> (Self, oneshot::Receiver<Verdict>) {
        let (tell, told) = oneshot::channel();
        (Self(Some(tell)), told)
    }

    /// Tells the visitor. That they have gone is no trouble.
    pub(super) fn tell(mut self, verdict: Verdict) {
        self.say(verdict);
    }

    fn say(&mut self, verdict: Verdict) {
        if let Some(told) = self.0.take() {
            let _ = told.send(verdict);
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.say(Verdict::Failed("the sign-in was given up".to_owned()));
    }
}

/// The browser that is expected back, if one is.
#[derive(Debug)]
pub(super) struct Browser {
    /// Where it comes back to.
    address: Option<String>,
    arrivals: Option<mpsc::Receiver<Arrival>>,
    /// The one whose answer was taken.
    visitor: Option<Visitor>,
    servers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Browser {
    /// Nobody is expected.
    pub(super) fn absent() -> Self {
        let (stop, _) = watch::channel(false);
        Self { address: None, arrivals: None, visitor: None, servers: JoinSet::new(), stop }
    }

    /// Somebody else listens, at this address, and hands over who comes back.
    pub(super) fn of_site(address: String, arrivals: mpsc::Receiver<Arrival>) -> Self {
        Self { address: Some(address), arrivals: Some(arrivals), ..Self::absent() }
    }

    /// Listens at this port, or at one of the next if it is taken.
    ///
    /// # Errors
    /// When none can be listened at: the sentence says which and why.
    pub(super) async fn expected_at(port: u16) -> Result<Self, String> {
        Self::expected_within(&LIMITS, port).await
    }

    pub(super) async fn expected_within(limits: &ConnectionLimits, first: u16) -> Result<Self, String> {
        let mut troubles = Vec::new();
        for port in (0..PORTS).filter_map(|further| first.checked_add(further)) {
            match listeners(port).await {
                Ok((port, listeners)) => return Ok(Self::at(limits, port, listeners)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    troubles.push(format!("port {port} is taken"));
                }
                Err(error) => troubles.push(format!("port {port}: {error}")),
            }
        }
        Err(troubles.join(", "))
    }

    fn at(limits: &ConnectionLimits, port: u16, listeners: Vec<TcpListener>) -> Self {
        let mut browser = Self::absent();
        // Nobody who was let in finds no room here.
        let (desk, arrivals) = mpsc::channel(listeners.len() * limits.connections);
        let app = Router::new()
            .route("/callback", any(came_back))
            .fallback(async || page::nothing_here())
            .layer(map_response(page::guarded))
            .with_state(desk);
        for listener in listeners {
            let mut stop = browser.stop.subscribe();
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            let listener = HttpListener::new(listener, limits, |_| false);
            let app = app.clone();
            browser.servers.spawn(async move {
                // Whether all have read the page is asked in `tell`.
                let _ = listener.serve(app, stopped).await;
            });
        }
        Self { address: Some(address(port)), arrivals: Some(arrivals), ..browser }
    }

    /// Where it comes back to.
    pub(super) fn address(&self) -> Option<String> {
        self.address.clone()
    }

    /// The next visit; for ever, if nobody is expected. Cancel-safe.
    pub(super) async fn arrival(&mut self) -> Arrival {
        if let Some(arrivals) = &mut self.arrivals
            && let Some(arrival) = arrivals.recv().await
        {
            return arrival;
        }
        std::future::pending().await
    }

    /// Takes this visitor's answer: they will be told how it ends, and everybody else that they are late.
    pub(super) fn take(&mut self, visitor: Visitor) {
        self.visitor = Some(visitor);
        self.turn_away();
    }

    /// Tells whoever waits how it ended, and stops listening. Returns when the page is out.
    pub(super) async fn tell(&mut self, verdict: Verdict) {
        if let Some(visitor) = self.visitor.take() {
            visitor.tell(verdict);
        }
        self.turn_away();
        self.stop.send_replace(true);
        let gone = async { while self.servers.join_next().await.is_some() {} };
        // Who does not read the page by then does not wait for it.
        let _ = timeout(LIMITS.grace_period, gone).await;
        self.servers.abort_all();
    }

    fn turn_away(&mut self) {
        let Some(mut arrivals) = self.arrivals.take() else { return };
        arrivals.close();
        while let Ok(arrival) = arrivals.try_recv() {
            arrival.visitor.tell(Verdict::Late);
        }
    }
}

/// The address that has to be registered with the app. By number, as X wants it: `localhost` is another one.
pub(super) fn address(port: u16) -> String {
    format!("http://{}:{port}/callback", Ipv4Addr::LOCALHOST)
}

/// Both loopback addresses at this port, or at any if it is 0. A machine may do without IPv6, but a stranger
/// must not have that half of the port.
async fn listeners(port: u16) -> io::Result<(u16, Vec<TcpListener>)> {
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = four.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(six) => Ok((port, vec![four, six])),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok((port, vec![four])),
    }
}

async fn came_back(
    State(desk): State<mpsc::Sender<Arrival>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET {
        return page::not_allowed();
    }
    if looks_ahead(&headers) {
        return page::too_early();
    }
    let query = uri.query().unwrap_or_default().to_owned();
    if query.is_empty() || query.len() > QUERY_MAX {
        return page::stranger("the address holds no answer");
    }
    let (visitor, verdict) = Visitor::waiting();
    // From here on the visitor waits for us.
    let _paused = peer.idle_timer.pause();
    if desk.try_send(Arrival { query, visitor }).is_err() {
        return page::late();
    }
    match timeout(VERDICT, verdict).await {
        Ok(Ok(Verdict::Done(what))) => page::done(&what),
        Ok(Ok(Verdict::Failed(why))) => page::failed(&why),
        Ok(Ok(Verdict::Stranger(why))) => page::stranger(why),
        Ok(Ok(Verdict::Late) | Err(_)) => page::late(),
        Err(_) => page::slow(),
    }
}

/// Whether a browser only loads what somebody might open next: an answer counts once, so not for that.
fn looks_ahead(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"]
        .iter()
        .filter_map(|name| headers.get(*name))
        .any(|purpose| purpose.to_str().is_ok_and(|purpose| purpose.to_ascii_lowercase().contains("pre")))
}
