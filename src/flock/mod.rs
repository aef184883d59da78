//! The domain: the parts of a flock, and the rules that hold for every network, database and clock.
//!
//! Nothing here does I/O, waits, reads the time or generates random numbers; all of that is passed in. [`poem`] defines
//! poems, [`content`] what their entries say, [`choose`] chooses the next line and [`schedule`] its time, [`post`] defines the states of a post, [`event`]
//! what others learn of it, [`account`] a bot's identity on its network, [`budget`] spending limits, [`message`]
//! messages for people, and [`changes`] the differences between two versions of a flock.

pub mod account;
pub mod budget;
pub mod changes;
pub mod choose;
pub mod content;
pub mod due;
pub mod due_date;
pub mod entry;
pub mod event;
pub mod folder;
pub mod hint;
pub mod log;
pub mod markup;
pub mod media;
pub mod message;
pub mod network;
pub mod picture_name;
pub mod poem;
pub mod post;
#[cfg(test)]
pub(crate) mod samples;
pub mod schedule;
pub mod secret;
pub mod table;
pub mod text;
pub mod thread;
pub mod web;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use account::{App, Profile, TokenSources};
use chrono::{DateTime, NaiveDate, Utc};
use log::Log;
use poem::{Entry, Split};
use schedule::{Schedule, Zone};
use secret::SecretSource;
use web::Web;

/// All bots of a configuration, and the settings that they share.
#[derive(Debug, Clone)]
pub struct Flock {
    /// The ledger: `sqlite:PATH`, with an absolute or already resolved path.
    pub database: String,
    /// The flock's time zone: that of `[flock]`, else of `[defaults]`, else UTC. Times are displayed in it.
    pub timezone: Zone,
    /// The source of the vault's key.
    pub vault_key: KeySource,
    /// The settings of the daemon's web server.
    pub web: Web,
    /// The alert settings.
    pub alerts: Alerts,
    /// The log settings.
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

/// The source of the key that seals tokens in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that flockd creates when it is first needed.
    File(PathBuf),
    /// A secret provided from outside.
    Elsewhere(SecretSource),
}

/// The alert targets, and the heartbeat that is sent while no bot needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// A program with its arguments, run with each alert; empty if there is none.
    pub command: Vec<String>,
    /// A URL that receives each alert by POST.
    pub url: Option<SecretSource>,
    /// A URL that is requested only while every bot is on time.
    pub heartbeat: Option<SecretSource>,
    /// The heartbeat's interval.
    pub heartbeat_every: Duration,
}

impl Default for Alerts {
    /// No alerts.
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
    /// The registration under which it signs in, where the network has apps.
    pub app: Option<Arc<App>>,
    /// The handle it is expected to be signed in as, without `@`.
    pub account: Option<String>,
    /// Its poem file.
    pub poem: PathBuf,
    /// How the poem is cut into lines.
    pub split: Split,
    /// When it posts.
    pub schedule: Schedule,
    /// Each slot's delay is between zero and this.
    pub jitter: Duration,
    /// The order of lines.
    pub order: Order,
    /// What happens when the poem is exhausted.
    pub at_end: AtEnd,
    /// What happens to slots that were missed.
    pub on_miss: OnMiss,
    /// What happens to a post whose outcome is unknown if its network may not be probed.
    pub on_unknown: OnUnknown,
    /// How late a slot may still be used, counted from its time including the delay.
    pub max_late: Duration,
    /// The maximum number of posts in any sixty minutes, whatever the schedule says.
    pub max_per_hour: u32,
    /// Its former name, whose history it takes over.
    pub was: Option<BotName>,
    /// The account's tokens, if `flock.toml` has them; they take precedence over those that `enroll` stored.
    pub tokens: Option<TokenSources>,
    /// Its account's profile.
    pub profile: Profile,
    /// How its posts are displayed.
    pub options: PostOptions,
    /// What happens to lines that mention people.
    pub mentions: Mentions,
    /// What becomes of entries that are too long for one post.
    pub thread: ThreadMode,
    /// Whether pictures without a description are posted.
    pub alt_optional: bool,
    /// What happens to warnings where the network has no place for them.
    pub warnings: Warnings,
}

/// How a bot's posts are displayed, where its network supports it. A missing option is left to the network or the
/// account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostOptions {
    /// Who can see them.
    pub visibility: Option<Visibility>,
    /// The languages that they are written in, as BCP 47 codes, the main one first.
    pub languages: Vec<String>,
    /// The text that is displayed until a reader opens the post.
    pub spoiler_text: Option<String>,
}

impl Bot {
    /// Whether a person has to sign it in: `flock.toml` has no tokens for it, and its network requires them.
    pub const fn signs_in(&self) -> bool {
        self.network.needs_account() && self.tokens.is_none()
    }

    /// The group that its posts share limits with: the app, or the network where there are no apps.
    pub fn limit_group(&self) -> &str {
        self.app.as_ref().map_or(self.network.as_str(), |app| &app.name)
    }

    /// Its schedule as the ledger records it: another text begins its slots anew. The delay is not part of it.
    pub fn schedule_text(&self) -> String {
        format!("{} {}", self.schedule.text(), self.schedule.zone())
    }

    /// Whether it posts an entry with pictures like these: without a description they say nothing to people who can't see
    /// them. Whether the entry fits the network is another question.
    pub fn admits(&self, entry: &Entry) -> bool {
        self.alt_optional || !entry.lacks_alt()
    }

    /// The day of a slot in the bot's time zone.
    pub fn day_of(&self, slot: DateTime<Utc>) -> NaiveDate {
        self.schedule.zone().local(slot).date_naive()
    }

    /// What to do when no line is left to post.
    pub const fn exhausted(&self) -> &'static str {
        match self.at_end {
            AtEnd::Stop => "no line is left to post: add lines, or set at_end = \"again\"",
            AtEnd::Again => "no line of the poem fits the network: shorten some",
        }
    }
}

/// A bot's name: 1 to 64 ASCII letters, digits, `-` and `_`, so that it fits into a URL, a file name and a log field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BotName(Arc<str>);

/// Why a text is not a valid name for a bot.
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

/// Defines a fieldless enum with its words in `flock.toml`, the ledger and `--json`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its word in `flock.toml`, in the ledger and in `--json`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The value for a word.
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
        /// X, through version 2 of its API.
        X = "x",
        /// A server that speaks Mastodon's API.
        Mastodon = "mastodon",
        /// Bluesky, or another AT Protocol network.
        Bluesky = "bluesky",
        /// The built-in default: an Atom feed that the daemon itself serves.
        Feed = "feed",
        /// The dry run: posts go nowhere.
        Paper = "paper",
    }
}

words! {
    /// The order in which a poem's lines are posted.
    Order {
        /// Any line not yet posted in this round, all with equal probability.
        Shuffle = "shuffle",
        /// In the order of the file.
        Sequence = "sequence",
    }
}

words! {
    /// What a bot does when its poem is exhausted.
    AtEnd {
        /// Stops until lines are added.
        Stop = "stop",
        /// Starts the next round.
        Again = "again",
    }
}

words! {
    /// What happens to lines that mention people, whom the network notifies of the post.
    Mentions {
        /// They are posted, and `flockd check` warns of each.
        Warn = "warn",
        /// They are posted.
        Allow = "allow",
        /// They are skipped.
        Refuse = "refuse",
    }
}

words! {
    /// What becomes of entries that are too long for one post.
    ThreadMode {
        /// They don't fit; only what the poem itself divides is a thread.
        Marked = "marked",
        /// They are cut into the parts of a thread at line breaks.
        Auto = "auto",
    }
}

words! {
    /// What happens to an entry with a warning (`sensitive`, `spoiler_text`) on a network that has no place for it.
    Warnings {
        /// The entry is skipped.
        Keep = "keep",
        /// The entry is posted without the warning.
        Ignore = "ignore",
    }
}

words! {
    /// What happens to slots whose time passed while the daemon was not running.
    OnMiss {
        /// The newest fires if it is within `max_late`; the others are counted.
        Once = "once",
        /// None fires; they are counted.
        Skip = "skip",
    }
}

words! {
    /// Who can see a post (docs.joinmastodon.org, entities/Status).
    Visibility {
        /// Everyone.
        Public = "public",
        /// Everyone, but it is not on public timelines.
        Unlisted = "unlisted",
        /// The account's followers.
        Private = "private",
        /// The people mentioned in it.
        Direct = "direct",
    }
}

words! {
    /// What happens to a post whose outcome is unknown if its network may not be probed.
    OnUnknown {
        /// It counts as posted: nothing is posted twice, but a line may be lost.
        AssumePosted = "assume-posted",
        /// A person decides; the bot waits.
        Ask = "ask",
    }
}
