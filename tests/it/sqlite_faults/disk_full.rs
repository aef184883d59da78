//! A full disk: results in flight are recorded, and nothing is sent until there is space again.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use flockd::flock::NetworkKind;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Move, State};
use flockd::store::sqlite::Sqlite;
use flockd::store::transfer;
use flockd::store::{Draft, Filter, Sealed, Store, StoreError};
use sqlx::Connection as _;

use super::{
    LedgerFolder, TOLD, child_folder, count, database, fill, is_sound, make_room, on_a_disk_of, stranger,
};
use crate::ledger::{account, at, bot, by_hand, entry, given_up, planned, posted, why};
use crate::support::clock::{minutes, seconds};
use crate::support::fixture::{EngineFixture, IN_FLIGHT};
use crate::support::flock::poem;
use crate::support::network::Next;

/// The disk space that the ballast takes.
const BALLAST: u64 = 4 << 20;

/// The disk space that a ledger's ballast takes now.
fn ballast(ledger: &Path) -> Option<u64> {
    ledger.with_extension("db.ballast").metadata().ok().map(|file| file.blocks() * 512)
}

#[tokio::test]
async fn space_is_reserved_before_the_first_post_and_freed_at_the_end() {
    let place = LedgerFolder::new();
    for left_behind in [false, true] {
        let store = place.open_as_owner().await.unwrap();
        store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
        assert_eq!(ballast(&place.path), left_behind.then_some(BALLAST));
        let seconds = 10 + i64::from(left_behind);
        let post = store.open(&by_hand("walt", "text", seconds)).await.unwrap();
        assert_eq!(ballast(&place.path), Some(BALLAST));
        let beside = place.open_as_client().await.unwrap().unwrap();
        beside.advance(post.id, &posted("1"), at(20)).await.unwrap();
        beside.close().await;
        assert_eq!(ballast(&place.path), Some(BALLAST), "it belongs to the owner");
        store.close().await;
        drop(store);
        assert_eq!(ballast(&place.path), None);
        // As a killed lease owner leaves it.
        let left = std::fs::File::create(place.path.with_extension("db.ballast")).unwrap();
        std::io::Write::write_all(&mut &left, &vec![7; usize::try_from(BALLAST).unwrap()]).unwrap();
    }
}

/// Not a test by itself.
#[tokio::test]
async fn child_whose_disk_fills() {
    let Some(folder) = child_folder() else { return };
    let path = folder.join("flock.db");
    let store = Sqlite::open_as_owner(&database(&path)).await.unwrap();
    let names = ["walt", "emily", "robin", "alfred"];
    store.upsert_bots(&names.map(entry), at(0)).await.unwrap();
    let sealed = Sealed { network: NetworkKind::X, key_mark: "mark".to_owned(), bytes: vec![1; 300] };
    store.sign_in(&bot("walt"), &account("7"), &sealed, 0, at(1)).await.unwrap();
    let sending = store.open(&by_hand("walt", "on its way", 1)).await.unwrap();
    let waiting = Draft { begins: planned(60), ..by_hand("emily", "waiting", 2) };
    let waiting = store.open(&waiting).await.unwrap();
    fill(&folder);

    let full = || StoreError::Full(path.display().to_string());
    let mut written = vec![waiting.clone(), sending.clone()];
    let refused = loop {
        let seconds = 10 + i64::try_from(written.len()).unwrap();
        match store.open(&given_up("alfred", seconds)).await {
            Ok(post) => written.insert(0, post),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, full());
    assert_eq!(store.open(&by_hand("robin", "too late", 80)).await, Err(full()));
    assert_eq!(store.posts(&Filter::default()).await.unwrap(), written, "something was half written");
    assert_eq!(ballast(&path), Some(BALLAST), "none of that released the ballast");

    store.advance(sending.id, &posted("1"), at(90)).await.expect("a result found no room");
    assert_eq!(ballast(&path), Some(0));
    store.renewed(&bot("walt"), &sealed, 1).await.expect("new tokens found no room");
    for _ in 0..2 {
        assert_eq!(store.open(&by_hand("robin", "too late", 91)).await, Err(full()));
        assert_eq!(store.advance(waiting.id, &Move::Send { record: None }, at(92)).await, Err(full()));
        assert_eq!(store.lease_credential(&bot("walt"), 2, at(93), at(99)).await, Err(full()));
    }
    assert_eq!(count(&store).await, written.len());

    make_room(&folder);
    let after = store.open(&by_hand("robin", "room again", 94)).await.unwrap();
    assert_eq!(ballast(&path), Some(BALLAST));
    store.advance(after.id, &Move::Doubt(why(Cause::Silence)), at(95)).await.unwrap();
    store.advance(waiting.id, &Move::Send { record: None }, at(96)).await.unwrap();
    assert_eq!(store.lease_credential(&bot("walt"), 2, at(97), at(99)).await, Ok(true));
    is_sound(&path).await;
    println!("\n{TOLD}");
}

#[test]
fn nothing_is_half_written_and_results_are_recorded_on_a_full_disk() {
    on_a_disk_of("8m", "disk_full::child_whose_disk_fills");
}

/// Not a test by itself.
#[tokio::test]
async fn child_with_many_posts_in_flight() {
    let Some(folder) = child_folder() else { return };
    let path = folder.join("flock.db");
    let store = Sqlite::open_as_owner(&database(&path)).await.unwrap();
    let names: Vec<String> = (0..IN_FLIGHT).map(|n| format!("bot{n}")).collect();
    let entries: Vec<_> = names.iter().map(|name| entry(name)).collect();
    store.upsert_bots(&entries, at(0)).await.unwrap();
    let long = "long ".repeat(800);
    let mut flying = Vec::new();
    for name in &names {
        flying.push(store.open(&by_hand(name, &long, 1)).await.unwrap());
    }
    fill(&folder);
    for post in &flying {
        // Each in a separate commit, and as long as possible: the most space that results can take.
        let why = flockd::flock::post::Why::new(Cause::Text, long.clone());
        store.advance(post.id, &Move::Refuse(why), at(9)).await.expect("a result found no room");
    }
    assert_eq!(ballast(&path), Some(0), "there was room without it");
    println!("\n{TOLD}");
}

#[test]
fn the_ballast_suffices_for_all_posts_in_flight() {
    on_a_disk_of("24m", "disk_full::child_with_many_posts_in_flight");
}

/// Not a test by itself.
#[tokio::test]
async fn child_that_is_started_on_a_full_disk() {
    let Some(folder) = child_folder() else { return };
    let path = folder.join("flock.db");
    let store = Sqlite::open_as_owner(&database(&path)).await.unwrap();
    store.upsert_bots(&["walt", "emily"].map(entry), at(0)).await.unwrap();
    store.open(&by_hand("walt", "on its way", 1)).await.unwrap();
    // What a killed lease owner leaves: its files as they are now.
    let killed = folder.join("killed");
    std::fs::create_dir(&killed).unwrap();
    for name in ["flock.db", "flock.db-wal", "flock.db.lock", "flock.db.ballast"] {
        std::fs::copy(folder.join(name), killed.join(name)).unwrap();
    }
    fill(&folder);
    let killed = killed.join("flock.db");
    let store = Sqlite::open_as_owner(&database(&killed)).await.expect("the flock did not start");
    assert_eq!(ballast(&killed), Some(0), "there was room without it");
    assert_eq!(store.take_over(at(2)).await.unwrap().len(), 1);
    // A WAL that was checkpointed into its ledger may have freed more space than the ballast took.
    std::fs::write(folder.join("of another program"), vec![0; 1 << 20]).unwrap();
    let full = StoreError::Full(killed.display().to_string());
    assert_eq!(store.open(&by_hand("emily", "too late", 3)).await, Err(full));
    println!("\n{TOLD}");
}

#[test]
fn a_leftover_ballast_lets_a_flock_start() {
    on_a_disk_of("16m", "disk_full::child_that_is_started_on_a_full_disk");
}

/// An export of one bot with this many long posts.
fn export_of(posts: usize) -> Vec<u8> {
    let at = "2026-01-02T03:04:05Z";
    let mut lines = vec![
        format!(r#"{{"export":{{"format":1,"flockd":"0.1.0","made_at":"{at}","bots":1,"posts":{posts}}}}}"#),
        format!(r#"{{"bot":{{"name":"walt","schedule":"@hourly UTC","considered":"{at}"}}}}"#),
    ];
    for number in 0..posts {
        let (id, text) = (format!("019b7c00-0000-7000-8000-{number:012}"), "long ".repeat(200));
        lines.push(format!(
            r#"{{"post":{{"id":"{id}","bot":"walt","network":"x","state":"posted","text":"{text}","due_at":"{at}","planned_at":"{at}"}}}}"#
        ));
    }
    lines.join("\n").into_bytes()
}

/// Not a test by itself.
#[tokio::test]
async fn child_that_imports_more_than_fits() {
    let Some(folder) = child_folder() else { return };
    let path = folder.join("flock.db");
    let store = Sqlite::open_as_owner(&database(&path)).await.unwrap();
    let import = async |posts| {
        let (header, records) = transfer::read(std::io::Cursor::new(export_of(posts))).unwrap();
        let records = Box::new(records);
        store.import(transfer::Arrivals { header, records, moved: true }, at(9)).await
    };
    assert_eq!(import(12_000).await, Err(StoreError::Full(path.display().to_string())));
    assert_eq!(store.bot_record(&bot("walt"), at(10)).await, Ok(None), "nothing came in");
    assert_eq!(import(20).await.unwrap().unwrap().posts, 20, "and what has room does");
    // The triggers are in place again.
    let mut db = stranger(&path).await;
    let moved = sqlx::query("update post set state = 'planned'").execute(&mut db).await.unwrap_err();
    assert!(moved.to_string().contains("illegal move"), "{moved}");
    db.close().await.unwrap();
    is_sound(&path).await;
    println!("\n{TOLD}");
}

#[test]
fn an_import_without_space_changes_nothing() {
    on_a_disk_of("8m", "disk_full::child_that_imports_more_than_fits");
}

/// Not a test by itself: a flock that runs while its disk fills.
#[tokio::test]
async fn child_whose_flock_fills_the_disk() {
    let Some(folder) = child_folder() else { return };
    let flock = ["walt", "emily"].map(|name| (crate::support::flock::bot(name), poem(&name[..1], 99)));
    let fixture = EngineFixture::of(flock).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("emily").texts(), ["e1"]);
    fill(&folder);
    fixture.pass(minutes(2)).await;
    let trouble = |event: &Event| matches!(event, Event::LedgerTrouble { problem, .. } if problem.contains("is full: make room"));
    assert!(fixture.count(trouble) >= 2, "{:?}", fixture.events());
    assert_eq!(fixture.net("emily").texts(), ["e1"], "it was sent although there was no room for the result");

    fixture.net("walt").release(&crate::support::network::posted("1"));
    fixture.at_rest().await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1"]);
    fixture.pass(minutes(5)).await;
    assert_eq!((fixture.net("walt").texts().len(), fixture.net("emily").texts().len()), (1, 1));

    make_room(&folder);
    fixture.pass(seconds(90)).await;
    for name in ["walt", "emily"] {
        let rows = fixture.rows(name).await;
        assert!(rows.len() >= 2 && rows.iter().all(|row| row.state == State::Posted), "{rows:?}");
        assert_eq!(fixture.net(name).texts().len(), rows.len(), "sent once each");
    }
    println!("\n{TOLD}");
}

#[test]
fn a_flock_stops_posting_on_a_full_disk_and_recovers_by_itself() {
    on_a_disk_of("12m", "disk_full::child_whose_flock_fills_the_disk");
}
