//! Exports and imports of a ledger: bots and posts, one JSON object a line.
//!
//! This module defines the lines; `reading` checks a file by itself. Reading and writing rows is up to each ledger.
//! Tokens are not exported, nor who a bot is signed in as: signing in finds that out again.

mod reading;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::reading::read;
use crate::flock::account::{self, Account};
use crate::flock::choose::Seed;
use crate::flock::content::Content;
use crate::flock::poem::EntryKey;
use crate::flock::post::{Cause, PostId, State};
use crate::flock::text::forbidden_character;
use crate::flock::{BotName, NetworkKind};

/// The format of these lines. Keys may be added to it; anything that an older flockd would misread gets the next
/// number.
pub const FORMAT: u32 = 1;

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The header; always the first line.
    Export(ExportHeader),
    /// A bot; all bots come before the first post.
    Bot(KeptBot),
    /// A post; in the order in which posts were written.
    Post(Box<KeptPost>),
}

/// What an export says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportHeader {
    /// Its [`FORMAT`].
    pub format: u32,
    /// The version of flockd that wrote it.
    pub flockd: String,
    /// When it was made.
    pub made_at: DateTime<Utc>,
    /// How many bots follow.
    pub bots: u64,
    /// How many posts follow.
    pub posts: u64,
}

/// A bot as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBot {
    /// Its name.
    #[serde(with = "plain")]
    pub name: BotName,
    /// The schedule seen last, with its zone.
    pub schedule: String,
    /// The newest slot that was handled, or when its slots began.
    #[serde(rename = "considered")]
    pub last_slot: DateTime<Utc>,
    /// How many slots passed without a post.
    #[serde(default)]
    pub missed: u64,
    /// When its pause began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<DateTime<Utc>>,
    /// Why, if no person asked for the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_why: Option<String>,
    /// Since when its account may have posts that are not in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_since: Option<DateTime<Utc>>,
    /// Its seed, which decides the order in which its lines come. An export by an older flockd has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Seed>,
    /// The account that it posts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<KeptAccount>,
}

/// An account, as far as needed to tell it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAccount {
    /// Its network.
    pub network: NetworkKind,
    /// The network's own id for it.
    pub id: String,
    /// The server that issued the id, if each server has ids of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Its handle there.
    pub handle: String,
}

impl KeptAccount {
    /// A key that is equal for equal accounts.
    pub fn key(&self) -> String {
        account::key(self.network, self.server.as_deref(), &self.id, &self.handle)
    }

    /// Whether this is a different account.
    pub fn differs(&self, other: &Account) -> bool {
        let servers = self.server.as_ref().zip(other.server.as_ref());
        let is_other = self.id != other.id || servers.is_some_and(|(theirs, ours)| theirs != ours);
        self.network == other.network && is_other
    }
}

/// A post with everything that the ledger keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPost {
    /// Its id.
    #[serde(with = "plain")]
    pub id: PostId,
    /// The bot that it belongs to.
    #[serde(with = "plain")]
    pub bot: BotName,
    /// The network it is for.
    pub network: NetworkKind,
    /// Its state.
    pub state: State,
    /// Its slot; `None` if it was posted by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<DateTime<Utc>>,
    /// When it is due: the slot with its delay.
    pub due_at: DateTime<Utc>,
    /// The first post of the thread that it continues.
    #[serde(default, with = "plain_option", skip_serializing_if = "Option::is_none")]
    pub head: Option<PostId>,
    /// Which part of its thread it is, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: u32,
    /// The line that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<KeptLine>,
    /// The text that is posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is posted, if that is more than the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The full record that is sent, if it is more than the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// How often the request was made.
    #[serde(default)]
    pub attempts: u32,
    /// How often the network answered with a definite error.
    #[serde(default)]
    pub errors: u32,
    /// Whether it was ever `unknown`.
    #[serde(default)]
    pub doubted: bool,
    /// How often it was probed.
    #[serde(default)]
    pub looks: u32,
    /// The network's id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// Its public address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why it is in this state, in one word. A word that this flockd does not know is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The same, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// When the request was first made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was last made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<DateTime<Utc>>,
    /// When it may be tried or probed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// When it came to rest or became unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<DateTime<Utc>>,
    /// When its last change was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<DateTime<Utc>>,
    /// The app that it was sent with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Its price, in thousandths of a US dollar.
    #[serde(default)]
    pub price: u32,
    /// What probing for it has cost, in the same unit.
    #[serde(default)]
    pub read_cost: u32,
    /// The key of the account that it was sent from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The command that undid it, if it is a skip that was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<String>,
}

/// The entry of a poem that a post uses. Unless it has a key, its text is that of the post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLine {
    /// The round.
    pub round: u32,
    /// Which of the entries that say the same.
    pub occurrence: u32,
    /// What it says, if that is more than the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<EntryKey>,
}

impl KeptPost {
    /// What its entry says.
    pub fn entry_key(&self) -> Option<EntryKey> {
        self.line?.key.or_else(|| self.text.as_deref().map(EntryKey::of))
    }

    /// Whether both are the same post, whatever their states.
    pub fn is_same(&self, other: &Self) -> bool {
        let fixed = |post: &Self| (post.network, post.slot, post.line, post.planned_at, post.head, post.part);
        let said = |post: &Self| (post.text.clone(), post.content.clone());
        self.id == other.id
            && self.bot == other.bot
            && said(self) == said(other)
            && fixed(self) == fixed(other)
    }

    /// The same post with an unknown outcome, as it may have been sent.
    pub fn doubted(self, reason: &str, now: DateTime<Utc>) -> Self {
        Self {
            state: State::Unknown,
            doubted: true,
            looks: 0,
            cause: Some(Cause::Interrupted.as_str().to_owned()),
            reason: Some(reason.to_owned()),
            sent_at: self.sent_at.or(Some(self.planned_at)),
            tried_at: self.tried_at.or(Some(self.planned_at)),
            retry_at: None,
            settled_at: Some(now),
            moved_at: Some(now),
            ..self
        }
    }

    /// What makes it invalid as a post, if anything.
    fn flaw(&self) -> Option<&'static str> {
        match (&self.text, self.line) {
            (None, _) if self.state != State::Released => Some("only a released post may be without a text"),
            (None, Some(_)) => Some("a line needs its text"),
            (_, Some(KeptLine { occurrence: 0, .. } | KeptLine { round: 0, key: None, .. })) => {
                Some("rounds and occurrences count from 1")
            }
            (_, Some(KeptLine { key, .. })) if key.is_some() != self.content.is_some() => {
                Some("an entry has a key if it is more than a text, and then only")
            }
            _ if self.content.as_ref().is_some_and(|content| content.parts.is_empty()) => {
                Some("the content of a post has at least one part")
            }
            _ if self.head.is_some() != (self.part > 0) || (self.head.is_some() && self.line.is_some()) => {
                Some("only the first post of a thread has a line, and only the others have a head")
            }
            (Some(text), _) if forbidden_character(text).is_some() => {
                Some("the text holds a control character, which no post may: remove it")
            }
            _ => None,
        }
    }
}

/// What is wrong with a line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A record with its line number, or what is wrong with the line.
pub type Numbered = Result<(u64, Record), BadLine>;

/// What an import reads.
pub struct Arrivals {
    /// The file's header.
    pub header: ExportHeader,
    /// The records after the header.
    pub records: Box<dyn Iterator<Item = Numbered> + Send>,
    /// The original flock has posted nothing since and never will, as confirmed by a person.
    pub moved: bool,
}

/// What an import added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Bots that were new.
    pub bots: u64,
    /// Posts that were new.
    pub posts: u64,
    /// Posts that were known, and had moved on in the file.
    pub moved_on: u64,
    /// Posts that were known and unchanged.
    pub known: u64,
    /// Posts with an unknown outcome, as they may have been sent since.
    pub doubted: u64,
    /// Bots whose accounts have yet to be read for posts made after the export.
    pub behind: Vec<BotName>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The same as `plain`, for an id that may be missing.
mod plain_option {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::flock::post::PostId;

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(id: &Option<PostId>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PostId>, D::Error> {
        let id = Option::<String>::deserialize(from)?;
        id.map(|id| id.parse().map_err(de::Error::custom)).transpose()
    }
}

/// Serializes with `Display`, and parses with `FromStr`.
mod plain {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}
