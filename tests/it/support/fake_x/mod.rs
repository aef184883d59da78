//! A fake X on 127.0.0.1, with X's true shapes, for several accounts of one app: signing in both ways, `GET
//! /2/users/me`, posting, deleting and reading an account's posts. It checks every signature and token
//! itself, plays the person at the sign-in page, keeps what was posted, misbehaves on command, and kills on
//! command the process that sends it a request. Dropping it ends it.
//!
//! ```ignore
//! let fake = FakeX::start().await;
//! let walt = fake.account("walt_lines");         // may post from now on, with walt.credentials
//! fake.next_post(Behaviour::StoreAndClose);      // for the next `POST /2/tweets` of any account
//! fake.next_at("/oauth/access_token", Behaviour::Hang);
//! fake.person_is("walt_lines");                  // the person at a sign-in page is walt, and agrees
//! // … run something against fake.url …
//! fake.request(2).await;                         // until the second request has come, of any kind
//! assert_eq!(fake.texts("walt_lines"), ["a line of the poem"]);
//! ```

mod link;
mod media;
mod oauth1;
mod oauth2;
mod ordinary;
mod people;
mod timeline;

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use flockd::clock::{Clock, SystemClock};
use sha2::{Digest as _, Sha256};

use super::fake_server::{FakeNetwork, FakeServer, Traits};
use super::rfc5849::Verifier;

pub use super::fake_server::{Behaviour, Reply, Request, Step};
pub use oauth2::{CLIENT_ID, CLIENT_SECRET};
pub use people::{Asked, FakeAccount};

use media::Uploads;
use oauth1::OAuth1;
use oauth2::OAuth2;
use people::Person;
use timeline::Timelines;

/// The consumer key and secret of the one app; the secret needs encoding when used for signing.
pub const CONSUMER: (&str, &str) = ("consumer-key-of-the-flock", "consumer+secret/of-the&flock=%");
/// The requests that count as X's posts and reads.
const TRAITS: Traits = Traits { posts: "POST /2/tweets", reads: "GET /2/" };
/// How many hexadecimal digits of a digest make an unguessable token.
const TOKEN_DIGITS: usize = 32;

/// A post that the fake has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub id: String,
    pub handle: String,
    pub text: String,
    pub at: DateTime<Utc>,
    pub deleted: bool,
    /// The keys of its pictures.
    pub media: Vec<String>,
    pub reply_to: Option<String>,
}

/// The running fake.
pub struct FakeX {
    /// The clock that it compares timestamps with.
    pub clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

struct Shared {
    fake_server: Arc<FakeServer>,
    clock: Arc<dyn Clock>,
    verifier: Verifier,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    accounts: Vec<FakeAccount>,
    posts: Vec<Stored>,
    /// Whether it accepts a text that the account has posted already.
    takes_duplicates: bool,
    timelines: Timelines,
    uploads: Uploads,
    /// Whether apps may not reply.
    forbids_replies: bool,
    /// The person at the browser.
    person: Option<Person>,
    /// The requests to the sign-in pages.
    asked: Vec<Asked>,
    suspended: HashSet<String>,
    /// The allowed callback URLs, unless any URL on the loopback interface is allowed.
    callbacks: Option<Vec<String>>,
    oauth1: OAuth1,
    oauth2: OAuth2,
    /// How many tokens, secrets and codes were made.
    minted: u64,
    /// Long-lived secrets; and those that a person sees for a moment.
    secrets: Vec<String>,
    passing: Vec<String>,
}

impl FakeNetwork for Shared {
    async fn ordinary(&self, seen: &Request) -> Reply {
        self.answer(seen)
    }

    fn named_by(&self, seen: &Request) -> Option<String> {
        self.state.lock().unwrap().named_by(seen)
    }
}

/// What every fake can do. Its `url` is the `api_url` and the `site_url` of the app.
impl Deref for FakeX {
    type Target = FakeServer;

    fn deref(&self) -> &FakeServer {
        &self.shared.fake_server
    }
}

impl State {
    /// A value that neither this fake nor any other has made before.
    fn mint(&mut self, seed: &str) -> String {
        self.minted += 1;
        let digest = Sha256::digest(format!("{seed} {}", self.minted));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        hex[..TOKEN_DIGITS].to_owned()
    }
}

impl FakeX {
    /// Starts one on a free port, on the machine's clock.
    pub async fn start() -> Self {
        Self::start_with(Arc::new(SystemClock)).await
    }

    /// Starts one that compares timestamps with this clock.
    pub async fn start_with(clock: Arc<dyn Clock>) -> Self {
        let (fake_server, tcp) = FakeServer::at_free_port(TRAITS).await;
        let (verifier, state) = (Verifier::default(), Mutex::default());
        let shared =
            Arc::new(Shared { fake_server: fake_server.clone(), clock: clock.clone(), verifier, state });
        let server = fake_server.play(tcp, shared.clone());
        Self { clock, shared, server }
    }

    /// All posts, oldest first.
    pub fn posts(&self) -> Vec<Stored> {
        self.shared.state.lock().unwrap().posts.clone()
    }

    /// The texts of an account's posts, oldest first, including deleted ones.
    pub fn texts(&self, handle: &str) -> Vec<String> {
        self.posts().into_iter().filter(|post| post.handle == handle).map(|post| post.text).collect()
    }

    /// The n-th post, counted from 1, as soon as it is stored.
    pub async fn post(&self, n: usize) -> Stored {
        self.until(|| self.shared.state.lock().unwrap().posts.get(n - 1).cloned()).await
    }
}

impl Drop for FakeX {
    fn drop(&mut self) {
        self.server.abort();
    }
}
