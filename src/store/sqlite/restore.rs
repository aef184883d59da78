//! Restores a backup. The backup is copied beside the ledger, verified and marked there, and takes the ledger's place
//! in one step; the replaced ledger keeps its content under another name. Whenever this is interrupted, either the old
//! ledger or the backup has the ledger's name, a daemon refuses the unfinished state, and the same call does the rest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::connect::{check_owner, close, connect, refuse_newer};
use super::header::{Header, refuse_header};
use super::integrity::{self, Content, content};
use super::ledger::Sqlite;
use super::lock::{self, LedgerLock, OwnLock};
use super::paths::{folder_of, resolve, wal_of, with_suffix};
use super::{error, filesystem, permissions, row, sql};
use crate::store::mounts::is_mounted;
use crate::store::{StoreError, private};

/// A verified backup, waiting beside the ledger. Dropping it removes that copy and changes nothing else.
#[derive(Debug)]
pub struct Restore {
    ledger: PathBuf,
    workshop: tempfile::TempDir,
    /// What the backup contains.
    pub backup: Content,
    /// Since when the bots may have posted what the backup does not have. Those posts are read from their accounts.
    pub behind_since: DateTime<Utc>,
    /// What the ledger to be replaced contains: `None` if there is none, an error if it can't be read.
    pub replaced: Option<Result<Content, StoreError>>,
    _own_lock: Option<OwnLock>,
    _lock: LedgerLock,
}

impl Sqlite {
    /// Copies a backup beside the ledger, and verifies it. The ledger must not be in use; it may be damaged or missing.
    pub async fn prepare_restore(
        database: &str,
        backup: &Path,
        now: DateTime<Utc>,
    ) -> Result<Restore, StoreError> {
        let ledger = resolve(database)?;
        filesystem::check(&ledger)?;
        refuse_fixed(&ledger)?;
        let lock = lock::take(&ledger)?;
        let own_lock = ledger.exists().then(|| lock::take_own(&ledger)).transpose()?;
        finish_earlier(&ledger).map_err(|error| failed(&ledger, &error))?;
        permissions::refuse_unwritable(&ledger)?;
        let replaced = content_of_replaced(&ledger).await;
        let workshop = tempfile::Builder::new().prefix(&prefix(&ledger)).tempdir_in(folder_of(&ledger));
        let workshop = workshop.map_err(|error| failed(&ledger, &error))?;
        let copy = workshop.path().join("ledger");
        copy_in(backup, &ledger, &copy)?;
        let (content, behind_since) = verify(&copy, backup, now).await?;
        Ok(Restore {
            ledger,
            workshop,
            backup: content,
            behind_since,
            replaced,
            _own_lock: own_lock,
            _lock: lock,
        })
    }
}

impl Restore {
    /// Puts the backup in the ledger's place. Returns the name under which the old ledger is kept, if there was one.
    pub fn put_in_place(self, now: DateTime<Utc>) -> Result<Option<PathBuf>, StoreError> {
        let kept = self.free_name(now);
        self.swap(&kept).map_err(|error| failed(&self.ledger, &error))?;
        Ok((kept.exists() || wal_of(&kept).exists()).then_some(kept))
    }

    /// The ledger's path.
    pub fn ledger(&self) -> &Path {
        &self.ledger
    }

    fn free_name(&self, now: DateTime<Utc>) -> PathBuf {
        let name = |number: u32| {
            let mark = now.format("%Y%m%dT%H%M%SZ");
            let number = if number == 0 { String::new() } else { format!("-{number}") };
            with_suffix(&self.ledger, &format!("{KEPT}{mark}{number}"))
        };
        let is_free = |name: &PathBuf| !name.exists() && !wal_of(name).exists();
        (0..).map(name).find(is_free).unwrap_or_else(|| name(0))
    }

    /// First, everything there gets a second name; then the backup takes over the ledger's name; then the log loses its
    /// own. Opening refuses both a ledger with two names and a log beside a copy.
    fn swap(&self, kept: &Path) -> io::Result<()> {
        self.keep(kept)?;
        self.replace()?;
        self.tidy()
    }

    fn keep(&self, kept: &Path) -> io::Result<()> {
        link(&self.ledger, kept)?;
        link(&wal_of(&self.ledger), &wal_of(kept))?;
        self.sync()
    }

    fn replace(&self) -> io::Result<()> {
        fs::rename(self.workshop.path().join("ledger"), &self.ledger)?;
        self.sync()
    }

    fn tidy(&self) -> io::Result<()> {
        remove(&wal_of(&self.ledger))?;
        remove(&with_suffix(&self.ledger, "-shm"))?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(folder_of(&self.ledger))?.sync_all()
    }
}

/// Stands between the name of a ledger and the time at which it was replaced.
const KEPT: &str = ".replaced-";

/// The prefix of the temporary folders in which backups are verified.
fn prefix(ledger: &Path) -> String {
    format!(".{}.restore-", ledger.file_name().unwrap_or_default().to_string_lossy())
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => Ok(()),
        linked => linked,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Refuses a file that is itself a mount point, which can't be replaced.
fn refuse_fixed(ledger: &Path) -> Result<(), StoreError> {
    if !is_mounted(ledger) {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "the ledger {} is a file that is mounted by itself, so that no other can take its place: mount the folder that holds it",
        ledger.display()
    )))
}

/// Finishes a restore that was interrupted: removes the second names of files that are still in use, and the log of a
/// ledger that has been replaced.
fn finish_earlier(ledger: &Path) -> io::Result<()> {
    let which = |path: &Path| path.symlink_metadata().ok().map(|file| (file.dev(), file.ino()));
    let (own, log) = (which(ledger), which(&wal_of(ledger)));
    let is_replaced = Header::of(ledger).is_ok_and(|header| header.is_of_sqlite() && !header.has_log());
    let kept = format!("{}{KEPT}", ledger.file_name().unwrap_or_default().to_string_lossy());
    let unfinished = prefix(ledger);
    for entry in fs::read_dir(folder_of(ledger))?.flatten() {
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let this = which(&path);
        if name.starts_with(&unfinished) && entry.file_type()?.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if name.starts_with(&kept) && name.ends_with("-wal") && this.is_some() && this == log {
            match is_replaced {
                true => remove(&wal_of(ledger))?,
                false => remove(&path)?,
            }
        } else if name.starts_with(&kept) && this.is_some() && this == own {
            remove(&path)?;
        }
    }
    Ok(())
}

/// What the ledger to be replaced contains. Reading must not change it, so a ledger with a log is read as a copy.
async fn content_of_replaced(ledger: &Path) -> Option<Result<Content, StoreError>> {
    if !ledger.exists() {
        return None;
    }
    Some(read_replaced(ledger).await)
}

async fn read_replaced(ledger: &Path) -> Result<Content, StoreError> {
    refuse_header(ledger)?;
    let folder = tempfile::Builder::new().prefix(&prefix(ledger)).tempdir_in(folder_of(ledger));
    let folder = folder.map_err(|error| failed(ledger, &error))?;
    let copy = folder.path().join("ledger");
    copy_pair(ledger, &copy).map_err(|error| failed(ledger, &error))?;
    let mut db = connect(&copy).await?;
    let content =
        content(&mut db).await.map_err(|error| error::explain(&error, &ledger.display().to_string()));
    close(db).await;
    content
}

/// Copies the backup, with the log beside it, if any: a ledger kept by an earlier restore may have one.
fn copy_in(backup: &Path, ledger: &Path, copy: &Path) -> Result<(), StoreError> {
    let name = backup.display();
    let unusable = |why: &str| StoreError::Unusable(format!("the backup {name} can't be put back: {why}"));
    let about = backup.metadata().map_err(|error| unusable(&format!("it can't be read ({error})")))?;
    if !about.is_file() {
        return Err(unusable("it is not a regular file: name one that `flockd backup` has made"));
    }
    let own = ledger.metadata().ok().map(|own| (own.dev(), own.ino()));
    if own == Some((about.dev(), about.ino())) {
        return Err(unusable("it is the ledger itself"));
    }
    // A copy of a ledger that another daemon is writing would be incomplete.
    if let Ok(file) = File::open(backup)
        && let Err(fs::TryLockError::WouldBlock) = file.try_lock()
    {
        return Err(unusable("a daemon runs on it: `flockd backup` copies a ledger that is in use"));
    }
    refuse_header(backup)?;
    copy_pair(backup, copy).map_err(|error| match filesystem::of_files() {
        Some(most) => unusable(&format!("{error}; files may have {most} bytes at most (`ulimit -f`)")),
        None => unusable(&format!("it can't be copied beside the ledger ({error})")),
    })
}

fn copy_pair(from: &Path, to: &Path) -> io::Result<()> {
    for (from, to) in [(from.to_owned(), to.to_owned()), (wal_of(from), wal_of(to))] {
        let mut source = match File::open(&from) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let mut copy = private::open(OpenOptions::new().write(true).create_new(true), &to)?;
        io::copy(&mut source, &mut copy)?;
        copy.sync_all()?;
    }
    Ok(())
}

/// Verifies the whole copy, and marks it as a copy. Returns its content, and since when its bots may have posted more.
async fn verify(
    copy: &Path,
    backup: &Path,
    now: DateTime<Utc>,
) -> Result<(Content, DateTime<Utc>), StoreError> {
    let name = backup.display().to_string();
    let mut db = connect(copy).await?;
    let verified = verified(&mut db, backup, now).await;
    close(db).await;
    let verified = verified?;
    if wal_of(copy).exists() {
        return Err(StoreError::Unusable(format!("the log of the backup {name} could not be taken into it")));
    }
    let file = OpenOptions::new().write(true).open(copy).and_then(|file| file.sync_all());
    file.map_err(|error| failed(copy, &error))?;
    Ok(verified)
}

async fn verified(
    db: &mut SqliteConnection,
    backup: &Path,
    now: DateTime<Utc>,
) -> Result<(Content, DateTime<Utc>), StoreError> {
    let name = backup.display().to_string();
    check_owner(db, backup).await?;
    refuse_newer(db, backup).await?;
    let findings = integrity::examine(db, backup, None, &mut |_| {}).await?;
    if let Some(finding) = findings.first() {
        return Err(StoreError::Unusable(format!(
            "the backup {name} is damaged ({finding}): put back another, nothing was changed"
        )));
    }
    let explain = |error: sqlx::Error| error::explain(&error, &name);
    let content = content(db).await.map_err(explain)?;
    // A single file from now on, as a backup is.
    let mode: String =
        sqlx::query_scalar("pragma journal_mode = delete").fetch_one(&mut *db).await.map_err(explain)?;
    if mode != "delete" {
        return Err(StoreError::Unusable(format!("the backup {name} can't be made one file: {mode}")));
    }
    let made_at = sql::settling::copied_at(db).await.map_err(explain)?.map(row::time);
    // A plain copy of a ledger does not say when it was made: at the earliest, with its last post.
    let since = made_at.or(content.newest).or_else(|| changed_at(backup)).unwrap_or(now).min(now);
    sql::settling::mark_copy(db, since).await.map_err(explain)?;
    Ok((content, since))
}

fn changed_at(file: &Path) -> Option<DateTime<Utc>> {
    file.metadata().and_then(|file| file.modified()).ok().map(DateTime::from)
}

fn failed(ledger: &Path, error: &io::Error) -> StoreError {
    StoreError::Unusable(format!(
        "nothing can be put in the place of the ledger {} ({error}): its folder must be writable, on a file system that knows \
         hard links, and have room for the backup; what is there stays",
        ledger.display()
    ))
}

#[cfg(test)]
mod tests;
