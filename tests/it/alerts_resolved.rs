//! That a trouble of which people were told is over is told as well: once, to those who were told of it, also after a restart.

use flockd::flock::Bot;
use flockd::flock::NetworkKind;
use flockd::flock::changes::Changes;
use flockd::flock::event::Event;
use flockd::flock::post::{Post, State};
use serde_json::Value;

use crate::ledger;
use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::flock::{bot, cron};
use crate::support::hook::Next;
use crate::support::tower::Tower;

/// In the words of `ledger`, the instant from which seconds are counted there.
const START: &str = "2027-01-15T08:00:00Z";

async fn over(bots: &[&str]) -> Tower {
    let seldom = |name: &&str| Bot { schedule: cron("@yearly"), network: NetworkKind::Paper, ..bot(name) };
    Tower::over(START, bots.iter().map(|name| (seldom(name), "one\ntwo\n"))).await
}

/// Has flockd pause a bot, so that it needs a person.
async fn pause(tower: &Tower, name: &str, second: i64) {
    tower.store.pause(&ledger::bot(name), Some("the ledger was put back"), ledger::at(second)).await.unwrap();
    tower.tell(&Event::Paused { bot: ledger::bot(name), why: Some("the ledger was put back".to_owned()) });
}

async fn resume(tower: &Tower, name: &str, second: i64) {
    tower.store.resume(&ledger::bot(name), ledger::at(second)).await.unwrap();
}

async fn told(tower: &mut Tower) -> (Value, Value, bool) {
    let alert = tower.hook.next().await.json();
    (alert["bot"].clone(), alert["cause"].clone(), alert["resolved"].as_bool().unwrap())
}

/// Waits until everything was looked at, and nothing more was told.
async fn nothing_more(tower: &mut Tower) {
    for _ in 0..3 {
        tower.after(minutes(1)).await;
    }
    tower.asleep(minutes(1)).await;
    assert!(tower.hook.more().is_none());
}

fn walt(resolved: bool) -> (Value, Value, bool) {
    ("walt".into(), "paused".into(), resolved)
}

#[tokio::test]
async fn a_bot_that_needs_no_person_any_more_is_told_once() {
    let mut tower = over(&["walt", "emily"]).await;
    tower.watch_by_webhook().await;
    pause(&tower, "walt", 1).await;
    assert_eq!(told(&mut tower).await, walt(false));
    resume(&tower, "walt", 2).await;
    tower.after(minutes(1)).await;
    let over = tower.hook.next().await.json();
    assert_eq!(over["text"], "walt on paper needs no person any more, it is ok: paused is resolved");
    assert_eq!((&over["state"], &over["resolved"]), (&"ok".into(), &true.into()));
    nothing_more(&mut tower).await;
    tower.watch_by_webhook().await;
    nothing_more(&mut tower).await;
}

#[tokio::test]
async fn it_is_told_also_after_a_restart_and_a_night() {
    for later in [minutes(0), hours(24 * 3)] {
        let mut tower = over(&["walt"]).await;
        tower.watch_by_webhook().await;
        pause(&tower, "walt", 1).await;
        assert_eq!(told(&mut tower).await, walt(false));
        tower.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        tower.leave().await;
        resume(&tower, "walt", 2).await;
        tower.clock.advance(later);
        tower.watch_by_webhook().await;
        assert_eq!(told(&mut tower).await, walt(true));
        tower.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        tower.watch_by_webhook().await;
        nothing_more(&mut tower).await;
    }
}

#[tokio::test]
async fn only_who_was_told_of_a_trouble_is_told_of_its_end() {
    let mut tower = over(&["walt"]).await;
    for _ in 0..4 {
        tower.hook.then(Next::Echo(500));
    }
    tower.watch_by_both("cat >> FOLDER/got; echo >> FOLDER/got").await;
    pause(&tower, "walt", 1).await;
    tower.wait_for(|event| matches!(event, Event::Alerted { receiver: "command", .. })).await;
    for pause in [5, 20, 60] {
        tower.hook.next().await;
        tower.after(seconds(pause)).await;
    }
    tower.hook.next().await;
    tower.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    resume(&tower, "walt", 2).await;
    tower.watch_by_both("cat >> FOLDER/got; echo >> FOLDER/got").await;
    tower.wait_for(|event| matches!(event, Event::Alerted { receiver: "command", .. })).await;
    nothing_more(&mut tower).await;
    let got = std::fs::read_to_string(tower.folder().join("got")).unwrap();
    let got: Vec<Value> = got.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(got.iter().map(|alert| alert["resolved"] == true).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_bot_that_is_well_and_ill_by_turns_is_told_of_three_times_a_day_and_last_that_it_is_ill() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    for (second, [is_told, is_resolved]) in
        [[true, true], [true, false], [false, false]].into_iter().enumerate()
    {
        let second = i64::try_from(second).unwrap() * 2;
        pause(&tower, "walt", second + 1).await;
        if is_told {
            assert_eq!(told(&mut tower).await, walt(false));
        }
        tower.after(minutes(1)).await;
        resume(&tower, "walt", second + 2).await;
        tower.after(minutes(1)).await;
        if is_resolved {
            assert_eq!(told(&mut tower).await, walt(true));
        }
        nothing_more(&mut tower).await;
    }
    // The next day it is still well, which is not known yet.
    tower.later(hours(24)).await;
    assert_eq!(told(&mut tower).await, walt(true));
    nothing_more(&mut tower).await;
}

#[tokio::test]
async fn a_flock_that_can_be_reloaded_again_is_told_also_after_a_restart() {
    for restart in [false, true] {
        let mut tower = over(&["walt"]).await;
        tower.watch_by_webhook().await;
        tower.tell(&Event::NotReloaded { complaints: vec!["flock.toml:7: odd".to_owned()] });
        assert_eq!(told(&mut tower).await, (Value::Null, "reload".into(), false));
        tower.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        if restart {
            tower.watch_by_webhook().await;
        } else {
            tower.tell(&Event::Reloaded(Changes::default()));
        }
        assert_eq!(told(&mut tower).await, (Value::Null, "reload".into(), true));
        nothing_more(&mut tower).await;
    }
}

#[tokio::test]
async fn a_ledger_that_is_written_again_is_told() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    for _ in 0..6 {
        tower.tell(&Event::LedgerTrouble { bot: None, problem: "the disk is full".to_owned() });
        tower.after(minutes(1)).await;
    }
    assert_eq!(told(&mut tower).await, (Value::Null, "ledger".into(), false));
    for _ in 0..3 {
        tower.after(minutes(1)).await;
    }
    assert_eq!(told(&mut tower).await, (Value::Null, "ledger".into(), true));
    nothing_more(&mut tower).await;
}

#[tokio::test]
async fn an_app_that_sends_again_is_told() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    let (app, reason) = ("paper".to_owned(), "the app's credits are used up".to_owned());
    tower.tell(&Event::Held { app, until: at("2027-01-15T09:30:00Z"), reason });
    assert_eq!(told(&mut tower).await, (Value::Null, "held".into(), false));
    // Time alone proves nothing.
    tower.later(hours(2)).await;
    nothing_more(&mut tower).await;
    let post = crate::support::post(NetworkKind::Paper, 1, "a line");
    tower.tell(&Event::Posted(Post { state: State::Posted, ..post }));
    let over = tower.hook.next().await.json();
    assert_eq!(over["text"], "app paper sends again: a post went out");
    assert_eq!(over["resolved"], true);
    nothing_more(&mut tower).await;
}
