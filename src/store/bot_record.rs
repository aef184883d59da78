//! What the ledger stores: the record of a bot, the draft of a post, the configuration that runs. What a bot's record means
//! for its health is in `health_state`.

use std::collections::HashSet;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};

use crate::flock::account::Account;
use crate::flock::poem::{LineId, TextId};
use crate::flock::post::{Post, PostId, State, Why};
use crate::flock::schedule::Schedule;
use crate::flock::{BotName, NetworkKind};

/// Where a bot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotRecord {
    /// The newest slot that was dealt with, or the instant at which its slots begin.
    pub last_slot: DateTime<Utc>,
    /// Slots after that which will be passed over, in their order.
    pub skipped: Vec<DateTime<Utc>>,
    /// How many slots it missed, ever.
    pub missed: u64,
    /// Who it is on its network.
    pub account: Option<Account>,
    /// When it signed in, if it is signed in.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// Since when its posts fail, one after the other, for reasons that a person must mend; what signing in
    /// has mended doesn't count.
    pub ailing_since: Option<DateTime<Utc>>,
    /// The round it is in, from 1.
    pub round: u32,
    /// The post that is open, if one is.
    pub open: Option<Post>,
    /// The last post that ended, whatever its end.
    pub last: Option<Post>,
    /// The last post that the network took, even if it was taken back since.
    pub last_posted: Option<Post>,
    /// Texts that the next line should not have: the one before, and those called duplicates since.
    pub avoid: HashSet<TextId>,
    /// How many posts left in the last sixty minutes.
    pub sent_last_hour: u32,
    /// Since when it posts nothing on schedule, if it is paused.
    pub paused: Option<Pause>,
    /// How far it is behind its account, if the ledger was put back from a copy.
    pub reconciliation: Option<Behind>,
}

impl BotRecord {
    /// The slots of a bot after `now` that are expected to be posted, for as long as anybody asks.
    pub fn expected<'b>(
        &self,
        schedule: &'b Schedule,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> + use<'b> {
        let skipped = self.skipped.clone();
        schedule.upcoming(self.last_slot.max(now)).filter(move |slot| !skipped.contains(slot))
    }

    /// The slots of a schedule after `now` that are skipped. A skip from before the bot had this schedule concerns none of them.
    pub fn skipped_of(&self, schedule: &Schedule, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let is_slot = |at: DateTime<Utc>| schedule.next_after(at - TimeDelta::milliseconds(1)) == Some(at);
        self.skipped.iter().copied().filter(|slot| *slot > now && is_slot(*slot)).collect()
    }
}

/// A bot whose account may have posts that are not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// From after this instant: then the copy was made.
    pub since: DateTime<Utc>,
    /// Why the account could not be read so far, if that was tried.
    pub why: Option<Why>,
}

/// How far a bot's slots were dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleCursor {
    /// Which bot.
    pub bot: BotName,
    /// The newest slot that was dealt with, or the instant at which its slots begin.
    pub considered: DateTime<Utc>,
    /// Whether nothing is to be posted on schedule, because it is paused.
    pub rests: bool,
    /// Whether the last slot that it dealt with was tried until it was too late.
    pub in_vain: bool,
}

/// A bot's pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, if that was nobody's wish.
    pub why: Option<String>,
}

/// A post to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: PostId,
    /// Whose it is.
    pub bot: BotName,
    /// The network it is for.
    pub network: NetworkKind,
    /// The slot; `None` by hand.
    pub slot: Option<DateTime<Utc>>,
    /// The slot with its delay.
    pub due_at: DateTime<Utc>,
    /// Round and line, if it uses one.
    pub line: Option<(u32, LineId)>,
    /// The text, fixed from now on.
    pub text: Option<String>,
    /// All that is sent, if that is more than the text and known already; fixed too.
    pub record: Option<String>,
    /// Slots that are passed over with this one.
    pub missed: u32,
    /// The app under which it is sent, where the network has such a thing.
    pub app: Option<String>,
    /// What that costs, in thousandths of a US dollar.
    pub price: u32,
    /// How it begins.
    pub begins: Beginning,
    /// When it is planned.
    pub now: DateTime<Utc>,
}

/// How a post begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// As `sending`: intent and attempt in one commit.
    Sending,
    /// As `planned`, to be tried at the instant.
    Planned(Why, DateTime<Utc>),
    /// As `released`: given up at once.
    Released(Why),
    /// As `released`, ahead of its time: slots before it are still to come.
    Skipped(Why),
}

impl Beginning {
    /// The state in which the row is inserted.
    pub const fn state(&self) -> State {
        match self {
            Self::Sending => State::Sending,
            Self::Planned(..) => State::Planned,
            Self::Released(_) | Self::Skipped(_) => State::Released,
        }
    }
}

/// The `flock.toml` that a daemon runs, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Configuration {
    /// The file, as an absolute path.
    pub file: PathBuf,
    /// What it says, as TOML without any secret.
    pub text: String,
}

/// Why the flock from before goes on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// When the new one was read.
    pub at: DateTime<Utc>,
    /// What is wrong with it, each with file and line.
    pub complaints: Vec<String>,
}
