//! What leaves a ledger for a file, and comes from one into another ledger: bots and posts, a JSON object a line.
//!
//! Here stands the shape of the lines; what can be said of a file by itself is in `reading`. How rows are read and
//! written is each ledger's own work. Tokens are no part of it, nor who a bot is signed in as: that is learnt again by
//! signing in.

mod reading;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::reading::read;
use crate::flock::account::{self, Account};
use crate::flock::poem::TextId;
use crate::flock::post::{Cause, PostId, State};
use crate::flock::text::forbidden_character;
use crate::flock::{BotName, NetworkKind};

/// The format of these lines. Keys may be added to it; what an older flockd would misread has the next number.
pub const FORMAT: u32 = 1;

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// What the file is; always the first.
    Export(ExportHeader),
    /// A bot; all of them come before the first post.
    Bot(KeptBot),
    /// A post; in the order in which they were written down.
    Post(Box<KeptPost>),
}

/// What an export says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportHeader {
    /// The number of its [`FORMAT`].
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
    /// The schedule with its zone that was seen last.
    pub schedule: String,
    /// The newest slot dealt with, or when its slots began.
    pub considered: DateTime<Utc>,
    /// Slots that passed without a post.
    #[serde(default)]
    pub missed: u64,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<DateTime<Utc>>,
    /// Why, if that was nobody's wish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_why: Option<String>,
    /// Since when its account may have posts that are not in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_since: Option<DateTime<Utc>>,
    /// Whose account it posts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<KeptAccount>,
}

/// An account, as far as that tells it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAccount {
    /// Its network.
    pub network: NetworkKind,
    /// The network's own id of it.
    pub id: String,
    /// The server that gave the id, where each has ids of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What it is called there.
    pub handle: String,
}

impl KeptAccount {
    /// What is equal for equal accounts.
    pub fn key(&self) -> String {
        account::key(self.network, self.server.as_deref(), &self.id, &self.handle)
    }

    /// Whether this is another account than that.
    pub fn differs(&self, other: &Account) -> bool {
        let servers = self.server.as_ref().zip(other.server.as_ref());
        let is_other = self.id != other.id || servers.is_some_and(|(theirs, ours)| theirs != ours);
        self.network == other.network && is_other
    }
}

/// A post with all that the ledger keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPost {
    /// Its id.
    #[serde(with = "plain")]
    pub id: PostId,
    /// Whose it is.
    #[serde(with = "plain")]
    pub bot: BotName,
    /// The network it is for.
    pub network: NetworkKind,
    /// Where it is on its way.
    pub state: State,
    /// Its slot; by hand it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<DateTime<Utc>>,
    /// The slot with its delay.
    pub due_at: DateTime<Utc>,
    /// The line that it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<KeptLine>,
    /// What is posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// All that is sent, where that is more.
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
    /// How often it was looked for.
    #[serde(default)]
    pub looks: u32,
    /// The network's id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// Where people can see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why it is where it is, in one word. One that this flockd does not know is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was planned.
    pub planned_at: DateTime<Utc>,
    /// When the request was first made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<DateTime<Utc>>,
    /// When it may be tried or looked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<DateTime<Utc>>,
    /// When it came to rest, or became unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<DateTime<Utc>>,
    /// When the last thing that happened to it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<DateTime<Utc>>,
    /// The app under which it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// What it costs, in thousandths of a US dollar.
    #[serde(default)]
    pub price: u32,
    /// What looking for it has cost, in the same.
    #[serde(default)]
    pub read_cost: u32,
    /// What identifies the account under which it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The command that undid it, of a skip that was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<String>,
}

/// The line of a poem that a post uses. Its text is the post's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptLine {
    /// In which round.
    pub round: u32,
    /// Which of the lines of equal text.
    pub occurrence: u32,
}

impl KeptPost {
    /// What identifies the text of its line.
    pub fn text_id(&self) -> Option<TextId> {
        self.line.and(self.text.as_deref()).map(TextId::of)
    }

    /// Whether both are the same post, wherever each has got to.
    pub fn is_same(&self, other: &Self) -> bool {
        let fixed = |post: &Self| (post.network, post.slot, post.line, post.planned_at);
        self.id == other.id && self.bot == other.bot && self.text == other.text && fixed(self) == fixed(other)
    }

    /// The same post as one of which nobody here knows whether it was sent.
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

    /// What keeps it from being a post at all, if anything does.
    fn flaw(&self) -> Option<&'static str> {
        match (&self.text, self.line) {
            (None, _) if self.state != State::Released => Some("only a released post may be without a text"),
            (None, Some(_)) => Some("a line needs its text"),
            (_, Some(KeptLine { round: 0, .. } | KeptLine { occurrence: 0, .. })) => {
                Some("rounds and occurrences count from 1")
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
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A record, and on which line it stands; or what is wrong with the line.
pub type Numbered = Result<(u64, Record), BadLine>;

/// What is to come into a ledger.
pub struct Arrivals {
    /// What the file says of itself.
    pub header: ExportHeader,
    /// What it holds beside that.
    pub records: Box<dyn Iterator<Item = Numbered> + Send>,
    /// The flock it is from has posted nothing since and never will: a person says so.
    pub moved: bool,
}

/// What came into a ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Bots that were not known.
    pub bots: u64,
    /// Posts that were not known.
    pub posts: u64,
    /// Posts that were known, and went further where the file is from.
    pub moved_on: u64,
    /// Posts that were known as they are.
    pub known: u64,
    /// Posts of which nobody knows whether they were sent since.
    pub doubted: u64,
    /// The bots that have yet to see what their accounts have from after the export.
    pub behind: Vec<BotName>,
}

/// What is written as it is shown, and read as it is typed.
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
