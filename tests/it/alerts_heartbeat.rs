//! The heartbeat is heard only while every bot is on time.

use flockd::clock::Clock as _;
use flockd::flock::event::Event;
use flockd::flock::{Bot, NetworkKind};

use crate::ledger;
use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::flock::{bot, cron};
use crate::support::hook::Next;
use crate::support::tower::{PATH, Tower};

/// A tower over a bot that posts every hour, with its heart beating every five minutes.
async fn beating() -> Tower {
    let walt = Bot { schedule: cron("@hourly"), network: NetworkKind::Paper, ..bot("walt") };
    let walt = Bot { max_late: minutes(10), ..walt };
    let mut tower = Tower::over("2027-01-15T08:00:00Z", [(walt, "one\n")]).await;
    tower.beat(minutes(5)).await;
    tower
}

async fn heard(tower: &mut Tower) {
    let told = tower.hook.next().await;
    assert_eq!((told.method.as_str(), &*told.path, &*told.body), ("GET", PATH, ""));
}

async fn stopped(tower: &Tower) -> String {
    match tower.wait_for(|event| matches!(event, Event::HeartbeatStopped { .. })).await {
        Event::HeartbeatStopped { problem } => problem,
        other => panic!("{other:?}"),
    }
}

fn stops(tower: &Tower) -> usize {
    tower.told().iter().filter(|event| matches!(event, Event::HeartbeatStopped { .. })).count()
}

#[tokio::test]
async fn it_stops_while_a_bot_is_overdue() {
    let mut tower = beating().await;
    for _ in 0..14 {
        heard(&mut tower).await;
        tower.after(minutes(5)).await;
    }
    // It is 9:10, and the slot of 9:00 was not taken.
    heard(&mut tower).await;
    tower.after(minutes(5)).await;
    tower.after(minutes(5)).await;
    assert_eq!(stopped(&tower).await, "overdue: walt");
    tower.after(minutes(5)).await;
    tower.store.advance_cursor(&ledger::bot("walt"), at("2027-01-15T09:00:00Z"), 1).await.unwrap();
    assert!(tower.hook.more().is_none());
    tower.after(minutes(5)).await;
    heard(&mut tower).await;
    tower.wait_for(|event| matches!(event, Event::HeartbeatBack)).await;
    assert_eq!(stops(&tower), 1);
}

#[tokio::test]
async fn it_stops_when_the_engine_is_stuck() {
    let mut tower = beating().await;
    heard(&mut tower).await;
    *tower.idle.lock().unwrap() = seconds(121);
    tower.after(minutes(5)).await;
    tower.after(minutes(5)).await;
    assert!(stopped(&tower).await.contains("stuck"));
    assert!(tower.hook.more().is_none());
    *tower.idle.lock().unwrap() = seconds(30);
    tower.after(minutes(5)).await;
    heard(&mut tower).await;
}

#[tokio::test]
async fn it_stops_when_the_ledger_can_be_read_but_not_written() {
    let mut tower = beating().await;
    heard(&mut tower).await;
    tower
        .tamper("create trigger spoilt before update on meta begin select raise(abort, 'spoilt'); end")
        .await;
    tower.after(minutes(5)).await;
    tower.after(minutes(5)).await;
    assert!(stopped(&tower).await.contains("spoilt"));
    assert!(tower.hook.more().is_none());
}

#[tokio::test]
async fn it_stops_when_the_ledger_was_removed() {
    let mut tower = beating().await;
    heard(&mut tower).await;
    std::fs::remove_file(tower.folder().join("flock.db")).unwrap();
    tower.after(minutes(5)).await;
    tower.after(minutes(5)).await;
    assert!(stopped(&tower).await.contains("flock.db"));
    assert!(tower.hook.more().is_none());
}

#[tokio::test]
async fn a_bot_that_rests_is_on_time() {
    let mut tower = beating().await;
    heard(&mut tower).await;
    tower.store.pause(&ledger::bot("walt"), None, ledger::at(0)).await.unwrap();
    tower.after(minutes(5)).await;
    heard(&mut tower).await;
    tower.after(minutes(5)).await;
    heard(&mut tower).await;
    tower.later(hours(5)).await;
    heard(&mut tower).await;
}

#[tokio::test]
async fn a_url_that_fails_is_said_once_until_it_works_again() {
    let mut tower = beating().await;
    heard(&mut tower).await;
    tower.hook.then(Next::Echo(404));
    tower.hook.then(Next::Elsewhere);
    for _ in 0..2 {
        tower.after(minutes(5)).await;
        heard(&mut tower).await;
    }
    tower.after(minutes(5)).await;
    heard(&mut tower).await;
    let problem = stopped(&tower).await;
    assert!(problem.contains("HTTP ") && !problem.contains("sesame"), "{problem}");
    tower.wait_for(|event| matches!(event, Event::HeartbeatBack)).await;
    assert_eq!(stops(&tower), 1);
}

/// Its last slot is ten years ahead, so that none that comes is used.
#[tokio::test]
async fn it_stops_while_a_clock_that_was_ahead_keeps_a_bot_silent() {
    let mut tower = beating().await;
    heard(&mut tower).await;
    tower.store.advance_cursor(&ledger::bot("walt"), at("2037-01-15T09:00:00Z"), 0).await.unwrap();
    tower.after(minutes(5)).await;
    tower.after(minutes(5)).await;
    assert_eq!(stopped(&tower).await, "overdue: walt");
    assert!(tower.hook.more().is_none());
    tower.store.resume(&ledger::bot("walt"), tower.clock.now()).await.unwrap();
    tower.after(minutes(5)).await;
    heard(&mut tower).await;
    tower.wait_for(|event| matches!(event, Event::HeartbeatBack)).await;
}
