//! The alert that a problem is over: sent once, to the targets that were told of the problem, even after a
//! restart.

use flockd::flock::Bot;
use flockd::flock::NetworkKind;
use flockd::flock::changes::Changes;
use flockd::flock::event::Event;
use flockd::flock::post::{Post, State};
use serde_json::Value;

use crate::ledger;
use crate::support::alert_fixture::AlertFixture;
use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::flock::{bot, cron};
use crate::support::hook::Next;

/// The instant from which `ledger::at` counts seconds.
const START: &str = "2027-01-15T08:00:00Z";

async fn over(bots: &[&str]) -> AlertFixture {
    let seldom = |name: &&str| Bot { schedule: cron("@yearly"), network: NetworkKind::Paper, ..bot(name) };
    AlertFixture::over(START, bots.iter().map(|name| (seldom(name), "one\ntwo\n"))).await
}

/// Pauses a bot as flockd itself does, so that it needs a person.
async fn pause(fixture: &AlertFixture, name: &str, second: i64) {
    fixture
        .store
        .pause(&ledger::bot(name), Some("the ledger was put back"), ledger::at(second))
        .await
        .unwrap();
    fixture.tell(&Event::Paused { bot: ledger::bot(name), why: Some("the ledger was put back".to_owned()) });
}

async fn resume(fixture: &AlertFixture, name: &str, second: i64) {
    fixture.store.resume(&ledger::bot(name), ledger::at(second)).await.unwrap();
}

async fn told(fixture: &mut AlertFixture) -> (Value, Value, bool) {
    let alert = fixture.hook.next().await.json();
    (alert["bot"].clone(), alert["cause"].clone(), alert["resolved"].as_bool().unwrap())
}

/// Waits until the monitor has checked everything, and checks that it sent no further alert.
async fn nothing_more(fixture: &mut AlertFixture) {
    for _ in 0..3 {
        fixture.after(minutes(1)).await;
    }
    fixture.asleep(minutes(1)).await;
    assert!(fixture.hook.more().is_none());
}

fn walt(resolved: bool) -> (Value, Value, bool) {
    ("walt".into(), "paused".into(), resolved)
}

#[tokio::test]
async fn a_recovered_bot_is_announced_once() {
    let mut fixture = over(&["walt", "emily"]).await;
    fixture.watch_by_webhook().await;
    pause(&fixture, "walt", 1).await;
    assert_eq!(told(&mut fixture).await, walt(false));
    resume(&fixture, "walt", 2).await;
    fixture.after(minutes(1)).await;
    let over = fixture.hook.next().await.json();
    assert_eq!(over["text"], "walt on paper no longer needs a person, it is ok: paused is resolved");
    assert_eq!((&over["state"], &over["resolved"]), (&"ok".into(), &true.into()));
    nothing_more(&mut fixture).await;
    fixture.watch_by_webhook().await;
    nothing_more(&mut fixture).await;
}

#[tokio::test]
async fn recovery_is_announced_even_after_a_restart_and_a_night() {
    for later in [minutes(0), hours(24 * 3)] {
        let mut fixture = over(&["walt"]).await;
        fixture.watch_by_webhook().await;
        pause(&fixture, "walt", 1).await;
        assert_eq!(told(&mut fixture).await, walt(false));
        fixture.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        fixture.leave().await;
        resume(&fixture, "walt", 2).await;
        fixture.clock.advance(later);
        fixture.watch_by_webhook().await;
        assert_eq!(told(&mut fixture).await, walt(true));
        fixture.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        fixture.watch_by_webhook().await;
        nothing_more(&mut fixture).await;
    }
}

#[tokio::test]
async fn only_targets_that_got_the_alert_hear_that_it_is_over() {
    let mut fixture = over(&["walt"]).await;
    for _ in 0..4 {
        fixture.hook.then(Next::Echo(500));
    }
    fixture.watch_by_both("cat >> FOLDER/got; echo >> FOLDER/got").await;
    pause(&fixture, "walt", 1).await;
    fixture.wait_for(|event| matches!(event, Event::Alerted { receiver: "command", .. })).await;
    for pause in [5, 20, 60] {
        fixture.hook.next().await;
        fixture.after(seconds(pause)).await;
    }
    fixture.hook.next().await;
    fixture.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    resume(&fixture, "walt", 2).await;
    fixture.watch_by_both("cat >> FOLDER/got; echo >> FOLDER/got").await;
    fixture.wait_for(|event| matches!(event, Event::Alerted { receiver: "command", .. })).await;
    nothing_more(&mut fixture).await;
    let got = std::fs::read_to_string(fixture.folder().join("got")).unwrap();
    let got: Vec<Value> = got.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(got.iter().map(|alert| alert["resolved"] == true).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_flapping_bot_alerts_three_times_a_day_ending_with_the_problem() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    for (second, [is_told, is_resolved]) in
        [[true, true], [true, false], [false, false]].into_iter().enumerate()
    {
        let second = i64::try_from(second).unwrap() * 2;
        pause(&fixture, "walt", second + 1).await;
        if is_told {
            assert_eq!(told(&mut fixture).await, walt(false));
        }
        fixture.after(minutes(1)).await;
        resume(&fixture, "walt", second + 2).await;
        fixture.after(minutes(1)).await;
        if is_resolved {
            assert_eq!(told(&mut fixture).await, walt(true));
        }
        nothing_more(&mut fixture).await;
    }
    // The next day it has recovered, but the target has not been told yet.
    fixture.later(hours(24)).await;
    assert_eq!(told(&mut fixture).await, walt(true));
    nothing_more(&mut fixture).await;
}

#[tokio::test]
async fn a_successful_reload_is_announced_even_after_a_restart() {
    for restart in [false, true] {
        let mut fixture = over(&["walt"]).await;
        fixture.watch_by_webhook().await;
        fixture.tell(&Event::NotReloaded { complaints: vec!["flock.toml:7: odd".to_owned()] });
        assert_eq!(told(&mut fixture).await, (Value::Null, "reload".into(), false));
        fixture.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        if restart {
            fixture.watch_by_webhook().await;
        } else {
            fixture.tell(&Event::Reloaded(Changes::default()));
        }
        assert_eq!(told(&mut fixture).await, (Value::Null, "reload".into(), true));
        nothing_more(&mut fixture).await;
    }
}

#[tokio::test]
async fn a_ledger_that_is_writable_again_is_announced() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    for _ in 0..6 {
        fixture.tell(&Event::LedgerTrouble { bot: None, problem: "the disk is full".to_owned() });
        fixture.after(minutes(1)).await;
    }
    assert_eq!(told(&mut fixture).await, (Value::Null, "ledger".into(), false));
    for _ in 0..3 {
        fixture.after(minutes(1)).await;
    }
    assert_eq!(told(&mut fixture).await, (Value::Null, "ledger".into(), true));
    nothing_more(&mut fixture).await;
}

#[tokio::test]
async fn an_app_that_sends_again_is_announced() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    let (app, reason) = ("paper".to_owned(), "the app's credits are used up".to_owned());
    fixture.tell(&Event::AppCooldown { app, until: at("2027-01-15T09:30:00Z"), reason });
    assert_eq!(told(&mut fixture).await, (Value::Null, "held".into(), false));
    // The passing of time proves nothing.
    fixture.later(hours(2)).await;
    nothing_more(&mut fixture).await;
    let post = crate::support::post(NetworkKind::Paper, 1, "a line");
    fixture.tell(&Event::Posted(Post { state: State::Posted, ..post }));
    let over = fixture.hook.next().await.json();
    assert_eq!(over["text"], "app paper sends again: a post went out");
    assert_eq!(over["resolved"], true);
    nothing_more(&mut fixture).await;
}
