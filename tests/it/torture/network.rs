//! The networks: fakes, and a real PDS behind a proxy.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde_json::json;

use super::evidence::Stored;
use super::flock::{Looks, POETS, Weather};
use crate::support::fake_mastodon::{FakeMastodon, Software};
use crate::support::fake_server::FakeServer;
use crate::support::fake_x::{CONSUMER, FakeX, Reply};
use crate::support::pds::{self, Pds, PdsAccount, PdsProxy};
use crate::support::program::Folder;
use crate::support::signing::{enroll_with_tokens, feed};

/// A session on the PDS lasts for this many lives.
const SESSION: usize = 4;

/// Which network.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    X,
    Mastodon(Software),
    Bluesky,
}

/// One of them, running.
pub(super) enum Network {
    X(FakeX),
    Mastodon(FakeMastodon),
    /// With the accounts of the bots.
    Bluesky(PdsProxy, BTreeMap<&'static str, PdsAccount>),
}

impl Network {
    /// If it is a fake, its reads lag behind its writes: the first probe never shows new posts.
    pub(super) async fn start(which: Which, looks: Looks) -> Self {
        match which {
            Which::X => {
                let fake = FakeX::start().await;
                // So that a repeated text is stored twice, and not refused by the fake.
                fake.take_duplicates();
                fake.hide_new_posts(1);
                if looks == Looks::Refused {
                    let kind = "https://api.twitter.com/2/problems/client-forbidden";
                    let refusal = Reply::problem(403, kind, "Client Forbidden", "not in this package");
                    fake.refuse_looks(Some(refusal));
                }
                Self::X(fake)
            }
            Which::Mastodon(software) => {
                let fake = FakeMastodon::start(software).await;
                fake.allow_posts(usize::MAX);
                fake.hide_new_posts(1);
                if looks == Looks::Refused {
                    fake.refuse_looks(Some(Reply::json(403, &json!({"error": "outside the scopes"}))));
                }
                Self::Mastodon(fake)
            }
            Which::Bluesky => {
                let (pds, mut poets) = (Pds::shared(), BTreeMap::new());
                for poet in POETS {
                    poets.insert(poet, pds.account(poet).await);
                }
                Self::Bluesky(PdsProxy::before(pds).await, poets)
            }
        }
    }

    /// The app in `flock.toml`.
    pub(super) fn app(&self) -> String {
        let (url, looks) = (&self.url, "pace = \"0s\"\nlooks = [\"100ms\", \"200ms\"]\n");
        match self {
            Self::X(_) => format!(
                "[apps.it]\nnetwork = \"x\"\napi_url = \"{url}\"\nsite_url = \"{url}\"\n{looks}\
                 consumer_key = {{ file = \"consumer-key\" }}\nconsumer_secret = {{ file = \"consumer-secret\" }}\n"
            ),
            Self::Mastodon(_) => format!("[apps.it]\nnetwork = \"mastodon\"\napi_url = \"{url}\"\n{looks}"),
            Self::Bluesky(..) => format!(
                "[apps.it]\nnetwork = \"bluesky\"\napi_url = \"{url}\"\ndirectory_url = \"{url}\"\n{looks}"
            ),
        }
    }

    /// The account of a bot in `flock.toml`.
    pub(super) fn account(&self, poet: &str) -> String {
        match self {
            Self::X(_) | Self::Mastodon(_) => format!("{poet}_lines"),
            Self::Bluesky(_, poets) => poets[poet].handle.clone(),
        }
    }

    /// Signs in all bots that have an account.
    pub(super) fn enroll(&self, folder: &Folder) {
        folder.write("consumer-key", CONSUMER.0.as_bytes());
        folder.write("consumer-secret", CONSUMER.1.as_bytes());
        for poet in POETS {
            match self {
                Self::X(fake) => drop(enroll_with_tokens(fake, folder, poet)),
                Self::Mastodon(fake) => {
                    let token = fake.token_of(&format!("{poet}_lines"));
                    let said = feed(folder.command(&["enroll", poet, "--tokens", "-"]), token.expose());
                    assert_eq!(said.code, 0, "{said:?}");
                }
                Self::Bluesky(_, poets) => drop(pds::enroll(folder, poet, &poets[poet])),
            }
        }
    }

    /// What happens to the accounts before a life of the daemon: now and then all sessions expire. A killed
    /// daemon's leases end at once, and not after a minute, so that no life is spent waiting.
    pub(super) async fn befalls(&self, life: usize, folder: &Folder, weather: Weather) {
        let Self::Bluesky(_, poets) = self else { return };
        folder.tamper("update credential set claimed_until = null").await;
        // Under foreign answers an expired session goes unnoticed: nothing is stored, and the backoff only
        // grows.
        if weather == Weather::Fair && life.is_multiple_of(SESSION) {
            for poet in poets.values() {
                Pds::shared().expire(poet).await;
            }
        }
    }

    /// How a bot's probe request begins. The path continues with the account's number.
    pub(super) fn look(&self) -> &'static str {
        match self {
            Self::X(_) => "GET /2/users/1",
            Self::Mastodon(_) => "GET /api/v1/accounts/1",
            Self::Bluesky(..) => "GET /xrpc/com.atproto.repo.getRecord",
        }
    }

    /// The number of requests after which a daemon is killed even if its planned kill has not happened.
    pub(super) const fn patience(&self) -> usize {
        match self {
            Self::X(_) => 9,
            // A probe may request the sources of twenty statuses, and there are three bots.
            Self::Mastodon(_) => 90,
            // Three sessions may have to be renewed first.
            Self::Bluesky(..) => 12,
        }
    }

    /// The number of probes.
    pub(super) fn looks(&self) -> usize {
        let is_look = |method: &str, path: &str| format!("{method} {path}").starts_with(self.look());
        self.requests().iter().filter(|seen| is_look(&seen.method, &seen.path)).count()
    }

    /// Waits until this many posts were sent to it, however long that takes while they keep coming.
    pub(super) async fn posts_come_to(&self, number: usize) {
        for so_far in 1..=number {
            self.until(|| (self.sent() >= so_far).then_some(())).await;
        }
    }

    /// How many posts were sent to it.
    fn sent(&self) -> usize {
        let path = match self {
            Self::X(_) => "/2/tweets",
            Self::Mastodon(_) => "/api/v1/statuses",
            Self::Bluesky(..) => "/xrpc/com.atproto.repo.putRecord",
        };
        self.requests().iter().filter(|seen| seen.method == "POST" && seen.path == path).count()
    }

    /// Its posts, deleted or not, oldest first.
    pub(super) async fn posts(&self) -> Vec<Stored> {
        match self {
            Self::X(fake) => {
                let stored = fake.posts().into_iter();
                stored.map(|post| Stored { id: post.id, handle: post.handle, text: post.text }).collect()
            }
            Self::Mastodon(fake) => {
                let stored = fake.posts().into_iter();
                stored.map(|post| Stored { id: post.id, handle: post.handle, text: post.text }).collect()
            }
            Self::Bluesky(_, poets) => {
                let mut stored = Vec::new();
                for (poet, account) in poets {
                    let posts = Pds::shared().posts(account).await.into_iter();
                    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
                    stored.extend(posts.map(|post| Stored {
                        id: text(&post["uri"]),
                        handle: format!("{poet}_lines"),
                        text: text(&post["value"]["text"]),
                    }));
                }
                stored
            }
        }
    }
}

impl Deref for Network {
    type Target = FakeServer;

    fn deref(&self) -> &FakeServer {
        match self {
            Self::X(fake) => fake,
            Self::Mastodon(fake) => fake,
            Self::Bluesky(proxy, _) => proxy,
        }
    }
}
