//! Access control: every request passes [`check`] first. It rejects foreign host names, forms of other sites,
//! and clients without a session. The pages for signing in and out are here too. What a session shows is
//! decided elsewhere.

mod form;
mod limiter;
mod pages;
mod password;
mod session;
mod upload;

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};

pub(super) use self::form::SignedForm;
use self::password::PasswordGate;
pub(super) use self::session::SessionToken;
pub(super) use self::upload::{SignedUpload, UploadedFile};
use super::site::Site;
use super::{origin, page, request, response};
use crate::flock::web::{Dashboard, Open, Web};
use crate::listener::Peer;

/// Who may access an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// All clients: the files that pages load, and the callback to which browsers return after a bot's
    /// sign-in.
    Public,
    /// All clients if `flock.toml` opens it, otherwise those with a session.
    Opened(Open),
    /// Clients that want to sign in.
    SignIn,
    /// Programs with a session: they get JSON, not a page.
    Api,
    /// Browsers with a session.
    Dashboard,
}

impl Access {
    fn of(path: &str) -> Self {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        match first {
            "style.css" | "script.js" | "icon.svg" | "callback" => Self::Public,
            "posts" | "feeds" | "media" => Self::Opened(Open::Feeds),
            "healthz" | "readyz" => Self::Opened(Open::Health),
            "metrics" => Self::Opened(Open::Metrics),
            "enter" => Self::SignIn,
            "api" | "events" => Self::Api,
            _ => Self::Dashboard,
        }
    }

    /// Whether the address is accessible without a session.
    fn is_open(self, uri: &Uri, web: &Web) -> bool {
        let has_dashboard = web.dashboard != Dashboard::Off;
        match self {
            Self::Public => true,
            Self::Opened(open) => web.open.contains(&open),
            Self::SignIn => has_dashboard,
            Self::Api => false,
            // Without a dashboard, the front page is for readers.
            Self::Dashboard => !has_dashboard && uri.path() == "/",
        }
    }
}

/// The routes for signing in and out.
pub(super) fn routes() -> Router<Site> {
    let passwords = Arc::new(PasswordGate::default());
    Router::new()
        .route("/enter", get(pages::link).post(pages::enter))
        .route("/leave", post(pages::leave))
        .layer(Extension(passwords))
}

/// Lets a request through, or answers it with an error.
pub(super) async fn check(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let flock = site.flock();
    let web = &flock.web;
    let access = Access::of(request.uri().path());
    if let Some(rejection) = overload(access, &request, web).or_else(|| cross_site(access, &request, web)) {
        return rejection;
    }
    if access.is_open(request.uri(), web) {
        return next.run(request).await;
    }
    if web.dashboard == Dashboard::Off {
        return page::not_found(request.uri().clone()).await;
    }
    if let Some(token) = SessionToken::from_cookie(request.headers(), web) {
        match site.ledger_result(site.store.is_session(token.hash(), site.now()).await) {
            Some(true) => {
                // A page of a large flock takes time to make, so a signed-in client may wait longer for it,
                // but not while it sends a form.
                let peer = request.extensions().get::<ConnectInfo<Peer>>().filter(|_| !is_change(&request));
                let _paused = peer.map(|peer| peer.0.idle_timer.pause());
                request.extensions_mut().insert(token);
                return next.run(request).await;
            }
            Some(false) => {}
            None => return page::ledger_unavailable(request.uri()),
        }
    }
    match access {
        Access::Api | Access::Opened(_) => no_session(),
        _ => pages::sign_in(&flock, request.headers(), request.uri()),
    }
}

/// Rejects a client when there is no room for it. Health is always answered.
fn overload(access: Access, request: &Request, web: &Web) -> Option<Response> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<Peer>>()?;
    let address = peer.address.ip();
    // Assigned even for health: from now on, the connection counts against the proxy's client.
    let has_room = !request::is_proxy(address, web)
        || peer.forwarded_for(request::client_address(address, request.headers(), web));
    if access == Access::Opened(Open::Health) || (has_room && !peer.is_in_reserve) {
        return None;
    }
    let text = "too many clients are connected: try again shortly\n";
    let mut response = response::text(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}

/// Rejects a request for another host, or a form of another site.
fn cross_site(access: Access, request: &Request, web: &Web) -> Option<Response> {
    let headers = request.headers();
    // Pages that other machines may reach can be requested under any name. Those limited to this machine or
    // to a session must be protected from DNS rebinding.
    let is_private =
        web.listen.ip().is_loopback() || matches!(access, Access::SignIn | Access::Api | Access::Dashboard);
    if is_private && !origin::is_our_host(headers, web) {
        let text = "flockd does not answer to this host name: use its IP address, localhost, or the `public_url` under [web]\n";
        return Some(response::text(StatusCode::MISDIRECTED_REQUEST, text));
    }
    // The page of a link sends no referrer, so its form has the origin "null". The form contains a key that
    // no other site knows.
    let from_link = access == Access::SignIn && origin::has_null_origin(headers);
    let is_foreign = is_change(request) && !from_link && !origin::is_our_page(headers, web);
    is_foreign.then(|| form::foreign_form(request.uri()))
}

fn is_change(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD)
}

/// 403 for programs.
fn no_session() -> Response {
    let text = "{\"error\": \"this requires a dashboard session: `flockd dashboard` prints a link that starts one\"}\n";
    response::uncached(StatusCode::FORBIDDEN, response::JSON, text.into())
}
