//! The networks and their code: for each the client that it makes, and its ways with a text. A new network has a line here,
//! and its facts in [`crate::flock::network`].

use std::sync::Arc;
use std::time::Duration;

use super::diagnosis::Explanation;
use super::text::TextRules;
use super::{AccountApi, bluesky, feed, mastodon, x};
use crate::clock::Clock;
use crate::flock::account::{AppKeys, Registration};
use crate::flock::{NetworkKind, PostOptions};

/// What the answers of all networks may mean, for the manual.
pub fn explanations() -> impl Iterator<Item = Explanation> {
    let networks = [x::diagnosis::ALL, mastodon::diagnosis::ALL, bluesky::diagnosis::ALL];
    networks.into_iter().flatten().map(|diagnosis| diagnosis.explained())
}

/// A network's code.
pub(super) struct Adapter {
    /// Makes a bot's client; `None` where there are no accounts.
    pub(super) connect: Option<fn(ClientConfig) -> Arc<dyn AccountApi>>,
    pub(super) text: TextRules,
}

/// What a bot's client is made of.
pub struct ClientConfig {
    /// The HTTP client that all bots share.
    pub http: reqwest::Client,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The base URL of the API.
    pub api_url: String,
    /// The base URL of the pages that people see.
    pub site_url: String,
    /// The base URL of the directory of accounts.
    pub directory_url: String,
    /// The app's keys, or why they are not at hand.
    pub keys: AppKeys,
    /// Whether `flock.toml` names a client id, so that the app does not register itself.
    pub names_client: bool,
    /// What the server made of the app when it registered itself, if it did.
    pub registration: Option<Registration>,
    /// The pauses before each look for a post whose outcome is unknown.
    pub probe_delays: Vec<Duration>,
    /// The handle that tokens must belong to, where one is expected.
    pub account: Option<String>,
    /// How posts are shown.
    pub options: PostOptions,
}

pub(super) const fn adapter(network: NetworkKind) -> &'static Adapter {
    match network {
        NetworkKind::X => &x::ADAPTER,
        NetworkKind::Mastodon => &mastodon::ADAPTER,
        NetworkKind::Bluesky => &bluesky::ADAPTER,
        NetworkKind::Feed | NetworkKind::Paper => &feed::ADAPTER,
    }
}

/// A bot's client on a network; `None` if the network has no accounts.
pub fn connect(network: NetworkKind, config: ClientConfig) -> Option<Arc<dyn AccountApi>> {
    Some((adapter(network).connect?)(config))
}
