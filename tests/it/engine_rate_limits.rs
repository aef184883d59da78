//! Stories of how often: floods, limits that networks announce, and pauses.

use std::collections::HashMap;

use chrono::TimeDelta;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State, Why};
use flockd::flock::{AtEnd, Bot};
use flockd::net::{Cooldown, LimitScope, Outcome};
use flockd::store::CommandKind;

use crate::support::clock::{at, minutes, seconds};
use crate::support::fixture::House;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{like, nothing, setback};

/// So often a bug or a clock tries.
const TRIES: usize = 200;

fn busy() -> Bot {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_per_hour, walt.at_end) = (cron("* * * * * *"), 20, AtEnd::Again);
    walt
}

#[tokio::test]
async fn a_schedule_of_every_second_is_no_flood_and_a_restart_begins_no_new_hour() {
    let mut house = House::of([(busy(), poem("w", 99))]).await;
    let mut sent = Vec::new();
    for pause in [28, 28, 1] {
        house.pass(seconds(59)).await;
        sent.push(house.net("walt").sent().len());
        house.stop().await;
        house.pass(minutes(pause)).await;
        house.start().await;
    }
    house.pass(seconds(59)).await;
    sent.push(house.net("walt").sent().len());
    // The first twenty seconds, and the same again when an hour has passed.
    assert_eq!(sent, [20, 20, 20, 40]);
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_is_no_flood() {
    let house = House::of([(busy(), poem("w", 99))]).await;
    for _ in 0..TRIES {
        house.set_clock(house.now() + TimeDelta::hours(2)).await;
    }
    // Each jump takes the thirty seconds in which the engine notices it: an hour and forty minutes in all.
    let rows = house.rows("walt").await;
    let sent = rows.iter().filter(|row| row.sent_at.is_some()).count();
    assert!((20..=40).contains(&sent), "{sent} in two hours, whatever the clock said");
    assert_eq!(house.net("walt").sent().len(), sent);
    assert!(rows.iter().any(|row| (row.state, row.cause) == (State::Released, Some(Cause::Flood))));
}

/// The ledger forgets which slots were used, and a process notifies without end: each look at the bot finds the same
/// slot due.
#[tokio::test]
async fn a_bug_in_the_schedule_is_no_flood() {
    let mut walt = busy();
    walt.schedule = cron("@hourly");
    let house = House::of([(walt, poem("w", 99))]).await;
    house
        .tamper(
            "drop index post_slot; drop trigger bot_considered;
             create trigger forgetful after update of considered on bot when new.considered > 0
             begin update bot set considered = 0; end;
             update bot set considered = 0;",
        )
        .await;
    for _ in 0..TRIES {
        let asked = house.ask(CommandKind::SignedIn { bot: "walt".to_owned() }).await;
        house.answer(asked).await;
    }
    let rows = house.rows("walt").await;
    let mut slots = HashMap::new();
    rows.iter().for_each(|row| *slots.entry(row.slot).or_insert(0) += 1);
    assert!(slots.values().any(|times| *times > 100), "the bug is one: {slots:?}");
    assert_eq!(house.net("walt").sent().len(), 20, "and the limit holds");
    assert!(house.standing("walt").await.skipped.is_empty(), "no command asked for that");
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
async fn what_an_answer_says_of_the_app_counts_for_all_its_bots() {
    let house = House::of([(hourly("walt"), poem("w", 9)), (bot("emily"), poem("e", 99))]).await;
    house.net("walt").then(setback(Cause::Credits, None));
    house.net("walt").cooldown(hold(LimitScope::App, "2024-03-05T12:25:00Z"));
    house.pass_until("2024-03-05T12:10:00Z").await;
    let before = house.net("emily").sent().len();
    house.pass_until("2024-03-05T12:24:59Z").await;
    assert_eq!((house.net("walt").sent().len(), house.net("emily").sent().len() - before), (1, 0));
    let waits = house.last("emily").await;
    assert_eq!((waits.state, waits.cause, waits.attempts), (State::Planned, Some(Cause::Credits), 0));
    assert_eq!(house.count(|event| matches!(event, Event::Held { .. })), 1, "told once");
    house.pass_until("2024-03-05T12:30:00Z").await;
    assert!(house.net("walt").sent().len() >= 2 && house.net("emily").sent().len() > before);
    let lost = |row: &&flockd::flock::post::Post| row.state == State::Refused;
    assert_eq!(house.rows("walt").await.iter().filter(lost).count(), 0, "no line is burnt");
}

#[tokio::test]
async fn what_an_answer_says_of_the_bot_counts_for_it_alone() {
    let house = House::of([(bot("walt"), poem("w", 99)), (bot("emily"), poem("e", 99))]).await;
    house.net("walt").cooldown(hold(LimitScope::Bot, "2024-03-05T12:25:00Z"));
    house.pass_until("2024-03-05T12:24:00Z").await;
    assert_eq!((house.net("walt").sent().len(), house.net("emily").sent().len()), (1, 24));
    assert_eq!(house.rows("walt").await[0].state, State::Posted, "a limit that is used up by a post");
    house.pass(minutes(2)).await;
    assert!(house.net("walt").sent().len() >= 2);
}

#[tokio::test]
async fn a_hold_that_outlasts_max_late_releases_the_slot() {
    let mut walt = hourly("walt");
    walt.max_late = minutes(5);
    let house = House::of([(walt, poem("w", 9))]).await;
    house.net("walt").cooldown(hold(LimitScope::Bot, "2024-03-05T12:45:00Z"));
    house.pass_until("2024-03-05T12:50:00Z").await;
    let story = house.story("walt").await;
    let expected = ["12:10:00 posted w1", "12:20:00 released (credits) w2", "12:30:00 released (credits) w2"];
    assert_eq!(story[..3], expected);
    assert_eq!(story[3..], ["12:40:00 posted w2", "12:50:00 posted w3"]);
}

async fn wish(house: &House, what: CommandKind) -> flockd::store::CommandResult {
    let id = house.ask(what).await;
    house.answer(id).await
}

#[tokio::test]
async fn a_paused_bot_posts_nothing_but_what_a_person_gives_it() {
    let mut house = House::of([(hourly("walt"), poem("w", 9)), (bot("emily"), poem("e", 99))]).await;
    house.pass(minutes(10)).await;
    let walt = || "walt".to_owned();
    assert!(wish(&house, CommandKind::Pause { bot: walt() }).await.done);
    house.pass(minutes(30)).await;
    house.restart().await;
    house.pass(minutes(25)).await;
    assert_eq!((house.net("walt").texts(), house.net("emily").sent().len()), (vec!["w1".to_owned()], 65));
    let line = house.post("walt", None).await;
    assert!(!line.done && line.message.contains("flockd resume walt"), "{line:?}");
    assert!(house.post("walt", Some("by hand")).await.done);
    let resumed = wish(&house, CommandKind::Resume { bot: walt() }).await;
    assert!(resumed.done && resumed.message.contains("13:10:00"), "{resumed:?}");
    house.pass(minutes(4)).await;
    assert_eq!(house.net("walt").texts().len(), 2, "the slots of the pause are over");
    house.pass(minutes(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "by hand", "w2"]);
    assert_eq!(house.standing("walt").await.missed, 0, "nor were they missed");
}

#[tokio::test]
async fn a_pause_holds_a_post_that_waits_and_lets_a_doubt_be_settled() {
    let house = House::of([(hourly("walt"), poem("w", 9))]).await;
    house.net("walt").then(setback(Cause::Unreachable, None));
    house.pass(minutes(10)).await;
    assert!(wish(&house, CommandKind::Pause { bot: "walt".to_owned() }).await.done);
    house.pass(minutes(59)).await;
    assert_eq!(house.story("walt").await, ["12:10:00 planned (unreachable) w1"]);
    house.pass(minutes(2)).await;
    assert_eq!(house.story("walt").await, ["12:10:00 released (unreachable) w1"], "too late by now");
    assert!(wish(&house, CommandKind::Resume { bot: "walt".to_owned() }).await.done);
    house.net("walt").then(Outcome::Unknown { reason: "silence".to_owned() });
    house.net("walt").then_sees(Ok(nothing()));
    house.net("walt").sees(like("found"));
    house.pass_until("2024-03-05T13:20:00Z").await;
    assert!(wish(&house, CommandKind::Pause { bot: "walt".to_owned() }).await.done);
    house.pass(minutes(10)).await;
    assert_eq!(house.last("walt").await.remote_id.as_deref(), Some("found"));
}
