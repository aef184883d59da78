//! What each network contributes in code: the client that it makes, and its ways with a text.

use std::sync::Arc;
use std::time::Duration;

use super::AccountApi;
use crate::clock::Clock;
use crate::flock::account::{Account, AppKeys, Registration};
use crate::flock::{Bot, NetworkKind, PostOptions};

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

/// Why a text does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Too long by the network's own way of counting.
    #[error("{length} characters as {network} counts them, {max} is the most: shorten it")]
    TooLong {
        /// Which network.
        network: NetworkKind,
        /// Its length there.
        length: usize,
        /// The most it may have.
        max: usize,
    },
    /// More bytes than the network takes, though not too many characters.
    #[error("{bytes} bytes, {max} is the most on {network}: shorten it")]
    TooHeavy {
        /// Which network.
        network: NetworkKind,
        /// Its length in UTF-8.
        bytes: usize,
        /// The most it may have.
        max: usize,
    },
    /// A character that the network refuses.
    #[error("character {position} is U+{code:04X}, which {network} refuses: remove it")]
    Character {
        /// Which network.
        network: NetworkKind,
        /// The code point.
        code: u32,
        /// Which character of the text it is, from 1.
        position: usize,
    },
    /// It mentions a person, and the bot is not to.
    #[error("it mentions {name} on {network}, and `mentions` is \"refuse\": take the name out")]
    Mention {
        /// Which network.
        network: NetworkKind,
        /// Who, as it stands in the text.
        name: String,
    },
    /// Nothing in it that the network would show.
    #[error("nothing in it that {network} would show: write something visible")]
    Blank {
        /// Which network.
        network: NetworkKind,
    },
}

/// A network's own ways with a text.
pub(super) struct TextRules {
    /// Whether a bot can post it, counted as its network counts, by the limits that its server has told.
    pub(super) check: fn(&Bot, Option<&Account>, &str) -> Result<(), TextError>,
    /// How long it is, and how long it may be.
    pub(super) length: fn(&Bot, Option<&Account>, &str) -> (usize, usize),
    /// Whom the network would tell of it, each as it stands there.
    pub(super) mentions: for<'t> fn(&'t str) -> Vec<&'t str>,
    /// Whether the network may find a link in it.
    pub(super) has_link: fn(&str) -> bool,
}
