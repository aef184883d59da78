//! The ledger behind one trait: what was posted, what is in flight, and what people asked for.
//!
//! A store keeps the guarantees that must hold even if the engine is wrong: a slot and a line are used at most once, a
//! bot has at most one open post, and a post moves only along the edges of [`crate::flock::post`]. Which line or slot
//! to use is decided elsewhere.

mod bot_record;
mod command;
mod credential;
pub mod health_state;
mod mounts;
mod private;
pub mod sessions;
pub mod sqlite;
pub mod transfer;
pub mod vault;

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sha2::{Digest as _, Sha256};

pub use self::bot_record::{Beginning, Draft};
pub use self::bot_record::{Behind, BotRecord, Pause, ScheduleState};
pub use self::bot_record::{Configuration, Refusal};
pub use self::command::{Command, CommandKind, CommandResult};
pub use self::credential::{CredentialRow, MAX_LEASE, Sealed};
use self::sessions::Sessions;
use self::transfer::{Arrivals, BadLine, Imported, Record};
use crate::flock::account::Account;
use crate::flock::choose::{History, NO_ROUND, Seed};
use crate::flock::content::{Content, FileDigest};
use crate::flock::media::{MediaKind, ShownPictures, Upload};
use crate::flock::poem::{EntryId, EntryKey};
use crate::flock::post::{Move, Post, PostId, State, Why};
use crate::flock::{BotName, NetworkKind};

/// Identifies a flock to clients of its daemon: a digest of the ledger's path.
pub fn fingerprint_of(database: &str) -> String {
    let path = database.strip_prefix("sqlite:").unwrap_or(database);
    let path =
        std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.into());
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex::encode(&digest[..8])
}

/// Receives the duration of each commit, from its first write until the disk confirms it. It must return quickly.
pub type CommitEar = Box<dyn Fn(Duration) + Send + Sync>;

/// A ledger. A method that changes something returns once the change is durable.
#[async_trait]
pub trait Store: Sessions + Send + Sync {
    /// Registers the flock: new bots, renamed bots, changed schedules. A bot's slots begin when its schedule is first
    /// seen. A renamed bot keeps its credentials, unless it has already signed in under its new name. Returns the
    /// renames that could not be done.
    async fn upsert_bots(&self, bots: &[BotEntry], now: DateTime<Utc>)
    -> Result<Vec<NotRenamed>, StoreError>;

    /// Called by the process that becomes the sender: moves every post left in `sending` to `unknown`, and returns
    /// those posts. If the ledger was restored from a copy, every post still to be sent becomes `unknown` too, as it
    /// may have been sent since; every bot needs reconciliation until [`Store::finish_reconciliation`]; and slots up to
    /// now are over. Clears the refused reload that the previous sender recorded.
    async fn take_over(&self, now: DateTime<Utc>) -> Result<Vec<Post>, StoreError>;

    /// The record of a bot; `None` if the ledger has never had the bot.
    async fn bot_record(&self, bot: &BotName, now: DateTime<Utc>) -> Result<Option<BotRecord>, StoreError>;

    /// The lines that a bot has used in a round, and those that its account has recently used under other names.
    async fn used(&self, bot: &BotName, round: u32) -> Result<HashSet<EntryId>, StoreError>;

    /// The number of lines in [`Store::used`].
    async fn count_used(&self, bot: &BotName, round: u32) -> Result<u32, StoreError>;

    /// What matters for the next line of a bot with this record.
    async fn history(&self, bot: &BotName, record: &BotRecord) -> Result<History, StoreError> {
        let used = self.used(bot, record.round).await?;
        let used_before = match record.round {
            1 => HashSet::new(),
            round => self.used_before(bot, round).await?,
        };
        let used_dated = self.used(bot, NO_ROUND).await?;
        let BotRecord { seed, round, avoid, .. } = record;
        Ok(History { seed: *seed, round: *round, used, used_before, used_dated, avoid: avoid.clone() })
    }

    /// What [`Chooser::begin_round`](crate::flock::choose::Chooser::begin_round) has to know of a round.
    async fn round(
        &self,
        bot: &BotName,
        round: u32,
    ) -> Result<(HashSet<EntryId>, HashSet<EntryKey>), StoreError> {
        Ok((self.used(bot, round).await?, self.used_before(bot, round).await?))
    }

    /// The texts that a bot used in the rounds before this one, and all that its account used under other names.
    async fn used_before(&self, bot: &BotName, round: u32) -> Result<HashSet<EntryKey>, StoreError>;

    /// A bot's seed, drawn now if the bot has none yet. Works even before the bot is entered.
    async fn seed(&self, bot: &BotName) -> Result<Seed, StoreError>;

    /// When a bot's posts of the sixty minutes before `now` were sent, oldest first.
    async fn sent_last_hour(
        &self,
        bot: &BotName,
        now: DateTime<Utc>,
    ) -> Result<Vec<DateTime<Utc>>, StoreError>;

    /// The lines that a person passed over in this round or a later one, newest first, each with its round.
    async fn passed_over(&self, bot: &BotName, round: u32) -> Result<Vec<(u32, EntryId)>, StoreError>;

    /// Frees a line that a person passed over in a round, and returns its row. A line that the command `by` has already
    /// freed is returned as it is; `None` if there is nothing to free.
    async fn undo_pass(
        &self,
        bot: &BotName,
        line: Option<(u32, EntryId)>,
        by: PostId,
        now: DateTime<Utc>,
    ) -> Result<Option<Post>, StoreError>;

    /// How often the network rejected a text as a duplicate in a round.
    async fn duplicates(&self, bot: &BotName, round: u32, text: EntryKey) -> Result<u32, StoreError>;

    /// Opens a post, or records that a slot was given up. Either way, the slot counts as handled.
    async fn open(&self, draft: &Draft) -> Result<Post, StoreError>;

    /// Moves a post along one edge of the state graph.
    async fn advance(&self, id: PostId, step: &Move, now: DateTime<Utc>) -> Result<Post, StoreError>;

    /// Moves a post, and opens the next one of its thread, in one commit.
    async fn advance_and_open(
        &self,
        id: PostId,
        step: &Move,
        now: DateTime<Utc>,
        next: &Draft,
    ) -> Result<(Post, Post), StoreError>;

    /// The first post of a thread, and every attempt at its other parts, in the order of the parts and of the attempts.
    async fn thread(&self, head: PostId) -> Result<Vec<Post>, StoreError>;

    /// The posts that continue the threads that begin with these, thread by thread, in the order of [`Store::thread`].
    async fn parts_of(&self, heads: &[PostId]) -> Result<Vec<Post>, StoreError>;

    /// Whether the network denied an app the last reply that it tried.
    async fn replies_forbidden(&self, app: &str) -> Result<bool, StoreError>;

    /// What was uploaded for a post, by the place among its pictures, from 0.
    async fn uploads(&self, post: PostId) -> Result<BTreeMap<u32, Upload>, StoreError>;

    /// Records an upload for a post, made with this app, in place of an earlier one. What that has cost still counts.
    async fn keep_upload(
        &self,
        post: PostId,
        place: u32,
        upload: &Upload,
        app: Option<&str>,
    ) -> Result<(), StoreError>;

    /// Records that the network has processed an upload.
    async fn upload_processed(&self, post: PostId, place: u32) -> Result<(), StoreError>;

    /// Lets a post's uploads expire, so that they are made again before it is sent.
    async fn expire_uploads(&self, post: PostId, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Keeps a picture that the daemon serves, or that a person gave for a post, by the digest of its bytes.
    async fn keep_medium(
        &self,
        digest: FileDigest,
        picture: (MediaKind, &[u8]),
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// A picture that was kept.
    async fn medium(&self, digest: FileDigest) -> Result<Option<(MediaKind, Vec<u8>)>, StoreError>;

    /// The pictures of these posts on feeds, as far as they are kept.
    async fn shown_pictures(&self, posts: &[PostId]) -> Result<ShownPictures, StoreError>;

    /// Whether a post on a feed shows this picture to readers.
    async fn is_shown(&self, digest: FileDigest) -> Result<bool, StoreError>;

    /// Drops the kept pictures that no post shows any more, or may yet show.
    async fn drop_unused_media(&self, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Advances the bot's last slot to `newest`; `missed` of the slots passed without a post. The last slot never goes
    /// back.
    async fn advance_last_slot(
        &self,
        bot: &BotName,
        newest: DateTime<Utc>,
        missed: u32,
    ) -> Result<(), StoreError>;

    /// Undoes the skip of a slot, so that the slot is free again, and returns the skip's row. A skip that the command
    /// `by` has already undone is returned as it is; `None` if there is nothing to undo.
    async fn undo_skip(
        &self,
        bot: &BotName,
        slot: Option<DateTime<Utc>>,
        by: PostId,
        now: DateTime<Utc>,
    ) -> Result<Option<Post>, StoreError>;

    /// Pauses a bot's schedule from `now` on. `why` is set if no person asked for the pause.
    async fn pause(&self, bot: &BotName, why: Option<&str>, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Ends a pause; slots up to `now` are over. If the bot was paused because its account can't be read, it no longer
    /// needs reconciliation. A last slot that is ahead of `now`, because the clock was, is reset to `now`; slots that
    /// have a row stay used.
    async fn resume(&self, bot: &BotName, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Records, as posted, what was found on a bot's account and is missing here, and ends the bot's reconciliation.
    /// Skips lines that are already used. Returns the posts written.
    async fn finish_reconciliation(&self, bot: &BotName, found: &[Find]) -> Result<Vec<Post>, StoreError>;

    /// Records, as posted, what was found on a bot's account and is missing here. Like
    /// [`Store::finish_reconciliation`], but does not change whether the bot needs reconciliation.
    async fn note(&self, bot: &BotName, found: &[Find]) -> Result<Vec<Post>, StoreError>;

    /// Records why the account of a bot that needs reconciliation could not be read.
    async fn note_unreconciled(&self, bot: &BotName, why: &Why) -> Result<(), StoreError>;

    /// The subset of these network ids that belong to posts in the ledger.
    async fn known_ids(&self, network: NetworkKind, ids: &[String]) -> Result<HashSet<String>, StoreError>;

    /// Whether the bot has sent another post with this text, whatever its outcome.
    async fn text_sent_before(&self, post: &Post) -> Result<bool, StoreError>;

    /// What an app has spent on posts that were last sent at `since` or later. A post that may have been accepted
    /// counts.
    async fn spent(&self, app: &str, since: DateTime<Utc>) -> Result<Spent, StoreError>;

    /// Stores a bot's account on its network, and when the bot first had it. Works even before the ledger has the bot.
    async fn remember(&self, bot: &BotName, account: &Account) -> Result<(), StoreError>;

    /// A bot's account on its network, if it is known.
    async fn account(&self, bot: &BotName) -> Result<Option<Account>, StoreError>;

    /// The bots that have the same account as this one and had it first, in the order in which they got it.
    async fn account_conflicts(&self, bot: &BotName) -> Result<Vec<AccountConflict>, StoreError>;

    /// All bots with this account, except this one, in the order in which they got it.
    async fn with_account(
        &self,
        account: &Account,
        not: &BotName,
    ) -> Result<Vec<AccountConflict>, StoreError>;

    /// The other names under which a bot's account has used lines. Those lines count as used by the bot.
    async fn other_names(&self, bot: &BotName) -> Result<Vec<BotName>, StoreError>;

    /// The lines in [`Store::used`] that the account has used under these names.
    async fn used_elsewhere(&self, bot: &BotName, round: u32) -> Result<HashSet<EntryId>, StoreError>;

    /// The credential row of a bot, even before the ledger has the bot.
    async fn credential(&self, bot: &BotName) -> Result<CredentialRow, StoreError>;

    /// The credential rows of all bots that are signed in.
    async fn credentials(&self) -> Result<Vec<(BotName, CredentialRow)>, StoreError>;

    /// Signs a bot in: stores its tokens and its account together, in place of version `replaces`. This ends any lease
    /// on the old tokens. [`StoreError::Overtaken`] if that version is no longer current, or if another bot's tokens
    /// are sealed with another key; [`StoreError::AccountTaken`] if another bot is signed in with this account.
    async fn sign_in(
        &self,
        bot: &BotName,
        account: &Account,
        sealed: &Sealed,
        replaces: u64,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// Stores renewed tokens in place of version `replaces`, and ends the lease on them. [`StoreError::Overtaken`] as
    /// in [`Store::sign_in`], and if the bot was signed out.
    async fn renewed(&self, bot: &BotName, sealed: &Sealed, replaces: u64) -> Result<(), StoreError>;

    /// Replaces the tokens of every bot that is signed in, and the registrations of apps, by the same data sealed with
    /// another key: all of them, or none. [`StoreError::Overtaken`] if these are not all of them, if one is not of the
    /// version given with it, or if one is leased.
    async fn reseal(
        &self,
        all: &[(BotName, Sealed, u64)],
        apps: &[(String, Sealed)],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError>;

    /// The registration of every app that registered itself on its server.
    async fn registrations(&self) -> Result<Vec<(String, Sealed)>, StoreError>;

    /// Stores what an app registered, replacing its previous registration.
    async fn keep_registration(&self, app: &str, sealed: &Sealed) -> Result<(), StoreError>;

    /// Signs a bot out: deletes its tokens, if they are of version `replaces`, and its account.
    async fn sign_out(&self, bot: &BotName, replaces: u64) -> Result<(), StoreError>;

    /// Leases a bot's tokens until `until`, but no longer than [`MAX_LEASE`], so that no other process renews them
    /// meanwhile. `false` if they are not of this version, or already leased.
    async fn lease_credential(
        &self,
        bot: &BotName,
        version: u64,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Releases the lease on tokens of this version early. Does nothing to tokens of another version.
    async fn release_credential(&self, bot: &BotName, version: u64) -> Result<(), StoreError>;

    /// How far the schedule of every bot has come, including bots that have left the flock.
    async fn schedule_states(&self) -> Result<Vec<ScheduleState>, StoreError>;

    /// The alerts that a target was sent about one day: what each was about, and why.
    async fn alerts_of(
        &self,
        receiver: &'static str,
        day: NaiveDate,
    ) -> Result<HashSet<(String, String)>, StoreError>;

    /// Records that an alert target was told of something that happened on a day. Deletes alerts from more than a week
    /// before that.
    async fn remember_alert(
        &self,
        receiver: &'static str,
        about: &str,
        cause: &str,
        day: NaiveDate,
    ) -> Result<(), StoreError>;

    /// Records that the daemon was healthy at `now`, which proves that the ledger can be written. Fails wherever
    /// beginning a post would fail, too.
    async fn check_writable(&self, now: DateTime<Utc>) -> Result<(), StoreError>;

    /// Records why the flock could not be reloaded; `None` if nothing is in the way any more.
    async fn keep_refused_reload(&self, why: Option<&Refusal>) -> Result<(), StoreError>;

    /// Why the flock could not be reloaded, if the last reload was refused.
    async fn refused_reload(&self) -> Result<Option<Refusal>, StoreError>;

    /// Stores the configuration that the daemon runs.
    async fn keep_configuration(&self, running: &Configuration) -> Result<(), StoreError>;

    /// The configuration that the daemon is running, or ran last.
    async fn configuration(&self) -> Result<Option<Configuration>, StoreError>;

    /// One post.
    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError>;

    /// The ids that begin with `prefix`, in order. Returns only a few: enough to tell one match from several.
    async fn ids_with_prefix(&self, prefix: &str) -> Result<Vec<PostId>, StoreError>;

    /// How many leading characters distinguish each of these ids from every other id in the ledger.
    async fn distinct_id_length(&self, ids: &[PostId]) -> Result<usize, StoreError>;

    /// Posts, newest first; of each thread only the first.
    async fn posts(&self, filter: &Filter) -> Result<Vec<Post>, StoreError>;

    /// Posts planned at `from` or later and before `until`, oldest first; at most `most` of them.
    async fn planned_between(
        &self,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<Post>, StoreError>;

    /// The number of posts in that period, without a limit.
    async fn count_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<u64, StoreError>;

    /// How many posts these bots have sent since then, by quarter of an hour (96 a day), counted from 1970.
    async fn sent_by_quarters(
        &self,
        bots: &[BotName],
        since: DateTime<Utc>,
    ) -> Result<Vec<(BotName, i64, u64)>, StoreError>;

    /// Submits a command to the sender, or renews its `made_at` while the caller is still waiting.
    async fn submit_command(&self, command: &Command) -> Result<(), StoreError>;

    /// The commands without a result, oldest first.
    async fn open_commands(&self) -> Result<Vec<Command>, StoreError>;

    /// Stores the result of a command.
    async fn finish_command(&self, id: PostId, answer: &CommandResult) -> Result<(), StoreError>;

    /// Claims a command, so that it can no longer be canceled. `false` if it was canceled already.
    async fn claim_command(&self, id: PostId) -> Result<bool, StoreError>;

    /// The result of a command, once there is one.
    async fn command_result(&self, id: PostId) -> Result<Option<CommandResult>, StoreError>;

    /// Cancels a command. `false` if it was claimed, or has a result already.
    async fn cancel_command(&self, id: PostId) -> Result<bool, StoreError>;

    /// Tells the sender to look at the commands; `false` if there is no sender. A lost notification does no harm: the
    /// sender looks without one too, only later.
    async fn notify(&self) -> bool;

    /// Waits for a notification. Only the owner is ever notified.
    async fn notified(&self);

    /// Registers a callback for the duration of every commit from now on. Only the first one registered is called.
    fn time_commits(&self, ear: CommitEar);

    /// Exports everything the ledger keeps of this bot, or of all bots, as of one instant: first the header, then bots,
    /// then posts. Stops early if `take` asks for it. Until the export ends, what is written meanwhile stays in a log
    /// beside the ledger.
    async fn export(
        &self,
        bot: Option<&BotName>,
        now: DateTime<Utc>,
        take: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
    ) -> Result<(), StoreError>;

    /// Imports what another ledger has exported: all of it, or nothing if any line is bad. Posts that are already here
    /// stay as they are, unless they have come to rest there and not here. Posts that were still to be sent become
    /// `unknown`, and bots need reconciliation, as with a ledger that was restored from a copy, unless the flock [has
    /// moved](Arrivals::moved).
    async fn import(
        &self,
        arrivals: Arrivals,
        now: DateTime<Utc>,
    ) -> Result<Result<Imported, Vec<BadLine>>, StoreError>;

    /// Finishes pending writes and leaves the ledger tidy. The store can't be used afterwards.
    async fn close(&self);

    /// Copies the whole ledger, as of now, to a new file at `path` that only its owner can read.
    async fn copy_to(&self, path: &Path) -> Result<(), StoreError>;

    /// Like [`Store::copy_to`], but makes a backup, dated `now`: when restored, it knows that it is a copy.
    async fn back_up_to(&self, path: &Path, now: DateTime<Utc>) -> Result<(), StoreError>;
}

/// A bot as [`Store::upsert_bots`] needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotEntry {
    /// Its name.
    pub name: BotName,
    /// Its previous name.
    pub was: Option<BotName>,
    /// Its schedule, with the zone. Another text restarts its slots.
    pub schedule: String,
}

/// Another bot that has the same account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountConflict {
    /// Its name, which may no longer be in `flock.toml`.
    pub bot: BotName,
    /// Whether the ledger has its tokens.
    pub signed_in: bool,
}

/// A bot that did not get the history of its old name, because both names have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRenamed {
    /// Its name.
    pub bot: BotName,
    /// The old name, which has a history of its own.
    pub was: BotName,
}

/// A post found on the bot's account that was not in the ledger, and the line that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// Its new id in the ledger.
    pub id: PostId,
    /// The network.
    pub network: NetworkKind,
    /// The round and the entry that it uses; `None` for a part after the first.
    pub entry: Option<(u32, EntryId)>,
    /// The first post of the thread that it continues, and which part it is.
    pub continues: Option<(PostId, u32)>,
    /// Its text; of a thread's first post, all of it.
    pub text: String,
    /// What it says, if that is more than the text, with what the posts that continue it say.
    pub content: Option<Content>,
    /// The network's id for it.
    pub remote_id: String,
    /// Its public address.
    pub url: Option<String>,
    /// When it was posted.
    pub at: DateTime<Utc>,
    /// The app that posted it, if the network has apps.
    pub app: Option<String>,
    /// What it cost, in thousandths of a US dollar.
    pub price: u32,
}

/// What an app has spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// The number of posts.
    pub posts: u32,
    /// Money, in thousandths of a US dollar.
    pub milli_dollars: u64,
}

/// Which posts to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only posts of this bot.
    pub bot: Option<BotName>,
    /// Only posts in this state.
    pub state: Option<State>,
    /// Only posts on this network.
    pub network: Option<NetworkKind>,
    /// Only posts older than this one.
    pub before: Option<PostId>,
    /// At most this many; `None` for all.
    pub limit: Option<u32>,
}

/// Why the ledger rejected a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The slot is already used, here or by another machine.
    #[error("the slot is used already")]
    SlotTaken,
    /// The line is already used in this round.
    #[error("the line is used already in this round")]
    LineTaken,
    /// The bot already has an open post.
    #[error("the bot has an open post already")]
    PostOpen,
    /// A move that is not an edge of the state graph.
    #[error("post {id} is {from} and can't become {to}")]
    IllegalMove {
        /// The post.
        id: PostId,
        /// Its current state.
        from: State,
        /// The requested state.
        to: State,
    },
    /// The credentials changed since the caller read them, or another process has leased them.
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
    /// A change that the ledger's own rules forbid, for a reason without a variant here: a bug. Other changes in the
    /// same batch are unaffected.
    #[error("{0}")]
    Refused(String),
    /// Another process has the lock of the ledger, and owns it.
    #[error("{0}")]
    Locked(String),
    /// The disk is full.
    #[error("the disk of the ledger {0} is full: make room; nothing is posted meanwhile")]
    Full(String),
    /// Anything else: which ledger, what went wrong, what to do.
    #[error("{0}")]
    Unusable(String),
}
