//! The address to which the browser returns: a listener on the loopback interface, which passes on each
//! request and holds the browser's connection until the sign-in has ended.
//!
//! Requests are judged elsewhere. Any program on this machine, and any page in the browser, may send one: it
//! ends nothing, and requests are limited in number and time.

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

/// How many ports are tried: each has to be registered as a callback address, and X allows ten for an app.
pub(super) const PORTS: u16 = 3;

/// A browser opens at most six connections, so there is room for two browsers and a few other programs. Ten
/// seconds are plenty for a request on the same machine.
pub(super) const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 16,
    per_address: 16,
    reserve: 0,
    idle_timeout: Duration::from_secs(10),
    grace_period: Duration::from_secs(2),
};

/// The longest query that is passed on. X's have some 150 bytes, other servers' up to 2,000.
pub(super) const QUERY_MAX: usize = 4_096;

/// How long the browser waits for the result: three requests to the network take at most 30 s each.
pub(super) const OUTCOME_TIMEOUT: Duration = Duration::from_secs(90);

/// What the browser is told about its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallbackOutcome {
    /// The sign-in succeeded.
    Done(String),
    /// The sign-in failed, and why.
    Failed(String),
    /// The request does not belong to the sign-in, which continues, and why.
    Unrelated(&'static str),
    /// Another request came first.
    Late,
}

/// A browser's request, and the channel for its response. It has no `Debug`, as it contains a code.
pub(super) struct CallbackRequest {
    /// The query of the address.
    pub(super) query: String,
    /// The browser that waits.
    pub(super) visitor: WaitingBrowser,
}

/// A browser that waits for an outcome. If this is dropped, it is told that the sign-in failed.
#[derive(Debug)]
pub(super) struct WaitingBrowser(Option<oneshot::Sender<CallbackOutcome>>);

impl WaitingBrowser {
    /// A waiting browser, and what it will be told.
    pub(super) fn waiting() -> (Self, oneshot::Receiver<CallbackOutcome>) {
        let (tell, told) = oneshot::channel();
        (Self(Some(tell)), told)
    }

    /// Tells the browser, if it is still there.
    pub(super) fn tell(mut self, verdict: CallbackOutcome) {
        self.say(verdict);
    }

    fn say(&mut self, verdict: CallbackOutcome) {
        if let Some(told) = self.0.take() {
            let _ = told.send(verdict);
        }
    }
}

impl Drop for WaitingBrowser {
    fn drop(&mut self) {
        self.say(CallbackOutcome::Failed("the sign-in was canceled".to_owned()));
    }
}

/// The channel through which a browser returns, if one can.
#[derive(Debug)]
pub(super) struct CallbackChannel {
    /// The address to which it returns.
    address: Option<String>,
    arrivals: Option<mpsc::Receiver<CallbackRequest>>,
    /// The browser whose answer was accepted.
    visitor: Option<WaitingBrowser>,
    servers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl CallbackChannel {
    /// No browser can return.
    pub(super) fn absent() -> Self {
        let (stop, _) = watch::channel(false);
        Self { address: None, arrivals: None, visitor: None, servers: JoinSet::new(), stop }
    }

    /// Another listener has this address, and passes on its requests.
    pub(super) fn of_site(address: String, arrivals: mpsc::Receiver<CallbackRequest>) -> Self {
        Self { address: Some(address), arrivals: Some(arrivals), ..Self::absent() }
    }

    /// Listens on this port or, if it is taken, on one of the next.
    ///
    /// # Errors
    /// When all are taken: the sentence says which ports, and why.
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
        // There is room for every connection.
        let (sender, arrivals) = mpsc::channel(listeners.len() * limits.connections);
        let app = Router::new()
            .route("/callback", any(handle_callback))
            .fallback(async || page::nothing_here())
            .layer(map_response(page::with_headers))
            .with_state(sender);
        for listener in listeners {
            let mut stop = browser.stop.subscribe();
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            let listener = HttpListener::new(listener, limits, |_| false);
            let app = app.clone();
            browser.servers.spawn(async move {
                // `tell` waits until all have read the page.
                let _ = listener.serve(app, stopped).await;
            });
        }
        Self { address: Some(address(port)), arrivals: Some(arrivals), ..browser }
    }

    /// The address to which the browser returns.
    pub(super) fn address(&self) -> Option<String> {
        self.address.clone()
    }

    /// The next request; waits forever if no browser can return. Cancel-safe.
    pub(super) async fn arrival(&mut self) -> CallbackRequest {
        if let Some(arrivals) = &mut self.arrivals
            && let Some(arrival) = arrivals.recv().await
        {
            return arrival;
        }
        std::future::pending().await
    }

    /// Accepts this browser's answer: it is told the result of the sign-in, and all others are told that they
    /// are late.
    pub(super) fn accept(&mut self, visitor: WaitingBrowser) {
        self.visitor = Some(visitor);
        self.turn_away();
    }

    /// Tells the waiting browser the result of the sign-in, and stops listening. Returns when the page is
    /// sent.
    pub(super) async fn tell(&mut self, verdict: CallbackOutcome) {
        if let Some(visitor) = self.visitor.take() {
            visitor.tell(verdict);
        }
        self.turn_away();
        self.stop.send_replace(true);
        let gone = async { while self.servers.join_next().await.is_some() {} };
        // A browser that has not read the page by then is no longer waiting for it.
        let _ = timeout(LIMITS.grace_period, gone).await;
        self.servers.abort_all();
    }

    fn turn_away(&mut self) {
        let Some(mut arrivals) = self.arrivals.take() else { return };
        arrivals.close();
        while let Ok(arrival) = arrivals.try_recv() {
            arrival.visitor.tell(CallbackOutcome::Late);
        }
    }
}

/// The address to register with the app. It uses the IP address, as X requires: `localhost` counts as a
/// different one.
pub(super) fn address(port: u16) -> String {
    format!("http://{}:{port}/callback", Ipv4Addr::LOCALHOST)
}

/// Both loopback addresses at this port, or at any port if it is 0. A machine may lack IPv6, but no other
/// program may have the IPv6 port.
async fn listeners(port: u16) -> io::Result<(u16, Vec<TcpListener>)> {
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = four.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(six) => Ok((port, vec![four, six])),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => Ok((port, vec![four])),
    }
}

async fn handle_callback(
    State(sender): State<mpsc::Sender<CallbackRequest>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET {
        return page::not_allowed();
    }
    if is_preloading(&headers) {
        return page::too_early();
    }
    let query = uri.query().unwrap_or_default().to_owned();
    if query.is_empty() || query.len() > QUERY_MAX {
        return page::unrelated("the address contains no answer");
    }
    let (visitor, verdict) = WaitingBrowser::waiting();
    // From here on the browser waits for us.
    let _paused = peer.idle_timer.pause();
    if sender.try_send(CallbackRequest { query, visitor }).is_err() {
        return page::late();
    }
    match timeout(OUTCOME_TIMEOUT, verdict).await {
        Ok(Ok(CallbackOutcome::Done(what))) => page::done(&what),
        Ok(Ok(CallbackOutcome::Failed(why))) => page::failed(&why),
        Ok(Ok(CallbackOutcome::Unrelated(why))) => page::unrelated(why),
        Ok(Ok(CallbackOutcome::Late) | Err(_)) => page::late(),
        Err(_) => page::slow(),
    }
}

/// Whether a browser preloads the page: an answer counts once, so a preload must not use it up.
fn is_preloading(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-moz"]
        .iter()
        .filter_map(|name| headers.get(*name))
        .any(|purpose| purpose.to_str().is_ok_and(|purpose| purpose.to_ascii_lowercase().contains("pre")))
}
