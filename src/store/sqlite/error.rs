//! What SQLite's errors mean for the ledger, with the remedy.

use std::path::Path;

use super::filesystem;
use crate::store::StoreError;

/// What went wrong in a job: the database, or a rule.
pub(super) enum WriteError {
    Database(sqlx::Error),
    Rule(StoreError),
}

impl From<sqlx::Error> for WriteError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl WriteError {
    /// The same as a [`StoreError`].
    pub(super) fn explain(self, ledger: &str) -> StoreError {
        match self {
            Self::Database(error) => explain(&error, ledger),
            Self::Rule(error) => error,
        }
    }
}

/// The index of the write-ahead log can't grow (`SQLITE_IOERR_SHMSIZE`), as when the disk is full.
const NO_ROOM_FOR_THE_INDEX: i32 = 10 | 19 << 8;

/// What an error of the database means for the ledger.
pub(super) fn explain(error: &sqlx::Error, ledger: &str) -> StoreError {
    let Some(database) = error.as_database_error() else {
        return StoreError::Unusable(format!("the ledger {ledger} can't be used: {error}"));
    };
    let (code, message) = (database.code().unwrap_or_default(), database.message());
    // Result codes: https://www.sqlite.org/rescode.html; the low byte is the primary one.
    let code = code.parse::<i32>().unwrap_or(0);
    // SQLite reports a reached file size limit as a disk error.
    if code & 0xff == 10
        && let Err(limit) = filesystem::check_file_size(Path::new(ledger), filesystem::NEAR_LIMIT)
    {
        return limit;
    }
    match code & 0xff {
        13 => StoreError::Full(ledger.to_owned()),
        10 if code == NO_ROOM_FOR_THE_INDEX => StoreError::Full(ledger.to_owned()),
        19 => broken_rule(message).unwrap_or_else(|| {
            StoreError::Refused(format!("the ledger {ledger} refused a change: {message}"))
        }),
        26 => StoreError::Unusable(format!("{ledger} is not a ledger: point `database` at another file")),
        5 | 6 => StoreError::Unusable(format!(
            "the ledger {ledger} is locked by another program: close what has it open"
        )),
        8 => StoreError::Unusable(format!(
            "the ledger {ledger} can't be written: make file and folder writable"
        )),
        10 => StoreError::Unusable(format!(
            "the disk of the ledger {ledger} fails ({message}): look at its quota and at the system's log"
        )),
        11 => damaged(ledger, message),
        14 => StoreError::Unusable(format!(
            "the ledger {ledger} can't be opened: run this as the user that owns it, who must be able to write in its folder"
        )),
        _ => StoreError::Unusable(format!("the ledger {ledger} can't be used: {message}")),
    }
}

/// The error for a ledger in which this damage was found.
pub(super) fn damaged(ledger: &str, finding: &str) -> StoreError {
    StoreError::Unusable(format!("the ledger {ledger} is damaged: put a backup in its place ({finding})"))
}

/// The rule that a change would have violated; SQLite names the columns of the index.
fn broken_rule(message: &str) -> Option<StoreError> {
    let columns = message.strip_prefix("UNIQUE constraint failed: ")?;
    match columns {
        "post.bot, post.slot" => Some(StoreError::SlotTaken),
        "post.bot, post.round, post.line, post.occurrence" => Some(StoreError::LineTaken),
        "post.bot" => Some(StoreError::PostOpen),
        _ => None,
    }
}
