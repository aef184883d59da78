//! The domain: what a flock is, and the rules that hold whatever network, database or clock is used.
//!
//! Nothing here does I/O, waits, reads the time or draws its own random numbers; all that is handed in.
//! What a poem is stands in [`poem`], which line comes next in [`pick`], when in [`schedule`], what may
//! happen to a post in [`post`], what others hear of it in [`event`], who a bot is on its network in [`account`],
//! what may be spent in [`budget`], what a person is told in [`message`], in what one flock differs from another in [`changes`].

pub mod account;
pub mod budget;
pub mod changes;
pub mod event;
pub mod hint;
pub mod log;
pub mod message;
pub mod network;
pub mod pick;
pub mod poem;
pub mod post;
#[cfg(test)]
pub(crate) mod samples;
pub mod schedule;
pub mod secret;
pub mod text;
pub mod web;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use account::{App, Profile, TokenSources};
use log::Log;
use poem::Split;
use schedule::{Schedule, Zone};
use secret::SecretSource;
use web::Web;

/// All the bots of one configuration, with what they share.
#[derive(Debug, Clone)]
pub struct Flock {
    /// Where the ledger is: `sqlite:PATH`, with an absolute or already resolved path.
    pub database: String,
    /// The zone of the flock: that of `[flock]` or else of `[defaults]`, and UTC if neither names one. Times are shown in it.
    pub timezone: Zone,
    /// Where the key of the vault is.
    pub vault_key: KeySource,
    /// How the daemon's own web server is reached.
    pub web: Web,
    /// Who is told when a bot needs a person.
    pub alerts: Alerts,
    /// What is logged.
    pub log: Log,
    /// The bots, in the order of the file.
    pub bots: Vec<Arc<Bot>>,
}

impl Flock {
    /// The bot of that name.
    pub fn bot(&self, name: &str) -> Option<&Arc<Bot>> {
        self.bots.iter().find(|bot| bot.name.as_str() == name)
    }
}

/// Where the key is with which tokens are sealed in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file of flockd's own, which makes it when it is first needed.
    File(PathBuf),
    /// Given from outside.
    Elsewhere(SecretSource),
}

/// Who is told when a bot needs a person, and who is called as long as none does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// A program with its arguments, which is handed each alert; empty if there is none.
    pub command: Vec<String>,
    /// A URL to which each alert is posted.
    pub url: Option<SecretSource>,
    /// A URL that is called only while every bot is on time.
    pub heartbeat: Option<SecretSource>,
    /// How often it is called.
    pub heartbeat_every: Duration,
}

impl Default for Alerts {
    /// Nobody is told.
    fn default() -> Self {
        let heartbeat_every = Duration::from_secs(5 * 60);
        Self { command: Vec::new(), url: None, heartbeat: None, heartbeat_every }
    }
}

/// One bot: a name, an account on one network, a poem and a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Its name, unique in the flock.
    pub name: BotName,
    /// The network it posts to.
    pub network: NetworkKind,
    /// The registration under which it signs in, where the network has such a thing.
    pub app: Option<Arc<App>>,
    /// The handle it is expected to be signed in as, without `@`.
    pub account: Option<String>,
    /// Its poem file.
    pub poem: PathBuf,
    /// How the poem is cut into lines.
    pub split: Split,
    /// When it posts.
    pub schedule: Schedule,
    /// The delay of each slot is drawn from zero up to this.
    pub jitter: Duration,
    /// In what order lines are taken.
    pub order: Order,
    /// What happens when the poem is exhausted.
    pub at_end: AtEnd,
    /// What happens to slots that were missed.
    pub on_miss: OnMiss,
    /// What becomes of a post whose outcome is unknown where its network may not be asked.
    pub on_unknown: OnUnknown,
    /// How long after its time, delay included, a slot may still be used.
    pub max_late: Duration,
    /// The most posts in any sixty minutes, whatever the schedule says.
    pub max_per_hour: u32,
    /// The name it had before: its history goes with it.
    pub was: Option<BotName>,
    /// The account's tokens, when `flock.toml` has them; they win over those that `enroll` kept.
    pub tokens: Option<TokenSources>,
    /// How its account is to look.
    pub profile: Profile,
    /// How its posts are shown.
    pub options: PostOptions,
    /// What happens to lines that mention people.
    pub mentions: Mentions,
}

/// How a bot's posts are shown, where its network has such a thing; what is not said is the network's or the account's
/// own choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostOptions {
    /// Who sees them.
    pub visibility: Option<Visibility>,
    /// The languages that they are in, by their codes (BCP 47), the main one first.
    pub languages: Vec<String>,
    /// What is shown instead of the text until a reader wants to see that.
    pub spoiler_text: Option<String>,
}

impl Bot {
    /// Whether somebody has to sign it in: `flock.toml` has no tokens for it, and its network wants some.
    pub const fn signs_in(&self) -> bool {
        self.network.needs_account() && self.tokens.is_none()
    }

    /// What its posts share with others: the app, or the network where there are no apps.
    pub fn limit_group(&self) -> &str {
        self.app.as_ref().map_or(self.network.as_str(), |app| &app.name)
    }

    /// What to do when no line is left to post.
    pub const fn exhausted(&self) -> &'static str {
        match self.at_end {
            AtEnd::Stop => "no line is left to post: add lines, or set at_end = \"again\"",
            AtEnd::Again => "no line of the poem fits the network: shorten some",
        }
    }
}

/// A bot's name: 1 to 64 ASCII letters, digits, `-` and `_`, so that it is at home in a URL, a file name
/// and a log field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BotName(Arc<str>);

/// Why a text is no name for a bot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bot name {0:?} is not usable: take 1 to 64 letters, digits, `-` and `_`")]
pub struct BadName(String);

impl BotName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BotName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let usable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if (1..=64).contains(&text.len()) && text.chars().all(usable) {
            Ok(Self(text.into()))
        } else {
            Err(BadName(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for BotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes a fieldless enum with its names in `flock.toml`, the ledger and `--json`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order in which they are explained.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for it in `flock.toml`, in the ledger and in `--json`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The value of that word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = String::deserialize(from)?;
                Self::from_word(&word).ok_or_else(|| {
                    let words: Vec<&str> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    serde::de::Error::custom(format!("{word:?} is none of {}", words.join(", ")))
                })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// A network that bots post to.
    NetworkKind {
        /// X, by its API version 2.
        X = "x",
        /// A server that speaks Mastodon's API.
        Mastodon = "mastodon",
        /// Bluesky, or another part of the network of the AT Protocol.
        Bluesky = "bluesky",
        /// The embedded default: an Atom feed that the daemon itself serves.
        Feed = "feed",
        /// The dry run: posts go nowhere.
        Paper = "paper",
    }
}

words! {
    /// In what order the lines of a poem are taken.
    Order {
        /// Any line not yet posted in this round, each as likely as the others.
        Shuffle = "shuffle",
        /// As they stand in the file.
        Sequence = "sequence",
    }
}

words! {
    /// What a bot does when its poem is exhausted.
    AtEnd {
        /// Nothing more, until lines are added.
        Stop = "stop",
        /// The next round.
        Again = "again",
    }
}

words! {
    /// What happens to lines that mention people, who are told of such a post by their network.
    Mentions {
        /// They are posted, and `flockd check` warns of each.
        Warn = "warn",
        /// They are posted.
        Allow = "allow",
        /// They are passed over.
        Refuse = "refuse",
    }
}

words! {
    /// What happens to slots whose time passed without the daemon.
    OnMiss {
        /// The newest fires, if it is not later than `max_late`; the others are counted.
        Once = "once",
        /// None fires; they are counted.
        Skip = "skip",
    }
}

words! {
    /// Who sees a post (docs.joinmastodon.org, entities/Status).
    Visibility {
        /// Everybody.
        Public = "public",
        /// Everybody, and no public timeline has it.
        Unlisted = "unlisted",
        /// Who follows the account.
        Private = "private",
        /// Who is named in it.
        Direct = "direct",
    }
}

words! {
    /// What becomes of a post whose outcome is unknown where its network may not be asked.
    OnUnknown {
        /// It counts as posted: nothing is said twice, and a line may be lost.
        AssumePosted = "assume-posted",
        /// A person is asked; the bot waits.
        Ask = "ask",
    }
}
