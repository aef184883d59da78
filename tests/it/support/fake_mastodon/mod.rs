//! A fake on 127.0.0.1 of the servers that speak Mastodon's API, with their true shapes, in three variants
//! ([`Software`]): apps, signing in, the own account, statuses, an account's statuses, profile. It checks
//! every token itself, plays the person at the sign-in page, keeps what was posted, misbehaves on command,
//! and kills on command the process that sends it a request. Dropping it ends it.
//!
//! ```ignore
//! let fake = FakeMastodon::start(Software::Mastodon).await;
//! let token = fake.token_of("walt");             // as made by hand in the settings of the account
//! fake.next_post(Behaviour::StoreAndClose);      // for the next status of any account
//! fake.person_is("walt");                        // the person at a sign-in page is walt, and agrees
//! // … run something against fake.url …
//! assert_eq!(fake.texts("walt"), ["a line of the poem"]);
//! ```

mod accounts;
mod api;
mod apps;
mod clients;
mod keys;
mod media;
mod oauth;
mod people;
mod render;
mod server;
mod statuses;
mod timeline;

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use flockd::clock::{Clock, SystemClock};
use sha2::{Digest as _, Sha256};

use super::fake_server::{FakeNetwork, FakeServer, Traits};

pub use super::fake_server::{Behaviour, Reply, Request, Step};
pub use apps::{FakeApp, OUT_OF_BAND};
pub use clients::{brought, granted};
pub use people::{Asked, FakeAccount};

use keys::Keys;
use media::Uploads;
use oauth::OAuth;
use people::Person;
use timeline::Timelines;

/// The requests that count as posts and reads here.
const TRAITS: Traits = Traits { posts: "POST /api/v1/statuses", reads: "GET /api/" };
/// How many characters an unguessable token has.
const TOKEN_LENGTH: usize = 43;

/// Which server it imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Software {
    /// An `Idempotency-Key` is valid for an hour and its account; a repeat returns the status again, or 404
    /// if that was deleted.
    Mastodon,
    /// The key is ignored, ids are ULIDs, and PKCE is unsupported.
    GoToSocial,
    /// The key is valid for six hours and for every account, and replays the first answer, even an error.
    Pleroma,
}

impl Software {
    pub const ALL: [Self; 3] = [Self::Mastodon, Self::GoToSocial, Self::Pleroma];
}

/// A status that the fake has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    pub handle: String,
    pub text: String,
    pub spoiler_text: String,
    pub visibility: String,
    pub language: Option<String>,
    pub at: DateTime<Utc>,
    /// The idempotency key that came with it.
    pub key: Option<String>,
    /// The name of the app that it was posted with.
    pub client: Option<String>,
    pub deleted: bool,
    pub sensitive: bool,
    /// The ids of its pictures.
    pub media: Vec<String>,
    pub reply_to: Option<String>,
}

/// The running fake.
pub struct FakeMastodon {
    /// The clock for the expiry of keys, codes and limits.
    pub clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    fake_server: Arc<FakeServer>,
    software: Software,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    accounts: Vec<FakeAccount>,
    statuses: Vec<Stored>,
    /// How many statuses were given an id.
    numbered: usize,
    timelines: Timelines,
    keys: Keys,
    uploads: Uploads,
    apps: Vec<FakeApp>,
    oauth: OAuth,
    /// The person at the browser.
    person: Option<Person>,
    /// The requests to the sign-in page.
    asked: Vec<Asked>,
    disabled: HashSet<String>,
    /// How many statuses an account may post in three hours.
    post_limit: usize,
    /// The most characters of a status, and the length that a link counts.
    text_limits: (u64, u64),
    /// Whether `/api/v2/instance` is missing here.
    is_old: bool,
    /// Answers to the next posts that are not stored: a success nevertheless, or this error.
    unkept: std::collections::VecDeque<Option<Reply>>,
    /// Requests to the limits so far, by the account that made them.
    used: HashMap<String, Vec<DateTime<Utc>>>,
    minted: u64,
    secrets: Vec<String>,
    passing: Vec<String>,
}

impl State {
    fn new(software: Software) -> Self {
        Self {
            accounts: Vec::new(),
            statuses: Vec::new(),
            numbered: 0,
            timelines: Timelines::default(),
            keys: Keys::default(),
            uploads: Uploads::default(),
            apps: Vec::new(),
            oauth: OAuth::default(),
            person: None,
            asked: Vec::new(),
            disabled: HashSet::new(),
            post_limit: api::POSTS,
            text_limits: server::text_limits(software),
            is_old: false,
            unkept: std::collections::VecDeque::new(),
            used: HashMap::new(),
            minted: 0,
            secrets: Vec::new(),
            passing: Vec::new(),
        }
    }

    /// A value that neither this fake nor any other has made before.
    fn mint(&mut self, seed: &str) -> String {
        self.minted += 1;
        let digest = Sha256::digest(format!("{seed} {}", self.minted));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        hex[..TOKEN_LENGTH].to_owned()
    }
}

impl FakeNetwork for Shared {
    async fn ordinary(&self, seen: &Request) -> Reply {
        self.answer(seen)
    }

    fn named_by(&self, seen: &Request) -> Option<String> {
        let token = seen.header("authorization")?.strip_prefix("Bearer ")?;
        self.state.lock().unwrap().oauth.handle_of(token)
    }
}

/// What every fake can do. Its `url` is the app's `api_url`.
impl Deref for FakeMastodon {
    type Target = FakeServer;

    fn deref(&self) -> &FakeServer {
        &self.shared.fake_server
    }
}

impl FakeMastodon {
    /// Starts one on a free port, on the machine's clock.
    pub async fn start(software: Software) -> Self {
        Self::start_with(software, Arc::new(SystemClock)).await
    }

    /// Starts one on this clock.
    pub async fn start_with(software: Software, clock: Arc<dyn Clock>) -> Self {
        let (fake_server, tcp) = FakeServer::at_free_port(TRAITS).await;
        let state = Mutex::new(State::new(software));
        let shared =
            Arc::new(Shared { fake_server: fake_server.clone(), software, clock: clock.clone(), state });
        let server = fake_server.play(tcp, shared.clone());
        Self { clock, shared, server }
    }

    /// All posts, oldest first, including deleted ones.
    pub fn posts(&self) -> Vec<Stored> {
        self.shared.state.lock().unwrap().statuses.clone()
    }

    /// The texts of an account's statuses, oldest first, including deleted ones.
    pub fn texts(&self, handle: &str) -> Vec<String> {
        self.posts().into_iter().filter(|post| post.handle == handle).map(|post| post.text).collect()
    }

    /// The n-th status, counted from 1, as soon as it is stored.
    pub async fn post(&self, n: usize) -> Stored {
        self.until(|| self.shared.state.lock().unwrap().statuses.get(n - 1).cloned()).await
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock().unwrap());
        self.has_changed();
    }
}

impl Drop for FakeMastodon {
    fn drop(&mut self) {
        self.server.abort();
    }
}
