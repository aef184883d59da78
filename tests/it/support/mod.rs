//! What tests share: manual clocks, a running engine or alert monitor with what they need, the real program
//! in a folder or a terminal, fake servers, real third-party servers, browsers, and posts.

pub mod alert_fixture;
mod answers;
pub mod bounded;
pub mod browser;
pub mod chromium;
pub mod clock;
pub mod content;
pub mod fake_mastodon;
pub mod fake_server;
pub mod fake_x;
pub mod fixture;
mod fixture_ledger;
pub mod flock;
pub mod foreign_answers;
pub mod hook;
pub mod machine;
mod multipart;
pub mod network;
pub mod oidc;
pub mod pds;
pub mod program;
pub mod rfc5849;
pub mod service_manager;
pub mod signing;
pub mod terminal;
pub mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::Clock;
use flockd::flock::NetworkKind;
use flockd::flock::account::{Account, AppKeys, Consumer, Tokens};
use flockd::flock::post::{Post, PostId, State};
use flockd::flock::secret::Secret;
use flockd::net::http::Timeouts;
use flockd::net::x::{X, XApp};
use flockd::net::{Attached, Network as _, Outcome, Rejection, Session, http};

pub use bounded::{get, http, patiently, plain_http};
use fake_x::{FakeAccount, FakeX};
pub use program::PATIENCE;

/// For a client whose timeout has to elapse: short, yet long enough for a busy machine to do its part.
pub const HASTY: Timeouts = Timeouts {
    connect: Duration::from_secs(4),
    total: Duration::from_secs(8),
    idle: Duration::from_secs(20),
};

/// A clock that stands still until it is set.
pub struct StillClock(Mutex<DateTime<Utc>>);

impl StillClock {
    /// A clock that shows this RFC 3339 time.
    pub fn at(time: &str) -> Self {
        Self(Mutex::new(time.parse().unwrap()))
    }

    /// Moves it, also backwards.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn uptime(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    /// Returns at once, as if the time had passed.
    async fn sleep(&self, duration: std::time::Duration) {
        self.advance(TimeDelta::from_std(duration).unwrap());
    }
}

/// A post to send, with this text; `number` tells posts apart.
pub fn post(network: NetworkKind, number: u8, text: &str) -> Post {
    let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    Post {
        id: PostId::new(now, [number; 10]),
        bot: "walt".parse().unwrap(),
        network,
        state: State::Sending,
        slot: None,
        due_at: now,
        head: None,
        part: 0,
        entry: None,
        text: Some(text.to_owned()),
        content: None,
        record: None,
        attempts: 1,
        errors: 0,
        doubted: false,
        looks: 0,
        remote_id: None,
        url: None,
        cause: None,
        reason: None,
        planned_at: now,
        sent_at: Some(now),
        retry_at: None,
        settled_at: None,
        moved_at: now,
    }
}

/// The keys of the fake's app, and the tokens of one of its accounts.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub consumer_key: Secret,
    pub consumer_secret: Secret,
    pub access_token: Secret,
    pub access_token_secret: Secret,
}

impl Credentials {
    /// The tokens alone.
    pub fn tokens(&self) -> Tokens {
        let (access_token, access_token_secret) = (&self.access_token, &self.access_token_secret);
        Tokens::OAuth1 {
            access_token: access_token.clone(),
            access_token_secret: access_token_secret.clone(),
        }
    }
}

/// A client on X with the tokens of one account.
pub struct Signed {
    pub x: X,
    pub tokens: Tokens,
}

impl Signed {
    /// For an app at this address; `account` is the expected handle.
    pub fn new(
        http: reqwest::Client,
        clock: Arc<dyn Clock>,
        url: &str,
        credentials: Credentials,
        account: Option<String>,
    ) -> Self {
        let tokens = credentials.tokens();
        let consumer = Consumer { key: credentials.consumer_key, secret: credentials.consumer_secret };
        let keys = AppKeys { consumer: Ok(consumer), client: Err("no client".to_owned()) };
        let looks = vec![std::time::Duration::ZERO; 3];
        let app = XApp { api_url: url.to_owned(), site_url: url.to_owned(), keys, probe_delays: looks };
        Self { x: X::new(http, clock, app, account), tokens }
    }

    /// The session that it passes with each call.
    pub fn session(&self, account: Option<&Account>) -> Session {
        Session { tokens: Some(self.tokens.clone()), account: account.cloned() }
    }

    pub async fn prepare(&self, known: Option<&Account>) -> Result<Option<Account>, Rejection> {
        self.x.prepare(&self.session(known)).await
    }

    pub async fn send(&self, post: &Post, account: Option<&Account>) -> Outcome {
        self.x.send(post, &Attached::default(), &self.session(account)).await.outcome
    }
}

/// A client for an account of the fake, which expects no particular handle.
pub fn x_for(fake: &FakeX, account: &FakeAccount) -> Signed {
    let http = http::client(&http::Timeouts::default()).unwrap();
    Signed::new(http, fake.clock.clone(), &fake.url, account.credentials.clone(), None)
}

/// The code at the end of a reason, for `flockd explain`; empty if there is none.
pub fn code_of(reason: &str) -> &str {
    let code = reason.rsplit_once(" [").and_then(|(_, rest)| rest.split_once(']'));
    code.map_or("", |(code, _)| code)
}

/// The status and the JSON of an answer.
pub async fn answer(response: reqwest::Response) -> (u16, serde_json::Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}
