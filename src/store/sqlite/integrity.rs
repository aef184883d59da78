//! All that can be looked at in a ledger. What is looked at when it is opened is less, as a start must not take long: a byte that
//! has changed inside of a text, say, is found here only.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use sqlx::{Connection, Row, SqliteConnection};

use super::super::StoreError;
use super::error::explain;
use super::restore::{Content, content};
use super::{Sqlite, lock, open, row, schema};
use crate::flock::poem::TextId;
use crate::flock::post::Cause;

/// So many findings of each kind are told.
const TOLD: usize = 10;
/// So many posts are read at a time, so that a daemon's log is not kept from being brought back into the ledger for long.
const PAGE: i64 = 5_000;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The file as SQLite knows it: pages, rows, indices.
    Structure,
    /// So many posts of so many were read.
    Posts(u64, u64),
}

impl Sqlite {
    /// Looks at all of the ledger but its sealed tokens, which need a key, and says what is wrong with it. A daemon may run
    /// meanwhile.
    pub async fn examine(
        &self,
        now: DateTime<Utc>,
        progress: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Vec<String>, StoreError> {
        // A connection of its own: readers are few.
        let mut db = open::connect_to_read(&self.path).await?;
        let found = all(&mut db, &self.path, Some(now), progress).await;
        let _ = db.close().await;
        found
    }
}

impl Sqlite {
    /// What is in the ledger.
    pub async fn content(&self) -> Result<Content, StoreError> {
        let mut reader = self.reader().await?;
        content(&mut reader).await.map_err(|error| self.explain(&error))
    }

    /// The version of flockd that was the last to hold the ledger, if that can be read.
    pub async fn written_by(&self) -> Option<String> {
        let select = "select value from meta where key = 'written_by'";
        let mut reader = self.reader().await.ok()?;
        sqlx::query_scalar(select).fetch_optional(&mut *reader).await.ok().flatten()
    }

    /// The process that holds a ledger, by what it wrote into the lock's file: it may have ended since.
    pub fn holder(database: &str) -> Option<u32> {
        lock::named_holder(&open::place_of(database).ok()?)
    }
}

/// The same over a connection. Without `now` a post from the future is as good as any.
pub(super) async fn all(
    db: &mut SqliteConnection,
    ledger: &Path,
    now: Option<DateTime<Utc>>,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Vec<String>, StoreError> {
    let failed = |error: sqlx::Error| explain(&error, &ledger.display().to_string());
    progress(Step::Structure);
    let mut findings = structure(db).await.map_err(failed)?;
    if !findings.is_empty() {
        // Rows of a damaged file say what they like.
        return Ok(findings);
    }
    if open::is_newest(db, ledger).await? {
        findings.extend(schema::lacking(db).await.map_err(failed)?.into_iter().take(TOLD));
        findings.extend(rules(db).await.map_err(failed)?);
        findings.extend(posts(db, now, progress).await.map_err(failed)?);
    }
    Ok(findings)
}

/// What SQLite itself finds.
async fn structure(db: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let found: Vec<String> = sqlx::query_scalar("pragma integrity_check(10)").fetch_all(&mut *db).await?;
    let mut findings: Vec<String> = found.into_iter().filter(|finding| finding != "ok").collect();
    let strays = sqlx::query("pragma foreign_key_check").fetch_all(db).await?;
    for stray in strays.iter().take(TOLD) {
        let (table, parent): (String, String) = (stray.try_get(0)?, stray.try_get(2)?);
        findings.push(format!("a row of {table} belongs to no {parent}"));
    }
    Ok(findings)
}

/// What must never be, whatever an index says: each statement counts what breaks one of the ledger's promises.
const RULES: &[(&str, &str)] = &[
    (
        "slots are used more than once",
        "select count(*) from (select 1 from post not indexed where slot is not null and undone_by is null group by bot, slot having count(*) > 1)",
    ),
    (
        "lines are used more than once in a round",
        "select count(*) from (select 1 from post not indexed where line is not null and state <> 'released' \
         group by bot, round, line, occurrence having count(*) > 1)",
    ),
    (
        "bots have more than one open post",
        "select count(*) from (select 1 from post not indexed where state in ('planned', 'sending', 'unknown') \
         group by bot having count(*) > 1)",
    ),
    (
        "bots that are signed in have no account",
        "select count(*) from credential c where sealed is not null and not exists (select 1 from account a where a.bot = c.bot)",
    ),
];

async fn rules(db: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut findings = Vec::new();
    for (broken, count) in RULES {
        let number: i64 = sqlx::query_scalar(*count).fetch_one(&mut *db).await?;
        if number > 0 {
            findings.push(format!("{number} {broken}"));
        }
    }
    Ok(findings)
}

/// Reads every post as the engine would.
async fn posts(
    db: &mut SqliteConnection,
    now: Option<DateTime<Utc>>,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Vec<String>, sqlx::Error> {
    let number: i64 = sqlx::query_scalar("select count(*) from post").fetch_one(&mut *db).await?;
    let (mut findings, mut last, mut read) = (Vec::new(), i64::MIN, 0);
    loop {
        progress(Step::Posts(read, number.unsigned_abs()));
        let before = read;
        let select = "select * from post where number > ?1 order by number limit ?2";
        let mut rows = sqlx::query(select).bind(last).bind(PAGE).fetch(&mut *db);
        while let Some(row) = rows.try_next().await? {
            last = row.try_get("number")?;
            read += 1;
            if let Some(wrong) = wrong_with(&row, now).filter(|_| findings.len() < TOLD) {
                findings.push(format!("post number {last}: {wrong}"));
            }
        }
        if read == before {
            return Ok(findings);
        }
    }
}

/// What is wrong with a post.
fn wrong_with(row: &sqlx::sqlite::SqliteRow, now: Option<DateTime<Utc>>) -> Option<String> {
    let post = match row::post(row) {
        Ok(post) => post,
        Err(error) => return Some(error.to_string()),
    };
    if let (Some((_, line)), Some(text)) = (&post.line, &post.text)
        && line.text != TextId::of(text)
    {
        return Some("its text is not the line that it counts for: one of the two has changed".to_owned());
    }
    let cause: Option<&str> = row.try_get("cause").ok().flatten();
    if cause.is_some_and(|cause| Cause::from_word(cause).is_none()) {
        return Some("its cause is none that flockd knows".to_owned());
    }
    let times = [Some(post.planned_at), post.sent_at, post.settled_at];
    let ahead = times
        .into_iter()
        .flatten()
        .max()
        .filter(|latest| now.is_some_and(|now| *latest - now > TimeDelta::days(1)));
    ahead.map(|latest| {
        format!(
            "it is from {}, which is still to come: a clock was ahead",
            latest.format("%Y-%m-%d %H:%M UTC")
        )
    })
}
