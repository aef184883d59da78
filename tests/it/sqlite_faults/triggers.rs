//! The rules are also in the tables, for every tool that opens the file.

use flockd::flock::NetworkKind;
use flockd::flock::post::{Post, State};
use flockd::store::sqlite::Sqlite;
use flockd::store::{Draft, Sealed, Store, StoreError};
use sqlx::{Executor, SqliteConnection};

use super::{LedgerFolder, stranger};
use crate::ledger::{account, at, entry, every_move, of_slot, way_to};

async fn refused(db: &mut SqliteConnection, statement: &str, because: &str) {
    let error = db.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap_err().to_string();
    assert!(error.contains(because), "{statement}: {error}");
}

async fn post_in(store: &Sqlite, state: State, name: &str) -> Post {
    store.upsert_bots(&[entry(name)], at(0)).await.unwrap();
    let (begins, moves) = way_to(state);
    let mut post = store.open(&Draft { begins, ..of_slot(name, "a line", 1, 60) }).await.unwrap();
    for step in &moves {
        post = store.advance(post.id, step, at(61)).await.unwrap();
    }
    post
}

async fn set_state(db: &mut SqliteConnection, post: &Post, to: State) -> Result<(), sqlx::Error> {
    let update = "update post set state = ?2 where id = ?1";
    sqlx::query(update).bind(post.id.to_string()).bind(to.as_str()).execute(db).await.map(|_| ())
}

#[tokio::test]
async fn triggers_enforce_the_state_transitions() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    let mut db = stranger(&place.path).await;
    for &from in State::ALL {
        for &to in State::ALL {
            let post = post_in(&store, from, &format!("{from}-{to}")).await;
            let moved = set_state(&mut db, &post, to).await;
            assert_eq!(moved.is_ok(), from.may_become(to), "{from} to {to}: {moved:?}");
        }
    }
}

#[tokio::test]
async fn a_deleted_post_never_changes_state() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    let post = post_in(&store, State::Deleted, "walt").await;
    for step in every_move() {
        let refusal = StoreError::IllegalMove { id: post.id, from: State::Deleted, to: step.to() };
        assert_eq!(store.advance(post.id, &step, at(99)).await, Err(refusal));
    }
    assert_eq!(store.used(&post.bot, 1).await.unwrap().len(), 1, "its line stays used");
    let posted = store.bot_record(&post.bot, at(99)).await.unwrap().unwrap().last_posted;
    assert_eq!(posted.map(|posted| posted.id), Some(post.id));
}

#[tokio::test]
async fn planned_columns_cannot_be_changed() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    let post = post_in(&store, State::Posted, "walt").await;
    let mut db = stranger(&place.path).await;
    refused(&mut db, "delete from post", "the ledger forgets nothing").await;
    let fixed = "a post is fixed when planned";
    let columns =
        ["number", "id", "network", "slot", "due_at", "round", "line", "occurrence", "text", "planned_at"];
    for column in columns {
        refused(&mut db, &format!("update post set {column} = {column}"), fixed).await;
    }
    refused(&mut db, "update bot set considered = considered - 1", "considered never goes back").await;
    refused(&mut db, "delete from bot", "FOREIGN KEY").await;
    refused(&mut db, "update post set state = 'lost'", "illegal move").await;
    let sealed = Sealed { network: NetworkKind::X, key_mark: "mark".to_owned(), bytes: vec![1] };
    store.sign_in(&post.bot, &account("7"), &sealed, 0, at(70)).await.unwrap();
    let grows = "the version of a credential grows with every change";
    refused(&mut db, "update credential set sealed = x'02'", grows).await;
    refused(&mut db, "update credential set sealed = null, version = version + 1", "CHECK").await;
    assert_eq!(store.post(post.id).await.unwrap(), Some(post));
    // The payload may be set after planning, and stays the same from then on.
    db.execute("update post set record = 'one'").await.unwrap();
    db.execute("update post set record = 'one'").await.unwrap();
    for other in ["'two'", "null"] {
        let fixed = "what is sent is fixed before the first attempt";
        refused(&mut db, &format!("update post set record = {other}"), fixed).await;
    }
}

#[tokio::test]
async fn no_post_starts_in_a_final_state() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    let mut db = stranger(&place.path).await;
    for &state in State::ALL {
        let insert = format!(
            "insert into post (id, bot, network, state, due_at, text, planned_at) \
             values ('{state}', 'walt', 'paper', '{state}', 0, 'text', 0)"
        );
        match state {
            State::Planned | State::Released => {
                db.execute(sqlx::AssertSqlSafe(insert)).await.unwrap();
            }
            // The planned post is open, so this is refused for another reason.
            State::Sending => refused(&mut db, &insert, "UNIQUE constraint failed: post.bot").await,
            _ => refused(&mut db, &insert, "illegal beginning").await,
        }
    }
}

#[tokio::test]
async fn the_file_has_flockds_application_id() {
    let place = LedgerFolder::new();
    let _store = place.open_as_owner().await.unwrap();
    let mut db = stranger(&place.path).await;
    let pragma = async |db: &mut SqliteConnection, name: &str| -> String {
        let select = format!("select cast({name} as text) from pragma_{name}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_one(db).await.unwrap()
    };
    assert_eq!(pragma(&mut db, "application_id").await, 0x666c_6f6b.to_string());
    assert_eq!(pragma(&mut db, "journal_mode").await, "wal");
    let written_by = "select value from meta where key = 'written_by'";
    let version: String = sqlx::query_scalar(written_by).fetch_one(&mut db).await.unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}
