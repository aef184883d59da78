//! What is visible only from inside: the settings of connections, and a disk that is full on demand. Everything else is
//! tested in `tests/it/store_contract` and `tests/it/sqlite_faults`.

use chrono::{DateTime, TimeDelta};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::ledger::{Sqlite, change};
use crate::flock::NetworkKind;
use crate::flock::post::{Cause, PostId, Why};
use crate::store::{Beginning, BotEntry, Draft, Filter, Store, StoreError};

async fn held() -> (tempfile::TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("flock.db").display());
    let store = Sqlite::open_as_owner(&database).await.unwrap();
    let entry = BotEntry { name: "walt".parse().unwrap(), was: None, schedule: String::new() };
    store.upsert_bots(&[entry], DateTime::UNIX_EPOCH).await.unwrap();
    (folder, store)
}

async fn pragmas(db: &mut SqliteConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut values = Vec::new();
    for name in ["journal_mode", "synchronous", "foreign_keys", "application_id"] {
        let select = AssertSqlSafe(format!("select cast({name} as text) from pragma_{name}"));
        values.push(sqlx::query_scalar(select).fetch_one(&mut *db).await?);
    }
    Ok(values)
}

/// Runs a pragma on the writer's connection.
async fn set(store: &Sqlite, pragma: String) {
    let set = change!(store, |db| async {
        sqlx::query(AssertSqlSafe(pragma)).execute(db).await?;
        Ok(())
    });
    set.unwrap();
}

fn given_up(second: i64, reason: &str) -> Draft {
    let at = DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&second.to_be_bytes());
    Draft {
        id: PostId::new(at, random),
        bot: "walt".parse().unwrap(),
        network: NetworkKind::Paper,
        slot: Some(at),
        due_at: at,
        continues: None,
        entry: None,
        text: None,
        content: None,
        record: None,
        missed: 0,
        app: None,
        price: 0,
        begins: Beginning::Released(Why::new(Cause::Flood, reason)),
        now: at,
    }
}

#[tokio::test]
async fn connections_are_set_to_lose_nothing() {
    let (_folder, store) = held().await;
    // 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
    let expected = ["wal", "2", "1", "1718382443"];
    assert_eq!(change!(store, |db| async { Ok(pragmas(db).await?) }).unwrap(), expected);
    let mut reader = store.reader().await.unwrap();
    assert_eq!(pragmas(&mut reader).await.unwrap(), expected);
    let written = sqlx::query("delete from meta").execute(&mut *reader).await;
    assert!(written.is_err(), "a reader can write");
}

#[tokio::test]
async fn a_full_ledger_takes_all_of_a_batch_or_nothing() {
    let (_folder, store) = held().await;
    let long = "because ".repeat(400);
    set(&store, "pragma max_page_count = 40".to_owned()).await;
    let drafts: Vec<Draft> = (1..=60).map(|second| given_up(second, &long)).collect();
    let results = join_all(drafts.iter().map(|draft| store.open(draft))).await;
    let full = Err(StoreError::Full(store.path.display().to_string()));
    assert!(results.iter().all(|result| result.is_ok() || *result == full), "{results:?}");
    let written = results.iter().filter(|result| result.is_ok()).count();
    assert!(written < 60, "there was room for all");
    assert_eq!(store.posts(&Filter::default()).await.unwrap().len(), written);

    set(&store, "pragma max_page_count = 100000".to_owned()).await;
    for (draft, result) in drafts.iter().zip(results) {
        assert_eq!(store.open(draft).await.is_ok(), result.is_err());
    }
    assert_eq!(store.posts(&Filter::default()).await.unwrap().len(), 60);
}
