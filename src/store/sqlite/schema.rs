//! Whether a ledger has all tables, indices and triggers that the migrations make. A ledger without them can be read and written
//! all the same, and keeps none of its promises.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::open::MIGRATIONS;

/// What there is, by what it is and how it is called, and how it was made; of a table, each column.
type Schema = BTreeMap<String, String>;

/// What the ledger lacks, or has in another form. What it has besides, a person has made, and is left alone.
pub(super) async fn lacking(db: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let (expected, there) = (expected().await?, schema(db).await?);
    let judge = |(what, form): (&String, &String)| match there.get(what) {
        None => Some(format!("{what} is missing")),
        Some(other) if other != form => Some(format!("{what} is not as flockd made it")),
        Some(_) => None,
    };
    Ok(expected.iter().filter_map(judge).collect())
}

/// That of a ledger that was made just now, in memory.
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

/// Statements count but for their white space; those of tables not at all, as SQLite rewrites them when a column is added.
async fn schema(db: &mut SqliteConnection) -> Result<Schema, sqlx::Error> {
    let select = "select type || ' ' || name, sql from sqlite_schema where type in ('index', 'trigger') and sql is not null \
        union all select 'column ' || t.name || '.' || c.name, c.type || ' ' || c.\"notnull\" || ' ' || c.pk \
        from sqlite_schema t, pragma_table_xinfo(t.name) c where t.type = 'table'";
    let rows: Vec<(String, String)> = sqlx::query_as(select).fetch_all(db).await?;
    let words = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(rows.into_iter().map(|(what, form)| (what, words(&form))).collect())
}
