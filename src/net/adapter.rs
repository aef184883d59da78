//! What each network contributes in code: how it makes a client, and how it treats a text.

use std::sync::Arc;
use std::time::Duration;

use super::AccountApi;
use crate::clock::Clock;
use crate::flock::account::{Account, AppKeys, Registration};
use crate::flock::{Bot, NetworkKind, PostOptions};

/// The code of a network.
pub(super) struct Adapter {
    /// Makes a bot's client; `None` where there are no accounts.
    pub(super) connect: Option<fn(ClientConfig) -> Arc<dyn AccountApi>>,
    pub(super) text: TextRules,
}

/// What a network needs to make a bot's client.
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
    /// The app's keys, or why they are not available.
    pub keys: AppKeys,
    /// Whether `flock.toml` names a client id, so that the app does not register itself.
    pub names_client: bool,
    /// What the server returned when the app registered itself, if it did.
    pub registration: Option<Registration>,
    /// The pause before each probe for a post whose outcome is unknown.
    pub probe_delays: Vec<Duration>,
    /// The handle that the tokens must belong to, if one is expected.
    pub account: Option<String>,
    /// How posts are shown.
    pub options: PostOptions,
}

/// Why a text does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Too long, as the network counts.
    #[error("{length} characters as {network} counts them, {max} is the most: shorten it")]
    TooLong {
        /// Which network.
        network: NetworkKind,
        /// Its length, as the network counts.
        length: usize,
        /// The maximum.
        max: usize,
    },
    /// Not too many characters, but too many bytes for the network.
    #[error("{bytes} bytes, {max} is the most on {network}: shorten it")]
    TooHeavy {
        /// Which network.
        network: NetworkKind,
        /// Its length in UTF-8.
        bytes: usize,
        /// The maximum.
        max: usize,
    },
    /// A character that the network rejects.
    #[error("character {position} is U+{code:04X}, which {network} refuses: remove it")]
    Character {
        /// Which network.
        network: NetworkKind,
        /// The code point.
        code: u32,
        /// The position of the character in the text, starting at 1.
        position: usize,
    },
    /// It mentions a person, which this bot must not do.
    #[error("it mentions {name} on {network}, and `mentions` is \"refuse\": take the name out")]
    Mention {
        /// Which network.
        network: NetworkKind,
        /// The mention, as it is in the text.
        name: String,
    },
    /// It contains nothing that the network would show.
    #[error("nothing in it that {network} would show: write something visible")]
    Blank {
        /// Which network.
        network: NetworkKind,
    },
}

/// Checks a text: the content warning, the account as far as it is known, and the text.
pub(super) type TextCheck = fn(Option<&str>, Option<&Account>, &str) -> Result<(), TextError>;

/// How a network treats a text.
pub(super) struct TextRules {
    /// Checks whether it can be posted with this content warning: as the network counts, and within the limits that its
    /// server has announced.
    pub(super) check: TextCheck,
    /// Its length, and the maximum.
    pub(super) length: fn(&Bot, Option<&Account>, &str) -> (usize, usize),
    /// The people whom the network would notify, each as mentioned in the text.
    pub(super) mentions: for<'t> fn(&'t str) -> Vec<&'t str>,
    /// Whether the network may find a link in it.
    pub(super) has_link: fn(&str) -> bool,
}
