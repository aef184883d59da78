//! Commands: post now, settle, delete, skip.

use flockd::flock::AtEnd;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::store::{CommandKind, CommandResult, Store};

use crate::support::clock::{hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, posted, setback, unreachable};

/// An engine where nothing is due for a long time.
async fn quiet(text: &str) -> EngineFixture {
    let mut walt = bot("walt");
    walt.schedule = cron("0 0 * * *");
    EngineFixture::of([(walt, text)]).await
}

fn want(text: Option<&str>) -> CommandKind {
    CommandKind::Post { bot: "walt".to_owned(), text: text.map(str::to_owned) }
}

#[tokio::test]
async fn a_text_with_control_characters_is_refused() {
    let fixture = EngineFixture::of([(bot("walt"), "one\n")]).await;
    for text in ["a\u{1b}[2J", "a\0", "\u{200b}", " \u{9b}"] {
        let answer = fixture.post("walt", Some(text)).await;
        assert!(!answer.done, "{text:?}: {answer:?}");
    }
    assert!(fixture.net("walt").sent().is_empty());
}

#[tokio::test]
async fn a_manual_text_is_posted_at_once_and_uses_no_line() {
    let fixture = quiet("one\n").await;
    let answer = fixture.post("walt", Some("hello")).await;
    assert!(answer.done && answer.message.contains("https://example.org/walt-1"), "{answer:?}");
    let row = fixture.last("walt").await;
    assert_eq!(answer.post, Some(row.id.to_string()));
    assert_eq!((row.slot, row.entry, row.text.as_deref()), (None, None, Some("hello")));
    assert!(fixture.post("walt", None).await.done);
    assert_eq!(fixture.history("walt").await, ["by hand posted hello", "by hand posted one"]);
}

#[tokio::test]
async fn a_manual_post_takes_a_line_of_the_round_and_slots_continue() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 3))]).await;
    assert!(fixture.post("walt", None).await.done);
    fixture.pass(minutes(2)).await;
    let history = ["by hand posted w1", "12:01:00 posted w2", "12:02:00 posted w3"];
    assert_eq!(fixture.history("walt").await, history);
}

#[tokio::test]
async fn an_open_post_blocks_a_manual_post_and_is_named() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Silence { arrived: false });
    fixture.pass(minutes(1)).await;
    let open = fixture.last("walt").await.id.to_string();
    for text in [None, Some("hello")] {
        let answer = fixture.post("walt", text).await;
        assert!(!answer.done && answer.message.contains(&open), "{answer:?}");
        assert!(!answer.message.contains("flockd settle"), "it settles by itself: {answer:?}");
    }
    // The account can't be read here, so a person is asked.
    fixture.pass(seconds(10)).await;
    assert_eq!(fixture.last("walt").await.cause, Some(Cause::Ask));
    assert!(fixture.post("walt", None).await.message.contains("flockd settle"));
    assert_eq!(fixture.net("walt").sent().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_posted_is_refused_with_a_reason_and_leaves_no_row() {
    let fixture = quiet("one\n").await;
    let too_long = "x".repeat(281);
    let answer = fixture.post("walt", Some(&too_long)).await;
    assert!(!answer.done && answer.message.contains("280"), "{answer:?}");
    let answer = fixture.post("sylvia", None).await;
    assert!(!answer.done && answer.message.contains("sylvia"), "{answer:?}");
    let answer = fixture.post("not a name", None).await;
    assert!(!answer.done, "{answer:?}");
    assert!(fixture.rows("walt").await.is_empty());
}

#[tokio::test]
async fn an_exhausted_bot_still_posts_a_text_but_has_no_line() {
    let fixture = quiet("one\n").await;
    assert!(fixture.post("walt", None).await.done);
    let answer = fixture.post("walt", None).await;
    assert!(!answer.done && answer.post.is_none(), "{answer:?}");
    assert_eq!(fixture.rows("walt").await.len(), 1);
    assert!(fixture.post("walt", Some("all the same")).await.done);
    assert_eq!(fixture.rows("walt").await.len(), 2);
}

#[tokio::test]
async fn a_manual_post_also_begins_a_poem_again() {
    let mut walt = bot("walt");
    (walt.schedule, walt.at_end) = (cron("0 0 * * *"), AtEnd::Again);
    let fixture = EngineFixture::of([(walt, "one\ntwo\n")]).await;
    for _ in 0..4 {
        assert!(fixture.post("walt", None).await.done);
    }
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "one", "two"]);
}

#[tokio::test]
async fn a_manual_post_that_was_not_accepted_is_released() {
    let fixture = quiet("one\n").await;
    fixture.net("walt").then(unreachable());
    let answer = fixture.post("walt", None).await;
    let row = fixture.last("walt").await;
    assert_eq!((answer.done, answer.post), (false, Some(row.id.to_string())));
    assert_eq!((row.state, row.cause), (State::Released, Some(Cause::Unreachable)));
    fixture.pass(minutes(30)).await;
    assert_eq!(fixture.net("walt").sent().len(), 1);
    assert!(fixture.post("walt", None).await.done);
    assert_eq!(fixture.net("walt").texts(), ["one", "one"]);
}

#[tokio::test]
async fn the_hourly_cap_applies_to_manual_posts() {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_per_hour) = (cron("0 0 * * *"), 2);
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    assert!(fixture.post("walt", None).await.done);
    assert!(fixture.post("walt", Some("hello")).await.done);
    let answer = fixture.post("walt", Some("hello again")).await;
    assert!(!answer.done && answer.message.contains("max_per_hour"), "{answer:?}");
    assert_eq!(fixture.net("walt").sent().len(), 2);
    fixture.pass(hours(1)).await;
    assert!(fixture.post("walt", None).await.done);
}

#[tokio::test]
async fn a_stale_command_is_not_executed() {
    let mut fixture = quiet("one\n").await;
    fixture.stop().await;
    let id = fixture.ask(want(Some("hello"))).await;
    fixture.pass(seconds(11)).await;
    fixture.start().await;
    let answer = fixture.answer(id).await;
    assert!(!answer.done, "{answer:?}");
    assert!(fixture.net("walt").sent().is_empty() && fixture.rows("walt").await.is_empty());
}

#[tokio::test]
async fn a_canceled_command_is_not_executed_and_a_claimed_one_not_canceled() {
    let mut fixture = quiet("one\n").await;
    fixture.stop().await;
    let id = fixture.ask(want(None)).await;
    assert!(fixture.ledger().cancel_command(id).await.unwrap());
    fixture.start().await;
    fixture.pass(minutes(2)).await;
    assert!(fixture.net("walt").sent().is_empty());
    fixture.net("walt").then(Next::Hold { arrived: true });
    let id = fixture.ask(want(None)).await;
    fixture.net_holds("walt").await;
    assert!(!fixture.ledger().cancel_command(id).await.unwrap(), "it is in flight");
    fixture.net("walt").release(&posted("1"));
    assert!(fixture.answer(id).await.done);
}

#[tokio::test]
async fn a_lost_notification_only_costs_time() {
    let fixture = quiet("one\n").await;
    let id = fixture.submit_command(want(Some("hello"))).await;
    fixture.pass(seconds(25)).await;
    fixture.still_waiting().await;
    fixture.pass(seconds(5)).await;
    assert!(fixture.answer(id).await.done);
}

#[tokio::test]
async fn a_command_from_before_a_crash_is_answered_from_its_row() {
    let mut fixture = quiet("one\n").await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    let id = fixture.ask(want(Some("hello"))).await;
    fixture.net_holds("walt").await;
    fixture.crash().await;
    fixture.start().await;
    let answer = fixture.answer(id).await;
    assert!(!answer.done, "{answer:?}");
    let row = fixture.last("walt").await;
    assert_eq!((row.id, row.state), (id, State::Unknown));
    assert_eq!(fixture.net("walt").sent().len(), 1, "nothing is resent");
}

#[tokio::test]
async fn a_command_whose_client_panicked_is_still_answered() {
    let fixture = quiet("one\n").await;
    fixture.net("walt").then(Next::Panic);
    let id = fixture.ask(want(Some("hello"))).await;
    fixture.wait_for(|event| matches!(event, Event::Panicked { .. })).await;
    fixture.pass(minutes(1)).await;
    let answer = fixture.answer(id).await;
    assert!(!answer.done, "{answer:?}");
    assert_eq!(fixture.last("walt").await.state, State::Unknown);
    assert_eq!(fixture.net("walt").sent().len(), 1);
}

#[tokio::test]
async fn commands_wait_for_the_call_in_flight_and_run_in_order() {
    let fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    let first = fixture.ask(want(Some("first"))).await;
    let second = fixture.ask(want(Some("second"))).await;
    fixture.pass(seconds(30)).await;
    assert_eq!(fixture.net("walt").sent().len(), 1, "never two at once");
    fixture.still_waiting().await;
    fixture.net("walt").release(&posted("w1"));
    assert!(fixture.answer(first).await.done && fixture.answer(second).await.done);
    assert_eq!(fixture.net("walt").texts(), ["w1", "first", "second"]);
}

#[tokio::test]
async fn a_command_of_a_newer_flockd_is_answered_and_blocks_no_other() {
    let fixture = quiet("one\n").await;
    let id = "0190a0a0-0000-7000-8000-000000000000";
    let strange = format!("insert into wish (id, what, made_at) values ('{id}', '{{\"fly\":{{}}}}', 0)");
    fixture.tamper(&strange).await;
    assert!(fixture.post("walt", Some("hello")).await.done);
    let answer = fixture.answer(id.parse().unwrap()).await;
    assert!(!answer.done && answer.post.is_none(), "{answer:?}");
}

#[tokio::test]
async fn a_deleted_posts_line_stays_used() {
    let fixture = EngineFixture::of([(bot("walt"), "one\ntwo\n")]).await;
    fixture.pass(minutes(1)).await;
    let posted = fixture.last("walt").await;
    let delete = CommandKind::Delete { bot: "walt".to_owned(), post: posted.id.to_string() };
    let id = fixture.ask(delete.clone()).await;
    let answer = fixture.answer(id).await;
    assert!(answer.done, "{answer:?}");
    assert_eq!(fixture.net("walt").deleted().iter().map(|post| post.id).collect::<Vec<_>>(), [posted.id]);
    assert_eq!(fixture.last("walt").await.state, State::Deleted);
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two"], "nothing is repeated");
    let again = fixture.ask(delete).await;
    let answer = fixture.answer(again).await;
    assert!(!answer.done, "{answer:?}");
    assert_eq!(fixture.net("walt").deleted().len(), 1);
}

#[tokio::test]
async fn a_post_that_the_network_will_not_delete_stays_posted() {
    let fixture = EngineFixture::of([(bot("walt"), "one\ntwo\n")]).await;
    fixture.pass(minutes(1)).await;
    fixture.net("walt").keeps_all(setback(Cause::Limits, None));
    let post = fixture.last("walt").await;
    let id = fixture.ask(CommandKind::Delete { bot: "walt".to_owned(), post: post.id.to_string() }).await;
    let answer = fixture.answer(id).await;
    assert!(!answer.done && answer.message.contains(Cause::Limits.as_str()), "{answer:?}");
    assert_eq!(fixture.last("walt").await.state, State::Posted);
}

/// Whether an answer contains all of these, in this order.
fn names(answer: &CommandResult, parts: &[&str]) -> bool {
    let places: Vec<_> = parts.iter().map(|part| answer.message.find(part)).collect();
    places.iter().all(Option::is_some) && places.is_sorted()
}

#[tokio::test]
async fn a_skipped_slot_does_not_fire_and_the_next_does() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.pass(minutes(1)).await;
    let skip = async |fixture: &EngineFixture| {
        let id = fixture.ask(CommandKind::Skip { bot: "walt".to_owned() }).await;
        fixture.answer(id).await
    };
    let answer = skip(&fixture).await;
    assert!(answer.done && names(&answer, &["12:02:00 UTC", "12:03:00 UTC"]), "{answer:?}");
    // The next skip takes the slot after it, even after the daemon restarts.
    fixture.restart().await;
    let answer = skip(&fixture).await;
    assert!(answer.done && names(&answer, &["12:03:00 UTC", "12:04:00 UTC"]), "{answer:?}");
    assert_eq!(fixture.standing("walt").await.skipped.len(), 2);
    fixture.pass(minutes(4)).await;
    let history = fixture.history("walt").await;
    let posted: Vec<_> = history.iter().filter(|line| line.contains("posted")).collect();
    assert_eq!(posted, ["12:01:00 posted w1", "12:04:00 posted w2", "12:05:00 posted w3"]);
    let standing = fixture.standing("walt").await;
    assert_eq!((standing.missed, standing.skipped), (0, vec![]));
}

#[tokio::test]
async fn an_undone_skip_posts_once_in_its_slot() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.pass(minutes(1)).await;
    let walt = || "walt".to_owned();
    let ask = async |fixture: &EngineFixture, what: CommandKind| {
        let id = fixture.ask(what).await;
        fixture.answer(id).await
    };
    for _ in 0..3 {
        assert!(ask(&fixture, CommandKind::Skip { bot: walt() }).await.done);
    }
    let slots = fixture.standing("walt").await.skipped;
    // The last skip, and a named one; a slot that is not skipped can't be undone.
    let answer = ask(&fixture, CommandKind::UndoSkip { bot: walt(), slot: None }).await;
    assert!(answer.done && names(&answer, &["12:04:00 UTC"]), "{answer:?}");
    fixture.restart().await;
    assert!(ask(&fixture, CommandKind::UndoSkip { bot: walt(), slot: Some(slots[0]) }).await.done);
    assert!(!ask(&fixture, CommandKind::UndoSkip { bot: walt(), slot: Some(slots[0]) }).await.done);
    assert_eq!(fixture.standing("walt").await.skipped, slots[1..2]);
    fixture.pass(minutes(4)).await;
    let history = fixture.history("walt").await;
    let posted: Vec<_> = history.iter().filter(|line| line.contains("posted")).collect();
    assert_eq!(
        posted,
        ["12:01:00 posted w1", "12:02:00 posted w2", "12:04:00 posted w3", "12:05:00 posted w4"]
    );
    // Past skips stay as they were.
    assert!(!ask(&fixture, CommandKind::UndoSkip { bot: walt(), slot: None }).await.done);
    assert!(!ask(&fixture, CommandKind::UndoSkip { bot: walt(), slot: Some(slots[1]) }).await.done);
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").sent().len(), 5);
    assert_eq!(fixture.standing("walt").await.missed, 0);
}

#[tokio::test]
async fn a_slot_is_skipped_during_its_delay_but_not_once_due() {
    let mut walt = bot("walt");
    walt.schedule = cron("0 * * * *");
    walt.jitter = std::time::Duration::from_secs(50 * 60);
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    // The slot of one o'clock is claimed, and posts some time in the hour.
    fixture.pass(minutes(61)).await;
    let before = fixture.history("walt").await;
    let id = fixture.ask(CommandKind::Skip { bot: "walt".to_owned() }).await;
    let answer = fixture.answer(id).await;
    assert!(answer.done, "{answer:?}");
    fixture.pass(minutes(110)).await;
    let posted = fixture.history("walt").await.iter().filter(|line| line.contains("posted")).count();
    let slots = fixture.history("walt").await.len();
    assert_eq!(slots, posted + 1, "exactly one was skipped: {before:?}");
}

/// By that clock it stays recent for years.
#[tokio::test]
async fn a_command_dated_by_a_clock_that_was_ahead_is_not_executed() {
    let mut fixture = quiet("one\n").await;
    fixture.stop().await;
    let now = fixture.now();
    fixture.clock.set(now + chrono::TimeDelta::days(3_650));
    let id = fixture.ask(want(Some("hello"))).await;
    fixture.clock.set(now + chrono::TimeDelta::hours(1));
    fixture.start().await;
    let answer = fixture.answer(id).await;
    assert!(!answer.done, "{answer:?}");
    assert!(fixture.net("walt").sent().is_empty() && fixture.rows("walt").await.is_empty());
}
