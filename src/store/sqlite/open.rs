//! Opens a SQLite ledger, or creates one: in a temporary folder first, so that a ledger that exists is complete. Each
//! way to fail has its message here.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::super::{StoreError, private};
use super::error::{damaged, explain};
use super::filesystem::Files;
use super::lease::LeaseOwner;
use super::{Sqlite, backup, ballast, filesystem, integrity, lease, notifier, permissions, writer};
use crate::clock::{Clock as _, SystemClock};

/// The migrations that create the tables, built into the binary.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
/// "flok" in ASCII, where SQLite files identify their application (`pragma application_id`).
const APPLICATION_ID: i32 = 0x666c_6f6b;
/// Concurrent readers. Reads are short; more of them would only wait for the same disk and cores.
const READERS: u32 = 4;
/// How long a statement waits for a lock that another process holds.
const PATIENCE: Duration = Duration::from_secs(10);

impl Sqlite {
    /// Opens the ledger with the sender's lease: creates it if it is missing, and migrates its tables. `database` is
    /// `sqlite:PATH`.
    pub async fn hold(database: &str) -> Result<Self, StoreError> {
        hold(database).await
    }

    /// Opens the ledger as a client, to read and to submit commands; `None` if there is no ledger yet.
    pub async fn beside(database: &str) -> Result<Option<Self>, StoreError> {
        beside(database).await
    }

    /// The ledger's path, if this call of [`Sqlite::hold`] created it. A disk that is not mounted looks like a flock
    /// that never posted, so a person should be told.
    pub fn made_anew(&self) -> Option<&Path> {
        self.is_new.then_some(&*self.path)
    }

    /// The copy made before the tables were migrated, if this call of [`Sqlite::hold`] found a ledger of an older
    /// flockd.
    pub fn copy_from_before(&self) -> Option<&Path> {
        self.copy_from_before.as_deref()
    }

    /// Checks what [`Sqlite::hold`] would meet before it opens the ledger, as the same user, and changes nothing.
    /// Returns an error if it would refuse the ledger, otherwise the warnings for a person. This process must not have
    /// the ledger open.
    pub fn survey(database: &str) -> Result<Vec<String>, StoreError> {
        let path = place_of(database)?;
        let mut warnings = Vec::from_iter(filesystem::check(&path)?);
        filesystem::refuse_beside(&path)?;
        integrity::refuse_orphan_wal(&path)?;
        integrity::refuse_header(&path)?;
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

/// Opens the ledger with the sender's lease.
async fn hold(database: &str) -> Result<Sqlite, StoreError> {
    let path = place_of(database)?;
    let mut warnings = Vec::from_iter(filesystem::check(&path)?);
    filesystem::check_file_size(&path, ballast::SIZE)?;
    let lock = match lease::hold_again(&path)? {
        Some(lock) => lock,
        None => {
            // Leaves nothing beside a file that is not a ledger, not even a lock.
            refuse(&path)?;
            peek(&path).await?;
            lease::hold(&path)?
        }
    };
    refuse(&path)?;
    warnings.extend(permissions::mend(&path));
    let ballast = ballast::Ballast::of(&path);
    let is_new = ballast.with_room(|| make_if_missing(&path)).await?;
    let own_lock = lease::hold_own(&path)?;
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
    let holder = LeaseOwner { ballast, files, _own_lock: own_lock, _lock: lock };
    let bell = notifier::Notifier::bind(&path).map_err(|error| {
        StoreError::Unusable(format!("no socket can be made beside the ledger {}: {error}", path.display()))
    })?;
    let ledger = assemble(path, connection, Some(open));
    Ok(Sqlite { is_new, copy_from_before, warnings, bell: Some(bell), holder: Some(holder), ..ledger })
}

/// Refuses a file that must not be opened. This process must not have it open.
fn refuse(path: &Path) -> Result<(), StoreError> {
    filesystem::refuse_aliases(path)?;
    integrity::refuse_orphan_wal(path)?;
    integrity::refuse_header(path)
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
    let lacking =
        integrity::lacking(db).await.map_err(|error| explain(&error, &path.display().to_string()))?;
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

/// Waits until a connection is closed: the ledger's files may be opened without SQLite only while no connection is open
/// ([`integrity::refuse_orphan_wal`]).
pub(super) async fn close(connection: SqliteConnection) {
    // Everything that matters is known by now.
    let _ = connection.close().await;
}

/// Opens the ledger as a client; `None` if there is none yet.
async fn beside(database: &str) -> Result<Option<Sqlite>, StoreError> {
    let path = place_of(database)?;
    let warnings = Vec::from_iter(filesystem::check(&path)?);
    filesystem::refuse_beside(&path)?;
    integrity::refuse_orphan_wal(&path)?;
    integrity::refuse_header(&path)?;
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

/// An error if the ledger's tables are not the ones that this flockd knows.
async fn is_up_to_date(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    check_owner(db, path).await?;
    refuse_newer(db, path).await?;
    match applied(db, path).await?.as_slice() {
        [] => Err(no_tables(path)),
        [.., newest] if *newest < newest_known() => Err(StoreError::Unusable(format!(
            "the ledger {} is from an older flockd: start `flockd run` once, which brings it up to date",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// A ledger without the sender's lease. `open` is closed after `connection`.
fn assemble(path: PathBuf, connection: SqliteConnection, open: Option<Arc<File>>) -> Sqlite {
    let pool = SqlitePoolOptions::new().max_connections(READERS).min_connections(0);
    let readers = pool.connect_lazy_with(options(&path).read_only(true));
    let writer = writer::Writer::start(connection, path.display().to_string(), open);
    let (is_new, copy_from_before, warnings, bell, holder) = (false, None, Vec::new(), None, None);
    Sqlite { path, is_new, copy_from_before, writer, readers, bell, holder, warnings }
}

/// The ledger's path, with links resolved: two names of one file must lead to one lock and one notifier.
pub(super) fn place_of(database: &str) -> Result<PathBuf, StoreError> {
    let path = path_of(database)?;
    usable_place(&path)?;
    let resolved = path.canonicalize().or_else(|_| match path.file_name() {
        Some(name) => folder_of(&path).canonicalize().map(|folder| folder.join(name)),
        None => Ok(path.clone()),
    });
    resolved.map_err(|error| {
        StoreError::Unusable(format!("the folder of the ledger {} can't be read: {error}", path.display()))
    })
}

pub(super) fn path_of(database: &str) -> Result<PathBuf, StoreError> {
    let path = database.strip_prefix("sqlite:").filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or_else(|| {
        StoreError::Unusable("the ledger's address must be `sqlite:PATH`: change `database`".to_owned())
    })
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn usable_place(path: &Path) -> Result<(), StoreError> {
    let name = path.display();
    let complaint = match path.metadata() {
        _ if !folder_of(path).is_dir() => {
            format!("the folder of the ledger {name} does not exist: make it, or change `database`")
        }
        Ok(file) if file.is_dir() => format!("the ledger {name} is a folder: name a file in `database`"),
        Ok(file) if !file.is_file() => {
            format!("the ledger {name} is not a regular file: name another in `database`")
        }
        Err(_) if path.is_symlink() => format!(
            "the ledger {name} is a link that leads to nothing: put the ledger back there, or remove the link if a new ledger is \
             to be made"
        ),
        _ => return Ok(()),
    };
    Err(StoreError::Unusable(complaint))
}

/// The options of every connection. The journal mode is stored in the file, and only the lease owner sets it
/// ([`write_ahead`]): setting it here would rewrite files that turn out to belong to another program.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .disable_statement_logging()
}

pub(super) async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    options(path).connect().await.map_err(|error| explain(&error, &path.display().to_string()))
}

/// A read-only connection.
pub(super) async fn connect_to_read(path: &Path) -> Result<SqliteConnection, StoreError> {
    let connected = options(path).read_only(true).connect().await;
    connected.map_err(|error| explain(&error, &path.display().to_string()))
}

/// Refuses a database of another program, and an empty one.
pub(super) async fn check_owner(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| explain(&error, &path.display().to_string());
    let tables: i64 =
        sqlx::query_scalar("select count(*) from sqlite_schema").fetch_one(&mut *db).await.map_err(failed)?;
    let owner: i32 = sqlx::query_scalar("pragma application_id").fetch_one(&mut *db).await.map_err(failed)?;
    match owner {
        0 | APPLICATION_ID if tables == 0 => Err(no_tables(path)),
        APPLICATION_ID => Ok(()),
        _ => Err(StoreError::Unusable(format!(
            "{} is the database of another program: point `database` at another file",
            path.display()
        ))),
    }
}

/// The error for a database that has none of our tables: a ledger that was lost, or one that never existed.
fn no_tables(path: &Path) -> StoreError {
    StoreError::Unusable(format!(
        "the ledger {} has no tables: put a backup in its place, or remove the file if a new ledger is to be made: that knows \
         of no post",
        path.display()
    ))
}

/// Turns on write-ahead logging, so that readers and the writer don't wait for each other.
async fn write_ahead(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let ledger = path.display().to_string();
    let set = sqlx::query_scalar("pragma journal_mode = wal").fetch_one(db).await;
    let mode: String = set.map_err(|error| explain(&error, &ledger))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(StoreError::Unusable(format!(
        "the ledger {ledger} can't have a write-ahead log, only {mode:?}: keep it on a local disk"
    )))
}

/// Migrates the tables, and sets the application id.
pub(super) async fn migrate(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let ledger = path.display().to_string();
    sqlx::query(concat!("pragma application_id = ", 0x666c_6f6b))
        .execute(&mut *db)
        .await
        .map_err(|error| explain(&error, &ledger))?;
    MIGRATIONS.run_direct(None, &mut *db, false).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) => explain(&error, &ledger),
        error => StoreError::Unusable(format!("the tables of the ledger {ledger} can't be made: {error}")),
    })?;
    let sign = "insert into meta (key, value) values ('written_by', ?1) \
        on conflict (key) do update set value = excluded.value";
    let signed = sqlx::query(sign).bind(env!("CARGO_PKG_VERSION")).execute(db).await;
    signed.map(|_| ()).map_err(|error| explain(&error, &ledger))
}

pub(super) async fn refuse_newer(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    match applied(db, path).await?.last() {
        Some(newest) if *newest > newest_known() => Err(newer(db, path).await),
        _ => Ok(()),
    }
}

async fn newer(db: &mut SqliteConnection, path: &Path) -> StoreError {
    let written_by = sqlx::query_scalar("select value from meta where key = 'written_by'");
    let version: Option<String> = written_by.fetch_optional(db).await.ok().flatten();
    let by = version.map_or("a newer flockd".to_owned(), |version| format!("flockd {version}"));
    StoreError::Unusable(format!(
        "the ledger {} was written by {by}, this is {}: install that version or a later one",
        path.display(),
        env!("CARGO_PKG_VERSION"),
    ))
}

/// Whether the ledger has the newest tables that this flockd knows.
pub(super) async fn is_newest(db: &mut SqliteConnection, path: &Path) -> Result<bool, StoreError> {
    Ok(applied(db, path).await?.last() == Some(&newest_known()))
}

fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The migrations applied to the ledger, in order; none if it is new.
async fn applied(db: &mut SqliteConnection, path: &Path) -> Result<Vec<i64>, StoreError> {
    let failed = |error: sqlx::Error| explain(&error, &path.display().to_string());
    let table = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
    let tables: i64 = sqlx::query_scalar(table).fetch_one(&mut *db).await.map_err(failed)?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let select = "select version from _sqlx_migrations where success order by version";
    sqlx::query_scalar(select).fetch_all(db).await.map_err(failed)
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
