//! Exports a SQLite ledger, and imports what another ledger has exported.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::{Connection, SqliteConnection};

use super::error::{WriteError, explain};
use super::{row, sql};
use crate::flock::BotName;
use crate::flock::post::State;
use crate::store::StoreError;
use crate::store::transfer::{
    Arrivals, BadLine, ExportHeader, FORMAT, Imported, KeptAccount, KeptBot, KeptPost, Numbered, Record,
};

/// The text recorded for posts that may have been sent from the ledger that was exported.
const MAY_BE_SENT: &str =
    "the post comes from another ledger, and may have been sent from there since its export";
/// After this many bad lines, the import stops reading.
const COMPLAINTS: usize = 50;

/// Exports the bots and posts, as of one instant.
pub(super) async fn export(
    db: &mut SqliteConnection,
    bot: Option<&BotName>,
    now: DateTime<Utc>,
    take: &mut (dyn FnMut(Record) -> ControlFlow<()> + Send),
) -> Result<(), sqlx::Error> {
    let mut db = db.begin().await?;
    let (bots, posts) = sql::transfer::count(&mut db, bot).await?;
    let flockd = env!("CARGO_PKG_VERSION").to_owned();
    if take(Record::Export(ExportHeader { format: FORMAT, flockd, made_at: now, bots, posts })).is_break() {
        return Ok(());
    }
    for bot in sql::transfer::bots(&mut db, bot).await? {
        if take(Record::Bot(row::kept_bot(&bot)?)).is_break() {
            return Ok(());
        }
    }
    let mut rows = sql::transfer::posts(&mut db, bot);
    while let Some(post) = rows.try_next().await? {
        if take(Record::Post(Box::new(row::kept_post(&post)?))).is_break() {
            break;
        }
    }
    Ok(())
}

/// Imports everything, or nothing.
pub(super) async fn import(
    db: &mut SqliteConnection,
    arrivals: Arrivals,
    now: DateTime<Utc>,
) -> Result<Result<Imported, Vec<BadLine>>, WriteError> {
    // Rows arrive in any state, without the moves that lead there.
    let guards = sql::transfer::lift_guards(db).await?;
    let Arrivals { header, records, moved } = arrivals;
    let done = Import::new(db, &header, moved, now).await?.take_all(records).await;
    match done {
        Ok(Ok(imported)) => {
            sql::transfer::set_guards(db, &guards).await?;
            Ok(Ok(imported))
        }
        failed => match (sql::transfer::undo(db).await, failed) {
            (Ok(()), failed) => failed,
            // On a full disk, SQLite has already rolled everything back by itself.
            (Err(_), Err(trouble)) => Err(trouble),
            (Err(error), Ok(_)) => Err(error.into()),
        },
    }
}

/// An import in progress.
struct Import<'c> {
    db: &'c mut SqliteConnection,
    now: DateTime<Utc>,
    made_at: DateTime<Utc>,
    moved: bool,
    /// The bots in the file, and when the oldest post that this ledger had of each was planned.
    bots: HashMap<BotName, Option<DateTime<Utc>>>,
    /// The accounts that they post as.
    accounts: HashMap<BotName, KeptAccount>,
    /// The bots about which something is new here.
    touched: HashSet<BotName>,
    /// The number for a post older than everything that is here of its bot.
    before_all: i64,
    done: Imported,
    complaints: Vec<BadLine>,
}

impl<'c> Import<'c> {
    async fn new(
        db: &'c mut SqliteConnection,
        header: &ExportHeader,
        moved: bool,
        now: DateTime<Utc>,
    ) -> Result<Self, WriteError> {
        let posts = i64::try_from(header.posts).unwrap_or(i64::MAX / 2);
        let before_all = sql::transfer::first_number(db).await?.saturating_sub(posts);
        Ok(Self {
            db,
            now,
            made_at: header.made_at,
            moved,
            bots: HashMap::new(),
            accounts: HashMap::new(),
            touched: HashSet::new(),
            before_all,
            done: Imported::default(),
            complaints: Vec::new(),
        })
    }

    async fn take_all(
        mut self,
        records: impl Iterator<Item = Numbered> + Send,
    ) -> Result<Result<Imported, Vec<BadLine>>, WriteError> {
        for record in records {
            let complaint = match record {
                Ok((line, record)) => self.take(record).await?.err().map(|message| BadLine { line, message }),
                Err(complaint) => Some(complaint),
            };
            self.complaints.extend(complaint);
            if self.complaints.len() >= COMPLAINTS {
                break;
            }
        }
        if !self.complaints.is_empty() {
            return Ok(Err(self.complaints));
        }
        self.fall_behind().await?;
        Ok(Ok(self.done))
    }

    async fn take(&mut self, record: Record) -> Result<Result<(), String>, WriteError> {
        match record {
            Record::Export(_) => Ok(Ok(())),
            Record::Bot(bot) => self.take_bot(&bot).await,
            Record::Post(post) => self.take_post(*post).await,
        }
    }

    async fn take_bot(&mut self, bot: &KeptBot) -> Result<Result<(), String>, WriteError> {
        if self.bots.contains_key(&bot.name) {
            return Ok(Err(format!("bot {} is in the file twice", bot.name)));
        }
        let oldest = sql::transfer::oldest(self.db, &bot.name).await?.map(row::time);
        self.bots.insert(bot.name.clone(), oldest);
        self.accounts.extend(bot.account.clone().map(|account| (bot.name.clone(), account)));
        if sql::transfer::insert_bot(self.db, bot).await? {
            self.done.bots += 1;
            self.touched.insert(bot.name.clone());
        } else if sql::transfer::advance_last_slot(self.db, &bot.name, bot.last_slot).await? {
            self.touched.insert(bot.name.clone());
        }
        if let Some(seed) = bot.seed {
            sql::choosing::import_seed(self.db, &bot.name, seed).await?;
        }
        Ok(Ok(()))
    }

    async fn take_post(&mut self, post: KeptPost) -> Result<Result<(), String>, WriteError> {
        let Some(oldest) = self.bots.get(&post.bot).copied() else {
            return Ok(Err(format!("the file has a post of bot {}, and not the bot", post.bot)));
        };
        let place = oldest.filter(|oldest| post.planned_at < *oldest).map(|_| self.before_all);
        self.before_all += 1;
        let post = self.as_it_may_be(self.of_its_account(post));
        let inserted = match sql::transfer::insert_post(self.db, &post, place).await {
            Ok(inserted) => inserted,
            Err(error) => return in_the_way(&post, error),
        };
        if inserted {
            self.done.posts += 1;
            self.done.doubted += u64::from(post.state == State::Unknown);
            self.touched.insert(post.bot);
            return Ok(Ok(()));
        }
        self.meet(post).await
    }

    /// Handles a post that is already here.
    async fn meet(&mut self, post: KeptPost) -> Result<Result<(), String>, WriteError> {
        let Some(here) = sql::post(self.db, post.id).await? else {
            return Ok(Err(format!("post {} can't be written", post.id)));
        };
        let here = row::kept_post(&here)?;
        if !here.is_same(&post) {
            return Ok(Err(format!(
                "the ledger has another post with the id {}: this export is not of the same flock",
                post.id
            )));
        }
        let went_further = (here.state.is_open() && !post.state.is_open())
            || (here.state == State::Posted && post.state == State::Deleted)
            || (here.undone_by.is_none() && post.undone_by.is_some());
        if went_further {
            sql::transfer::move_on(self.db, &post).await?;
            self.done.moved_on += 1;
            self.touched.insert(post.bot);
        } else {
            self.done.known += 1;
        }
        Ok(Ok(()))
    }

    /// An older export does not say which account a post was sent from: it is the account that its bot had.
    fn of_its_account(&self, post: KeptPost) -> KeptPost {
        let account = self.accounts.get(&post.bot).filter(|account| account.network == post.network);
        let key = account.filter(|_| post.sent_at.is_some()).map(KeptAccount::key);
        KeptPost { account: post.account.or(key), ..post }
    }

    /// A post as its outcome is known on arrival: one that was being sent may have been sent, and so may, since the
    /// export, one that was still to be sent.
    fn as_it_may_be(&self, post: KeptPost) -> KeptPost {
        match post.state {
            State::Planned if self.moved => post,
            State::Planned | State::Sending => post.doubted(MAY_BE_SENT, self.now),
            _ => post,
        }
    }

    /// Marks the bots about which something is new as needing reconciliation: they may have posted since the export.
    async fn fall_behind(&mut self) -> Result<(), WriteError> {
        if self.moved {
            return Ok(());
        }
        for bot in &self.touched {
            sql::bot::require_reconciliation(self.db, Some(bot), self.made_at, self.now).await?;
        }
        self.done.behind = self.touched.drain().collect();
        self.done.behind.sort();
        Ok(())
    }
}

/// Why a post conflicts with what is here.
fn in_the_way(post: &KeptPost, error: sqlx::Error) -> Result<Result<(), String>, WriteError> {
    let bot = &post.bot;
    Ok(Err(match explain(&error, "") {
        StoreError::SlotTaken => {
            let slot = post.slot.unwrap_or(post.due_at).format("%Y-%m-%d %H:%M:%S UTC");
            format!("{bot} has another post for its slot of {slot} here: two daemons have posted for it")
        }
        StoreError::LineTaken => format!(
            "{bot} has another post of this line in round {} here: two daemons have posted for it",
            post.line.map_or(1, |line| line.round)
        ),
        StoreError::PostOpen => {
            format!(
                "{bot} has an open post here, which must come to rest first: see `flockd posts --bot {bot}`"
            )
        }
        StoreError::Refused(_) => {
            "a post can't be like this: the file was changed since its export".to_owned()
        }
        _ => return Err(error.into()),
    }))
}
