//! Whether a ledger is intact: its header, its write-ahead log, its pages, its schema, and the rules between its rows.
//!
//! Opening a ledger checks what can be checked quickly; [`Sqlite::examine`] checks everything, for `flockd doctor`.
//! Nothing is repaired here. A write-ahead log that belongs to another ledger is refused, because SQLite would write
//! its pages into this one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::super::StoreError;
use super::error::{damaged, explain};
use super::open::MIGRATIONS;
use super::restore::{Content, content};
use super::{Sqlite, lease, open, row};
use crate::flock::poem::TextId;
use crate::flock::post::Cause;

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

impl Sqlite {
    /// Examines the whole ledger except its sealed tokens, which need a key, and returns what is wrong with it. A
    /// daemon may run meanwhile.
    pub async fn examine(
        &self,
        now: DateTime<Utc>,
        progress: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Vec<String>, StoreError> {
        // A connection of its own, as there are only a few readers.
        let mut db = open::connect_to_read(&self.path).await?;
        let found = all(&mut db, &self.path, Some(now), progress).await;
        let _ = db.close().await;
        found
    }
}

impl Sqlite {
    /// What the ledger contains.
    pub async fn content(&self) -> Result<Content, StoreError> {
        let mut reader = self.reader().await?;
        content(&mut reader).await.map_err(|error| self.explain(&error))
    }

    /// The version of flockd that had the sender's lease last, if it can be read.
    pub async fn written_by(&self) -> Option<String> {
        let select = "select value from meta where key = 'written_by'";
        let mut reader = self.reader().await.ok()?;
        sqlx::query_scalar(select).fetch_optional(&mut *reader).await.ok().flatten()
    }

    /// The process that has the sender's lease, according to the lock file. It may have ended since.
    pub fn holder(database: &str) -> Option<u32> {
        lease::named_holder(&open::place_of(database).ok()?)
    }
}

/// The same over a connection. Without `now`, posts dated in the future are accepted.
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
        // The rows of a damaged file can't be trusted.
        return Ok(findings);
    }
    if open::is_newest(db, ledger).await? {
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

/// Up to this file size, in bytes, everything is checked, including whether each row is in each index: an index that
/// lacks a line lets it be posted again. A million posts are 490 MB; checking them takes 16 s, or 3 s without the
/// indices. So the limit is 130,000 posts and 2 s. Above it, a start would take too long.
const LOOKED_THROUGH: u64 = 64 * 1_024 * 1_024;

/// Reads a large file from beginning to end, so that checking it does not make the disk seek back and forth. Checking a
/// million posts took 14 to 20 s if they had not been read since the machine started, and 3 s if they had; reading them
/// from end to end takes 1.5 s.
///
/// This process must not have the ledger open, as in [`refuse_orphan_wal`].
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

/// The first bytes of every SQLite file (<https://www.sqlite.org/fileformat2.html#the_database_header>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The length of the header, in bytes.
const LENGTH: usize = 100;

/// The header of a file, and the file's length.
pub(super) struct Header {
    bytes: [u8; LENGTH],
    file: u64,
}

impl Header {
    /// Reads the header; an error of kind `UnexpectedEof` if the file is shorter.
    ///
    /// This process must not have the ledger open: closing a file drops all locks that the process has on it, including
    /// SQLite's (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
    pub(super) fn of(ledger: &Path) -> io::Result<Self> {
        let mut open = File::open(ledger)?;
        let mut bytes = [0; LENGTH];
        open.read_exact(&mut bytes)?;
        Ok(Self { bytes, file: open.metadata()?.len() })
    }

    pub(super) fn is_of_sqlite(&self) -> bool {
        self.bytes.starts_with(MAGIC)
    }

    /// Whether the header says that the file has a write-ahead log.
    pub(super) fn has_log(&self) -> bool {
        self.bytes[18..20] == [2, 2]
    }

    /// How many bytes the file has, and how many it should have, if its header says that it was longer. The header's
    /// length is valid only if the program that changed the file last has updated it, too.
    fn cut_off(&self) -> Option<(u64, u64)> {
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| self.bytes[at + byte]));
        // The largest page size, 65,536 bytes, does not fit in two bytes.
        let page = match u16::from_be_bytes([self.bytes[16], self.bytes[17]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        let whole = page * u64::from(number(28));
        (number(24) == number(92) && self.file < whole).then_some((self.file, whole))
    }
}

/// Refuses a file that exists but is empty, or shorter than its header says. The caller has checked that its log is not
/// another ledger's.
pub(super) fn refuse_header(ledger: &Path) -> Result<(), StoreError> {
    let name = ledger.display();
    let remedy =
        "put a backup in its place, or remove the file if a new ledger is to be made: that knows of no post";
    let Ok(about) = ledger.metadata() else { return Ok(()) };
    if about.len() == 0 {
        return Err(StoreError::Unusable(format!("the ledger {name} is empty (0 bytes): {remedy}")));
    }
    // If it can't be read for another reason, SQLite reports that.
    let Ok(header) = Header::of(ledger) else { return Ok(()) };
    if header.bytes == [0; LENGTH] {
        return Err(StoreError::Unusable(format!(
            "the ledger {name} has lost its content (it begins with zeros): {remedy}"
        )));
    }
    // With a log, the rest of the file may still be in there.
    let log = log_of(ledger).metadata().map_or(0, |log| log.len());
    match header.cut_off().filter(|_| header.is_of_sqlite() && log == 0) {
        Some((there, whole)) => {
            Err(damaged(&name.to_string(), &format!("it is cut off: {there} of {whole} bytes are there")))
        }
        None => Ok(()),
    }
}

/// The write-ahead log of a ledger, as SQLite names it.
pub(super) fn log_of(ledger: &Path) -> PathBuf {
    with(ledger, "-wal")
}

pub(super) fn with(ledger: &Path, ending: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Refuses a ledger with a log that can't be its own: a ledger that is missing, empty, or says that it has no log, as
/// every copy made by `vacuum into` does. SQLite begins a log only when the file that says so is on the disk.
///
/// This process must not have the ledger open: closing a file drops all locks that the process has on it, including
/// SQLite's (<https://www.sqlite.org/howtocorrupt.html>, 2.2).
pub(super) fn refuse_orphan_wal(ledger: &Path) -> Result<(), StoreError> {
    // The log first: if it exists, the ledger must have said so already.
    let log = log_of(ledger);
    if !log.metadata().is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let (name, log, index) = (ledger.display(), log.display(), with(ledger, "-shm"));
    let complaint = match Header::of(ledger) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!(
            "the ledger {name} is missing, and its write-ahead log {log} is there: put the ledger back; or remove the log, if a new ledger is to be made"
        ),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => format!(
            "the ledger {name} is cut off, and its write-ahead log {log} is there: remove both and put a backup in their place"
        ),
        Ok(header) if header.is_of_sqlite() && !header.has_log() => format!(
            "the write-ahead log {log} is not of the ledger {name}, which is a copy: if the copy is to be used, remove {log} and {}",
            index.display()
        ),
        // SQLite detects anything else, and reports it better.
        _ => return Ok(()),
    };
    Err(StoreError::Unusable(complaint))
}

/// Each object's type and name, and how it was created; for a table, each column.
type Schema = BTreeMap<String, String>;

/// What the ledger lacks, or has in another form. Anything extra was made by a person, and is left alone.
pub(super) async fn lacking(db: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let (expected, there) = (expected().await?, schema(db).await?);
    let judge = |(what, form): (&String, &String)| match there.get(what) {
        None => Some(format!("{what} is missing")),
        Some(other) if other != form => Some(format!("{what} is not as flockd made it")),
        Some(_) => None,
    };
    Ok(expected.iter().filter_map(judge).collect())
}

/// The schema of a new ledger, created in memory.
async fn expected() -> Result<Schema, sqlx::Error> {
    let memory = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    let mut db = memory.connect().await?;
    MIGRATIONS.run_direct(None, &mut db, false).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => error,
        error => sqlx::Error::Protocol(error.to_string()),
    })?;
    let schema = schema(&mut db).await;
    db.close().await?;
    schema
}

/// Reads the schema. White space in statements does not count, nor do the statements of tables, which SQLite rewrites
/// when a column is added.
async fn schema(db: &mut SqliteConnection) -> Result<Schema, sqlx::Error> {
    let select = "select type || ' ' || name, sql from sqlite_schema where type in ('index', 'trigger') and sql is not null \
        union all select 'column ' || t.name || '.' || c.name, c.type || ' ' || c.\"notnull\" || ' ' || c.pk \
        from sqlite_schema t, pragma_table_xinfo(t.name) c where t.type = 'table'";
    let rows: Vec<(String, String)> = sqlx::query_as(select).fetch_all(db).await?;
    let words = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(rows.into_iter().map(|(what, form)| (what, words(&form))).collect())
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
