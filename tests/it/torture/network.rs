//! The networks on which a flock is tortured, each behind its stand-in.

use std::ops::Deref;

use serde_json::json;

use super::evidence::Stored;
use super::flock::{Looks, POETS};
use crate::support::fake_mastodon::{FakeMastodon, Kin};
use crate::support::fake_x::{CONSUMER, FakeX, Reply};
use crate::support::program::Folder;
use crate::support::signing::{enroll_with_tokens, feed};
use crate::support::stand_in::StandIn;

/// Which one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    X,
    Mastodon(Kin),
}

/// One of them, running.
pub(super) enum Network {
    X(FakeX),
    Mastodon(FakeMastodon),
}

impl Network {
    /// One whose reads lag behind its writes: the first look never shows what is new.
    pub(super) async fn start(which: Which, looks: Looks) -> Self {
        match which {
            Which::X => {
                let fake = FakeX::start().await;
                // So that a text that comes twice is there twice, and not refused by the stand-in's grace.
                fake.take_duplicates();
                fake.hide_new_posts(1);
                if looks == Looks::Refused {
                    let kind = "https://api.twitter.com/2/problems/client-forbidden";
                    let refusal = Reply::problem(403, kind, "Client Forbidden", "not in this package");
                    fake.refuse_looks(Some(refusal));
                }
                Self::X(fake)
            }
            Which::Mastodon(kin) => {
                let fake = FakeMastodon::start(kin).await;
                fake.allow_posts(usize::MAX);
                fake.hide_new_posts(1);
                if looks == Looks::Refused {
                    fake.refuse_looks(Some(Reply::json(403, &json!({"error": "outside the scopes"}))));
                }
                Self::Mastodon(fake)
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
            }
        }
    }

    /// How the request begins with which a bot looks at its account. The path goes on with the account's number.
    pub(super) fn look(&self) -> &'static str {
        match self {
            Self::X(_) => "GET /2/users/1",
            Self::Mastodon(_) => "GET /api/v1/accounts/1",
        }
    }

    /// A daemon that has made so many requests without meeting the kill that is meant for it is killed all the same.
    pub(super) const fn patience(&self) -> usize {
        match self {
            Self::X(_) => 9,
            // A look may ask how twenty statuses were written, and there are three bots.
            Self::Mastodon(_) => 90,
        }
    }

    /// How many looks there were.
    pub(super) fn looks(&self) -> usize {
        let is_look = |method: &str, path: &str| format!("{method} {path}").starts_with(self.look());
        self.requests().iter().filter(|seen| is_look(&seen.method, &seen.path)).count()
    }

    /// What it has, deleted or not, oldest first.
    pub(super) fn posts(&self) -> Vec<Stored> {
        match self {
            Self::X(fake) => {
                let stored = fake.posts().into_iter();
                stored.map(|post| Stored { id: post.id, handle: post.handle, text: post.text }).collect()
            }
            Self::Mastodon(fake) => {
                let stored = fake.posts().into_iter();
                stored.map(|post| Stored { id: post.id, handle: post.handle, text: post.text }).collect()
            }
        }
    }
}

impl Deref for Network {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        match self {
            Self::X(fake) => fake,
            Self::Mastodon(fake) => fake,
        }
    }
}
