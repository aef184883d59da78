//! A ledger whose files are removed or replaced while it is open.

use std::fs;

use flockd::flock::post::Move;
use flockd::store::{Draft, Filter, Store, StoreError};

use super::LedgerFolder;
use crate::ledger::{at, by_hand, entry, planned, posted};

fn is_told(error: &StoreError, file: &str) {
    let message = error.to_string();
    assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    for part in [
        file,
        "was removed or replaced while flockd runs",
        "put the ledger back if it is gone",
        "start flockd again",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn nothing_is_sent_while_a_file_is_missing_or_replaced() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    store.upsert_bots(&["walt", "emily", "robin"].map(entry), at(0)).await.unwrap();
    let mut sending = store.open(&by_hand("walt", "on its way", 1)).await.unwrap();
    let waiting = Draft { begins: planned(60), ..by_hand("emily", "waiting", 2) };
    let waiting = store.open(&waiting).await.unwrap();
    for (number, name) in ["flock.db", "flock.db-wal", "flock.db.lock"].into_iter().enumerate() {
        let (file, away) = (place.folder.path().join(name), place.folder.path().join("away"));
        fs::rename(&file, &away).unwrap();
        for replaced in [false, true] {
            if replaced {
                fs::copy(&away, &file).unwrap();
            }
            let path = file.display().to_string();
            is_told(&store.open(&by_hand("robin", "text", 3)).await.unwrap_err(), &path);
            is_told(
                &store.advance(waiting.id, &Move::Send { record: None }, at(4)).await.unwrap_err(),
                &path,
            );
            is_told(&store.check_writable(at(4)).await.unwrap_err(), &path);
        }
        let second = 5 + i64::try_from(number).unwrap();
        store.advance(sending.id, &posted("1"), at(second)).await.expect("a result is still recorded");
        fs::rename(&away, &file).unwrap();
        store.check_writable(at(second)).await.unwrap();
        sending = store.open(&by_hand("walt", "it is back", second)).await.unwrap();
    }
    assert_eq!(store.posts(&Filter::default()).await.unwrap().len(), 5, "something else was written");
}

#[tokio::test]
async fn reading_a_removed_ledger_reports_it() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    fs::remove_file(&place.path).unwrap();
    is_told(&store.posts(&Filter::default()).await.unwrap_err(), "flock.db");
}
