//! Stories of answers that never came: nothing is sent twice, and nothing is held up but the one bot.

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::{OnMiss, Order};
use flockd::net::ProbeResult;

use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::fixture::House;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, duplicate, like, posted, unreachable};

const LOST: Next = Next::Silence { arrived: true };

async fn in_doubt(next: Next) -> House {
    let house = House::of([(bot("walt"), poem("w", 99)), (bot("emily"), poem("e", 99))]).await;
    house.net("walt").then(next);
    house.pass(minutes(1)).await;
    house
}

#[tokio::test]
async fn a_bot_in_doubt_waits_and_the_others_go_on() {
    let house = in_doubt(LOST).await;
    house.pass(minutes(20)).await;
    assert_eq!(house.story("walt").await, ["12:01:00 unknown (ask) w1"]);
    assert_eq!((house.net("walt").sent().len(), house.net("emily").sent().len()), (1, 21));
    assert!(house.last("walt").await.doubted);
    assert_eq!(house.count(|event| matches!(event, Event::Doubted(_))), 1);
    assert_eq!(house.net("walt").looks(), 1, "a network that can't tell is not asked again and again");
}

#[tokio::test]
async fn settled_as_posted_the_line_is_used_and_the_newest_missed_slot_fires() {
    let house = in_doubt(LOST).await;
    house.pass(minutes(10)).await;
    let answer = house.settle("walt", true).await;
    assert!(answer.done, "{answer:?}");
    let story = house.story("walt").await;
    assert_eq!(story, ["12:01:00 posted w1", "12:11:00 posted w2"]);
    assert_eq!(house.rows("walt").await[0].remote_id, None);
    assert_eq!(house.standing("walt").await.missed, 9);
    house.pass(minutes(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w2", "w3"]);
}

#[tokio::test]
async fn settled_as_not_posted_in_time_the_same_post_is_sent_again() {
    let house = in_doubt(Next::Silence { arrived: false }).await;
    house.pass(minutes(10)).await;
    let answer = house.settle("walt", false).await;
    assert!(answer.done, "{answer:?}");
    let sent = house.net("walt").sent();
    assert_eq!(sent[0].post.id, sent[1].post.id);
    assert_eq!(house.net("walt").texts(), ["w1", "w1", "w2"]);
    assert_eq!(house.story("walt").await, ["12:01:00 posted w1", "12:11:00 posted w2"]);
    let row = &house.rows("walt").await[0];
    assert_eq!((row.attempts, row.errors, row.doubted), (2, 0, true));
}

#[tokio::test]
async fn settled_as_not_posted_too_late_the_line_is_free_again() {
    let house = in_doubt(Next::Silence { arrived: false }).await;
    house.pass(minutes(61)).await;
    assert!(house.settle("walt", false).await.done);
    let story = house.story("walt").await;
    assert_eq!(story, ["12:01:00 released (person) w1", "13:02:00 posted w1"]);
    assert_eq!(house.count(|event| matches!(event, Event::Returned(_))), 0, "straight to released");
}

#[tokio::test]
async fn after_doubt_a_bot_that_skips_waits_for_its_next_slot() {
    let mut walt = bot("walt");
    (walt.on_miss, walt.schedule) = (OnMiss::Skip, cron("*/10 * * * *"));
    let house = House::of([(walt, poem("w", 9))]).await;
    house.net("walt").then(LOST);
    house.pass(minutes(35)).await;
    assert!(house.settle("walt", true).await.done);
    assert_eq!(house.net("walt").sent().len(), 1);
    assert_eq!(house.standing("walt").await.missed, 2);
    house.pass(minutes(5)).await;
    assert_eq!(house.story("walt").await, ["12:10:00 posted w1", "12:40:00 posted w2"]);
}

#[tokio::test]
async fn only_what_is_unknown_can_be_settled() {
    let house = in_doubt(posted("1").into()).await;
    let answer = house.settle("walt", false).await;
    assert!(!answer.done, "{answer:?}");
    assert_eq!(house.story("walt").await, ["12:01:00 posted w1"]);
}

#[tokio::test]
async fn a_crash_between_intent_and_answer_is_doubt_and_nothing_is_sent_again() {
    for order in Order::ALL.iter().copied() {
        let mut walt = bot("walt");
        walt.order = order;
        let mut house = House::of([(walt, poem("w", 9))]).await;
        house.net("walt").then(Next::Hold { arrived: true });
        house.pass(minutes(1)).await;
        house.crash().await;
        assert_eq!(house.last("walt").await.state, State::Sending);
        house.start().await;
        let row = house.last("walt").await;
        assert_eq!((row.state, row.cause), (State::Unknown, Some(Cause::Interrupted)));
        assert_eq!(house.count(|event| matches!(event, Event::Doubted(_))), 1);
        house.pass(minutes(5)).await;
        house.restart().await;
        assert_eq!(house.net("walt").sent().len(), 1, "nothing is sent while in doubt");
        assert!(house.settle("walt", true).await.done);
        house.pass(minutes(8)).await;
        let mut texts = house.net("walt").texts();
        assert_eq!(texts.len(), 9);
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 9, "no line twice");
    }
}

#[tokio::test]
async fn a_network_that_knows_it_has_nothing_gets_the_same_post_after_a_crash() {
    let mut house = House::of([(bot("emily"), poem("e", 9))]).await;
    house.net("emily").sees(ProbeResult::Absent);
    house.net("emily").then(Next::Hold { arrived: false });
    house.pass(minutes(1)).await;
    house.crash().await;
    house.start().await;
    house.pass(seconds(10)).await;
    let sent = house.net("emily").sent();
    assert_eq!((sent.len(), sent[0].post.id), (2, sent[1].post.id));
    assert_eq!(house.story("emily").await, ["12:01:00 posted e1"]);
}

#[tokio::test]
async fn a_duplicate_after_doubt_proves_that_the_first_attempt_arrived() {
    let house = in_doubt(LOST).await;
    house.net("walt").then(duplicate());
    assert!(house.settle("walt", false).await.done);
    let row = house.last("walt").await;
    assert_eq!((row.state, row.remote_id.as_deref(), row.attempts), (State::Posted, None, 2));
    assert!(row.reason.is_some(), "how that is known");
    house.pass(minutes(1)).await;
    assert_eq!(house.net("walt").texts(), ["w1", "w1", "w2"]);
}

#[tokio::test]
async fn a_duplicate_after_doubt_proves_nothing_of_a_refrain() {
    let house = House::of([(bot("walt"), "Holy!\nHoly!\n")]).await;
    house.pass(minutes(1)).await;
    house.net("walt").then(LOST);
    house.net("walt").then(duplicate());
    house.pass(minutes(1)).await;
    assert!(house.settle("walt", false).await.done);
    let row = house.last("walt").await;
    assert_eq!((row.state, row.cause, row.attempts), (State::Unknown, Some(Cause::Silence), 2));
    house.net("walt").sees(like("found"));
    house.pass(minutes(1)).await;
    assert_eq!(house.last("walt").await.remote_id.as_deref(), Some("found"));
}

#[tokio::test]
async fn a_panic_becomes_doubt_and_stops_no_other_bot() {
    let house = in_doubt(Next::Panic).await;
    house.wait_for(|event| matches!(event, Event::Panicked { .. })).await;
    house.pass(minutes(5)).await;
    assert_eq!(house.story("walt").await, ["12:01:00 unknown (ask) w1"]);
    assert_eq!((house.net("walt").sent().len(), house.net("emily").sent().len()), (1, 6));
    assert_eq!(house.count(|event| matches!(event, Event::Panicked { .. })), 1);
}

#[tokio::test]
async fn a_bot_that_moved_to_another_network_takes_no_open_post_along() {
    let mut house = in_doubt(LOST).await;
    house.net("emily").always(unreachable());
    house.pass(minutes(1)).await;
    assert_eq!(house.last("emily").await.state, State::Planned);
    house.stop().await;
    for bot in &mut house.bots {
        bot.network = flockd::flock::NetworkKind::Feed;
    }
    house.net("walt").sees(ProbeResult::Absent);
    house.net("emily").always(posted("on the feed"));
    house.start().await;
    assert_eq!(house.story("walt").await, ["12:01:00 unknown (ask) w1"], "the feed knows nothing of X");
    assert_eq!(house.last("emily").await.state, State::Released);
    house.pass(minutes(1)).await;
    assert_eq!(house.last("emily").await.slot, Some(at("2024-03-05T12:03:00Z")));
    assert_eq!(house.last("emily").await.text.as_deref(), Some("e2"), "the line is free again");
    house.pass(hours(2)).await;
    assert_eq!(house.net("walt").sent().len(), 1);
}
