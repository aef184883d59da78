//! Retries and backoff: networks that refuse a post, defer it, or refuse the account.

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::{AtEnd, Bot, NetworkKind, Order};
use flockd::net::{Outcome, Rejection};

use crate::support::clock::{at, delta, hours, minutes, seconds};
use crate::support::fixture::{EngineFixture, IN_FLIGHT};
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, account, duplicate, posted, refused, setback, unreachable};

#[tokio::test]
async fn a_retry_sends_the_same_post_after_a_growing_backoff() {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    let fixture = EngineFixture::of([(walt, "one\ntwo\n")]).await;
    for _ in 0..6 {
        fixture.net("walt").then(unreachable());
    }
    fixture.pass_until("2024-03-05T13:30:00Z").await;
    let sent = fixture.net("walt").sent();
    assert_eq!(fixture.history("walt").await, ["13:00:00 posted one"]);
    assert_eq!(sent.len(), 7);
    let first = &sent[0].post;
    assert!(
        sent.iter().all(|sent| (sent.post.id, &sent.post.text) == (first.id, &first.text)),
        "the same post"
    );
    let pauses: Vec<_> = sent.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(pauses[0] >= delta(seconds(3)) && pauses[0] <= delta(seconds(5)), "{pauses:?}");
    assert!(pauses[5] > pauses[0] * 4, "{pauses:?}");
    let row = fixture.last("walt").await;
    assert_eq!((row.attempts, row.errors, row.cause), (7, 0, None), "silence is no definite error");
    assert_eq!(fixture.count(|event| matches!(event, Event::Returned(_))), 6);
}

#[tokio::test]
async fn a_retry_past_max_late_releases_the_post_and_its_line() {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_late) = (cron("@hourly"), minutes(10));
    let fixture = EngineFixture::of([(walt, "one\ntwo\n")]).await;
    fixture.net("walt").always(unreachable());
    fixture.pass_until("2024-03-05T13:30:00Z").await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Released, Some(Cause::Unreachable)));
    assert!(fixture.net("walt").sent().iter().all(|sent| sent.at <= at("2024-03-05T13:10:00Z")));
    fixture.net("walt").always(posted("back"));
    fixture.pass_until("2024-03-05T14:00:00Z").await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 released (unreachable) one", "14:00:00 posted one"]);
}

#[tokio::test]
async fn a_slot_that_fires_late_is_still_retried_soon() {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    let mut fixture = EngineFixture::of([(walt, "one\n")]).await;
    fixture.stop().await;
    fixture.pass_until("2024-03-05T13:50:00Z").await;
    // As after a power cut: flockd is up before the network is.
    fixture.net("walt").then(unreachable());
    fixture.start().await;
    fixture.pass(seconds(10)).await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 posted one"]);
}

#[tokio::test]
async fn retry_after_is_honored() {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    let fixture = EngineFixture::of([(walt, "one\n")]).await;
    let retry_at = at("2024-03-05T13:20:00Z");
    fixture.net("walt").then(setback(Cause::Limits, Some(retry_at)));
    fixture.pass_until("2024-03-05T13:19:59Z").await;
    assert_eq!(fixture.last("walt").await.retry_at, Some(retry_at));
    assert_eq!(fixture.net("walt").sent().len(), 1);
    fixture.pass(seconds(1)).await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 posted one"]);
    assert_eq!(fixture.last("walt").await.errors, 1, "that was a definite error");
}

#[tokio::test]
async fn retry_after_zero_still_backs_off() {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    let fixture = EngineFixture::of([(walt, "one\n")]).await;
    fixture.net("walt").always(setback(Cause::Limits, Some(at("2024-03-05T10:00:00Z"))));
    fixture.pass_until("2024-03-05T13:01:00Z").await;
    let sent = fixture.net("walt").sent();
    assert!((5..=20).contains(&sent.len()), "{} attempts in a minute", sent.len());
}

#[tokio::test]
async fn retry_after_beyond_max_late_releases_at_once() {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    let fixture = EngineFixture::of([(walt, "one\n")]).await;
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2024-03-05T14:00:01Z"))));
    fixture.pass_until("2024-03-05T13:00:00Z").await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 released (limits) one"]);
}

#[tokio::test]
async fn a_refused_line_is_used_and_the_next_slot_continues() {
    let fixture = EngineFixture::of([(bot("walt"), "one\ntwo\n")]).await;
    fixture.net("walt").then(refused());
    fixture.pass(minutes(4)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 refused (text) one", "12:02:00 posted two"]);
    assert_eq!(fixture.last("walt").await.errors, 0);
}

#[tokio::test]
async fn a_duplicate_refrain_waits_for_another_post_and_is_refused_the_third_time() {
    let fixture = EngineFixture::of([(bot("walt"), "Holy!\none\ntwo\n")]).await;
    fixture.net("walt").then(duplicate());
    fixture.net("walt").then(posted("1"));
    fixture.net("walt").then(duplicate());
    fixture.net("walt").then(posted("2"));
    fixture.net("walt").then(duplicate());
    fixture.pass(minutes(7)).await;
    let history = [
        "12:01:00 released (duplicate) Holy!",
        "12:02:00 posted one",
        "12:03:00 released (duplicate) Holy!",
        "12:04:00 posted two",
        "12:05:00 refused (duplicate) Holy!",
    ];
    assert_eq!(fixture.history("walt").await, history);
}

#[tokio::test]
async fn a_bot_without_permission_to_post_uses_no_line() {
    let mut walt = bot("walt");
    walt.schedule = cron("@hourly");
    let fixture = EngineFixture::of([(walt, "one\n"), (bot("emily"), poem("e", 99).as_str())]).await;
    let wrong: Rejection = setback(Cause::Account, None);
    fixture.net("walt").prepares(Err(wrong));
    fixture.pass_until("2024-03-05T13:00:00Z").await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 planned (account) one"]);
    assert_eq!(fixture.last("walt").await.attempts, 0);
    fixture.pass_until("2024-03-05T14:59:00Z").await;
    let history = fixture.history("walt").await;
    assert_eq!(history[0], "13:00:00 released (account) one");
    assert!(fixture.net("walt").sent().is_empty(), "nothing is sent as another account");
    assert!(fixture.net("emily").sent().len() >= 60);
    fixture.net("walt").prepares(Ok(account("walt_lines")));
    fixture.pass_until("2024-03-05T15:30:00Z").await;
    assert_eq!(fixture.net("walt").texts(), ["one"]);
}

#[tokio::test]
async fn a_round_that_begins_in_an_outage_is_logged_once() {
    let mut walt = bot("walt");
    (walt.at_end, walt.max_late) = (AtEnd::Again, seconds(2));
    let fixture = EngineFixture::of([(walt, "one\n")]).await;
    fixture.pass(minutes(1)).await;
    fixture.net("walt").always(unreachable());
    fixture.pass(minutes(3)).await;
    fixture.net("walt").always(posted("back"));
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.rows("walt").await.len(), 5);
    assert_eq!(fixture.standing("walt").await.round, 2);
    assert_eq!(fixture.count(|event| matches!(event, Event::RoundBegun { .. })), 1);
}

#[tokio::test]
async fn a_bots_account_is_remembered_and_passed_on() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    let me = account("walt_lines");
    fixture.net("walt").prepares(Ok(me.clone()));
    fixture.pass(minutes(2)).await;
    fixture.restart().await;
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").known(), [None, Some(me.clone()), Some(me.clone())]);
    assert!(fixture.net("walt").sent().iter().all(|sent| sent.account.as_ref() == Some(&me)));
    assert_eq!(fixture.count(|event| matches!(event, Event::Recognised { .. })), 1);
    assert_eq!(fixture.standing("walt").await.account, Some(me));
}

#[tokio::test]
async fn the_hourly_cap_stops_any_schedule_with_a_warning() {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_per_hour) = (cron("*/10 * * * * *"), 3);
    let fixture = EngineFixture::of([(walt, poem("w", 500))]).await;
    fixture.pass(minutes(1)).await;
    let rows = fixture.rows("walt").await;
    assert_eq!(rows.len(), 6);
    assert_eq!(fixture.net("walt").sent().len(), 3);
    assert!(rows[3..].iter().all(|row| row.cause == Some(Cause::Flood) && row.entry.is_none()));
    assert!(rows[3].reason.as_ref().unwrap().contains("max_per_hour"));
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").sent().len(), 6, "three more in the next sixty minutes");
}

#[tokio::test]
async fn a_network_that_refuses_everything_does_not_use_up_the_poem() {
    let mut walt = bot("walt");
    walt.max_late = seconds(30);
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    fixture.net("walt").always(refused());
    fixture.pass(minutes(5)).await;
    let history = fixture.history("walt").await;
    let rows = fixture.rows("walt").await;
    assert_eq!(rows.iter().filter(|row| row.state == State::Refused).count(), 2, "{history:?}");
    assert!(
        history[2..].iter().all(|line| line.contains("(app) w3")),
        "reported, and the line is kept: {history:?}"
    );
    fixture.net("walt").forget_the_script();
    fixture.pass(minutes(1)).await;
    assert!(fixture.history("walt").await.iter().any(|line| line.ends_with("posted w3")));
    // After a successful post, a rejection is blamed on the text again.
    fixture.net("walt").then(refused());
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.last("walt").await.state, State::Refused);
}

#[tokio::test]
async fn a_hanging_network_delays_no_other() {
    let names: Vec<String> = (0..IN_FLIGHT + 2).map(|n| format!("bot{n}")).collect();
    let mut robin = bot("robin");
    robin.network = NetworkKind::Feed;
    let bots = names.iter().map(|name| (bot(name), "one\n".to_owned()));
    let fixture = EngineFixture::of(bots.chain([(robin, poem("r", 9))])).await;
    for name in &names {
        fixture.net(name).always(Next::Hold { arrived: true });
    }
    for line in ["r1", "r2"] {
        fixture.pass(minutes(1)).await;
        let ours = |event: &Event| matches!(event, Event::Posted(post) if post.text.as_deref() == Some(line));
        fixture.wait_for(ours).await;
    }
}

/// A rejection that flockd does not recognize.
fn unclear() -> Next {
    Outcome::Unclear(setback(Cause::App, None)).into()
}

#[tokio::test]
async fn an_unknown_rejection_of_one_text_does_not_block_the_poem() {
    let walt = Bot { order: Order::Sequence, ..bot("walt") };
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    (0..3).for_each(|_| fixture.net("walt").then(unclear()));
    fixture.pass(minutes(4)).await;
    let rows = fixture.rows("walt").await;
    assert_eq!((rows[0].state, rows[0].cause, rows[0].attempts), (State::Refused, Some(Cause::Text), 3));
    assert!(rows[0].reason.as_ref().unwrap().contains("says the script"), "the network's words are kept");
    assert_eq!((rows[1].state, rows[1].text.as_deref()), (State::Posted, Some("w2")));
}

#[tokio::test]
async fn an_unknown_rejection_of_an_account_uses_one_line_and_suspends_it() {
    let walt = Bot { order: Order::Sequence, ..bot("walt") };
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    fixture.net("walt").always(unclear());
    fixture.pass(minutes(30)).await;
    let rows = fixture.rows("walt").await;
    let refused = rows.iter().filter(|row| row.state == State::Refused).count();
    assert_eq!(refused, 1, "{:?}", fixture.history("walt").await);
    let last = rows.last().unwrap();
    assert_eq!(
        (last.state, last.cause, last.text.as_deref()),
        (State::Planned, Some(Cause::App), Some("w2"))
    );
}

#[tokio::test]
async fn if_other_bots_of_the_app_post_at_most_two_lines_are_used() {
    let walt = Bot { order: Order::Sequence, ..bot("walt") };
    let fixture = EngineFixture::of([(walt, poem("w", 9)), (bot("emily"), poem("e", 99))]).await;
    fixture.net("walt").always(unclear());
    fixture.pass(minutes(50)).await;
    let rows = fixture.rows("walt").await;
    let refused = rows.iter().filter(|row| row.state == State::Refused).count();
    assert_eq!(refused, 2, "{:?}", fixture.history("walt").await);
}
