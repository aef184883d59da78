//! Who may see and do what: every request passes here first. A host that is not ours, a page of another site and whoever has
//! not entered the dashboard are sent away. How one enters is in `dashboard::enter`; pages are made elsewhere.

mod device;
mod form;
mod hasher;
mod limiter;
mod request;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};

pub(super) use self::form::{Form, Signed, fields};
use self::hasher::Hasher;
use self::limiter::{Limiter, Queue, Tries};
use super::{Site, answer, dashboard};
use crate::clock::Clock;
use crate::flock::secret::Secret;
use crate::flock::web::{Dashboard, Open, Web};
use crate::listener::Caller;
use crate::store::sessions::{SESSION_LASTS, TokenHash};

/// The longest password that is looked at.
const MAX_PASSWORD: usize = 1_024;

/// How often the log says that passwords were wrong.
const REPORT_EVERY: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";

/// What is at an address, as far as it matters who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// For everybody: what pages load, and where browsers come back to after signing in.
    Public,
    /// For everybody, if `flock.toml` opens it.
    Opened(Open),
    /// Where one enters.
    Entrance,
    /// The dashboard's programs: they want no page.
    Api,
    /// The dashboard.
    Board,
}

impl Room {
    fn at(path: &str) -> Self {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        match first {
            "style.css" | "script.js" | "icon.svg" | "callback" => Self::Public,
            "posts" | "feeds" => Self::Opened(Open::Feeds),
            "healthz" | "readyz" => Self::Opened(Open::Health),
            "metrics" => Self::Opened(Open::Metrics),
            "enter" => Self::Entrance,
            "api" | "events" => Self::Api,
            _ => Self::Board,
        }
    }
}

/// What has to be counted to guard a door.
#[derive(Debug, Default)]
pub(super) struct Guard {
    limiter: Mutex<Limiter>,
    /// A hash takes 19 MiB and a core: one at a time.
    queue: Arc<Queue>,
    hasher: Hasher,
    wrong: Mutex<WrongPasswords>,
}

/// The wrong passwords of which the log has heard nothing yet.
#[derive(Debug, Default)]
struct WrongPasswords {
    unsaid: u64,
    said: Option<Duration>,
}

/// What became of a password that somebody typed.
pub(super) enum Attempt {
    /// It is the one.
    Right,
    /// It is not.
    Wrong,
    /// It was not looked at, as there were too many before it from there: the next one is possible in so many seconds.
    TooOften(u64),
    /// It was not looked at, as too many others wait.
    Crowded,
}

impl Guard {
    /// Looks at a password, when it is its turn.
    pub(super) async fn try_password(
        &self,
        of: Tries,
        hash: Secret,
        typed: String,
        clock: &dyn Clock,
    ) -> Attempt {
        let rank = match self.limiter().try_once(of, clock.uptime()) {
            Ok(rank) => rank,
            Err(wait) => return Attempt::TooOften(wait.as_secs().max(1)),
        };
        if typed.len() > MAX_PASSWORD {
            return Attempt::Wrong;
        }
        let Some(turn) = self.queue.turn(rank).await else {
            self.limiter().give_back(of);
            return Attempt::Crowded;
        };
        if !self.hasher.is_password(hash, typed, turn).await {
            return Attempt::Wrong;
        }
        self.limiter().forget(of);
        Attempt::Right
    }

    /// Has the log say that a password was wrong: at most once in a while, with how many there were before.
    pub(super) fn report_wrong(&self, visitor: IpAddr, clock: &dyn Clock) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.uptime();
        if wrong.said.is_some_and(|said| now.saturating_sub(said) < REPORT_EVERY) {
            wrong.unsaid += 1;
            return;
        }
        let unsaid = std::mem::take(&mut wrong.unsaid);
        wrong.said = Some(now);
        tracing::warn!(from = %visitor, others_before = unsaid, "wrong password for the dashboard");
    }

    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret in a visitor's cookie. Whether it is a session's is for the ledger to say.
#[derive(Clone)]
pub(super) struct Pass(String);

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass([hidden])")
    }
}

impl Pass {
    /// A new one, by the system's chance; `None` where the system has none to give.
    pub(super) fn new() -> Option<Self> {
        let mut bytes = [0; 32];
        SysRng.try_fill_bytes(&mut bytes).ok()?;
        Some(Self(hex::encode(bytes)))
    }

    /// The one in the cookie.
    fn carried(headers: &HeaderMap, web: &Web) -> Option<Self> {
        let value = request::cookie(headers, &cookie_name(web))?;
        let is_ours = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(value.to_owned()))
    }

    /// What the ledger knows it by.
    pub(super) fn mark(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }

    /// What forms carry to show that a page of ours made them: another site can send a cookie along, but not read this.
    pub(super) fn token(&self) -> String {
        hex::encode(Sha256::digest(format!("form {}", self.0)))
    }

    /// The header that has a browser keep this.
    pub(super) fn cookie(&self, headers: &HeaderMap, web: &Web) -> HeaderValue {
        cookie(&cookie_name(web), &self.0, SESSION_LASTS.num_seconds(), headers, web)
    }
}

/// The header that has a browser forget its pass.
pub(super) fn no_cookie(headers: &HeaderMap, web: &Web) -> HeaderValue {
    cookie(&cookie_name(web), "", 0, headers, web)
}

/// The header that has a browser's tries be told from all others', if they are not yet.
pub(super) fn device_cookie(headers: &HeaderMap, web: &Web) -> Option<HeaderValue> {
    device::introduce(headers, web)
}

/// Whose tries a password counts among.
pub(super) fn tries(visitor: IpAddr, headers: &HeaderMap, web: &Web) -> Tries {
    device::known(headers, web).map_or_else(|| Tries::of(visitor), Tries::Device)
}

fn cookie(name: &str, value: &str, seconds: i64, headers: &HeaderMap, web: &Web) -> HeaderValue {
    let by_public_url = request::comes_by_public_url(headers, web);
    let secure = by_public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let path = by_public_url.as_ref().map_or("/", |url| url.path());
    let cookie = format!(
        "{name}={value}; HttpOnly; SameSite=Strict; Path={path}; Max-Age={seconds}{}",
        if secure { "; Secure" } else { "" }
    );
    HeaderValue::try_from(cookie).expect("hex, digits and a URL's path are legal in a header")
}

/// Cookies don't know of ports: two flocks on one machine would take each other's away.
fn cookie_name(web: &Web) -> String {
    format!("flockd-{}", web.listen.port())
}

/// Whoever asks, for the limiter.
pub(super) fn visitor(caller: &Caller, headers: &HeaderMap, web: &Web) -> IpAddr {
    request::visitor(caller.from.ip(), headers, web)
}

/// Whether this is a proxy that is believed when it says for whom it asks.
pub(super) fn is_proxy(address: IpAddr, web: &Web) -> bool {
    request::is_proxy(address, web)
}

/// The pass that is carried by whoever has not entered yet, for the form by which they do.
pub(super) fn stranger(headers: &HeaderMap, web: &Web) -> Option<Pass> {
    Pass::carried(headers, web).or_else(Pass::new)
}

/// Lets a request through, or answers it.
pub(super) async fn check(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let flock = site.flock();
    let web = &flock.web;
    let room = Room::at(request.uri().path());
    if let Some(refused) = not_let_in(room, &request, web) {
        return refused;
    }
    // What is there for other machines may have any name; what only this one should reach must not be reached by a trick.
    let is_private =
        web.listen.ip().is_loopback() || matches!(room, Room::Entrance | Room::Api | Room::Board);
    if is_private && !request::is_our_host(request.headers(), web) {
        return dashboard::wrong_host();
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    // A link's page keeps its address to itself, so its form comes from "null"; it carries what no other site knows.
    let from_nowhere = room == Room::Entrance && request::is_from_nowhere(request.headers());
    if changes && !from_nowhere && !request::is_our_page(request.headers(), web) {
        return dashboard::wrong_page(request.uri());
    }
    let without_board = web.dashboard == Dashboard::Off;
    match room {
        Room::Public => return next.run(request).await,
        Room::Opened(open) if web.open.contains(&open) => return next.run(request).await,
        Room::Entrance if !without_board => return next.run(request).await,
        Room::Board if without_board && request.uri().path() == "/" => return next.run(request).await,
        _ if without_board => return answer::not_found(super::page::not_found(request.uri())),
        _ => {}
    }
    let pass = Pass::carried(request.headers(), web);
    if let Some(pass) = pass {
        match site.heard(site.store.is_session(pass.mark(), site.clock.now()).await) {
            Some(true) => {
                // A large flock takes its time to be looked at, and whoever has entered may wait for that. For what they send
                // they are waited for no longer than others.
                let caller = request.extensions().get::<At>().filter(|_| !changes);
                let _stopped = caller.map(|at| at.0.stopwatch.hold());
                request.extensions_mut().insert(pass);
                return next.run(request).await;
            }
            Some(false) => {}
            None => return super::troubled(request.uri()),
        }
    }
    match room {
        Room::Api | Room::Opened(_) => locked_to_programs(),
        _ => dashboard::enter::locked(&flock, request.headers(), request.uri()),
    }
}

/// What a visitor is told for whom there is no room.
fn not_let_in(room: Room, request: &Request, web: &Web) -> Option<Response> {
    let ConnectInfo(caller) = request.extensions().get::<At>()?;
    let is_health = room == Room::Opened(Open::Health);
    let has_room =
        is_proxy(caller.from.ip(), web).then(|| caller.asks_for(visitor(caller, request.headers(), web)));
    if is_health || (has_room != Some(false) && !caller.is_in_reserve) {
        return None;
    }
    let text = "there are too many visitors at the moment: try again in a little while\n";
    let mut answer = answer::fleeting(StatusCode::SERVICE_UNAVAILABLE, TEXT, text.into());
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Some(answer)
}

fn locked_to_programs() -> Response {
    let text = "{\"error\": \"this needs a session of the dashboard: `flockd dashboard` makes a link that begins one\"}\n";
    answer::fleeting(StatusCode::FORBIDDEN, "application/json", text.into())
}

/// Whether a browser only looks ahead, and nobody has asked for the page yet.
pub(super) fn only_looks_ahead(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"].iter().any(|name| {
        headers
            .get(*name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch"))
    })
}

/// What a cookie says.
pub(super) fn cookie_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    request::cookie(headers, name)
}

/// The caller as an extension of the request.
pub(super) type At = ConnectInfo<Caller>;
