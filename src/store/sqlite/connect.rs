//! Connections to a ledger's file, and the schema in it: which program it belongs to, its version, its migrations, and
//! whether anything is missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::error::explain;
use crate::store::StoreError;

/// The migrations that create the tables, built into the binary.
static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
/// "flok" in ASCII, where SQLite files identify their application (`pragma application_id`).
const APPLICATION_ID: i32 = 0x666c_6f6b;
/// How long a statement waits for a lock that another process holds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The options of every connection. The journal mode is stored in the file, and only the owner sets it
/// ([`write_ahead`]): setting it here would rewrite files that turn out to belong to another program.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
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

/// Waits until a connection is closed: the ledger's files may be opened without SQLite only while no connection is open
/// ([`super::header::refuse_orphan_wal`]).
pub(super) async fn close(connection: SqliteConnection) {
    // Everything that matters is known by now.
    let _ = connection.close().await;
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
pub(super) fn no_tables(path: &Path) -> StoreError {
    StoreError::Unusable(format!(
        "the ledger {} has no tables: put a backup in its place, or remove the file if a new ledger is to be made: that knows \
         of no post",
        path.display()
    ))
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

/// An error if the ledger's tables are not the ones that this flockd knows.
pub(super) async fn is_up_to_date(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
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

/// Whether the ledger has the newest tables that this flockd knows.
pub(super) async fn is_newest(db: &mut SqliteConnection, path: &Path) -> Result<bool, StoreError> {
    Ok(applied(db, path).await?.last() == Some(&newest_known()))
}

pub(super) fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The migrations applied to the ledger, in order; none if it is new.
pub(super) async fn applied(db: &mut SqliteConnection, path: &Path) -> Result<Vec<i64>, StoreError> {
    let failed = |error: sqlx::Error| explain(&error, &path.display().to_string());
    let table = "select count(*) from sqlite_schema where name = '_sqlx_migrations'";
    let tables: i64 = sqlx::query_scalar(table).fetch_one(&mut *db).await.map_err(failed)?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let select = "select version from _sqlx_migrations where success order by version";
    sqlx::query_scalar(select).fetch_all(db).await.map_err(failed)
}

/// Turns on write-ahead logging, so that readers and the writer don't wait for each other.
pub(super) async fn write_ahead(db: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
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
