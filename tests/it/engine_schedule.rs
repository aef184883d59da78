//! The normal case: slots fire once and on time, and restarts change nothing.

use std::collections::HashSet;

use flockd::flock::event::Event;
use flockd::flock::schedule::jitter;
use flockd::flock::{AtEnd, Order};

use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, posted};

#[tokio::test]
async fn a_slot_fires_on_time_and_is_recorded() {
    let fixture = EngineFixture::of([(bot("walt"), "one\ntwo\nthree\n")]).await;
    fixture.clock.asleep_until(at("2024-03-05T12:00:30Z")).await;
    fixture.pass(seconds(59)).await;
    assert!(fixture.rows("walt").await.is_empty(), "nothing before the first slot");
    fixture.pass(seconds(1)).await;
    let row = fixture.last("walt").await;
    assert_eq!(row.text.as_deref(), Some("one"));
    assert_eq!(row.slot, Some(at("2024-03-05T12:01:00Z")));
    assert_eq!((row.attempts, row.errors, row.doubted), (1, 0, false));
    assert_eq!(row.remote_id.as_deref(), Some("walt-1"));
    assert_eq!((row.sent_at, row.settled_at), (row.slot, row.slot));
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted one", "12:02:00 posted two"]);
}

#[tokio::test]
async fn the_row_is_there_before_the_request() {
    let fixture = EngineFixture::of([(bot("walt"), "one\n")]).await;
    fixture.net("walt").then(Next::Hold { arrived: false });
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").held(), 1);
    assert_eq!(fixture.history("walt").await, ["12:01:00 sending one"]);
    let row = fixture.last("walt").await;
    assert_eq!(fixture.net("walt").sent()[0].post, row, "what is sent is what was written");
}

#[tokio::test]
async fn a_bot_sends_one_post_at_a_time_and_delays_no_other() {
    let (walt, emily) = (bot("walt"), bot("emily"));
    let fixture = EngineFixture::of([(walt, poem("w", 20)), (emily, poem("e", 20))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(10)).await;
    assert_eq!(fixture.net("walt").sent().len(), 1);
    assert_eq!(fixture.net("emily").sent().len(), 10);
    fixture.net("walt").release(&posted("late"));
    fixture.at_rest().await;
    // Eight slots passed meanwhile, and the newest missed one fires.
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1", "12:10:00 posted w2"]);
    assert_eq!(fixture.standing("walt").await.missed, 8);
    assert_eq!(fixture.count(|event| matches!(event, Event::Missed { slots: 8, .. })), 1);
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn jitter_is_honored_and_survives_a_restart() {
    let mut walt = bot("walt");
    (walt.schedule, walt.jitter) = (cron("0 * * * *"), minutes(30));
    let slot = at("2024-03-05T13:00:00Z");
    let due_at = slot + jitter::delay("walt", slot, minutes(30));
    let mut fixture = EngineFixture::of([(walt, "one\n")]).await;
    fixture.pass((due_at - fixture.now()).to_std().unwrap() - seconds(1)).await;
    assert!(fixture.rows("walt").await.is_empty());
    fixture.restart().await;
    assert!(fixture.rows("walt").await.is_empty());
    fixture.pass(seconds(1)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.slot, row.due_at, row.sent_at), (Some(slot), due_at, Some(due_at)));
}

#[tokio::test]
async fn a_restart_after_each_post_repeats_nothing() {
    for order in Order::ALL.iter().copied() {
        let mut walt = bot("walt");
        walt.order = order;
        let mut fixture = EngineFixture::of([(walt, poem("w", 6))]).await;
        for _ in 0..6 {
            fixture.pass(minutes(1)).await;
            fixture.restart().await;
        }
        let texts = fixture.net("walt").texts();
        let different: HashSet<&String> = texts.iter().collect();
        assert_eq!((texts.len(), different.len()), (6, 6), "{order}: {texts:?}");
        if order == Order::Sequence {
            assert_eq!(texts, ["w1", "w2", "w3", "w4", "w5", "w6"]);
        }
    }
}

#[tokio::test]
async fn an_exhausted_bot_stops_and_logs_it_once_until_lines_are_added() {
    let fixture = EngineFixture::of([(bot("walt"), "one\ntwo\n")]).await;
    let exhausted = |event: &Event| matches!(event, Event::Exhausted { .. });
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two"]);
    assert_eq!(fixture.count(exhausted), 1);
    fixture.write("walt", "one\nnew\ntwo\n");
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "new"]);
    assert_eq!(fixture.last("walt").await.slot, Some(at("2024-03-05T12:06:00Z")));
    assert_eq!(fixture.last("walt").await.entry.unwrap().0, 1, "the round goes on");
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.count(exhausted), 2, "there was a line in between");
}

#[tokio::test]
async fn a_new_round_does_not_begin_with_the_last_text() {
    for lines in [2, 3] {
        let mut walt = bot("walt");
        (walt.order, walt.at_end) = (Order::Shuffle, AtEnd::Again);
        let mut fixture = EngineFixture::of([(walt, poem("w", lines))]).await;
        for _ in 0..12 {
            fixture.pass(minutes(lines as u64)).await;
            fixture.restart().await;
        }
        let texts = fixture.net("walt").texts();
        assert_eq!(texts.len(), 12 * lines);
        assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
        for round in texts.chunks(lines) {
            assert_eq!(round.iter().collect::<HashSet<_>>().len(), lines, "{texts:?}");
        }
        assert_eq!(fixture.count(|event| matches!(event, Event::RoundBegun { .. })), 11);
        assert_eq!(fixture.standing("walt").await.round, 12);
    }
}

#[tokio::test]
async fn a_new_schedule_begins_when_it_is_first_seen() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.pass(minutes(1)).await;
    fixture.stop().await;
    fixture.bots[0].schedule = cron("30 * * * *");
    fixture.pass(hours(1)).await;
    fixture.start().await;
    assert_eq!(fixture.net("walt").sent().len(), 1, "12:30 was before the schedule was seen");
    fixture.pass_until("2024-03-05T13:30:00Z").await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1", "13:30:00 posted w2"]);
    assert_eq!(fixture.standing("walt").await.missed, 0);
}

#[tokio::test]
async fn a_simulated_day_takes_few_wakeups() {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_per_hour) = (cron("@hourly"), 1);
    let fixture = EngineFixture::of([(walt, poem("w", 30))]).await;
    let before = fixture.clock.sleeps_begun();
    fixture.pass(hours(24)).await;
    assert_eq!(fixture.net("walt").sent().len(), 24);
    // One sleep each half minute, and a few turns of the loop for each of 24 posts.
    let naps = 24 * 60 * 2;
    let sleeps_begun = fixture.clock.sleeps_begun() - before;
    assert!((naps..naps + 24 * 4).contains(&sleeps_begun), "{sleeps_begun}");
}
