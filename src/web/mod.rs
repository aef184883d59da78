//! The daemon's web server: the dashboard, the feeds with a page for each post, health and metrics.
//!
//! Every request passes [`auth`] first. [`site`] has the data for all pages, [`page`] their layout,
//! [`response`] their headers, [`post_body`] what a post says. The pages for readers are in [`public`], those for people with a session in
//! [`dashboard`]. The listener handles connections and their timeouts, the engine posts.

mod assets;
mod auth;
mod dashboard;
mod events;
mod feed;
mod forecasts;
mod health;
mod media;
pub mod metrics;
mod origin;
mod page;
mod post_body;
mod posts;
mod public;
mod request;
mod response;
mod site;
#[cfg(test)]
mod tests;
mod times;

use std::future::Future;
use std::io;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use tokio::net::TcpListener;

use crate::listener::{ConnectionLimits, HttpListener, ShutdownOutcome};
use auth::SessionToken;
pub use events::EventStream;
pub use site::Site;
use times::LocalTimes;

/// Serves the site until `shutdown` resolves. Then no new connection is accepted, and responses in progress
/// get a short grace period.
pub async fn serve(
    listener: TcpListener,
    site: Site,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_within(ConnectionLimits::DEFAULT, listener, site, shutdown).await
}

async fn serve_within(
    limits: ConnectionLimits,
    listener: TcpListener,
    site: Site,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (events, flock) = (site.events.clone(), site.flock.clone());
    let is_proxy = move |address| request::is_proxy(address, &flock.borrow().web);
    let shutdown = async move {
        shutdown.await;
        events.close();
    };
    let listener = HttpListener::new(listener, &limits, is_proxy);
    if listener.serve(router(site), shutdown).await == ShutdownOutcome::CutOff {
        tracing::warn!("some clients were still reading a web page at shutdown and were cut off");
    }
    Ok(())
}

/// The routes of the site. Outside the dashboard they answer only GET and HEAD.
pub fn router(site: Site) -> Router {
    let pages = Router::new()
        .route("/", get(front))
        .route("/posts/{id}", get(public::post))
        .route("/feeds/{file}", get(public::feed))
        .route("/media/{digest}", get(media::picture))
        .route("/style.css", get(assets::style))
        .route("/script.js", get(assets::script))
        .route("/icon.svg", get(assets::icon))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/events", get(events::events))
        .merge(auth::routes())
        .merge(dashboard::routes())
        .fallback(page::not_found)
        .method_not_allowed_fallback(page::not_allowed)
        .layer(from_fn_with_state(site.clone(), auth::check))
        .layer(map_response(response::add_security_headers))
        .with_state(site.clone());
    // A layer of a router can't change an address before that router matches it, so this layer is on an outer
    // router.
    Router::new().fallback_service(pages).layer(from_fn_with_state(site, origin::strip_public_path))
}

/// `GET /`: the dashboard, for a client with a session. Others get here only where the dashboard is off.
async fn front(
    State(site): State<Site>,
    session: Option<Extension<SessionToken>>,
    times: LocalTimes,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    match session {
        Some(Extension(session)) => dashboard::flock_page(&site, uri, session, times).await,
        None => public::index(&site, uri, &headers).await,
    }
}
