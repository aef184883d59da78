//! What the ledger stores: the record of a bot, the draft of a post, the configuration that runs. `health_state`
//! derives a bot's health from its record.

use std::collections::HashSet;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};

use crate::flock::account::Account;
use crate::flock::choose::Seed;
use crate::flock::content::Content;
use crate::flock::poem::{EntryId, EntryKey};
use crate::flock::post::{Post, PostId, State, Why};
use crate::flock::schedule::Schedule;
use crate::flock::{BotName, NetworkKind};

/// What the ledger knows about a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotRecord {
    /// The schedule that was seen last, as [`Bot::schedule_text`](crate::flock::Bot::schedule_text) writes it.
    pub schedule: String,
    /// The newest slot that was handled, or the instant at which its slots begin.
    pub last_slot: DateTime<Utc>,
    /// Later slots that will be skipped, in order.
    pub skipped: Vec<DateTime<Utc>>,
    /// How many slots it has ever missed.
    pub missed: u64,
    /// Its account on its network.
    pub account: Option<Account>,
    /// When it signed in, if it is signed in.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// When its posts began to fail, one after the other, for reasons that a person must fix. Failures that
    /// signing in has fixed don't count.
    pub ailing_since: Option<DateTime<Utc>>,
    /// The round it is in, from 1.
    pub round: u32,
    /// The open post, if any.
    pub open: Option<Post>,
    /// The last post that ended, whatever its outcome.
    pub last: Option<Post>,
    /// The last post that the network accepted, even if it has been deleted since.
    pub last_posted: Option<Post>,
    /// Texts that the next line should not have: the previous one, and those rejected as duplicates since.
    pub avoid: HashSet<EntryKey>,
    /// Its seed, which decides the order in which its lines come.
    pub seed: Seed,
    /// How many posts were sent in the last sixty minutes.
    pub sent_last_hour: u32,
    /// Its pause, if it is paused.
    pub paused: Option<Pause>,
    /// What it has to reconcile, if the ledger was restored from a copy.
    pub reconciliation: Option<Behind>,
}

impl BotRecord {
    /// The slots after `now` that the bot is expected to post, without end.
    pub fn expected<'b>(
        &self,
        schedule: &'b Schedule,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> + use<'b> {
        let skipped = self.skipped.clone();
        schedule.upcoming(self.last_slot.max(now)).filter(move |slot| !skipped.contains(slot))
    }

    /// The slots of a schedule after `now` that are skipped. A skip from before the bot had this schedule matches none
    /// of them.
    pub fn skipped_of(&self, schedule: &Schedule, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let is_slot = |at: DateTime<Utc>| schedule.next_after(at - TimeDelta::milliseconds(1)) == Some(at);
        self.skipped.iter().copied().filter(|slot| *slot > now && is_slot(*slot)).collect()
    }
}

/// A bot that needs reconciliation: its account may have posts that are not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// When the copy was made: posts after this instant may be missing.
    pub since: DateTime<Utc>,
    /// Why the account could not be read so far, if that was tried.
    pub why: Option<Why>,
}

/// How far a bot's slots have been handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleState {
    /// The bot.
    pub bot: BotName,
    /// The newest slot that was handled, or the instant at which its slots begin.
    pub last_slot: DateTime<Utc>,
    /// Whether the bot is paused, so that it posts nothing on schedule.
    pub is_paused: bool,
    /// Whether its last slot was retried until it was too late.
    pub stalled: bool,
}

/// A bot's pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// When it began.
    pub since: DateTime<Utc>,
    /// Why, if no person asked for it.
    pub why: Option<String>,
}

/// A post to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id.
    pub id: PostId,
    /// The bot that it belongs to.
    pub bot: BotName,
    /// The network it is for.
    pub network: NetworkKind,
    /// The slot; `None` if it is posted by hand.
    pub slot: Option<DateTime<Utc>>,
    /// When it is due: the slot with its delay.
    pub due_at: DateTime<Utc>,
    /// The first post of the thread that it continues, and which part it is.
    pub continues: Option<(PostId, u32)>,
    /// Round and entry, if it uses one.
    pub entry: Option<(u32, EntryId)>,
    /// The text, fixed from now on.
    pub text: Option<String>,
    /// What is posted, if that is more than the text: its first part now, the others later; fixed too.
    pub content: Option<Content>,
    /// The full record to be sent, if it is more than the text and already known; fixed too.
    pub record: Option<String>,
    /// How many slots are passed over with this one.
    pub missed: u32,
    /// The app that it is sent with, if the network has apps.
    pub app: Option<String>,
    /// Its price, in thousandths of a US dollar.
    pub price: u32,
    /// The state in which it begins.
    pub begins: Beginning,
    /// When it is planned.
    pub now: DateTime<Utc>,
}

/// The state in which a post begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// As `sending`: intent and attempt in one commit.
    Sending,
    /// As `planned`, to be tried at once: its pictures have to be uploaded first, or it continues a thread.
    Ready,
    /// As `planned`, to be tried at this instant.
    Planned(Why, DateTime<Utc>),
    /// As `released`: given up at once.
    Released(Why),
    /// As `released`, ahead of time: earlier slots are still to come.
    Skipped(Why),
    /// As `refused`, by a person: its line is used without being sent.
    PassedOver(Why),
}

impl Beginning {
    /// The state in which the row is inserted.
    pub const fn state(&self) -> State {
        match self {
            Self::Sending => State::Sending,
            Self::Ready | Self::Planned(..) => State::Planned,
            Self::Released(_) | Self::Skipped(_) => State::Released,
            Self::PassedOver(_) => State::Refused,
        }
    }
}

/// The `flock.toml` that a daemon runs, as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Configuration {
    /// The file, as an absolute path.
    pub file: PathBuf,
    /// Its content, as TOML without any secrets.
    pub text: String,
}

/// Why a reload was refused, so that the previous flock goes on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// When the new configuration was read.
    pub at: DateTime<Utc>,
    /// What is wrong with it, each item with file and line.
    pub complaints: Vec<String>,
}
