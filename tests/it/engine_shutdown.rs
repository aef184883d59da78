//! Graceful shutdown: posts in flight are finished and recorded. Also a ledger that can't be written.

use flockd::flock::event::Event;
use flockd::flock::post::State;

use crate::support::clock::{minutes, seconds};
use crate::support::fixture::{EngineFixture, IN_FLIGHT};
use crate::support::flock::{bot, poem};
use crate::support::network::{Next, posted};

fn stopped(left: usize) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Stopped { abandoned } if *abandoned == left)
}

#[tokio::test]
async fn graceful_shutdown_takes_no_new_slot_and_waits_for_the_call_in_flight() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9)), (bot("emily"), poem("e", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    // Emily's next slot is due a second after the stop.
    fixture.pass(seconds(59)).await;
    fixture.tell_to_stop();
    fixture.wait_for(|event| matches!(event, Event::Stopping { in_flight: 1 })).await;
    fixture.clock.advance(seconds(10));
    fixture.net("walt").release(&posted("just in time"));
    fixture.stopped().await;
    fixture.wait_for(stopped(0)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1"]);
    assert_eq!(fixture.history("emily").await, ["12:01:00 posted e1"]);
}

#[tokio::test]
async fn graceful_shutdown_waits_at_most_half_a_minute() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    fixture.tell_to_stop();
    fixture.wait_for(|event| matches!(event, Event::Stopping { in_flight: 1 })).await;
    fixture.clock.asleep_until(fixture.now() + chrono::TimeDelta::seconds(30)).await;
    fixture.clock.advance(seconds(29));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.count(stopped(1)), 0);
    fixture.clock.advance(seconds(1));
    fixture.stopped().await;
    fixture.wait_for(stopped(1)).await;
    assert_eq!(fixture.last("walt").await.state, State::Sending);
    fixture.start().await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 unknown (interrupted) w1"]);
}

#[tokio::test]
async fn posts_in_flight_are_limited_and_queued_ones_never_start_after_a_stop() {
    let names: Vec<String> = (0..IN_FLIGHT + 2).map(|n| format!("bot{n}")).collect();
    let mut fixture = EngineFixture::of(names.iter().map(|name| (bot(name), "one\n"))).await;
    for name in &names {
        fixture.net(name).always(Next::Hold { arrived: true });
    }
    fixture.pass(minutes(1)).await;
    let sent =
        |fixture: &EngineFixture| names.iter().filter(|name| !fixture.net(name).sent().is_empty()).count();
    assert_eq!(sent(&fixture), IN_FLIGHT);
    fixture.tell_to_stop();
    fixture.wait_for(|event| matches!(event, Event::Stopping { .. })).await;
    names.iter().for_each(|name| fixture.net(name).release(&posted("1")));
    fixture.stopped().await;
    assert_eq!(sent(&fixture), IN_FLIGHT);
    assert_eq!(fixture.count(|event| matches!(event, Event::Posted(_))), IN_FLIGHT);
    names.iter().for_each(|name| fixture.net(name).forget_the_script());
    fixture.start().await;
    assert_eq!(sent(&fixture), IN_FLIGHT + 2, "their slots were not used");
}

#[tokio::test]
async fn a_panic_during_graceful_shutdown_is_logged_too() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: false });
    fixture.pass(minutes(1)).await;
    fixture.tell_to_stop();
    fixture.wait_for(|event| matches!(event, Event::Stopping { .. })).await;
    fixture.net("walt").breaks();
    fixture.stopped().await;
    assert_eq!(fixture.count(|event| matches!(event, Event::Panicked { .. })), 1);
}

#[tokio::test]
async fn a_result_that_the_ledger_refuses_is_kept_until_it_is_written() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    fixture.spoil("before update on post").await;
    fixture.net("walt").release(&posted("1"));
    fixture.wait_for(|event| matches!(event, Event::LedgerTrouble { .. })).await;
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 sending w1"]);
    fixture.heal().await;
    fixture.pass(seconds(5)).await;
    assert_eq!(fixture.rows("walt").await[0].state, State::Posted);
    assert_eq!(fixture.net("walt").texts()[..2], ["w1", "w2"], "sent once");
}

#[tokio::test]
async fn nothing_is_sent_before_it_is_recorded() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.spoil("before insert on post").await;
    fixture.pass(minutes(5)).await;
    assert!(fixture.net("walt").sent().is_empty());
    assert!(fixture.count(|event| matches!(event, Event::LedgerTrouble { .. })) >= 5);
    assert_eq!(
        fixture.count(|event| matches!(event, Event::Missed { .. })),
        0,
        "emitted before it was recorded"
    );
    fixture.heal().await;
    fixture.pass(seconds(30)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1"]);
    assert_eq!(fixture.last("walt").await.state, State::Posted);
}

#[tokio::test]
async fn a_command_whose_write_failed_is_picked_up_again() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.spoil("before insert on post").await;
    let want = flockd::store::CommandKind::Post { bot: "walt".to_owned(), text: Some("hello".to_owned()) };
    let id = fixture.ask(want).await;
    fixture.wait_for(|event| matches!(event, Event::LedgerTrouble { .. })).await;
    fixture.heal().await;
    fixture.pass(seconds(25)).await;
    fixture.still_waiting().await;
    fixture.pass(seconds(6)).await;
    assert!(fixture.answer(id).await.done);
    assert_eq!(fixture.net("walt").texts(), ["hello"]);
}

#[tokio::test]
async fn a_transition_already_recorded_blocks_nothing() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    // As if the commit had succeeded and only its answer had been lost.
    fixture.tamper("update post set state = 'posted', remote_id = '1'").await;
    fixture.net("walt").release(&posted("1"));
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
}
