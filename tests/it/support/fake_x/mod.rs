//! A stand-in for X on 127.0.0.1, with X's true shapes, for several accounts of one app: signing in both ways,
//! `GET /2/users/me`, posting, deleting and looking at an account's posts. It checks every signature and token by
//! itself, plays the person at the sign-in page, keeps what was posted, misbehaves on command, and kills on command
//! whoever asks it something. Dropping it ends it.
//!
//! ```ignore
//! let fake = FakeX::start().await;
//! let walt = fake.account("walt_lines");         // may post from now on, with walt.credentials
//! fake.next_post(Behaviour::StoreAndClose);      // for the next `POST /2/tweets` of whomever
//! fake.next_at("/oauth/access_token", Behaviour::Hang);
//! fake.person_is("walt_lines");                  // whoever opens a sign-in page is walt, and agrees
//! // … run something against fake.url …
//! fake.request(2).await;                         // until the second request has come, of any kind
//! assert_eq!(fake.texts("walt_lines"), ["a line of the poem"]);
//! ```

mod behaviour;
mod kill;
mod link;
mod oauth1;
mod oauth2;
mod ordinary;
mod people;
mod timeline;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use flockd::clock::{Clock, SystemClock};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};

use super::rfc5849::Verifier;
use super::wire::{Wire, WireListener};

pub use behaviour::{Behaviour, Reply};
pub use kill::Step;
pub use oauth2::{CLIENT_ID, CLIENT_SECRET};
pub use people::{Asked, FakeAccount};

use behaviour::Commands;
use kill::Kills;
use oauth1::OAuth1;
use oauth2::OAuth2;
use people::Person;
use timeline::Timelines;

/// The consumer key and secret of the one app; the secret needs encoding when signed with.
pub const CONSUMER: (&str, &str) = ("consumer-key-of-the-flock", "consumer+secret/of-the&flock=%");
/// How long a request or a post is waited for: a test that waits in vain must fail.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many hexadecimal digits of a digest make a token that nobody guesses.
const TOKEN_DIGITS: usize = 32;

/// A post that the fake has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    pub handle: String,
    pub text: String,
    pub at: DateTime<Utc>,
    pub deleted: bool,
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

/// The running stand-in.
pub struct FakeX {
    /// Its base URL: the `api_url` and the `site_url` of the app.
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
    /// Whether it takes a text that the account has posted already.
    takes_duplicates: bool,
    timelines: Timelines,
    seen: Vec<Seen>,
    commands: Commands,
    kills: Kills,
    /// Who sits at the browser.
    person: Option<Person>,
    /// What the sign-in pages were asked.
    asked: Vec<Asked>,
    suspended: HashSet<String>,
    /// URLs that the app may send people back to, if not just any of the loopback interface.
    callbacks: Option<Vec<String>>,
    oauth1: OAuth1,
    oauth2: OAuth2,
    /// How many tokens, secrets and codes were made.
    minted: u64,
    /// Secrets that last; and those that a person sees for a moment.
    secrets: Vec<String>,
    passing: Vec<String>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The path without its query, and the query.
    fn parts(&self) -> (&str, &str) {
        self.path.split_once('?').unwrap_or((&self.path, ""))
    }

    /// The body, if it is a form.
    fn form(&self) -> Option<&str> {
        let kind = self.header("content-type")?;
        kind.starts_with("application/x-www-form-urlencoded").then_some(&*self.body)
    }
}

impl State {
    /// Something that was never made before, by this or by any other fake.
    fn mint(&mut self, seed: &str) -> String {
        self.minted += 1;
        let digest = Sha256::digest(format!("{seed} {}", self.minted));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        hex[..TOKEN_DIGITS].to_owned()
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

    /// What was posted, oldest first.
    pub fn posts(&self) -> Vec<Stored> {
        self.shared.state.lock().unwrap().posts.clone()
    }

    /// The texts of an account's posts, oldest first, deleted ones too.
    pub fn texts(&self, handle: &str) -> Vec<String> {
        self.posts().into_iter().filter(|post| post.handle == handle).map(|post| post.text).collect()
    }

    /// The requests so far, refused ones too.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.state.lock().unwrap().seen.clone()
    }

    /// How many requests there were so far.
    pub fn count(&self) -> usize {
        self.shared.state.lock().unwrap().seen.len()
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
