//! Stories of poems that are edited, broken, missing, or have lines that don't fit.

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};

use crate::support::clock::minutes;
use crate::support::fixture::House;
use crate::support::flock::bot;

fn broken(event: &Event) -> bool {
    matches!(event, Event::PoemBroken { .. })
}

#[tokio::test]
async fn an_edit_counts_from_the_next_slot() {
    let house = House::of([(bot("walt"), "one\ntwo\n")]).await;
    house.pass(minutes(1)).await;
    house.write("walt", "zero\none\nTwo\n");
    house.pass(minutes(3)).await;
    assert_eq!(house.net("walt").texts(), ["one", "zero", "Two"]);
    let read = |event: &Event| matches!(event, Event::PoemRead { lines: 3, .. });
    assert_eq!(house.count(read), 1, "an edit is told once");
}

#[tokio::test]
async fn a_broken_edit_keeps_the_last_version_and_says_so_once() {
    let house = House::of([(bot("walt"), "one\ntwo\nthree\nfour\n")]).await;
    house.pass(minutes(1)).await;
    house.write("walt", "one\ntw\0o\n");
    house.pass(minutes(2)).await;
    assert_eq!(house.net("walt").texts(), ["one", "two", "three"]);
    assert_eq!(house.count(broken), 1);
    let event = house.wait_for(broken).await;
    let Event::PoemBroken { line, kept, problem, poem } = event else { unreachable!() };
    assert_eq!((line, kept), (Some(2), true));
    assert!(problem.contains("U+0000"), "{problem}");
    assert!(poem.ends_with("walt.txt"));
    house.write("walt", "one\ntwo\nthree\nfive\n");
    house.pass(minutes(1)).await;
    assert_eq!(house.net("walt").texts(), ["one", "two", "three", "five"]);
}

#[tokio::test]
async fn without_a_poem_a_slot_is_given_up_aloud_and_the_others_go_on() {
    let house = House::of([(bot("walt"), ""), (bot("emily"), "e1\ne2\ne3\n")]).await;
    house.pass(minutes(2)).await;
    assert_eq!(house.net("emily").texts(), ["e1", "e2"]);
    assert_eq!(house.story("walt").await, ["12:01:00 released (poem) -", "12:02:00 released (poem) -"]);
    let row = house.last("walt").await;
    assert!(row.reason.unwrap().contains("walt.txt"), "the reason names the file");
    assert!(house.net("walt").sent().is_empty());
    assert_eq!(house.count(broken), 1);
    house.write("walt", "w1\n");
    house.pass(minutes(1)).await;
    assert_eq!(house.story("walt").await[2..], ["12:03:00 posted w1"]);
}

#[tokio::test]
async fn a_line_that_does_not_fit_is_passed_over_and_does_not_hold_the_end_up() {
    let long = "x".repeat(281);
    let house = House::of([(bot("walt"), &format!("one\n{long}\ntwo\n"))]).await;
    house.pass(minutes(4)).await;
    assert_eq!(house.net("walt").texts(), ["one", "two"]);
    assert_eq!(house.count(|event| matches!(event, Event::Exhausted { .. })), 1);
}

#[tokio::test]
async fn two_bots_read_one_poem_each_with_its_own_history() {
    let mut house = House::of([(bot("walt"), "one\ntwo\n")]).await;
    house.pass(minutes(1)).await;
    house.stop().await;
    house.add(bot("emily"), "unused\n");
    house.bots[1].poem = house.bots[0].poem.clone();
    house.start().await;
    house.pass(minutes(2)).await;
    assert_eq!(house.net("walt").texts(), ["one", "two"]);
    assert_eq!(house.net("emily").texts(), ["one", "two"]);
}

#[tokio::test]
async fn the_text_of_a_post_is_fixed_when_it_is_planned() {
    use crate::support::network::unreachable;
    let house = House::of([(bot("walt"), "before\n")]).await;
    house.net("walt").then(unreachable());
    house.pass(minutes(1)).await;
    assert_eq!(house.last("walt").await.state, State::Planned);
    assert_eq!(house.last("walt").await.cause, Some(Cause::Unreachable));
    house.write("walt", "after\n");
    house.pass(minutes(1)).await;
    assert_eq!(house.net("walt").texts(), ["before", "before", "after"]);
}
