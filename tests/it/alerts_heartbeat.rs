//! The heartbeat, which is sent only while every bot is on time.

use flockd::clock::Clock as _;
use flockd::flock::event::Event;
use flockd::flock::{Bot, NetworkKind};

use crate::ledger;
use crate::support::alert_fixture::{AlertFixture, PATH};
use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::flock::{bot, cron};
use crate::support::hook::Next;

/// A bot that posts every hour, and a heartbeat every five minutes.
async fn beating() -> AlertFixture {
    let walt = Bot { schedule: cron("@hourly"), network: NetworkKind::Paper, ..bot("walt") };
    let walt = Bot { max_late: minutes(10), ..walt };
    let mut fixture = AlertFixture::over("2027-01-15T08:00:00Z", [(walt, "one\n")]).await;
    fixture.beat(minutes(5)).await;
    fixture
}

async fn heard(fixture: &mut AlertFixture) {
    let told = fixture.hook.next().await;
    assert_eq!((told.method.as_str(), &*told.path, &*told.body), ("GET", PATH, ""));
}

async fn stopped(fixture: &AlertFixture) -> String {
    match fixture.wait_for(|event| matches!(event, Event::HeartbeatStopped { .. })).await {
        Event::HeartbeatStopped { problem } => problem,
        other => panic!("{other:?}"),
    }
}

fn stops(fixture: &AlertFixture) -> usize {
    fixture.told().iter().filter(|event| matches!(event, Event::HeartbeatStopped { .. })).count()
}

#[tokio::test]
async fn it_stops_while_a_bot_is_overdue() {
    let mut fixture = beating().await;
    for _ in 0..14 {
        heard(&mut fixture).await;
        fixture.after(minutes(5)).await;
    }
    // It is 9:10, and the slot of 9:00 was not taken.
    heard(&mut fixture).await;
    fixture.after(minutes(5)).await;
    fixture.after(minutes(5)).await;
    assert_eq!(stopped(&fixture).await, "overdue: walt");
    fixture.after(minutes(5)).await;
    fixture.store.advance_last_slot(&ledger::bot("walt"), at("2027-01-15T09:00:00Z"), 1).await.unwrap();
    assert!(fixture.hook.more().is_none());
    fixture.after(minutes(5)).await;
    heard(&mut fixture).await;
    fixture.wait_for(|event| matches!(event, Event::HeartbeatBack)).await;
    assert_eq!(stops(&fixture), 1);
}

#[tokio::test]
async fn it_stops_when_the_engine_is_stuck() {
    let mut fixture = beating().await;
    heard(&mut fixture).await;
    *fixture.idle.lock().unwrap() = seconds(121);
    fixture.after(minutes(5)).await;
    fixture.after(minutes(5)).await;
    assert!(stopped(&fixture).await.contains("stuck"));
    assert!(fixture.hook.more().is_none());
    *fixture.idle.lock().unwrap() = seconds(30);
    fixture.after(minutes(5)).await;
    heard(&mut fixture).await;
}

#[tokio::test]
async fn it_stops_when_the_ledger_can_be_read_but_not_written() {
    let mut fixture = beating().await;
    heard(&mut fixture).await;
    fixture
        .tamper("create trigger spoilt before update on meta begin select raise(abort, 'spoilt'); end")
        .await;
    fixture.after(minutes(5)).await;
    fixture.after(minutes(5)).await;
    assert!(stopped(&fixture).await.contains("spoilt"));
    assert!(fixture.hook.more().is_none());
}

#[tokio::test]
async fn it_stops_when_the_ledger_was_removed() {
    let mut fixture = beating().await;
    heard(&mut fixture).await;
    std::fs::remove_file(fixture.folder().join("flock.db")).unwrap();
    fixture.after(minutes(5)).await;
    fixture.after(minutes(5)).await;
    assert!(stopped(&fixture).await.contains("flock.db"));
    assert!(fixture.hook.more().is_none());
}

#[tokio::test]
async fn a_paused_bot_counts_as_on_time() {
    let mut fixture = beating().await;
    heard(&mut fixture).await;
    fixture.store.pause(&ledger::bot("walt"), None, ledger::at(0)).await.unwrap();
    fixture.after(minutes(5)).await;
    heard(&mut fixture).await;
    fixture.after(minutes(5)).await;
    heard(&mut fixture).await;
    fixture.later(hours(5)).await;
    heard(&mut fixture).await;
}

#[tokio::test]
async fn a_failing_url_is_logged_once_until_it_works_again() {
    let mut fixture = beating().await;
    heard(&mut fixture).await;
    fixture.hook.then(Next::Echo(404));
    fixture.hook.then(Next::Elsewhere);
    for _ in 0..2 {
        fixture.after(minutes(5)).await;
        heard(&mut fixture).await;
    }
    fixture.after(minutes(5)).await;
    heard(&mut fixture).await;
    let problem = stopped(&fixture).await;
    assert!(problem.contains("HTTP ") && !problem.contains("sesame"), "{problem}");
    fixture.wait_for(|event| matches!(event, Event::HeartbeatBack)).await;
    assert_eq!(stops(&fixture), 1);
}

/// Its last slot is ten years ahead of the clock, so no slot fires before then.
#[tokio::test]
async fn it_stops_while_a_last_slot_ahead_of_the_clock_keeps_a_bot_silent() {
    let mut fixture = beating().await;
    heard(&mut fixture).await;
    fixture.store.advance_last_slot(&ledger::bot("walt"), at("2037-01-15T09:00:00Z"), 0).await.unwrap();
    fixture.after(minutes(5)).await;
    fixture.after(minutes(5)).await;
    assert_eq!(stopped(&fixture).await, "overdue: walt");
    assert!(fixture.hook.more().is_none());
    fixture.store.resume(&ledger::bot("walt"), fixture.clock.now()).await.unwrap();
    fixture.after(minutes(5)).await;
    heard(&mut fixture).await;
    fixture.wait_for(|event| matches!(event, Event::HeartbeatBack)).await;
}
