//! Poems that are edited, broken or missing, or have lines that don't fit.

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};

use crate::support::clock::minutes;
use crate::support::fixture::EngineFixture;
use crate::support::flock::bot;

fn broken(event: &Event) -> bool {
    matches!(event, Event::PoemBroken { .. })
}

#[tokio::test]
async fn an_edit_counts_from_the_next_slot() {
    let fixture = EngineFixture::of([(bot("walt"), "one\ntwo\n")]).await;
    fixture.pass(minutes(1)).await;
    fixture.write("walt", "zero\none\nTwo\n");
    fixture.pass(minutes(3)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "zero", "Two"]);
    let read = |event: &Event| matches!(event, Event::PoemRead { lines: 3, .. });
    assert_eq!(fixture.count(read), 1, "an edit is logged once");
}

#[tokio::test]
async fn a_broken_edit_keeps_the_last_version_and_is_logged_once() {
    let fixture = EngineFixture::of([(bot("walt"), "one\ntwo\nthree\nfour\n")]).await;
    fixture.pass(minutes(1)).await;
    fixture.write("walt", "one\ntw\0o\n");
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "three"]);
    assert_eq!(fixture.count(broken), 1);
    let event = fixture.wait_for(broken).await;
    let Event::PoemBroken { line, kept, problem, poem } = event else { unreachable!() };
    assert_eq!((line, kept), (Some(2), true));
    assert!(problem.contains("U+0000"), "{problem}");
    assert!(poem.ends_with("walt.txt"));
    fixture.write("walt", "one\ntwo\nthree\nfive\n");
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "three", "five"]);
}

#[tokio::test]
async fn a_slot_without_a_poem_is_released_with_an_error_and_others_continue() {
    let fixture = EngineFixture::of([(bot("walt"), ""), (bot("emily"), "e1\ne2\ne3\n")]).await;
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.net("emily").texts(), ["e1", "e2"]);
    assert_eq!(fixture.history("walt").await, ["12:01:00 released (poem) -", "12:02:00 released (poem) -"]);
    let row = fixture.last("walt").await;
    assert!(row.reason.unwrap().contains("walt.txt"), "the reason names the file");
    assert!(fixture.net("walt").sent().is_empty());
    assert_eq!(fixture.count(broken), 1);
    fixture.write("walt", "w1\n");
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.history("walt").await[2..], ["12:03:00 posted w1"]);
}

#[tokio::test]
async fn a_line_too_long_is_passed_over_and_does_not_delay_the_end() {
    let long = "x".repeat(281);
    let fixture = EngineFixture::of([(bot("walt"), &format!("one\n{long}\ntwo\n"))]).await;
    fixture.pass(minutes(4)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two"]);
    assert_eq!(fixture.count(|event| matches!(event, Event::Exhausted { .. })), 1);
}

#[tokio::test]
async fn two_bots_read_one_poem_each_with_its_own_history() {
    let mut fixture = EngineFixture::of([(bot("walt"), "one\ntwo\n")]).await;
    fixture.pass(minutes(1)).await;
    fixture.stop().await;
    fixture.add(bot("emily"), "unused\n");
    fixture.bots[1].poem = fixture.bots[0].poem.clone();
    fixture.start().await;
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two"]);
    assert_eq!(fixture.net("emily").texts(), ["one", "two"]);
}

#[tokio::test]
async fn the_text_of_a_post_is_fixed_when_it_is_planned() {
    use crate::support::network::unreachable;
    let fixture = EngineFixture::of([(bot("walt"), "before\n")]).await;
    fixture.net("walt").then(unreachable());
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.last("walt").await.state, State::Planned);
    assert_eq!(fixture.last("walt").await.cause, Some(Cause::Unreachable));
    fixture.write("walt", "after\n");
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["before", "before", "after"]);
}
