//! The daemon's own web server: the dashboard, the feeds with a page for each of their posts, health, numbers.
//!
//! Every request passes `auth`, which knows who has entered the dashboard; that is in `dashboard`. Where there is none, `index`
//! shows the newest lines. What the other pages look like is in `page`, a feed in `feed`; how an answer is labelled and
//! compared with what the visitor has is in `answer`. How long a visitor is waited for is `listener`'s business. Binding the
//! port is the daemon's work, posting the engine's.

mod answer;
mod assets;
mod auth;
mod dashboard;
mod feed;
mod health;
mod index;
mod live;
pub mod metrics;
mod page;
mod prefix;
mod read;
#[cfg(test)]
mod tests;
mod times;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::enroll::Reception;
use crate::flock::post::{Post, PostId};
use crate::flock::web::Dashboard;
use crate::flock::{Bot, Flock, NetworkKind};
use crate::forecast::capacity::{Capacity, LimitGroup, capacity};
use crate::forecast::post_rate::PostRates;
use crate::health::HealthCache;
use crate::listener::{Door, Farewell, Limits};
use crate::store::{Store, StoreError};
use answer::Document;
use auth::{Guard, Pass};
pub use live::Live;
use metrics::Metrics;
use times::Times;

/// A flock of so many bots is large: a smaller one is counted while one waits for a page.
const LARGE: usize = 200;

/// The weeks that were reckoned last, with the flock and the hour that they are of.
type Kept = (Arc<Flock>, i64, Arc<BTreeMap<LimitGroup, Capacity>>);

/// What is served: a flock and its ledger. Cheap to clone.
#[derive(Clone)]
pub struct Site {
    /// The bots, and where others reach this server, as they are now.
    flock: watch::Receiver<Arc<Flock>>,
    /// The ledger: what is to be done goes through it to the engine.
    store: Arc<dyn Store>,
    /// How the flock is, for programs that ask.
    health_cache: HealthCache,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    guard: Arc<Guard>,
    live: Arc<Live>,
    /// Where people sign bots in; on paper nobody does.
    reception: Option<Arc<Reception>>,
    weeks: Arc<Mutex<Option<Kept>>>,
    rates: Arc<std::sync::Mutex<Option<PostRates>>>,
    upcoming: Arc<dashboard::UpcomingCache>,
    /// Whether the last look at the ledger failed, so that a long trouble is logged once.
    troubled: Arc<AtomicBool>,
}

impl Site {
    /// The site of a flock.
    pub fn new(
        flock: watch::Receiver<Arc<Flock>>,
        store: Arc<dyn Store>,
        health_cache: HealthCache,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        live: Arc<Live>,
        reception: Option<Arc<Reception>>,
    ) -> Self {
        let (guard, weeks, rates, upcoming, troubled) = Default::default();
        Self {
            flock,
            store,
            health_cache,
            metrics,
            clock,
            guard,
            live,
            reception,
            weeks,
            rates,
            upcoming,
            troubled,
        }
    }

    /// The flock as it is now; a reload may change it while an answer is made.
    fn flock(&self) -> Arc<Flock> {
        self.flock.borrow().clone()
    }

    /// Counts the bots of a large flock before anybody asks, as the first look at it takes some seconds. If the ledger can't
    /// be read, whoever asks is told.
    pub async fn warm_up(self) {
        let flock = self.flock();
        if flock.web.dashboard != Dashboard::Off && flock.bots.len() >= LARGE {
            let _ = self.health_cache.snapshot().await;
        }
    }

    /// The coming week, reckoned once for each hour and flock.
    async fn weeks(&self) -> Arc<BTreeMap<LimitGroup, Capacity>> {
        let (flock, hour) = (self.flock(), self.clock.now().timestamp() / 3_600);
        let mut kept = self.weeks.lock().await;
        if let Some((of, at, weeks)) = &*kept
            && *at == hour
            && Arc::ptr_eq(of, &flock)
        {
            return weeks.clone();
        }
        let (bots, now) = (flock.bots.clone(), self.clock.now());
        let weeks = tokio::task::spawn_blocking(move || capacity(&bots, now)).await;
        let weeks = Arc::new(weeks.unwrap_or_default());
        *kept = Some((flock, hour, weeks.clone()));
        weeks
    }

    /// When the poems of bots run out that have so many lines left each, reckoned once in an hour.
    async fn ends(&self, left: Vec<(Arc<Bot>, Option<usize>)>) -> Vec<Option<DateTime<Utc>>> {
        let (rates, now) = (self.rates.clone(), self.clock.now());
        let reckon = move || {
            let mut kept = rates.lock().unwrap_or_else(PoisonError::into_inner);
            let is_fresh =
                |rates: &PostRates| now.signed_duration_since(rates.since()).abs() < TimeDelta::hours(1);
            let mut rates = kept.take().filter(is_fresh).unwrap_or_else(|| PostRates::new(now));
            let ends =
                left.iter().map(|(bot, left)| left.and_then(|left| rates.runs_out(bot, left))).collect();
            *kept = Some(rates);
            ends
        };
        // A schedule of seldom days is looked at for years ahead.
        tokio::task::spawn_blocking(reckon).await.unwrap_or_default()
    }

    /// What the ledger said, or `None` with a word in the log when trouble begins. The visitor is told
    /// nothing of it: the text may name files of the machine.
    fn heard<T>(&self, said: Result<T, StoreError>) -> Option<T> {
        let was_troubled = self.troubled.swap(said.is_err(), Ordering::Relaxed);
        match &said {
            Err(problem) if !was_troubled => {
                tracing::error!(%problem, "the web pages can't read the ledger; visitors get 503 meanwhile");
            }
            Ok(_) if was_troubled => tracing::info!("the web pages can read the ledger again"),
            _ => {}
        }
        said.ok()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Site({} bots)", self.flock().bots.len())
    }
}

/// Serves the site until `shutdown` is there: then no new visitor is let in, answers under way may end,
/// but not for long.
pub async fn serve(
    listener: TcpListener,
    site: Site,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_within(Limits::DEFAULT, listener, site, shutdown).await
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    site: Site,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (live, flock) = (site.live.clone(), site.flock.clone());
    let is_proxy = move |address| auth::is_proxy(address, &flock.borrow().web);
    let stopping = async move {
        shutdown.await;
        live.close();
    };
    if Door::new(listener, &limits, is_proxy).serve(router(site), stopping).await == Farewell::CutOff {
        tracing::warn!("some visitors of the web pages were still reading; they are cut off");
    }
    Ok(())
}

/// The routes of the site. Outside the dashboard they answer GET and HEAD, and nothing else.
pub fn router(site: Site) -> Router {
    let pages = Router::new()
        .route("/", get(front))
        .route("/posts/{id}", get(post))
        .route("/feeds/{file}", get(feed_of))
        .route("/style.css", get(style))
        .route("/script.js", get(script))
        .route("/icon.svg", get(icon))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/events", get(live::events))
        .merge(dashboard::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(site.clone(), auth::check))
        .layer(map_response(answer::secured))
        .with_state(site.clone());
    // What a layer changes is not seen by the routes that it is put on.
    Router::new().fallback_service(pages).layer(from_fn_with_state(site, prefix::taken_off))
}

/// The dashboard for whoever has entered it; nobody else comes here where there is one.
async fn front(
    State(site): State<Site>,
    pass: Option<Extension<Pass>>,
    times: Times,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Some(Extension(pass)) = pass {
        return dashboard::front(&site, &uri, &pass, &times).await;
    }
    let flock = site.flock();
    let Some(leaf) = read::Leaf::asked(uri.query(), flock.bots.len()) else {
        return not_found(uri).await;
    };
    match site.heard(read::index(&site, &flock, leaf).await) {
        Some(view) => answer::conditional(&headers, Document::page(index::page(&view))),
        None => troubled(&uri),
    }
}

async fn post(
    State(site): State<Site>,
    id: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(id) = id.ok().and_then(|Path(text)| canonical_id(&text)) else {
        return not_found(uri).await;
    };
    match site.heard(read::feed_post(&site, id).await) {
        Some(Some(post)) => answer::conditional(&headers, Document::page(page::post(&site.flock(), &post))),
        Some(None) => not_found(uri).await,
        None => troubled(&uri),
    }
}

/// An id in the one spelling that is linked to: the same post has no second address.
fn canonical_id(text: &str) -> Option<PostId> {
    text.parse::<PostId>().ok().filter(|id| id.to_string() == text)
}

/// The feed of a bot, or, without `.atom`, the page on which it is read.
async fn feed_of(
    State(site): State<Site>,
    file: Result<Path<String>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let file = file.as_ref().ok().map_or("", |Path(file)| file.as_str());
    // A name has no dot in it.
    let (name, is_atom) = file.strip_suffix(".atom").map_or((file, false), |name| (name, true));
    let flock = site.flock();
    let bot = flock.bot(name).filter(|bot| bot.network == NetworkKind::Feed);
    let Some(bot) = bot else {
        return not_found(uri).await;
    };
    let document = |posts: Vec<Post>| match is_atom {
        true => feed::document(&flock.web.public_url, bot, &posts),
        false => Document::page(page::feed(&flock, bot, &posts)),
    };
    match site.heard(read::feed_posts(&site, bot).await) {
        Some(posts) => answer::conditional(&headers, document(posts)),
        None => troubled(&uri),
    }
}

async fn style(uri: Uri, headers: HeaderMap) -> Response {
    answer::conditional(&headers, assets::style(uri.query()))
}

async fn script(uri: Uri, headers: HeaderMap) -> Response {
    answer::conditional(&headers, assets::script(uri.query()))
}

async fn icon(headers: HeaderMap) -> Response {
    answer::conditional(&headers, assets::icon())
}

async fn not_found(uri: Uri) -> Response {
    answer::not_found(page::not_found(&uri))
}

async fn not_allowed(uri: Uri) -> Response {
    answer::not_allowed(page::not_allowed(&uri))
}

fn troubled(uri: &Uri) -> Response {
    answer::unavailable(page::troubled(uri))
}
