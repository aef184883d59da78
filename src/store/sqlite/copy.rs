//! A copy of the whole ledger in a new file. What copies are good for is not decided here.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::super::StoreError;
use super::sql;

/// Copies the ledger to `path`, where nothing may be yet. A copy that fails leaves nothing behind.
pub(super) async fn copy(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let Some(name) = path.to_str() else { return Err(failed(path, &"its name is not UTF-8")) };
    // SQLite fills an empty file, too, but one that it makes itself could be read by others.
    let mut new = OpenOptions::new();
    let file =
        new.write(true).create_new(true).mode(0o600).open(path).map_err(|error| failed(path, &error))?;
    let copied = match sql::copy_to(db, name).await {
        Ok(()) => sync(file).await.map_err(|error| failed(path, &error)),
        Err(error) => Err(failed(path, &error)),
    };
    if copied.is_err() {
        // What can't be removed either is reported by the error that counts.
        let _ = fs::remove_file(path);
    }
    copied
}

/// Copies the ledger as a backup: put in the ledger's place, it knows that it is one.
pub(super) async fn back_up(
    db: &mut SqliteConnection,
    path: &Path,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    copy(db, path).await?;
    let marked = mark(path, now).await;
    if marked.is_err() {
        let _ = fs::remove_file(path);
    }
    marked.map_err(|error| failed(path, &error))
}

/// The copy is a database of its own until somebody opens it as a ledger: it has no write-ahead log.
async fn mark(path: &Path, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).synchronous(SqliteSynchronous::Full);
    let mut copy = options.disable_statement_logging().connect().await?;
    let verdict = sql::settling::integrity(&mut copy).await?;
    if verdict != "ok" {
        return Err(sqlx::Error::Protocol(format!("the copy is damaged: {verdict}")));
    }
    sql::settling::mark_copy(&mut copy, now).await?;
    copy.close().await
}

/// SQLite does not wait for the disk here, and a copy that a power cut takes away is none.
async fn sync(file: File) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || file.sync_all()).await.unwrap_or_else(|error| Err(error.into()))
}

fn failed(path: &Path, error: &dyn Display) -> StoreError {
    let hint = "name a file that does not exist yet, in a folder with room for it";
    StoreError::Unusable(format!("the ledger can't be copied to {} ({error}): {hint}", path.display()))
}
