//! Rate limits: the hourly cap, limits that networks announce, and pauses.

use std::collections::HashMap;

use chrono::TimeDelta;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State, Why};
use flockd::flock::{AtEnd, Bot};
use flockd::net::{Cooldown, LimitScope, Outcome};
use flockd::store::CommandKind;

use crate::support::clock::{at, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{like, nothing, setback};

/// How many posts a bug or a clock attempts.
const TRIES: usize = 200;

fn busy() -> Bot {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_per_hour, walt.at_end) = (cron("* * * * * *"), 20, AtEnd::Again);
    walt
}

#[tokio::test]
async fn the_hourly_cap_limits_a_schedule_of_every_second_across_restarts() {
    let mut fixture = EngineFixture::of([(busy(), poem("w", 99))]).await;
    let mut sent = Vec::new();
    for pause in [28, 28, 1] {
        fixture.pass(seconds(59)).await;
        sent.push(fixture.net("walt").sent().len());
        fixture.stop().await;
        fixture.pass(minutes(pause)).await;
        fixture.start().await;
    }
    fixture.pass(seconds(59)).await;
    sent.push(fixture.net("walt").sent().len());
    // The first twenty seconds, and the same again an hour later.
    assert_eq!(sent, [20, 20, 20, 40]);
}

/// A post is sent some milliseconds after its slot, so that an hour later it is not quite an hour old.
#[tokio::test]
async fn the_hourly_cap_lets_as_many_slots_through_as_an_hour_has() {
    let walt = Bot { max_per_hour: 60, ..bot("walt") };
    let fixture = EngineFixture::of([(walt, poem("w", 99))]).await;
    for late in [700, 4_000, 0] {
        // The loop wakes late for a slot, and in time for the next.
        fixture.clock.advance(std::time::Duration::from_millis(60_000 + late));
        fixture.at_rest().await;
        fixture.pass(std::time::Duration::from_millis(30_000 - late)).await;
        fixture.clock.advance(seconds(30));
        fixture.at_rest().await;
    }
    fixture.pass(minutes(70)).await;
    assert!(fixture.rows("walt").await.iter().all(|row| row.state == State::Posted));
    assert_eq!(fixture.net("walt").sent().len(), 76);
}

#[tokio::test]
async fn the_hourly_cap_holds_across_clock_jumps() {
    let fixture = EngineFixture::of([(busy(), poem("w", 99))]).await;
    for _ in 0..TRIES {
        fixture.set_clock(fixture.now() + TimeDelta::hours(2)).await;
    }
    // The engine notices each jump within thirty seconds: an hour and forty minutes in all.
    let rows = fixture.rows("walt").await;
    let sent = rows.iter().filter(|row| row.sent_at.is_some()).count();
    assert!((20..=40).contains(&sent), "{sent} in two hours, whatever the clock said");
    assert_eq!(fixture.net("walt").sent().len(), sent);
    assert!(rows.iter().any(|row| (row.state, row.cause) == (State::Released, Some(Cause::Flood))));
}

/// The ledger forgets which slots were used, and a process notifies endlessly: each check of the bot finds
/// the same slot due.
#[tokio::test]
async fn the_hourly_cap_contains_a_scheduling_bug() {
    let mut walt = busy();
    walt.schedule = cron("@hourly");
    let fixture = EngineFixture::of([(walt, poem("w", 99))]).await;
    fixture
        .tamper(
            "drop index post_slot; drop trigger bot_considered;
             create trigger forgetful after update of considered on bot when new.considered > 0
             begin update bot set considered = 0; end;
             update bot set considered = 0;",
        )
        .await;
    for _ in 0..TRIES {
        let asked = fixture.ask(CommandKind::SignedIn { bot: "walt".to_owned() }).await;
        fixture.answer(asked).await;
    }
    let rows = fixture.rows("walt").await;
    let mut slots = HashMap::new();
    rows.iter().for_each(|row| *slots.entry(row.slot).or_insert(0) += 1);
    assert!(slots.values().any(|times| *times > 100), "the bug is one: {slots:?}");
    assert_eq!(fixture.net("walt").sent().len(), 20, "and the limit holds");
    assert!(fixture.standing("walt").await.skipped.is_empty(), "no command asked for that");
}

fn hourly(name: &str) -> Bot {
    let mut bot = bot(name);
    bot.schedule = cron("*/10 * * * *");
    bot
}

fn hold(scope: LimitScope, until: &str) -> Cooldown {
    Cooldown { scope, until: at(until), why: Why::new(Cause::Credits, "the credits are used up") }
}

#[tokio::test]
async fn a_rate_limit_of_the_app_stops_all_its_bots() {
    let fixture = EngineFixture::of([(hourly("walt"), poem("w", 9)), (bot("emily"), poem("e", 99))]).await;
    fixture.net("walt").then(setback(Cause::Credits, None));
    fixture.net("walt").cooldown(hold(LimitScope::App, "2024-03-05T12:25:00Z"));
    fixture.pass_until("2024-03-05T12:10:00Z").await;
    let before = fixture.net("emily").sent().len();
    fixture.pass_until("2024-03-05T12:24:59Z").await;
    assert_eq!((fixture.net("walt").sent().len(), fixture.net("emily").sent().len() - before), (1, 0));
    let waits = fixture.last("emily").await;
    assert_eq!((waits.state, waits.cause, waits.attempts), (State::Planned, Some(Cause::Credits), 0));
    assert_eq!(fixture.count(|event| matches!(event, Event::AppCooldown { .. })), 1, "told once");
    fixture.pass_until("2024-03-05T12:30:00Z").await;
    assert!(fixture.net("walt").sent().len() >= 2 && fixture.net("emily").sent().len() > before);
    let lost = |row: &&flockd::flock::post::Post| row.state == State::Refused;
    assert_eq!(fixture.rows("walt").await.iter().filter(lost).count(), 0, "no line is burnt");
}

#[tokio::test]
async fn a_rate_limit_of_a_bot_stops_only_that_bot() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 99)), (bot("emily"), poem("e", 99))]).await;
    fixture.net("walt").cooldown(hold(LimitScope::Bot, "2024-03-05T12:25:00Z"));
    fixture.pass_until("2024-03-05T12:24:00Z").await;
    assert_eq!((fixture.net("walt").sent().len(), fixture.net("emily").sent().len()), (1, 24));
    assert_eq!(fixture.rows("walt").await[0].state, State::Posted, "a limit that is used up by a post");
    fixture.pass(minutes(2)).await;
    assert!(fixture.net("walt").sent().len() >= 2);
}

#[tokio::test]
async fn a_rate_limit_that_outlasts_max_late_releases_the_slot() {
    let mut walt = hourly("walt");
    walt.max_late = minutes(5);
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    fixture.net("walt").cooldown(hold(LimitScope::Bot, "2024-03-05T12:45:00Z"));
    fixture.pass_until("2024-03-05T12:50:00Z").await;
    let history = fixture.history("walt").await;
    let expected = ["12:10:00 posted w1", "12:20:00 released (credits) w2", "12:30:00 released (credits) w2"];
    assert_eq!(history[..3], expected);
    assert_eq!(history[3..], ["12:40:00 posted w2", "12:50:00 posted w3"]);
}

async fn command(fixture: &EngineFixture, what: CommandKind) -> flockd::store::CommandResult {
    let id = fixture.ask(what).await;
    fixture.answer(id).await
}

#[tokio::test]
async fn a_paused_bot_posts_only_by_hand() {
    let mut fixture =
        EngineFixture::of([(hourly("walt"), poem("w", 9)), (bot("emily"), poem("e", 99))]).await;
    fixture.pass(minutes(10)).await;
    let walt = || "walt".to_owned();
    assert!(command(&fixture, CommandKind::Pause { bot: walt() }).await.done);
    fixture.pass(minutes(30)).await;
    fixture.restart().await;
    fixture.pass(minutes(25)).await;
    assert_eq!((fixture.net("walt").texts(), fixture.net("emily").sent().len()), (vec!["w1".to_owned()], 65));
    let line = fixture.post("walt", None).await;
    assert!(!line.done && line.message.contains("flockd resume walt"), "{line:?}");
    assert!(fixture.post("walt", Some("by hand")).await.done);
    let resumed = command(&fixture, CommandKind::Resume { bot: walt() }).await;
    assert!(resumed.done && resumed.message.contains("13:10:00"), "{resumed:?}");
    fixture.pass(minutes(4)).await;
    assert_eq!(fixture.net("walt").texts().len(), 2, "the slots of the pause are over");
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "by hand", "w2"]);
    assert_eq!(fixture.standing("walt").await.missed, 0, "nor were they missed");
}

#[tokio::test]
async fn a_pause_holds_a_waiting_post_and_lets_an_unknown_outcome_settle() {
    let fixture = EngineFixture::of([(hourly("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(setback(Cause::Unreachable, None));
    fixture.pass(minutes(10)).await;
    assert!(command(&fixture, CommandKind::Pause { bot: "walt".to_owned() }).await.done);
    fixture.pass(minutes(59)).await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 planned (unreachable) w1"]);
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 released (unreachable) w1"], "too late by now");
    assert!(command(&fixture, CommandKind::Resume { bot: "walt".to_owned() }).await.done);
    fixture.net("walt").then(Outcome::Unknown { reason: "silence".to_owned() });
    fixture.net("walt").then_sees(Ok(nothing()));
    fixture.net("walt").sees(like("found"));
    fixture.pass_until("2024-03-05T13:20:00Z").await;
    assert!(command(&fixture, CommandKind::Pause { bot: "walt".to_owned() }).await.done);
    fixture.pass(minutes(10)).await;
    assert_eq!(fixture.last("walt").await.remote_id.as_deref(), Some("found"));
}
