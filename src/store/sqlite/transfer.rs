//! How a SQLite ledger hands over what it keeps, and takes in what another has handed over.

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

/// The text recorded for posts that may have been sent where the export is from.
const MAY_BE_SENT: &str =
    "the post comes from another ledger, and may have been sent from there since its export";
/// After so many complaints nothing more is looked at.
const COMPLAINTS: usize = 50;

/// Hands over the bots and posts, as of one instant.
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

/// Takes in all that arrives, or nothing.
pub(super) async fn import(
    db: &mut SqliteConnection,
    arrivals: Arrivals,
    now: DateTime<Utc>,
) -> Result<Result<Imported, Vec<BadLine>>, WriteError> {
    // Rows arrive in every state, and not by the way that leads there.
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
            // On a full disk SQLite has undone all of it by itself.
            (Err(_), Err(trouble)) => Err(trouble),
            (Err(error), Ok(_)) => Err(error.into()),
        },
    }
}

/// An import under way.
struct Import<'c> {
    db: &'c mut SqliteConnection,
    now: DateTime<Utc>,
    made_at: DateTime<Utc>,
    moved: bool,
    /// The bots of the file, and when the oldest post was planned that this ledger had of each.
    bots: HashMap<BotName, Option<DateTime<Utc>>>,
    /// Whose accounts they post as.
    accounts: HashMap<BotName, KeptAccount>,
    /// Those of them of which something is new here.
    touched: HashSet<BotName>,
    /// Where a post goes that is older than all that is here of its bot.
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
        } else if sql::transfer::consider(self.db, &bot.name, bot.considered).await? {
            self.touched.insert(bot.name.clone());
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

    /// The post is here already.
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

    /// An older export does not say under which account a post was sent: that is the one that its bot had.
    fn of_its_account(&self, post: KeptPost) -> KeptPost {
        let account = self.accounts.get(&post.bot).filter(|account| account.network == post.network);
        let key = account.filter(|_| post.sent_at.is_some()).map(KeptAccount::key);
        KeptPost { account: post.account.or(key), ..post }
    }

    /// What is known of a post that arrives: what was being sent there may have arrived, and so may, since the export, what
    /// was still to be sent.
    fn as_it_may_be(&self, post: KeptPost) -> KeptPost {
        match post.state {
            State::Planned if self.moved => post,
            State::Planned | State::Sending => post.doubted(MAY_BE_SENT, self.now),
            _ => post,
        }
    }

    /// Bots of which something is new may have posted since the export.
    async fn fall_behind(&mut self) -> Result<(), WriteError> {
        if self.moved {
            return Ok(());
        }
        for bot in &self.touched {
            sql::bot::fall_behind(self.db, Some(bot), self.made_at, self.now).await?;
        }
        self.done.behind = self.touched.drain().collect();
        self.done.behind.sort();
        Ok(())
    }
}

/// Why a post can't stand beside what is here.
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
