//! A Bluesky client that is signed in to an account of the PDS, through its own proxy.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use flockd::clock::{Clock, SystemClock};
use flockd::flock::account::{Account, Tokens};
use flockd::flock::post::{Post, PostId};
use flockd::flock::secret::Secret;
use flockd::flock::{NetworkKind, PostOptions};
use flockd::net::bluesky::{Bluesky, BlueskyApp};
use flockd::net::http::{self, Timeouts};
use flockd::net::{Attached, Network as _, Outcome, Rejection, Sent, Session};

use super::{PdsAccount, PdsProxy};

/// A client and the session that it gets with each call.
pub struct BlueskyFixture {
    pub bluesky: Bluesky,
    pub session: Session,
    clock: Arc<dyn Clock>,
}

impl PdsProxy {
    /// A client that uses this proxy.
    pub fn client(&self, clock: Arc<dyn Clock>, manner: PostOptions, account: Option<&str>) -> Bluesky {
        let limits = Timeouts { total: super::super::HASTY.total, ..Timeouts::default() };
        let looks = vec![Duration::ZERO];
        let (api_url, directory_url) = (self.url.clone(), self.url.clone());
        let app = BlueskyApp {
            api_url,
            directory_url,
            site_url: "https://bsky.app".to_owned(),
            probe_delays: looks,
        };
        Bluesky::new(http::client(&limits).unwrap(), clock, app, account.map(str::to_owned), manner)
    }

    /// A client that is signed in with the app password, and knows its account.
    pub async fn signed_in(&self, poet: &PdsAccount) -> BlueskyFixture {
        self.signed_in_at(poet, Arc::new(SystemClock)).await
    }

    /// The same on another clock.
    pub async fn signed_in_at(&self, poet: &PdsAccount, clock: Arc<dyn Clock>) -> BlueskyFixture {
        let bluesky = self.client(clock.clone(), PostOptions::default(), None);
        let tokens = bluesky.log_in(&poet.handle, &Secret::new(&*poet.app_password)).await.unwrap();
        let mut session = Session { tokens: Some(tokens), account: None };
        session.account = bluesky.prepare(&session).await.unwrap();
        BlueskyFixture { bluesky, session, clock }
    }
}

impl BlueskyFixture {
    pub fn tokens(&self) -> &Tokens {
        self.session.tokens.as_ref().unwrap()
    }

    pub fn account(&self) -> &Account {
        self.session.account.as_ref().unwrap()
    }

    /// A planned post with this text; `number` tells posts of one instant apart.
    pub async fn plan(&self, number: u8, text: &str) -> Result<Post, Rejection> {
        self.plan_at(number, text, self.clock.now()).await
    }

    /// The same at another time.
    pub async fn plan_at(&self, number: u8, text: &str, at: DateTime<Utc>) -> Result<Post, Rejection> {
        let mut post = super::super::post(NetworkKind::Bluesky, number, text);
        post.id = PostId::new(at, [number; 10]);
        post.record = self.bluesky.compose(post.id, text, at, &Attached::default(), &self.session).await?;
        Ok(post)
    }

    /// Plans and posts a text.
    pub async fn post(&self, number: u8, text: &str) -> (Post, Outcome) {
        let post = self.plan(number, text).await.unwrap();
        let outcome = self.send(&post).await.outcome;
        (post, outcome)
    }

    pub async fn send(&self, post: &Post) -> Sent {
        self.bluesky.send(post, &Attached::default(), &self.session).await
    }

    /// Renews its session, as the engine does.
    pub async fn renew(&mut self) -> Result<(), Rejection> {
        self.session.tokens = Some(self.bluesky.renew(self.tokens()).await?);
        Ok(())
    }
}
