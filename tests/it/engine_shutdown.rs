//! Stories of the end: what is in flight is finished and recorded; and of a ledger that refuses to record.

use flockd::flock::event::Event;
use flockd::flock::post::State;

use crate::support::clock::{minutes, seconds};
use crate::support::fixture::{House, IN_FLIGHT};
use crate::support::flock::{bot, poem};
use crate::support::network::{Next, posted};

fn stopped(left: usize) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Stopped { abandoned } if *abandoned == left)
}

#[tokio::test]
async fn a_stop_takes_no_new_slot_and_waits_for_the_call_in_flight() {
    let mut house = House::of([(bot("walt"), poem("w", 9)), (bot("emily"), poem("e", 9))]).await;
    house.net("walt").then(Next::Hold { arrived: true });
    house.pass(minutes(1)).await;
    // Emily's next slot is due a second after the stop.
    house.pass(seconds(59)).await;
    house.tell_to_stop();
    house.wait_for(|event| matches!(event, Event::Stopping { in_flight: 1 })).await;
    house.clock.advance(seconds(10));
    house.net("walt").release(&posted("just in time"));
    house.stopped().await;
    house.wait_for(stopped(0)).await;
    assert_eq!(house.story("walt").await, ["12:01:00 posted w1"]);
    assert_eq!(house.story("emily").await, ["12:01:00 posted e1"]);
}

#[tokio::test]
async fn a_stop_waits_for_half_a_minute_and_no_longer() {
    let mut house = House::of([(bot("walt"), poem("w", 9))]).await;
    house.net("walt").then(Next::Hold { arrived: true });
    house.pass(minutes(1)).await;
    house.tell_to_stop();
    house.wait_for(|event| matches!(event, Event::Stopping { in_flight: 1 })).await;
    house.clock.asleep_until(house.now() + chrono::TimeDelta::seconds(30)).await;
    house.clock.advance(seconds(29));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.count(stopped(1)), 0);
    house.clock.advance(seconds(1));
    house.stopped().await;
    house.wait_for(stopped(1)).await;
    assert_eq!(house.last("walt").await.state, State::Sending);
    house.start().await;
    assert_eq!(house.story("walt").await, ["12:01:00 unknown (interrupted) w1"]);
}

#[tokio::test]
async fn so_many_posts_are_in_flight_and_what_waits_at_a_stop_never_begins() {
    let names: Vec<String> = (0..IN_FLIGHT + 2).map(|n| format!("bot{n}")).collect();
    let mut house = House::of(names.iter().map(|name| (bot(name), "one\n"))).await;
    for name in &names {
        house.net(name).always(Next::Hold { arrived: true });
    }
    house.pass(minutes(1)).await;
    let sent = |house: &House| names.iter().filter(|name| !house.net(name).sent().is_empty()).count();
    assert_eq!(sent(&house), IN_FLIGHT);
    house.tell_to_stop();
    house.wait_for(|event| matches!(event, Event::Stopping { .. })).await;
    names.iter().for_each(|name| house.net(name).release(&posted("1")));
    house.stopped().await;
    assert_eq!(sent(&house), IN_FLIGHT);
    assert_eq!(house.count(|event| matches!(event, Event::Posted(_))), IN_FLIGHT);
    names.iter().for_each(|name| house.net(name).forget_the_script());
    house.start().await;
    assert_eq!(sent(&house), IN_FLIGHT + 2, "their slots were not spent");
}

#[tokio::test]
async fn a_panic_during_the_stop_is_told_too() {
    let mut house = House::of([(bot("walt"), poem("w", 9))]).await;
    house.net("walt").then(Next::Hold { arrived: false });
    house.pass(minutes(1)).await;
    house.tell_to_stop();
    house.wait_for(|event| matches!(event, Event::Stopping { .. })).await;
    house.net("walt").breaks();
    house.stopped().await;
    assert_eq!(house.count(|event| matches!(event, Event::Panicked { .. })), 1);
}

#[tokio::test]
async fn a_result_that_the_ledger_refuses_is_kept_until_it_is_written() {
    let house = House::of([(bot("walt"), poem("w", 9))]).await;
    house.net("walt").then(Next::Hold { arrived: true });
    house.pass(minutes(1)).await;
    house.spoil("before update on post").await;
    house.net("walt").release(&posted("1"));
    house.wait_for(|event| matches!(event, Event::LedgerTrouble { .. })).await;
    house.pass(minutes(2)).await;
    assert_eq!(house.story("walt").await, ["12:01:00 sending w1"]);
    house.heal().await;
    house.pass(seconds(5)).await;
    assert_eq!(house.rows("walt").await[0].state, State::Posted);
    assert_eq!(house.net("walt").texts()[..2], ["w1", "w2"], "sent once");
}

#[tokio::test]
async fn nothing_is_sent_that_could_not_be_written_down() {
    let house = House::of([(bot("walt"), poem("w", 9))]).await;
    house.spoil("before insert on post").await;
    house.pass(minutes(5)).await;
    assert!(house.net("walt").sent().is_empty());
    assert!(house.count(|event| matches!(event, Event::LedgerTrouble { .. })) >= 5);
    assert_eq!(house.count(|event| matches!(event, Event::Missed { .. })), 0, "told before it was written");
    house.heal().await;
    house.pass(seconds(30)).await;
    assert_eq!(house.net("walt").texts(), ["w1"]);
    assert_eq!(house.last("walt").await.state, State::Posted);
}

#[tokio::test]
async fn a_wish_that_the_ledger_refused_is_found_again() {
    let house = House::of([(bot("walt"), poem("w", 9))]).await;
    house.spoil("before insert on post").await;
    let want = flockd::store::CommandKind::Post { bot: "walt".to_owned(), text: Some("hello".to_owned()) };
    let id = house.ask(want).await;
    house.wait_for(|event| matches!(event, Event::LedgerTrouble { .. })).await;
    house.heal().await;
    house.pass(seconds(25)).await;
    house.still_waiting().await;
    house.pass(seconds(6)).await;
    assert!(house.answer(id).await.done);
    assert_eq!(house.net("walt").texts(), ["hello"]);
}

#[tokio::test]
async fn a_row_that_has_moved_already_holds_nothing_up() {
    let house = House::of([(bot("walt"), poem("w", 9))]).await;
    house.net("walt").then(Next::Hold { arrived: true });
    house.pass(minutes(1)).await;
    // As if the commit had come through and only its answer had been lost.
    house.tamper("update post set state = 'posted', remote_id = '1'").await;
    house.net("walt").release(&posted("1"));
    house.pass(minutes(1)).await;
    assert_eq!(house.story("walt").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
}
