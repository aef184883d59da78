//! Opens a SQLite ledger, or creates one: in a temporary folder first, so that a ledger that exists is complete. Each
//! way to fail has its message here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePoolOptions;

use super::connect::{
    applied, check_owner, close, connect, is_up_to_date, lacking, migrate, newest_known, no_tables, options,
    refuse_newer, write_ahead,
};
use super::error::{damaged, explain};
use super::filesystem::Files;
use super::header::{refuse_header, refuse_orphan_wal};
use super::ledger::{Ownership, Sqlite};
use super::paths::{folder_of, resolve};
use super::writer::Writer;
use super::{backup, ballast, filesystem, integrity, lock, notifier, permissions};
use crate::clock::{Clock as _, SystemClock};
use crate::store::{StoreError, private};

/// Concurrent readers. Reads are short; more of them would only wait for the same disk and cores.
const READERS: u32 = 4;

impl Sqlite {
    /// Opens the ledger as its owner, which may send posts: creates it if it is missing, and migrates its tables.
    /// `database` is `sqlite:PATH`.
    pub async fn open_as_owner(database: &str) -> Result<Self, StoreError> {
        open_as_owner(database).await
    }

    /// Opens the ledger as a client, to read and to submit commands; `None` if there is no ledger yet.
    pub async fn open_as_client(database: &str) -> Result<Option<Self>, StoreError> {
        open_as_client(database).await
    }

    /// The ledger's path, if this call of [`Sqlite::open_as_owner`] created it. A disk that is not mounted looks like a
    /// flock that never posted, so a person should be told.
    pub fn made_anew(&self) -> Option<&Path> {
        self.is_new.then_some(&*self.path)
    }

    /// The copy made before the tables were migrated, if this call of [`Sqlite::open_as_owner`] found a ledger of an
    /// older flockd.
    pub fn copy_from_before(&self) -> Option<&Path> {
        self.copy_from_before.as_deref()
    }

    /// Checks what [`Sqlite::open_as_owner`] would meet before it opens the ledger, as the same user, and changes
    /// nothing. Returns an error if it would refuse the ledger, otherwise the warnings for a person. This process must
    /// not have the ledger open.
    pub fn survey(database: &str) -> Result<Vec<String>, StoreError> {
        let path = resolve(database)?;
        let mut warnings = Vec::from_iter(filesystem::check(&path)?);
        filesystem::refuse_aliases_of_client(&path)?;
        refuse_orphan_wal(&path)?;
        refuse_header(&path)?;
        filesystem::check_file_size(&path, ballast::SIZE)?;
        permissions::refuse_unwritable(&path)?;
        warnings.extend(permissions::open_to_others(&path).into_iter().map(|(file, mode)| {
            format!("others can read {} (mode {mode:03o}): `flockd run` takes that from them", file.display())
        }));
        Ok(warnings)
    }

    /// Warnings about the ledger's files: where they are, and who could read them.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Opens the ledger as its owner.
async fn open_as_owner(database: &str) -> Result<Sqlite, StoreError> {
    let path = resolve(database)?;
    let mut warnings = Vec::from_iter(filesystem::check(&path)?);
    filesystem::check_file_size(&path, ballast::SIZE)?;
    let lock = match lock::take_if_present(&path)? {
        Some(lock) => lock,
        None => {
            // Leaves nothing beside a file that is not a ledger, not even a lock.
            refuse(&path)?;
            peek(&path).await?;
            lock::take(&path)?
        }
    };
    refuse(&path)?;
    warnings.extend(permissions::mend(&path));
    let ballast = ballast::Ballast::of(&path);
    let is_new = ballast.with_room(|| make_if_missing(&path)).await?;
    let own_lock = lock::take_own(&path)?;
    integrity::read_ahead(&path);
    let (connection, copy_from_before) = ballast.with_room(|| prepare(&path)).await?;
    let open = own_lock.keep_open();
    let files = Files::of(&path)?;
    if !own_lock.is_of(&path) {
        return Err(StoreError::Unusable(format!(
            "the ledger {} was replaced while flockd opened it: start flockd again",
            path.display()
        )));
    }
    let ownership = Ownership { ballast, files, _own_lock: own_lock, _lock: lock };
    let notifier = notifier::Notifier::bind(&path).map_err(|error| {
        StoreError::Unusable(format!("no socket can be made beside the ledger {}: {error}", path.display()))
    })?;
    let ledger = assemble(path, connection, Some(open));
    Ok(Sqlite {
        is_new,
        copy_from_before,
        warnings,
        notifier: Some(notifier),
        ownership: Some(ownership),
        ..ledger
    })
}

/// Refuses a file that must not be opened. This process must not have it open.
fn refuse(path: &Path) -> Result<(), StoreError> {
    filesystem::refuse_aliases(path)?;
    refuse_orphan_wal(path)?;
    refuse_header(path)
}

/// Checks which program the file belongs to, if it exists, and leaves no trace.
async fn peek(path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Ok(());
    }
    let mut connection = connect(path).await?;
    let owned = check_owner(&mut connection, path).await;
    close(connection).await;
    owned
}

/// A connection to a ledger that is ours, intact and up to date; and the copy made before migrating it, if any.
async fn prepare(path: &Path) -> Result<(SqliteConnection, Option<PathBuf>), StoreError> {
    let mut connection = connect(path).await?;
    match bring_up(&mut connection, path).await {
        Ok(copy) => Ok((connection, copy)),
        Err(error) => {
            close(connection).await;
            Err(error)
        }
    }
}

async fn bring_up(db: &mut SqliteConnection, path: &Path) -> Result<Option<PathBuf>, StoreError> {
    check_owner(db, path).await?;
    refuse_newer(db, path).await?;
    if applied(db, path).await?.is_empty() {
        return Err(no_tables(path));
    }
    integrity::check_integrity(db, path).await?;
    write_ahead(db, path).await?;
    let copy = copy_before_change(db, path).await?;
    migrate(db, path).await.map_err(|error| match (&copy, error) {
        (Some(copy), StoreError::Unusable(said)) => StoreError::Unusable(format!(
            "{said}; the ledger as it was before this try is {}: to go back, put it in the ledger's place",
            copy.display()
        )),
        (_, error) => error,
    })?;
    let lacking = lacking(db).await.map_err(|error| explain(&error, &path.display().to_string()))?;
    match lacking.first() {
        Some(lacking) => Err(damaged(&path.display().to_string(), lacking)),
        None => Ok(copy),
    }
}

/// Copies a ledger whose tables are about to change, as a backup: a migration can't be undone. Without room for the
/// copy, nothing is changed.
async fn copy_before_change(db: &mut SqliteConnection, path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let newest = newest_known();
    if applied(db, path).await?.last().is_none_or(|applied| *applied >= newest) {
        return Ok(None);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-{newest:04}"));
    let copy = path.with_file_name(name);
    // A copy from an earlier attempt has less in it than the ledger has now.
    match std::fs::remove_file(&copy) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let copy = copy.display();
            return Err(StoreError::Unusable(format!(
                "the old copy {copy} can't be removed: {error}: move it away"
            )));
        }
        _ => {}
    }
    backup::back_up(db, &copy, SystemClock.now()).await?;
    Ok(Some(copy))
}

/// Opens the ledger as a client; `None` if there is none yet.
async fn open_as_client(database: &str) -> Result<Option<Sqlite>, StoreError> {
    let path = resolve(database)?;
    let warnings = Vec::from_iter(filesystem::check(&path)?);
    filesystem::refuse_aliases_of_client(&path)?;
    refuse_orphan_wal(&path)?;
    refuse_header(&path)?;
    if !path.exists() {
        return Ok(None);
    }
    let mut connection = connect(&path).await?;
    match is_up_to_date(&mut connection, &path).await {
        Ok(()) => Ok(Some(Sqlite { warnings, ..assemble(path, connection, None) })),
        Err(error) => {
            close(connection).await;
            Err(error)
        }
    }
}

/// A ledger as clients have it. `open` is closed after `connection`.
fn assemble(path: PathBuf, connection: SqliteConnection, open: Option<Arc<File>>) -> Sqlite {
    let pool = SqlitePoolOptions::new().max_connections(READERS).min_connections(0);
    let readers = pool.connect_lazy_with(options(&path).read_only(true));
    let writer = Writer::start(connection, path.display().to_string(), open);
    let (is_new, copy_from_before, warnings, notifier, ownership) = (false, None, Vec::new(), None, None);
    Sqlite { path, is_new, copy_from_before, writer, readers, notifier, ownership, warnings }
}

/// Creates the ledger, with its tables, if it is missing. Only the owner of its lock may call this.
pub(super) async fn make_if_missing(ledger: &Path) -> Result<bool, StoreError> {
    remove_unfinished(ledger);
    if ledger.exists() {
        return Ok(false);
    }
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(ledger.display().to_string()),
        _ => StoreError::Unusable(format!("the ledger {} can't be made: {error}", ledger.display())),
    };
    let workshop = tempfile::Builder::new().prefix(&prefix(ledger)).tempdir_in(folder_of(ledger));
    let workshop = workshop.map_err(failed)?;
    let made = workshop.path().join("ledger");
    // SQLite could create the file itself, but others could then read it; it accepts an empty file just as well.
    let file = private::open(OpenOptions::new().write(true).create_new(true), &made).map_err(failed)?;
    let mut connection = connect(&made).await?;
    let filled = migrate(&mut connection, &made).await;
    close(connection).await;
    filled?;
    publish(&file, &made, ledger).map_err(failed)?;
    Ok(true)
}

/// Gives the new file its name, unless another file has taken that name meanwhile.
fn publish(file: &File, made: &Path, ledger: &Path) -> io::Result<()> {
    file.sync_all()?;
    tempfile::TempPath::try_from_path(made)?.persist_noclobber(ledger)?;
    File::open(folder_of(ledger))?.sync_all()
}

/// The prefix of the temporary folders in which a ledger of this name is created.
fn prefix(ledger: &Path) -> String {
    format!(".{}.new-", ledger.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes ledgers whose creation was interrupted. They contain no posts.
fn remove_unfinished(ledger: &Path) {
    let prefix = prefix(ledger);
    let entries = fs::read_dir(folder_of(ledger)).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // A leftover takes up a little room, and does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
