//! The ledger behind one trait: what was posted, what is on its way, and what people asked for.
//!
//! A store keeps the promises that must hold even if the engine is wrong: a slot and a line are used once,
//! a bot has one open post, and a post moves only along the edges of [`crate::flock::post`]. Which line or
//! slot to use is not decided here.

mod bot_record;
mod command;
mod credential;
pub mod health_state;
mod private;
pub mod sessions;
pub mod sqlite;
pub mod transfer;
pub mod vault;

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sha2::{Digest as _, Sha256};

pub use self::bot_record::{Beginning, Draft};
pub use self::bot_record::{Behind, BotRecord, Pause, ScheduleCursor};
pub use self::bot_record::{Configuration, Refusal};
pub use self::command::{Command, CommandKind, CommandResult};
pub use self::credential::{CredentialRow, LONGEST_CLAIM, Sealed};
use self::sessions::Sessions;
use self::transfer::{Arrivals, BadLine, Imported, Record};
use crate::flock::account::Account;
use crate::flock::poem::{LineId, TextId};
use crate::flock::post::{Move, Post, PostId, State, Why};
use crate::flock::{BotName, NetworkKind};

/// What tells one flock from another to whoever asks a daemon: a digest of where its ledger is.
pub fn mark_of(database: &str) -> String {
    let path = database.strip_prefix("sqlite:").unwrap_or(database);
    let path =
        std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into());
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex::encode(&digest[..8])
}

/// One that is told how long each commit took, from the first of what it writes to the disk's word. It must be quick.
pub type CommitEar = Box<dyn Fn(Duration) + Send + Sync>;

/// A ledger. A call that changes something returns when the change is durable.
#[async_trait]
pub trait Store: Sessions + Send + Sync {
    /// Makes the flock known: new bots, renamed ones, changed schedules. A bot's slots begin when its
    /// schedule is first seen. What a renamed bot is signed in with goes along; if it signed in under its new
    /// name already, that is kept. Returns what could not be done as asked.
    async fn enter(&self, bots: &[Entry], now: DateTime<Utc>) -> Result<Vec<NotRenamed>, StoreError>;

    /// For whoever becomes the sender: every post left in `sending` becomes `unknown`. Returns them. If the ledger
    /// was put back from a copy, so does every post that was still to be sent, as it may have been sent since, and
    /// every bot is behind its account until [`Store::catch_up`]; slots up to now are over. What kept the last holder from
    /// reloading is forgotten.
    async fn take_over(&self, now: DateTime<Utc>) -> Result<Vec<Post>, StoreError>;

    /// Where a bot stands; `None` if it was never entered.
    async fn bot_record(&self, bot: &BotName, now: DateTime<Utc>) -> Result<Option<BotRecord>, StoreError>;

    /// The lines that a bot used in a round, and those that its account has used lately under other names.
    async fn used(&self, bot: &BotName, round: u32) -> Result<HashSet<LineId>, StoreError>;

    /// How many those are.
    async fn count_used(&self, bot: &BotName, round: u32) -> Result<u32, StoreError>;

    /// How often the network called a text a duplicate in a round.
    async fn duplicates(&self, bot: &BotName, round: u32, text: TextId) -> Result<u32, StoreError>;

    /// Opens a post, or writes down that a slot was given up. With it the slot counts as considered.
    async fn open(&self, draft: &Draft) -> Result<Post, StoreError>;

    /// Moves a post along one edge.
    async fn advance(&self, id: PostId, step: &Move, now: DateTime<Utc>) -> Result<Post, StoreError>;

    /// Notes that slots up to `newest` are dealt with, `missed` of them without a post. Never goes back.
    async fn advance_cursor(
        &self,
        bot: &BotName,
        newest: DateTime<Utc>,
        missed: u32,
    ) -> Result<(), StoreError>;

    /// Undoes the skip of a slot, so that the slot is free again, and returns the row of the skip. What the command
    /// `by` has undone already stays as it is; `None` if there is nothing to undo.
    async fn undo_skip(
        &self,
        bot: &BotName,
        slot: Option<DateTime<Utc>>,
        by: PostId,
        now: DateTime<Utc>,
    ) -> Result<Option<Post>, StoreError>;

    /// Has a bot post nothing on schedule from `now` on; `why` is given where that was nobody's wish.
    async fn pause(&self, bot: &BotName, why: Option<&str>, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Ends a pause; slots up to `now` are over. If the bot was paused because its account can't be read, it counts as
    /// behind no more. A last slot that is ahead of `now`, because the clock was, is reset to `now`; slots that have a row
    /// stay used.
    async fn resume(&self, bot: &BotName, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Writes down, as posted, what was found on a bot's account and is not here, and that the bot is behind its
    /// account no more. A line that is used already is passed over. Returns what was written.
    async fn finish_reconciliation(&self, bot: &BotName, found: &[Find]) -> Result<Vec<Post>, StoreError>;

    /// Writes down, as posted, what was found on a bot's account and is not here; otherwise the same as
    /// [`Store::catch_up`], but that it says nothing of how far the bot is behind.
    async fn note(&self, bot: &BotName, found: &[Find]) -> Result<Vec<Post>, StoreError>;

    /// Notes why a bot that is behind its account could not read it.
    async fn note_unreconciled(&self, bot: &BotName, why: &Why) -> Result<(), StoreError>;

    /// Those of the network's ids that belong to posts here.
    async fn known_ids(&self, network: NetworkKind, ids: &[String]) -> Result<HashSet<String>, StoreError>;

    /// Whether the bot sent another post with this text, whatever came of it.
    async fn text_sent_before(&self, post: &Post) -> Result<bool, StoreError>;

    /// What was spent under an app on posts that were last sent at `since` or later. What may have been accepted
    /// counts.
    async fn spent(&self, app: &str, since: DateTime<Utc>) -> Result<Spent, StoreError>;

    /// Remembers who a bot is on its network, even before it was entered, and when it came to that account.
    async fn remember(&self, bot: &BotName, account: &Account) -> Result<(), StoreError>;

    /// Who a bot is on its network, as far as it is remembered.
    async fn account(&self, bot: &BotName) -> Result<Option<Account>, StoreError>;

    /// The bots that have the same account as this one, and came to it before it did, in that order.
    async fn account_conflicts(&self, bot: &BotName) -> Result<Vec<AccountConflict>, StoreError>;

    /// All that have this account, other than this one, in the order in which they came to it.
    async fn with_account(
        &self,
        account: &Account,
        not: &BotName,
    ) -> Result<Vec<AccountConflict>, StoreError>;

    /// The other names under which a bot's account has used lines. What it used then counts as used by the bot.
    async fn other_names(&self, bot: &BotName) -> Result<Vec<BotName>, StoreError>;

    /// Those of the lines in [`Store::used`] that the account has used under these names.
    async fn used_elsewhere(&self, bot: &BotName, round: u32) -> Result<HashSet<LineId>, StoreError>;

    /// What is kept of a bot's credentials, even before it was entered.
    async fn credential(&self, bot: &BotName) -> Result<CredentialRow, StoreError>;

    /// The same of every bot that is signed in.
    async fn credentials(&self) -> Result<Vec<(BotName, CredentialRow)>, StoreError>;

    /// Signs a bot in: keeps its tokens and who it is, together, in place of version `replaces`. Whoever has
    /// claimed the old tokens has lost them. [`StoreError::Overtaken`] if that is not the version any more, or
    /// if the tokens of another bot are sealed with another key; [`StoreError::AccountTaken`] if another bot
    /// is signed in with this account.
    async fn sign_in(
        &self,
        bot: &BotName,
        account: &Account,
        sealed: &Sealed,
        replaces: u64,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Keeps renewed tokens in place of version `replaces`, and ends the claim on them.
    /// [`StoreError::Overtaken`] as in [`Store::sign_in`], and if the bot was signed out.
    async fn renewed(&self, bot: &BotName, sealed: &Sealed, replaces: u64) -> Result<(), StoreError>;

    /// Replaces the tokens of every bot that is signed in, and what is kept of apps, by the same, sealed with another
    /// key: all of them, or none. [`StoreError::Overtaken`] if these are not all, if one is not of the version given
    /// with it, or if somebody has claimed one.
    async fn reseal(
        &self,
        all: &[(BotName, Sealed, u64)],
        apps: &[(String, Sealed)],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// What is kept of every app that registered itself on its server.
    async fn registrations(&self) -> Result<Vec<(String, Sealed)>, StoreError>;

    /// Keeps what an app registered, in place of what was kept of it.
    async fn keep_registration(&self, app: &str, sealed: &Sealed) -> Result<(), StoreError>;

    /// Signs a bot out: forgets its tokens, if they are of version `replaces`, and who it is.
    async fn sign_out(&self, bot: &BotName, replaces: u64) -> Result<(), StoreError>;

    /// Claims the tokens of a bot until `until`, though not for longer than [`LONGEST_CLAIM`], so that nobody
    /// else renews them meanwhile. `false` if they are not of this version, or claimed by somebody else.
    async fn lease_credential(
        &self,
        bot: &BotName,
        version: u64,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Ends a claim on tokens of this version before its time. Of another version nothing is changed.
    async fn release_credential(&self, bot: &BotName, version: u64) -> Result<(), StoreError>;

    /// How far the slots of every bot were dealt with, of those that have left the flock as well.
    async fn schedule_cursors(&self) -> Result<Vec<ScheduleCursor>, StoreError>;

    /// What a receiver was told that happened on a day: what it was about, and why.
    async fn alerts_of(
        &self,
        receiver: &'static str,
        day: NaiveDate,
    ) -> Result<HashSet<(String, String)>, StoreError>;

    /// Remembers that a receiver was told of something that happened on a day. What is a week older is forgotten.
    async fn remember_alert(
        &self,
        receiver: &'static str,
        about: &str,
        cause: &str,
        day: NaiveDate,
    ) -> Result<(), StoreError>;

    /// Writes down that the daemon was well at `now`, which proves that the ledger can be written. It can't where a
    /// post may not be begun either.
    async fn check_writable(&self, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Notes why the flock could not be reloaded, or that nothing is in the way any more.
    async fn keep_refused_reload(&self, why: Option<&Refusal>) -> Result<(), StoreError>;

    /// Why the flock could not be reloaded, if so.
    async fn refused_reload(&self) -> Result<Option<Refusal>, StoreError>;

    /// Keeps the configuration that the daemon runs.
    async fn keep_configuration(&self, running: &Configuration) -> Result<(), StoreError>;

    /// The configuration that the daemon runs, or ran last.
    async fn configuration(&self) -> Result<Option<Configuration>, StoreError>;

    /// One post.
    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError>;

    /// The ids that begin with `prefix`, in their order, a few at most: enough to tell one from several.
    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<PostId>, StoreError>;

    /// How many characters tell each of these ids from every other in the ledger.
    async fn distinct_id_length(&self, ids: &[PostId]) -> Result<usize, StoreError>;

    /// Posts, newest first.
    async fn posts(&self, filter: &Filter) -> Result<Vec<Post>, StoreError>;

    /// Posts that were planned from `from` on and before `until`, oldest first, at most so many.
    async fn planned_between(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<Post>, StoreError>;

    /// How many those are, however many.
    async fn count_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<u64, StoreError>;

    /// How much these bots have sent since then, by quarters of an hour, of which there are 96 in a day, counted from 1970.
    async fn sent_by_quarters(
        &self,
        bots: &[BotName],
        since: DateTime<Utc>,
    ) -> Result<Vec<(BotName, i64, u64)>, StoreError>;

    /// Writes down a wish for the sender, or that whoever made it still waits (its `made_at`).
    async fn submit_command(&self, command: &Command) -> Result<(), StoreError>;

    /// The wishes that nobody has answered, oldest first.
    async fn open_commands(&self) -> Result<Vec<Command>, StoreError>;

    /// Answers a wish.
    async fn command_result(&self, id: PostId, answer: &CommandResult) -> Result<(), StoreError>;

    /// Takes a wish up, so that it can't be withdrawn any more. `false` if it was withdrawn already.
    async fn claim_command(&self, id: PostId) -> Result<bool, StoreError>;

    /// The answer to a wish, once there is one.
    async fn finish_command(&self, id: PostId) -> Result<Option<CommandResult>, StoreError>;

    /// Takes a wish back. `false` if it was answered already, or taken up.
    async fn cancel_command(&self, id: PostId) -> Result<bool, StoreError>;

    /// Tells whoever sends to look at the wishes, and whether there is anybody. A lost ring does no harm:
    /// wishes are also looked at without one, only later.
    async fn notify(&self) -> bool;

    /// Waits until somebody rings. Only the holder is ever rung.
    async fn notified(&self);

    /// Tells this one of every commit from now on. Only the first that is given is told.
    fn time_commits(&self, ear: CommitEar);

    /// Hands over all that the ledger keeps of this bot, or of all of them, as of one instant: first what the export is, then
    /// bots, then posts. It ends early where whoever takes it wants no more. As long as that takes, what is written meanwhile
    /// stays beside the ledger.
    async fn export(
        &self,
        bot: Option<&BotName>,
        now: DateTime<Utc>,
        take: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError>;

    /// Takes in what another ledger has exported: all of it, or, if there is anything to complain of, nothing. What is here
    /// already is left as it is, unless it has come to rest there and not here. Posts that were still to be sent
    /// become `unknown`, and bots fall behind their accounts, as with a ledger that was put back from a copy, unless the
    /// flock [has moved](Arrivals::moved).
    async fn import(
        &self,
        arrivals: Arrivals,
        now: DateTime<Utc>,
    ) -> Result<Result<Imported, Vec<BadLine>>, StoreError>;

    /// Finishes what is being written and leaves the ledger tidy. Nothing can be asked of it afterwards.
    async fn close(&self);

    /// Copies the whole ledger, as of now, to a new file at `path`, which only its owner can read.
    async fn copy_to(&self, path: &Path) -> Result<(), StoreError>;

    /// The same as a backup, made at `now`: put in the ledger's place, it knows that it was.
    async fn back_up_to(&self, path: &Path, now: DateTime<Utc>) -> Result<(), StoreError>;
}

/// A bot as [`Store::enter`] needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: BotName,
    /// The name it had before.
    pub was: Option<BotName>,
    /// Its schedule with its zone: another text begins anew.
    pub schedule: String,
}

/// A bot that has an account, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountConflict {
    /// Its name, which may stand in `flock.toml` no more.
    pub bot: BotName,
    /// Whether its tokens are kept.
    pub signed_in: bool,
}

/// A bot that keeps no history of its old name, because both names have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRenamed {
    /// Its name.
    pub bot: BotName,
    /// The name that has a history of its own.
    pub was: BotName,
}

/// A post of the bot's account that was not in the ledger, and which line it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// The id that it gets here.
    pub id: PostId,
    /// The network.
    pub network: NetworkKind,
    /// The round and the line that it uses.
    pub line: (u32, LineId),
    /// The line's text.
    pub text: String,
    /// The network's id.
    pub remote_id: String,
    /// Where people can see it.
    pub url: Option<String>,
    /// When it was posted.
    pub at: DateTime<Utc>,
    /// The app under which it was, where the network has such a thing.
    pub app: Option<String>,
    /// What that cost, in thousandths of a US dollar.
    pub price: u32,
}

/// What was spent under an app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Posts.
    pub posts: u32,
    /// Money, in thousandths of a US dollar.
    pub milli_dollars: u64,
}

/// Which posts to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this bot only.
    pub bot: Option<BotName>,
    /// In this state only.
    pub state: Option<State>,
    /// On this network only.
    pub network: Option<NetworkKind>,
    /// Only those that are older than this post.
    pub before: Option<PostId>,
    /// At most so many; `None` for all.
    pub limit: Option<u32>,
}

/// Why the ledger did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The slot was used already, here or by another machine.
    #[error("the slot is used already")]
    SlotTaken,
    /// The line was used already in this round.
    #[error("the line is used already in this round")]
    LineTaken,
    /// The bot has an open post already.
    #[error("the bot has an open post already")]
    PostOpen,
    /// A move that is no edge of the states' picture.
    #[error("post {id} is {from} and can't become {to}")]
    IllegalMove {
        /// Which post.
        id: PostId,
        /// Where it is.
        from: State,
        /// Where it should have gone.
        to: State,
    },
    /// The credentials are not what the caller has read: another has changed them, or has them claimed.
    #[error("another flockd has changed the bot's credentials meanwhile: try again")]
    Overtaken,
    /// Another bot is signed in with the account.
    #[error(
        "bot {0} is signed in with this account: a bot needs one of its own; or `flockd unenroll {0}` first"
    )]
    AccountTaken(BotName),
    /// No such bot or post.
    #[error("{0} is not in the ledger")]
    NotFound(String),
    /// A change that the ledger's own rules forbid, for a reason that has no name here: a mistake of the
    /// program. Others in the same batch are not touched by it.
    #[error("{0}")]
    Refused(String),
    /// Another process holds the ledger.
    #[error("{0}")]
    Held(String),
    /// No room to write.
    #[error("the disk of the ledger {0} is full: make room; nothing is posted meanwhile")]
    Full(String),
    /// Anything else: which ledger, what it said, what to do.
    #[error("{0}")]
    Unusable(String),
}
