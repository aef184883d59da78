//! Bots that are renamed without `was`, and two bots with tokens of one account.

use flockd::flock::Bot;
use flockd::flock::account::{TokenSources, Tokens};
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::secret::{Secret, SecretSource};
use flockd::store::CommandKind;
use flockd::store::health_state::{HealthState, health_state, needs_person};

use crate::support::clock::{minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, account, setback};

fn tokens(name: &str) -> Tokens {
    let (access_token, access_token_secret) = (Secret::new(name.to_owned()), Secret::new("s".to_owned()));
    Tokens::OAuth1 { access_token, access_token_secret }
}

fn on(name: &str, schedule: &str) -> Bot {
    Bot { schedule: cron(schedule), ..bot(name) }
}

/// Gives bots separate tokens that all belong to this account.
fn all_are(fixture: &EngineFixture, bots: &[&str], handle: &str) {
    for bot in bots {
        fixture.net(bot).gives(tokens(bot));
        fixture.net(bot).prepares(Ok(account(handle)));
    }
}

/// An engine whose walt has posted three of five lines as `@bard`.
async fn after_three_lines() -> EngineFixture {
    let mut fixture = EngineFixture::of([(bot("walt"), poem("w", 5))]).await;
    fixture.stop().await;
    all_are(&fixture, &["walt"], "bard");
    fixture.start().await;
    fixture.pass(minutes(3)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3"]);
    fixture
}

/// The same bot under another name, without `was`.
async fn goes_by(fixture: &mut EngineFixture, name: &str) {
    fixture.stop().await;
    fixture.bots.clear();
    fixture.add(bot(name), &poem("w", 5));
    all_are(fixture, &[name], "bard");
    fixture.start().await;
}

#[tokio::test]
async fn a_bot_renamed_without_was_continues() {
    let mut fixture = after_three_lines().await;
    // flockd did not run while the bot had this name.
    goes_by(&mut fixture, "whitman").await;
    goes_by(&mut fixture, "bard").await;
    fixture.pass(minutes(9)).await;
    assert_eq!(fixture.net("bard").texts(), ["w4", "w5"]);
    assert_eq!(fixture.count(|event| matches!(event, Event::Exhausted { .. })), 1);
    let told = |event: &Event| matches!(event, Event::SharesHistory { was, .. } if was.as_str() == "walt");
    assert_eq!(fixture.count(told), 1);
    // And back again.
    goes_by(&mut fixture, "walt").await;
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.net("walt").texts(), [] as [&str; 0], "the network is a new one");
    assert_eq!(fixture.rows("walt").await.len(), 3);
}

#[tokio::test]
async fn a_poem_that_begins_again_uses_all_its_lines() {
    let mut fixture = after_three_lines().await;
    goes_by(&mut fixture, "whitman").await;
    fixture.stop().await;
    fixture.bots[0].at_end = flockd::flock::AtEnd::Again;
    fixture.start().await;
    fixture.pass(minutes(8)).await;
    assert_eq!(fixture.net("whitman").texts(), ["w4", "w5", "w1", "w2", "w3", "w4", "w5", "w1"]);
}

/// The account is unknown both when the line is chosen and when the post is planned.
#[tokio::test]
async fn a_line_that_was_planned_before_the_account_was_known_is_not_repeated() {
    let mut fixture = after_three_lines().await;
    fixture.stop().await;
    fixture.bots.clear();
    fixture.add(bot("whitman"), &poem("w", 5));
    fixture.net("whitman").gives(tokens("whitman"));
    fixture.net("whitman").prepares(Err(setback(Cause::Unreachable, None)));
    fixture.start().await;
    fixture.pass(minutes(1)).await;
    let planned = fixture.last("whitman").await;
    assert_eq!((planned.state, planned.text.as_deref()), (State::Planned, Some("w1")));
    fixture.net("whitman").prepares(Ok(account("bard")));
    fixture.pass(minutes(5)).await;
    assert_eq!(fixture.net("whitman").texts(), ["w4", "w5"]);
}

/// Two bots at the same minute, with two pairs of tokens of one account, which is not known yet.
#[tokio::test]
async fn of_two_bots_with_one_account_the_later_stops_with_a_reason() {
    let flock = [(on("walt", "* * * * *"), poem("w", 9)), (on("emily", "* * * * *"), poem("w", 9))];
    let mut fixture = EngineFixture::of(flock).await;
    fixture.stop().await;
    all_are(&fixture, &["walt", "emily"], "bard");
    fixture.start().await;
    fixture.pass(minutes(3)).await;
    let (walt, emily) = (fixture.net("walt").texts(), fixture.net("emily").texts());
    assert_eq!(walt.len() + emily.len(), 3, "{walt:?} {emily:?}");
    let (first, later) = if emily.is_empty() { ("walt", "emily") } else { ("emily", "walt") };
    assert_eq!(fixture.net(first).texts(), ["w1", "w2", "w3"]);
    let rows = fixture.rows(later).await;
    assert!(rows.iter().all(|row| (row.state, row.cause) == (State::Released, Some(Cause::AccountTaken))));
    let source = || SecretSource::Env("TOKEN".to_owned());
    let sources = TokenSources { access_token: source(), access_token_secret: Some(source()) };
    let bot = Bot { tokens: Some(sources), ..bot(later) };
    let standing = fixture.standing(later).await;
    let (state, reason) = health_state(&bot, Some(&standing), Some(9), fixture.now());
    let reason = reason.unwrap();
    assert!(state == HealthState::Suspended && needs_person(&bot, Some(&standing), state));
    assert!(reason.to_string().contains(&format!("bot {first} posts as @bard")), "{reason}");
    let by_hand = fixture.post(later, Some("by hand")).await;
    assert!(!by_hand.done && by_hand.message.contains(first), "{by_hand:?}");
    // Across a restart, and whichever is due first.
    fixture.restart().await;
    fixture.pass(minutes(1)).await;
    assert_eq!((fixture.net(first).sent().len(), fixture.net(later).sent().len()), (4, 0));
    // Once the first is gone, the later one continues where it was.
    fixture.bots.retain(|bot| bot.name.as_str() == later);
    fixture.reload().await;
    fixture.pass(minutes(2)).await;
    assert_eq!(fixture.net(later).texts(), ["w5", "w6"]);
}

#[tokio::test]
async fn a_bot_with_its_own_account_again_continues() {
    let flock = [(on("walt", "0 * * * *"), poem("w", 9)), (on("emily", "30 * * * *"), poem("e", 9))];
    let mut fixture = EngineFixture::of(flock).await;
    fixture.stop().await;
    all_are(&fixture, &["walt", "emily"], "bard");
    fixture.start().await;
    fixture.pass(minutes(60)).await;
    assert_eq!((fixture.net("walt").texts().len(), fixture.net("emily").texts()), (0, vec!["e1".to_owned()]));
    fixture.net("walt").prepares(Ok(account("walt")));
    fixture.pass(minutes(60)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1"]);
    assert_eq!(fixture.net("emily").texts(), ["e1", "e2"]);
}

/// A post whose outcome was unknown when the bot stopped is still probed.
#[tokio::test]
async fn an_unknown_outcome_is_settled_whichever_bot_has_the_account() {
    let flock = [(on("walt", "* * * * *"), poem("w", 9)), (on("emily", "@yearly"), poem("e", 9))];
    let mut fixture = EngineFixture::of(flock).await;
    fixture.stop().await;
    all_are(&fixture, &["walt"], "walt");
    all_are(&fixture, &["emily"], "bard");
    fixture.net("walt").tells_truth(true);
    fixture.net("walt").then(Next::Silence { arrived: true });
    fixture.start().await;
    assert!(fixture.post("emily", Some("first")).await.done);
    fixture.pass(seconds(60)).await;
    assert_eq!(fixture.last("walt").await.state, State::Unknown);
    fixture.net("walt").prepares(Ok(account("bard")));
    fixture.pass(minutes(10)).await;
    let first = &fixture.rows("walt").await[0];
    assert_eq!((first.state, first.text.as_deref()), (State::Posted, Some("w1")));
    assert_eq!(fixture.net("walt").sent().len(), 1, "and nothing after it");
}

/// A bot keeps its history when it signs in to another account.
#[tokio::test]
async fn a_bot_keeps_its_history_on_another_account() {
    let fixture = after_three_lines().await;
    fixture.net("walt").prepares(Ok(account("elsewhere")));
    fixture.pass(minutes(9)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3", "w4", "w5"]);
    let answer = fixture.answer(fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await).await;
    assert!(answer.done);
}
