//! A write-ahead log that belongs to another ledger: SQLite would apply it to this one.

use std::fs;

use flockd::store::{Store, StoreError};
use sqlx::Connection;

use super::{LedgerFolder, count, stranger};
use crate::ledger::{at, entry, given_up};

/// A ledger as a killed owner leaves it: two posts in an earlier copy of it, and more in its WAL.
async fn killed() -> LedgerFolder {
    let (living, place) = (LedgerFolder::new(), LedgerFolder::new());
    let store = living.open_as_owner().await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    for seconds in 1..=50 {
        if seconds == 3 {
            store.copy_to(&place.folder.path().join("copy.db")).await.unwrap();
        }
        store.open(&given_up("walt", seconds)).await.unwrap();
    }
    for name in ["flock.db", "flock.db-wal", "flock.db-shm"] {
        fs::copy(living.folder.path().join(name), place.folder.path().join(name)).unwrap();
    }
    place
}

/// Both ways of opening are refused with this message, and change nothing.
async fn refused(place: &LedgerFolder, say: &[&str]) {
    let content = || ["flock.db", "flock.db-wal"].map(|name| fs::read(place.folder.path().join(name)).ok());
    let before = content();
    let (hold, beside) = (place.open_as_owner().await, place.open_as_client().await);
    for error in [hold.unwrap_err(), beside.map(|_| ()).unwrap_err()] {
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
        let message = error.to_string();
        let log = place.path.with_extension("db-wal").display().to_string();
        assert!(say.iter().all(|part| message.contains(part)) && message.contains(&log), "{message}");
    }
    assert!(content() == before, "something was changed");
}

#[tokio::test]
async fn a_copy_in_place_of_a_ledger_in_use() {
    let place = killed().await;
    fs::rename(place.folder.path().join("copy.db"), &place.path).unwrap();
    refused(&place, &["is not of the ledger", "which is a copy", "flock.db-shm"]).await;
    // The remedy in the message works.
    for name in ["flock.db-wal", "flock.db-shm"] {
        fs::remove_file(place.folder.path().join(name)).unwrap();
    }
    assert_eq!(count(&place.open_as_owner().await.unwrap()).await, 2);
}

/// The reason for the refusal: should SQLite ever check whose WAL it is, this fails, and the refusal can go.
#[tokio::test]
async fn sqlite_would_apply_it() {
    let place = killed().await;
    fs::rename(place.folder.path().join("copy.db"), &place.path).unwrap();
    let mut db = stranger(&place.path).await;
    let posts = sqlx::query_scalar::<_, i64>("select count(*) from post").fetch_one(&mut db).await;
    assert!(posts.as_ref().ok() != Some(&2), "{posts:?}");
    // Deliberately left open: closing would clean up.
    drop(db.close_hard().await);
}

#[tokio::test]
async fn a_ledger_that_is_missing_or_empty() {
    let place = killed().await;
    fs::write(&place.path, "").unwrap();
    refused(&place, &["is cut off", "put a backup in their place"]).await;
    fs::remove_file(&place.path).unwrap();
    refused(&place, &["is missing", "put the ledger back"]).await;
}

#[tokio::test]
async fn its_own_wal_is_applied() {
    let place = killed().await;
    assert_eq!(count(&place.open_as_owner().await.unwrap()).await, 50);
    let place = killed().await;
    assert_eq!(count(&place.open_as_client().await.unwrap().unwrap()).await, 50);
}
