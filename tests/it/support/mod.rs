//! What tests share: a clock that stands still and a house in which an engine lives, the real program in a
//! folder of its own, a server that stands in for X, and things to post.

pub mod clock;
mod desk;
mod ear;
pub mod fake_x;
pub mod fixture;
pub mod flock;
pub mod network;
pub mod program;
pub mod rfc5849;
pub mod wire;

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::Clock;
use flockd::flock::NetworkKind;
use flockd::flock::post::{Post, PostId, State};
use flockd::net::http;
use flockd::net::x::X;

use fake_x::{FakeAccount, FakeX};

/// A clock that stands still until it is set.
pub struct StillClock(Mutex<DateTime<Utc>>);

impl StillClock {
    /// A clock that shows this RFC 3339 time.
    pub fn at(time: &str) -> Self {
        Self(Mutex::new(time.parse().unwrap()))
    }

    /// Moves it, also back.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    /// Time passes at once.
    async fn sleep(&self, duration: std::time::Duration) {
        self.advance(TimeDelta::from_std(duration).unwrap());
    }
}

/// A post on its way, with this text; `number` tells posts apart.
pub fn post(network: NetworkKind, number: u8, text: &str) -> Post {
    let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
    Post {
        id: PostId::new(now, [number; 10]),
        bot: "walt".parse().unwrap(),
        network,
        state: State::Sending,
        slot: None,
        due_at: now,
        line: None,
        text: Some(text.to_owned()),
        attempts: 1,
        errors: 0,
        doubted: false,
        remote_id: None,
        url: None,
        cause: None,
        reason: None,
        planned_at: now,
        sent_at: Some(now),
        retry_at: None,
        settled_at: None,
    }
}

/// A client for an account of the fake, which expects no particular handle.
pub fn x_for(fake: &FakeX, account: &FakeAccount) -> X {
    let http = http::client(&http::Limits::default()).unwrap();
    X::new(http, fake.clock.clone(), &fake.url, account.credentials.clone(), None)
}
