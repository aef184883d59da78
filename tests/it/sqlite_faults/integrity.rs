//! A damaged ledger: opening it as the sender fails at once, and nothing is repaired or recreated.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flockd::store::{Filter, Store, StoreError};
use sqlx::Executor;

use super::{LedgerFolder, count, is_sound, stranger};
use crate::ledger::{at, entry, given_up};

const PAGE: u64 = 4_096;

/// A ledger that no process holds any more, and its file.
async fn made(posts: i64) -> (LedgerFolder, File) {
    let place = LedgerFolder::new();
    place.left_alone(posts).await;
    let file = File::options().read(true).write(true).open(&place.path).unwrap();
    (place, file)
}

async fn is_refused(place: &LedgerFolder) {
    let before = std::fs::read(&place.path).unwrap();
    let error = place.open_as_owner().await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, StoreError::Unusable(_)), "{message}");
    for part in ["is damaged: put a backup in its place", &place.path.display().to_string()] {
        assert!(message.contains(part), "{message}");
    }
    assert!(std::fs::read(&place.path).unwrap() == before, "the file was changed");
}

/// The numbers of the pages with posts, counted from zero.
fn pages_with_posts(ledger: &Path) -> Vec<u64> {
    let content = std::fs::read(ledger).unwrap();
    let has_posts = |page: &[u8]| page.windows(16).any(|bytes| bytes == b"because of flood");
    let pages = content.chunks(4_096).zip(0..).filter(|(page, _)| has_posts(page));
    pages.map(|(_, number)| number).collect()
}

#[tokio::test]
async fn a_corrupt_page_in_the_middle() {
    let (place, file) = made(2_000).await;
    let pages = pages_with_posts(&place.path);
    file.write_all_at(&[0xa5; 600], pages[pages.len() / 2] * PAGE).unwrap();
    is_refused(&place).await;
}

#[tokio::test]
async fn a_few_flipped_bytes() {
    let (place, file) = made(2_000).await;
    let pages = pages_with_posts(&place.path);
    // Inside the page's array of cell pointers.
    let at = pages[pages.len() / 3] * PAGE + 20;
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, at).unwrap();
    file.write_all_at(&bytes.map(|byte| byte ^ 0x5a), at).unwrap();
    is_refused(&place).await;
}

#[tokio::test]
async fn a_truncated_file() {
    for pages_left in [1, 20] {
        let (place, file) = made(2_000).await;
        file.set_len(pages_left * PAGE + 100).unwrap();
        is_refused(&place).await;
    }
}

/// Without it the same slot would be taken twice.
#[tokio::test]
async fn an_index_with_missing_rows() {
    let (place, _) = made(20).await;
    let other = "drop index post_slot; create unique index post_slot on post (bot, slot) where slot < 0; \
        pragma writable_schema = on; \
        update sqlite_schema set sql = replace(sql, 'slot < 0', 'slot is not null') where name = 'post_slot'";
    stranger(&place.path).await.execute(other).await.unwrap();
    is_refused(&place).await;
}

/// The truncated part never happened: the ledger is as of its last complete commit, as after a power cut.
#[tokio::test]
async fn a_truncated_write_ahead_log() {
    let (before, after) = (LedgerFolder::new(), LedgerFolder::new());
    let store = before.open_as_owner().await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    let mut lengths = Vec::new();
    let log = before.path.with_extension("db-wal");
    for seconds in 1..=20 {
        store.open(&given_up("walt", seconds)).await.unwrap();
        lengths.push(log.metadata().unwrap().len());
    }
    std::fs::copy(&before.path, &after.path).unwrap();
    let copy = after.path.with_extension("db-wal");
    std::fs::copy(&log, &copy).unwrap();
    File::options().write(true).open(&copy).unwrap().set_len(lengths[11] - 100).unwrap();

    let held = after.open_as_owner().await.unwrap();
    assert_eq!(count(&held).await, 11);
    held.open(&given_up("walt", 99)).await.unwrap();
    assert_eq!(held.posts(&Filter::default()).await.unwrap().len(), 12);
    is_sound(&after.path).await;
}
