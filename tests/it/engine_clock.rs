//! Time: downtime, clock jumps, and daylight saving.

use chrono::TimeDelta;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::schedule::{Schedule, Zone};
use flockd::flock::{Bot, OnMiss};
use flockd::store::health_state::{HealthState, clock_was_ahead, health_state};
use flockd::store::{BotRecord, CommandKind};

use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::fixture::{EngineFixture, START};
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, like, nothing, setback};

fn every(schedule: &str) -> Bot {
    let mut walt = bot("walt");
    walt.schedule = cron(schedule);
    walt
}

fn missed(fixture: &EngineFixture) -> u32 {
    let slots = |event: &Event| if let Event::Missed { slots, .. } = event { *slots } else { 0 };
    fixture.events().iter().map(slots).sum()
}

#[tokio::test]
async fn after_downtime_the_newest_missed_slot_fires_and_the_others_are_counted() {
    let mut fixture = EngineFixture::of([(every("*/10 * * * *"), poem("w", 99))]).await;
    fixture.pass(minutes(10)).await;
    fixture.stop().await;
    fixture.pass(hours(3)).await;
    fixture.start().await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 posted w1", "15:10:00 posted w2"]);
    assert_eq!((missed(&fixture), fixture.standing("walt").await.missed), (17, 17));
    fixture.pass(minutes(9)).await;
    assert_eq!(fixture.net("walt").sent().len(), 2, "no burst");
}

#[tokio::test]
async fn after_downtime_nothing_too_late_fires() {
    let mut walt = every("0 12,14 * * *");
    walt.max_late = minutes(59);
    let mut fixture = EngineFixture::of([(walt, poem("w", 99))]).await;
    fixture.stop().await;
    fixture.pass(hours(3)).await;
    fixture.start().await;
    assert!(fixture.net("walt").sent().is_empty());
    assert_eq!((missed(&fixture), fixture.standing("walt").await.missed), (1, 1));
    fixture.restart().await;
    assert_eq!(missed(&fixture), 1, "counted once");
}

#[tokio::test]
async fn after_downtime_a_planned_post_is_not_sent_too_late() {
    let mut fixture = EngineFixture::of([(every("0 0 * * *"), "one\n")]).await;
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2024-03-06T00:20:00Z"))));
    fixture.pass_until("2024-03-06T00:10:00Z").await;
    fixture.stop().await;
    fixture.pass(hours(1)).await;
    fixture.start().await;
    assert_eq!(fixture.history("walt").await, ["00:00:00 released (limits) one"]);
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Released, Some(Cause::Limits)));
    assert_eq!(fixture.net("walt").sent().len(), 1);
}

#[tokio::test]
async fn a_bot_that_skips_missed_slots_fires_none_of_them() {
    let mut walt = every("*/10 * * * *");
    walt.on_miss = OnMiss::Skip;
    let mut fixture = EngineFixture::of([(walt, poem("w", 99))]).await;
    fixture.stop().await;
    fixture.pass(minutes(35)).await;
    fixture.start().await;
    assert!(fixture.net("walt").sent().is_empty());
    assert_eq!(missed(&fixture), 3);
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.history("walt").await, ["12:40:00 posted w1"]);
}

#[tokio::test]
async fn a_year_of_missed_seconds_causes_no_burst_and_no_delay() {
    let mut fixture = EngineFixture::of([(every("* * * * * *"), poem("w", 99))]).await;
    fixture.stop().await;
    fixture.clock.set(fixture.now() + TimeDelta::days(366));
    fixture.start().await;
    assert_eq!(fixture.net("walt").sent().len(), 1);
    assert!(missed(&fixture) >= 1_000);
}

#[tokio::test]
async fn a_clock_jump_back_fires_nothing_twice_and_is_logged() {
    let fixture = EngineFixture::of([(every("*/10 * * * *"), poem("w", 99))]).await;
    fixture.pass(minutes(10)).await;
    fixture.set_clock(at("2024-03-05T11:10:00Z")).await;
    let told = |event: &Event| matches!(event, Event::ClockWentBack { seconds: 3_540..=3_600 });
    assert_eq!(fixture.count(told), 1);
    fixture.pass_until("2024-03-05T12:19:59Z").await;
    assert_eq!(fixture.net("walt").sent().len(), 1, "used slots stay used");
    fixture.pass(seconds(1)).await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 posted w1", "12:20:00 posted w2"]);
}

#[tokio::test]
async fn a_small_clock_adjustment_is_not_logged() {
    let fixture = EngineFixture::of([(every("@hourly"), poem("w", 9))]).await;
    fixture.pass(minutes(10)).await;
    fixture.clock.set(fixture.now() - TimeDelta::seconds(3));
    fixture.pass(minutes(10)).await;
    assert_eq!(fixture.count(|event| matches!(event, Event::ClockWentBack { .. })), 0);
}

#[tokio::test]
async fn a_clock_jump_back_delays_no_work() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Panic);
    fixture.pass(minutes(1)).await;
    fixture.set_clock(at("2024-03-04T12:01:00Z")).await;
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 unknown (ask) w1"]);
    let settle = fixture.write_settle("walt", true).await;
    fixture.pass(minutes(1)).await;
    assert!(fixture.answer(settle).await.done, "commands are noticed without a notification, too");
}

#[tokio::test]
async fn a_clock_jump_ahead_by_a_day_posts_once_per_bot() {
    let fixture =
        EngineFixture::of([(every("*/10 * * * *"), poem("w", 99)), (bot("emily"), poem("e", 99))]).await;
    fixture.pass(seconds(30)).await;
    fixture.set_clock(at("2024-03-06T12:00:15Z")).await;
    assert_eq!(fixture.history("walt").await, ["12:00:00 posted w1"]);
    assert_eq!(fixture.history("emily").await, ["12:00:00 posted e1"]);
    assert_eq!(fixture.last("walt").await.slot, Some(at("2024-03-06T12:00:00Z")));
}

fn in_berlin(schedule: &str) -> Bot {
    let mut walt = bot("walt");
    walt.schedule = Schedule::parse(schedule, Zone::built_in("Europe/Berlin").unwrap()).unwrap();
    walt
}

/// Runs through a night with a restart in the middle, and returns the slots that fired, in UTC.
async fn night(from: &str, schedule: &str) -> Vec<String> {
    let mut fixture = EngineFixture::at_time(at(from), [(in_berlin(schedule), &poem("w", 99))]).await;
    for _ in 0..8 {
        fixture.pass(minutes(45)).await;
        fixture.restart().await;
    }
    assert_eq!(missed(&fixture), 0);
    let rows = fixture.rows("walt").await;
    rows.iter().map(|row| row.slot.unwrap().format("%H:%M").to_string()).collect()
}

#[tokio::test]
async fn daylight_saving_in_spring_loses_nothing_and_fires_nothing_in_the_gap() {
    // At 01:00 UTC the clock goes from 02:00 to 03:00.
    let from = "2024-03-30T22:00:00Z";
    assert_eq!(night(from, "30 2 * * *").await, ["01:00"], "the first instant after the gap");
    assert_eq!(night(from, "30 * * * *").await, ["22:30", "23:30", "00:30", "01:30", "02:30", "03:30"]);
    assert_eq!(night(from, "15,45 2 * * *").await, ["01:00"], "moved to one instant they are one slot");
}

#[tokio::test]
async fn daylight_saving_in_autumn_fires_a_fixed_hour_once_and_every_hour_each() {
    // At 01:00 UTC the clock goes from 03:00 back to 02:00.
    let from = "2024-10-26T22:00:00Z";
    assert_eq!(night(from, "30 2 * * *").await, ["00:30"], "in the first pass only");
    assert_eq!(night(from, "30 * * * *").await, ["22:30", "23:30", "00:30", "01:30", "02:30", "03:30"]);
}

/// The clock is set in Berlin: shortly before or during a night with a clock change, or far from one.
#[tokio::test]
async fn random_clock_jumps_cause_no_burst_and_no_spinning_loop() {
    let jumps = [
        ("a day ahead", "2024-03-06T12:00:00Z"),
        ("an hour back", "2024-03-05T11:00:00Z"),
        ("to 1970", "1970-01-01T00:00:00Z"),
        ("into the gap of spring", "2024-03-31T00:50:00Z"),
        ("into the first pass of autumn", "2024-10-27T00:10:00Z"),
        ("into the second pass of autumn", "2024-10-27T01:10:00Z"),
        ("a hundred years ahead", "2124-01-01T00:00:00Z"),
    ];
    for (jump, to) in jumps {
        for schedule in ["*/10 * * * *", "30 2 * * *", "* * * * * *", "15,45 1-3 * * *"] {
            let told = format!("{jump}, {schedule}");
            let mut walt = in_berlin(schedule);
            walt.max_per_hour = 3_600;
            let fixture = EngineFixture::of([(walt, poem("w", 999))]).await;
            fixture.pass(seconds(5)).await;
            let before = fixture.net("walt").sent().len();
            fixture.set_clock(at(to)).await;
            let posts = fixture.net("walt").sent().len() - before;
            // The newest missed slot; and for a schedule of every second, the one that is due now.
            assert!(posts <= 2, "{told}: {posts} at once");
            let (awake, sent) = (fixture.clock.sleeps_begun(), fixture.net("walt").sent().len());
            fixture.pass(minutes(3)).await;
            let (awake, posts) =
                (fixture.clock.sleeps_begun() - awake, fixture.net("walt").sent().len() - sent);
            assert!(posts <= 180, "{told}: {posts} in three minutes");
            // Twice a minute, and a few times for each slot.
            let most = 8 + 4 * u64::try_from(posts + 1).unwrap();
            assert!(awake <= most, "{told}: awake {awake} times for {posts} posts");
            let slots: Vec<_> = fixture.rows("walt").await.iter().map(|row| row.slot).collect();
            assert!(slots.windows(2).all(|pair| pair[0] < pair[1]), "{told}: {slots:?}");
        }
    }
}

/// The clock was ten years ahead for a few seconds.
#[tokio::test]
async fn a_last_slot_ahead_of_the_clock_is_reported_and_a_person_resets_it() {
    let fixture = EngineFixture::of([(every("* * * * *"), poem("w", 99))]).await;
    fixture.pass(minutes(1)).await;
    fixture.set_clock(at("2036-01-01T00:00:30Z")).await;
    fixture.pass(minutes(2)).await;
    let sent = fixture.net("walt").sent().len();
    fixture.set_clock(at("2024-03-05T12:05:00Z")).await;
    fixture.pass(minutes(10)).await;
    assert_eq!(fixture.net("walt").sent().len(), sent, "slots are never used twice");
    assert_eq!(fixture.count(|event| matches!(event, Event::ClockWasAhead { .. })), 1);
    let standing = BotRecord { signed_in_at: Some(fixture.now()), ..fixture.standing("walt").await };
    let (state, reason) = health_state(&fixture.bots[0], Some(&standing), Some(9), fixture.now());
    assert!(state == HealthState::Suspended && reason.unwrap().to_string().contains("`flockd resume walt`"));
    assert!(clock_was_ahead(
        &fixture.bots[0],
        fixture.standing("walt").await.last_slot,
        false,
        fixture.now()
    ));
    let answer = fixture.answer(fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await;
    assert!(answer.done, "{answer:?}");
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.net("walt").sent().len(), sent + 2);
    let mut texts = fixture.net("walt").texts();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), sent + 2, "no line twice");
    // Only a reset moves it back.
    assert!(!clock_was_ahead(
        &fixture.bots[0],
        fixture.standing("walt").await.last_slot,
        false,
        fixture.now()
    ));
}

/// The clock was an hour ahead: posts for that hour's slots are not posted again.
#[tokio::test]
async fn after_a_reset_slots_that_were_used_stay_used() {
    let fixture = EngineFixture::of([(every("*/10 * * * *"), poem("w", 99))]).await;
    fixture.set_clock(at("2024-03-05T13:00:00Z")).await;
    fixture.pass(minutes(21)).await;
    assert_eq!(fixture.net("walt").sent().len(), 3, "13:00, 13:10 and 13:20");
    fixture.set_clock(at("2024-03-05T12:52:00Z")).await;
    assert!(fixture.answer(fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await.done);
    fixture.pass_until("2024-03-05T13:25:00Z").await;
    assert_eq!(fixture.net("walt").sent().len(), 3);
    fixture.pass_until("2024-03-05T13:31:00Z").await;
    assert_eq!(fixture.net("walt").sent().len(), 4);
}

/// A machine without a battery whose clock is not set yet: a person must not reset what is right.
#[tokio::test]
async fn a_clock_that_is_behind_resets_nothing() {
    let fixture = EngineFixture::of([(every("*/10 * * * *"), poem("w", 99))]).await;
    fixture.pass(minutes(10)).await;
    fixture.set_clock(at("1970-01-01T00:00:00Z")).await;
    let answer = fixture.answer(fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await;
    assert!(!answer.done, "{answer:?}");
    fixture.set_clock(at("2024-03-05T12:19:00Z")).await;
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 posted w1", "12:20:00 posted w2"]);
}

/// Rows dated by that clock neither silence a bot nor count toward its hourly cap.
#[tokio::test]
async fn posts_dated_in_the_future_do_not_count_for_this_hour() {
    let mut walt = every("* * * * *");
    walt.max_per_hour = 5;
    let mut fixture = EngineFixture::at_time(at("2036-01-01T00:00:00Z"), [(walt, poem("w", 99))]).await;
    fixture.pass(minutes(9)).await;
    fixture.stop().await;
    fixture.clock.set(at(START));
    fixture.start().await;
    assert_eq!(fixture.standing("walt").await.sent_last_hour, 0);
    assert!(fixture.answer(fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await.done);
    fixture.pass(minutes(9)).await;
    assert_eq!(fixture.net("walt").sent().len(), 10);
}

/// The newest row is the one inserted last, not the one with the highest id.
#[tokio::test]
async fn ids_from_a_clock_that_was_ahead_hide_no_later_row() {
    let fixture =
        EngineFixture::at_time(at("2036-01-01T00:00:30Z"), [(every("* * * * *"), poem("w", 99))]).await;
    fixture.pass(minutes(2)).await;
    fixture.set_clock(at(START)).await;
    assert!(fixture.answer(fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await.done);
    fixture.pass(minutes(2)).await;
    let (rows, standing) = (fixture.rows("walt").await, fixture.standing("walt").await);
    let ids: Vec<_> = rows.iter().map(|row| row.id.to_string()).collect();
    assert!(ids.first() > ids.last(), "ids follow the clock back: {ids:?}");
    assert_eq!(standing.last, rows.last().cloned());
    assert_eq!(standing.last_posted.unwrap().text.as_ref(), fixture.net("walt").texts().last());
}

#[tokio::test]
async fn a_post_planned_by_a_clock_that_was_ahead_is_released() {
    let fixture =
        EngineFixture::at_time(at("2036-01-01T00:00:30Z"), [(every("0 * * * *"), poem("w", 99))]).await;
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2036-01-01T01:30:00Z"))));
    fixture.pass(minutes(61)).await;
    fixture.set_clock(at("2024-03-05T12:30:00Z")).await;
    assert_eq!(fixture.history("walt").await, ["01:00:00 released (late) w1"]);
    assert!(fixture.answer(fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await.done);
    fixture.pass(minutes(31)).await;
    assert_eq!(fixture.history("walt").await[1..], ["13:00:00 posted w1"], "its line is free again");
}

/// The clock was half an hour ahead when the network sent Retry-After.
#[tokio::test]
async fn a_retry_after_from_a_clock_that_was_ahead_is_ignored() {
    let fixture = EngineFixture::of([(every("10 * * * *"), poem("w", 99))]).await;
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2024-03-05T12:40:00Z"))));
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2024-03-05T12:55:00Z"))));
    fixture.pass(minutes(11)).await;
    fixture.set_clock(at("2024-03-05T12:41:00Z")).await;
    assert_eq!(fixture.net("walt").sent().len(), 2);
    fixture.set_clock(at("2024-03-05T12:12:00Z")).await;
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 posted w1"]);
}

/// Sent under a clock that was years ahead, and probed under a correct one.
#[tokio::test]
async fn an_unknown_outcome_from_a_clock_that_was_ahead_is_settled_at_once() {
    for (sight, sent) in [(like("found"), 1), (nothing(), 1)] {
        let mut fixture =
            EngineFixture::at_time(at("2036-01-01T00:00:30Z"), [(every("0 * * * *"), poem("w", 99))]).await;
        fixture.net("walt").then(Next::Silence { arrived: true });
        fixture.pass_until("2036-01-01T01:00:00Z").await;
        fixture.stop().await;
        fixture.clock.set(at(START));
        fixture.net("walt").sees(sight.clone());
        fixture.start().await;
        fixture.pass(minutes(10)).await;
        let row = fixture.last("walt").await;
        let expected = if sight == nothing() { "released" } else { "posted" };
        assert_eq!(row.state.to_string(), expected, "its slot is ten years ahead: {row:?}");
        assert_eq!(fixture.net("walt").sent().len(), sent);
    }
}
