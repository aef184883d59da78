//! Whether a ledger is intact: its pages, its tables, and the rules between its rows. Opening a ledger checks what can
//! be checked quickly; [`Sqlite::examine`] checks everything, for `flockd doctor`. Nothing is repaired here.

use std::fs::File;
use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use sqlx::{Connection, Row, SqliteConnection};

use super::connect::{connect_to_read, is_newest, lacking};
use super::error::{damaged, explain};
use super::ledger::Sqlite;
use super::{lock, paths, row};
use crate::flock::poem::EntryKey;
use crate::flock::post::Cause;
use crate::store::StoreError;

/// The most findings reported of each kind.
const TOLD: usize = 10;
/// Posts read at a time: one long read would keep a running daemon from checkpointing its log.
const PAGE: i64 = 5_000;

/// How far the examination has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The file as SQLite sees it: pages, rows, indices.
    Structure,
    /// Posts read so far, and posts in all.
    Posts(u64, u64),
}

/// What a ledger contains, as far as a person wants to know before it is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// How many posts, in any state.
    pub posts: u64,
    /// How many bots.
    pub bots: u64,
    /// When the newest post was written or moved.
    pub newest: Option<DateTime<Utc>>,
}

impl Sqlite {
    /// Examines the whole ledger except its sealed tokens, which need a key, and returns what is wrong with it. A
    /// daemon may run meanwhile.
    pub async fn examine(
        &self,
        now: DateTime<Utc>,
        progress: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Vec<String>, StoreError> {
        // A connection of its own, as there are only a few readers.
        let mut db = connect_to_read(&self.path).await?;
        let found = examine(&mut db, &self.path, Some(now), progress).await;
        let _ = db.close().await;
        found
    }

    /// What the ledger contains.
    pub async fn content(&self) -> Result<Content, StoreError> {
        let mut reader = self.reader().await?;
        content(&mut reader).await.map_err(|error| self.explain(&error))
    }

    /// The version of flockd that owned the ledger last, if it can be read.
    pub async fn written_by(&self) -> Option<String> {
        let select = "select value from meta where key = 'written_by'";
        let mut reader = self.reader().await.ok()?;
        sqlx::query_scalar(select).fetch_optional(&mut *reader).await.ok().flatten()
    }

    /// The process that owns the ledger, according to the lock file. It may have ended since.
    pub fn owner_pid(database: &str) -> Option<u32> {
        lock::owner_pid(&paths::resolve(database).ok()?)
    }
}

/// What a ledger contains.
pub(super) async fn content(db: &mut SqliteConnection) -> Result<Content, sqlx::Error> {
    let newest: Option<i64> = sqlx::query_scalar(
        "select max(max(coalesce(settled_at, 0), coalesce(sent_at, 0), planned_at)) from post where state <> 'planned'",
    )
    .fetch_one(&mut *db)
    .await?;
    let (posts, bots): (i64, i64) =
        sqlx::query_as("select (select count(*) from post), (select count(*) from bot)")
            .fetch_one(db)
            .await?;
    Ok(Content { posts: posts.unsigned_abs(), bots: bots.unsigned_abs(), newest: newest.map(row::time) })
}

/// The same over a connection. Without `now`, posts dated in the future are accepted.
pub(super) async fn examine(
    db: &mut SqliteConnection,
    ledger: &Path,
    now: Option<DateTime<Utc>>,
    progress: &mut (dyn FnMut(Step) + Send),
) -> Result<Vec<String>, StoreError> {
    let failed = |error: sqlx::Error| explain(&error, &ledger.display().to_string());
    progress(Step::Structure);
    let mut findings = structure(db).await.map_err(failed)?;
    if !findings.is_empty() {
        // The rows of a damaged file can't be trusted.
        return Ok(findings);
    }
    if is_newest(db, ledger).await? {
        findings.extend(lacking(db).await.map_err(failed)?.into_iter().take(TOLD));
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

/// The ledger's invariants, whatever an index says: each statement counts what violates one.
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

/// What is wrong with a post, if anything.
fn wrong_with(row: &sqlx::sqlite::SqliteRow, now: Option<DateTime<Utc>>) -> Option<String> {
    let post = match row::post(row) {
        Ok(post) => post,
        Err(error) => return Some(error.to_string()),
    };
    if let (Some((_, line)), Some(text)) = (&post.entry, &post.text)
        && post.content.is_none()
        && line.key != EntryKey::of(text)
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

/// Up to this file size, in bytes, everything is checked, including whether each row is in each index: an index that
/// lacks a line lets it be posted again. A million posts are 490 MB; checking them takes 16 s, or 3 s without the
/// indices. So the limit is 130,000 posts and 2 s. Above it, a start would take too long.
const LOOKED_THROUGH: u64 = 64 * 1_024 * 1_024;

/// Reads a large file from beginning to end, so that checking it does not make the disk seek back and forth. Checking a
/// million posts took 14 to 20 s if they had not been read since the machine started, and 3 s if they had; reading them
/// from end to end takes 1.5 s.
///
/// This process must not have the ledger open, as in [`super::header::refuse_orphan_wal`].
pub(super) fn read_ahead(ledger: &Path) {
    if ledger.metadata().is_ok_and(|file| file.len() > LOOKED_THROUGH) {
        // SQLite reports whatever is wrong with the file.
        let _ = File::open(ledger).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
    }
}

/// Refuses a damaged ledger.
pub(super) async fn check_integrity(db: &mut SqliteConnection, ledger: &Path) -> Result<(), StoreError> {
    let name = ledger.display().to_string();
    let size = ledger.metadata().map_or(0, |file| file.len());
    let found = sqlx::query_scalar(how(size)).fetch_one(db).await;
    let finding: String = found.map_err(|error| explain(&error, &name))?;
    if finding == "ok" { Ok(()) } else { Err(damaged(&name, &finding)) }
}

fn how(size: u64) -> &'static str {
    if size <= LOOKED_THROUGH { "pragma integrity_check(1)" } else { "pragma quick_check(1)" }
}

#[cfg(test)]
mod sound_tests {
    use super::*;

    #[test]
    fn only_what_is_large_is_looked_at_less() {
        assert_eq!(how(LOOKED_THROUGH), "pragma integrity_check(1)");
        assert_eq!(how(LOOKED_THROUGH + 1), "pragma quick_check(1)");
    }
}
