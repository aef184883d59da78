//! The lease: one process sends, others open the ledger as clients and notify it. Also a ledger that another
//! program has locked, for which flockd waits ten seconds.

use std::process::Stdio;
use std::time::Duration;

use flockd::flock::event::Event;
use flockd::flock::post::State;
use flockd::store::sqlite::Sqlite;
use flockd::store::{Filter, Store, StoreError};
use futures_util::FutureExt;
use sqlx::{Connection, Executor};
use tokio::time::timeout;

use super::{LedgerFolder, child, child_folder, count, database, stranger};
use crate::ledger::{at, by_hand, command, entry};
use crate::support::bounded::PrintedLines;
use crate::support::clock::{minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, poem};

/// Whatever should come comes at once; after this long it will not.
const SOON: Duration = crate::support::PATIENCE;

#[tokio::test]
async fn a_second_sender_is_told_who_has_the_lease() {
    let place = LedgerFolder::new();
    let first = place.open_as_owner().await.unwrap();
    let held = place.open_as_owner().await.unwrap_err();
    let StoreError::Locked(message) = &held else { panic!("{held}") };
    assert!(message.contains(&format!("process {} ", std::process::id())), "{message}");
    assert!(message.contains(&place.path.display().to_string()), "{message}");
    drop(first);
    place.open_as_owner().await.unwrap();
}

#[tokio::test]
async fn another_name_for_the_file_is_the_same_ledger() {
    let place = LedgerFolder::new();
    let by_link = place.folder.path().join("link.db");
    let first = place.open_as_owner().await.unwrap();
    std::os::unix::fs::symlink(&place.path, &by_link).unwrap();
    assert!(matches!(Sqlite::open_as_owner(&database(&by_link)).await, Err(StoreError::Locked(_))));
    let by_dots = place.folder.path().join(".").join("flock.db");
    assert!(matches!(Sqlite::open_as_owner(&database(&by_dots)).await, Err(StoreError::Locked(_))));
    // A notification under another name arrives, too.
    let beside = Sqlite::open_as_client(&database(&by_link)).await.unwrap().unwrap();
    let heard = async { tokio::join!(first.notified(), beside.notify()) };
    timeout(SOON, heard).await.unwrap();
}

/// Not a test by itself: what the child of the next one does.
#[tokio::test]
async fn child_that_holds_the_lease() {
    let Some(folder) = child_folder() else { return };
    let store = Sqlite::open_as_owner(&database(&folder.join("flock.db"))).await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    store.open(&by_hand("walt", "on its way", 1)).await.unwrap();
    println!("\nholding");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_lease_owner_leaves_the_ledger_free() {
    let place = LedgerFolder::new();
    let mut holder = child("lock::child_that_holds_the_lease", place.folder.path());
    let mut holder = holder.stdout(Stdio::piped()).spawn().unwrap();
    let printed = PrintedLines::of(holder.stdout.take().unwrap());
    printed.wait_for("that the child holds the lease", |line| line == "holding");

    let held = place.open_as_owner().await.unwrap_err();
    assert!(held.to_string().contains(&format!("process {} ", holder.id())), "{held}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(place.folder.path().join("flock.db.bell").exists(), "the socket was cleaned up");

    let next = place.open_as_owner().await.unwrap();
    let taken = next.take_over(at(9)).await.unwrap();
    assert_eq!(taken.iter().map(|post| post.state).collect::<Vec<_>>(), [State::Unknown]);
    let beside = place.open_as_client().await.unwrap().unwrap();
    timeout(SOON, async { tokio::join!(next.notified(), beside.notify()) }).await.unwrap();
}

#[tokio::test]
async fn clients_read_and_submit_commands_beside_the_lease_owner() {
    let place = LedgerFolder::new();
    let holder = place.open_as_owner().await.unwrap();
    holder.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    let beside = place.open_as_client().await.unwrap().unwrap();
    let post = holder.open(&by_hand("walt", "text", 1)).await.unwrap();
    assert_eq!(beside.posts(&Filter::default()).await.unwrap(), [post]);
    let command = command(2);
    beside.submit_command(&command).await.unwrap();
    assert_eq!(holder.open_commands().await.unwrap(), [command]);
    drop(holder);
    assert_eq!(super::count(&beside).await, 1, "it continues without the owner");
    assert!(timeout(Duration::ZERO, beside.notified()).await.is_err(), "only the owner is notified");
}

#[tokio::test]
async fn opening_a_missing_ledger_as_a_client_creates_none() {
    let place = LedgerFolder::new();
    assert!(place.open_as_client().await.unwrap().is_none());
    assert_eq!(place.folder.path().read_dir().unwrap().count(), 0, "opening created a file");
}

/// A socket's path has room for 108 bytes, a ledger's for 4,096.
#[tokio::test]
async fn notifications_arrive_in_a_deep_folder() {
    let mut place = LedgerFolder::new();
    let deep = place.folder.path().join("a".repeat(120)).join("b".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    place.path = deep.join("flock.db");
    let holder = place.open_as_owner().await.unwrap();
    let beside = place.open_as_client().await.unwrap().unwrap();
    for _ in 0..3 {
        timeout(SOON, async { tokio::join!(holder.notified(), beside.notify()) }).await.unwrap();
    }
    drop(holder);
    assert!(!deep.join("flock.db.bell").exists());
    beside.notify().await;
}

/// The system queues about ten notifications; a command must not hang because the daemon is busy or stopped.
#[tokio::test]
async fn a_notify_never_waits_for_a_daemon_that_does_not_listen() {
    let place = LedgerFolder::new();
    let holder = place.open_as_owner().await.unwrap();
    let beside = place.open_as_client().await.unwrap().unwrap();
    let (done, rang) = std::sync::mpsc::channel();
    // In a thread of its own: a notification that blocks must fail this test, not hang it.
    std::thread::spawn(move || {
        let all_at_once = (0..1_000).all(|_| beside.notify().now_or_never().is_some());
        // If the test has already timed out, nothing listens any more.
        drop(done.send((all_at_once, beside)));
    });
    let (all_at_once, beside) = rang.recv_timeout(SOON).expect("the notification waited for the owner");
    assert!(all_at_once);
    timeout(SOON, holder.notified()).await.unwrap();
    assert!(timeout(Duration::ZERO, holder.notified()).await.is_err(), "many notifications count as one");
    beside.notify().await;
    timeout(SOON, holder.notified()).await.unwrap();
}

/// More than ten seconds, but bounded.
const BOUND: Duration = crate::support::PATIENCE;
const LOCKED: &str = "is locked by another program: close what has it open";

#[tokio::test]
async fn a_locked_ledger_fails_within_a_bounded_time() {
    let told = async |lock: &'static str| {
        let place = LedgerFolder::new();
        place.open_as_owner().await.unwrap().close().await;
        let mut other = stranger(&place.path).await;
        other.execute(lock).await.unwrap();
        let error = timeout(BOUND, place.open_as_owner()).await.expect("it waited for ever").unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)) && error.to_string().contains(LOCKED), "{error}");
        other.close().await.unwrap();
        assert_eq!(count(&place.open_as_owner().await.unwrap()).await, 0);
    };
    tokio::join!(
        told("begin immediate"),
        told("pragma locking_mode = exclusive; begin exclusive; update meta set value = value"),
    );
}

#[tokio::test]
async fn a_flock_waits_for_the_lock_and_continues() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.pass(minutes(1)).await;
    let mut other = fixture.stranger().await;
    other.execute("begin immediate").await.unwrap();
    fixture.pass(minutes(1)).await;
    fixture
        .wait_for(|event| matches!(event, Event::LedgerTrouble { problem, .. } if problem.contains(LOCKED)))
        .await;
    assert_eq!(fixture.net("walt").texts(), ["w1"], "it was sent, and that was not recorded");
    other.close().await.unwrap();
    fixture.pass(seconds(30)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
}
