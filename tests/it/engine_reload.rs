//! Reload: bots that stay continue as before, and bots that are removed finish their posts.

use std::time::Duration;

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Why};
use flockd::flock::schedule::{Schedule, Zone};
use flockd::flock::{AtEnd, Bot};
use flockd::net::{Cooldown, LimitScope};
use flockd::store::CommandKind;
use jiff::tz::TimeZone;

use crate::support::clock::{at, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, posted};
use crate::support::patiently;

/// Changes something about a bot that does not affect its schedule.
fn touch(bot: &mut Bot) {
    bot.max_late += Duration::from_secs(1);
}

fn nothing_was_missed(fixture: &EngineFixture) -> bool {
    fixture.count(|event| {
        matches!(event, Event::Missed { .. } | Event::Doubted(_) | Event::LedgerTrouble { .. })
    }) == 0
}

#[tokio::test]
async fn adding_removing_and_changing_bots_leaves_the_others_alone() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9)), (bot("emily"), poem("e", 9))]).await;
    fixture.pass(seconds(90)).await;
    let emily = fixture.bots.pop().unwrap();
    touch(&mut fixture.bots[0]);
    fixture.add(bot("sylvia"), &poem("s", 9));
    fixture.reload().await;
    fixture.pass(seconds(60)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
    assert_eq!(fixture.history("emily").await, ["12:01:00 posted e1"]);
    assert_eq!(fixture.history("sylvia").await, ["12:02:00 posted s1"], "her slots begin when she is added");
    fixture.bots.push(emily);
    fixture.reload().await;
    fixture.pass(seconds(30)).await;
    assert_eq!(
        fixture.history("emily").await,
        ["12:01:00 posted e1", "12:02:00 posted e2", "12:03:00 posted e3"],
        "a bot that is added again fires its missed slot, as after a restart"
    );
    assert!(nothing_was_missed(&fixture));
}

#[tokio::test]
async fn a_removed_bot_finishes_its_post_in_flight() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9)), (bot("emily"), poem("e", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    fixture.bots.remove(0);
    fixture.reload().await;
    fixture.net("walt").release(&posted("1"));
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1"]);
    assert_eq!(fixture.rows("emily").await.len(), 6);
}

#[tokio::test]
async fn a_bot_readded_during_its_post_does_not_send_two_at_once() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9)), (bot("emily"), poem("e", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    let mut walt = fixture.bots.remove(0);
    fixture.reload().await;
    touch(&mut walt);
    fixture.bots.push(walt);
    fixture.reload().await;
    fixture.pass(seconds(90)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1"]);
    fixture.net("walt").release(&posted("1"));
    fixture.at_rest().await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
    assert!(nothing_was_missed(&fixture));
}

#[tokio::test]
async fn only_a_changed_schedule_starts_over() {
    let late = Bot { schedule: cron("@yearly"), ..bot("emily") };
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9)), (late, poem("e", 9))]).await;
    fixture.pass_until("2024-03-05T12:10:30Z").await;
    fixture.bots.iter_mut().for_each(touch);
    fixture.bots[1].schedule = cron("*/5 * * * *");
    fixture.reload().await;
    fixture.pass_until("2024-03-05T12:15:00Z").await;
    assert_eq!(fixture.history("emily").await, ["12:15:00 posted e1"], "no slot before the change counts");
    assert_eq!(fixture.rows("walt").await.len(), 9, "and then the poem is exhausted");
    assert!(nothing_was_missed(&fixture));
}

#[tokio::test]
async fn a_reload_keeps_a_bots_state() {
    let forever = Bot { at_end: AtEnd::Again, max_per_hour: 2, ..bot("flood") };
    let bots = [(bot("held"), poem("h", 9)), (bot("done"), "d1\n".to_owned()), (forever, poem("f", 9))];
    let mut fixture = EngineFixture::of(bots).await;
    let until = at("2024-03-05T12:30:00Z");
    let why = Why::new(Cause::Credits, "the credits are used up");
    fixture.net("held").cooldown(Cooldown { scope: LimitScope::Bot, until, why });
    fixture.pass(seconds(150)).await;
    for _ in 0..3 {
        fixture.bots.iter_mut().for_each(touch);
        fixture.reload().await;
        fixture.pass(minutes(1)).await;
    }
    assert_eq!(fixture.net("held").texts(), ["h1"], "the network's Retry-After still holds");
    assert_eq!(fixture.net("flood").texts(), ["f1", "f2"]);
    assert_eq!(fixture.count(|event| matches!(event, Event::Exhausted { .. })), 1);
}

#[tokio::test]
async fn a_renamed_bot_finishes_its_post_and_keeps_its_history() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9)), (bot("emily"), poem("e", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    fixture.bots.remove(0);
    fixture.add(Bot { was: Some("walt".parse().unwrap()), ..bot("whitman") }, &poem("w", 9));
    let reloaded = fixture.hand_over();
    fixture.pass(seconds(90)).await;
    assert!(!reloaded.is_finished(), "his post must not be renamed while it is being sent");
    assert_eq!(fixture.rows("emily").await.len(), 2, "meanwhile the others continue");
    fixture.net("walt").release(&posted("1"));
    patiently("the reload", reloaded).await.unwrap().unwrap();
    fixture.at_rest().await;
    assert_eq!(fixture.history("walt").await, Vec::<String>::new());
    assert_eq!(fixture.history("whitman").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
    assert!(nothing_was_missed(&fixture));
}

#[tokio::test]
async fn a_reload_that_the_ledger_refuses_changes_nothing() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9))]).await;
    fixture.add(bot("emily"), &poem("e", 9));
    fixture.add(Bot { was: Some("walt".parse().unwrap()), ..bot("whitman") }, &poem("w", 9));
    fixture.bots.remove(0);
    fixture.spoil("before update on bot").await;
    assert!(patiently("the reload", fixture.hand_over()).await.unwrap().is_err());
    fixture.heal().await;
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.history("walt").await, ["12:01:00 posted w1"]);
    fixture.reload().await;
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.history("whitman").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
    assert_eq!(fixture.history("emily").await, ["12:02:00 posted e1"]);
}

#[tokio::test]
async fn a_command_for_a_removed_bot_is_answered() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 9)), (bot("emily"), poem("e", 9))]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(minutes(1)).await;
    let post = |bot: &str| CommandKind::Post { bot: bot.to_owned(), text: Some("by hand".to_owned()) };
    let queued = fixture.ask(post("walt")).await;
    fixture.at_rest().await;
    fixture.bots.remove(0);
    fixture.reload().await;
    fixture.net("walt").release(&posted("1"));
    fixture.still_waiting().await;
    let unknown = fixture.ask(post("walt")).await;
    for id in [queued, unknown] {
        let answer = fixture.answer(id).await;
        assert!(!answer.done && answer.post.is_none(), "{answer:?}");
    }
    assert_eq!(fixture.net("walt").texts(), ["w1"]);
}

#[tokio::test]
async fn a_thousand_reloads_leak_nothing() {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 99))]).await;
    for round in 0..1_000 {
        touch(&mut fixture.bots[0]);
        fixture.reload().await;
        if round % 100 == 0 {
            fixture.pass(minutes(1)).await;
        }
    }
    assert_eq!(fixture.rows("walt").await.len(), 10);
    assert!(nothing_was_missed(&fixture));
}

/// A bot that posts at six in the morning in Vancouver, under rules with this offset from UTC.
fn at_six(bot: &mut Bot, hours: i8) {
    let zone = Zone::new("America/Vancouver", TimeZone::fixed(jiff::tz::offset(-hours)));
    bot.schedule = Schedule::parse("0 6 * * *", zone).unwrap();
}

#[tokio::test]
async fn new_time_zone_rules_move_future_slots_and_repeat_none() {
    let mut walt = bot("walt");
    at_six(&mut walt, 8);
    let mut fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    fixture.pass_until("2024-03-05T14:10:00Z").await;
    at_six(&mut fixture.bots[0], 7);
    fixture.reload().await;
    fixture.pass_until("2024-03-06T14:30:00Z").await;
    assert_eq!(fixture.history("walt").await, ["14:00:00 posted w1", "13:00:00 posted w2"]);
    at_six(&mut fixture.bots[0], 8);
    fixture.reload().await;
    fixture.pass_until("2024-03-08T12:00:00Z").await;
    assert_eq!(
        fixture.history("walt").await,
        ["14:00:00 posted w1", "13:00:00 posted w2", "14:00:00 posted w3", "14:00:00 posted w4"],
        "the clock went back past six, so six comes twice that day; then once a day"
    );
    assert!(nothing_was_missed(&fixture));
}
