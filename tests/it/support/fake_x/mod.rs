//! A stand-in for X on 127.0.0.1: `POST /2/tweets` and `GET /2/users/me` with X's true shapes, for several
//! accounts of one app. It checks every signature by itself, keeps what was posted, and misbehaves on
//! command. Dropping it ends it.
//!
//! ```ignore
//! let fake = FakeX::start().await;
//! let walt = fake.account("walt_lines");         // may post from now on, with walt.credentials
//! fake.next_post(Behaviour::StoreAndClose);      // for the next `POST /2/tweets` of whomever
//! // … run something against fake.url …
//! fake.request(2).await;                         // until the second request has come, of any kind
//! assert_eq!(fake.texts("walt_lines"), ["a line of the poem"]);
//! ```

mod ordinary;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use flockd::clock::{Clock, SystemClock};
use flockd::flock::Credentials;
use flockd::flock::secret::Secret;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::rfc5849::{self, Verifier};
use super::wire::{Wire, WireListener};

/// The consumer key and secret of the one app; the secret needs encoding when signed with.
pub const CONSUMER: (&str, &str) = ("consumer-key-of-the-flock", "consumer+secret/of-the&flock=%");
/// How long a request or a post is waited for: a test that waits in vain must fail.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes of a request.
const REQUEST_MAX: usize = 1024 * 1024;

/// An account that may post.
#[derive(Debug, Clone)]
pub struct FakeAccount {
    pub id: String,
    pub handle: String,
    pub credentials: Credentials,
}

/// A post that the fake has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    pub handle: String,
    pub text: String,
    pub at: DateTime<Utc>,
}

/// A request as it came; empty where it was not read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// An answer given on command.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What the fake does with one request, instead of what X would do.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// Gives this answer, whatever was asked; stores nothing.
    Answer(Reply),
    /// Resets the connection before a byte of the request is read. Not for one account alone.
    CloseUnread,
    /// Reads the request and closes; stores nothing.
    Close,
    /// Never answers; stores nothing.
    Hang,
    /// Answers with what is no HTTP; stores nothing.
    Garbage,
    /// Does as X would, but only after [`FakeX::let_go`].
    Hold,
    /// Stores the post, and closes without an answer.
    StoreAndClose,
    /// Stores the post, and never answers.
    StoreAndHang,
    /// Stores the post, and closes in the middle of the answer.
    StoreAndBreakOff,
    /// Stores the post, and sends the answer so slowly that it never ends.
    StoreAndDrip,
}

/// The running stand-in.
pub struct FakeX {
    /// Its base URL: the `api_url` of the app.
    pub url: String,
    /// The clock that it compares timestamps with.
    pub clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    url: String,
    clock: Arc<dyn Clock>,
    verifier: Verifier,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    gate: Semaphore,
}

#[derive(Default)]
struct State {
    accounts: Vec<FakeAccount>,
    posts: Vec<Stored>,
    seen: Vec<Seen>,
    next_posts: VecDeque<Behaviour>,
    next_reads: VecDeque<Behaviour>,
    next_of: HashMap<String, VecDeque<Behaviour>>,
}

impl Reply {
    /// A body with a status and nothing else.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// One more header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A problem document, as X's newer API answers.
    pub fn problem(status: u16, kind: &str, title: &str, detail: &str) -> Self {
        let body = json!({"title": title, "type": kind, "status": status, "detail": detail});
        Self::new(status, body.to_string()).header("content-type", "application/problem+json")
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string()).header("content-type", "application/json; charset=utf-8")
    }

    fn into_response(self) -> Response {
        let mut response = (StatusCode::from_u16(self.status).unwrap(), self.body).into_response();
        response.headers_mut().remove("content-type");
        for (name, value) in self.headers {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        response
    }
}

impl FakeX {
    /// Starts one on a free port, by the machine's clock.
    pub async fn start() -> Self {
        Self::start_with(Arc::new(SystemClock)).await
    }

    /// Starts one that compares timestamps with this clock.
    pub async fn start_with(clock: Arc<dyn Clock>) -> Self {
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", tcp.local_addr().unwrap());
        let shared = Arc::new(Shared {
            url: url.clone(),
            clock: clock.clone(),
            verifier: Verifier::default(),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            gate: Semaphore::new(0),
        });
        let (door, inside) = (shared.clone(), shared.clone());
        let listener = WireListener { tcp, doorman: Arc::new(move |start| door.turns_away(start)) };
        let serve = move |ConnectInfo(wire), request| async move { inside.serve(&wire, request).await };
        let app = Router::new().fallback(serve).into_make_service_with_connect_info::<Wire>();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, clock, shared, server }
    }

    /// Lets an account post, and says how; the same one again if it is there.
    pub fn account(&self, handle: &str) -> FakeAccount {
        let mut state = self.shared.state.lock().unwrap();
        if let Some(known) = state.accounts.iter().find(|account| account.handle == handle) {
            return known.clone();
        }
        let id = (1_000_000_000 + state.accounts.len()).to_string();
        let credentials = Credentials {
            consumer_key: Secret::new(CONSUMER.0),
            consumer_secret: Secret::new(CONSUMER.1),
            access_token: Secret::new(format!("{id}-token-of-{handle}")),
            access_token_secret: Secret::new(format!("secret&of={handle}+%/~")),
        };
        let account = FakeAccount { id, handle: handle.to_owned(), credentials };
        state.accounts.push(account.clone());
        account
    }

    /// What to do with the next `POST /2/tweets` that has no command yet.
    pub fn next_post(&self, behaviour: Behaviour) {
        self.shared.state.lock().unwrap().next_posts.push_back(behaviour);
    }

    /// What to do with the next `GET`.
    pub fn next_read(&self, behaviour: Behaviour) {
        self.shared.state.lock().unwrap().next_reads.push_back(behaviour);
    }

    /// What to do with the next `POST /2/tweets` of this account; goes before [`Self::next_post`].
    pub fn next_post_of(&self, handle: &str, behaviour: Behaviour) {
        let mut state = self.shared.state.lock().unwrap();
        state.next_of.entry(handle.to_owned()).or_default().push_back(behaviour);
    }

    /// Lets one held request go on.
    pub fn let_go(&self) {
        self.shared.gate.add_permits(1);
    }

    /// What was posted, oldest first.
    pub fn posts(&self) -> Vec<Stored> {
        self.shared.state.lock().unwrap().posts.clone()
    }

    /// The texts of an account's posts, oldest first.
    pub fn texts(&self, handle: &str) -> Vec<String> {
        self.posts().into_iter().filter(|post| post.handle == handle).map(|post| post.text).collect()
    }

    /// The requests so far, refused ones too.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state.lock().unwrap().seen.clone()
    }

    /// The n-th request, counted from 1, as soon as it has come.
    pub async fn request(&self, n: usize) -> Seen {
        self.until(|state| state.seen.get(n - 1).cloned()).await
    }

    /// The n-th post, counted from 1, as soon as it is stored.
    pub async fn post(&self, n: usize) -> Stored {
        self.until(|state| state.posts.get(n - 1).cloned()).await
    }

    async fn until<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        let mut changed = self.shared.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&self.shared.state.lock().unwrap()) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("what the test waits for has not come")
    }
}

impl Drop for FakeX {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    /// Whether a request that begins like this is to be turned away unread.
    fn turns_away(&self, start: &[u8]) -> bool {
        let mut state = self.state.lock().unwrap();
        let (queue, method) = match start {
            [b'P', b'O', b'S', b'T', ..] => (&mut state.next_posts, "POST"),
            [b'G', b'E', b'T', ..] => (&mut state.next_reads, "GET"),
            _ => return false,
        };
        let away = matches!(queue.front(), Some(Behaviour::CloseUnread));
        if away {
            queue.pop_front();
            state.seen.push(Seen { method: method.to_owned(), ..Seen::default() });
            self.changed.send_replace(());
        }
        away
    }

    async fn serve(&self, wire: &Wire, request: axum::extract::Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, REQUEST_MAX).await.unwrap_or_default();
        let seen = Seen {
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let behaviour = self.note(&seen);
        let close = |bytes: &str| {
            wire.say_instead(bytes);
            StatusCode::OK.into_response()
        };
        match behaviour {
            None => self.ordinary(&seen).into_response(),
            Some(Behaviour::Answer(reply)) => reply.into_response(),
            Some(Behaviour::CloseUnread | Behaviour::Close) => close(""),
            Some(Behaviour::Hang) => std::future::pending().await,
            Some(Behaviour::Garbage) => close("\u{16}\u{3}\u{1} this is no HTTP\r\n\r\n"),
            Some(Behaviour::Hold) => {
                self.gate.acquire().await.unwrap().forget();
                self.ordinary(&seen).into_response()
            }
            Some(Behaviour::StoreAndClose) => {
                self.ordinary(&seen);
                close("")
            }
            Some(Behaviour::StoreAndHang) => {
                self.ordinary(&seen);
                std::future::pending().await
            }
            Some(Behaviour::StoreAndBreakOff) => {
                let whole = self.ordinary(&seen);
                let length = whole.body.len();
                let half = String::from_utf8_lossy(&whole.body[..length / 2]).into_owned();
                close(&format!("HTTP/1.1 {} X\r\ncontent-length: {length}\r\n\r\n{half}", whole.status))
            }
            Some(Behaviour::StoreAndDrip) => drip(self.ordinary(&seen).status),
        }
    }

    /// Writes a request down, and finds what is to be done with it.
    fn note(&self, seen: &Seen) -> Option<Behaviour> {
        let mut state = self.state.lock().unwrap();
        state.seen.push(seen.clone());
        self.changed.send_replace(());
        if seen.method != "POST" {
            return state.next_reads.pop_front();
        }
        let token = token(seen).unwrap_or_default();
        let whose = state.accounts.iter().find(|account| account.credentials.access_token.expose() == token);
        let handle = whose.map(|account| account.handle.clone()).unwrap_or_default();
        let own = state.next_of.get_mut(&handle).and_then(VecDeque::pop_front);
        own.or_else(|| state.next_posts.pop_front())
    }
}

fn token(seen: &Seen) -> Option<String> {
    let header = rfc5849::header_parameters(seen.headers.get("authorization")?.to_str().ok()?).ok()?;
    rfc5849::value(&header, "oauth_token").ok().map(str::to_owned)
}

/// An answer whose body never ends.
fn drip(status: u16) -> Response {
    let ticks = tokio::time::interval(std::time::Duration::from_millis(10));
    let bytes = futures_util::stream::unfold(ticks, |mut ticks| async move {
        ticks.tick().await;
        Some((Ok::<_, std::convert::Infallible>(" "), ticks))
    });
    (StatusCode::from_u16(status).unwrap(), axum::body::Body::from_stream(bytes)).into_response()
}
