//! The ledger in a SQLite file: the default, for one machine.
//!
//! One connection writes ([`writer`]), a few read. Every statement stands in [`sql`]; opening and its many
//! ways to fail in [`open`]. Only the holder of the [`lock`] sends posts; any number may read and wish.

mod bell;
mod copy;
mod lock;
mod open;
mod row;
mod sql;
mod writer;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use super::{Answer, Draft, Entry, Filter, NotRenamed, Standing, Store, StoreError, Wish};
use crate::flock::poem::{LineId, TextId};
use crate::flock::post::{Move, Post, PostId};
use crate::flock::{Account, BotName};

/// A SQLite ledger.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    writer: writer::Writer,
    readers: SqlitePool,
    bell: Option<bell::Bell>,
    _lock: Option<lock::Lock>,
}

/// The text recorded for posts that the last holder left in `sending`.
const INTERRUPTED: &str = "flockd ended while this post was being sent";

impl Sqlite {
    /// Opens the ledger as its holder, who alone sends: makes it if it is not there, and brings its tables up
    /// to date. `database` is `sqlite:PATH`.
    pub async fn hold(database: &str) -> Result<Self, StoreError> {
        open::hold(database).await
    }

    /// Opens the ledger beside its holder, to read and to wish; `None` if there is no ledger yet.
    pub async fn beside(database: &str) -> Result<Option<Self>, StoreError> {
        open::beside(database).await
    }

    async fn reader(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &sqlx::Error) -> StoreError {
        explain(error, &self.path.display().to_string())
    }
}

/// Calls one function of `sql` with a reader.
macro_rules! read {
    ($self:ident, $statement:ident ( $($argument:expr),* )) => {{
        let mut reader = $self.reader().await?;
        sql::$statement(&mut reader, $($argument),*).await.map_err(|error| $self.explain(&error))
    }};
}

/// Has the writer do something with its connection `db`, moving copies of what it needs.
macro_rules! write {
    ($self:ident, |$db:ident| $work:expr) => {{
        let ledger = $self.path.display().to_string();
        $self
            .writer
            .write(move |$db| {
                Box::pin(async move { $work.await.map_err(|error: Trouble| error.explain(&ledger)) })
            })
            .await
    }};
}

#[async_trait]
impl Store for Sqlite {
    async fn enter(&self, bots: &[Entry], now: DateTime<Utc>) -> Result<Vec<NotRenamed>, StoreError> {
        let bots = bots.to_vec();
        write!(self, |db| enter(db, bots, now))
    }

    async fn take_over(&self, now: DateTime<Utc>) -> Result<Vec<Post>, StoreError> {
        write!(self, |db| take_over(db, now))
    }

    async fn standing(&self, bot: &BotName, now: DateTime<Utc>) -> Result<Option<Standing>, StoreError> {
        let mut reader = self.reader().await?;
        standing(&mut reader, bot, now).await.map_err(|error| self.explain(&error))
    }

    async fn used(&self, bot: &BotName, round: u32) -> Result<HashSet<LineId>, StoreError> {
        let rows = read!(self, used(bot, round))?;
        rows.iter().map(row::line).collect::<Result<_, _>>().map_err(|error| self.explain(&error))
    }

    async fn duplicates(&self, bot: &BotName, round: u32, text: TextId) -> Result<u32, StoreError> {
        read!(self, count_duplicates(bot, round, text))
    }

    async fn open(&self, draft: &Draft) -> Result<Post, StoreError> {
        let draft = draft.clone();
        write!(self, |db| open_post(db, draft))
    }

    async fn advance(&self, id: PostId, step: &Move, now: DateTime<Utc>) -> Result<Post, StoreError> {
        let step = step.clone();
        write!(self, |db| advance(db, id, step, now))
    }

    async fn consider(&self, bot: &BotName, newest: DateTime<Utc>, missed: u32) -> Result<(), StoreError> {
        let bot = bot.clone();
        write!(self, |db| async { known(&bot, sql::consider(db, &bot, newest, missed).await?) })
    }

    async fn remember(&self, bot: &BotName, account: &Account) -> Result<(), StoreError> {
        let (bot, account) = (bot.clone(), account.clone());
        write!(self, |db| async { known(&bot, sql::remember(db, &bot, &account).await?) })
    }

    async fn post(&self, id: PostId) -> Result<Option<Post>, StoreError> {
        let row = read!(self, post(id))?;
        row.as_ref().map(row::post).transpose().map_err(|error| self.explain(&error))
    }

    async fn posts(&self, filter: &Filter) -> Result<Vec<Post>, StoreError> {
        let rows = read!(self, posts(filter))?;
        posts_of(&rows).map_err(|error| self.explain(&error))
    }

    async fn wish(&self, wish: &Wish) -> Result<(), StoreError> {
        let (wish, what) = (wish.clone(), as_json(&wish.what)?);
        write!(self, |db| async { Ok(sql::insert_wish(db, &wish, &what).await?) })
    }

    async fn open_wishes(&self) -> Result<Vec<Wish>, StoreError> {
        let rows = read!(self, open_wishes())?;
        rows.iter().map(row::wish).collect::<Result<_, _>>().map_err(|error| self.explain(&error))
    }

    async fn take(&self, id: PostId) -> Result<bool, StoreError> {
        write!(self, |db| async { Ok(sql::take_wish(db, id).await?) })
    }

    async fn answer(&self, id: PostId, answer: &Answer) -> Result<(), StoreError> {
        let answer = as_json(answer)?;
        write!(self, |db| async { Ok(sql::answer_wish(db, id, &answer).await?) })
    }

    async fn answered(&self, id: PostId) -> Result<Option<Answer>, StoreError> {
        let answer = read!(self, wish_answer(id))?;
        let unreadable =
            |error| StoreError::Unusable(format!("the answer to wish {id} can't be read: {error}"));
        answer.map(|answer| serde_json::from_str(&answer).map_err(unreadable)).transpose()
    }

    async fn withdraw(&self, id: PostId) -> Result<bool, StoreError> {
        write!(self, |db| async { Ok(sql::withdraw_wish(db, id).await?) })
    }

    async fn ring(&self) -> bool {
        bell::ring(&self.path).is_ok()
    }

    async fn rung(&self) {
        match &self.bell {
            Some(bell) => bell.rung().await,
            None => std::future::pending().await,
        }
    }

    async fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        let mut reader = self.reader().await?;
        copy::copy(&mut reader, path).await
    }
}

/// What went wrong in a job: the database, or a rule.
enum Trouble {
    Database(sqlx::Error),
    Rule(StoreError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Trouble {
    fn explain(self, ledger: &str) -> StoreError {
        match self {
            Self::Database(error) => explain(&error, ledger),
            Self::Rule(error) => error,
        }
    }
}

async fn enter(
    db: &mut SqliteConnection,
    bots: Vec<Entry>,
    now: DateTime<Utc>,
) -> Result<Vec<NotRenamed>, Trouble> {
    let not_renamed = rename(db, &bots).await?;
    for entry in &bots {
        sql::enter_bot(db, entry, now).await?;
    }
    Ok(not_renamed)
}

/// Renames what can be renamed, before any new name is entered: a name that one bot gives up is free for
/// another, in whatever order they come.
async fn rename(db: &mut SqliteConnection, bots: &[Entry]) -> Result<Vec<NotRenamed>, Trouble> {
    let asked = |entry: &Entry| entry.was.clone().map(|was| NotRenamed { bot: entry.name.clone(), was });
    let mut waiting: Vec<NotRenamed> = bots.iter().filter_map(asked).collect();
    loop {
        let mut in_the_way = Vec::new();
        let before = waiting.len();
        for rename in waiting {
            if !sql::rename_bot(db, &rename.was, &rename.bot).await? && sql::has_bot(db, &rename.was).await? {
                in_the_way.push(rename);
            }
        }
        if in_the_way.len() == before || in_the_way.is_empty() {
            return Ok(in_the_way);
        }
        waiting = in_the_way;
    }
}

fn known(bot: &BotName, found: bool) -> Result<(), Trouble> {
    if found { Ok(()) } else { Err(stranger(bot)) }
}

fn stranger(bot: &BotName) -> Trouble {
    Trouble::Rule(StoreError::NotFound(format!("bot {bot}")))
}

async fn take_over(db: &mut SqliteConnection, now: DateTime<Utc>) -> Result<Vec<Post>, Trouble> {
    sql::forget_answered(db, now).await?;
    let rows = sql::doubt_all(db, INTERRUPTED, now).await?;
    Ok(posts_of(&rows)?)
}

async fn open_post(db: &mut SqliteConnection, draft: Draft) -> Result<Post, Trouble> {
    // The one foreign key of a post is its bot.
    let row = sql::insert_post(db, &draft).await.map_err(|error| match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => stranger(&draft.bot),
        _ => error.into(),
    })?;
    if let Some(slot) = draft.slot {
        sql::consider(db, &draft.bot, slot, draft.missed).await?;
    }
    Ok(row::post(&row)?)
}

async fn advance(
    db: &mut SqliteConnection,
    id: PostId,
    step: Move,
    now: DateTime<Utc>,
) -> Result<Post, Trouble> {
    if let Some(row) = sql::move_post(db, id, &step, now).await? {
        return Ok(row::post(&row)?);
    }
    Err(Trouble::Rule(match sql::post(db, id).await? {
        None => StoreError::NotFound(format!("post {id}")),
        Some(row) => StoreError::IllegalMove { id, from: row::post(&row)?.state, to: step.to() },
    }))
}

async fn standing(
    db: &mut SqliteConnection,
    name: &BotName,
    now: DateTime<Utc>,
) -> Result<Option<Standing>, sqlx::Error> {
    use sqlx::{Connection, Row};
    // One transaction: what is read together was true together.
    let mut db = db.begin().await?;
    let Some(bot) = sql::bot(&mut db, name).await? else { return Ok(None) };
    let optional = |row: Option<SqliteRow>| row.as_ref().map(row::post).transpose();
    let last_posted = optional(sql::last_posted(&mut db, name).await?)?;
    let duplicates = sql::duplicates_since(&mut db, name, last_posted.as_ref().map(|post| post.id)).await?;
    let mut avoid = duplicates.iter().map(|id| row::text_id(id)).collect::<Result<HashSet<_>, _>>()?;
    avoid.extend(last_posted.iter().flat_map(|post| &post.text).map(|text| TextId::of(text)));
    Ok(Some(Standing {
        considered: row::time(bot.try_get("considered")?),
        missed: bot.try_get::<i64, _>("missed")?.unsigned_abs(),
        account: row::account(&bot)?,
        round: sql::round(&mut db, name).await?.unwrap_or(1),
        open: optional(sql::open_post(&mut db, name).await?)?,
        last: optional(sql::last_post(&mut db, name).await?)?,
        last_posted,
        avoid,
        sent_last_hour: sql::sent_since(&mut db, name, now - TimeDelta::hours(1)).await?,
    }))
}

fn posts_of(rows: &[SqliteRow]) -> Result<Vec<Post>, sqlx::Error> {
    rows.iter().map(row::post).collect()
}

fn as_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unusable(error.to_string()))
}

/// What an error of the database means, in the ledger's words.
fn explain(error: &sqlx::Error, ledger: &str) -> StoreError {
    let Some(database) = error.as_database_error() else {
        return StoreError::Unusable(format!("the ledger {ledger} can't be used: {error}"));
    };
    let (code, message) = (database.code().unwrap_or_default(), database.message());
    // Result codes: https://www.sqlite.org/rescode.html; the low byte is the primary one.
    match code.parse::<i32>().unwrap_or(0) & 0xff {
        13 => StoreError::Full(ledger.to_owned()),
        19 => broken_rule(message).unwrap_or_else(|| {
            StoreError::Refused(format!("the ledger {ledger} refused a change: {message}"))
        }),
        26 => StoreError::Unusable(format!("{ledger} is not a ledger: point `database` at another file")),
        5 | 6 => StoreError::Unusable(format!(
            "the ledger {ledger} is locked by another program: close what has it open"
        )),
        8 => StoreError::Unusable(format!("the ledger {ledger} can't be written: make it writable")),
        11 => StoreError::Unusable(format!("the ledger {ledger} is damaged: put a backup in its place")),
        _ => StoreError::Unusable(format!("the ledger {ledger} can't be used: {message}")),
    }
}

/// The rule that a change would have broken; SQLite names the columns of the index.
fn broken_rule(message: &str) -> Option<StoreError> {
    let columns = message.strip_prefix("UNIQUE constraint failed: ")?;
    match columns {
        "post.bot, post.slot" => Some(StoreError::SlotTaken),
        "post.bot, post.round, post.line, post.occurrence" => Some(StoreError::LineTaken),
        "post.bot" => Some(StoreError::PostOpen),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
