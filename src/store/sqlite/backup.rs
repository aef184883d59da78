//! Copies the whole ledger to a new file. What copies are for is decided elsewhere.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::paths::folder_of;
use super::{filesystem, sql};
use crate::store::StoreError;

/// Copies the ledger to `path`, which must not exist yet. A copy that fails leaves nothing behind.
pub(super) async fn copy(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    // SQLite could create the file itself, but others could then read it; it accepts an empty file just as well.
    let mut new = OpenOptions::new();
    let file = new.write(true).create_new(true).mode(0o600).open(path);
    let file = file.map_err(|error| failed(path, &error))?;
    fill(db, path, file).await.map_err(|error| {
        // Only the error that made the copy fail is reported.
        let _ = fs::remove_file(path);
        failed(path, &*error)
    })
}

/// Copies the ledger as a backup: when restored, it knows that it is a copy. It gets its name only once it is complete,
/// intact and marked, as an unmarked copy would repeat what was posted since.
pub(super) async fn back_up(
    db: &mut SqliteConnection,
    path: &Path,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        let (path, folder) = (path.display(), folder.display());
        return Err(StoreError::Unusable(format!(
            "the ledger can't be copied to {path}: there is no folder {folder}: make it with `mkdir -p {folder}`"
        )));
    }
    backed_up(db, path, folder, now).await.map_err(|error| failed(path, &*error))
}

async fn backed_up(
    db: &mut SqliteConnection,
    path: &Path,
    folder: &Path,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if path.exists() {
        return Err("it is there already".into());
    }
    let workshop = tempfile::Builder::new().prefix(".flockd-backup-").tempdir_in(folder)?;
    let copied = workshop.path().join("copy");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&copied)?;
    fill(db, &copied, file).await?;
    mark(&copied, now).await?;
    // A file that another process has created there meanwhile stays.
    tempfile::TempPath::try_from_path(copied)?.persist_noclobber(path)?;
    Ok(File::open(folder)?.sync_all()?)
}

/// Anything that can make a copy fail.
type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn fill(db: &mut SqliteConnection, path: &Path, file: File) -> Result<(), Failure> {
    let name = path.to_str().ok_or("its name is not UTF-8")?;
    sql::copy_to(db, name).await?;
    Ok(sync(file).await?)
}

/// Until the copy is opened as a ledger it is a database of its own, without a write-ahead log.
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

/// SQLite does not wait for the disk here, and a copy that is lost in a power cut is no copy.
async fn sync(file: File) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || file.sync_all()).await.unwrap_or_else(|error| Err(error.into()))
}

fn failed(path: &Path, error: &(impl Display + ?Sized)) -> StoreError {
    let hint = match filesystem::of_files() {
        Some(most) => format!("files may have {most} bytes at most (`ulimit -f`): raise that"),
        None => "name a file that does not exist yet, in a folder with room for it".to_owned(),
    };
    StoreError::Unusable(format!("the ledger can't be copied to {} ({error}): {hint}", path.display()))
}
