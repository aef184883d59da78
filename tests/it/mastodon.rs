//! The client for Mastodon and compatible servers, against a fake.

mod account;
mod answers;
mod app;
mod posting;
mod timeline;

use std::sync::Arc;

use flockd::clock::Clock as _;
use flockd::flock::NetworkKind;
use flockd::flock::post::Post;
use flockd::net::mastodon::Mastodon;
use flockd::net::{Attached, Network as _, Sent, Session};

use crate::support::fake_mastodon::{Behaviour, FakeMastodon, Reply, Software};
use crate::support::{StillClock, post};

/// The instant that the clock shows.
const NOON: &str = "2026-11-20T12:00:00Z";

/// A fake at noon, with walt's client and session.
struct MastodonFixture {
    fake: FakeMastodon,
    clock: Arc<StillClock>,
    client: Mastodon,
    walt: Session,
}

impl MastodonFixture {
    async fn of(software: Software) -> Self {
        let clock = Arc::new(StillClock::at(NOON));
        assert_eq!(clock.now(), NOON.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
        let fake = FakeMastodon::start_with(software, clock.clone()).await;
        let client = fake.client();
        let walt = fake.walt(&client).await;
        Self { fake, clock, client, walt }
    }

    async fn send(&self, post: &Post) -> Sent {
        self.client.send(post, &Attached::default(), &self.walt).await
    }

    /// Sends one post to a server that answers this.
    async fn answered(&self, reply: Reply) -> Sent {
        self.fake.next_post(Behaviour::Answer(reply));
        self.send(&status(1, "a")).await
    }
}

/// A post to send, with this text; `number` tells posts apart.
fn status(number: u8, text: &str) -> Post {
    post(NetworkKind::Mastodon, number, text)
}
