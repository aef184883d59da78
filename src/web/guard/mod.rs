//! Who may see and do what: every request passes here first. A host that is not ours, a page of another site and whoever has
//! not entered the dashboard are sent away. How one enters is in `board::enter`; pages are made elsewhere.

mod form;
mod limiter;
mod request;

use std::fmt;
use std::net::IpAddr;
use std::sync::Mutex;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

pub(super) use self::form::{Form, Signed, fields};
use self::limiter::Limiter;
use super::{Site, answer, board};
use crate::clock::Clock;
use crate::door::Caller;
use crate::flock::secret::Secret;
use crate::flock::web::{Dashboard, Open, Web};
use crate::store::passes::{PassMark, SESSION_LASTS};

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
#[derive(Debug)]
pub(super) struct Guard {
    limiter: Mutex<Limiter>,
    /// A hash takes 19 MiB and a core: one at a time.
    hashing: Semaphore,
}

impl Default for Guard {
    fn default() -> Self {
        Self { limiter: Mutex::default(), hashing: Semaphore::new(1) }
    }
}

impl Guard {
    /// Takes a try to log in; or says how many seconds to wait for one.
    pub(super) fn try_once(&self, visitor: IpAddr, clock: &dyn Clock) -> Result<(), u64> {
        let mut limiter = self.limiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        limiter.try_once(visitor, clock.uptime()).map_err(|wait| wait.as_secs().max(1))
    }

    /// Whether this is the password.
    pub(super) async fn is_password(&self, hash: Secret, typed: String) -> bool {
        let _one_at_a_time = self.hashing.acquire().await;
        let is_right = tokio::task::spawn_blocking(move || {
            let hash = PasswordHash::new(hash.expose());
            hash.is_ok_and(|hash| Argon2::default().verify_password(typed.as_bytes(), &hash).is_ok())
        });
        is_right.await.unwrap_or(false)
    }

    /// Somebody got in: their tries before count no more.
    pub(super) fn welcome(&self, visitor: IpAddr) {
        self.limiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).forget(visitor);
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
        Some(Self(hex(&bytes)))
    }

    /// The one in the cookie.
    fn carried(headers: &HeaderMap, web: &Web) -> Option<Self> {
        let value = request::cookie(headers, &cookie_name(web))?;
        let is_ours = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(value.to_owned()))
    }

    /// What the ledger knows it by.
    pub(super) fn mark(&self) -> PassMark {
        PassMark::of(&self.0)
    }

    /// What forms carry to show that a page of ours made them: another site can send a cookie along, but not read this.
    pub(super) fn token(&self) -> String {
        hex(&Sha256::digest(format!("form {}", self.0)))
    }

    /// The header that has a browser keep this.
    pub(super) fn cookie(&self, headers: &HeaderMap, web: &Web) -> HeaderValue {
        cookie(&self.0, SESSION_LASTS.num_seconds(), headers, web)
    }
}

/// The header that has a browser forget its pass.
pub(super) fn no_cookie(headers: &HeaderMap, web: &Web) -> HeaderValue {
    cookie("", 0, headers, web)
}

fn cookie(value: &str, seconds: i64, headers: &HeaderMap, web: &Web) -> HeaderValue {
    let by_public_url = request::comes_by_public_url(headers, web);
    let secure = by_public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let path = by_public_url.as_ref().map_or("/", |url| url.path());
    let cookie = format!(
        "{}={value}; HttpOnly; SameSite=Strict; Path={path}; Max-Age={seconds}{}",
        cookie_name(web),
        if secure { "; Secure" } else { "" }
    );
    HeaderValue::try_from(cookie).expect("hex, digits and a URL's path are legal in a header")
}

/// Cookies don't know of ports: two flocks on one machine would take each other's away.
fn cookie_name(web: &Web) -> String {
    format!("flockd-{}", web.listen.port())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        return board::wrong_host();
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !request::is_our_page(request.headers(), web) {
        return board::wrong_page(request.uri());
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
        _ => board::enter::locked(&flock, request.headers(), request.uri()),
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

/// The caller as an extension of the request.
pub(super) type At = ConnectInfo<Caller>;
