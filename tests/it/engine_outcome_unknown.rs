//! Attempts without an answer: nothing is sent twice, and no other bot waits.

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::{OnMiss, Order};
use flockd::net::ProbeResult;

use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, duplicate, like, posted, unreachable};

const LOST: Next = Next::Silence { arrived: true };

async fn in_doubt(next: Next) -> EngineFixture {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 99)), (bot("emily"), poem("e", 99))]).await;
    fixture.net("walt").then(next);
    fixture.pass(minutes(1)).await;
    fixture
}

#[tokio::test]
async fn a_bot_with_an_unknown_outcome_waits_and_the_others_continue() {
    let fixture = in_doubt(LOST).await;
    fixture.pass(minutes(20)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 unknown (ask) w1"]);
    assert_eq!((fixture.net("walt").sent().len(), fixture.net("emily").sent().len()), (1, 21));
    assert!(fixture.last("walt").await.doubted);
    assert_eq!(fixture.count(|event| matches!(event, Event::Doubted(_))), 1);
    assert_eq!(fixture.net("walt").looks(), 1, "a network that can't tell is not asked again and again");
}

#[tokio::test]
async fn settled_as_posted_the_line_is_used_and_the_newest_missed_slot_fires() {
    let fixture = in_doubt(LOST).await;
    fixture.pass(minutes(10)).await;
    let answer = fixture.settle("walt", true).await;
    assert!(answer.done, "{answer:?}");
    let history = fixture.history("walt").await;
    assert_eq!(history, ["12:01:00 posted w1", "12:11:00 posted w2"]);
    assert_eq!(fixture.rows("walt").await[0].remote_id, None);
    assert_eq!(fixture.standing("walt").await.missed, 9);
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn settled_as_not_posted_in_time_the_same_post_is_sent_again() {
    let fixture = in_doubt(Next::Silence { arrived: false }).await;
    fixture.pass(minutes(10)).await;
    let answer = fixture.settle("walt", false).await;
    assert!(answer.done, "{answer:?}");
    let sent = fixture.net("walt").sent();
    assert_eq!(sent[0].post.id, sent[1].post.id);
    assert_eq!(fixture.net("walt").texts(), ["w1", "w1", "w2"]);
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1", "12:11:00 posted w2"]);
    let row = &fixture.rows("walt").await[0];
    assert_eq!((row.attempts, row.errors, row.doubted), (2, 0, true));
}

#[tokio::test]
async fn settled_as_not_posted_too_late_the_line_is_free_again() {
    let fixture = in_doubt(Next::Silence { arrived: false }).await;
    fixture.pass(minutes(61)).await;
    assert!(fixture.settle("walt", false).await.done);
    let history = fixture.history("walt").await;
    assert_eq!(history, ["12:01:00 released (person) w1", "13:02:00 posted w1"]);
    assert_eq!(fixture.count(|event| matches!(event, Event::Returned(_))), 0, "straight to released");
}

#[tokio::test]
async fn after_settling_a_bot_that_skips_waits_for_its_next_slot() {
    let mut walt = bot("walt");
    (walt.on_miss, walt.schedule) = (OnMiss::Skip, cron("*/10 * * * *"));
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    fixture.net("walt").then(LOST);
    fixture.pass(minutes(35)).await;
    assert!(fixture.settle("walt", true).await.done);
    assert_eq!(fixture.net("walt").sent().len(), 1);
    assert_eq!(fixture.standing("walt").await.missed, 2);
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.history("walt").await, ["12:10:00 posted w1", "12:40:00 posted w2"]);
}

#[tokio::test]
async fn only_unknown_outcomes_can_be_settled() {
    let fixture = in_doubt(posted("1").into()).await;
    let answer = fixture.settle("walt", false).await;
    assert!(!answer.done, "{answer:?}");
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1"]);
}

#[tokio::test]
async fn a_crash_while_sending_is_an_unknown_outcome_and_nothing_is_resent() {
    for order in Order::ALL.iter().copied() {
        let mut walt = bot("walt");
        walt.order = order;
        let mut fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
        fixture.net("walt").then(Next::Hold { arrived: true });
        fixture.pass(minutes(1)).await;
        fixture.crash().await;
        assert_eq!(fixture.last("walt").await.state, State::Sending);
        fixture.start().await;
        let row = fixture.last("walt").await;
        assert_eq!((row.state, row.cause), (State::Unknown, Some(Cause::Interrupted)));
        assert_eq!(fixture.count(|event| matches!(event, Event::Doubted(_))), 1);
        fixture.pass(minutes(5)).await;
        fixture.restart().await;
        assert_eq!(fixture.net("walt").sent().len(), 1, "nothing is sent while in doubt");
        assert!(fixture.settle("walt", true).await.done);
        fixture.pass(minutes(8)).await;
        let mut texts = fixture.net("walt").texts();
        assert_eq!(texts.len(), 9);
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 9, "no line twice");
    }
}

#[tokio::test]
async fn after_a_crash_a_network_that_proves_absence_gets_the_same_post() {
    let mut fixture = EngineFixture::of([(bot("emily"), poem("e", 9))]).await;
    fixture.net("emily").sees(ProbeResult::Absent);
    fixture.net("emily").then(Next::Hold { arrived: false });
    fixture.pass(minutes(1)).await;
    fixture.crash().await;
    fixture.start().await;
    fixture.pass(seconds(10)).await;
    let sent = fixture.net("emily").sent();
    assert_eq!((sent.len(), sent[0].post.id), (2, sent[1].post.id));
    assert_eq!(fixture.history("emily").await, ["12:01:00 posted e1"]);
}

#[tokio::test]
async fn a_duplicate_after_an_unknown_outcome_proves_the_first_attempt_arrived() {
    let fixture = in_doubt(LOST).await;
    fixture.net("walt").then(duplicate());
    assert!(fixture.settle("walt", false).await.done);
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.remote_id.as_deref(), row.attempts), (State::Posted, None, 2));
    assert!(row.reason.unwrap().contains("refused as a duplicate"), "how that is known");
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w1", "w2"]);
}

#[tokio::test]
async fn a_duplicate_after_an_unknown_outcome_proves_nothing_about_a_refrain() {
    let fixture = EngineFixture::of([(bot("walt"), "Holy!\nHoly!\n")]).await;
    fixture.pass(minutes(1)).await;
    fixture.net("walt").then(LOST);
    fixture.net("walt").then(duplicate());
    fixture.pass(minutes(1)).await;
    assert!(fixture.settle("walt", false).await.done);
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause, row.attempts), (State::Unknown, Some(Cause::Silence), 2));
    fixture.net("walt").sees(like("found"));
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.last("walt").await.remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn a_panic_leaves_an_unknown_outcome_and_stops_no_other_bot() {
    let fixture = in_doubt(Next::Panic).await;
    fixture.wait_for(|event| matches!(event, Event::Panicked { .. })).await;
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 unknown (ask) w1"]);
    assert_eq!((fixture.net("walt").sent().len(), fixture.net("emily").sent().len()), (1, 6));
    assert_eq!(fixture.count(|event| matches!(event, Event::Panicked { .. })), 1);
}

#[tokio::test]
async fn a_bot_that_changes_networks_takes_no_open_post_along() {
    let mut fixture = in_doubt(LOST).await;
    fixture.net("emily").always(unreachable());
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.last("emily").await.state, State::Planned);
    fixture.stop().await;
    for bot in &mut fixture.bots {
        bot.network = flockd::flock::NetworkKind::Feed;
    }
    fixture.net("walt").sees(ProbeResult::Absent);
    fixture.net("emily").always(posted("on the feed"));
    fixture.start().await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 unknown (ask) w1"], "the feed knows nothing of X");
    assert_eq!(fixture.last("emily").await.state, State::Released);
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.last("emily").await.slot, Some(at("2024-03-05T12:03:00Z")));
    assert_eq!(fixture.last("emily").await.text.as_deref(), Some("e2"), "the line is free again");
    fixture.pass(hours(2)).await;
    assert_eq!(fixture.net("walt").sent().len(), 1);
}
